/* pump/gate_server.c - the gateway's end (pump/gateway.h): users' names, the DNS, and the connections which are opened for them.
 *
 *   ASK ----> name of the user's ----> record ----> resolver (c-ares) ----> ANSWER, and what was held
 *   SYN to it: TCPIP_INCOMING --> gate_incoming(): held until the record is there; then its addresses are tried, one after the other
 *                             --> tcp_accept(), and pump/flow.c moves the bytes; or the error goes back as the network would have told it
 *
 * What ends a connection from here: its user or its destination is allowed no more (gate_server_recheck()), nothing was moved for tcp-idle.
 * Each end is logged, and each refusal, of these at most GATE_LOGS_A_SECOND.
 */
#include "daemon/pump/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/outward.h"
#include "daemon/io/resolver.h"
#include "daemon/tcpip/ip6.h"

#define NEXT_US  (3 * USEC_PER_SEC) /* an address that does not answer, where there is another one */
#define SWEEP_US (250 * USEC_PER_MSEC)
#define IDLE_LOOK_US USEC_PER_SEC

/* ---- who may ---- */

const struct config_gateway *gateway_config(const struct pump *p)
{
    return p->config.n_gateways ? &p->config.gateways[0] : NULL;
}

bool gateway_allows(const struct pump *p, const uint8_t key[KEY_LEN])
{
    return gateway_config(p) && access_uses(p, ACCESS_GATEWAY, key);
}

struct network gateway_own_network(const struct pump *p)
{
    struct addr a = addr_v4(p->config.network, 0);
    struct network n = {.family = 4, .bits = (uint8_t)p->config.network_bits};
    memcpy(n.ip, a.ip, sizeof(n.ip));
    return n;
}

const char *gate_user_name(const struct pump *p, const struct gate_user *u, char out[KEY_STR_LEN + 1])
{
    const struct book_entry *e = book_find_key(p->book, u->key);
    if (e)
        return e->name;
    key_format(u->key, out);
    return out;
}

/* ---- words ---- */

static void say(struct pump *p, struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    if (outbox_is_tight(&s->o->out))
        net_flush(s->o);
    peer_say(s->peers, peer, p->now, msg, len, &s->o->out);
}

static struct peer *peer_of(const struct gate_name *m)
{
    const struct side *s = m->side;
    return peer_by_key(s->peers, m->user->key);
}

static void say_answer(struct pump *p, struct side *s, struct peer *peer, const struct gate_ask *q, enum gate_status status, uint8_t families,
    uint32_t ttl)
{
    uint8_t msg[GATE_ANSWER_LEN];
    struct gate_answer a = {status, families, q->serial, q->ip, ttl};
    say(p, s, peer, msg, gate_answer_encode(msg, sizeof(msg), &a));
}

static bool may_log(struct pump *p)
{
    struct gateway *g = p->gateway;
    if (mono_since(g->log_second, p->now) >= USEC_PER_SEC) {
        g->log_second = p->now;
        g->logs = 0;
    }
    return g->logs++ < GATE_LOGS_A_SECOND;
}

void gate_refused(struct pump *p, struct gate_name *m, uint8_t proto, uint16_t port, uint16_t client_port, enum gate_status why, const char *words)
{
    char key[KEY_STR_LEN + 1];
    uint8_t msg[GATE_REFUSED_LEN];
    struct gate_refused r = {why, proto, m->key.ip, port, client_port};
    struct peer *peer = peer_of(m);
    if (why != GATE_TIMED_OUT)
        m->user->account.refused++;
    if (why != GATE_TIMED_OUT && may_log(p))
        log_warn("gateway user=%s name=%s port=%u/%s refused: %s", gate_user_name(p, m->user, key), m->record->name, port,
            proto == IPPROTO_UDP ? "udp" : "tcp", words);
    if (peer)
        say(p, m->side, peer, msg, gate_refused_encode(msg, sizeof(msg), &r));
}

/* ---- names ---- */

