/* pump/gate_client.c - the user's end of gateways (pump/gateway.h): names become vias (gateway/vias.h), with virtual addresses of their own.
 *
 *   RESOLVE, DNS stub --> policy_resolve() --> gate_resolve(): ASK to the gateway, repeated; IPC_PENDING until the ANSWER
 *   CONNECT, sendto() --> packets to the via's address: overlay_route() finds the gateway's peer; nothing is rewritten
 *
 * In the engine a via's connections share the gateway's path (tcpip_set_via()), so that whatever happens to that peer happens to them.
 */
#include "daemon/pump/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/tcpip/ip6.h"
#include "daemon/tcpip/udp.h"

#define HOLD_US     (500 * USEC_PER_MSEC) /* a program is told "not yet" after that; it gives the daemon 0.9 s */
#define PATIENCE_US (8 * USEC_PER_SEC)    /* for the answer; its DNS may take half of it */
#define LIFE_MIN    (1 * USEC_PER_SEC)
#define LIFE_MAX    (3600 * USEC_PER_SEC)
#define LIFE_BAD    (2 * USEC_PER_SEC)    /* that nobody has answered, or its DNS has not */
#define LIFE_NOT    (2 * USEC_PER_SEC)    /* that the gateway does not want us, or does not go there */
#define RECENT_US   (300 * USEC_PER_SEC)  /* used since: told to a gateway that was started anew, without being asked */
#define AGAIN_MAX   256                   /* so many of those at once; the others when they are used */
#define SAVE_US     USEC_PER_SEC
#define LIVES_US    (60 * USEC_PER_SEC)   /* how often what is in use is looked for */
#define TELL_US     (10 * USEC_PER_SEC)
#define AFTER_ANSWER_US 300               /* as of pump/names.c */

enum { TCP_MIN = 20, TCP_FLAGS = 13, FLAG_SYN = 2, FLAG_ACK = 16, ICMP_ECHO = 8, ICMP6_ECHO = 128 };

/* ---- which ---- */

/* Tells the sides apart by which a gateway may know us. */
static uint32_t mark_of(const struct pump *p, const struct side *s)
{
    return s->own == p->own ? 0 : s->own;
}

struct via *gate_via(const struct pump *p, uint32_t host)
{
    return p->gateway && vias_count(p->gateway->vias) ? via_by_host(p->gateway->vias, host) : NULL;
}

static struct peer *peer_of(const struct via *v)
{
    const struct side *s = v->side;
    return peer_by_key(s->peers, v->key.gateway);
}

uint32_t gate_host(const struct pump *p, uint32_t host)
{
    const struct via *v = gate_via(p, host);
    const struct peer *peer = v ? peer_of(v) : NULL;
    return peer ? peer_addresses(peer).local : host;
}

bool gate_route(const struct pump *p, uint32_t own, uint32_t remote, struct side **s, struct peer **peer)
{
    const struct via *v = gate_via(p, remote);
    if (v && ((struct side *)v->side)->own == own) {
        *s = v->side;
        return (*peer = peer_of(v));
    }
    const struct gate_name *m = p->gateway && gate_users(p->gateway->to) ? gate_name_find(p->gateway->to, remote, own) : NULL;
    if (!m)
        return false;
    *s = m->side;
    return (*peer = peer_by_key((*s)->peers, m->user->key));
}

static bool is_busy(void *ctx, const struct via *v)
{
    const struct pump *p = ctx;
    for (const struct vsock *s = vsock_next(p->vsocks, NULL); s; s = vsock_next(p->vsocks, s))
        if (s->role == VSOCK_CLIENT && (addr_ip4(&s->remote) == v->host || (s->remote.family == 6 && !memcmp(s->remote.ip, v->ip6, sizeof(v->ip6)))))
            return true;
    return false;
}

/* What is open there ends. */
static void on_gone(void *ctx, struct via *v)
{
    struct pump *p = ctx;
    if (!v->host)
        return;
    tcpip_fail_remote(p->tcpip, p->now, v->host, ENETUNREACH, true);
    tcpip_set_via(p->tcpip, v->host, 0);
    pool_passed(p->pool, v->pseudo);
}

static void via_drop(struct pump *p, struct via *v)
{
    on_gone(p, v);
    via_remove(p->gateway->vias, v);
    p->gateway->unsaved = true;
}

