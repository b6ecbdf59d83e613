/* line.h - addresses in the lines by which sockets survive a restart of the daemon (listener.c, dgram_file.c). */
#ifndef I3_PROGRAM_LINE_H
#define I3_PROGRAM_LINE_H

#include "include/addr.h"

static inline const char *line_ip(const struct addr *a, char out[INET6_ADDRSTRLEN])
{
    return inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, out, INET6_ADDRSTRLEN);
}

/* False: no address, or no port that a socket may have. */
static inline bool line_addr(struct addr *a, const char *ip, unsigned port)
{
    *a = (struct addr){.port = (uint16_t)port};
    if (port < 1 || port > 65535)
        return false;
    a->family = inet_pton(AF_INET, ip, a->ip) == 1 ? 4 : inet_pton(AF_INET6, ip, a->ip) == 1 ? 6 : 0;
    return a->family;
}

#endif
