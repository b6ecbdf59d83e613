/* What may be sent now, and building it. */
#include "daemon/tcpip/engine.h"

#include "daemon/tcpip/icmp_error.h"

#include <stdlib.h>

/* ---- packets that belong to no connection ---- */

/* Takes body over. */
void output_raw(struct tcpip *t, uint32_t src, uint32_t dst, const uint8_t *head, size_t head_len, uint8_t *body,
    size_t body_len)
{
    if (t->raw_n == RAW_MAX) {
        free(body);
        return;
    }
    struct raw *r = &t->raw[(t->raw_first + t->raw_n++) % RAW_MAX];
    *r = (struct raw){.src = src, .dst = dst, .head_len = (uint16_t)head_len, .body = body, .body_len = (uint32_t)body_len};
    memcpy(r->head, head, head_len);
}

void output_reset_for(struct tcpip *t, const struct segment *s)
{
    if (s->flags & TH_RST)
        return;
    uint8_t head[TCPIP_HEAD_MAX], back[IP6_HEAD];
    struct segment r = {.src = s->dst, .dst = s->src, .src_port = s->dst_port, .dst_port = s->src_port, .flags = TH_RST};
    if (s->flags & TH_ACK) {
        r.seq = s->ack;
    } else {
        r.flags |= TH_ACK;
        r.ack = s->seq + segment_space(s);
    }
    if (s->ip6) {
        ip6_template_back(back, s->ip6);
        r.ip6 = back;
    }
    t->stats.resets_out++;
    output_raw(t, r.src, r.dst, head, segment_build(head, &r, (uint16_t)engine_random(t), 0), NULL, 0);
}

/* Where a segment without payload may stand so that the peer looks at it: SND.NXT, but a peer that has shrunk its
 * window below that (RFC 9293 3.8.6 warns of them; Linux does under memory pressure) takes only what lies inside. */
static uint32_t bare_seq(const struct conn *c)
{
    return (uint32_t)(conn_synced(c) ? min64(c->snd_nxt, c->snd_una + c->snd_wnd) : c->snd_nxt);
}

void output_reset(struct tcpip *t, struct conn *c)
{
    uint8_t head[TCPIP_HEAD_MAX];
    struct segment r = {.src = c->who.local, .dst = c->who.remote, .ip6 = conn_ip6(c), .src_port = c->who.local_port,
        .dst_port = c->who.remote_port, .seq = bare_seq(c), .flags = TH_RST | TH_ACK,
        .ack = (uint32_t)conn_rcv_nxt(c), .has_stamps = c->stamps && conn_synced(c), .ts_val = conn_stamp(c, t->now),
        .ts_ecr = c->ts_recent};
    if (c->state == ST_SYN_SENT)
        return; /* the peer knows of nothing yet that could be reset */
    if (c->state == ST_LISTEN)
        r.seq = 0;
    t->stats.resets_out++;
    output_raw(t, r.src, r.dst, head, segment_build(head, &r, c->ip_id++, 0), NULL, 0);
}

/* The SYN is quoted as far as an error has to: its IP header, ports and sequence number. */
void output_unreachable(struct tcpip *t, struct conn *c, int err)
{
    enum { QUOTED = 8 };
    uint8_t quote[IP6_HEAD + QUOTED], back[IP6_HEAD], out[ICMP_ERROR_MAX];
    const uint8_t *ip6 = conn_ip6(c);
    size_t n = ip6 ? IP6_HEAD : IP_HEAD;
    if (ip6) {
        ip6_template_back(back, ip6);
        ip6_build(quote, back, IP_TCP, QUOTED);
    } else {
        ip_build(quote, c->who.remote, c->who.local, IP_TCP, 0, IP_HEAD + QUOTED);
    }
    ip_store16(quote + n, c->who.remote_port);
    ip_store16(quote + n + 2, c->who.local_port);
    ip_store32(quote + n + 4, (uint32_t)c->irs);
    n = icmp_error_build_as(out, c->ip_id++, quote, n + QUOTED, err);
    if (n && n <= TCPIP_HEAD_MAX)
        output_raw(t, c->who.local, c->who.remote, out, n, NULL, 0);
}