/* The gateway's peer of that side, and a session with it wanted. */
static struct peer *want_peer(struct pump *p, struct side *s, const uint8_t key[KEY_LEN], uint64_t later_us)
{
    uint32_t host;
    if (p->by || (s == s->o->sides && s->own == p->own)) { /* of an anonymous program: its own side is meant */
        host = names_address(p, key, later_us);
    } else {
        host = pool_get(p->pool, p->now, key);
        struct peer *peer = host ? names_peer(s, key, host) : NULL;
        if (peer)
            peer_open(s->peers, peer, mono_add(p->now, later_us), p->wall);
    }
    return host ? peer_by_key(s->peers, key) : NULL;
}

/* Its addresses, which live on with each use. False: the pool is full. */
static bool give_addresses(struct pump *p, struct via *v, const struct peer *peer)
{
    uint8_t ip6[16];
    const struct side *s = v->side;
    uint32_t host = s->o->anon ? pool_pass(p->pool, p->now, v->pseudo, false) : pool_get(p->pool, p->now, v->pseudo); /* an anonymous program's is not written down */
    state_save_mappings(p);
    if (!host || !pool_address6(p->pool, host, ip6))
        return false;
    if (v->host != host) {
        on_gone(p, v);
        via_place(p->gateway->vias, v, host, ip6);
        p->gateway->unsaved = true;
    }
    if (peer)
        tcpip_set_via(p->tcpip, host, peer_addresses(peer).local);
    return true;
}

/* "git.intra.example" without ".intra.example". */
static bool gateway_name(const char *full, const char *suffix, bool strip, char out[GATE_NAME_MAX + 1])
{
    size_t len = strlen(full), n = strip ? strlen(suffix) : 0;
    if (len > GATE_NAME_MAX || (n && (len <= n || strcasecmp(full + len - n, suffix) != 0)))
        return false;
    snprintf(out, GATE_NAME_MAX + 1, "%.*s", (int)(len - n), full);
    return *out;
}

static struct via *via_get(struct pump *p, struct side *s, const uint8_t gateway[KEY_LEN], const char *full, const char *name)
{
    struct gateway *g = p->gateway;
    uint32_t mark = mark_of(p, s);
    struct via *v = via_find(g->vias, gateway, mark, full);
    if (v && (v->side != s || strcmp(v->name, name) != 0)) { /* the rule is another one now */
        via_drop(p, v);
        v = NULL;
    }
    if (v)
        return v;
    v = via_add(g->vias, gateway, mark, full, name, is_busy, on_gone, p);
    if (v)
        v->side = s;
    g->unsaved = true;
    return v;
}

/* ---- questions ---- */

static void say_ask(struct pump *p, struct via *v)
{
    struct side *s = v->side;
    struct peer *peer = peer_of(v);
    struct gate_ask a = {.serial = v->serial, .ip = v->host};
    uint8_t msg[GATE_WORD_MAX];
    memcpy(a.ip6, v->ip6, sizeof(a.ip6));
    strcpy(a.name, v->name);
    size_t n = gate_ask_encode(msg, sizeof(msg), &a);
    via_sent(v, p->now);
    if (!peer || !n)
        return;
    if (outbox_is_tight(&s->o->out))
        net_flush(s->o);
    if (!peer_say(s->peers, peer, p->now, msg, n, &s->o->out))
        peer_open(s->peers, peer, p->now, p->wall);
}

static void ask(struct pump *p, struct via *v)
{
    if (v->state == VIA_ASKING)
        return;
    via_ask(p->gateway->vias, v, p->now, PATIENCE_US);
    say_ask(p, v);
}

static uint32_t status_code(enum gate_status s)
{
    switch (s) {
    case GATE_OK:
    case GATE_FORBIDDEN: /* connect() tells */
        return 0;
    case GATE_NO_NAME:
        return ENOENT;
    case GATE_NO_ADDRESS:
        return ENODATA;
    case GATE_FAILED:
    case GATE_NOT_ALLOWED:
        return EPROTO;
    case GATE_LATER:
    case GATE_TAKEN:
    case GATE_FULL:
    case GATE_TIMED_OUT:
    case GATE_STATUSES:
        break;
    }
    return EAGAIN;
}

