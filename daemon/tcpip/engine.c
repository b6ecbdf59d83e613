/* Packets in and out, statistics. */
#include "daemon/tcpip/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/crypto.h"
#include "include/bytes.h"

enum { MTU_MIN = 576, RECV_MAX_MAX = 1 << 30, MEMORY_MIN = 1 << 20 };

void tcpip_config_default(struct tcpip_config *c)
{
    *c = (struct tcpip_config){
        .mtu = 1400,
        .send_max = 32u << 20,
        .recv_max = 32u << 20,
        .memory_max = 256u << 20,
        .ecn = true,
        .conns_max = 65536,
        .port_lo = 32768,
        .port_hi = 60999,
        .time_wait_us = 60 * USEC_PER_SEC,
        .ride_us = 300,
        .keepalive_us = 7200 * USEC_PER_SEC,
    };
}

static void config_clamp(struct tcpip_config *c)
{
    if (c->mtu < MTU_MIN)
        c->mtu = MTU_MIN;
    if (c->recv_max > RECV_MAX_MAX)
        c->recv_max = RECV_MAX_MAX;
    if (c->recv_max < 4096)
        c->recv_max = 4096;
    if (c->send_max > RECV_MAX_MAX)
        c->send_max = RECV_MAX_MAX;
    if (c->send_max < 4096)
        c->send_max = 4096;
    if (c->port_hi < c->port_lo)
        c->port_hi = c->port_lo;
    if (c->memory_max < MEMORY_MIN)
        c->memory_max = MEMORY_MIN;
    if (!c->conns_max)
        c->conns_max = 1;
}

struct tcpip *tcpip_new(const struct tcpip_config *config)
{
    struct tcpip *t = calloc(1, sizeof(*t));
    struct raw *raw = calloc(RAW_MAX, sizeof(*raw));
    if (!t || !raw) {
        free(t);
        free(raw);
        return NULL;
    }
    t->raw = raw;
    t->cfg = *config;
    config_clamp(&t->cfg);
    t->free_slot = UINT32_MAX;
    t->memory = sizeof(*t) + RAW_MAX * sizeof(*raw);
    list_init(&t->active);
    list_init(&t->batch);
    list_init(&t->events);
    list_init(&t->tw_order);
    list_init(&t->tw_room);
    struct drbg d;
    drbg_init(&d, config->seed);
    drbg_draw(&d, &t->key, sizeof(t->key));
    drbg_draw(&d, &t->isn_key, sizeof(t->isn_key));
    t->random = drbg_u64(&d);
    crypto_wipe(&d, sizeof(d));
    crypto_wipe(t->cfg.seed, sizeof(t->cfg.seed));
    return t;
}

static void raw_bodies_free(struct tcpip *t)
{
    while (t->raw_bodies)
        free(t->raw_body[--t->raw_bodies]);
}

void tcpip_free(struct tcpip *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n_slots; i++) {
        struct conn *c = t->slots[i].conn;
        if (!c)
            continue;
        c->orphan = true;
        if (c->state != ST_CLOSED) {
            conn_fail(t, c, 0);
        } else {
            event_drop(c);
            receive_release(t, c);
            table_free(t, c);
        }
    }
    table_trim(t);
    table_release(t);
    raw_bodies_free(t);
    for (uint32_t i = 0; i < t->raw_n; i++)
        free(t->raw[(t->raw_first + i) % RAW_MAX].body);
    free(t->raw);
    crypto_wipe(t, sizeof(*t));
    free(t);
}

void tcpip_input(struct tcpip *t, mono_t now, const uint8_t *packet, size_t len)
{
    struct ip_header ip;
    conn_now(t, now);
    t->stats.in_packets++;
    if (!ip_parse(packet, len, &ip)) {
        t->stats.in_bad++;
        return;
    }
    if (ip.proto == IP_TCP)
        input_tcp(t, packet, &ip);
    else if (ip.proto == IP_ICMP)
        icmp_input(t, packet, &ip);
    else
        t->stats.in_unknown++;
}

void tcpip_input6(struct tcpip *t, mono_t now, const uint8_t *packet, size_t len, uint32_t src, uint32_t dst)
{
    struct ip_header ip = {.src = src, .dst = dst};
    conn_now(t, now);
    t->stats.in_packets++;
    if (!ip6_parse(packet, len, &ip)) {
        t->stats.in_bad++;
        return;
    }
    if (ip.proto == IP_TCP)
        input_tcp(t, packet, &ip);
    else if (ip.proto == IP6_ICMP)
        icmp6_input(t, packet, &ip);
    else
        t->stats.in_unknown++;
}