static void pay_answer(struct pump *p, struct gate_name *m)
{
    struct network own = gateway_own_network(p);
    struct peer *peer = m->owes ? peer_of(m) : NULL;
    const struct config_gateway *c = gateway_config(p);
    uint8_t families;
    if (!m->owes || !c)
        return;
    m->owes = false;
    enum gate_status status = gate_name_status(c, &own, m, &families);
    m->user->account.names += status == GATE_OK;
    if (status == GATE_FORBIDDEN) {
        char key[KEY_STR_LEN + 1];
        m->user->account.refused++;
        if (may_log(p))
            log_warn("gateway user=%s name=%s refused: %s", gate_user_name(p, m->user, key), m->record->name,
                gate_name_permitted(c, m->record->name) ? "none of its addresses is in networks" : "it is not among names");
    }
    if (peer)
        say_answer(p, m->side, peer, &(struct gate_ask){.serial = m->serial, .ip = m->key.ip}, status, families, gate_record_ttl(m->record, p->now));
}

/* What was held for the name goes on. */
static void release(struct pump *p, struct gate_name *m);

static void record_done(struct pump *p, struct gate_record *r)
{
    for (struct gate_name *m = r->names, *next; m; m = next) {
        next = m->r_next;
        pay_answer(p, m);
        if (m->held)
            release(p, m);
        gate_udp_ready(p, m);
    }
}

static void on_found(void *ctx, uint32_t token, const struct resolver_found *f)
{
    static const struct {
        int err;
        enum gate_status status;
    } map[] = {{0, GATE_OK}, {-ENOENT, GATE_NO_NAME}, {-ENODATA, GATE_NO_ADDRESS}, {-EPROTO, GATE_FAILED}};
    struct pump *p = ctx;
    pump_clock(p);
    struct gate_record *r = gate_record_asked(p->gateway->to, token);
    enum gate_status status = GATE_LATER;
    if (!r)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(map); i++)
        if (f->err == map[i].err)
            status = map[i].status;
    if (f->err)
        log_info("gateway name=%s dns: %s", r->name, f->why ? f->why : "no answer");
    gate_record_answer(p->gateway->to, p->now, r, status, f->addr, f->n, f->ttl);
    record_done(p, r);
}

bool gate_wants_record(struct pump *p, struct gate_name *m)
{
    struct gateway *g = p->gateway;
    struct gate_record *r = m->record;
    if (!gate_record_stale(r, p->now))
        return false;
    if (r->asking)
        return true;
    if (!gateway_config(p) || !gate_name_permitted(gateway_config(p), r->name)) /* not even the DNS hears of it */
        return false;
    uint32_t token = gate_record_ask(g->to, r);
    int err = g->resolver ? resolver_ask_addresses(g->resolver, r->name, token) : -ENOSYS;
    if (!err)
        return true;
    log_warn("gateway name=%s cannot be asked for err=%d", r->name, err);
    gate_record_answer(g->to, p->now, r, GATE_LATER, NULL, 0, 0);
    return false;
}

/* What goes by a name that goes. */
static void on_name_gone(void *ctx, struct gate_name *m)
{
    struct pump *p = ctx;
    for (struct gate_conn *c = TAILQ_FIRST(&p->gateway->conns), *next; c; c = next) {
        next = TAILQ_NEXT(c, all);
        if (c->name == m && c->flow)
            flow_drop(c->flow, ECONNRESET);
        else if (c->name == m)
            gate_refuse(c, ECONNRESET);
    }
    gate_udp_end(p, m);
}

/* Addresses that mean something else here cannot be a name's as well. */
static bool is_taken(const struct pump *p, const struct side *s, uint32_t host, const struct gate_ask *q)
{
    return !q->ip || q->ip == host || side_by_own(p, q->ip) || !memcmp(q->ip6, s->own6, sizeof(q->ip6));
}

