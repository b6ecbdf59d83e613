/* pump/gate_udp.c - the gateway's NAT for datagrams (pump/gateway.h).
 *
 *   user 10.u.u.u:port  --- to 10.v.v.v:p --->  [ port: a UDP socket of its own ] ---> real address of v:p
 *
 * A user's port has one socket for each family of real addresses, whatever it sends to (RFC 4787: endpoint-independent mapping), so that hosts
 * which tell each other about it find it at one place; and what comes in goes on only from where something was sent to, address and port
 * (the user's programs know no others' virtual addresses). Two names which lead to the same real address and port are told apart by a
 * second socket. A closed port is told to the user as by that host itself.
 *
 * A flow, (user's port, name, port), that has been idle for udp-idle goes, and with its last one the socket. Flows count as connections. Bounds:
 * those of i3.conf; HELD_MAX datagrams wait for the DNS.
 */
#include "daemon/pump/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/outward.h"
#include "daemon/pump/udp.h"
#include "daemon/tcpip/icmp_error.h"
#include "daemon/tcpip/udp.h"

enum { READS_MAX = 64, DATAGRAM_MAX = 65507, HELD_MAX = 64, HELD_BYTES = 1500 };

#define RESTS_US (2 * USEC_PER_SEC)

struct gate_port {
    struct pump *p;
    uint32_t host;
    uint16_t client_port;
    bool v6; /* the user's end */
    uint8_t family; /* of real addresses */
    int fd;
    struct fdset_entry *watch;
    unsigned flows;
    bool ready; /* there may be more to read */
    TAILQ_ENTRY(gate_port) all;
};

struct flow_key {
    uint32_t host, ip;
    uint16_t client_port, port;
    uint32_t v6;
};

struct real_key {
    struct gate_port *at;
    struct addr real;
};

struct udp_flow {
    struct flow_key key;
    struct real_key real;
    struct gate_name *name;
    mono_t started, used;
    uint64_t up, down;
    UT_hash_handle by_key, by_real;
    TAILQ_ENTRY(udp_flow) order; /* the longest idle first */
};

struct held_datagram {
    struct gate_name *name;
    mono_t until;
    uint16_t len;
    uint8_t packet[HELD_BYTES];
};

struct gate_udps {
    TAILQ_HEAD(, gate_port) ports;
    TAILQ_HEAD(flow_list, udp_flow) flows;
    struct udp_flow *keys, *reals;
    unsigned n_ports, n_ready;
    struct held_datagram held[HELD_MAX];
    unsigned n_held;
    uint8_t buf[DATAGRAM_MAX + 1];
};

int gate_udp_start(struct pump *p)
{
    struct gate_udps *u = p->gateway->udps = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    TAILQ_INIT(&u->ports);
    TAILQ_INIT(&u->flows);
    return 0;
}

static void set_ready(struct gate_port *a, bool ready)
{
    struct gate_udps *u = a->p->gateway->udps;
    u->n_ready -= a->ready;
    u->n_ready += ready;
    a->ready = ready;
}

static void port_free(struct gate_port *a)
{
    struct gate_udps *u = a->p->gateway->udps;
    set_ready(a, false);
    TAILQ_REMOVE(&u->ports, a, all);
    u->n_ports--;
    fdset_del(a->p->set, a->watch);
    close(a->fd);
    free(a);
}

static void flow_end(struct pump *p, struct udp_flow *f, const char *why)
{
    struct gate_udps *u = p->gateway->udps;
    struct gate_port *a = f->real.at;
    struct gate_user *user = f->name->user;
    char key[KEY_STR_LEN + 1], to[ADDR_STR];
    user->account.up += f->up;
    user->account.down += f->down;
    log_info("gateway flow user=%s proto=udp name=%s to=%s up=%llu down=%llu ms=%llu%s%s", gate_user_name(p, user, key), f->name->record->name,
        addr_str(&f->real.real, to), (unsigned long long)f->up, (unsigned long long)f->down,
        (unsigned long long)(mono_since(f->started, p->now) / USEC_PER_MSEC), *why ? " ended=" : "", why);
    HASH_DELETE(by_key, u->keys, f);
    HASH_DELETE(by_real, u->reals, f);
    TAILQ_REMOVE(&u->flows, f, order);
    gate_flow_end(p->gateway->to, f->name);
    free(f);
    if (--a->flows == 0)
        port_free(a);
}

void gate_udp_stop(struct pump *p)
{
    struct gate_udps *u = p->gateway->udps;
    struct udp_flow *f;
    while (u && (f = TAILQ_FIRST(&u->flows)))
        flow_end(p, f, "stop");
    free(u);
    p->gateway->udps = NULL;
}

