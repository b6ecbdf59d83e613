/* Payload: spans, reassembly, the window, and when to acknowledge. */
#include "daemon/tcpip/engine.h"

#include <errno.h>
#include <stdlib.h>

static void watch_idle(struct tcpip *t, struct conn *c)
{
    if (c->timer[TIMER_IDLE] == UINT64_MAX && c->state != ST_CLOSED)
        timer_set(t, c, TIMER_IDLE, t->now + IDLE_US);
}

static void ack_now(struct tcpip *t, struct conn *c)
{
    c->ack_due = true;
    if (c->acks_owed < 16)
        c->acks_owed++;
    conn_activate(t, c);
}

/* One past the last byte in the ring. */
static uint64_t receive_top(const struct conn *c)
{
    return c->ooo.n ? max64(c->ooo.v[c->ooo.n - 1].end, c->buf_end) : c->buf_end;
}

/* owed: what is to be kept was acknowledged already. */
static bool receive_reserve(struct tcpip *t, struct conn *c, uint64_t end, bool owed)
{
    size_t need = (size_t)(end - c->rd);
    if (need <= c->rx.cap)
        return true;
    if (!owed && ring_size(need) > memory_share(t, c->path)) {
        t->stats.dropped_memory++;
        c->squeezed = true;
        return false;
    }
    if (!ring_reserve(&c->rx, need, c->rd, receive_top(c), &t->memory))
        return false;
    memory_count(c);
    watch_idle(t, c);
    return true;
}

void receive_fit(struct tcpip *t, struct conn *c)
{
    if (!c->spans)
        memory_fit(t, c, &c->rx, c->rd, receive_top(c));
}

/* ---- spans ---- */

static struct spans *spans_get(struct tcpip *t)
{
    struct spans *s = t->span_pool;
    if (s) {
        t->span_pool = s->next;
        t->span_free--;
    } else {
        s = malloc(sizeof(*s));
        if (!s)
            return NULL;
        t->memory += sizeof(*s);
    }
    s->first = s->n = 0;
    return s;
}

static void spans_put(struct tcpip *t, struct conn *c)
{
    enum { POOL_MAX = 64 };
    struct spans *s = c->spans;
    c->spans = NULL;
    if (!s)
        return;
    if (t->span_free >= POOL_MAX) {
        t->memory -= sizeof(*s);
        free(s);
        return;
    }
    s->next = t->span_pool;
    t->span_pool = s;
    t->span_free++;
}

static bool spans_add(struct tcpip *t, struct conn *c, const uint8_t *data, uint32_t len)
{
    if (!c->spans)
        c->spans = spans_get(t);
    if (!c->spans || c->spans->n == SPANS_MAX)
        return false;
    c->spans->v[c->spans->n++] = (struct iovec){(void *)(uintptr_t)data, len};
    return true;
}

/* Moves what the spans still hold into the ring. What there is no memory for was never there, unless it was acknowledged: the
 * peer will send it again. False: that cannot be helped. */
static bool spans_copy(struct tcpip *t, struct conn *c)
{
    if (c->spans && c->buf_end < c->in_end) {
        uint64_t fits = max64(c->buf_end, c->rd + c->rx.cap);
        bool owed = c->fin_rcvd || c->last_ack > fits;
        if (!receive_reserve(t, c, c->in_end, owed)) {
            if (owed)
                return false;
            c->in_end = fits;
            ack_now(t, c);
        }
        for (struct spans *s = c->spans; s->first < s->n && c->buf_end < c->in_end; s->first++) {
            uint64_t len = min64(s->v[s->first].iov_len, c->in_end - c->buf_end);
            ring_write(&c->rx, c->buf_end, s->v[s->first].iov_base, len);
            c->buf_end += len;
        }
    }
    spans_put(t, c);
    return true;
}

void receive_release(struct tcpip *t, struct conn *c)
{
    spans_put(t, c);
    list_remove(&c->on_batch);
    ring_release(&c->rx, &t->memory);
    memory_count(c);
    c->rd = c->buf_end = c->in_end;
}

/* ---- arrival ---- */

void receive_ack_within(struct tcpip *t, struct conn *c, uint64_t us)
{
    if (us == 0)
        ack_now(t, c);
    else if (c->timer[TIMER_DELACK] > t->now + us)
        timer_set(t, c, TIMER_DELACK, t->now + us);
}

static void note_duplicate(struct tcpip *t, struct conn *c, uint64_t start, uint64_t end)
{
    if (end > start)
        c->dsack = (struct range){start, end};
    t->stats.dup_acks_out++;
    ack_now(t, c);
}

