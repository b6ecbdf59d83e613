#include "daemon/pump/impl.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/pages.h"
#include "daemon/io/routes.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/box.h"
#include "daemon/pump/claims.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/lookup.h"
#include "daemon/pump/policy.h"
#include "daemon/pump/portal.h"
#include "daemon/pump/reload.h"
#include "daemon/base/secret.h"

enum { NODE_CHECK_US = 1000000, TRIM_CHECK_US = 500000, TRIM_WORTH = 512 << 10, LITTLE = 1200 };

/* A wait of 1/64 of the shortest RTT, where that is worth a system call; not when a turn moves that many bytes already. */
enum { GATHER_SHARE = 64, GATHER_MIN_US = 100, GATHER_MAX_US = 500, GATHER_ENOUGH = 32768 };

/* ---- turns ---- */

static mono_t next_deadline(const struct pump *p)
{
    mono_t at = mono_add(p->now, NODE_CHECK_US);
    at = mono_min(at, tcpip_deadline(p->tcpip));
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        at = mono_min(at, overlay_deadline(o));
    at = mono_min(at, mono_min(pool_deadline(p->pool), mono_min(state_deadline(p), drop_deadline(p))));
    at = mono_min(at, mono_min(flow_deadline(p), anon_deadline(p)));
    at = mono_min(at, reload_deadline(p));
    at = mono_min(at, dgram_deadline(p));
    at = mono_min(at, box_deadline(p));
    at = mono_min(at, mono_min(door_deadline(p), mono_min(gateway_deadline(p), mono_min(strangers_deadline(p), portal_deadline(p)))));
    at = mono_min(at, mono_min(share_deadline(p), rotation_deadline(p)));
    return mono_min(at, mono_min(ping_deadline(p), lookup_deadline(p)));
}

/* The timer is set anew only for an earlier deadline: one that comes too soon costs a turn, not a system call per turn. */
static void arm_timer(struct pump *p)
{
    mono_t at = next_deadline(p);
    if (p->timer_at.us <= at.us && p->timer_at.us > p->now.us)
        return;
    uint64_t us = at.us ? at.us : 1;
    struct itimerspec ts = {.it_value = {(time_t)(us / USEC_PER_SEC), (long)(us % USEC_PER_SEC) * 1000}};
    timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &ts, NULL);
    p->timer_at = at;
}

/* Buffers of connections that rest are freed, but scattered over the heap: what the C library keeps of it goes back to the
 * system when it is worth the call, and with it the code that only the burst has used. */
static void trim_memory(struct pump *p)
{
    struct tcpip_stats st;
    if (!mono_due(p->trim_at, p->now))
        return;
    p->trim_at = mono_add(p->now, TRIM_CHECK_US);
    tcpip_stats(p->tcpip, &st);
    if (st.memory > p->memory_peak)
        p->memory_peak = st.memory;
    if (p->memory_peak - st.memory < TRIM_WORTH)
        return;
    malloc_trim(0);
    pages_forget();
    p->memory_peak = st.memory;
}

static void expire(struct pump *p)
{
    trim_memory(p);
    move_turn(p);
    drop_turn(p);
    if (mono_due(tcpip_deadline(p->tcpip), p->now))
        tcpip_expire(p->tcpip, p->now);
    if (mono_due(pool_deadline(p->pool), p->now))
        pool_expire(p->pool, p->now);
    if (mono_due(flow_deadline(p), p->now))
        flow_expire(p);
    if (mono_due(ping_deadline(p), p->now))
        ping_expire(p);
    reload_expire(p);
    dgram_expire(p);
    door_expire(p);
    box_turn(p);
    gateway_turn(p);
    share_turn(p);
    access_settle(p);
    strangers_turn(p);
    rotation_turn(p);
    portal_turn(p);
    dns_expire(p);
    lookup_turn(p);
    state_turn(p);
    anon_turn(p);
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        overlay_turn(o);
}

static void on_idle(uv_idle_t *idle)
{
    pump_turn(idle->data);
}

/* The clocks are read once a turn and once a request, not per packet. */
void pump_clock(struct pump *p)
{
    p->now = mono_now();
    p->wall = wall_now_us();
}

