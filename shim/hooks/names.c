/* names.c - getaddrinfo and getnameinfo for overlay names and virtual addresses.
 *
 * The daemon turns the name into addresses, and libc's own getaddrinfo is then asked about each of them as a number: so services, socket types, flags and the result's memory are libc's. No overlay name ever reaches it.
 */
#include <signal.h>
#include <stdlib.h>

#include "include/dns.h"
#include "shim/client.h"
#include "shim/explain.h"
#include "shim/hooks/resolve.h"
#include "shim/known.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/sys.h"

static void explain_resolved(const char *plain, int status, const struct addr *a)
{
    char text[EXPLAIN_ADDR];
    if (!explain_on)
        return;
    if (status == 0)
        *strrchr(explain_addr_str(a, text) + 1, ':') = '\0';
    explain("name", plain, status == 0             ? text
                           : status == CLIENT_DEAD ? "the daemon does not answer"
                           : status == EAGAIN      ? "not now"
                           : status == EKEYREJECTED ? "its key is another one than it was, or several claim it: see i3ctl ping"
                           : status == ENODATA     ? "the name has no address"
                           : status == EPROTO      ? "the DNS refuses to answer, or its record is wrong, or the gateway does not let you: see i3ctl why"
                                                   : "not known, and not asked of DNS");
}

int resolve_name(const char *plain, struct addr *a, struct addr *a6)
{
    if (!*plain || !strcmp(plain, DNS_CANARY))
        return RESOLVE_UNKNOWN;
    if (known_get(plain, a, a6))
        return RESOLVE_OK;
    int status = client_resolve(plain, a, a6);
    explain_resolved(plain, status, a);
    if (status == 0 && a->family == 4) {
        overlay_learn(a, true);
        known_put(plain, a, a6);
        return RESOLVE_OK;
    }
    if (status == CLIENT_DEAD || status == EAGAIN)
        return RESOLVE_LATER;
    if (overlay_left_alone(status))
        return RESOLVE_SYSTEM;
    if (status == ENODATA)
        return RESOLVE_EMPTY;
    return status == EKEYREJECTED || status == EPROTO ? RESOLVE_FAILED : RESOLVE_UNKNOWN;
}

/* What libc makes of an address as text, behind what is in the list already. */
static int append(const struct addr *a, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    char text[INET6_ADDRSTRLEN];
    struct addrinfo *more;
    inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, text, sizeof(text));
    int rc = REAL(getaddrinfo)(text, service, hints, &more);
    if (rc != 0)
        return rc;
    while (*list)
        list = &(*list)->ai_next;
    *list = more;
    return 0;
}

/* libc gives the canonical name to the first entry, from malloc, and frees it with free. */
static int set_canonical(struct addrinfo *list, const char *plain)
{
    char *name = strdup(plain);
    if (!name)
        return EAI_MEMORY;
    free(list->ai_canonname);
    list->ai_canonname = name;
    return 0;
}

/* Both addresses, IPv4 first where the program does not care: legacy programs keep what they always had, and a server
 * that listens on IPv4 only is found at the first try. IPv4-mapped ones only when asked for besides (AI_ALL), as there
 * always is an IPv6 address. The list is libc's to free, entry by entry. */
static int addresses(const struct addr *a, const struct addr *a6, int flags, const char *service, struct addrinfo *hints,
    struct addrinfo **out)
{
    int family = hints->ai_family, rc = 0;
    *out = NULL;
    if (family != AF_INET6)
        rc = append(a, service, hints, out);
    if (rc == 0 && family != AF_INET && a6->family)
        rc = append(a6, service, hints, out);
    if (rc == 0 && family == AF_INET6 && flags & AI_V4MAPPED && (flags & AI_ALL || !*out))
        rc = append(a, service, hints, out);
    if (rc == 0 && !*out)
        rc = EAI_NODATA;
    if (rc != 0 && *out)
        freeaddrinfo(*out);
    return rc;
}

enum { NO_HINTS = AI_V4MAPPED | AI_ADDRCONFIG /* what hints that are NULL stand for */ };

/* What libc would say of all but the name: it looks at it last. */
static int check_question(const char *service, const struct addrinfo *hints)
{
    struct addrinfo *list;
    int rc = REAL(getaddrinfo)(hints->ai_family == AF_INET6 ? "::1" : "127.0.0.1", service, hints, &list);
    if (rc == 0)
        freeaddrinfo(list);
    return rc;
}

/* Why there is no address: what is wrong with the question comes first, as in libc. */
static int no_address(const char *service, const struct addrinfo *hints, int why)
{
    int rc = check_question(service, hints);
    return rc ? rc : why;
}