void gate_resolve(struct pump *p, struct side *s, const struct book_entry *e, const char *full, bool strip_suffix, const char *suffix,
    struct ipc_resolved *out)
{
    char name[GATE_NAME_MAX + 1];
    *out = (struct ipc_resolved){.status = ENOENT};
    if (!gateway_name(full, suffix, strip_suffix, name))
        return;
    struct peer *peer = want_peer(p, s, e->key, AFTER_ANSWER_US);
    struct via *v = via_get(p, s, e->key, full, name);
    out->status = EAGAIN;
    if (!peer || !v || !give_addresses(p, v, peer))
        return;
    via_touch(p->gateway->vias, v, p->now);
    gate_save(p);
    if (v->state != VIA_ASKING && (!v->answered || mono_due(v->until, p->now)))
        ask(p, v);
    out->status = v->state == VIA_ASKING ? IPC_PENDING : status_code(v->status);
    if (out->status)
        return;
    out->addr = addr_v4(v->host, 0);
    out->addr6 = addr_v6(v->ip6, 0);
}

bool gate_wait(struct pump *p, struct side *s, const struct book_entry *e, const char *full, struct ipc_client *c, uint32_t serial)
{
    struct gateway *g = p->gateway;
    const struct via *v = via_find(g->vias, e->key, mark_of(p, s), full);
    if (!v || v->state != VIA_ASKING)
        return false;
    if (!g->waiters && !(g->waiters = calloc(GATE_WAITERS, sizeof(*g->waiters))))
        return false;
    for (unsigned i = 0; i < GATE_WAITERS && g->waiting < GATE_WAITERS; i++)
        if (!g->waiters[i].client) {
            g->waiters[i] = (struct gate_waiter){c, serial, v->host, mono_add(p->now, HOLD_US)};
            g->waiting++;
            return true;
        }
    return false;
}

void gate_client_gone(struct pump *p, const struct ipc_client *c)
{
    struct gateway *g = p->gateway;
    for (unsigned i = 0; g && g->waiting && i < GATE_WAITERS; i++)
        if (g->waiters[i].client == c) {
            g->waiters[i].client = NULL;
            g->waiting--;
        }
}

/* Ask again: there is an answer now, or will be. */
static void tell(struct gateway *g, struct gate_waiter *w)
{
    uint8_t out[128];
    struct writer r = writer_of(out, sizeof(out));
    struct gate_waiter it = *w;
    w->client = NULL;
    g->waiting--;
    ipc_put_header(&r, IPC_RESOLVE | IPC_REPLY, it.serial);
    ipc_put_resolved(&r, &(struct ipc_resolved){.status = IPC_PENDING});
    ipc_reply(it.client, &r, -1);
}

int gate_connect(struct pump *p, struct via *v)
{
    struct side *s = v->side;
    struct peer *peer = want_peer(p, s, v->key.gateway, 0);
    if (!peer || !give_addresses(p, v, peer))
        return ENETUNREACH;
    via_touch(p->gateway->vias, v, p->now);
    bool holds = v->answered && !mono_due(v->until, p->now);
    if (holds && (v->status == GATE_FORBIDDEN || v->status == GATE_NOT_ALLOWED)) {
        if (v->refused_told.us == MONO_NEVER.us || mono_since(v->refused_told, p->now) > TELL_US)
            log_warn("gateway name=%s connection refused: %s", v->key.full, gate_status_text(v->status));
        v->refused_told = p->now;
        return EACCES;
    }
    if (!v->registered)
        ask(p, v); /* it goes ahead of the SYN */
    return 0;
}

/* ---- what the gateway says ---- */

static bool is_from(const struct via *v, const struct side *s, const struct peer *peer)
{
    return v && v->side == s && !memcmp(v->key.gateway, peer_key(peer), KEY_LEN);
}

static uint64_t life_of(enum gate_status status, uint32_t ttl)
{
    uint64_t us = (uint64_t)ttl * USEC_PER_SEC;
    switch (status) {
    case GATE_OK:
    case GATE_NO_NAME:
    case GATE_NO_ADDRESS:
        return us < LIFE_MIN ? LIFE_MIN : us > LIFE_MAX ? LIFE_MAX : us;
    case GATE_NOT_ALLOWED:
    case GATE_FORBIDDEN:
        return LIFE_NOT;
    default:
        return LIFE_BAD;
    }
}

