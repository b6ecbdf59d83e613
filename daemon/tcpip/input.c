/* From a packet to its connection, and the state machine of RFC 9293 3.10.7 with RFC 5961 and 7323. */
#include "daemon/tcpip/engine.h"

#include <errno.h>

void input_challenge(struct tcpip *t, struct conn *c)
{
    if (c->challenge_at && t->now - c->challenge_at < CHALLENGE_US)
        return;
    c->challenge_at = t->now;
    c->ack_due = true;
    conn_activate(t, c);
}

/* ---- no connection yet ---- */

/* So that a host which opens and opens takes from what others have not asked for yet, and never the last of it. */
static bool peer_may_open(struct tcpip *t, uint32_t remote)
{
    const struct path *p = path_get(t, remote, false);
    if (!p)
        return true;
    uint32_t room = t->cfg.conns_max - t->conns, half = HALF_OPEN_MAX - t->half_open, kept = t->cfg.conns_max / 9;
    bool many = p->n_conns >= PEER_CONNS_LEAST && room <= kept && p->n_conns > t->conns / 2;
    if (!many && p->half_open < max64(HALF_OPEN_LEAST, half))
        return true;
    t->stats.refused_peer++;
    return false;
}

static void input_syn(struct tcpip *t, const struct segment *s, const struct tuple *who, const struct time_wait *old)
{
    if (!s->src_port || !s->dst_port)
        return;
    if (t->half_open >= HALF_OPEN_MAX) {
        t->stats.refused_half_open++;
        return;
    }
    if (!peer_may_open(t, who->remote))
        return;
    uint32_t isn = engine_isn(t, who);
    if (old && (int32_t)(isn - old->snd_nxt) <= 0)
        isn = old->snd_nxt + 65538; /* beyond all that the old incarnation could have used */
    struct conn *c = table_new(t, who);
    if (!c)
        return;
    c->half_open = true;
    t->half_open++;
    c->path->half_open++;
    if (s->ip6)
        conn_set_hosts6(t, c, s->ip6 + IP6_DST, s->ip6 + IP6_SRC);
    conn_start(t, c, isn);
    conn_options(t, c, s);
    conn_set_state(c, ST_LISTEN);
    timer_life(t, c);
    event_raise(t, c, TCPIP_INCOMING);
}

static void input_time_wait(struct tcpip *t, const struct segment *s, struct time_wait *w)
{
    if (s->flags & TH_RST)
        return; /* RFC 1337: no assassination */
    bool syn = (s->flags & (TH_SYN | TH_ACK)) == TH_SYN;
    bool newer = w->stamps && s->has_stamps ? (int32_t)(s->ts_val - w->ts_recent) > 0 : false;
    if (syn && (newer || (int32_t)(s->seq - w->rcv_nxt) > 0)) {
        struct time_wait old = *w;
        tw_free(t, w);
        input_syn(t, s, &old.who, &old);
        return;
    }
    if (s->flags & TH_FIN)
        tw_restart(t, w);
    if (segment_space(s)) {
        uint8_t back[IP6_HEAD];
        if (s->ip6)
            ip6_template_back(back, s->ip6);
        output_time_wait(t, w, s->ip6 ? back : NULL);
    }
}

