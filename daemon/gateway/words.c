#include "daemon/gateway/words.h"

#include <assert.h>
#include <errno.h>

#include "include/bytes.h"

enum { FIRST = 0x19 };

unsigned gate_word_kind(const uint8_t *msg, size_t len)
{
    return len >= 2 && msg[0] == FIRST ? msg[1] : 0;
}

static struct writer begin(uint8_t *out, size_t cap, enum gate_word kind)
{
    struct writer w = writer_of(out, cap);
    put_u8(&w, FIRST);
    put_u8(&w, (uint8_t)kind);
    return w;
}

static size_t end(const struct writer *w)
{
    return writer_ok(w) ? writer_len(w) : 0;
}

static struct reader open_word(const uint8_t *msg, size_t len, enum gate_word kind)
{
    struct reader r = reader_of(msg, len);
    if (get_u8(&r) != FIRST || get_u8(&r) != kind)
        r.failed = true;
    return r;
}

size_t gate_ask_encode(uint8_t *out, size_t cap, const struct gate_ask *a)
{
    struct writer w = begin(out, cap, GATE_ASK);
    size_t n = strlen(a->name);
    if (!n || n > GATE_NAME_MAX)
        return 0;
    put_u8(&w, 0);
    put_u8(&w, (uint8_t)n);
    put_u32(&w, a->serial);
    put_u32(&w, a->ip);
    put_bytes(&w, a->ip6, sizeof(a->ip6));
    put_bytes(&w, a->name, n);
    return end(&w);
}

int gate_ask_decode(const uint8_t *msg, size_t len, struct gate_ask *a)
{
    struct reader r = open_word(msg, len, GATE_ASK);
    uint8_t zero = get_u8(&r), n = get_u8(&r);
    a->serial = get_u32(&r);
    a->ip = get_u32(&r);
    get_bytes(&r, a->ip6, sizeof(a->ip6));
    if (zero || !n || n > GATE_NAME_MAX || r.failed)
        return -EBADMSG;
    get_bytes(&r, a->name, n);
    a->name[n] = '\0';
    return reader_done(&r) && !memchr(a->name, 0, n) ? 0 : -EBADMSG;
}

size_t gate_answer_encode(uint8_t *out, size_t cap, const struct gate_answer *a)
{
    struct writer w = begin(out, cap, GATE_ANSWER);
    put_u8(&w, (uint8_t)a->status);
    put_u8(&w, a->families);
    put_u32(&w, a->serial);
    put_u32(&w, a->ip);
    put_u32(&w, a->ttl);
    return end(&w);
}

int gate_answer_decode(const uint8_t *msg, size_t len, struct gate_answer *a)
{
    struct reader r = open_word(msg, len, GATE_ANSWER);
    uint8_t status = get_u8(&r);
    a->status = status < GATE_STATUSES ? (enum gate_status)status : GATE_FAILED; /* a newer one's */
    a->families = get_u8(&r);
    a->serial = get_u32(&r);
    a->ip = get_u32(&r);
    a->ttl = get_u32(&r);
    return reader_done(&r) ? 0 : -EBADMSG;
}

size_t gate_unknown_encode(uint8_t *out, size_t cap, const struct gate_unknown *u)
{
    struct writer w = begin(out, cap, GATE_UNKNOWN);
    put_u16(&w, 0);
    put_u32(&w, u->ip);
    put_bytes(&w, u->ip6, sizeof(u->ip6));
    return end(&w);
}

int gate_unknown_decode(const uint8_t *msg, size_t len, struct gate_unknown *u)
{
    struct reader r = open_word(msg, len, GATE_UNKNOWN);
    uint16_t zero = get_u16(&r);
    u->ip = get_u32(&r);
    get_bytes(&r, u->ip6, sizeof(u->ip6));
    return reader_done(&r) && !zero ? 0 : -EBADMSG;
}

size_t gate_refused_encode(uint8_t *out, size_t cap, const struct gate_refused *f)
{
    struct writer w = begin(out, cap, GATE_REFUSED);
    put_u8(&w, (uint8_t)f->why);
    put_u8(&w, f->proto);
    put_u32(&w, f->ip);
    put_u16(&w, f->port);
    put_u16(&w, f->client_port);
    return end(&w);
}

int gate_refused_decode(const uint8_t *msg, size_t len, struct gate_refused *f)
{
    struct reader r = open_word(msg, len, GATE_REFUSED);
    uint8_t why = get_u8(&r);
    f->why = why < GATE_STATUSES ? (enum gate_status)why : GATE_FAILED;
    f->proto = get_u8(&r);
    f->ip = get_u32(&r);
    f->port = get_u16(&r);
    f->client_port = get_u16(&r);
    return reader_done(&r) ? 0 : -EBADMSG;
}

const char *gate_status_text(enum gate_status s)
{
    static const char *const text[] = {
        [GATE_OK] = "known",
        [GATE_NO_NAME] = "there is no such name",
        [GATE_NO_ADDRESS] = "the name has no address",
        [GATE_LATER] = "its DNS does not answer",
        [GATE_FAILED] = "its DNS refuses to answer",
        [GATE_NOT_ALLOWED] = "you are not among the gateway's users",
        [GATE_FORBIDDEN] = "the gateway does not go there",
        [GATE_TAKEN] = "the gateway has another use for that virtual address",
        [GATE_TIMED_OUT] = "the host does not answer",
        [GATE_FULL] = "the gateway has too much for you already",
    };
    static_assert(ARRAY_LEN(text) == GATE_STATUSES, "name all");
    return (unsigned)s < ARRAY_LEN(text) ? text[s] : "?";
}