static void answered(struct pump *p, struct via *v, enum gate_status status, uint8_t families, uint32_t ttl)
{
    bool kept = status == GATE_LATER && v->answered && v->status == GATE_OK && v->registered; /* as before, for a while */
    log_debug("gateway name=%s status=%u: %s", v->key.full, (unsigned)status, gate_status_text(status));
    if ((status == GATE_NOT_ALLOWED || status == GATE_FULL || status == GATE_TAKEN) && (!v->answered || v->status != status))
        log_warn("gateway name=%s not to be had: %s", v->key.full, gate_status_text(status));
    via_answered(p->gateway->vias, v, p->now, kept ? GATE_OK : status, kept ? v->families : families, life_of(status, ttl));
    p->gateway->ended = true;
}

static void answer_in(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct gate_answer a;
    if (gate_answer_decode(msg, len, &a))
        return;
    if (!a.ip)
        gate_probe_answer(p, peer_key(peer), a.status);
    struct via *v = gate_via(p, a.ip);
    if (!is_from(v, s, peer) || v->state != VIA_ASKING || v->serial != a.serial)
        return;
    bool anew = !v->registered;
    v->registered = a.status != GATE_NOT_ALLOWED && a.status != GATE_TAKEN && a.status != GATE_FULL;
    answered(p, v, a.status, a.families, a.ttl);
    if (a.status == GATE_NOT_ALLOWED || a.status == GATE_FORBIDDEN)
        tcpip_fail_remote(p->tcpip, p->now, v->host, EACCES, false);
    else if (anew && v->registered)
        tcpip_ask_remote(p->tcpip, p->now, v->host);
}

/* It was started anew, or has made room. */
static void unknown_in(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct gate_unknown u;
    uint32_t ip = gate_unknown_decode(msg, len, &u) ? 0 : u.ip ? u.ip : pool_find6(p->pool, p->now, u.ip6);
    struct via *v = ip ? gate_via(p, ip) : NULL;
    if (!is_from(v, s, peer))
        return;
    v->registered = false;
    ask(p, v);
}

static void refused_in(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct gate_refused r;
    struct via *v = gate_refused_decode(msg, len, &r) ? NULL : gate_via(p, r.ip);
    if (!is_from(v, s, peer))
        return;
    int err = r.why == GATE_TIMED_OUT ? ETIMEDOUT : r.why == GATE_FULL ? ECONNREFUSED : EACCES;
    if (r.proto == IPPROTO_TCP)
        tcpip_fail_opening(p->tcpip, p->now, s->own, r.client_port, v->host, r.port, err);
    if (r.why == GATE_TIMED_OUT)
        return;
    if (v->refused_told.us != MONO_NEVER.us && mono_since(v->refused_told, p->now) < TELL_US)
        return;
    v->refused_told = p->now;
    log_warn("gateway name=%s port=%u/%s refused: %s", v->key.full, r.port, r.proto == IPPROTO_UDP ? "udp" : "tcp", gate_status_text(r.why));
}

void gate_client_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    static void (*const handler[])(struct side *, struct peer *, const uint8_t *, size_t) = {
        [GATE_ANSWER] = answer_in, [GATE_UNKNOWN] = unknown_in, [GATE_REFUSED] = refused_in};
    unsigned kind = gate_word_kind(msg, len);
    if (kind < ARRAY_LEN(handler) && handler[kind])
        handler[kind](s, peer, msg, len);
}

/* ---- what happens to the gateway ---- */

/* Another one is there, or the same without its memory: what was used of late is asked for again, before packets come for it. */
static void again(struct pump *p, const struct side *s, const struct peer *peer)
{
    unsigned n = 0;
    for (struct via *v = via_next(p->gateway->vias, NULL); v; v = via_next(p->gateway->vias, v)) {
        if (!is_from(v, s, peer))
            continue;
        v->registered = false;
        if (v->answered && mono_since(v->used, p->now) < RECENT_US && n++ < AGAIN_MAX)
            ask(p, v);
    }
}

void gate_client_event(struct pump *p, const struct side *s, const struct peer_event *e)
{
    if (!p->gateway || !vias_count(p->gateway->vias))
        return;
    if (e->kind == PEER_UP && (e->moved || e->anew))
        again(p, s, e->peer);
    for (struct via *v = via_asking(p->gateway->vias, NULL), *next; v; v = next) {
        next = via_asking(p->gateway->vias, v);
        if (!is_from(v, s, e->peer))
            continue;
        if (e->kind == PEER_UP || e->kind == PEER_BACK) {
            v->tries = 0;
            say_ask(p, v);
        } else if (e->kind == PEER_UNREACHABLE) {
            log_info("gateway name=%s cannot be asked for: the gateway is out of reach err=%d", v->key.full, e->err);
            answered(p, v, GATE_LATER, 0, 0);
        }
    }
}