/* In order, and nothing is waiting behind it: a span. Otherwise, or when there are too many: the ring. */
static bool take_in_order(struct tcpip *t, struct conn *c, const uint8_t *data, uint32_t len)
{
    if (c->ooo.n == 0 && spans_add(t, c, data, len)) {
        c->in_end += len;
        return true;
    }
    uint64_t start = c->in_end;
    if (!spans_copy(t, c) || c->in_end != start || !receive_reserve(t, c, start + len, false)) {
        ack_now(t, c);
        return false;
    }
    ring_write(&c->rx, c->in_end, data, len);
    c->in_end += len;
    if (c->ooo.n) {
        c->in_end = ranges_advance(&c->ooo, c->in_end, &t->memory);
        ack_now(t, c); /* RFC 5681 4.2: a segment that fills a gap */
    }
    c->buf_end = c->in_end;
    return true;
}

static void grow_limit(const struct tcpip *t, struct conn *c)
{
    uint64_t most = min64(t->cfg.recv_max, conn_path_needs(c));
    c->recv_limit = (uint32_t)max64(c->recv_limit, min64(most, 2ull * c->recv_limit));
}

/* Behind a hole that has to be filled twice or thrice the window fills though the program reads all it can get. */
static void tune_for_holes(struct tcpip *t, struct conn *c, uint64_t end)
{
    uint32_t rtt = c->drs_rtt ? c->drs_rtt : c->rto.srtt;
    if (end + c->recv_limit / 4 < c->edge || c->in_end - c->rd > c->recv_limit / 4 || t->now - c->drs_at < rtt)
        return;
    grow_limit(t, c);
    c->drs_at = t->now;
    c->drs_bytes = 0;
}

enum { UNSAID_MAX = 2 };

static void take_out_of_order(struct tcpip *t, struct conn *c, const uint8_t *data, uint64_t start, uint64_t end)
{
    uint64_t fresh;
    if (ranges_cover(&c->ooo, start, end)) {
        note_duplicate(t, c, start, end);
        return;
    }
    /* The ring must not lose the bytes below: in_end may be ahead of buf_end only by spans, which have their place. */
    if (!receive_reserve(t, c, end, false) || !ranges_add(&c->ooo, start, end, &fresh, &t->memory))
        return;
    ring_write(&c->rx, start, data, (size_t)(end - start));
    tune_for_holes(t, c, end);
    t->stats.dup_acks_out++;
    if (c->sack_ok && c->ooo.unsaid >= UNSAID_MAX)
        output_sack(t, c);
    ack_now(t, c);
}

static void take_fin(struct tcpip *t, struct conn *c)
{
    if (!c->fin_known || c->fin_rcvd || c->in_end < c->fin_at)
        return;
    c->fin_rcvd = true;
    if (c->state == ST_ESTABLISHED)
        receive_ack_within(t, c, t->cfg.ride_us);
    else
        ack_now(t, c);
    event_raise(t, c, TCPIP_READABLE);
    switch ((enum tcp_state)c->state) {
    case ST_ESTABLISHED:
        conn_set_state(c, ST_CLOSE_WAIT);
        break;
    case ST_FIN_WAIT_1:
        conn_set_state(c, ST_CLOSING);
        break;
    case ST_FIN_WAIT_2:
        conn_set_state(c, ST_TIME_WAIT);
        c->done = true;
        break;
    case ST_CLOSED:
    case ST_LISTEN:
    case ST_SYN_SENT:
    case ST_SYN_RCVD:
    case ST_CLOSE_WAIT:
    case ST_CLOSING:
    case ST_LAST_ACK:
    case ST_TIME_WAIT:
    case TCP_STATES:
        break;
    }
}

/* How long the sender's window takes to turn round, as its timestamps tell. */
static void sample_sender_rtt(struct tcpip *t, struct conn *c, const struct segment *s)
{
    if (!c->stamps || !s->ts_ecr)
        return;
    uint32_t ms = conn_stamp(c, t->now) - s->ts_ecr;
    if (ms > 60000)
        return;
    uint32_t rtt = ms ? ms * 1000 : 500;
    if (!c->drs_rtt || rtt < c->drs_rtt)
        c->drs_rtt = rtt;
    else
        c->drs_rtt += (rtt - c->drs_rtt) / 64;
}

bool receive_data(struct tcpip *t, struct conn *c, const struct segment *s, uint64_t seq)
{
    uint64_t start = seq, end = seq + s->len, right = max64(c->edge, c->in_end);
    bool fin = s->flags & TH_FIN;
    if (fin && !c->fin_known && end <= right) {
        c->fin_known = true;
        c->fin_at = end;
    }
    if (c->fin_known && end > c->fin_at)
        end = c->fin_at; /* bytes behind a FIN are a peer's error */
    if (end > right) {
        end = right;
        ack_now(t, c);
    }
    if (start < c->in_end)
        start = c->in_end;
    if (s->len && end <= start && seq < c->in_end) {
        note_duplicate(t, c, seq, min64(seq + s->len, c->in_end));
    } else if (end > start) {
        if (c->orphan) { /* RFC 9293 3.10.7.4, RFC 1122 4.2.2.13 */
            conn_reset(t, c, ECONNRESET);
            return false;
        }
        const uint8_t *data = s->data + (start - seq);
        if (start > c->in_end) {
            take_out_of_order(t, c, data, start, end);
        } else if (take_in_order(t, c, data, (uint32_t)(end - start))) {
            list_add(&t->batch, &c->on_batch);
            event_raise(t, c, TCPIP_READABLE);
            sample_sender_rtt(t, c, s);
        }
        t->stats.in_bytes += end - start;
        c->bytes_in += end - start;
    } else if (fin && c->fin_rcvd) {
        ack_now(t, c);
    }
    take_fin(t, c);
    if (!c->done)
        return true;
    bool orphan = c->orphan; /* then nothing holds it any more */
    conn_finish(t, c);
    return !orphan;
}