void pump_turn(struct pump *p)
{
    int rounds = 0;
    bool more;
    do {
        pump_clock(p);
        more = false;
        for (struct overlay *o = NULL; (o = overlay_each(p, o));)
            more |= overlay_recv(o);
        dgram_flush(p);
        more |= dgram_read(p);
        flow_events(p);
        tcpip_settle(p->tcpip, p->now);
        expire(p);
        net_peer_events(p);
        flow_events(p);
        net_output(p);
        net_peer_events(p);
    } while (more && ++rounds < PUMP_ROUNDS);
    if (p->trace)
        trace_turn(p);
    if (more)
        uv_idle_start(&p->idle, on_idle);
    else
        uv_idle_stop(&p->idle);
    arm_timer(p);
}

/* A stream which drips in packet by packet costs a wake-up for each. Where all that came belongs to connections whose RTT makes
 * the wait small, the next packets gather for a moment before we look again. Nothing else may have come: talk in small
 * messages, datagrams and handshakes never wait. */
static void gather(struct pump *p, uint64_t came)
{
    struct tcpip_calm calm = tcpip_calm(p->tcpip);
    uint32_t us = calm.rtt_us / GATHER_SHARE;
    if (!calm.segments || calm.segments != came || us < GATHER_MIN_US)
        return;
    struct timespec wait = {.tv_nsec = 1000 * (long)(us < GATHER_MAX_US ? us : GATHER_MAX_US)};
    nanosleep(&wait, NULL);
}

static bool at_hand(const struct pump *p)
{
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        if (overlay_pending(o))
            return true;
    return false;
}

/* True when little was moved: a talk in small messages, the next of which may come at once. */
static bool after_events(void *ctx)
{
    struct pump *p = ctx;
    uint64_t before, packets, moved, packets_now;
    link_traffic(p, &before, &packets);
    pump_turn(p);
    link_traffic(p, &moved, &packets_now);
    moved -= before;
    if (at_hand(p) || moved >= GATHER_ENOUGH)
        return false;
    if (moved >= LITTLE)
        gather(p, packets_now - packets);
    return moved < LITTLE;
}

static void on_timer(void *ctx, uint32_t events)
{
    struct pump *p = ctx;
    uint64_t times;
    (void)events;
    if (read(p->timer_fd, &times, sizeof(times)) > 0)
        p->timer_at = MONO_NEVER;
}

/* ---- start ---- */

/* A peer may sleep for so long without losing its connections; its virtual address is its own as long. */
#define PEER_AWAY_US (7200ull * 1000000)


static bool key_known(void *ctx, const uint8_t key[KEY_LEN])
{
    struct overlay *o = ctx;
    return names_may_talk(o->p, key) && overlay_may_have(o, key);
}

static void boxes_named(void *ctx, struct peer *peer, const struct peer_boxes *theirs)
{
    struct overlay *o = ctx;
    struct side *s = o->sides;
    while (s && peer_by_key(s->peers, peer_key(peer)) != peer)
        s = s->next;
    if (s && !s->retired)
        box_named(s, peer, theirs);
}

static struct peer *key_meet(void *ctx, const uint8_t key[KEY_LEN])
{
    struct overlay *o = ctx;
    return strangers_meet(o->sides, key);
}

static void exclude_route(void *ctx, uint32_t network, unsigned bits)
{
    struct pump *p = ctx;
    bool inside = pool_contains(p->pool, network) && bits >= p->config.network_bits;
    if (inside && pool_exclude(p->pool, network, bits) < 0)
        log_warn("pool exclude network=%08x/%u failed", network, bits);
}

static void draw_seed(struct pump *p, uint8_t seed[32])
{
    drbg_draw(&p->random, seed, 32);
}

static int start_names(struct pump *p, char *why, size_t whylen)
{
    uint8_t seed[32];
    draw_seed(p, seed);
    p->pool = pool_new(p->config.network, p->config.network_bits, seed);
    p->book = book_new();
    p->groups = groups_new();
    p->access = access_new();
    if (!p->pool || !p->book || !p->groups || !p->access || strangers_start(p) < 0)
        return -ENOMEM;
    int err = routes_each(exclude_route, p);
    if (err)
        log_warn("routes cannot be read err=%d: virtual addresses may hide real ones", err);
    err = state_load_mappings(p, why, whylen);
    if (err)
        return err;
    p->own = pool_get(p->pool, p->now, p->identity.pub);
    pool_pin(p->pool, p->identity.pub, true);
    pool_address6(p->pool, p->own, p->own6);
    return p->own ? 0 : -EADDRNOTAVAIL;
}