void output_time_wait(struct tcpip *t, const struct time_wait *w, const uint8_t *ip6)
{
    uint8_t head[TCPIP_HEAD_MAX];
    struct segment a = {.src = w->who.local, .dst = w->who.remote, .ip6 = ip6, .src_port = w->who.local_port,
        .dst_port = w->who.remote_port, .seq = w->snd_nxt, .ack = w->rcv_nxt, .flags = TH_ACK,
        .window = (uint16_t)w->window, .has_stamps = w->stamps, .ts_ecr = w->ts_recent,
        .ts_val = (uint32_t)(t->now / 1000) + w->ts_offset};
    output_raw(t, a.src, a.dst, head, segment_build(head, &a, (uint16_t)engine_random(t), 0), NULL, 0);
}

/* ---- building ---- */

/* The template of the common segment: what varies is 0 in it, and its sums lack only that. */
void output_head(struct conn *c)
{
    struct segment s = {.src = c->who.local, .dst = c->who.remote, .ip6 = conn_ip6(c), .src_port = c->who.local_port,
        .dst_port = c->who.remote_port, .has_stamps = c->stamps};
    uint8_t head[TCPIP_HEAD_MAX];
    uint32_t ip = conn_ip_head(c);
    c->head_len = (uint8_t)segment_build(head, &s, 0, 0);
    ip_store16(head + (c->who.v6 ? 4 : 2), 0);
    if (!c->who.v6)
        ip_store16(head + 10, 0);
    ip_store16(head + ip + 16, 0);
    memcpy(c->head, head, c->head_len);
    c->ip_sum = ip_sum(head, ip);
    c->tcp_sum = ip_sum(head + ip, c->head_len - ip) + (c->who.v6 ? ip6_pseudo_sum(head, IP_TCP, 0)
                                                                  : ip_pseudo_sum(c->who.local, c->who.remote, IP_TCP, 0));
}

/* What all segments of one call share. */
struct outgoing {
    struct tcpip *t;
    struct conn *c;
    struct tcpip_packet *v;
    size_t n, max;
    uint32_t stamp;
    uint16_t window;
};

static uint64_t body_sum(const struct tcpip_packet *p)
{
    uint64_t sum = ip_sum(p->body[0].iov_base, p->body[0].iov_len);
    if (p->body[1].iov_len) {
        uint64_t rest = ip_sum(p->body[1].iov_base, p->body[1].iov_len);
        sum += p->body[0].iov_len & 1 ? ip_sum_odd(rest) : rest;
    }
    return sum;
}

/* Stores a big-endian field and returns what it adds to the sum of its header. */
static uint64_t put16(uint8_t *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, 2);
    return v;
}

static uint64_t put32(uint8_t *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, 4);
    return v;
}

/* The common segment: from the template, its sums mended as the fields are filled in. */
static void put_segment(struct outgoing *o, uint64_t seq, uint32_t len, uint8_t flags)
{
    struct conn *c = o->c;
    flags |= c->ece_owed ? TH_ECE : 0;
    struct tcpip_packet *p = &o->v[o->n++];
    uint32_t ip = conn_ip_head(c);
    uint8_t *tcp = p->head + ip;
    memcpy(p->head, c->head, sizeof(c->head));
    p->head_len = c->head_len;
    p->len = (uint16_t)(c->head_len + len);
    p->body[0] = p->body[1] = (struct iovec){NULL, 0};
    ring_spans(&c->tx, seq, len, p->body);
    if (c->who.v6)
        put16(p->head + 4, (uint16_t)(p->len - ip));
    else
        ip_store_sum(p->head + 10, c->ip_sum + put16(p->head + 2, p->len) + put16(p->head + 4, c->ip_id++));
    uint64_t sum = c->tcp_sum + __builtin_bswap16((uint16_t)(p->len - ip));
    sum += put32(tcp + 4, (uint32_t)seq) + put32(tcp + 8, (uint32_t)conn_rcv_nxt(c)) + put16(tcp + 14, o->window);
    tcp[13] = flags;
    sum += __builtin_bswap16(flags);
    if (c->stamps)
        sum += put32(tcp + 24, o->stamp) + put32(tcp + 28, c->ts_recent);
    ip_store_sum(tcp + 16, sum + (len ? body_sum(p) : 0));
}

