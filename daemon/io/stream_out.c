#include "daemon/io/stream_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { FLUSH_CHUNKS = 32 };

/* ---- chunks ---- */

struct chunk *chunk_get(struct streams *s, bool must)
{
    struct chunk *c = s->spare;
    if (c) {
        s->spare = c->next;
        s->spares--;
    } else if (must || (uint64_t)(s->chunks + 1) * CHUNK_LEN <= s->c.memory_max) {
        c = malloc(sizeof(*c));
        s->chunks += c != NULL;
    }
    if (c) {
        c->next = NULL;
        c->start = c->end = 0;
        c->since = s->now;
    }
    return c;
}

void chunk_put(struct streams *s, struct chunk *c)
{
    if (!c)
        return;
    if (s->spares == CHUNKS_KEPT) {
        s->chunks--;
        free(c);
        return;
    }
    c->next = s->spare;
    s->spare = c;
    s->spares++;
}

/* ---- what waits ---- */

void conn_drop_queue(struct streams *s, struct conn *c)
{
    while (c->out) {
        struct chunk *k = c->out;
        c->out = k->next;
        chunk_put(s, k);
    }
    c->out_last = NULL;
    c->queued = 0;
}

/* A chunk at the end with room in it. */
static struct chunk *queue_tail(struct streams *s, struct conn *c)
{
    struct chunk *k = c->out_last;
    if (k && k->end < CHUNK_LEN)
        return k;
    k = chunk_get(s, true); /* whoever appends has asked for room */
    if (!k)
        return NULL;
    if (c->out_last)
        c->out_last->next = k;
    else
        c->out = k;
    return c->out_last = k;
}

static bool append(struct streams *s, struct conn *c, const uint8_t *p, size_t len)
{
    while (len) {
        struct chunk *k = queue_tail(s, c);
        if (!k)
            return false;
        size_t n = CHUNK_LEN - k->end < len ? CHUNK_LEN - k->end : len;
        memcpy(k->data + k->end, p, n);
        k->end += (uint32_t)n;
        c->queued += (uint32_t)n;
        p += n;
        len -= n;
    }
    return true;
}

/* What waits has waited too long: more would only make it longer. */
static bool is_stale(const struct streams *s, const struct conn *c)
{
    return c->out && mono_since(c->out->since, s->now) > STREAM_STALE_US;
}

static bool has_room(const struct streams *s, const struct conn *c, size_t len)
{
    uint64_t memory = (uint64_t)(s->chunks - s->spares + 2) * CHUNK_LEN;
    size_t max = is_stale(s, c) ? STREAM_QUEUE_SLOW : s->c.queue_max;
    return c->queued + len <= max && memory <= s->c.memory_max;
}

bool streams_would_wait(const struct streams *s, mono_t now)
{
    const struct conn *c;
    TAILQ_FOREACH(c, &s->heard, age)
        if (c->queued > STREAM_QUEUE_SLOW && mono_since(c->out->since, now) <= STREAM_STALE_US)
            return true;
    return false;
}

/* The frame but for its first `done` bytes, which have been sent: with some sent the rest must follow, whatever the bounds say. */
static void queue_frame(struct streams *s, struct conn *c, const struct frame *f, size_t done)
{
    uint8_t head[FRAME_HEAD];
    if (!done && !has_room(s, c, FRAME_HEAD + f->len)) {
        s->stats.lost++;
        return;
    }
    frame_head(head, f->len);
    size_t in_head = done < FRAME_HEAD ? FRAME_HEAD - done : 0, in_body = done > FRAME_HEAD ? done - FRAME_HEAD : 0;
    if (!append(s, c, head + FRAME_HEAD - in_head, in_head) || !append(s, c, f->data + in_body, f->len - in_body))
        conn_end(s, c, ENOMEM);
}

static ssize_t put(struct streams *s, struct conn *c, struct iovec *v, size_t n)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
    ssize_t sent;
    do
        sent = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    s->stats.calls_out++;
    if (sent > 0)
        s->stats.bytes_out += (uint64_t)sent;
    return sent;
}

