/* The owner's calls on a connection. */
#include "daemon/tcpip/engine.h"

#include <errno.h>

/* RFC 6191: with timestamps the new incarnation is told from the old once their clock, of milliseconds, has moved on. A port of our
 * own choice rests longer. One that the owner names may have been found by the kernel (a program's bind to port 0), which does not
 * know that it rests here, and would never have named one that rests there. */
enum { REST_CHOSEN_US = 1000000, REST_NAMED_US = 10000 };

/* rest_us: 0, a port in TIME_WAIT is not free */
static bool port_free(struct tcpip *t, const struct tuple *who, uint64_t rest_us)
{
    if (table_find(t, who))
        return false;
    const struct time_wait *w = tw_find(t, who);
    return !w || (w->stamps && rest_us && t->now - w->since > rest_us);
}

/* Tries at random, then in a row: bounded by the range, and short unless it is nearly full. */
static int port_choose(struct tcpip *t, struct tuple *who)
{
    uint32_t n = (uint32_t)(t->cfg.port_hi - t->cfg.port_lo) + 1;
    uint32_t at = (uint32_t)(engine_random(t) % n);
    for (uint64_t rest = 0; rest <= REST_CHOSEN_US; rest += REST_CHOSEN_US) {
        for (uint32_t i = 0; i < n; i++) {
            who->local_port = (uint16_t)(t->cfg.port_lo + (at + i) % n);
            if (port_free(t, who, rest))
                return 0;
        }
    }
    return -EADDRNOTAVAIL;
}

/* own, peer: their IPv6 addresses, or NULL. */
static int connect_tuple(struct tcpip *t, struct tuple who, const uint8_t *own, const uint8_t *peer, struct tcp_ref *ref)
{
    if (t->conns >= t->cfg.conns_max)
        return -ENOBUFS;
    uint16_t local_port = who.local_port;
    if (!local_port && port_choose(t, &who))
        return -EADDRNOTAVAIL;
    if (local_port && !port_free(t, &who, REST_NAMED_US))
        return -EADDRINUSE;
    uint32_t isn = engine_isn(t, &who);
    struct conn *c = table_new(t, &who);
    if (!c)
        return -ENOBUFS;
    struct time_wait *w = tw_find(t, &who);
    if (w) {
        if ((int32_t)(isn - w->snd_nxt) <= 0)
            isn = w->snd_nxt + 65538;
        tw_free(t, w);
    }
    if (who.v6)
        conn_set_hosts6(t, c, own, peer);
    conn_start(t, c, isn);
    conn_set_state(c, ST_SYN_SENT);
    c->syn_due = true;
    conn_activate(t, c);
    *ref = c->ref;
    return 0;
}

int tcp_connect(struct tcpip *t, mono_t now, uint32_t local, uint16_t local_port, uint32_t remote,
    uint16_t remote_port, struct tcp_ref *ref)
{
    conn_now(t, now);
    return connect_tuple(t, (struct tuple){local, remote, local_port, remote_port, 0}, NULL, NULL, ref);
}

int tcp_connect6(struct tcpip *t, mono_t now, uint32_t local, const uint8_t local6[16], uint16_t local_port,
    uint32_t remote, const uint8_t remote6[16], uint16_t remote_port, struct tcp_ref *ref)
{
    conn_now(t, now);
    return connect_tuple(t, (struct tuple){local, remote, local_port, remote_port, 1}, local6, remote6, ref);
}

bool tcpip_has(struct tcpip *t, bool v6, uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port)
{
    struct tuple who = {local, remote, local_port, remote_port, v6};
    return table_find(t, &who) || tw_find(t, &who);
}

void tcp_accept(struct tcpip *t, mono_t now, struct tcp_ref ref)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c || c->state != ST_LISTEN)
        return;
    timer_clear(c, TIMER_LIFE);
    conn_set_state(c, ST_SYN_RCVD);
    c->syn_due = true;
    conn_activate(t, c);
}

void tcp_refuse(struct tcpip *t, mono_t now, struct tcp_ref ref)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c || c->state != ST_LISTEN)
        return;
    c->orphan = true;
    conn_reset(t, c, ECONNREFUSED);
}

void tcp_refuse_with(struct tcpip *t, mono_t now, struct tcp_ref ref, int err)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c || c->state != ST_LISTEN)
        return;
    c->orphan = true;
    if (err != EHOSTUNREACH && err != ENETUNREACH && err != EACCES) {
        conn_reset(t, c, ECONNREFUSED);
        return;
    }
    output_unreachable(t, c, err);
    conn_fail(t, c, err);
}

void tcp_set_user(struct tcpip *t, struct tcp_ref ref, uint64_t user)
{
    struct conn *c = table_get(t, ref);
    if (c)
        c->user = user;
}

bool tcp_names(const struct tcpip *t, struct tcp_ref ref, uint32_t *local, uint16_t *local_port, uint32_t *remote,
    uint16_t *remote_port)
{
    const struct conn *c = table_get(t, ref);
    if (!c)
        return false;
    *local = c->who.local;
    *local_port = c->who.local_port;
    *remote = c->who.remote;
    *remote_port = c->who.remote_port;
    return true;
}

/* ---- sending ---- */

static bool can_send(const struct conn *c)
{
    return !c->fin_queued && (c->state == ST_SYN_SENT || c->state == ST_SYN_RCVD || c->state == ST_ESTABLISHED ||
                                 c->state == ST_CLOSE_WAIT);
}

