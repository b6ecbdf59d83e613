/* hostent.c - gethostbyname, gethostbyaddr and their _r forms for overlay names and virtual addresses.
 *
 * A struct hostent with one address and no alias, laid out in the caller's buffer (or, for the forms without _r, in one
 * static buffer, as in libc):  pointers, address, name.
 */
#include <netdb.h>

#include "shim/hooks/resolve.h"
#include "shim/libc.h"
#include "shim/overlay.h"

struct layout {
    char *aliases[1];
    char *addresses[2];
    uint8_t address[16];
    char name[];
};

static struct hostent static_entry;
static char static_buffer[sizeof(struct layout) + IPC_NAME_MAX + 1 + _Alignof(struct layout)];

static int fill(struct hostent *h, char *buf, size_t len, const char *name, int family, const void *ip)
{
    size_t skip = (size_t)(-(uintptr_t)buf & (_Alignof(struct layout) - 1)), n = strlen(name) + 1;
    if (len < skip + sizeof(struct layout) + n)
        return ERANGE;
    struct layout *l = (struct layout *)(buf + skip);
    memset(l, 0, sizeof(*l));
    memcpy(l->address, ip, family == AF_INET6 ? 16 : 4);
    memcpy(l->name, name, n);
    l->addresses[0] = (char *)l->address;
    *h = (struct hostent){.h_name = l->name,
        .h_aliases = l->aliases,
        .h_addrtype = family,
        .h_length = family == AF_INET6 ? 16 : 4,
        .h_addr_list = l->addresses};
    return 0;
}

/* libc sets the thread's h_errno, too, and there are programs that look there only. */
static int no_host(int *herr, int why)
{
    *herr = h_errno = why;
    return why == TRY_AGAIN ? EAGAIN : 0;
}

int host_resolve(const char *plain, struct addr *a, struct addr *a6, int *herr)
{
    *herr = 0;
    switch (resolve_name(plain, a, a6)) {
    case RESOLVE_LATER:
        return no_host(herr, TRY_AGAIN);
    case RESOLVE_SYSTEM:
    case RESOLVE_UNKNOWN:
        return no_host(herr, HOST_NOT_FOUND);
    case RESOLVE_EMPTY:
        return no_host(herr, NO_DATA);
    case RESOLVE_FAILED:
        return no_host(herr, NO_RECOVERY);
    case RESOLVE_OK:
        break;
    }
    return 0;
}

int host_by_name(const char *plain, int family, struct hostent *h, char *buf, size_t len, struct hostent **result, int *herr)
{
    struct addr a, a6;
    *result = NULL;
    int err = host_resolve(plain, &a, &a6, herr);
    if (err || *herr)
        return err;
    const struct addr *which = family == AF_INET ? &a : family == AF_INET6 && a6.family ? &a6 : NULL;
    if (!which)
        return no_host(herr, NO_DATA);
    *herr = NETDB_INTERNAL;
    err = fill(h, buf, len, plain, family, which->ip);
    if (err)
        return err;
    *herr = NETDB_SUCCESS;
    *result = h;
    return 0;
}

HOOK int gethostbyname2_r(const char *name, int family, struct hostent *h, char *buf, size_t len,
    struct hostent **result, int *herr)
{
    char plain[IPC_NAME_MAX + 1];
    if (!overlay_name(name, plain))
        return REAL(gethostbyname2_r)(name, family, h, buf, len, result, herr);
    return host_by_name(plain, family, h, buf, len, result, herr);
}

HOOK int gethostbyname_r(const char *name, struct hostent *h, char *buf, size_t len, struct hostent **result, int *herr)
{
    char plain[IPC_NAME_MAX + 1];
    if (!overlay_name(name, plain))
        return REAL(gethostbyname_r)(name, h, buf, len, result, herr);
    return host_by_name(plain, AF_INET, h, buf, len, result, herr);
}

static struct hostent *by_name_static(const char *plain, int family)
{
    struct hostent *result;
    int herr;
    host_by_name(plain, family, &static_entry, static_buffer, sizeof(static_buffer), &result, &herr);
    if (!result)
        h_errno = herr;
    return result;
}

HOOK struct hostent *gethostbyname2(const char *name, int family)
{
    char plain[IPC_NAME_MAX + 1];
    return overlay_name(name, plain) ? by_name_static(plain, family) : REAL(gethostbyname2)(name, family);
}

HOOK struct hostent *gethostbyname(const char *name)
{
    char plain[IPC_NAME_MAX + 1];
    return overlay_name(name, plain) ? by_name_static(plain, AF_INET) : REAL(gethostbyname)(name);
}

/* A bare address as struct addr; none when length and family disagree. */
static struct addr bare(const void *ip, socklen_t len, int family)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (family == AF_INET && len == 4) {
        memcpy(&in.sin_addr, ip, 4);
        return addr_from_sockaddr(&in, sizeof(in));
    }
    if (family == AF_INET6 && len == 16) {
        memcpy(&in6.sin6_addr, ip, 16);
        return addr_from_sockaddr(&in6, sizeof(in6));
    }
    return (struct addr){0};
}

int host_by_address(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len, struct hostent **result,
    int *herr)
{
    char name[IPC_NAME_MAX + 1];
    struct addr a = bare(ip, iplen, family);
    int status = reverse_name(&a, name);
    *result = NULL;
    if (status == IPC_NOT_VIRTUAL)
        return HOST_NOT_OURS;
    if (status != 0)
        return no_host(herr, status < 0 || status == EAGAIN ? TRY_AGAIN : HOST_NOT_FOUND);
    *herr = NETDB_INTERNAL;
    int err = fill(h, buf, len, name, family, ip);
    if (err)
        return err;
    *herr = NETDB_SUCCESS;
    *result = h;
    return 0;
}

HOOK int gethostbyaddr_r(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len,
    struct hostent **result, int *herr)
{
    int err = host_by_address(ip, iplen, family, h, buf, len, result, herr);
    return err == HOST_NOT_OURS ? REAL(gethostbyaddr_r)(ip, iplen, family, h, buf, len, result, herr) : err;
}

HOOK struct hostent *gethostbyaddr(const void *ip, socklen_t iplen, int family)
{
    struct hostent *result;
    int herr, err = host_by_address(ip, iplen, family, &static_entry, static_buffer, sizeof(static_buffer), &result, &herr);
    if (err == HOST_NOT_OURS)
        return REAL(gethostbyaddr)(ip, iplen, family);
    if (!result)
        h_errno = herr;
    return result;
}
