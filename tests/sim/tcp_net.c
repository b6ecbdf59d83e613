#include "tests/sim/tcp_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tcpip/ip.h"

#include "daemon/tcpip/ip6.h"

enum { BATCH = 64 };

static const uint8_t addr6[2][16] = {"\xfd\x69\x33\0\0zero", "\xfd\x69\x33\0\0one"};

struct net_packet {
    uint64_t at, serial;
    uint8_t *data;
    uint32_t len, to;
};

uint64_t net_random(struct net *n)
{
    uint64_t z = (n->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint32_t net_below(struct net *n, uint32_t bound)
{
    return bound ? (uint32_t)(net_random(n) % bound) : 0;
}

static bool net_chance(struct net *n, uint32_t ppm)
{
    return ppm && net_below(n, 1000000) < ppm;
}

void net_init(struct net *n, uint64_t seed, const struct tcpip_config *config, uint32_t flows)
{
    memset(n, 0, sizeof(*n));
    n->rng = seed;
    n->now = 1000000 + net_below(n, 1000000);
    for (int i = 0; i < 2; i++) {
        struct tcpip_config c;
        tcpip_config_default(&c);
        if (config)
            c = *config;
        for (size_t k = 0; k < sizeof(c.seed); k++)
            c.seed[k] = (uint8_t)net_random(n);
        n->t[i] = tcpip_new(&c);
        n->link[i] = (struct net_link){.delay = 1000, .queue = UINT64_MAX};
    }
    n->flows = flows;
    n->flow = calloc(flows ? flows : 1, sizeof(*n->flow));
    for (uint32_t i = 0; i < flows; i++) {
        n->flow[i].side[0].flow = n->flow[i].side[1].flow = &n->flow[i];
        n->flow[i].side[0].chunk = n->flow[i].side[1].chunk = 1 << 16;
        n->flow[i].key = net_random(n);
    }
    n->last_progress = n->now;
}

void net_free(struct net *n)
{
    for (int i = 0; i < 2; i++)
        tcpip_free(n->t[i]);
    for (uint32_t i = 0; i < n->n; i++)
        free(n->heap[i].data);
    free(n->heap);
    free(n->flow);
}

/* ---- the network ---- */

static bool packet_before(const struct net_packet *a, const struct net_packet *b)
{
    return a->at < b->at || (a->at == b->at && a->serial < b->serial);
}

static void net_push(struct net *n, struct net_packet p)
{
    if (n->n == n->cap) {
        n->cap = n->cap ? 2 * n->cap : 256;
        n->heap = realloc(n->heap, n->cap * sizeof(*n->heap));
    }
    uint32_t i = n->n++;
    p.serial = n->serial++;
    for (; i > 0 && packet_before(&p, &n->heap[(i - 1) / 2]); i = (i - 1) / 2)
        n->heap[i] = n->heap[(i - 1) / 2];
    n->heap[i] = p;
}

static struct net_packet net_pop(struct net *n)
{
    struct net_packet top = n->heap[0], last = n->heap[--n->n];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < n->n; i = child) {
        if (child + 1 < n->n && packet_before(&n->heap[child + 1], &n->heap[child]))
            child++;
        if (!packet_before(&n->heap[child], &last))
            break;
        n->heap[i] = n->heap[child];
    }
    n->heap[i] = last;
    return top;
}

static bool link_drops(struct net *n, struct net_link *l)
{
    if (n->now < l->burst_until || n->now < l->down_until)
        return true;
    if (net_chance(n, l->burst)) {
        l->burst_until = n->now + net_below(n, 2 * l->burst_len);
        return true;
    }
    return net_chance(n, l->loss);
}

/* With I3_TEST_TRACE set: a line for each packet on its way in. */
static void trace(const struct net *n, int from, const uint8_t *p, uint32_t len, const char *what)
{
    uint32_t head = p[0] >> 4 == 6 ? IP6_HEAD : IP_HEAD;
    if (!getenv("I3_TEST_TRACE") || len < head + 20 || p[head == IP6_HEAD ? 6 : 9] != IP_TCP)
        return;
    const uint8_t *tcp = p + head;
    uint32_t seq = (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
    uint32_t ack = (uint32_t)tcp[8] << 24 | (uint32_t)tcp[9] << 16 | (uint32_t)tcp[10] << 8 | tcp[11];
    fprintf(stderr, "%10.6f %d> %u seq %u ack %u win %u flags %02x len %u%s\n", (double)n->now / 1e6, from,
        tcp[0] << 8 | tcp[1], seq, ack, (unsigned)(tcp[14] << 8 | tcp[15]), tcp[13], len - head - (tcp[12] >> 4) * 4u, what);
}

/* When the host at the end of the link will read what arrives at `at`; 0: its socket is full. */
static uint64_t socket_takes(struct net_link *l, uint64_t at, uint32_t len)
{
    uint64_t turn = at / l->service + 1;
    if (turn != l->service_at) {
        l->service_at = turn;
        l->in_socket = 0;
    }
    l->in_socket += len;
    return l->in_socket > l->socket ? 0 : turn * l->service;
}

/* Such as some routers do to what says ECT, or to what is too large for them. */
static bool link_swallows(const struct net_link *l, const uint8_t *data, uint32_t len)
{
    return (l->drops_ect && ip_ecn(data) != ECN_NOT) || (l->mtu && len > l->mtu);
}

static void link_carry(struct net *n, int from, uint8_t *data, uint32_t len)
{
    struct net_link *l = &n->link[from];
    uint64_t out = n->now;
    l->packets++;
    if (link_swallows(l, data, len)) {
        l->lost++;
        trace(n, from, data, len, " swallowed");
        return;
    }
    if (ip_ecn(data) == ECN_ECT0 && (net_chance(n, l->mark) || (l->mark_at && l->rate && l->free_at > n->now * 1000 &&
                                           (l->free_at - n->now * 1000) / 1000 * l->rate / 1000000 > l->mark_at))) {
        ip_take_ecn(data, len, ECN_CE);
        l->marked++;
    }
    if (l->rate) {
        uint64_t now = n->now * 1000, begin = l->free_at > now ? l->free_at : now;
        if ((begin - now) / 1000 * l->rate / 1000000 > l->queue) {
            l->overflowed++;
            trace(n, from, data, len, " overflow");
            return;
        }
        l->free_at = begin + (uint64_t)(len + l->overhead) * 1000000000 / l->rate;
        out = l->free_at / 1000;
    }
    if (link_drops(n, l)) {
        l->lost++;
        trace(n, from, data, len, " lost");
        return;
    }
    trace(n, from, data, len, "");
    int copies = 1 + net_chance(n, l->duplicate);
    for (int i = 0; i < copies; i++) {
        uint64_t at = out + l->delay + (l->jitter ? net_random(n) % l->jitter : 0);
        if (net_chance(n, l->reorder))
            at += l->reorder_by ? net_random(n) % l->reorder_by : 0;
        if (l->socket && !(at = socket_takes(l, at, len))) {
            l->spilt++;
            trace(n, from, data, len, " spilt");
            continue;
        }
        struct net_packet p = {.at = at, .data = malloc(len), .len = len, .to = (uint32_t)!from};
        memcpy(p.data, data, len);
        if (net_chance(n, l->corrupt))
            p.data[net_below(n, len)] ^= (uint8_t)(1 + net_below(n, 255));
        net_push(n, p);
    }
}

static void host_output(struct net *n, int host)
{
    static struct tcpip_packet v[BATCH];
    uint32_t src, dst;
    size_t got;
    while ((got = tcpip_output(n->t[host], (mono_t){n->now}, v, BATCH, &src, &dst)) > 0) {
        for (size_t i = 0; i < got; i++) {
            uint8_t flat[65536];
            memcpy(flat, v[i].head, v[i].head_len);
            size_t at = v[i].head_len;
            for (int k = 0; k < 2; at += v[i].body[k].iov_len, k++) {
                if (v[i].body[k].iov_len)
                    memcpy(flat + at, v[i].body[k].iov_base, v[i].body[k].iov_len);
            }
            if (at != v[i].len)
                n->error = "a packet's length is not that of its parts";
            link_carry(n, host, flat, (uint32_t)at);
        }
    }
}

/* ---- the programs ---- */

/* A pattern in which every position looks different: 8 bytes from a hash of their place. */
static void pattern(uint64_t key, uint64_t at, uint8_t *out, size_t len)
{
    while (len) {
        uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15ull ^ key;
        x ^= x >> 29;
        x *= 0xbf58476d1ce4e5b9ull;
        x ^= x >> 32;
        size_t skip = at % 8, n = 8 - skip < len ? 8 - skip : len;
        memcpy(out, (uint8_t *)&x + skip, n);
        out += n;
        at += n;
        len -= n;
    }
}

static uint64_t side_key(const struct net_flow *f, int side)
{
    return f->key + (uint64_t)side * 0x1234567;
}

static void side_write(struct net *n, int host, struct net_side *s)
{
    struct iovec v[2];
    while (s->open && !s->eof_sent && s->written < s->total) {
        int k = tcp_send_space(n->t[host], s->ref, v);
        if (k == 0)
            return;
        uint64_t most = s->total - s->written < s->chunk ? s->total - s->written : s->chunk, put = 0;
        for (int i = 0; i < k && put < most; i++) {
            size_t len = v[i].iov_len < most - put ? v[i].iov_len : most - put;
            if (!n->bulk)
                pattern(side_key(s->flow, host), s->written + put, v[i].iov_base, len);
            put += len;
        }
        s->written += put;
        tcp_send_commit(n->t[host], (mono_t){n->now}, s->ref, put, s->written == s->total || net_below(n, 4) == 0);
    }
    if (s->open && !s->eof_sent && s->written == s->total) {
        s->eof_sent = true;
        tcp_send_eof(n->t[host], (mono_t){n->now}, s->ref);
    }
}

static void side_check(struct net *n, int host, struct net_side *s, const uint8_t *data, size_t len)
{
    uint8_t want[4096];
    if (n->bulk) {
        s->got += len;
        len = 0;
    }
    while (len) {
        size_t step = len < sizeof(want) ? len : sizeof(want);
        pattern(side_key(s->flow, !host), s->got, want, step);
        if (memcmp(want, data, step) != 0)
            n->error = "bytes differ from what was sent";
        s->got += step;
        data += step;
        len -= step;
    }
    s->last_got = n->now;
}

static void note_progress(struct net *n)
{
    if (n->now - n->last_progress > n->worst_stall)
        n->worst_stall = n->now - n->last_progress;
    n->last_progress = n->now;
}

static void side_read(struct net *n, int host, struct net_side *s)
{
    if (s->asleep)
        return;
    if (s->pace && n->now < s->resume_at) {
        s->paused = true;
        return;
    }
    s->paused = false;
    for (;;) {
        struct iovec v[5];
        bool eof;
        int k = tcp_recv_spans(n->t[host], s->ref, v, 1 + (int)net_below(n, 5), &eof);
        size_t take = 0;
        for (int i = 0; i < k; i++)
            take += v[i].iov_len;
        if (take && s->pace)
            take = 1 + net_below(n, (uint32_t)take);
        size_t left = take;
        for (int i = 0; i < k && left; i++) {
            size_t len = v[i].iov_len < left ? v[i].iov_len : left;
            side_check(n, host, s, v[i].iov_base, len);
            left -= len;
        }
        if (take || (eof && !s->eof_got))
            note_progress(n);
        if (eof && !k)
            s->eof_got = true;
        if (!take)
            return;
        tcp_recv_consume(n->t[host], (mono_t){n->now}, s->ref, take);
        if (s->pace) {
            s->paused = true;
            s->resume_at = n->now + 1 + net_random(n) % (2 * s->pace);
            return;
        }
    }
}

static void host_incoming(struct net *n, int host, const struct tcpip_event *e)
{
    if (n->refuse) {
        tcp_refuse(n->t[host], (mono_t){n->now}, e->ref);
        return;
    }
    for (uint32_t i = 0; i < n->flows; i++) { /* the flow is known by the client's port */
        struct net_side *c = &n->flow[i].side[!host];
        uint32_t a, b;
        uint16_t port, other;
        if (!c->open || n->flow[i].side[host].open || !tcp_names(n->t[!host], c->ref, &a, &port, &b, &other) ||
            port != e->remote_port || n->flow[i].v6 != e->v6)
            continue;
        struct net_side *s = &n->flow[i].side[host];
        s->ref = e->ref;
        s->open = true;
        n->accepted++;
        tcp_set_user(n->t[host], e->ref, i + 1);
        tcp_accept(n->t[host], (mono_t){n->now}, e->ref);
        return;
    }
    tcp_refuse(n->t[host], (mono_t){n->now}, e->ref); /* an old duplicate of a SYN */
}

static void host_events(struct net *n, int host)
{
    struct tcpip_event e;
    while (tcpip_event(n->t[host], &e)) {
        if (e.kind == TCPIP_INCOMING) {
            host_incoming(n, host, &e);
            continue;
        }
        if (e.user == 0 || e.user > n->flows)
            continue;
        struct net_side *s = &n->flow[e.user - 1].side[host];
        switch (e.kind) {
        case TCPIP_CONNECTED:
            s->connected = true;
            side_write(n, host, s);
            break;
        case TCPIP_READABLE:
            side_read(n, host, s);
            break;
        case TCPIP_WRITABLE:
            side_write(n, host, s);
            break;
        case TCPIP_FAILED:
            s->failed = true;
            s->err = e.err;
            s->open = false;
            break;
        case TCPIP_CLOSED:
            s->closed = true;
            s->open = false;
            break;
        case TCPIP_INCOMING:
        case TCPIP_ECHO_REPLY:
            break;
        }
    }
}

void net_connect(struct net *n, uint32_t i, uint64_t up, uint64_t down)
{
    struct net_flow *f = &n->flow[i];
    f->side[0].total = up;
    f->side[1].total = down;
    f->start = n->now;
    f->v6 = n->mix6 && f->key & 1;
    int err = f->v6 ? tcp_connect6(n->t[0], (mono_t){n->now}, NET_ADDR_0, addr6[0], 0, NET_ADDR_1, addr6[1], NET_PORT,
                          &f->side[0].ref)
                    : tcp_connect(n->t[0], (mono_t){n->now}, NET_ADDR_0, 0, NET_ADDR_1, NET_PORT, &f->side[0].ref);
    if (err) {
        n->error = "no connection could be begun";
        return;
    }
    f->side[0].open = true;
    tcp_set_user(n->t[0], f->side[0].ref, i + 1);
    side_write(n, 0, &f->side[0]);
    host_output(n, 0);
}

void net_wake(struct net *n, uint32_t i, int side)
{
    n->flow[i].side[side].asleep = false;
    side_read(n, side, &n->flow[i].side[side]);
    host_events(n, side);
    host_output(n, side);
}

/* ---- time ---- */

static uint64_t next_time(struct net *n)
{
    uint64_t at = n->n ? n->heap[0].at : UINT64_MAX;
    for (int h = 0; h < 2; h++) {
        uint64_t d = tcpip_deadline(n->t[h]).us;
        at = d < at ? d : at;
    }
    for (uint32_t i = 0; i < n->flows; i++) {
        for (int h = 0; h < 2; h++) {
            const struct net_side *s = &n->flow[i].side[h];
            if (s->paused && s->open && s->resume_at < at)
                at = s->resume_at;
        }
    }
    return at;
}

/* As the pump does: an IPv6 packet reaches the engine only when its addresses are the two hosts'. */
static void host_input(struct net *n, int host, const uint8_t *data, uint32_t len)
{
    static const uint32_t handle[2] = {NET_ADDR_0, NET_ADDR_1};
    if (ip6_is_from_to(data, len, addr6[!host], addr6[host]))
        tcpip_input6(n->t[host], (mono_t){n->now}, data, len, handle[!host], handle[host]);
    else
        tcpip_input(n->t[host], (mono_t){n->now}, data, len);
}

static void host_turn(struct net *n, int host)
{
    size_t batch = 0;
    tcpip_expire(n->t[host], (mono_t){n->now});
    while (n->n && n->heap[0].at <= n->now && (int)n->heap[0].to == host && batch < 256) {
        struct net_packet p = net_pop(n);
        n->batch[batch++] = p.data;
        host_input(n, host, p.data, p.len);
    }
    host_events(n, host);
    tcpip_settle(n->t[host], (mono_t){n->now});
    for (size_t i = 0; i < batch; i++) {
        memset(n->batch[i], 0xee, 20);
        free(n->batch[i]);
    }
    for (uint32_t i = 0; i < n->flows; i++) {
        struct net_side *s = &n->flow[i].side[host];
        if (s->paused && s->open && s->resume_at <= n->now)
            side_read(n, host, s);
    }
    host_events(n, host);
    host_output(n, host);
}

bool net_step(struct net *n, uint64_t until)
{
    uint64_t at = next_time(n);
    if (at > until) {
        n->now = until;
        return false;
    }
    if (at > n->now)
        n->now = at;
    host_turn(n, 0);
    host_turn(n, 1);
    return true;
}

/* Seven SYNs in a row were lost: on a bad enough network that happens, and nobody else knows of it. */
static bool flow_never_was(const struct net_flow *f)
{
    return f->side[0].failed && f->side[0].err == ETIMEDOUT && !f->side[0].connected && !f->side[1].connected;
}

static bool flow_over(const struct net_flow *f)
{
    if (flow_never_was(f) && !f->side[1].open)
        return true;
    for (int h = 0; h < 2; h++) {
        if (!f->side[h].closed && !f->side[h].failed)
            return false;
    }
    return true;
}

bool net_run(struct net *n, uint64_t until)
{
    for (uint32_t done = 0; done < n->flows;) {
        while (done < n->flows && flow_over(&n->flow[done]))
            done++;
        if (done == n->flows)
            break;
        if (n->error || !net_step(n, until))
            return false;
    }
    return true;
}

bool net_all_well(struct net *n)
{
    for (uint32_t i = 0; i < n->flows && !n->error; i++) {
        for (int h = 0; h < 2; h++) {
            const struct net_side *s = &n->flow[i].side[h], *o = &n->flow[i].side[!h];
            if (flow_never_was(&n->flow[i]))
                continue;
            /* that its FIN was acknowledged one side may never learn: the last ACK is lost each time, until TIME_WAIT ends */
            bool done = s->eof_got && s->got == o->total && o->got == s->total && o->closed;
            if (s->failed && !(done && (s->err == ETIMEDOUT || s->err == ECONNRESET)))
                n->error = "a connection failed";
            else if (s->got != o->total)
                n->error = "not every byte arrived";
            else if (!s->closed && !s->failed)
                n->error = "a connection did not close";
        }
    }
    return !n->error;
}