struct tcpip_calm tcpip_calm(struct tcpip *t)
{
    struct tcpip_calm calm = t->calm;
    t->calm = (struct tcpip_calm){0};
    return calm;
}

void tcpip_settle(struct tcpip *t, mono_t now)
{
    conn_now(t, now);
    for (struct link *l; (l = list_first(&t->batch));)
        receive_settle(t, LIST_OWNER(l, struct conn, on_batch));
}

/* A run of those waiting which go from one host to one other. */
static size_t take_raw(struct tcpip *t, struct tcpip_packet *v, size_t max, uint32_t *src, uint32_t *dst)
{
    size_t n = 0;
    while (t->raw_n && n < max) {
        struct raw *r = &t->raw[t->raw_first];
        if (n && (r->src != *src || r->dst != *dst))
            break;
        *src = r->src;
        *dst = r->dst;
        struct tcpip_packet *p = &v[n++];
        memcpy(p->head, r->head, r->head_len);
        p->head_len = r->head_len;
        p->len = (uint16_t)(r->head_len + r->body_len);
        p->body[0] = (struct iovec){r->body, r->body_len};
        p->body[1] = (struct iovec){NULL, 0};
        if (r->body)
            t->raw_body[t->raw_bodies++] = r->body;
        t->raw_first = (t->raw_first + 1) % RAW_MAX;
        t->raw_n--;
    }
    return n;
}

static void count_out(struct tcpip *t, const struct tcpip_packet *v, size_t n)
{
    t->stats.out_packets += n;
    for (size_t i = 0; i < n; i++)
        t->stats.out_bytes += (uint64_t)(v[i].len - v[i].head_len);
}

/* Connections take turns: what is not done after `max` packets goes to the end of the queue. */
size_t tcpip_output(struct tcpip *t, mono_t now, struct tcpip_packet *v, size_t max, uint32_t *src, uint32_t *dst)
{
    conn_now(t, now);
    raw_bodies_free(t);
    size_t n = max ? take_raw(t, v, max, src, dst) : 0;
    for (struct link *l; !n && max && (l = list_first(&t->active));) {
        struct conn *c = LIST_OWNER(l, struct conn, on_active);
        bool more;
        list_remove(l);
        n = output_conn(t, c, v, max, &more);
        if (more)
            list_add(&t->active, l);
        *src = c->who.local;
        *dst = c->who.remote;
    }
    count_out(t, v, n);
    return n;
}

int tcpip_set_via(struct tcpip *t, uint32_t remote, uint32_t via)
{
    struct path *p = path_get(t, remote, false);
    if (remote == via || (p && p->remote == remote && p->n_conns))
        return -EBUSY;
    for (struct link *l = p ? p->conns.next : NULL; p && l != &p->conns; l = l->next)
        if (LIST_OWNER(l, struct conn, on_path)->who.remote == remote)
            return -EBUSY;
    return path_set_via(t, remote, via) ? 0 : -ENOMEM;
}

/* The path may be that of a host with others behind it: who asks for one of these means no more than that. */
static bool is_about(const struct path *p, uint32_t remote, const struct conn *c)
{
    return p->remote == remote || c->who.remote == remote;
}

void tcpip_fail_remote(struct tcpip *t, mono_t now, uint32_t remote, int err, bool all)
{
    conn_now(t, now);
    struct path *p = path_get(t, remote, false);
    if (!p)
        return;
    p->users++; /* it must outlast its connections here */
    for (struct link *l = p->conns.next, *next; l != &p->conns; l = next) {
        struct conn *c = LIST_OWNER(l, struct conn, on_path);
        next = l->next;
        if (is_about(p, remote, c) && (all || !conn_synced(c)))
            conn_fail(t, c, err);
    }
    path_put(t, p);
}

void tcpip_fail_opening(struct tcpip *t, mono_t now, uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port, int err)
{
    conn_now(t, now);
    for (int v6 = 0; v6 < 2; v6++) {
        struct conn *c = table_find(t, &(struct tuple){local, remote, local_port, remote_port, v6});
        if (c && c->state == ST_SYN_SENT)
            conn_fail(t, c, err);
    }
}

bool tcpip_has_remote(struct tcpip *t, uint32_t remote)
{
    const struct path *p = path_get(t, remote, false);
    return p && p->n_conns;
}

unsigned tcpip_reset_orphans(struct tcpip *t, mono_t now, uint32_t remote, bool (*barred)(void *ctx, uint32_t local, uint16_t port), void *ctx)
{
    conn_now(t, now);
    struct path *p = path_get(t, remote, false);
    unsigned n = 0;
    if (!p)
        return 0;
    p->users++;
    for (struct link *l = p->conns.next, *next; l != &p->conns; l = next) {
        struct conn *c = LIST_OWNER(l, struct conn, on_path);
        next = l->next;
        if (!is_about(p, remote, c) || !c->orphan || !c->announced || c->state == ST_CLOSED || !barred(ctx, c->who.local, c->who.local_port))
            continue;
        conn_reset(t, c, ECONNABORTED);
        n++;
    }
    path_put(t, p);
    return n;
}

