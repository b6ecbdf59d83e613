/* resolver.c - libc's DNS queries, so that no question about an overlay name or a virtual address leaves the host, of whatever
 * record type. Each function has a twin with two underscores, for programs linked against older libraries.
 */
#include <netdb.h>
#include <resolv.h>

#include "shim/config.h"
#include "shim/hooks/answer.h"
#include "shim/libc.h"
#include "shim/sys.h"

enum { NAME_ROOM = 2 * IPC_NAME_MAX + 2 };

/* As res_query() answers: the message's length, or -1 and h_errno when it holds no record. A name which no query can hold does not
 * exist. */
static int reply(const struct question *q, const char *asked, int class, int type, unsigned char *answer, int len,
    res_state state)
{
    uint8_t query[DNS_QUERY_MAX];
    struct dns_question d = {0};
    int herr = HOST_NOT_FOUND;
    size_t n = 0, size = dns_put_query(query, 0, asked, (uint16_t)class, (uint16_t)type);
    struct reader r = reader_of(query, size);
    (void)get_span(&r, DNS_HEADER_LEN);
    dns_get_question(&r, query, &d);
    if (size && reader_ok(&r))
        n = question_answer(q, query, size, &d, answer, len > 0 ? (size_t)len : 0, &herr);
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

static bool is_ours(void *ctx, const char *name)
{
    return question_ours(name, ctx);
}

/* As res_send() answers: a message in any case, if it fits. PASS: it is not our affair. */
enum { PASS = -2 };

static int reply_to(const unsigned char *msg, int n, unsigned char *answer, int len)
{
    struct question q;
    struct dns_question d;
    size_t made = 0, cap = len > 0 ? (size_t)len : 0;
    int herr;
    if (n < 0)
        return PASS;
    switch (dns_look(msg, (size_t)n, config_get()->zones, is_ours, &q, &d)) {
    case DNS_THEIRS:
        return PASS;
    case DNS_BAD:
        made = dns_put_refusal(answer, cap, msg, DNS_FORMERR);
        break;
    case DNS_OURS:
        made = question_answer(&q, msg, (size_t)n, &d, answer, cap, &herr);
        break;
    }
    if (made)
        return (int)made;
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
    int made = reply_to(msg, n, answer, len);
    return made == PASS ? REAL(res_send)(msg, n, answer, len) : made;
}

HOOK int res_nsend(res_state state, const unsigned char *msg, int n, unsigned char *answer, int len)
{
    int made = reply_to(msg, n, answer, len);
    return made == PASS ? REAL(res_nsend)(state, msg, n, answer, len) : made;
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