static void ask_in(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct gateway *g = p->gateway;
    struct gate_ask q;
    struct gate_name *m;
    uint32_t host = peer_addresses(peer).local;
    if (gate_ask_decode(msg, len, &q))
        return;
    if (!gateway_allows(p, peer_key(peer)) || !host) {
        g->refused++;
        if (may_log(p)) {
            char key[KEY_STR_LEN + 1];
            key_format(peer_key(peer), key);
            log_info("gateway key=%s is not allowed", key);
        }
        say_answer(p, s, peer, &q, GATE_NOT_ALLOWED, 0, 0);
        return;
    }
    struct gate_user *u = gate_user_get(g->to, p->now, peer_key(peer), host);
    if (u)
        u->allowed = true;
    if (u && !gate_user_may_ask(u, p->now))
        return; /* it asks again, if it wants to know */
    int err = !u ? -ENOSPC : is_taken(p, s, host, &q) ? -EADDRINUSE : gate_name_put(g->to, p->now, u, s, &q, on_name_gone, p, &m);
    if (err) {
        say_answer(p, s, peer, &q, err == -EINVAL ? GATE_NO_NAME : err == -EADDRINUSE ? GATE_TAKEN : GATE_FULL, 0, 30);
        return;
    }
    m->owes = true;
    m->serial = q.serial;
    if (!gate_wants_record(p, m))
        pay_answer(p, m);
}

void gate_server_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    if (gate_word_kind(msg, len) == GATE_ASK)
        ask_in(s, peer, msg, len);
}

/* ---- packets ---- */

static void whole_packet(struct pump *p, struct gate_name *m, const uint8_t *packet, size_t len)
{
    struct ip_header ip;
    bool v6 = packet[0] >> 4 == 6;
    if (!(v6 ? ip6_parse : ip_parse)(packet, len, &ip)) {
        p->count.packets_bad++;
        return;
    }
    ip.src = m->key.host;
    ip.dst = m->key.ip;
    if (ip.proto == IP_UDP)
        gate_udp_in(p, m, packet, &ip);
    else if (v6)
        tcpip_input6(p->tcpip, p->now, packet, len, m->key.host, m->key.ip);
    else
        tcpip_input(p->tcpip, p->now, packet, len);
}

static void say_unknown(struct pump *p, const struct side *s, struct peer *peer, struct gate_user *u, const struct gate_unknown *what)
{
    uint8_t msg[GATE_UNKNOWN_LEN];
    if (gate_user_may_hear(u, p->now))
        say(p, (struct side *)s, peer, msg, gate_unknown_encode(msg, sizeof(msg), what));
}

bool gate_server_packet(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len)
{
    uint32_t src, dst, local = peer_addresses(peer).local;
    struct gateway *g = p->gateway;
    bool v6 = len >= IP6_HEAD && packet[0] >> 4 == 6;
    struct gate_name *m;
    if (!g || !local || (!gateway_config(p) && !gate_users(g->to)))
        return false;
    if (v6 && memcmp(packet + IP6_SRC, peer_address6(peer), IP6_ADDRESS) != 0)
        return false;
    if (!v6 && (!ip_addresses(packet, len, &src, &dst) || src != local))
        return false;
    m = v6 ? gate_name_find6(g->to, local, packet + IP6_SRC + IP6_ADDRESS) : gate_name_find(g->to, local, dst);
    struct gate_user *u = m                                 ? m->user
                          : gateway_allows(p, peer_key(peer)) ? gate_user_get(g->to, p->now, peer_key(peer), local)
                                                              : gate_user_find(g->to, peer_key(peer));
    if (!u)
        return false; /* nor has it been one */
    if (p->trace)
        trace_packet(p, local, false, &(struct iovec){(void *)packet, len}, 1, len);
    if (!m || m->side != s || !u->allowed) { /* when it asks it hears what has become of it */
        struct gate_unknown what = {.ip = v6 ? 0 : dst};
        if (v6)
            memcpy(what.ip6, packet + IP6_SRC + IP6_ADDRESS, IP6_ADDRESS);
        say_unknown(p, s, peer, u, &what);
        return true;
    }
    if (!ip_is_fragment(packet, len)) {
        whole_packet(p, m, packet, len);
        return true;
    }
    size_t whole;
    packet = dgram_piece(p, packet, len, &whole);
    if (packet && (packet[0] >> 4 == 6 ? packet[6] : packet[9]) == IP_UDP)
        whole_packet(p, m, packet, whole);
    return true;
}