void tcpip_revive(struct tcpip *t, mono_t now, uint32_t remote)
{
    conn_now(t, now);
    struct path *p = path_get(t, remote, false);
    if (!p)
        return;
    for (struct link *l = p->conns.next; l != &p->conns; l = l->next) {
        struct conn *c = LIST_OWNER(l, struct conn, on_path);
        if (!is_about(p, remote, c))
            continue;
        if (c->rexmit == REXMIT_PERSIST && c->persist_backoff)
            timer_set(t, c, TIMER_REXMIT, t->now);
        else
            recovery_narrowed(t, c);
    }
}

void tcpip_ask_remote(struct tcpip *t, mono_t now, uint32_t remote)
{
    conn_now(t, now);
    struct path *p = path_get(t, remote, false);
    if (!p)
        return;
    for (struct link *l = p->conns.next; l != &p->conns; l = l->next) {
        struct conn *c = LIST_OWNER(l, struct conn, on_path);
        if (!is_about(p, remote, c))
            continue;
        if (c->state == ST_SYN_SENT)
            timer_set(t, c, TIMER_REXMIT, t->now);
        if (!conn_synced(c))
            continue;
        c->probe_due = true;
        conn_activate(t, c);
    }
}

void tcpip_replace_remote(struct tcpip *t, mono_t now, uint32_t remote, int err)
{
    conn_now(t, now);
    struct path *p = path_get(t, remote, false);
    if (!p)
        return;
    p->users++;
    for (struct link *l = p->conns.next, *next; l != &p->conns; l = next) {
        struct conn *c = LIST_OWNER(l, struct conn, on_path);
        next = l->next;
        if (!is_about(p, remote, c))
            continue;
        if (c->state != ST_SYN_SENT)
            conn_fail(t, c, err);
        else
            timer_set(t, c, TIMER_REXMIT, t->now);
    }
    path_put(t, p);
}

static void path_set_mss(struct tcpip *t, struct conn *c)
{
    uint32_t before = c->mss;
    conn_set_mss(t, c);
    if (c->mss < before)
        recovery_narrowed(t, c);
}

void tcpip_set_path(struct tcpip *t, uint32_t remote, uint32_t flight_max, uint16_t mtu)
{
    if (t->n_paths >= PATHS_MAX && !path_get(t, remote, false))
        return;
    struct path *p = path_get(t, remote, true);
    if (!p)
        return;
    p->flight_max = flight_max;
    p->mtu = mtu && mtu < MTU_MIN ? MTU_MIN : mtu;
    for (struct link *l = p->conns.next; l != &p->conns; l = l->next)
        path_set_mss(t, LIST_OWNER(l, struct conn, on_path));
    path_wake(t, p);
    path_put(t, p);
}

void tcpip_stats(const struct tcpip *t, struct tcpip_stats *out)
{
    *out = t->stats;
    out->conns = t->conns;
    out->half_open = t->half_open;
    out->time_wait = t->n_tw;
    out->memory = t->memory;
    out->memory_max = t->cfg.memory_max;
}

static uint32_t fit32(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

bool tcpip_next(const struct tcpip *t, uint32_t *cursor, struct tcp_info_row *row)
{
    while (*cursor < t->n_slots && !t->slots[*cursor].conn)
        ++*cursor;
    if (*cursor >= t->n_slots)
        return false;
    const struct conn *c = t->slots[(*cursor)++].conn;
    *row = (struct tcp_info_row){.ref = c->ref, .v6 = c->who.v6, .local = c->who.local, .remote = c->who.remote,
        .local_port = c->who.local_port, .remote_port = c->who.remote_port, .state = conn_state_name(c), .law = c->cc.law->name,
        .srtt_us = c->rto.srtt, .rto_us = rto_value(&c->rto), .cwnd = fit32(c->cc.cwnd),
        .ssthresh = fit32(c->cc.ssthresh), .flight = fit32(c->snd_nxt - c->snd_una), .mss = c->mss,
        .send_queued = fit32(c->snd_end - c->snd_una), .recv_queued = fit32(c->in_end - c->rd),
        .peer_window = fit32(c->snd_wnd), .bytes_in = c->bytes_in, .bytes_out = c->bytes_out,
        .retransmits = c->retransmits};
    return true;
}
