/* bytes.h - cursors over byte buffers: the one way to read and write wire formats.
 *
 * A cursor remembers failure, so a decoder reads everything and asks once at the end:
 *
 *     struct reader r = reader_of(data, len);
 *     out->ttl = get_u16(&r);
 *     get_bytes(&r, out->id, sizeof(out->id));
 *     return reader_ok(&r) ? 0 : -EBADMSG;
 *
 * All integers are big-endian and of fixed width. A failed read yields zero bytes; a failed
 * write writes nothing. Nothing here allocates.
 */
#ifndef I3_BYTES_H
#define I3_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

struct writer {
    uint8_t *start, *at, *end;
    bool failed;
};

static inline struct reader reader_of(const void *data, size_t len)
{
    const uint8_t *p = data;
    return (struct reader){p, p + len, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static inline bool reader_ok(const struct reader *r)
{
    return !r->failed;
}

/* Everything was read and nothing is left over. */
static inline bool reader_done(const struct reader *r)
{
    return !r->failed && r->at == r->end;
}

/* The next n bytes in place, or NULL (and the cursor has failed). */
static inline const uint8_t *get_span(struct reader *r, size_t n)
{
    if (r->failed || reader_left(r) < n) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static inline void get_bytes(struct reader *r, void *dst, size_t n)
{
    const uint8_t *p = get_span(r, n);
    if (p)
        memcpy(dst, p, n);
    else
        memset(dst, 0, n);
}

static inline uint64_t get_uint(struct reader *r, size_t width)
{
    const uint8_t *p = get_span(r, width);
    uint64_t v = 0;
    for (size_t i = 0; p && i < width; i++)
        v = v << 8 | p[i];
    return v;
}

static inline uint8_t get_u8(struct reader *r)
{
    return (uint8_t)get_uint(r, 1);
}

static inline uint16_t get_u16(struct reader *r)
{
    return (uint16_t)get_uint(r, 2);
}

static inline uint32_t get_u32(struct reader *r)
{
    return (uint32_t)get_uint(r, 4);
}

static inline uint64_t get_u64(struct reader *r)
{
    return get_uint(r, 8);
}

static inline struct writer writer_of(void *data, size_t cap)
{
    uint8_t *p = data;
    return (struct writer){p, p, p + cap, false};
}

static inline size_t writer_len(const struct writer *w)
{
    return (size_t)(w->at - w->start);
}

static inline bool writer_ok(const struct writer *w)
{
    return !w->failed;
}

/* Room for n bytes, to be filled by the caller, or NULL (and the cursor has failed). */
static inline uint8_t *put_span(struct writer *w, size_t n)
{
    if (w->failed || (size_t)(w->end - w->at) < n) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += n;
    return p;
}

static inline void put_bytes(struct writer *w, const void *src, size_t n)
{
    uint8_t *p = put_span(w, n);
    if (p && n)
        memcpy(p, src, n);
}

static inline void put_zeros(struct writer *w, size_t n)
{
    uint8_t *p = put_span(w, n);
    if (p)
        memset(p, 0, n);
}

static inline void put_uint(struct writer *w, uint64_t v, size_t width)
{
    uint8_t *p = put_span(w, width);
    for (size_t i = 0; p && i < width; i++)
        p[i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

static inline void put_u8(struct writer *w, uint8_t v)
{
    put_uint(w, v, 1);
}

static inline void put_u16(struct writer *w, uint16_t v)
{
    put_uint(w, v, 2);
}

static inline void put_u32(struct writer *w, uint32_t v)
{
    put_uint(w, v, 4);
}

static inline void put_u64(struct writer *w, uint64_t v)
{
    put_uint(w, v, 8);
}

#endif