/* ---- the end of a batch ---- */

/* RFC 5681 4.2: at least every second full segment; a batch counts as one. Otherwise wait a little for a ride, as the last
 * bytes of a request do for the answer. */
static void decide_ack(struct tcpip *t, struct conn *c)
{
    uint64_t news = conn_rcv_nxt(c) - c->last_ack;
    if (news == 0 || c->ack_due)
        return;
    if (news >= 2ull * c->mss || (c->quick && news >= c->mss)) {
        c->quick -= c->quick > 0;
        c->ack_due = true;
        conn_activate(t, c);
    } else {
        receive_ack_within(t, c, DELACK_US);
    }
}

void receive_settle(struct tcpip *t, struct conn *c)
{
    list_remove(&c->on_batch);
    if (!spans_copy(t, c)) {
        c->in_end = c->buf_end; /* acknowledged or not, these bytes cannot be kept */
        spans_put(t, c);
        conn_reset(t, c, ENOBUFS);
        return;
    }
    if (c->state != ST_CLOSED)
        decide_ack(t, c);
}

/* ---- the owner reads ---- */

/* Dynamic right-sizing: a program that reads half of the window in one round trip may want more. */
static void tune_limit(struct tcpip *t, struct conn *c, uint64_t n)
{
    c->drs_bytes += n;
    uint32_t rtt = c->drs_rtt ? c->drs_rtt : c->rto.srtt ? c->rto.srtt : 1000;
    if (t->now - c->drs_at < rtt)
        return;
    if (t->now - c->drs_at < 2ull * rtt + 1000 && c->drs_bytes * 2 > c->recv_limit)
        grow_limit(t, c);
    c->drs_at = t->now;
    c->drs_bytes = 0;
}

/* Window plus unread data. */
static uint64_t receive_limit(const struct tcpip *t, const struct conn *c)
{
    return min64(c->recv_limit, max64(c->rx.cap, memory_share(t, c->path)));
}

/* Tell the peer of new room when it makes a difference: it had little left, and now has much (RFC 9293 3.8.6.2.2). */
static void offer_window(struct tcpip *t, struct conn *c)
{
    if (c->fin_known || !conn_synced(c))
        return;
    uint64_t unread = c->in_end - c->rd, limit = receive_limit(t, c);
    uint64_t room = limit > unread ? limit - unread : 0;
    uint64_t left = c->edge > c->in_end ? c->edge - c->in_end : 0;
    if (room >= 2 * left && room - left >= min64(limit / 2, 2ull * c->mss)) {
        c->ack_due = true;
        conn_activate(t, c);
    }
}

void receive_consume(struct tcpip *t, struct conn *c, uint64_t n)
{
    n = min64(n, c->in_end - c->rd);
    uint64_t from_ring = c->buf_end > c->rd ? min64(n, c->buf_end - c->rd) : 0;
    c->rd += from_ring;
    for (uint64_t left = n - from_ring; left;) {
        struct iovec *v = &c->spans->v[c->spans->first];
        uint64_t step = min64(left, v->iov_len);
        v->iov_base = (uint8_t *)v->iov_base + step;
        v->iov_len -= step;
        c->spans->first += v->iov_len == 0;
        left -= step;
        c->rd += step;
        c->buf_end = c->rd;
    }
    if (c->state == ST_CLOSED)
        return;
    tune_limit(t, c, n);
    offer_window(t, c);
}

uint16_t receive_window(const struct tcpip *t, struct conn *c)
{
    uint64_t unread = c->in_end - c->rd, limit = receive_limit(t, c);
    uint64_t right = c->in_end + (limit > unread ? limit - unread : 0);
    uint64_t silly = min64(limit / 2, c->mss);
    if (c->squeezed) {
        c->squeezed = false;
        c->promised = max64(c->promised, c->edge);
        c->edge = min64(c->edge, right);
    }
    if (right < c->edge + silly && c->edge >= c->in_end)
        right = c->edge; /* not worth moving, or it would have to move back */
    uint64_t window = right > c->in_end ? right - c->in_end : 0;
    uint64_t unit = 1ull << c->rcv_scale;
    uint64_t wire = right <= c->edge ? (window + unit - 1) / unit : window / unit;
    if (wire > 65535)
        wire = 65535;
    c->edge = max64(c->edge, c->in_end + wire * unit);
    return (uint16_t)wire;
}