static unsigned good_ciphers(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("aes"))
        return CIPHER_AES256GCM | CIPHER_CHACHA20POLY1305;
#elif defined(__aarch64__)
    return CIPHER_AES256GCM | CIPHER_CHACHA20POLY1305;
#endif
    return CIPHER_CHACHA20POLY1305;
}

void pump_peers_config(struct overlay *o, struct peers_config *c)
{
    struct pump *p = o->p;
    *c = (struct peers_config){.ciphers = good_ciphers(),
        .pool = p->config.network,
        .pool_bits = p->config.network_bits,
        .shortcut = p->config.shortcut && o->kind->shortcuts,
        .plain = !p->config.encrypt,
        .mtu = (uint16_t)p->config.mtu,
        .by_id = o->kind->by_id,
        .probe_mtu = true,
        .recv_buffer = udp_buffer(o->udp),
        .accel = p->accel,
        .known = key_known,
        .boxes = boxes_named,
        .meet = key_meet,
        .ctx = o};
    draw_seed(p, c->session_priv);
    x25519_public(c->session_pub, c->session_priv);
    draw_seed(p, c->seed);
}

static int start_overlay(struct pump *p, struct overlay_plan c, char *why, size_t whylen)
{
    struct addr v[CONFIG_NODES_MAX];
    struct overlay *o;
    c.by_config = c.n_nodes;
    c.n_nodes = nodes_of(p, c.name, c.nodes, c.n_nodes, v);
    c.nodes = v;
    return overlay_make(p, &c, &o, why, whylen);
}

/* The first of the overlays, then the others. */
static int start_sessions(struct pump *p, char *why, size_t whylen)
{
    p->accel = accel_open();
    id_of_key(&p->public_id, p->identity.pub, NULL);
    int err = start_overlay(p, overlay_plan_first(&p->config), why, whylen);
    for (unsigned i = 0; !err && i < p->config.n_overlays; i++)
        err = start_overlay(p, overlay_plan_of(&p->config.overlays[i]), why, whylen);
    return err;
}

static int start_engine(struct pump *p)
{
    struct tcpip_config c;
    tcpip_config_default(&c);
    c.mtu = (uint16_t)p->config.mtu;
    c.send_max = p->config.send_buffer;
    c.recv_max = p->config.recv_buffer;
    c.memory_max = p->config.memory;
    c.ecn = p->config.ecn;
    c.conns_max = p->config.connections + (p->config.connections + 7) / 8; /* what one host may have, and some for the others */
    c.patience_us = PEER_AWAY_US;
    draw_seed(p, c.seed);
    p->tcpip = tcpip_new(&c);
    p->vsocks = vsocks_new(c.conns_max);
    TAILQ_INIT(&p->asking);
    p->listeners = listeners_new();
    p->held = calloc(PUMP_HELD_MAX, sizeof(*p->held));
    p->diag = diag_open();
    if (!p->diag)
        log_warn("listeners cannot be checked: no sock_diag here");
    if (dgram_start(p) < 0 || door_start(p) < 0 || dns_start(p) < 0 || mcast_start(p) < 0)
        return -ENOMEM;
    return p->tcpip && p->vsocks && p->listeners && p->held ? 0 : -ENOMEM;
}

static int start_io(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.runtime) + 16];
    p->set = fdset_new(p->loop, after_events, p);
    p->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    p->timer_at = MONO_NEVER;
    if (!p->set || p->timer_fd < 0)
        return -ENOMEM;
    p->timer_watch = fdset_add(p->set, p->timer_fd, false, on_timer, p);
    if (!p->timer_watch)
        return -ENOMEM;
    snprintf(path, sizeof(path), "%s/i3d.sock", p->paths.runtime);
    int err = ipc_server_open(&p->ipc, p->set, path, p->paths.socket, p->paths.socket_stays, ipc_record, ipc_gone, p);
    if (err)
        snprintf(why, whylen, "cannot listen on %s: %s", path, strerror(-err));
    return err;
}