/* ---- connections ---- */

static void conn_free(struct gate_conn *c)
{
    struct gateway *g = c->p->gateway;
    TAILQ_REMOVE(&g->conns, c, all);
    if (c->due.us != MONO_NEVER.us)
        g->dialling--;
    gate_flow_end(g->to, c->name);
    free(c);
}

static void set_due(struct gate_conn *c, mono_t due)
{
    struct gateway *g = c->p->gateway;
    g->dialling -= c->due.us != MONO_NEVER.us;
    g->dialling += due.us != MONO_NEVER.us;
    c->due = due;
    g->sweep_at = mono_min(g->sweep_at, mono_add(c->p->now, SWEEP_US));
}

/* The address that is tried next: its fd, connecting or connected; -errno: there is none. */
static int dial(struct gate_conn *c)
{
    const struct config_gateway *g = gateway_config(c->p);
    uint64_t patience = g ? (uint64_t)g->connect_timeout * USEC_PER_SEC : NEXT_US;
    for (; c->at < c->n; c->at++) {
        int fd = outward_tcp(&c->to[c->at]);
        if (fd >= 0) {
            set_due(c, mono_add(c->p->now, c->at + 1 < c->n && patience > NEXT_US ? NEXT_US : patience));
            return fd;
        }
        c->err = c->err ? c->err : -fd;
    }
    return -(c->err ? c->err : EHOSTUNREACH);
}

int gate_next(struct gate_conn *c, int err)
{
    if (!c->err || c->err == ENETUNREACH || c->err == EHOSTUNREACH) /* an address family that is not there says less than a host which refuses */
        c->err = err;
    c->at++;
    return dial(c);
}

void gate_opened(struct gate_conn *c)
{
    c->open = true;
    c->used = c->p->now;
    set_due(c, MONO_NEVER);
    c->name->user->account.connections++;
}

static void log_end(const struct gate_conn *c, int err)
{
    char key[KEY_STR_LEN + 1], to[ADDR_STR] = "";
    const struct gate_user *u = c->name->user;
    if (c->n)
        addr_str(&c->to[c->at < c->n ? c->at : c->n - 1], to);
    log_info("gateway flow user=%s proto=tcp name=%s to=%s up=%llu down=%llu ms=%llu%s%s", gate_user_name(c->p, u, key), c->name->record->name, to,
        (unsigned long long)c->up, (unsigned long long)c->down, (unsigned long long)(mono_since(c->started, c->p->now) / USEC_PER_MSEC), err ? " error=" : "",
        err ? strerror(err) : "");
}

void gate_closed(struct gate_conn *c, int err)
{
    struct gate_account *a = &c->name->user->account;
    a->up += c->up;
    a->down += c->down;
    if (!c->open)
        a->failed++;
    log_end(c, err);
    conn_free(c);
}

void gate_refuse(struct gate_conn *c, int err)
{
    struct pump *p = c->p;
    if (err == ETIMEDOUT)
        gate_refused(p, c->name, IPPROTO_TCP, c->port, c->client_port, GATE_TIMED_OUT, "");
    tcp_refuse_with(p->tcpip, p->now, c->ref, err == ETIMEDOUT ? EHOSTUNREACH : err);
    if (!c->flow)
        gate_closed(c, err);
}