unsigned gate_udp_ports(const struct pump *p)
{
    return p->gateway->udps->n_ports;
}

/* ---- real hosts to users ---- */

static struct udp_flow *flow_of_real(struct gate_udps *u, struct gate_port *a, const struct addr *real)
{
    struct real_key k;
    struct udp_flow *f;
    memset(&k, 0, sizeof(k));
    k.at = a;
    k.real = *real;
    HASH_FIND(by_real, u->reals, &k, sizeof(k), f);
    return f;
}

/* The IP header of a datagram from behind the name to its user, or the other way. */
static size_t ip_head(struct pump *p, const struct udp_flow *f, bool to_user, uint8_t *out, size_t len)
{
    const struct gate_name *m = f->name;
    uint16_t body = (uint16_t)(UDP_HEAD + len);
    uint8_t template[IP6_HEAD], user6[16];
    if (!f->key.v6) {
        ip_build(out, to_user ? f->key.ip : f->key.host, to_user ? f->key.host : f->key.ip, IP_UDP, p->dgram->ip_id++, (uint16_t)(IP_HEAD + body));
        return IP_HEAD;
    }
    if (!pool_address6(p->pool, f->key.host, user6))
        return 0;
    ip6_template(template, to_user ? m->key6.ip6 : user6, to_user ? user6 : m->key6.ip6, 0);
    ip6_build(out, template, IP_UDP, body);
    return IP6_HEAD;
}

/* What the user has sent found a closed port. */
static void port_closed(struct pump *p, const struct udp_flow *f)
{
    uint8_t packet[IP6_HEAD + UDP_HEAD];
    size_t n = ip_head(p, f, false, packet, 0);
    if (!n)
        return;
    udp_build(packet + n, packet, f->key.client_port, f->key.port, NULL, 0);
    dgram_answer_unreachable_from(p, f->key.ip, f->key.host, packet, n + UDP_HEAD);
}

static void read_errors(struct gate_port *a)
{
    struct gate_udps *u = a->p->gateway->udps;
    struct addr to;
    int err;
    for (int i = 0; i < READS_MAX && (err = outward_error(a->fd, &to)); i++) {
        const struct udp_flow *f = err == ECONNREFUSED ? flow_of_real(u, a, &to) : NULL;
        if (f)
            port_closed(a->p, f);
    }
}

static void to_user(struct pump *p, struct udp_flow *f, const uint8_t *data, size_t len)
{
    struct gate_udps *u = p->gateway->udps;
    uint8_t head[IP6_HEAD];
    size_t n = ip_head(p, f, true, head, len);
    f->down += len;
    f->used = p->now;
    TAILQ_REMOVE(&u->flows, f, order);
    TAILQ_INSERT_TAIL(&u->flows, f, order);
    if (n)
        dgram_send(p, f->key.ip, f->key.host, head, n, f->key.port, f->key.client_port, data, len);
}

static void read_port(struct gate_port *a)
{
    struct pump *p = a->p;
    struct gate_udps *u = p->gateway->udps;
    int i = 0;
    for (; i < READS_MAX; i++) {
        struct sockaddr_storage ss;
        socklen_t sslen = sizeof(ss);
        ssize_t n = recvfrom(a->fd, u->buf, sizeof(u->buf), MSG_DONTWAIT, (struct sockaddr *)&ss, &sslen);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            read_errors(a);
            continue;
        }
        struct addr from = addr_from_sockaddr(&ss, sslen);
        struct udp_flow *f = flow_of_real(u, a, &from);
        if (f && n <= DATAGRAM_MAX)
            to_user(p, f, u->buf, (size_t)n);
    }
    set_ready(a, i == READS_MAX);
}

static void on_port(void *ctx, uint32_t events)
{
    struct gate_port *a = ctx;
    pump_clock(a->p);
    if (events & EPOLLERR)
        read_errors(a);
    read_port(a);
}

/* ---- users to real hosts ---- */

/* The user's socket for that family, but for one where `real` means another name already. */
static struct gate_port *port_find(struct gate_udps *u, const struct flow_key *k, const struct addr *real)
{
    struct udp_flow *f;
    TAILQ_FOREACH_REVERSE(f, &u->flows, flow_list, order)
        if (f->key.host == k->host && f->key.client_port == k->client_port && f->key.v6 == k->v6 && f->real.at->family == real->family &&
            !flow_of_real(u, f->real.at, real))
            return f->real.at;
    return NULL;
}

