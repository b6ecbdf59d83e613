/* What an acknowledgement says. */
#include "daemon/tcpip/engine.h"

#include <errno.h>

static void take_window(struct conn *c, const struct segment *s, uint64_t seq, uint64_t ack)
{
    uint64_t window = (uint64_t)s->window << c->snd_scale;
    if (seq < c->wl1 || (seq == c->wl1 && ack < c->wl2))
        return;
    if (ack == c->wl2 && seq == c->wl1 && window < c->snd_wnd && ack == c->snd_una && c->snd_una < c->snd_nxt && s->len)
        return; /* the same ACK, riding on reordered data */
    c->snd_wnd = window;
    c->wl1 = seq;
    c->wl2 = ack;
    if (window > c->snd_wnd_max)
        c->snd_wnd_max = window;
    if (window)
        c->persist_backoff = 0;
}

/* RFC 2883: the first block lies below the ACK, or inside the second. */
static bool is_dsack(const struct segment *s, uint64_t una)
{
    uint64_t start = seq_near(una, s->sack[0].start), end = seq_near(una, s->sack[0].end);
    if (end <= seq_near(una, s->ack))
        return true;
    return s->sacks > 1 && start >= seq_near(una, s->sack[1].start) && end <= seq_near(una, s->sack[1].end);
}

static bool take_sacks(struct tcpip *t, struct conn *c, const struct segment *s, struct delivery *d)
{
    if (!s->sacks || !c->sack_ok)
        return false;
    bool dsack = is_dsack(s, c->snd_una);
    for (int i = dsack ? 1 : 0; i < s->sacks; i++) {
        uint64_t start = seq_near(c->snd_una, s->sack[i].start), end = seq_near(c->snd_una, s->sack[i].end);
        if (start < c->snd_una)
            start = c->snd_una;
        if (start < end && end <= c->snd_nxt)
            scoreboard_sack(&c->board, start, end, t->now, c->rto.min_rtt, &c->rack, d);
    }
    if (dsack && c->rack.steps < 16)
        c->rack.steps++;
    return dsack;
}

/* RFC 7323 4.1: the echoed timestamp is that of the segment which caused the ACK, copies included; in microseconds, rounded
 * up. UINT64_MAX for none. */
static uint64_t stamp_rtt(const struct tcpip *t, const struct conn *c, const struct segment *s)
{
    uint32_t ms = conn_stamp(c, t->now) - s->ts_ecr;
    return c->stamps && s->has_stamps && s->ts_ecr && ms < 60000 ? (ms + 1) * 1000ull : UINT64_MAX;
}

/* Where only copies were acknowledged, the timestamp tells the round trip; so a path that has lost much is believed again,
 * and the back-off ends, with the first copy that gets through. */
static void take_stamp_rtt(struct tcpip *t, struct conn *c, const struct segment *s)
{
    uint64_t rtt = stamp_rtt(t, c, s);
    if (rtt == UINT64_MAX)
        return;
    rto_sample(&c->rto, t->now, (uint32_t)rtt, true);
    c->rto.backoff = 0;
}

/* A SYN-ACK that went more than once, be it because of a doubled SYN, is told apart by its timestamp; a SYN is not, as the answer
 * may echo the one before. And the answer may have been repeated long after, by a time-out: as long as that, it tells nothing,
 * and in any case a shorter one after it stands for itself. */
void acks_handshake(struct tcpip *t, struct conn *c, const struct segment *s)
{
    uint64_t rtt = t->now - c->last_out, stamp = stamp_rtt(t, c, s);
    if (c->state == ST_SYN_RCVD && stamp != UINT64_MAX && (c->retries || rtt + 2000 < stamp))
        rtt = stamp;
    else if (c->retries)
        return;
    if (rtt >= RTO_INITIAL * 9ull / 10)
        return;
    rto_sample(&c->rto, t->now, (uint32_t)min64(rtt, UINT32_MAX / 2), true);
    c->rto.guess = true;
}

/* Karn: only what was sent once tells the round trip; with SACK that can be told for each run, without it only when
 * the ACK covers no copy. Where ACKs are lost too, that run's own ACK may have been one of them, and the time until a later one
 * is no round trip: the timestamp bounds it, unless the ACK did not move and echoes an old one. So nothing is believed of an
 * ACK which tells of a later copy as well. */