/* The one just built is new data of a connection that has ECN. */
static void mark_capable(struct outgoing *o)
{
    struct conn *c = o->c;
    struct tcpip_packet *p = &o->v[o->n - 1];
    uint8_t *tcp = p->head + conn_ip_head(c);
    if (!c->ecn || c->ect_off)
        return;
    p->head[1] |= c->who.v6 ? ECN_ECT0 << 4 : ECN_ECT0;
    if (!c->who.v6)
        ip_mend_sum(p->head + 10, 0, __builtin_bswap16(ECN_ECT0));
    if (!c->cwr_due)
        return;
    c->cwr_due = false;
    tcp[13] |= TH_CWR;
    ip_mend_sum(tcp + 16, 0, __builtin_bswap16(TH_CWR));
}

/* Any other, without payload. */
static void put_special(struct outgoing *o, struct segment *s)
{
    struct conn *c = o->c;
    struct tcpip_packet *p = &o->v[o->n++];
    s->src = c->who.local;
    s->dst = c->who.remote;
    s->ip6 = conn_ip6(c);
    s->src_port = c->who.local_port;
    s->dst_port = c->who.remote_port;
    if (s->has_stamps)
        s->ts_val = o->stamp;
    p->head_len = p->len = (uint16_t)segment_build(p->head, s, c->ip_id++, 0);
    p->body[0] = p->body[1] = (struct iovec){NULL, 0};
}

static void put_syn(struct outgoing *o)
{
    struct conn *c = o->c;
    bool answer = c->state == ST_SYN_RCVD;
    uint32_t mtu = o->t->cfg.mtu; /* what we can take: how large a segment gets through to us, the peer finds out (RFC 6691) */
    struct segment s = {.seq = (uint32_t)c->iss, .flags = TH_SYN, .mss = (uint16_t)(mtu - conn_ip_head(c) - TCP_HEAD),
        .window = (uint16_t)min64(c->recv_limit, 65535), .has_stamps = true, .sack_ok = true, .has_wscale = true,
        .wscale = c->rcv_scale};
    if (answer) {
        s.flags |= TH_ACK;
        s.ack = (uint32_t)conn_rcv_nxt(c);
        s.has_stamps = c->stamps;
        s.sack_ok = c->sack_ok;
        s.has_wscale = c->scaled;
        s.ts_ecr = c->ts_recent;
        c->ecn &= ecn_offered(o->t, c);
        s.flags |= c->ecn ? TH_ECE : 0;
    } else if (ecn_offered(o->t, c)) {
        s.flags |= TH_ECE | TH_CWR;
    }
    c->syn_due = false;
    put_special(o, &s);
    c->rexmit = REXMIT_RTO;
    timer_set(o->t, c, TIMER_REXMIT, o->t->now + rto_value(&c->rto));
}

