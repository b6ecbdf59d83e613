/* names.c - getaddrinfo and getnameinfo for overlay names and virtual addresses.
 *
 * The daemon turns the name into an address, and libc's own getaddrinfo is then asked about that address as a number:
 * so services, socket types, flags and the result's memory are libc's. No overlay name ever reaches it.
 */
#include <signal.h>
#include <stdlib.h>

#include "shim/client.h"
#include "shim/hooks/resolve.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/sys.h"

int resolve_name(const char *plain, struct addr *a)
{
    if (!*plain)
        return RESOLVE_UNKNOWN;
    int status = client_resolve(plain, a);
    if (status == 0 && a->family == 4) {
        overlay_learn(a, true);
        return RESOLVE_OK;
    }
    return status == CLIENT_DEAD || status == EAGAIN ? RESOLVE_LATER : RESOLVE_UNKNOWN;
}

/* "10.1.2.3" */
static void numeric(const struct addr *a, char text[INET_ADDRSTRLEN])
{
    inet_ntop(AF_INET, a->ip, text, INET_ADDRSTRLEN);
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

static int overlay_addrinfo(const char *plain, const char *service, const struct addrinfo *ask, struct addrinfo **out)
{
    struct addrinfo hints = {0};
    if (ask)
        hints = *ask;
    int flags = hints.ai_flags;
    if (flags & AI_NUMERICHOST)
        return EAI_NONAME;
    struct addr a;
    switch (resolve_name(plain, &a)) {
    case RESOLVE_OK:
        break;
    case RESOLVE_LATER:
        return EAI_AGAIN;
    case RESOLVE_UNKNOWN:
        return EAI_NONAME;
    }
    if (hints.ai_family == AF_INET6 && !(flags & AI_V4MAPPED))
        return EAI_NODATA; /* the name exists, and has no such address */
    /* AI_ADDRCONFIG asks whether the host has a real IPv4 address, on which the overlay does not depend. */
    hints.ai_flags = (flags & ~(AI_CANONNAME | AI_ADDRCONFIG | AI_IDN | AI_CANONIDN)) | AI_NUMERICHOST;
    char text[INET_ADDRSTRLEN];
    numeric(&a, text);
    int rc = REAL(getaddrinfo)(text, service, &hints, out);
    if (rc != 0 || !(flags & AI_CANONNAME) || !*out)
        return rc;
    rc = set_canonical(*out, plain);
    if (rc != 0)
        freeaddrinfo(*out);
    return rc;
}

HOOK int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    char plain[IPC_NAME_MAX + 1];
    if (!node || !overlay_name(node, plain))
        return REAL(getaddrinfo)(node, service, hints, out);
    int saved = errno;
    int rc = overlay_addrinfo(plain, service, hints, out);
    if (rc != EAI_SYSTEM)
        errno = saved;
    return rc;
}

/* Overlay names are answered at once; the others are libc's to look up, and so is the notification. */
HOOK int getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *sevp)
{
    char plain[IPC_NAME_MAX + 1];
    struct gaicb *rest[64];
    int left = 0, ours = 0;
    for (int i = 0; i < n; i++)
        ours += list[i] && overlay_name(list[i]->ar_name, plain);
    if (!ours)
        return REAL(getaddrinfo_a)(mode, list, n, sevp);
    if (n - ours > (int)(sizeof(rest) / sizeof(rest[0])))
        return EAI_AGAIN;
    for (int i = 0; i < n; i++) {
        struct gaicb *g = list[i];
        if (g && overlay_name(g->ar_name, plain))
            g->__return = overlay_addrinfo(plain, g->ar_service, g->ar_request, &g->ar_result);
        else if (g)
            rest[left++] = g;
    }
    return REAL(getaddrinfo_a)(mode, rest, left, sevp);
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
    if (status != 0 && flags & NI_NAMEREQD)
        return status == CLIENT_DEAD || status == EAGAIN ? EAI_AGAIN : EAI_NONAME;
    flags &= ~NI_NAMEREQD;
    int rc = REAL(getnameinfo)(sa, len, host, hostlen, serv, servlen, flags | NI_NUMERICHOST);
    if (rc != 0 && rc != EAI_OVERFLOW)
        return rc;
    if (status != 0)
        return rc;
    if (strlen(name) >= hostlen)
        return EAI_OVERFLOW;
    strcpy(host, name);
    return rc == EAI_OVERFLOW && serv && servlen
               ? REAL(getnameinfo)(sa, len, NULL, 0, serv, servlen, flags | NI_NUMERICHOST)
               : 0;
}
