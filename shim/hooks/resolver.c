/* resolver.c - libc's DNS queries, so that no question about an overlay name leaves the host, of whatever record type.
 *
 * The overlay has addresses only, which other interfaces give; here a name that exists has no data, and one that does not
 * is not found. Each function has a twin with two underscores, for programs linked against older libraries.
 */
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include "shim/hooks/resolve.h"
#include "shim/libc.h"
#include "shim/overlay.h"

enum { NAME_ROOM = 2 * IPC_NAME_MAX + 2 };

static int refuse(const char *plain, res_state state)
{
    struct addr a, a6;
    switch (resolve_name(plain, &a, &a6)) {
    case RESOLVE_OK:
        h_errno = NO_DATA;
        break;
    case RESOLVE_UNKNOWN:
        h_errno = HOST_NOT_FOUND;
        break;
    case RESOLVE_LATER:
        h_errno = TRY_AGAIN;
        break;
    }
    if (state)
        state->res_h_errno = h_errno;
    return -1;
}

/* "name.domain", as the query would be. */
static const char *joined(const char *name, const char *domain, char out[NAME_ROOM])
{
    size_t n = strlen(name), m = domain ? strlen(domain) : 0;
    if (!m || n + 1 + m + 1 > NAME_ROOM)
        return m ? domain : name;
    memcpy(out, name, n);
    out[n] = '.';
    memcpy(out + n + 1, domain, m + 1);
    return out;
}

/* The name a query packet asks about; "" when it is not a plain query. */
static const char *question(const unsigned char *msg, int len, char out[NAME_ROOM])
{
    size_t at = 0;
    out[0] = '\0';
    for (int i = NS_HFIXEDSZ; i < len && msg[i] && msg[i] < 64 && i + msg[i] < len; i += msg[i] + 1) {
        if (at + msg[i] + 2u > NAME_ROOM)
            return "";
        if (at)
            out[at++] = '.';
        memcpy(out + at, msg + i + 1, msg[i]);
        at += msg[i];
    }
    out[at] = '\0';
    return out;
}

HOOK int res_query(const char *name, int class, int type, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1];
    return overlay_name(name, plain) ? refuse(plain, NULL) : REAL(res_query)(name, class, type, answer, len);
}

HOOK int res_search(const char *name, int class, int type, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1];
    return overlay_name(name, plain) ? refuse(plain, NULL) : REAL(res_search)(name, class, type, answer, len);
}

HOOK int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1], whole[NAME_ROOM];
    return overlay_name(joined(name, domain, whole), plain)
               ? refuse(plain, NULL)
               : REAL(res_querydomain)(name, domain, class, type, answer, len);
}

HOOK int res_nquery(res_state state, const char *name, int class, int type, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1];
    return overlay_name(name, plain) ? refuse(plain, state) : REAL(res_nquery)(state, name, class, type, answer, len);
}

HOOK int res_nsearch(res_state state, const char *name, int class, int type, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1];
    return overlay_name(name, plain) ? refuse(plain, state) : REAL(res_nsearch)(state, name, class, type, answer, len);
}

HOOK int res_nquerydomain(res_state state, const char *name, const char *domain, int class, int type,
    unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1], whole[NAME_ROOM];
    return overlay_name(joined(name, domain, whole), plain)
               ? refuse(plain, state)
               : REAL(res_nquerydomain)(state, name, domain, class, type, answer, len);
}

HOOK int res_send(const unsigned char *msg, int n, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1], whole[NAME_ROOM];
    if (!overlay_name(question(msg, n, whole), plain))
        return REAL(res_send)(msg, n, answer, len);
    errno = ECONNREFUSED;
    return -1;
}

HOOK int res_nsend(res_state state, const unsigned char *msg, int n, unsigned char *answer, int len)
{
    char plain[IPC_NAME_MAX + 1], whole[NAME_ROOM];
    if (!overlay_name(question(msg, n, whole), plain))
        return REAL(res_nsend)(state, msg, n, answer, len);
    errno = ECONNREFUSED;
    return -1;
}

#define TWIN(name) HOOK extern __typeof__(name) __##name __attribute__((alias(#name), nothrow, leaf))
TWIN(res_query);
TWIN(res_search);
TWIN(res_querydomain);
TWIN(res_nquery);
TWIN(res_nsearch);
TWIN(res_nquerydomain);
TWIN(res_send);
TWIN(res_nsend);