/* An ACK with SACK blocks: D-SACK first (RFC 2883), then the latest. */
static struct segment sack_segment(struct conn *c, uint16_t window)
{
    struct segment s = {.seq = bare_seq(c), 
        .flags = c->ece_owed ? TH_ACK | TH_ECE : TH_ACK, .ack = (uint32_t)conn_rcv_nxt(c),
        .window = window, .has_stamps = c->stamps, .ts_ecr = c->ts_recent};
    int max = c->stamps ? 3 : 4;
    if (c->dsack.end)
        s.sack[s.sacks++] = (struct sack_block){(uint32_t)c->dsack.start, (uint32_t)c->dsack.end};
    struct range r[TCP_SACK_MAX];
    int n = ranges_report(&c->ooo, r, max - s.sacks);
    for (int i = 0; i < n; i++)
        s.sack[s.sacks++] = (struct sack_block){(uint32_t)r[i].start, (uint32_t)r[i].end};
    c->dsack.end = 0;
    return s;
}

/* In the midst of a batch, so that no range goes untold for want of room in the one ACK that ends it. */
void output_sack(struct tcpip *t, struct conn *c)
{
    uint8_t head[TCPIP_HEAD_MAX];
    if (t->raw_n >= RAW_MAX / 2)
        return;
    struct segment s = sack_segment(c, receive_window(t, c));
    s.src = c->who.local;
    s.dst = c->who.remote;
    s.ip6 = conn_ip6(c);
    s.src_port = c->who.local_port;
    s.dst_port = c->who.remote_port;
    s.ts_val = conn_stamp(c, t->now);
    output_raw(t, s.src, s.dst, head, segment_build(head, &s, c->ip_id++, 0), NULL, 0);
    c->last_ack = conn_rcv_nxt(c);
}

static void acked(struct conn *c)
{
    c->ack_due = false;
    c->acks_owed = 0;
    c->last_ack = conn_rcv_nxt(c);
    timer_clear(c, TIMER_DELACK);
}

static void put_ack(struct outgoing *o)
{
    struct conn *c = o->c;
    uint32_t copies = c->sack_ok || c->ooo.n == 0 ? 1 : c->acks_owed;
    if (c->sack_ok && (c->ooo.n || c->dsack.end)) {
        struct segment s = sack_segment(c, o->window);
        put_special(o, &s);
    } else {
        for (put_segment(o, bare_seq(c), 0, TH_ACK); copies > 1 && o->n < o->max; copies--)
            put_segment(o, bare_seq(c), 0, TH_ACK);
    }
    acked(c);
}

/* ---- deciding ---- */

/* Bursts of a quantum, so far apart that the rate is kept. A timer that comes late is made up for, up to a quantum, or to LATE_US
 * where the rate is so high that a quantum is soon spent. */
static bool paced_out(struct tcpip *t, struct conn *c, uint32_t len)
{
    if (!c->cc.pacing || c->force_one)
        return false;
    if (!c->cc.law->paced && c->snd_nxt - c->iss <= CC_INITIAL_SEGMENTS * (uint64_t)c->mss)
        return false;
    if (c->pace_left < len) {
        if (t->now < c->pace_at) {
            timer_set(t, c, TIMER_PACE, c->pace_at);
            return true;
        }
        uint64_t quantum = cc_quantum(&c->cc), credit = c->cc.law->paced ? quantum : PACED_BURST;
        uint64_t past = max64(credit * 1000000 / c->cc.pacing, min64(LATE_US, c->cc.near / 4));
        c->pace_left = max64(quantum, len);
        if (t->now - c->pace_at > past)
            c->pace_at = c->cc.law->paced ? t->now : t->now - past;
    }
    return false;
}

static void pace(struct conn *c, uint64_t len)
{
    c->path->burst -= min64(c->path->burst, len);
    if (!c->cc.pacing)
        return;
    c->pace_left -= min64(c->pace_left, len);
    c->pace_at += len * 1000000 / c->cc.pacing;
}

/* Whether the window or the program held us back; only a window in use may grow (RFC 9438 5.8). */
static void note_limited(struct conn *c)
{
    uint64_t pipe = scoreboard_pipe(&c->board);
    c->limited = cc_slow_start(&c->cc) ? 2 * pipe > c->cc.cwnd : pipe + pipe / 8 + 2ull * c->mss > c->cc.cwnd;
}