static void pump_free(struct pump *p)
{
    lookup_stop(p);
    claims_stop(p);
    twins_free(p);
    dns_stop(p);
    portal_stop(p);
    mcast_stop(p);
    door_stop(p);
    dgram_stop(p); /* before those who wait for our end see the socket close */
    ipc_server_close(p->ipc);
    if (p->set) {
        gateway_stop(p);
        trace_stop(p);
        move_stop(p);
        reload_stop(p);
        box_stop(p);
        anon_stop(p);
        overlays_free(p);
        fdset_del(p->set, p->timer_watch);
    }
    fdset_free(p->set);
    if (p->timer_fd >= 0)
        close(p->timer_fd);
    diag_close(p->diag);
    free(p->held);
    listeners_free(p->listeners);
    vsocks_free(p->vsocks);
    tcpip_free(p->tcpip);
    groups_free(p->groups);
    accel_close(p->accel);
    access_free(p->access);
    strangers_stop(p);
    free(p->stale);
    share_stop(p);
    rotation_stop(p);
    book_free(p->book);
    state_close(p);
    pool_free(p->pool);
    policy_stop(p);
    config_free(&p->config);
    crypto_wipe(&p->identity, sizeof(p->identity));
    secret_free(p);
}

int pump_start(struct pump **out, uv_loop_t *loop, const struct config *config, const struct pump_paths *paths,
    const struct pump_identity *identity, void (*stop)(void *ctx), void *ctx, char *why, size_t whylen)
{
    uint8_t seed[32];
    struct pump *p = secret_new(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->config = *config;
    p->paths = *paths;
    p->identity = *identity;
    p->loop = loop;
    p->stop = stop;
    p->ctx = ctx;
    p->timer_fd = p->addresses_fd = -1;
    pump_clock(p);
    p->started = p->now;
    p->anon_look = MONO_NEVER;
    p->wall_started = p->wall;
    entropy_fill(seed, sizeof(seed));
    drbg_init(&p->random, seed);
    snprintf(why, whylen, "out of memory or file descriptors");

    int err = policy_start(p);
    if (!err)
        err = start_names(p, why, whylen);
    if (!err)
        err = state_load_book(p, why, whylen);
    if (!err)
        err = share_start(p, why, whylen);
    if (!err)
        err = rotation_start(p, why, whylen);
    if (!err)
        err = group_load(p, why, whylen);
    if (!err)
        err = nodes_load(p, why, whylen);
    if (!err)
        err = claims_load(p, why, whylen);
    if (!err)
        err = drop_load(p, why, whylen);
    if (!err)
        err = start_io(p, why, whylen);
    if (!err)
        err = reload_start(p);
    if (!err)
        err = box_start(p);
    if (!err)
        err = start_sessions(p, why, whylen);
    if (!err)
        err = start_engine(p);
    if (!err)
        err = listen_load(p, why, whylen);
    if (!err)
        err = dgram_load(p, why, whylen);
    if (!err)
        err = gateway_start(p, why, whylen);
    if (!err)
        err = state_load_met(p, why, whylen);
    if (err) {
        pump_free(p);
        return err;
    }
    uv_idle_init(loop, &p->idle);
    p->idle.data = p;
    group_start(p);
    for (struct overlay *o = p->overlays; o; o = o->next)
        rotation_begin(o);
    access_rebuild(p);
    claims_resettle(p);
    lookup_configure(p);
    for (struct overlay *o = p->overlays; o; o = o->next)
        o->kind->begin(o);
    move_start(p);
    portal_configure(p);
    pump_turn(p);
    pages_forget();
    *out = p;
    return 0;
}

static void on_idle_closed(uv_handle_t *h)
{
    pump_free(h->data);
}

void pump_stop(struct pump *p)
{
    pump_clock(p);
    flow_stop(p);
    net_output(p); /* the resets */
    for (struct overlay *o = p->overlays; o; o = o->next) {
        overlay_leave(o);
        net_flush(o);
    }
    group_stop(p);
    for (struct overlay *o = p->overlays; o; o = o->next)
        net_flush(o);
    uv_close((uv_handle_t *)&p->idle, on_idle_closed);
}
