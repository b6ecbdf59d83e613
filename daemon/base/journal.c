#include "daemon/base/journal.h"

#include <string.h>

#include "daemon/base/crypto.h"
#include "include/bytes.h"

void journal_start(struct journal *j, const void *first_line, size_t len)
{
    uint8_t hash[BLAKE2S_LEN];
    blake2s(hash, (struct bytes[]){{"i3run journal v1", 16}, {first_line, len}}, 2);
    memcpy(j->check, hash, sizeof(j->check));
}

static void check_of(const struct journal *before, const uint8_t length[2], const void *body, size_t len, uint8_t out[JOURNAL_CHECK_LEN])
{
    uint8_t hash[BLAKE2S_LEN];
    blake2s(hash, (struct bytes[]){{before->check, sizeof(before->check)}, {length, 2}, {body, len}}, 3);
    memcpy(out, hash, JOURNAL_CHECK_LEN);
}

size_t journal_put(struct journal *j, const void *body, size_t len, uint8_t *out)
{
    struct writer w = writer_of(out, JOURNAL_HEAD_LEN + len);
    put_u16(&w, (uint16_t)len);
    check_of(j, out, body, len, j->check);
    put_bytes(&w, j->check, sizeof(j->check));
    put_bytes(&w, body, len);
    return writer_len(&w);
}

size_t journal_get(struct journal *j, const uint8_t *data, size_t left, const uint8_t **body, size_t *len)
{
    uint8_t want[JOURNAL_CHECK_LEN];
    struct reader r = reader_of(data, left);
    size_t n = get_u16(&r);
    const uint8_t *check = get_span(&r, JOURNAL_CHECK_LEN), *at = get_span(&r, n);
    if (r.failed || !n || n > JOURNAL_BODY_MAX)
        return 0;
    check_of(j, data, at, n, want);
    if (memcmp(want, check, sizeof(want)))
        return 0;
    memcpy(j->check, want, sizeof(want));
    *body = at;
    *len = n;
    return JOURNAL_HEAD_LEN + n;
}