/* One more segment of len bytes may be in flight. */
static bool may_fly(struct tcpip *t, struct conn *c, uint32_t len)
{
    uint64_t pipe = scoreboard_pipe(&c->board);
    uint64_t counted = pipe - min64(pipe, c->dup_bytes);
    if (counted + len > c->cc.cwnd && counted > 0 && !c->force_one) {
        c->limited = true;
        return false;
    }
    const struct path *p = c->path;
    uint64_t others = p->flight - c->shown;
    if (p->flight_max && others + pipe > 0 && others + pipe + len > path_flight_max(p)) {
        list_add(&c->path->blocked, &c->on_blocked);
        c->limited = false; /* a larger window would be of no use */
        return false;
    }
    if (p->burst < len) {
        list_add(&c->path->blocked, &c->on_blocked);
        path_later(t, c->path);
        return false;
    }
    if (!paced_out(t, c, len))
        return true;
    if (!c->cc.law->paced)
        note_limited(c);
    return false;
}

static uint8_t segment_flags(const struct conn *c, uint64_t end)
{
    bool last = end >= c->snd_end || (c->snd_push > c->snd_una && end == c->snd_push);
    return last ? TH_ACK | TH_PUSH : TH_ACK;
}

static void send_lost(struct outgoing *o)
{
    struct conn *c = o->c;
    uint64_t start, end;
    while (o->n < o->max && scoreboard_next_lost(&c->board, &start, &end)) {
        end = min64(end, start + c->mss);
        if (!may_fly(o->t, c, (uint32_t)(end - start)) || !scoreboard_resent(&c->board, start, end, o->t->now))
            return;
        uint64_t data_end = min64(end, c->snd_end);
        uint8_t flags = segment_flags(c, data_end) | (end > c->snd_end ? TH_FIN : 0);
        put_segment(o, start, (uint32_t)(data_end - start), flags);
        c->force_one = false;
        pace(c, end - start);
        c->prr_out += end - start;
        c->retransmits++;
        o->t->stats.retransmits++;
        if (!c->undo_armed && c->phase != PHASE_OPEN) {
            c->undo_armed = true;
            c->undo_stamp = o->stamp;
        }
    }
}

/* How many bytes the next new segment carries; 0: none now. RFC 9293 3.8.6.2.1 (silly windows), 3.7.4 (Nagle). */
static uint32_t next_length(struct outgoing *o)
{
    struct conn *c = o->c;
    uint64_t left = c->snd_end - c->snd_nxt, right = c->snd_una + c->snd_wnd;
    uint64_t room = right > c->snd_nxt ? right - c->snd_nxt : 0;
    uint64_t len = min64(min64(left, c->mss), room);
    bool all = len == left, idle = c->snd_una == c->snd_nxt;
    if (len == c->mss)
        return (uint32_t)len;
    if (len && all && (idle || c->snd_push >= c->snd_end || c->fin_queued))
        return (uint32_t)len;
    if (len && !all && (c->force_small || len >= c->snd_wnd_max / 2)) {
        c->force_small = false;
        return (uint32_t)len;
    }
    if (idle && !all && !(c->rexmit == REXMIT_PERSIST && c->timer[TIMER_REXMIT] != UINT64_MAX))
        recovery_arm_persist(o->t, c);
    return 0;
}

/* The FIN goes with the last byte or alone; it needs a byte of window, too. */
static bool fin_fits(const struct conn *c, uint64_t end)
{
    return c->fin_queued && !c->fin_sent && end == c->snd_end && end < c->snd_una + c->snd_wnd;
}

static void wake_from_idle(struct outgoing *o)
{
    struct conn *c = o->c;
    if (c->snd_una == c->snd_nxt && o->t->now > c->last_out)
        cc_idle(&c->cc, o->t->now - c->last_out, rto_value(&c->rto));
}

