/* Sequences of packets into an engine with live connections, and calls of its owner in between.
 *
 * The input is a list of records: one byte says what happens. The packets are given good checksums and most of them the
 * numbers of a live connection, since random ones would die at the first check; one kind goes in raw.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/tcpip/engine.h"

enum { CONNS = 4, LOCAL = 0x0a000001, REMOTE = 0x0a000002 };

static const uint8_t local6[16] = "\xfd\x69\x33\0\0local", remote6[16] = "\xfd\x69\x33\0\0remote";

struct world {
    struct tcpip *t;
    struct tcp_ref ref[CONNS];
    uint32_t next;
    uint64_t now;
    const uint8_t *at, *end;
    uint8_t *keep[64];
    unsigned kept;
};

static uint32_t take(struct world *w, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n && w->at < w->end; i++)
        v = v << 8 | *w->at++;
    return v;
}

/* What the engine promises of itself, whatever comes in. */
static void check_conn(const struct tcpip *t, const struct conn *c)
{
    const struct scoreboard *b = &c->board;
    uint64_t at = 0, bytes[4] = {0};
    if (c->state == ST_CLOSED)
        return;
    if (c->snd_una > c->snd_nxt || c->snd_nxt > c->snd_end + 1 || c->rd > c->buf_end || c->buf_end > c->in_end)
        abort();
    if (c->snd_end - (c->snd_una > c->iss ? c->snd_una : c->iss + 1) + 1 > c->tx.cap + 1 && c->snd_una <= c->snd_end)
        abort();
    for (uint32_t i = 0; i < b->n; i++) {
        const struct run *r = &b->v[b->head + i];
        if (r->start >= r->end || (at && r->start != at))
            abort();
        at = r->end;
        bytes[r->state] += r->end - r->start;
    }
    if (memcmp(bytes, b->bytes, sizeof(bytes)) != 0)
        abort();
    if (conn_synced(c) && b->n && (b->v[b->head].start != c->snd_una || at != c->snd_nxt))
        abort();
    for (uint32_t i = 0; i < c->ooo.n; i++) {
        if (c->ooo.v[i].start >= c->ooo.v[i].end || (i && c->ooo.v[i].start <= c->ooo.v[i - 1].end))
            abort();
    }
    if (c->ooo.n && (c->ooo.v[0].start <= c->in_end || c->ooo.v[c->ooo.n - 1].end - c->rd > c->rx.cap))
        abort();
    (void)t;
}

static void check(const struct world *w)
{
    uint64_t flight = 0, shown = 0;
    for (uint32_t i = 0; i < w->t->n_slots; i++) {
        const struct conn *c = w->t->slots[i].conn;
        if (!c)
            continue;
        check_conn(w->t, c);
        shown += c->path ? c->shown : 0;
    }
    for (uint32_t i = 0; w->t->paths && i <= w->t->path_mask; i++) {
        for (const struct path *p = w->t->paths[i]; p; p = p->chain)
            flight += p->flight;
    }
    if (flight != shown)
        abort();
}

static void settle(struct world *w)
{
    tcpip_settle(w->t, (mono_t){w->now});
    while (w->kept)
        free(w->keep[--w->kept]);
    check(w);
}

static void output(struct world *w)
{
    static struct tcpip_packet v[8];
    uint32_t src, dst;
    size_t n;
    while ((n = tcpip_output(w->t, (mono_t){w->now}, v, 8, &src, &dst)) > 0) {
        for (size_t i = 0; i < n; i++) {
            uint8_t flat[20000];
            size_t at = v[i].head_len;
            memcpy(flat, v[i].head, at);
            for (int k = 0; k < 2; at += v[i].body[k].iov_len, k++) {
                if (v[i].body[k].iov_len)
                    memcpy(flat + at, v[i].body[k].iov_base, v[i].body[k].iov_len);
            }
            struct ip_header ip = {.src = LOCAL, .dst = REMOTE};
            struct segment s;
            bool sound = flat[0] >> 4 == 6 ? ip6_parse(flat, at, &ip) && ip6_is_from_to(flat, at, local6, remote6)
                                           : ip_parse(flat, at, &ip);
            if (at != v[i].len || !sound || (ip.proto == IP_TCP && !segment_parse(flat, &ip, &s)))
                abort();
        }
    }
    check(w);
}

