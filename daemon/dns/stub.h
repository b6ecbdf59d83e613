/* stub.h - the answers to DNS queries that programs send to a server of their own choice (SHIM.md: programs with a resolver of
 * their own). What is asked about overlay names, virtual addresses and DNS_CANARY is answered here and goes no further; every other
 * message is not looked at twice, and goes to that server as it is.
 *
 *   program ---- UDP mirror or TCP pair ----> stub_answer() -- 0 --> the server that the program chose
 *                                      <---- reply
 *
 *   a question of ours       answered (include/dns.h); the suffix itself exists and has no data
 *   beside other questions   FORMERR (RFC 9619), as is what cannot be read and has the suffix in it
 *   another opcode           NOTIMP; zone transfers: REFUSED; EDNS version other than 0: BADVERS
 *   anything else            theirs, be it DNS or not
 */
#ifndef I3_DNS_STUB_H
#define I3_DNS_STUB_H

#include "include/dns.h"

/* What the stub asks; `name` is as it was asked, without a dot at the end. */
struct stub_names {
    const char *zones; /* the suffixes: "i3 work.i3" (include/dns.h) */
    /* The user's rules want that name to be found, or not, by us; else it is the server's, whatever it ends with. */
    bool (*claims)(void *ctx, const char *name);
    void (*find)(void *ctx, const char *name, struct dns_facts *f); /* one that is claimed; f is zeroed but for its zone */
    /* False: that address is not the overlay's. */
    bool (*is_virtual)(void *ctx, const struct addr *a);
    void (*reverse)(void *ctx, const struct addr *a, struct dns_facts *f);
    void *ctx;
};

/* The reply to a message on its way to a DNS server: its length; 0: it is the server's. `cap` is at least DNS_REPLY_MAX. */
size_t stub_answer(const struct stub_names *n, const uint8_t *msg, size_t len, uint8_t *out, size_t cap);

/* How much a stream towards a DNS server begins with what is due there (two bytes of length, then a query): false for any other
 * protocol, as soon as that can be told. */
bool stub_stream_is_dns(const uint8_t *bytes, size_t len);

#endif