/* The program has more, but no room: where holes keep the whole buffer occupied, the rate is the path's all the same. */
static bool buffer_bound(const struct conn *c)
{
    return c->want_write && c->board.bytes[RUN_SACKED] > 0;
}

static void send_new(struct outgoing *o)
{
    struct conn *c = o->c;
    uint64_t melt = min64(100, c->rto.srtt / 16);
    wake_from_idle(o);
    while (o->n < o->max) {
        uint32_t len = c->snd_nxt < c->snd_end ? next_length(o) : 0;
        bool fin = fin_fits(c, c->snd_nxt + len);
        if (!len && !fin) {
            if (c->snd_nxt == c->snd_end && c->fin_queued && !c->fin_sent && c->snd_una == c->snd_nxt &&
                c->timer[TIMER_REXMIT] == UINT64_MAX)
                recovery_arm_persist(o->t, c);
            note_limited(c);
            if (scoreboard_pipe(&c->board) + c->mss <= c->cc.cwnd && !buffer_bound(c))
                scoreboard_limited(&c->board);
            return;
        }
        if (!scoreboard_room(&c->board) || !may_fly(o->t, c, len + fin))
            return;
        uint64_t end = c->snd_nxt + len + fin;
        scoreboard_sent(&c->board, c->snd_nxt, end, o->t->now, melt);
        put_segment(o, c->snd_nxt, len, segment_flags(c, c->snd_nxt + len) | (fin ? TH_FIN : 0));
        if (len)
            mark_capable(o);
        c->fin_sent |= fin;
        c->snd_nxt = end;
        pace(c, len + fin);
        c->force_one = false;
        if (c->phase == PHASE_RECOVERY)
            c->prr_out += len + fin;
    }
}

/* Something out of the peer's window, which it must answer: below what it has acknowledged. */
static void put_probe(struct outgoing *o)
{
    o->c->probe_due = false;
    put_segment(o, o->c->snd_una - 1, 0, TH_ACK);
    acked(o->c);
}

static bool conn_has_more(const struct conn *c)
{
    return c->ack_due || c->board.bytes[RUN_LOST] || c->snd_nxt < conn_snd_lim(c);
}

static void send_open(struct outgoing *o)
{
    struct conn *c = o->c;
    uint64_t before = c->snd_nxt + c->retransmits;
    o->window = receive_window(o->t, c);
    if (c->ack_due && c->sack_ok && (c->ooo.n || c->dsack.end))
        put_ack(o);
    if (c->board.bytes[RUN_LOST])
        send_lost(o);
    if (c->snd_nxt < conn_snd_lim(c) && !c->board.bytes[RUN_LOST])
        send_new(o);
    if (c->snd_nxt + c->retransmits != before) {
        acked(c);
        c->probe_due = false;
        if (c->timer[TIMER_REXMIT] == UINT64_MAX || c->rexmit != REXMIT_RTO)
            recovery_arm(o->t, c);
    }
    if (c->probe_due && o->n < o->max)
        put_probe(o);
    if (c->ack_due && o->n < o->max)
        put_ack(o);
}

size_t output_conn(struct tcpip *t, struct conn *c, struct tcpip_packet *v, size_t max, bool *more)
{
    struct outgoing o = {.t = t, .c = c, .v = v, .max = max, .stamp = conn_stamp(c, t->now)};
    list_remove(&c->on_blocked);
    path_refill(t, c->path);
    if (conn_synced(c))
        send_open(&o);
    else if (c->syn_due && (c->state == ST_SYN_SENT || c->state == ST_SYN_RCVD))
        put_syn(&o);
    *more = o.n == max && conn_has_more(c);
    if (o.n)
        c->last_out = t->now;
    conn_show_flight(t, c);
    if (!list_has(&c->on_blocked))
        path_wake(t, c->path);
    return o.n;
}