static void feed(struct world *w, const uint8_t *packet, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, packet, len);
    if (w->kept == 64)
        settle(w);
    w->keep[w->kept++] = copy;
    if (ip6_is_from_to(copy, len, remote6, local6)) /* as the pump does */
        tcpip_input6(w->t, (mono_t){w->now}, copy, len, REMOTE, LOCAL);
    else
        tcpip_input(w->t, (mono_t){w->now}, copy, len);
}

/* A header from the peer, for a segment of IPv6. */
static const uint8_t *head6(uint8_t head[IP6_HEAD])
{
    ip6_template(head, remote6, local6, 0);
    return head;
}

/* A segment near a live connection's numbers, or a stray. */
static void segment(struct world *w)
{
    uint32_t which = take(w, 1);
    const struct conn *c = table_get(w->t, w->ref[which % CONNS]);
    struct segment s = {.src = REMOTE, .dst = LOCAL, .src_port = (uint16_t)(2000 + which % 8), .dst_port = 80};
    s.flags = (uint8_t)take(w, 1);
    int16_t seq = (int16_t)take(w, 2), ack = (int16_t)take(w, 2);
    if (c) {
        s.src = c->who.remote;
        s.dst = c->who.local;
        s.src_port = c->who.remote_port;
        s.dst_port = c->who.local_port;
    }
    uint8_t head[IP6_HEAD];
    s.ip6 = (c ? c->who.v6 : which >> 7) ? head6(head) : NULL;
    s.seq = (c ? (uint32_t)conn_rcv_nxt(c) : 0) + (uint32_t)(int32_t)seq;
    s.ack = (c ? (uint32_t)c->snd_nxt : 0) + (uint32_t)(int32_t)ack;
    s.window = (uint16_t)take(w, 2);
    uint32_t opts = take(w, 1);
    s.has_stamps = opts & 1;
    s.ts_val = (c ? c->ts_recent : 0) + (int8_t)take(w, 1);
    s.ts_ecr = (c ? conn_stamp(c, w->now) : 0) - (opts >> 4);
    s.sack_ok = opts & 2;
    s.has_wscale = opts & 4;
    s.wscale = (uint8_t)(opts >> 4);
    s.mss = s.flags & TH_SYN ? (uint16_t)take(w, 2) : 0;
    for (uint32_t n = opts >> 3 & 3; n && s.sacks < 3 && !s.mss; n--) {
        uint32_t start = take(w, 2), len = take(w, 2);
        s.sack[s.sacks].start = (c ? (uint32_t)c->snd_una : 0) + start - 1000;
        s.sack[s.sacks].end = s.sack[s.sacks].start + len;
        s.sacks++;
    }
    uint8_t packet[3000] = {0};
    s.len = take(w, 2) % 1500;
    uint8_t fill = (uint8_t)seq;
    uint8_t data[1500];
    memset(data, fill, sizeof(data));
    size_t head_len = segment_build(packet, &s, 1, ip_sum(data, s.len));
    memcpy(packet + head_len, data, s.len);
    feed(w, packet, head_len + s.len);
}

static void raw(struct world *w)
{
    size_t len = take(w, 1);
    if (len > (size_t)(w->end - w->at))
        len = (size_t)(w->end - w->at);
    uint8_t packet[256];
    memcpy(packet, w->at, len);
    w->at += len;
    ip_rewrite(packet, len, LOCAL, REMOTE);
    if (len >= IP6_HEAD && packet[0] >> 4 == 6) {
        memcpy(packet + IP6_SRC, remote6, 16);
        memcpy(packet + IP6_DST, local6, 16);
        ip_store16(packet + 4, (uint16_t)(len - IP6_HEAD));
    }
    feed(w, packet, len);
}

static void write_some(struct world *w, struct tcp_ref ref)
{
    struct iovec v[2];
    if (tcp_send_space(w->t, ref, v) == 0)
        return;
    size_t n = take(w, 2) % (v[0].iov_len + 1);
    memset(v[0].iov_base, 'x', n);
    tcp_send_commit(w->t, (mono_t){w->now}, ref, n, n & 1);
}

static void read_some(struct world *w, struct tcp_ref ref)
{
    struct iovec v[6];
    bool eof;
    size_t have = 0;
    int n = tcp_recv_spans(w->t, ref, v, 6, &eof);
    volatile uint8_t sum = 0;
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < v[i].iov_len; k++)
            sum += ((uint8_t *)v[i].iov_base)[k];
        have += v[i].iov_len;
    }
    tcp_recv_consume(w->t, (mono_t){w->now}, ref, have ? take(w, 2) % (have + 1) : 0);
}