/* Its record is there. */
static void conn_start(struct gate_conn *c)
{
    struct pump *p = c->p;
    struct gate_name *m = c->name;
    struct network own = gateway_own_network(p);
    const struct config_gateway *g = gateway_config(p);
    bool reserved;
    uint32_t unused_ip;
    uint16_t unused_port;
    c->held = false;
    if (!tcp_names(p->tcpip, c->ref, &unused_ip, &unused_port, &unused_ip, &unused_port)) { /* the user has given up */
        gate_closed(c, ECONNABORTED);
        return;
    }
    if (!g || m->record->status != GATE_OK) {
        gate_refuse(c, EHOSTUNREACH);
        return;
    }
    c->n = gate_addresses(g, &own, m->record, c->port, c->v6 ? 6 : 4, c->to, &reserved);
    if (!c->n) {
        gate_refused(p, m, IPPROTO_TCP, c->port, c->client_port, GATE_FORBIDDEN,
            reserved ? "its address is reserved, and networks does not list it by itself" : "networks does not allow it");
        gate_refuse(c, ECONNREFUSED);
        return;
    }
    int fd = dial(c);
    if (fd < 0) {
        gate_refuse(c, -fd);
        return;
    }
    struct addr local = c->v6 ? addr_v6(m->key6.ip6, c->port) : addr_v4(c->ip, c->port);
    struct addr remote = names_host_address(p, c->host, c->v6 ? 6 : 4, c->client_port);
    int err = flow_serve(p, c->ref, &local, &remote, fd, c);
    if (err)
        gate_refuse(c, EHOSTUNREACH);
}

static void release(struct pump *p, struct gate_name *m)
{
    m->held = NULL;
    for (struct gate_conn *c = TAILQ_FIRST(&p->gateway->conns), *next; c; c = next) {
        next = TAILQ_NEXT(c, all);
        if (c->name == m && c->held)
            conn_start(c);
    }
}

static struct gate_conn *conn_new(struct pump *p, struct gate_name *m, const struct tcpip_event *e)
{
    struct gate_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct gate_conn){.p = p, .name = m, .ref = e->ref, .v6 = e->v6, .host = e->remote, .ip = e->local, .port = e->local_port,
        .client_port = e->remote_port, .started = p->now, .used = p->now, .due = MONO_NEVER};
    TAILQ_INSERT_TAIL(&p->gateway->conns, c, all);
    gate_flow_begin(p->gateway->to, m, p->now);
    return c;
}

void gate_incoming(struct pump *p, const struct tcpip_event *e)
{
    struct gateway *g = p->gateway;
    const struct config_gateway *config = gateway_config(p);
    struct gate_name *m = g ? gate_name_find(g->to, e->remote, e->local) : NULL;
    if (!m || !config || !m->user->allowed) {
        p->count.refused++;
        tcp_refuse(p->tcpip, p->now, e->ref);
        return;
    }
    bool room = gate_user_room(g->to, m->user, config);
    struct gate_conn *c = room ? conn_new(p, m, e) : NULL;
    if (!c) {
        gate_refused(p, m, IPPROTO_TCP, e->local_port, e->remote_port, GATE_FULL,
            gate_flows(g->to) >= config->connections ? "there are as many connections as the gateway takes" : "it has as many connections as one user may");
        tcp_refuse(p->tcpip, p->now, e->ref);
        return;
    }
    if (gate_wants_record(p, m)) {
        c->held = true;
        m->held = c;
        set_due(c, mono_add(p->now, RESOLVER_PATIENCE + 2 * USEC_PER_SEC));
    } else {
        conn_start(c);
    }
}

/* ---- turns ---- */

mono_t gate_server_deadline(const struct pump *p)
{
    struct gateway *g = p->gateway;
    mono_t at = g->resolver ? resolver_deadline(g->resolver, p->now) : MONO_NEVER;
    if (!TAILQ_EMPTY(&g->conns))
        at = mono_min(at, g->sweep_at);
    return mono_min(at, gate_udp_deadline(p));
}

static void sweep(struct pump *p)
{
    struct gateway *g = p->gateway;
    const struct config_gateway *config = gateway_config(p);
    for (struct gate_conn *c = TAILQ_FIRST(&g->conns), *next; c; c = next) {
        next = TAILQ_NEXT(c, all);
        if (c->due.us != MONO_NEVER.us && mono_due(c->due, p->now)) {
            if (c->flow)
                flow_late(c->flow);
            else
                gate_refuse(c, EHOSTUNREACH);
        } else if (c->open && config && mono_since(c->used, p->now) > (uint64_t)config->tcp_idle * USEC_PER_SEC) {
            flow_drop(c->flow, ETIMEDOUT);
        }
    }
    g->sweep_at = mono_add(p->now, g->dialling ? SWEEP_US : IDLE_LOOK_US);
}