void conn_flush(struct streams *s, struct conn *c)
{
    while (c->out) {
        struct iovec v[FLUSH_CHUNKS];
        unsigned n = 0;
        for (struct chunk *k = c->out; k && n < FLUSH_CHUNKS; k = k->next)
            v[n++] = (struct iovec){k->data + k->start, k->end - k->start};
        ssize_t sent = put(s, c, v, n);
        if (sent < 0 && errno != EAGAIN) {
            conn_end(s, c, errno);
            return;
        }
        if (sent < 0)
            break;
        c->queued -= (uint32_t)sent;
        for (size_t left = (size_t)sent; left;) {
            struct chunk *k = c->out;
            size_t have = k->end - k->start, take = left < have ? left : have;
            k->start += (uint32_t)take;
            left -= take;
            if (k->start < k->end)
                break;
            c->out = k->next;
            c->out_last = c->out ? c->out_last : NULL;
            chunk_put(s, k);
        }
    }
    conn_watch(s, c, c->out != NULL);
}

/* ---- out ---- */

/* The frames of one connection, at once as far as the kernel takes them. */
static void send_frames(struct streams *s, struct conn *c)
{
    struct iovec v[2 * OUTBOX_MAX];
    uint8_t head[OUTBOX_MAX][FRAME_HEAD];
    unsigned i = c->first, k = 0;
    size_t sent = 0;
    s->stats.frames_out += c->n;
    if (!c->connecting && !c->out) {
        for (; k < c->n; k++, i = s->frame[i].next) {
            frame_head(head[k], s->frame[i].len);
            v[2 * k] = (struct iovec){head[k], FRAME_HEAD};
            v[2 * k + 1] = (struct iovec){(void *)s->frame[i].data, s->frame[i].len};
        }
        ssize_t n = put(s, c, v, 2 * k);
        if (n < 0 && errno != EAGAIN) {
            conn_end(s, c, errno);
            return;
        }
        sent = n > 0 ? (size_t)n : 0;
    }
    for (i = c->first, k = 0; k < c->n && !c->over; k++, i = s->frame[i].next) {
        size_t len = FRAME_HEAD + s->frame[i].len, done = sent < len ? sent : len;
        sent -= done;
        if (done < len)
            queue_frame(s, c, &s->frame[i], done);
    }
    if (!c->over)
        conn_watch(s, c, c->connecting || c->out);
}

/* The connection it goes to, NULL: none, and it is lost. */
static struct conn *conn_for(struct streams *s, mono_t now, const struct dgram *d, uint32_t size)
{
    struct conn *c = conn_find(s, &d->to);
    if (!c && s->dials)
        c = conn_dial(s, now, &d->to);
    if (!c)
        s->stats.nobody += dgram_count(d);
    else if (!size || size > FRAME_MAX_LEN)
        s->stats.lost += dgram_count(d);
    else
        return c;
    return NULL;
}

static void send_touched(struct streams *s)
{
    struct conn *next;
    for (struct conn *c = s->touched; c; c = next) {
        next = c->next_touched;
        if (!c->over)
            send_frames(s, c);
        c->n = 0;
    }
    s->touched = NULL;
    s->frames = 0;
}

static void add_frame(struct streams *s, struct conn *c, const uint8_t *p, uint32_t len)
{
    if (s->frames == OUTBOX_MAX)
        send_touched(s);
    if (c->over)
        return;
    s->frame[s->frames] = (struct frame){p, len, 0};
    if (c->n++) {
        s->frame[c->final].next = s->frames;
    } else {
        c->first = s->frames;
        c->next_touched = s->touched;
        s->touched = c;
    }
    c->final = s->frames++;
}

void streams_send(struct streams *s, mono_t now, struct outbox *o)
{
    unsigned kept = 0;
    s->now = now;
    for (unsigned i = 0; i < o->n; i++) {
        const struct dgram *d = &o->v[i];
        if (d->to.via != ADDR_TCP) {
            if (kept != i)
                o->v[kept] = *d;
            kept++;
            continue;
        }
        uint32_t size = d->size ? d->size : d->len;
        struct conn *c = conn_for(s, now, d, size);
        for (uint32_t at = 0; c && at < d->len; at += size)
            add_frame(s, c, d->data + at, d->len - at < size ? d->len - at : size);
    }
    o->n = kept;
    send_touched(s);
}