static struct gate_port *port_new(struct pump *p, const struct flow_key *k, uint8_t family)
{
    struct gate_udps *u = p->gateway->udps;
    struct gate_port *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    *a = (struct gate_port){.p = p, .host = k->host, .client_port = k->client_port, .v6 = k->v6, .family = family};
    a->fd = outward_udp(family);
    a->watch = a->fd < 0 ? NULL : fdset_add(p->set, a->fd, false, on_port, a);
    if (!a->watch) {
        if (a->fd >= 0)
            close(a->fd);
        free(a);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&u->ports, a, all);
    u->n_ports++;
    return a;
}

static struct udp_flow *flow_new(struct pump *p, struct gate_name *m, const struct flow_key *k, const struct addr *real)
{
    struct gate_udps *u = p->gateway->udps;
    struct gate_port *a = port_find(u, k, real);
    bool fresh = !a;
    struct udp_flow *f = (a = a ? a : port_new(p, k, real->family)) ? calloc(1, sizeof(*f)) : NULL;
    if (!f) {
        if (a && fresh)
            port_free(a);
        return NULL;
    }
    f->key = *k;
    f->real.at = a;
    f->real.real = *real;
    f->name = m;
    f->started = f->used = p->now;
    HASH_ADD(by_key, u->keys, key, sizeof(f->key), f);
    HASH_ADD(by_real, u->reals, real, sizeof(f->real), f);
    TAILQ_INSERT_TAIL(&u->flows, f, order);
    a->flows++;
    m->user->account.ports += fresh;
    gate_flow_begin(p->gateway->to, m, p->now);
    return f;
}

/* 0 or the errno. */
static int send_on(struct udp_flow *f, const uint8_t *data, size_t len)
{
    struct sockaddr_storage ss;
    socklen_t n = addr_to_sockaddr(&f->real.real, &ss);
    for (int tries = 0; tries < 3; tries++) /* an error of an earlier one is told first */
        if (sendto(f->real.at->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, n) >= 0)
            return 0;
        else if (errno != ECONNREFUSED && errno != EINTR && errno != EHOSTUNREACH)
            return errno;
        else
            read_errors(f->real.at);
    return 0;
}

static void hold(struct pump *p, struct gate_name *m, const uint8_t *packet, size_t len)
{
    struct gate_udps *u = p->gateway->udps;
    if (u->n_held == HELD_MAX || len > HELD_BYTES) {
        p->dgram->count.no_room++;
        return;
    }
    struct held_datagram *h = &u->held[u->n_held++];
    h->name = m;
    h->until = mono_add(p->now, 5 * USEC_PER_SEC);
    h->len = (uint16_t)len;
    memcpy(h->packet, packet, len);
}

static void refuse(struct pump *p, const struct gate_name *m, const uint8_t *packet, const struct ip_header *ip)
{
    dgram_answer_unreachable_from(p, m->key.ip, m->key.host, packet, ip->len);
}

/* Programs that ask a DNS take a new port for each question: the user's flow that is idle longest makes room, if it rests. */
static void make_room(struct pump *p, const struct gate_user *user)
{
    struct udp_flow *f;
    TAILQ_FOREACH(f, &p->gateway->udps->flows, order)
        if (f->name->user == user) {
            if (mono_since(f->used, p->now) >= RESTS_US)
                flow_end(p, f, "made room");
            return;
        }
}

static void first_datagram(struct pump *p, struct gate_name *m, const struct flow_key *k, const struct udp_datagram *d, const uint8_t *packet,
    const struct ip_header *ip)
{
    const struct config_gateway *config = gateway_config(p);
    struct network own = gateway_own_network(p);
    struct addr to[TO_IP_ADDRS];
    bool reserved;
    if (!config || m->record->status != GATE_OK) {
        refuse(p, m, packet, ip);
        return;
    }
    unsigned n = gate_addresses(config, &own, m->record, k->port, k->v6 ? 6 : 4, to, &reserved);
    if (!n) {
        gate_refused(p, m, IPPROTO_UDP, k->port, k->client_port, GATE_FORBIDDEN,
            reserved ? "its address is reserved, and networks does not list it by itself" : "networks does not allow it");
        refuse(p, m, packet, ip);
        return;
    }
    if (!gate_user_room(p->gateway->to, m->user, config))
        make_room(p, m->user);
    if (!gate_user_room(p->gateway->to, m->user, config)) {
        gate_refused(p, m, IPPROTO_UDP, k->port, k->client_port, GATE_FULL, "there is no room for more flows");
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        struct udp_flow *f = flow_new(p, m, k, &to[i]);
        if (!f) {
            p->dgram->count.no_room++;
            return;
        }
        int err = send_on(f, d->data, d->len);
        if (!err)
            f->up += d->len;
        if (!err || i + 1 == n || (err != ENETUNREACH && err != EADDRNOTAVAIL && err != EAFNOSUPPORT))
            return;
        flow_end(p, f, "no way");
    }
}