/* Doubles while the ring is what limits; a bulk sender is soon at its limit, a small one stays small. */
static bool send_grow(struct tcpip *t, struct conn *c, uint64_t base, uint64_t used, uint64_t limit)
{
    enum { FIRST = 16384 };
    uint64_t cap = c->tx.cap;
    if (cap && used <= cap / 2)
        return true;
    uint64_t want = cap ? 2 * cap : min64(FIRST, memory_share(t, c->path));
    want = ring_size((size_t)want) > want ? ring_size((size_t)want) / 2 : want;
    if (want > memory_share(t, c->path))
        return cap > 0;
    if (cap >= limit || !ring_reserve(&c->tx, (size_t)want, base, c->snd_end, &t->memory))
        return cap > 0;
    memory_count(c);
    if (c->timer[TIMER_IDLE] == UINT64_MAX)
        timer_set(t, c, TIMER_IDLE, t->now + IDLE_US);
    return true;
}

int tcp_send_space(struct tcpip *t, struct tcp_ref ref, struct iovec v[2])
{
    struct conn *c = table_get(t, ref);
    if (!c || !can_send(c))
        return 0;
    uint64_t base = max64(c->snd_una, c->iss + 1), used = c->snd_end - base;
    uint64_t limit = conn_send_limit(t, c);
    uint64_t room = used < limit && send_grow(t, c, base, used, limit) ? min64(limit, c->tx.cap) - min64(used, c->tx.cap) : 0;
    if (used >= min64(limit, c->tx.cap) || room == 0) {
        c->want_write = true;
        return 0;
    }
    return ring_spans(&c->tx, c->snd_end, (size_t)room, v);
}

void tcp_send_commit(struct tcpip *t, mono_t now, struct tcp_ref ref, size_t n, bool push)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c || !can_send(c))
        return;
    uint64_t base = max64(c->snd_una, c->iss + 1);
    c->snd_end += min64(n, c->tx.cap - (c->snd_end - base));
    if (push)
        c->snd_push = c->snd_end;
    if (conn_synced(c))
        conn_activate(t, c);
}

static void queue_fin(struct tcpip *t, struct conn *c)
{
    c->fin_queued = true;
    c->want_write = false;
    if (c->state == ST_ESTABLISHED)
        conn_set_state(c, ST_FIN_WAIT_1);
    else if (c->state == ST_CLOSE_WAIT)
        conn_set_state(c, ST_LAST_ACK);
    if (conn_synced(c))
        conn_activate(t, c);
}

void tcp_send_eof(struct tcpip *t, mono_t now, struct tcp_ref ref)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (c && can_send(c))
        queue_fin(t, c);
}

/* ---- receiving ---- */

int tcp_recv_spans(struct tcpip *t, struct tcp_ref ref, struct iovec *v, int max, bool *eof)
{
    struct conn *c = table_get(t, ref);
    *eof = false;
    if (!c || c->state == ST_LISTEN)
        return 0;
    struct iovec ring[2];
    int n = 0, pieces = c->buf_end > c->rd ? ring_spans(&c->rx, c->rd, (size_t)(c->buf_end - c->rd), ring) : 0;
    for (int i = 0; i < pieces && n < max; i++)
        v[n++] = ring[i];
    uint32_t first = c->spans ? c->spans->first : 0, last = c->spans ? c->spans->n : 0;
    uint32_t i = first;
    for (; n == pieces + (int)(i - first) && i < last && n < max; i++)
        v[n++] = c->spans->v[i];
    *eof = c->fin_rcvd && n == pieces + (int)(last - first);
    if (*eof) {
        c->eof_seen = true;
        if (n == 0)
            conn_finish(t, c);
    }
    return n;
}

void tcp_recv_consume(struct tcpip *t, mono_t now, struct tcp_ref ref, size_t n)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c)
        return;
    receive_consume(t, c, n);
    conn_finish(t, c);
}

/* ---- the end ---- */

static void disown(struct tcpip *t, struct conn *c)
{
    table_forget_ref(t, c);
    event_drop(c);
    c->orphan = true;
}

/* What the owner of a dead connection never fetched. */
static void drop_dead(struct tcpip *t, struct conn *c)
{
    event_drop(c);
    receive_release(t, c);
    table_free(t, c);
}

void tcp_close(struct tcpip *t, mono_t now, struct tcp_ref ref)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c)
        return;
    if (c->state == ST_CLOSED) {
        drop_dead(t, c);
        return;
    }
    bool unread = c->rd < c->in_end, never = c->state == ST_SYN_SENT || c->state == ST_LISTEN;
    disown(t, c);
    if (c->state == ST_SYN_SENT && c->snd_end > c->iss + 1)
        never = false; /* there is something to deliver yet */
    if (never || (unread && c->snd_una >= c->snd_end && conn_synced(c))) {
        conn_reset(t, c, ECONNABORTED);
        return;
    }
    receive_release(t, c);
    ranges_release(&c->ooo, &t->memory);
    if (unread)
        c->reset_later = true;
    else if (can_send(c))
        queue_fin(t, c);
    timer_life(t, c);
    conn_finish(t, c);
}

void tcp_abort(struct tcpip *t, mono_t now, struct tcp_ref ref)
{
    conn_now(t, now);
    struct conn *c = table_get(t, ref);
    if (!c)
        return;
    if (c->state == ST_CLOSED) {
        drop_dead(t, c);
        return;
    }
    disown(t, c);
    conn_reset(t, c, ECONNABORTED);
}