static void input_stray(struct tcpip *t, const struct segment *s, const struct tuple *who)
{
    struct time_wait *w = tw_find(t, who);
    if (w) {
        input_time_wait(t, s, w);
    } else if ((s->flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN) {
        input_syn(t, s, who, NULL);
    } else {
        t->stats.in_no_conn++;
        output_reset_for(t, s);
    }
}

/* ---- opening ---- */

static void input_listen(struct tcpip *t, struct conn *c, const struct segment *s)
{
    if ((s->flags & TH_RST) && s->seq == (uint32_t)(c->irs + 1)) {
        t->stats.resets_in++;
        conn_fail(t, c, ECONNRESET);
    } else if ((s->flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN) {
        conn_options(t, c, s); /* the same again, or the peer has begun anew */
    }
}

static void input_syn_sent(struct tcpip *t, struct conn *c, const struct segment *s)
{
    bool ack = s->flags & TH_ACK;
    if (ack && s->ack != (uint32_t)(c->iss + 1)) {
        output_reset_for(t, s);
        return;
    }
    if (s->flags & TH_RST) {
        if (ack) {
            t->stats.resets_in++;
            conn_fail(t, c, ECONNREFUSED);
        }
        return;
    }
    if (!(s->flags & TH_SYN))
        return;
    conn_options(t, c, s);
    if (!ack) { /* both sides open at once */
        conn_set_state(c, ST_SYN_RCVD);
        c->syn_due = true;
        conn_activate(t, c);
        return;
    }
    acks_handshake(t, c, s);
    conn_establish(t, c);
    receive_ack_within(t, c, t->cfg.ride_us);
}

/* True: go on with the segment, its SYN taken off. */
static bool input_syn_again(struct tcpip *t, struct conn *c, struct segment *s)
{
    if (s->seq != (uint32_t)c->irs)
        return false;
    if ((s->flags & TH_ACK) && s->ack == (uint32_t)(c->iss + 1)) {
        s->seq++;
        s->flags &= (uint8_t)~TH_SYN;
        c->ack_due = true;
        return true;
    }
    if (!(s->flags & TH_ACK)) { /* our SYN-ACK was lost */
        c->syn_due = true;
        conn_activate(t, c);
    }
    return false;
}

/* ---- the checks, in the RFC's order ---- */

static bool paws_refuses(const struct tcpip *t, const struct conn *c, const struct segment *s)
{
    if (!c->stamps || (s->flags & TH_RST) || !s->has_stamps)
        return false;
    return (int32_t)(s->ts_val - c->ts_recent) < 0 && t->now - c->ts_recent_at < PAWS_US;
}

static bool in_window(const struct conn *c, uint64_t seq, uint32_t space)
{
    uint64_t next = conn_rcv_nxt(c), right = max64(max64(c->edge, c->promised), next);
    if (seq == next)
        return true; /* even into a shut window: its ACK counts, its data is cut off */
    if (space == 0)
        return seq >= next && seq < right;
    return seq < right && seq + space > next;
}

static void input_unacceptable(struct tcpip *t, struct conn *c, const struct segment *s, uint64_t seq)
{
    if (s->flags & TH_RST)
        return;
    if (!s->len) {
        if (s->flags & (TH_SYN | TH_FIN) || seq + 1 != conn_rcv_nxt(c)) {
            input_challenge(t, c);
            return;
        }
        c->ack_due = true; /* a probe */
        conn_activate(t, c);
        return;
    }
    if (seq + s->len <= c->in_end) {
        receive_data(t, c, s, seq); /* notes the duplicate */
        return;
    }
    c->ack_due = true;
    conn_activate(t, c);
}

/* When nothing was left to say, a RST is a rude way to acknowledge the FIN (RFC 9293 3.10.7.4, CLOSING and later). */
static void input_reset(struct tcpip *t, struct conn *c)
{
    t->stats.resets_in++;
    bool ending = c->state == ST_CLOSING || c->state == ST_LAST_ACK || c->state == ST_TIME_WAIT;
    if (ending && c->snd_una >= c->snd_end) {
        conn_set_state(c, ST_LAST_ACK); /* no TIME_WAIT: the peer has nothing left to repeat */
        c->done = true;
        conn_finish(t, c);
    } else {
        conn_fail(t, c, c->state == ST_SYN_RCVD && !c->half_open ? ECONNREFUSED : ECONNRESET);
    }
}

/* False: done with the segment; c may be gone. */
static bool input_checks(struct tcpip *t, struct conn *c, const struct segment *s, uint64_t seq)
{
    if (paws_refuses(t, c, s)) {
        c->ack_due = true;
        conn_activate(t, c);
        return false;
    }
    if (!in_window(c, seq, segment_space(s))) {
        input_unacceptable(t, c, s, seq);
        return false;
    }
    if (s->flags & TH_RST) { /* RFC 5961 3.2 */
        if (seq == conn_rcv_nxt(c)) {
            input_reset(t, c);
        } else {
            input_challenge(t, c);
        }
        return false;
    }
    if (s->flags & TH_SYN) { /* RFC 5961 4.2 */
        input_challenge(t, c);
        return false;
    }
    if (c->stamps && !s->has_stamps)
        return false; /* RFC 7323 3.2 */
    return s->flags & TH_ACK;
}

static void input_open(struct tcpip *t, struct conn *c, struct segment *s)
{
    if (c->state == ST_SYN_RCVD && (s->flags & TH_SYN) && !input_syn_again(t, c, s))
        return;
    uint64_t seq = seq_near(conn_rcv_nxt(c), s->seq);
    if (!input_checks(t, c, s, seq))
        return;
    c->last_in = t->now;
    if (c->stamps && seq <= c->last_ack && (int32_t)(s->ts_val - c->ts_recent) >= 0) {
        c->ts_recent = s->ts_val;
        c->ts_recent_at = t->now;
    }
    if (c->state == ST_SYN_RCVD) {
        if (s->ack != (uint32_t)(c->iss + 1)) {
            output_reset_for(t, s);
            return;
        }
        c->snd_wnd = c->snd_wnd_max = (uint64_t)s->window << c->snd_scale;
        c->wl1 = seq;
        c->wl2 = c->iss + 1;
        acks_handshake(t, c, s);
        conn_establish(t, c);
    }
    ecn_arrival(t, c, s);
    if (!acks_input(t, c, s, seq))
        return;
    if ((s->len || s->flags & TH_FIN) && !receive_data(t, c, s, seq))
        return;
    if (c->state == ST_CLOSED)
        return;
    conn_show_flight(t, c);
    if (c->snd_nxt < conn_snd_lim(c) || c->board.bytes[RUN_LOST] || c->ack_due)
        conn_activate(t, c);
}

static void note_calm(struct tcpip *t, const struct conn *c)
{
    if (!t->calm.segments++ || c->rto.srtt < t->calm.rtt_us)
        t->calm.rtt_us = c->rto.srtt;
}

void input_tcp(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip)
{
    struct segment s;
    if (!segment_parse(packet, ip, &s)) {
        t->stats.in_bad++;
        return;
    }
    struct tuple who = {s.dst, s.src, s.dst_port, s.src_port, ip->v6};
    struct conn *c = table_find(t, &who);
    if (c)
        note_calm(t, c);
    if (!c)
        input_stray(t, &s, &who);
    else if (c->state == ST_LISTEN)
        input_listen(t, c, &s);
    else if (c->state == ST_SYN_SENT)
        input_syn_sent(t, c, &s);
    else
        input_open(t, c, &s);
}
