#include "daemon/naming/txtname.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "include/bytes.h"

enum { TYPE_CNAME = 5, TYPE_TXT = 16, CLASS_IN = 1, HEADER_LEN = 12, FLAG_TC = 0x0200, FLAG_QR = 0x8000 };

/* ---- one record ---- */

static bool word_is(const char *w, size_t len, const char *start, size_t *skip)
{
    *skip = strlen(start);
    return len >= *skip && !memcmp(w, start, *skip);
}

static const char *take_word(const char *w, size_t len, struct txtname *out, bool *has_key)
{
    char key[KEY_STR_LEN + 1];
    size_t skip;
    if (word_is(w, len, "key=", &skip)) {
        if (*has_key)
            return "key= is there twice";
        *has_key = len - skip == KEY_STR_LEN;
        if (!*has_key)
            return "a key has 52 characters";
        memcpy(key, w + skip, KEY_STR_LEN);
        key[KEY_STR_LEN] = '\0';
        return key_parse(key, out->key) ? "what follows key= is no key" : NULL;
    }
    if (!word_is(w, len, "node=", &skip) || out->n_nodes == TXTNAME_NODES)
        return NULL;
    if (len - skip > TXTNAME_NODE_LEN || len == skip)
        return "what follows node= is no address";
    memcpy(out->node[out->n_nodes], w + skip, len - skip);
    out->node[out->n_nodes++][len - skip] = '\0';
    return NULL;
}

int txtname_parse(const char *text, size_t len, struct txtname *out, const char **why)
{
    static const char first[] = "i3=1";
    const char *at = text, *end = text + len;
    bool has_key = false;
    *out = (struct txtname){0};
    *why = NULL;
    if (len < 3 || memcmp(text, "i3=", 3) != 0)
        return -ENOENT;
    if (len < sizeof(first) - 1 || memcmp(text, first, sizeof(first) - 1) != 0 || (len > sizeof(first) - 1 && text[sizeof(first) - 1] != ' '))
        *why = "it is of another version than i3=1";
    for (at += sizeof(first) - 1; !*why && at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at)), *stop = space ? space : end;
        *why = memchr(at, '\0', (size_t)(stop - at)) ? "there is a NUL in it" : take_word(at, (size_t)(stop - at), out, &has_key);
        at = space ? space + 1 : end;
    }
    if (!*why && !has_key)
        *why = "there is no key= in it";
    return *why ? -EBADMSG : 0;
}

/* ---- a reply ---- */

/* Compression pointers end a name; where they lead is of no interest. */
static void skip_name(struct reader *r)
{
    for (;;) {
        uint8_t n = get_u8(r);
        if (r->failed || !n)
            return;
        if ((n & 0xc0) == 0xc0) {
            (void)get_u8(r);
            return;
        }
        if (n & 0xc0)
            r->failed = true;
        (void)get_span(r, n);
    }
}

/* The strings of a TXT record in a row; -1: malformed, or longer than any of ours. */
static int join(const uint8_t *p, size_t len, char out[TXTNAME_LEN_MAX])
{
    struct reader r = reader_of(p, len);
    size_t n = 0;
    while (reader_left(&r) && !r.failed) {
        uint8_t some = get_u8(&r);
        const uint8_t *s = get_span(&r, some);
        if (!s || n + some > TXTNAME_LEN_MAX)
            return -1;
        memcpy(out + n, s, some);
        n += some;
    }
    return reader_ok(&r) ? (int)n : -1;
}

/* 0: it was taken, or is none of ours. */
static const char *take_record(const uint8_t *p, size_t len, struct txtname *out, bool *found)
{
    char text[TXTNAME_LEN_MAX];
    struct txtname one;
    const char *why;
    int n = join(p, len, text);
    if (n < 0)
        return "a TXT record is malformed";
    int err = txtname_parse(text, (size_t)n, &one, &why);
    if (err)
        return err == -ENOENT ? NULL : why;
    if (*found && memcmp(one.key, out->key, KEY_LEN) != 0)
        return "there are two records with different keys";
    if (!*found)
        *out = one;
    *found = true;
    return NULL;
}

int txtname_read(const uint8_t *msg, size_t len, struct txtname *out, uint32_t *ttl, const char **why)
{
    struct reader r = reader_of(msg, len);
    (void)get_u16(&r);
    uint16_t flags = get_u16(&r), questions = get_u16(&r), answers = get_u16(&r);
    bool found = false;
    (void)get_span(&r, 4);
    *why = NULL;
    *ttl = UINT32_MAX;
    if (r.failed || !(flags & FLAG_QR) || answers > TXTNAME_RECORDS)
        *why = "the answer is malformed";
    for (unsigned i = 0; !*why && !r.failed && i < questions; i++) {
        skip_name(&r);
        (void)get_span(&r, 4);
    }
    for (unsigned i = 0; !*why && !r.failed && i < answers; i++) {
        skip_name(&r);
        uint16_t type = get_u16(&r), class = get_u16(&r);
        uint32_t life = get_u32(&r);
        uint16_t n = get_u16(&r);
        const uint8_t *data = get_span(&r, n);
        if (!data || class != CLASS_IN || (type != TYPE_TXT && type != TYPE_CNAME))
            continue;
        *ttl = life < *ttl ? life : *ttl;
        *why = type == TYPE_TXT ? take_record(data, n, out, &found) : NULL;
    }
    if (!*why && r.failed && !(flags & FLAG_TC && found))
        *why = "the answer is malformed";
    return *why ? -EBADMSG : found ? 0 : -ENOENT;
}
