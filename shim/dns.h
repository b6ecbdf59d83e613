/* dns.h - programs with a resolver of their own: what they send to port 53 of a real server.
 *
 *   connect(), UDP and TCP      the daemon stands in for the server (include/ipc.h), since what follows is not seen here
 *   sendto() and the like       the query is looked at: one about overlay names goes to the daemon's mirror of that server, from
 *                               which the answer comes; any other is the kernel's, untouched
 *
 * With the daemon dead both fail with ECONNREFUSED, as if nobody served there, except for what is seen to be about something else.
 */
#ifndef I3_SHIM_DNS_H
#define I3_SHIM_DNS_H

#include "include/dns.h"

/* Port 53 of whomever; an address in the virtual network may be real. (A link-local one without its interface is nobody's.) */
bool dns_is_server(const struct addr *to);

/* A message which a program is going to send to port 53, in pieces: it asks about the overlay, and must not go there. */
bool dns_is_ours(const struct iovec *v, size_t n);

/* The daemon has stood in for a server in this process. */
void dns_used(void);
bool dns_was_used(void);

/* A UDP socket is connected to `mirror`, which stands for `server`: if that is a DNS server, *local is the address from which the
 * kernel would speak to it, port 0, and true. */
bool dns_local(const struct addr *mirror, const struct addr *server, struct addr *local);

#endif
