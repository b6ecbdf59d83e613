/* Any bytes at every decoder of wire.h: nothing is read outside, and whatever decodes encodes to the same
 * bytes.
 *
 * The first byte of the input says how the rest is meant: as it comes, or as a packet of a kind, mended so
 * that the deeper checks are reached. */
#include "include/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 4096 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void same(const uint8_t *p, size_t len, const uint8_t *out, size_t n)
{
    require(n == len && !memcmp(p, out, n));
}

static void inside(const uint8_t *p, size_t len, const uint8_t *span, size_t n)
{
    require(!n || (span >= p && span + n <= p + len));
}

static void on_data(const uint8_t *p, size_t len)
{
    struct wire_data d;
    uint8_t out[CAP];
    if (data_decode(p, len, &d))
        return;
    require(d.n >= 1 && d.n <= STACK_MAX);
    inside(p, len, d.ids, (size_t)d.n * ID_LEN);
    inside(p, len, d.payload, d.payload_len);
    size_t n = data_header_encode(out, sizeof(out), &d);
    require(d.payload == p + n && d.payload_len == len - n);
    same(p, n, out, n);
}

static void on_insert(const uint8_t *p, size_t len)
{
    struct wire_insert in;
    uint8_t out[CAP];
    if (insert_decode(p, len, &in))
        return;
    require(in.plen >= 128 && in.plen <= 256 && in.n <= STACK_MAX);
    inside(p, len, in.ids, (size_t)in.n * ID_LEN);
    size_t n = insert_encode(out, sizeof(out), &in);
    require(n <= len); /* it may have come with more padding than is needed */
    same(p, n, out, n);
    for (; n < len; n++)
        require(!p[n]);
}

static void on_prove(const uint8_t *p, size_t len)
{
    struct wire_prove pr;
    uint8_t out[CAP];
    if (prove_decode(p, len, &pr))
        return;
    inside(p, len, pr.insert.ids, (size_t)pr.insert.n * ID_LEN);
    same(p, len, out, prove_encode(out, sizeof(out), &pr));
}

#define ON(name)                                                                                             \
    static void on_##name(const uint8_t *p, size_t len)                                                      \
    {                                                                                                        \
        struct wire_##name v;                                                                                \
        uint8_t out[CAP];                                                                                    \
        if (name##_decode(p, len, &v) == 0)                                                                  \
            same(p, len, out, name##_encode(out, sizeof(out), &v));                                          \
    }
ON(challenge)
ON(ack)
ON(refresh)
ON(not_present)
ON(refused)
ON(owner)

static void on_ping(const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN], out[PING_LEN];
    for (enum wire_kind k = WIRE_PING; k <= WIRE_PONG; k++)
        if (ping_decode(p, len, k, nonce) == 0)
            same(p, len, out, ping_encode(out, sizeof(out), k, nonce));
}

static void on_lookup(const uint8_t *p, size_t len)
{
    uint64_t nonce;
    uint8_t prefix[ID_PREFIX_LEN], out[OWNER_LEN];
    if (lookup_decode(p, len, &nonce, prefix) == 0)
        same(p, len, out, lookup_encode(out, sizeof(out), nonce, prefix));
}

static void on_batch(const uint8_t *p, size_t len)
{
    struct wire_batch b;
    uint8_t out[CAP];
    size_t n;
    unsigned count = 0;
    if (batch_decode(p, len, &b))
        return;
    struct writer w = batch_begin(out, sizeof(out));
    for (const uint8_t *packet; (packet = batch_next(&b.packets, &n)); count++) {
        inside(p, len, packet, n);
        if (len <= CAP)
            require(batch_add(&w, packet, n));
    }
    require(count == b.n && count >= 1 && count <= BATCH_MAX);
    if (len <= CAP)
        same(p, len, out, writer_len(&w));
}

/* The frames in [p, p + len): how many bytes they take, their number added to *n; -EMSGSIZE where the stream is none. */
static ssize_t walk(const uint8_t *p, size_t len, unsigned *n)
{
    size_t at = 0;
    int k;
    while ((k = frame_next(p + at, len - at)) > 0) {
        require(k > FRAME_HEAD && k <= FRAME_HEAD + FRAME_MAX_LEN && (size_t)k <= len - at);
        at += (size_t)k;
        ++*n;
    }
    require(k || len - at < FRAME_HEAD + FRAME_MAX_LEN); /* what has to be kept */
    return k ? k : (ssize_t)at;
}

/* Wherever the stream is cut, the same comes of it. */
static void on_frames(const uint8_t *p, size_t len)
{
    unsigned whole = 0;
    ssize_t end = walk(p, len, &whole);
    for (size_t cut = 0; cut <= len; cut += 1 + len / 16) {
        unsigned parts = 0;
        uint8_t *first = malloc(cut + 1);
        memcpy(first, p, cut);
        ssize_t done = walk(first, cut, &parts);
        ssize_t rest = done < 0 ? done : walk(p + done, len - (size_t)done, &parts);
        require(parts == whole && (rest < 0) == (end < 0) && (end < 0 || done + rest == end));
        free(first);
    }
}

static void (*const on_kind[])(const uint8_t *, size_t) = {
    on_data,
    on_insert,
    on_challenge,
    on_prove,
    on_ack,
    on_refresh,
    on_not_present,
    on_ping,
    on_refused,
    on_lookup,
    on_owner,
    on_batch,
    on_frames,
};

/* The length which a packet of this kind has, as far as it is fixed, and its zeros. */
static size_t mend(uint8_t *p, size_t len, unsigned kind)
{
    static const uint8_t fixed[16] = {[WIRE_CHALLENGE] = CHALLENGE_LEN,
        [WIRE_ACK] = ACK_LEN,
        [WIRE_REFRESH] = REFRESH_LEN,
        [WIRE_PING] = PING_LEN,
        [WIRE_PONG] = PING_LEN,
        [WIRE_REFUSED] = REFUSED_LEN,
        [WIRE_LOOKUP] = OWNER_LEN,
        [WIRE_OWNER] = OWNER_LEN};
    p[0] = (uint8_t)(WIRE_VERSION << 4 | kind);
    p[1] &= kind == WIRE_BATCH ? 3 : 1;
    if (kind == WIRE_CHALLENGE || kind == WIRE_PING || kind == WIRE_PONG || kind == WIRE_NOT_PRESENT ||
        kind == WIRE_REFUSED || kind == WIRE_BATCH)
        p[2] = 0;
    if (kind == WIRE_INSERT || kind == WIRE_PROVE || kind == WIRE_DATA)
        p[3] &= 15;
    if (kind == WIRE_PROVE && len > INSERT_FIXED_LEN + PROVE_TAIL_LEN) {
        p[3] %= 4;
        size_t want = INSERT_FIXED_LEN + (size_t)p[3] * ID_LEN + PROVE_TAIL_LEN;
        return want < len ? want : len;
    }
    return fixed[kind] && fixed[kind] < len ? fixed[kind] : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    uint8_t how = data[0];
    size_t len = size - 1;
    uint8_t *p = malloc(len);
    memcpy(p, data + 1, len);
    if (how)
        len = mend(p, len, how % (WIRE_BATCH + 1));
    uint8_t *exact = malloc(len);
    memcpy(exact, p, len);
    for (size_t i = 0; i < ARRAY_LEN(on_kind); i++)
        on_kind[i](exact, len);
    wire_kind(exact, len);
    free(exact);
    free(p);
    return 0;
}