/* ---- packets ---- */

static bool is_syn(const uint8_t *tcp, size_t len)
{
    return len < TCP_MIN || (tcp[TCP_FLAGS] & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN;
}

/* It answers what we have begun, and begins nothing itself. */
static bool is_welcome(const uint8_t *packet, const struct ip_header *ip)
{
    const uint8_t *body = packet + ip->head_len;
    size_t len = (size_t)(ip->len - ip->head_len);
    if (ip->proto == IP_TCP)
        return !is_syn(body, len);
    if (ip->proto == (ip->v6 ? IP6_ICMP : IP_ICMP))
        return len && body[0] != (ip->v6 ? ICMP6_ECHO : ICMP_ECHO);
    return ip->proto == IP_UDP;
}

bool gate_client_packet(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len)
{
    uint32_t src, dst;
    struct ip_header ip;
    bool v6 = len >= IP6_HEAD && packet[0] >> 4 == 6;
    if (!p->gateway || !vias_count(p->gateway->vias))
        return false;
    if (v6 && (src = pool_find6(p->pool, p->now, packet + IP6_SRC)) && !memcmp(packet + IP6_SRC + IP6_ADDRESS, s->own6, IP6_ADDRESS))
        dst = s->own;
    else if (v6 || !ip_addresses(packet, len, &src, &dst))
        return false;
    struct via *v = dst == s->own ? gate_via(p, src) : NULL;
    if (!is_from(v, s, peer))
        return false;
    if (p->trace)
        trace_packet(p, src, false, &(struct iovec){(void *)packet, len}, 1, len);
    if (!ip_is_fragment(packet, len) && (!(v6 ? ip6_parse : ip_parse)(packet, len, &ip) || !is_welcome(packet, &ip))) {
        p->count.packets_barred++;
        return true;
    }
    if (dgram_packet_in(p, s, src, packet, len))
        return true;
    if (v6)
        tcpip_input6(p->tcpip, p->now, packet, len, src, s->own);
    else
        tcpip_input(p->tcpip, p->now, packet, len);
    return true;
}

/* ---- turns ---- */

int gateway_start(struct pump *p, char *why, size_t whylen)
{
    struct gateway *g = p->gateway = calloc(1, sizeof(*g));
    if (!g || !(g->vias = vias_new()))
        return -ENOMEM;
    int err = gate_server_start(p);
    return err ? err : gate_load(p, why, whylen);
}

void gateway_stop(struct pump *p)
{
    struct gateway *g = p->gateway;
    if (!g)
        return;
    gate_server_stop(p);
    vias_free(g->vias);
    free(g->waiters);
    free(g);
    p->gateway = NULL;
}

mono_t gateway_deadline(const struct pump *p)
{
    return mono_min(gate_client_deadline(p), gate_server_deadline(p));
}

void gateway_turn(struct pump *p)
{
    gate_client_turn(p);
    gate_server_turn(p);
}

void gateway_recheck(struct pump *p)
{
    if (p->gateway)
        gate_server_recheck(p);
}

void gateway_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    if (!s->o->p->gateway)
        return;
    gate_client_word(s, peer, msg, len);
    gate_server_word(s, peer, msg, len);
}

/* An address lives as long as something is open there (naming/pool.h); a via ends with its address. */
static void sweep(struct pump *p)
{
    struct gateway *g = p->gateway;
    uint8_t ip6[16];
    g->lives_at = mono_add(p->now, LIVES_US);
    for (const struct vsock *s = vsock_next(p->vsocks, NULL); s; s = vsock_next(p->vsocks, s)) {
        const struct via *v = s->role == VSOCK_CLIENT ? gate_via(p, names_host(p, &s->remote)) : NULL;
        if (v)
            pool_get(p->pool, p->now, v->pseudo);
    }
    for (struct via *v = via_next(g->vias, NULL), *next; v; v = next) {
        next = via_next(g->vias, v);
        if (v->host && v->state != VIA_ASKING && (!pool_address6(p->pool, v->host, ip6) || memcmp(ip6, v->ip6, sizeof(ip6)) != 0))
            via_drop(p, v);
    }
}