static uint32_t take_rtt(struct tcpip *t, struct conn *c, const struct segment *s, const struct delivery *d)
{
    if (!d->first_sent || d->first_sent < d->last_sent || (d->any_retx && !c->sack_ok)) {
        if (d->acked)
            take_stamp_rtt(t, c, s);
        return 0;
    }
    uint64_t rtt = min64(t->now - d->first_sent, stamp_rtt(t, c, s));
    if (rtt > UINT32_MAX / 2)
        return 0;
    c->rto.backoff = 0; /* RFC 6298 5.7 */
    bool fold = c->snd_una >= c->round_end;
    if (fold)
        c->round_end = c->snd_nxt;
    rto_sample(&c->rto, t->now, rtt ? (uint32_t)rtt : 1, fold);
    return rtt ? (uint32_t)rtt : 1;
}

/* A peer without SACK: each duplicate stands for a segment that arrived (RFC 6582). */
static void count_duplicate(struct conn *c, const struct segment *s, bool window_moved, bool advanced)
{
    if (c->sack_ok)
        return;
    if (advanced) {
        c->dupacks = 0;
        c->dup_bytes = 0;
    } else if (!s->len && !window_moved && c->snd_una < c->snd_nxt && !(s->flags & TH_FIN)) {
        c->dupacks++;
        c->dup_bytes = min64(c->dup_bytes + c->mss, c->snd_nxt - c->snd_una);
    }
}

static void note_room(struct tcpip *t, struct conn *c)
{
    uint64_t limit = conn_send_limit(t, c), used = c->snd_end - c->snd_una;
    if (c->want_write && used < limit && limit - used >= limit / 4) {
        c->want_write = false;
        event_raise(t, c, TCPIP_WRITABLE);
    }
}

/* Our FIN has arrived, or everything of a connection that is to be reset. False: c may be gone. */
static bool take_fin_acked(struct tcpip *t, struct conn *c)
{
    if (c->reset_later && c->snd_una == c->snd_end) {
        conn_reset(t, c, ECONNRESET);
        return false;
    }
    if (!c->fin_sent || c->snd_una <= c->snd_end)
        return true;
    if (c->state == ST_FIN_WAIT_1) {
        conn_set_state(c, ST_FIN_WAIT_2);
        timer_life(t, c);
    } else if (c->state == ST_CLOSING) {
        conn_set_state(c, ST_TIME_WAIT);
        c->done = true;
    } else if (c->state == ST_LAST_ACK) {
        c->done = true;
    }
    if (!c->done)
        return true;
    conn_finish(t, c);
    return false;
}

static void take_advance(struct tcpip *t, struct conn *c, uint64_t ack, struct delivery *d)
{
    scoreboard_ack(&c->board, ack, t->now, c->rto.min_rtt, &c->rack, d);
    c->bytes_out += ack - c->snd_una;
    c->snd_una = ack;
    c->retries = 0;
    c->soft_err = 0;
}

/* A peer that had taken back its window below what was in flight, for so long that we asked again, and has room: it need not
 * wait for the next time-out. */
static void take_reopening(struct tcpip *t, struct conn *c, uint64_t before)
{
    if (!c->retries || c->snd_una + before >= c->snd_nxt || c->snd_wnd <= before)
        return;
    c->rto.backoff = 0;
    scoreboard_lose(&c->board, c->snd_una, min64(c->snd_nxt, c->snd_una + c->snd_wnd));
    conn_show_flight(t, c);
    conn_activate(t, c);
}

bool acks_input(struct tcpip *t, struct conn *c, const struct segment *s, uint64_t seq)
{
    uint64_t ack = seq_near(c->snd_una, s->ack);
    if (ack > c->snd_nxt || ack + c->snd_wnd_max < c->snd_una) { /* RFC 5961 5.2 */
        input_challenge(t, c);
        return false;
    }
    c->keepalive_sent = 0;
    if (ack < c->snd_una)
        return true;
    uint64_t window = c->snd_wnd;
    struct delivery d = {.top = c->board.top};
    bool advanced = ack > c->snd_una;
    if (advanced)
        take_advance(t, c, ack, &d);
    d.acked_retx = d.any_retx;
    take_window(c, s, seq, ack);
    if (!advanced)
        take_reopening(t, c, window);
    bool dsack = take_sacks(t, c, s, &d);
    if (advanced || d.sacked)
        note_room(t, c);
    count_duplicate(c, s, c->snd_wnd != window, advanced);
    if (advanced || d.sacked || c->dupacks || s->sacks) {
        uint32_t rtt = take_rtt(t, c, s, &d);
        recovery_ack(t, c, s, &d, rtt, dsack);
    }
    ecn_ack(t, c, s, &d);
    if (advanced && !take_fin_acked(t, c))
        return false;
    if (advanced || d.sacked)
        recovery_arm(t, c);
    return true;
}
