/* nss.c - the entries of the NSS module "i3" (shim/nss.h), and the moment when libc is told of it. What they answer is what the hooks
 * of names.c and hostent.c answer, from the same functions. UNAVAIL means: not ours, ask the next service.
 */
#include <nss.h>
#include <stddef.h>

#include "shim/hooks/resolve.h"
#include "shim/libc.h"
#include "shim/nss.h"
#include "shim/overlay.h"
#include "shim/sys.h"

static enum nss_status not_ours(int *err, int *herr)
{
    *err = ENOENT;
    *herr = NO_RECOVERY;
    return NSS_STATUS_UNAVAIL;
}

/* What host_by_name() and the like answer, as NSS says it; *herr is set already. */
static enum nss_status status_of(int error, const struct hostent *found, int *err)
{
    if (error)
        *err = error; /* ERANGE: more room, EAGAIN: later */
    else if (!found)
        *err = ENOENT;
    return error ? NSS_STATUS_TRYAGAIN : found ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}

HOOK enum nss_status _nss_i3_gethostbyname3_r(const char *name, int family, struct hostent *h, char *buf, size_t len, int *err,
    int *herr, int32_t *ttl, char **canonical);
HOOK enum nss_status _nss_i3_gethostbyname2_r(const char *name, int family, struct hostent *h, char *buf, size_t len, int *err,
    int *herr);
HOOK enum nss_status _nss_i3_gethostbyname_r(const char *name, struct hostent *h, char *buf, size_t len, int *err, int *herr);
HOOK enum nss_status _nss_i3_gethostbyname4_r(const char *name, struct gaih_addrtuple **list, char *buf, size_t len, int *err,
    int *herr, int32_t *ttl);
HOOK enum nss_status _nss_i3_gethostbyaddr2_r(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len,
    int *err, int *herr, int32_t *ttl);
HOOK enum nss_status _nss_i3_gethostbyaddr_r(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len,
    int *err, int *herr);

enum nss_status _nss_i3_gethostbyname3_r(const char *name, int family, struct hostent *h, char *buf, size_t len, int *err, int *herr,
    int32_t *ttl, char **canonical)
{
    char plain[IPC_NAME_MAX + 1];
    struct hostent *found;
    if (!overlay_name(name, plain))
        return not_ours(err, herr);
    int error = host_by_name(plain, family, h, buf, len, &found, herr);
    enum nss_status status = status_of(error, found, err);
    if (ttl)
        *ttl = 0;
    if (canonical && status == NSS_STATUS_SUCCESS)
        *canonical = h->h_name;
    return status;
}

enum nss_status _nss_i3_gethostbyname2_r(const char *name, int family, struct hostent *h, char *buf, size_t len, int *err, int *herr)
{
    return _nss_i3_gethostbyname3_r(name, family, h, buf, len, err, herr, NULL, NULL);
}

enum nss_status _nss_i3_gethostbyname_r(const char *name, struct hostent *h, char *buf, size_t len, int *err, int *herr)
{
    return _nss_i3_gethostbyname3_r(name, AF_INET, h, buf, len, err, herr, NULL, NULL);
}

/* One address of the list, into *at or, where that is NULL, into the buffer. */
static bool add_tuple(struct gaih_addrtuple ***at, char **buf, char *end, const char *name, const struct addr *a)
{
    struct gaih_addrtuple *t = **at;
    if (!a->family)
        return true;
    if (!t) {
        *buf += -(uintptr_t)*buf & (_Alignof(struct gaih_addrtuple) - 1);
        if (end - *buf < (ptrdiff_t)sizeof(*t))
            return false;
        t = (struct gaih_addrtuple *)*buf;
        *buf += sizeof(*t);
    }
    *t = (struct gaih_addrtuple){.name = (char *)name, .family = a->family == 6 ? AF_INET6 : AF_INET};
    memcpy(t->addr, a->ip, sizeof(t->addr));
    **at = t;
    *at = &t->next;
    return true;
}

/* Both addresses at once, for getaddrinfo(). */
enum nss_status _nss_i3_gethostbyname4_r(const char *name, struct gaih_addrtuple **list, char *buf, size_t len, int *err, int *herr,
    int32_t *ttl)
{
    char plain[IPC_NAME_MAX + 1], *end = buf + len, *copy = buf;
    struct addr a, a6;
    if (!overlay_name(name, plain))
        return not_ours(err, herr);
    int error = host_resolve(plain, &a, &a6, herr);
    if (error || *herr)
        return status_of(error, NULL, err);
    size_t n = strlen(plain) + 1;
    if (len < n)
        goto err_range;
    memcpy(copy, plain, n);
    buf += n;
    if (!add_tuple(&list, &buf, end, copy, &a) || !add_tuple(&list, &buf, end, copy, &a6))
        goto err_range;
    if (ttl)
        *ttl = 0;
    return NSS_STATUS_SUCCESS;

err_range:
    *err = ERANGE;
    *herr = NETDB_INTERNAL;
    return NSS_STATUS_TRYAGAIN;
}

enum nss_status _nss_i3_gethostbyaddr2_r(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len,
    int *err, int *herr, int32_t *ttl)
{
    struct hostent *found;
    int error = host_by_address(ip, iplen, family, h, buf, len, &found, herr);
    if (error == HOST_NOT_OURS)
        return not_ours(err, herr);
    if (ttl)
        *ttl = 0;
    return status_of(error, found, err);
}

enum nss_status _nss_i3_gethostbyaddr_r(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len, int *err,
    int *herr)
{
    return _nss_i3_gethostbyaddr2_r(ip, iplen, family, h, buf, len, err, herr, NULL);
}

/* ---- the moment ---- */

static int (*program_main)(int, char **, char **);

static int told_main(int argc, char **argv, char **envp)
{
    nss_configure();
    return program_main(argc, argv, envp);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
    void (*rtld_fini)(void), void *stack_end);

HOOK int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
    void (*rtld_fini)(void), void *stack_end)
{
    program_main = main;
    return REAL(__libc_start_main)(told_main, argc, argv, init, fini, rtld_fini, stack_end);
}