static int overlay_addrinfo(const char *plain, const char *service, const struct addrinfo *ask, struct addrinfo **out)
{
    struct addrinfo hints = {.ai_flags = NO_HINTS}, *list;
    struct addr a, a6;
    if (ask)
        hints = *ask;
    int flags = hints.ai_flags;
    /* AI_ADDRCONFIG asks which real addresses the host has, on which the overlay does not depend. */
    hints.ai_flags = (flags & ~(AI_CANONNAME | AI_ADDRCONFIG | AI_IDN | AI_CANONIDN)) | AI_NUMERICHOST;
    if (flags & AI_NUMERICHOST)
        return no_address(service, &hints, EAI_NONAME);
    switch (resolve_name(plain, &a, &a6)) {
    case RESOLVE_OK:
        break;
    case RESOLVE_LATER:
        return no_address(service, &hints, EAI_AGAIN);
    case RESOLVE_SYSTEM:
        return REAL(getaddrinfo)(plain, service, ask, out);
    case RESOLVE_UNKNOWN:
        return no_address(service, &hints, EAI_NONAME);
    case RESOLVE_EMPTY:
        return no_address(service, &hints, EAI_NODATA);
    case RESOLVE_FAILED:
        return no_address(service, &hints, EAI_FAIL);
    }
    int rc = addresses(&a, &a6, flags, service, &hints, &list);
    if (rc == 0 && flags & AI_CANONNAME) {
        rc = set_canonical(list, plain);
        if (rc != 0)
            freeaddrinfo(list);
    }
    if (rc != 0)
        return rc;
    for (*out = list; list; list = list->ai_next)
        list->ai_flags = flags;
    return 0;
}

HOOK int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    char plain[IPC_NAME_MAX + 1];
    if (!node || !overlay_name(node, plain)) {
        if (node)
            explain("name", node, "left to libc");
        return REAL(getaddrinfo)(node, service, hints, out);
    }
    int saved = errno;
    int rc = overlay_addrinfo(plain, service, hints, out);
    if (rc != EAI_SYSTEM)
        errno = saved;
    return rc;
}

/* Overlay names are answered at once, so that the list which libc is given has the others only, and with none left libc notifies at
 * once. */
HOOK int getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *sevp)
{
    char plain[IPC_NAME_MAX + 1];
    int left = 0, ours = 0;
    for (int i = 0; i < n; i++)
        ours += list[i] && overlay_name(list[i]->ar_name, plain);
    if (!ours || (mode != GAI_WAIT && mode != GAI_NOWAIT))
        return REAL(getaddrinfo_a)(mode, list, n, sevp);
    struct gaicb **rest = malloc((size_t)n * sizeof(struct gaicb *));
    if (!rest)
        return EAI_MEMORY;
    for (int i = 0; i < n; i++) {
        struct gaicb *g = list[i];
        if (g && overlay_name(g->ar_name, plain))
            g->__return = overlay_addrinfo(plain, g->ar_service, g->ar_request, &g->ar_result);
        else if (g)
            rest[left++] = g;
    }
    int rc = REAL(getaddrinfo_a)(mode, rest, left, sevp);
    free(rest);
    return rc;
}

int reverse_name(const struct addr *a, char name[IPC_NAME_MAX + 1])
{
    if (!overlay_covers(a))
        return IPC_NOT_VIRTUAL;
    int status = client_reverse(a, name);
    if (status != CLIENT_DEAD)
        overlay_learn(a, status != IPC_NOT_VIRTUAL);
    else if (overlay_known_real(a))
        return IPC_NOT_VIRTUAL;
    return status;
}

HOOK int getnameinfo(const struct sockaddr *sa, socklen_t len, char *host, socklen_t hostlen, char *serv,
    socklen_t servlen, int flags)
{
    char name[IPC_NAME_MAX + 1];
    struct addr a = {0};
    int status = IPC_NOT_VIRTUAL;
    if (sa)
        a = addr_from_sockaddr(sa, len);
    if (host && hostlen && !(flags & NI_NUMERICHOST) && a.family)
        status = reverse_name(&a, name);
    if (status == IPC_NOT_VIRTUAL)
        return REAL(getnameinfo)(sa, len, host, hostlen, serv, servlen, flags);
    /* libc checks the question, and writes the address as a number */
    int numeric = (flags & ~NI_NAMEREQD) | NI_NUMERICHOST;
    int rc = REAL(getnameinfo)(sa, len, host, hostlen, serv, servlen, numeric);
    if (rc != 0 && rc != EAI_OVERFLOW)
        return rc;
    if (status != 0)
        return !(flags & NI_NAMEREQD) ? rc : status == CLIENT_DEAD || status == EAGAIN ? EAI_AGAIN : EAI_NONAME;
    if (strlen(name) >= hostlen)
        return EAI_OVERFLOW;
    strcpy(host, name);
    return rc == EAI_OVERFLOW && serv && servlen ? REAL(getnameinfo)(sa, len, NULL, 0, serv, servlen, numeric) : 0;
}