void gate_udp_in(struct pump *p, struct gate_name *m, const uint8_t *packet, const struct ip_header *ip)
{
    struct gate_udps *u = p->gateway->udps;
    struct udp_datagram d;
    struct udp_flow *f;
    if (!udp_parse(packet, ip, &d)) {
        p->dgram->count.bad++;
        return;
    }
    struct flow_key k = {m->key.host, m->key.ip, d.src_port, d.dst_port, ip->v6};
    HASH_FIND(by_key, u->keys, &k, sizeof(k), f);
    if (f) {
        f->used = p->now;
        TAILQ_REMOVE(&u->flows, f, order);
        TAILQ_INSERT_TAIL(&u->flows, f, order);
        if (!send_on(f, d.data, d.len))
            f->up += d.len;
    } else if (gate_wants_record(p, m)) {
        hold(p, m, packet, ip->len);
    } else {
        first_datagram(p, m, &k, &d, packet, ip);
    }
}

void gate_udp_ready(struct pump *p, struct gate_name *m)
{
    struct gate_udps *u = p->gateway->udps;
    for (unsigned i = 0; i < u->n_held;) {
        if (u->held[i].name != m) {
            i++;
            continue;
        }
        struct held_datagram h = u->held[i];
        struct ip_header ip = {0};
        memmove(&u->held[i], &u->held[i + 1], (u->n_held - i - 1) * sizeof(h));
        u->n_held--;
        if ((h.packet[0] >> 4 == 6 ? ip6_parse : ip_parse)(h.packet, h.len, &ip))
            gate_udp_in(p, m, h.packet, &ip);
    }
}

/* ---- ends ---- */

static void drop_held(struct gate_udps *u, const struct gate_name *m, mono_t now)
{
    unsigned n = 0;
    for (unsigned i = 0; i < u->n_held; i++)
        if (u->held[i].name != m && !mono_due(u->held[i].until, now)) {
            if (n != i)
                u->held[n] = u->held[i];
            n++;
        }
    u->n_held = n;
}

void gate_udp_end(struct pump *p, const struct gate_name *m)
{
    struct gate_udps *u = p->gateway->udps;
    struct udp_flow *f, *next;
    drop_held(u, m, p->now);
    for (f = TAILQ_FIRST(&u->flows); f; f = next) {
        next = TAILQ_NEXT(f, order);
        if (f->name == m)
            flow_end(p, f, "name gone");
    }
}

void gate_udp_recheck(struct pump *p)
{
    struct gate_udps *u = p->gateway->udps;
    const struct config_gateway *c = gateway_config(p);
    struct network own = gateway_own_network(p);
    struct udp_flow *f, *next;
    for (f = TAILQ_FIRST(&u->flows); f; f = next) {
        next = TAILQ_NEXT(f, order);
        if (!c || !f->name->user->allowed || !gate_name_permitted(c, f->name->record->name) ||
            !networks_allow(c->networks, c->n_networks, &own, &f->real.real, NULL))
            flow_end(p, f, "not allowed any more");
    }
}

static uint64_t idle_us(const struct pump *p)
{
    const struct config_gateway *c = gateway_config(p);
    return (c ? c->udp_idle : 1) * USEC_PER_SEC;
}

mono_t gate_udp_deadline(const struct pump *p)
{
    const struct gate_udps *u = p->gateway->udps;
    const struct udp_flow *f = TAILQ_FIRST(&u->flows);
    mono_t at = f ? mono_add(f->used, idle_us(p)) : MONO_NEVER;
    if (u->n_held)
        at = mono_min(at, u->held[0].until);
    return u->n_ready ? p->now : at;
}

void gate_udp_expire(struct pump *p)
{
    struct gate_udps *u = p->gateway->udps;
    struct udp_flow *f;
    struct gate_port *a, *next;
    for (a = u->n_ready ? TAILQ_FIRST(&u->ports) : NULL; a; a = next) {
        next = TAILQ_NEXT(a, all);
        if (a->ready)
            read_port(a);
    }
    while ((f = TAILQ_FIRST(&u->flows)) && mono_due(mono_add(f->used, idle_us(p)), p->now))
        flow_end(p, f, "");
    if (u->n_held && mono_due(u->held[0].until, p->now))
        drop_held(u, NULL, p->now);
}
