#include "daemon/io/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

/* /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask ..., addresses in hex, network order in memory. */
int routes_each(void (*fn)(void *ctx, uint32_t network, unsigned bits), void *ctx)
{
    char line[512];
    FILE *f = fopen("/proc/net/route", "re");
    if (!f)
        return -errno;
    while (fgets(line, sizeof(line), f)) {
        unsigned network, mask;
        if (sscanf(line, "%*s %x %*x %*x %*d %*d %*d %x", &network, &mask) != 2 || !mask)
            continue;
        fn(ctx, ntohl(network), (unsigned)__builtin_popcount(mask));
    }
    fclose(f);
    return 0;
}