mono_t gate_client_deadline(const struct pump *p)
{
    const struct gateway *g = p->gateway;
    mono_t at = g->ended ? p->now : vias_deadline(g->vias);
    if (vias_count(g->vias))
        at = mono_min(at, g->lives_at);
    for (unsigned i = 0, n = g->waiting; n && i < GATE_WAITERS; i++)
        if (g->waiters[i].client) {
            at = mono_min(at, g->waiters[i].until);
            n--;
        }
    return g->unsaved ? mono_min(at, mono_add(g->saved_at, SAVE_US)) : at;
}

static void tell_waiters(struct pump *p, bool ended)
{
    struct gateway *g = p->gateway;
    for (unsigned i = 0, n = g->waiting; n && i < GATE_WAITERS; i++) {
        struct gate_waiter *w = &g->waiters[i];
        if (!w->client)
            continue;
        n--;
        const struct via *v = ended ? via_by_host(g->vias, w->host) : NULL;
        if (mono_due(w->until, p->now) || (ended && (!v || v->state != VIA_ASKING)))
            tell(g, w);
    }
}

void gate_client_turn(struct pump *p)
{
    struct gateway *g = p->gateway;
    for (struct via *v = via_asking(g->vias, NULL), *next; v; v = next) {
        next = via_asking(g->vias, v);
        if (mono_due(v->give_up, p->now))
            answered(p, v, GATE_LATER, 0, 0);
        else if (mono_due(v->due, p->now))
            say_ask(p, v);
    }
    if (vias_count(g->vias) && mono_due(g->lives_at, p->now))
        sweep(p);
    bool ended = g->ended;
    g->ended = false;
    tell_waiters(p, ended);
    if (ended)
        dns_ask_again(p);
    gate_save(p);
}

void gateway_forget_side(struct pump *p, const struct side *s)
{
    gate_server_forget_side(p, s);
    for (struct via *v = p->gateway ? via_next(p->gateway->vias, NULL) : NULL, *next; v; v = next) {
        next = via_next(p->gateway->vias, v);
        if (v->side == s)
            via_drop(p, v);
    }
}

/* ---- what the next daemon goes on with: RUNTIME/vias, a line "KEY HOST NAME FULL" each, of the user's own side ---- */

static struct side *own_side(const struct pump *p, const uint8_t key[KEY_LEN])
{
    struct overlay *o = overlay_of_key(p, key);
    return o ? o->sides : NULL;
}

void gate_save(struct pump *p)
{
    struct gateway *g = p->gateway;
    size_t len = 0, cap = 0;
    char *text = NULL, key[KEY_STR_LEN + 1];
    if (!g->unsaved || (g->saved_at.us && mono_since(g->saved_at, p->now) < SAVE_US))
        return;
    g->unsaved = false;
    g->saved_at = p->now;
    FILE *f = open_memstream(&text, &cap);
    for (const struct via *v = via_next(g->vias, NULL); f && v; v = via_next(g->vias, v)) {
        key_format(v->key.gateway, key);
        if (!v->key.side && v->host)
            fprintf(f, "%s %08x %s %s\n", key, v->host, v->name, v->key.full);
    }
    if (f && fclose(f) == 0)
        len = cap;
    pump_state_save(p, "vias", text, len);
}

static void load_line(struct pump *p, const char *line)
{
    char key[KEY_STR_LEN + 1], name[GATE_NAME_MAX + 1], full[GATE_NAME_MAX + 1];
    uint8_t gateway[KEY_LEN], pseudo[KEY_LEN], ip6[16];
    unsigned host;
    if (sscanf(line, "%52s %8x %253s %253s", key, &host, name, full) != 4 || key_parse(key, gateway))
        return;
    struct side *s = own_side(p, gateway);
    via_pseudo(pseudo, gateway, 0, full);
    const uint8_t *there = pool_contains(p->pool, host) ? pool_key(p->pool, p->now, host) : NULL;
    struct via *v = s && there && !memcmp(there, pseudo, KEY_LEN) ? via_get(p, s, gateway, full, name) : NULL;
    if (!v || !pool_address6(p->pool, host, ip6))
        return;
    via_place(p->gateway->vias, v, host, ip6);
    v->used = p->now;
}

int gate_load(struct pump *p, char *why, size_t whylen)
{
    char *text;
    int err = pump_state_load(p, "vias", &text, why, whylen);
    for (char *at = text, *end; at && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        load_line(p, at);
    }
    free(text);
    p->gateway->unsaved = false;
    return err;
}