static void events(struct world *w)
{
    struct tcpip_event e;
    while (tcpip_event(w->t, &e)) {
        if (e.kind != TCPIP_INCOMING)
            continue;
        if (take(w, 1) & 1) {
            tcp_accept(w->t, (mono_t){w->now}, e.ref);
            w->ref[w->next++ % CONNS] = e.ref;
        } else {
            tcp_refuse(w->t, (mono_t){w->now}, e.ref);
        }
    }
}

static void step(struct world *w)
{
    uint32_t op = take(w, 1);
    struct tcp_ref ref = w->ref[op >> 4 & 3];
    mono_t now = {w->now};
    switch (op & 15) {
    case 0:
        w->now += take(w, 3);
        tcpip_expire(w->t, (mono_t){w->now});
        break;
    case 1:
        write_some(w, ref);
        break;
    case 2:
        read_some(w, ref);
        break;
    case 3:
        tcp_send_eof(w->t, now, ref);
        break;
    case 4:
        (op & 0x80 ? tcp_close : tcp_abort)(w->t, now, ref);
        break;
    case 5:
        if (op & 0x80)
            tcp_connect6(w->t, now, LOCAL, local6, (uint16_t)take(w, 1), REMOTE, remote6, 80, &w->ref[w->next++ % CONNS]);
        else
            tcp_connect(w->t, now, LOCAL, (uint16_t)take(w, 1), REMOTE, 80, &w->ref[w->next++ % CONNS]);
        break;
    case 6:
        events(w);
        break;
    case 7:
        settle(w);
        output(w);
        break;
    case 8:
        raw(w);
        break;
    case 9:
        tcpip_set_path(w->t, REMOTE, take(w, 2), (uint16_t)take(w, 2));
        break;
    default:
        segment(w);
    }
    check(w);
}

static void handshake(struct world *w, int i)
{
    if (i == 1)
        tcp_connect6(w->t, (mono_t){w->now}, LOCAL, local6, 0, REMOTE, remote6, 80, &w->ref[i]);
    else
        tcp_connect(w->t, (mono_t){w->now}, LOCAL, 0, REMOTE, 80, &w->ref[i]);
    output(w);
    const struct conn *c = table_get(w->t, w->ref[i]);
    struct segment s = {.src = REMOTE, .dst = LOCAL, .src_port = 80, .dst_port = c->who.local_port, .seq = 0xffffff00,
        .ack = (uint32_t)c->iss + 1, .flags = TH_SYN | TH_ACK, .window = 60000, .has_stamps = i & 1, .ts_val = 5,
        .sack_ok = i != 2, .has_wscale = true, .mss = 1000};
    uint8_t packet[100], head[IP6_HEAD];
    s.ip6 = c->who.v6 ? head6(head) : NULL;
    feed(w, packet, segment_build(packet, &s, 1, 0));
    settle(w);
    output(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now = 5000000, .at = data, .end = data + size};
    struct tcpip_config c;
    struct tcpip_stats base, st;
    tcpip_config_default(&c);
    c.conns_max = 8;
    if (size & 1)
        c.recv_max = c.send_max = 6000;
    w.t = tcpip_new(&c);
    tcpip_stats(w.t, &base);
    for (int i = 0; i < 3; i++)
        handshake(&w, i);
    while (w.at < w.end)
        step(&w);
    settle(&w);
    output(&w);
    for (uint32_t i = 0; i < w.t->n_slots; i++) {
        if (w.t->slots[i].conn && !w.t->slots[i].conn->orphan)
            tcp_abort(w.t, (mono_t){w.now}, w.t->slots[i].conn->ref);
    }
    tcpip_set_path(w.t, REMOTE, 0, 0);
    for (int i = 0; i < 2000 && tcpip_deadline(w.t).us != UINT64_MAX; i++) {
        w.now = tcpip_deadline(w.t).us > w.now ? tcpip_deadline(w.t).us : w.now;
        tcpip_expire(w.t, (mono_t){w.now});
        output(&w);
    }
    tcpip_stats(w.t, &st);
    if (st.conns || st.time_wait || st.memory != base.memory)
        abort();
    tcpip_free(w.t);
    return 0;
}