void gate_server_turn(struct pump *p)
{
    struct gateway *g = p->gateway;
    if (g->resolver && mono_due(resolver_deadline(g->resolver, p->now), p->now))
        resolver_expire(g->resolver);
    if (!TAILQ_EMPTY(&g->conns) && mono_due(g->sweep_at, p->now))
        sweep(p);
    gate_udp_expire(p);
}

/* ---- changes ---- */

static bool conn_is_allowed(const struct gate_conn *c, const struct config_gateway *config, const struct network *own)
{
    return config && c->name->user->allowed && gate_name_permitted(config, c->name->record->name) &&
           (!c->n || networks_allow(config->networks, config->n_networks, own, &c->to[c->at < c->n ? c->at : 0], NULL));
}

static void use_resolver(struct pump *p)
{
    struct gateway *g = p->gateway;
    const struct config_gateway *config = gateway_config(p);
    if (g->resolver && (!config || !addr_eq(&g->server, &config->dns_server))) {
        for (struct gate_user *u = gate_user_next(g->to, NULL); u; u = gate_user_next(g->to, u))
            for (struct gate_name *m = u->names; m; m = m->next)
                if (m->record->asking) {
                    gate_record_answer(g->to, p->now, m->record, GATE_LATER, NULL, 0, 0);
                    record_done(p, m->record);
                }
        resolver_free(g->resolver);
        g->resolver = NULL;
        gate_records_doubt(g->to);
    }
    if (!config || g->resolver)
        return;
    int err = resolver_new(&g->resolver, p->set, &config->dns_server, NULL, p);
    if (err) {
        log_error("gateway: the dns cannot be asked err=%d", err);
        return;
    }
    resolver_set_found(g->resolver, on_found);
    g->server = config->dns_server;
    if (!config->dns_server.family && !resolver_knows_system(g->resolver))
        log_warn("gateway: the system's DNS servers cannot be read by a daemon that runs (it is shut off from files): start it anew, or set dns-server");
}

void gate_server_recheck(struct pump *p)
{
    struct gateway *g = p->gateway;
    const struct config_gateway *config = gateway_config(p);
    struct network own = gateway_own_network(p);
    use_resolver(p);
    for (struct gate_user *u = gate_user_next(g->to, NULL); u; u = gate_user_next(g->to, u))
        u->allowed = gateway_allows(p, u->key);
    for (struct gate_conn *c = TAILQ_FIRST(&g->conns), *next; c; c = next) {
        next = TAILQ_NEXT(c, all);
        if (conn_is_allowed(c, config, &own))
            continue;
        p->count.cut++;
        if (c->flow)
            flow_drop(c->flow, ECONNRESET);
        else
            gate_refuse(c, ECONNREFUSED);
    }
    gate_udp_recheck(p);
}

/* A side of ours goes. */
static void forget_names(struct pump *p, const struct side *s)
{
    for (struct gate_user *u = gate_user_next(p->gateway->to, NULL); u; u = gate_user_next(p->gateway->to, u))
        for (struct gate_name *m = u->names, *next; m; m = next) {
            next = m->next;
            if (m->side != s)
                continue;
            on_name_gone(p, m);
            gate_name_remove(p->gateway->to, m);
        }
}

void gate_server_forget_side(struct pump *p, const struct side *s)
{
    if (p->gateway)
        forget_names(p, s);
}

int gate_server_start(struct pump *p)
{
    struct gateway *g = p->gateway;
    TAILQ_INIT(&g->conns);
    g->sweep_at = p->now;
    g->to = to_ip_new();
    return g->to ? gate_udp_start(p) : -ENOMEM;
}

/* Connections have ended (flow_stop()), but for those without a flow. */
void gate_server_stop(struct pump *p)
{
    struct gateway *g = p->gateway;
    struct gate_conn *c;
    while ((c = TAILQ_FIRST(&g->conns)))
        conn_free(c);
    gate_udp_stop(p);
    resolver_free(g->resolver);
    to_ip_free(g->to);
}
