/* resolver.c - libc's DNS queries, so that no question about an overlay name or a virtual address leaves the host, of whatever
 * record type. Each function has a twin with two underscores, for programs linked against older libraries.
 */
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include "shim/hooks/answer.h"
#include "shim/libc.h"
#include "shim/sys.h"

enum { NAME_ROOM = 2 * IPC_NAME_MAX + 2 };

/* As res_query() answers: the message's length, or -1 and h_errno when it holds no record. */
static int reply(const struct question *q, const char *asked, int class, int type, unsigned char *answer, int len,
    res_state state)
{
    int herr;
    size_t n = question_answer(q, asked, class, type, 0, answer, len > 0 ? (size_t)len : 0, &herr);
    if (herr == 0 && n)
        return (int)n;
    h_errno = herr ? herr : NO_RECOVERY;
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

/* What a query packet asks about; "" when it is not a plain query. */
static const char *asked_by(const unsigned char *msg, int len, char out[NAME_ROOM], int *class, int *type)
{
    size_t at = 0;
    int i = NS_HFIXEDSZ;
    out[0] = '\0';
    for (; i < len && msg[i] && msg[i] < 64 && i + msg[i] < len; i += msg[i] + 1) {
        if (at + msg[i] + 2u > NAME_ROOM)
            return "";
        if (at)
            out[at++] = '.';
        memcpy(out + at, msg + i + 1, msg[i]);
        at += msg[i];
    }
    out[at] = '\0';
    if (i + 5 > len || msg[i])
        return "";
    *type = msg[i + 1] << 8 | msg[i + 2];
    *class = msg[i + 3] << 8 | msg[i + 4];
    return out;
}

/* As res_send() answers: a message in any case, if it fits. */
static int reply_to(const struct question *q, const unsigned char *msg, const char *asked, int class, int type,
    unsigned char *answer, int len)
{
    int herr;
    size_t n = question_answer(q, asked, class, type, (uint16_t)(msg[0] << 8 | msg[1]), answer, len > 0 ? (size_t)len : 0, &herr);
    if (n)
        return (int)n;
    errno = EMSGSIZE;
    return -1;
}

HOOK int res_query(const char *name, int class, int type, unsigned char *answer, int len)
{
    struct question q;
    return question_ours(name, &q) ? reply(&q, name, class, type, answer, len, NULL)
                                   : REAL(res_query)(name, class, type, answer, len);
}

HOOK int res_search(const char *name, int class, int type, unsigned char *answer, int len)
{
    struct question q;
    return question_ours(name, &q) ? reply(&q, name, class, type, answer, len, NULL)
                                   : REAL(res_search)(name, class, type, answer, len);
}

HOOK int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *answer, int len)
{
    char room[NAME_ROOM];
    const char *whole = joined(name, domain, room);
    struct question q;
    return question_ours(whole, &q) ? reply(&q, whole, class, type, answer, len, NULL)
                                    : REAL(res_querydomain)(name, domain, class, type, answer, len);
}

HOOK int res_nquery(res_state state, const char *name, int class, int type, unsigned char *answer, int len)
{
    struct question q;
    return question_ours(name, &q) ? reply(&q, name, class, type, answer, len, state)
                                   : REAL(res_nquery)(state, name, class, type, answer, len);
}

HOOK int res_nsearch(res_state state, const char *name, int class, int type, unsigned char *answer, int len)
{
    struct question q;
    return question_ours(name, &q) ? reply(&q, name, class, type, answer, len, state)
                                   : REAL(res_nsearch)(state, name, class, type, answer, len);
}

HOOK int res_nquerydomain(res_state state, const char *name, const char *domain, int class, int type,
    unsigned char *answer, int len)
{
    char room[NAME_ROOM];
    const char *whole = joined(name, domain, room);
    struct question q;
    return question_ours(whole, &q) ? reply(&q, whole, class, type, answer, len, state)
                                    : REAL(res_nquerydomain)(state, name, domain, class, type, answer, len);
}

HOOK int res_send(const unsigned char *msg, int n, unsigned char *answer, int len)
{
    char room[NAME_ROOM];
    int class, type;
    const char *asked = asked_by(msg, n, room, &class, &type);
    struct question q;
    return question_ours(asked, &q) ? reply_to(&q, msg, asked, class, type, answer, len)
                                    : REAL(res_send)(msg, n, answer, len);
}

HOOK int res_nsend(res_state state, const unsigned char *msg, int n, unsigned char *answer, int len)
{
    char room[NAME_ROOM];
    int class, type;
    const char *asked = asked_by(msg, n, room, &class, &type);
    struct question q;
    return question_ours(asked, &q) ? reply_to(&q, msg, asked, class, type, answer, len)
                                    : REAL(res_nsend)(state, msg, n, answer, len);
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
