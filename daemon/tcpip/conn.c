/* A connection's life and death. */
#include "daemon/tcpip/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "include/bytes.h"

static const char *const state_name[] = {
    [ST_CLOSED] = "CLOSED",
    [ST_LISTEN] = "LISTEN",
    [ST_SYN_SENT] = "SYN-SENT",
    [ST_SYN_RCVD] = "SYN-RECEIVED",
    [ST_ESTABLISHED] = "ESTABLISHED",
    [ST_FIN_WAIT_1] = "FIN-WAIT-1",
    [ST_FIN_WAIT_2] = "FIN-WAIT-2",
    [ST_CLOSE_WAIT] = "CLOSE-WAIT",
    [ST_CLOSING] = "CLOSING",
    [ST_LAST_ACK] = "LAST-ACK",
    [ST_TIME_WAIT] = "TIME-WAIT",
};
_Static_assert(ARRAY_LEN(state_name) == TCP_STATES, "name all");

const char *conn_state_name(const struct conn *c)
{
    return state_name[c->state];
}

void conn_set_state(struct conn *c, enum tcp_state state)
{
    log_debug("tcp slot=%u port=%u remote=%08x:%u %s -> %s", c->ref.slot, c->who.local_port, c->who.remote,
        c->who.remote_port, state_name[c->state], state_name[state]);
    c->state = (uint8_t)state;
}

/* The scale which lets the window field express recv_max. */
static uint8_t engine_scale(const struct tcpip *t)
{
    uint8_t s = 0;
    while (s < TCP_WSCALE_MAX && (uint64_t)65535 << s < t->cfg.recv_max)
        s++;
    return s;
}

void conn_start(struct tcpip *t, struct conn *c, uint32_t isn)
{
    c->iss = (1ull << 32) + isn;
    c->snd_una = c->iss;
    c->snd_nxt = c->snd_end = c->snd_push = c->iss + 1;
    c->ts_offset = (uint32_t)hash_words(&t->isn_key, c->hash, 1);
    c->ip_id = (uint16_t)engine_random(t);
    c->rcv_scale = engine_scale(t);
    c->recv_limit = (uint32_t)min64(min64(t->cfg.recv_max, RECV_FIRST), memory_share(t, c->path));
    c->quick = QUICK_ACKS;
    c->rack.steps = 1;
    c->last_in = c->last_out = t->now;
    rto_init(&c->rto);
    if (t->now < c->path->company.lossy_until)
        c->rto.base = c->path->company.lossy_rto;
    scoreboard_init(&c->board, c->snd_nxt, &t->memory);
    conn_set_mss(t, c);
    choice_init(&c->choice);
    cc_init(&c->cc, &cc_cubic, c->mss, t->now);
}

/* RFC 6437: the flow label is the same for all segments of a connection, and tells nothing. */
void conn_set_hosts6(struct tcpip *t, struct conn *c, const uint8_t *own, const uint8_t *peer)
{
    ip6_template(c->head, own, peer, (uint32_t)hash_words(&t->isn_key, c->hash, 2));
}

void conn_set_mss(struct tcpip *t, struct conn *c)
{
    uint32_t mtu = c->path->mtu && c->path->mtu < t->cfg.mtu ? c->path->mtu : t->cfg.mtu;
    uint32_t most = mtu - conn_ip_head(c) - TCP_HEAD;
    uint32_t mss = c->peer_mss && c->peer_mss < most ? c->peer_mss : most;
    c->mss = mss - (c->stamps ? TCP_STAMPS : 0);
    c->cc.mss = c->mss;
}

void conn_options(struct tcpip *t, struct conn *c, const struct segment *syn)
{
    enum { MSS_LEAST = 88 }; /* less would be an attack: forty bytes of header for every byte */
    c->irs = (1ull << 32) + syn->seq;
    c->rd = c->buf_end = c->in_end = c->irs + 1;
    c->edge = c->in_end + min64(c->recv_limit, 65535);
    c->last_ack = c->in_end;
    c->stamps = syn->has_stamps;
    c->ts_recent = syn->ts_val;
    c->ts_recent_at = t->now;
    c->sack_ok = syn->sack_ok;
    ecn_agree(t, c, syn);
    c->scaled = syn->has_wscale;
    c->snd_scale = syn->has_wscale ? syn->wscale : 0;
    if (!c->scaled)
        c->rcv_scale = 0;
    c->peer_mss = syn->mss ? syn->mss : c->who.v6 ? TCP_MSS_DEFAULT6 : TCP_MSS_DEFAULT;
    if (c->peer_mss < MSS_LEAST)
        c->peer_mss = MSS_LEAST;
    c->snd_wnd = c->snd_wnd_max = syn->window;
    c->wl1 = c->irs;
    c->wl2 = c->snd_una;
    conn_set_mss(t, c);
    output_head(c);
}

void conn_law(struct tcpip *t, struct conn *c, const struct cc_law *law, bool keep)
{
    c->path->company.paced += law->paced - c->cc.law->paced;
    if (keep)
        cc_change(&c->cc, law, t->now);
    else
        cc_init(&c->cc, law, c->mss, t->now);
    c->pace_at = c->pace_left = 0;
}

void conn_establish(struct tcpip *t, struct conn *c)
{
    if (c->half_open) {
        c->half_open = false;
        t->half_open--;
        c->path->half_open--;
    }
    c->snd_una = c->iss + 1;
    c->retries = 0;
    c->rto.backoff = 0;
    c->syn_due = false;
    timer_clear(c, TIMER_REXMIT);
    conn_law(t, c, c->sack_ok && t->now < c->path->company.lossy_until ? &cc_bbr : &cc_cubic, false);
    conn_set_state(c, c->fin_queued ? ST_FIN_WAIT_1 : ST_ESTABLISHED);
    timer_life(t, c);
    event_raise(t, c, TCPIP_CONNECTED);
    conn_activate(t, c);
}

void conn_activate(struct tcpip *t, struct conn *c)
{
    if (c->state != ST_CLOSED)
        list_add(&t->active, &c->on_active);
}

void conn_show_flight(struct tcpip *t, struct conn *c)
{
    uint64_t pipe = scoreboard_pipe(&c->board);
    bool less = pipe < c->shown;
    c->path->flight += pipe - c->shown;
    c->shown = pipe;
    if (less)
        path_wake(t, c->path);
}

uint64_t conn_path_needs(const struct conn *c)
{
    uint32_t rtt = c->rto.min_rtt != UINT32_MAX ? c->rto.min_rtt : c->drs_rtt;
    return max64((uint64_t)rtt * FASTEST_PER_US, BUFFER_NEAR);
}

uint64_t conn_send_limit(const struct tcpip *t, const struct conn *c)
{
    uint64_t window = c->cc.ssthresh != UINT64_MAX ? max64(c->cc.cwnd, c->cc.ssthresh) : c->cc.cwnd;
    uint64_t most = min64(t->cfg.send_max, conn_path_needs(c));
    most = min64(most, max64(c->tx.cap, memory_share(t, c->path)));
    return min64(most, max64(SEND_FIRST, 2 * window + c->board.bytes[RUN_SACKED]));
}

/* Everything goes but what the owner may still read. */
static void conn_bury(struct tcpip *t, struct conn *c)
{
    conn_set_state(c, ST_CLOSED);
    if (c->half_open) {
        c->half_open = false;
        t->half_open--;
        c->path->half_open--;
    }
    if (c->cc.law->paced) {
        c->path->company.lossy_until = t->now + LOSSY_US;
        c->path->company.paced--;
    }
    heap_remove(&t->heap, &c->heap);
    list_remove(&c->on_active);
    list_remove(&c->on_blocked);
    list_remove(&c->on_path);
    ring_release(&c->tx, &t->memory);
    scoreboard_release(&c->board);
    ranges_release(&c->ooo, &t->memory);
    conn_show_flight(t, c);
    c->path->held -= c->counted; /* what the owner may still read is nobody's */
    c->path->n_conns--;
    c->counted = 0;
    path_put(t, c->path);
    c->path = NULL;
    table_unhash(t, c);
}

/* The owner hears `kind` if it knows the connection; else nobody does. */
static void conn_end(struct tcpip *t, struct conn *c, enum tcpip_event_kind kind, int err)
{
    bool unheard = c->orphan || (c->events & 1u << TCPIP_INCOMING);
    conn_bury(t, c);
    if (unheard) {
        event_drop(c);
        receive_release(t, c);
        table_free(t, c);
        return;
    }
    c->err = err;
    c->events &= 1u << TCPIP_READABLE | 1u << TCPIP_CONNECTED;
    if (c->rd == c->in_end)
        receive_release(t, c);
    event_raise(t, c, kind);
}

void conn_fail(struct tcpip *t, struct conn *c, int err)
{
    if (c->state != ST_CLOSED)
        conn_end(t, c, TCPIP_FAILED, err);
}

void conn_reset(struct tcpip *t, struct conn *c, int err)
{
    if (c->state == ST_CLOSED)
        return;
    output_reset(t, c);
    conn_fail(t, c, err);
}

void conn_finish(struct tcpip *t, struct conn *c)
{
    if (!c->done || c->state == ST_CLOSED)
        return;
    if (!c->orphan && (c->rd < c->in_end || !c->eof_seen))
        return;
    if (c->state == ST_TIME_WAIT) {
        struct time_wait *w = tw_add(t, c);
        if (w && c->last_ack < conn_rcv_nxt(c)) /* the FIN is not acknowledged yet, and c will not be there to do it */
            output_time_wait(t, w, conn_ip6(c));
    }
    conn_end(t, c, TCPIP_CLOSED, 0);
}
