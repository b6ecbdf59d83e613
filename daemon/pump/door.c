/* pump/door.c - datagrams through doors (policy/access.h): to a server of this machine, or of its network, that does not run under i3run.
 *
 *     peer 10.a.b.c:port ---- overlay ---> [ 127.a.b.c:any  connected to the target ] ---> target
 *
 * Each address and port of a peer has a socket of its own, as behind a NAT: the target answers to it, and nobody else can. One that
 * has been idle for DOOR_IDLE_US goes. Bounds: DOOR_FLOWS in all, DOOR_FLOWS_EACH of one peer; the one longest idle makes room.
 */
#include "daemon/pump/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/tcpip/ip6.h"
#include "daemon/tcpip/udp.h"

enum { DOOR_FLOWS = 512, DOOR_FLOWS_EACH = 64, READS_MAX = 32, DATAGRAM_MAX = 65507 };
#define DOOR_IDLE_US (120 * USEC_PER_SEC)

struct door_flow {
    struct pump *p;
    struct mirror m; /* the peer and our address towards it, as pump/udp.c sends to it; in no table */
    struct addr target;
    uint16_t port; /* of ours, at which the peer finds the target */
    int fd;
    struct fdset_entry *watch;
    mono_t used;
    TAILQ_ENTRY(door_flow) order;
};

/* The one longest idle first. */
struct door_flows {
    TAILQ_HEAD(, door_flow) all;
    unsigned n;
    uint8_t buf[DATAGRAM_MAX];
};

int door_start(struct pump *p)
{
    p->doors = calloc(1, sizeof(*p->doors));
    if (!p->doors)
        return -ENOMEM;
    TAILQ_INIT(&p->doors->all);
    return 0;
}

static void flow_end(struct door_flow *f)
{
    struct door_flows *ds = f->p->doors;
    TAILQ_REMOVE(&ds->all, f, order);
    ds->n--;
    fdset_del(f->p->set, f->watch);
    close(f->fd);
    free(f);
}

void door_stop(struct pump *p)
{
    struct door_flow *f;
    while (p->doors && (f = TAILQ_FIRST(&p->doors->all)))
        flow_end(f);
    free(p->doors);
    p->doors = NULL;
}

/* ---- target to peer ---- */

/* The target's port is closed: the peer hears of it as of any closed port. */
static void refused(struct door_flow *f)
{
    uint8_t packet[IP6_HEAD + UDP_HEAD], *udp = packet + IP_HEAD;
    struct pump *p = f->p;
    const struct addr *virt = &f->m.virt;
    if (virt->family == 6) {
        uint8_t template[IP6_HEAD], own6[16];
        pool_address6(p->pool, f->m.own, own6);
        ip6_template(template, virt->ip, own6, 0);
        ip6_build(packet, template, IP_UDP, UDP_HEAD);
        udp = packet + IP6_HEAD;
    } else {
        ip_build(packet, f->m.host, f->m.own, IP_UDP, 0, IP_HEAD + UDP_HEAD);
    }
    udp_build(udp, packet, virt->port, f->port, NULL, 0);
    dgram_answer_unreachable(p, f->m.host, packet, (size_t)(udp - packet) + UDP_HEAD);
}

static void on_target(void *ctx, uint32_t events)
{
    struct door_flow *f = ctx;
    struct pump *p = f->p;
    (void)events;
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(f->fd, p->doors->buf, sizeof(p->doors->buf), MSG_DONTWAIT);
        if (n < 0 && errno == ECONNREFUSED)
            refused(f);
        else if (n < 0)
            return;
        else
            dgram_out(p, &f->m, f->port, p->doors->buf, (size_t)n);
    }
}

/* ---- peer to target ---- */

static struct door_flow *flow_find(const struct door_flows *ds, const struct addr *virt, uint32_t own, uint16_t port, const struct addr *target)
{
    struct door_flow *f;
    TAILQ_FOREACH(f, &ds->all, order)
        if (f->port == port && f->m.own == own && addr_eq(&f->m.virt, virt) && addr_eq(&f->target, target))
            return f;
    return NULL;
}

static void make_room(struct door_flows *ds, uint32_t host)
{
    struct door_flow *f, *oldest = NULL;
    unsigned n = 0;
    TAILQ_FOREACH(f, &ds->all, order) {
        n += f->m.host == host;
        if (f->m.host == host && !oldest)
            oldest = f;
    }
    if (n >= DOOR_FLOWS_EACH)
        flow_end(oldest);
    else if (ds->n >= DOOR_FLOWS)
        flow_end(TAILQ_FIRST(&ds->all));
}

static struct door_flow *flow_new(struct pump *p, const struct side *s, const struct door *d, const struct addr *virt, uint32_t host)
{
    struct addr peer = names_host_address(p, host, d->target.family, 0);
    struct addr from = addr_is_loopback(&d->target) ? mirror_address(&peer) : (struct addr){.family = d->target.family};
    struct door_flow *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    *f = (struct door_flow){.p = p, .m = {.virt = *virt, .host = host, .own = s->own}, .target = d->target, .port = d->port};
    from.port = 0;
    f->fd = loopback_udp(&from, &d->target);
    f->watch = f->fd < 0 ? NULL : fdset_add(p->set, f->fd, false, on_target, f);
    if (!f->watch) {
        if (f->fd >= 0)
            close(f->fd);
        free(f);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&p->doors->all, f, order);
    p->doors->n++;
    return f;
}

void door_datagram(struct pump *p, const struct side *s, const struct door *d, const struct addr *virt, uint32_t host, const uint8_t *data,
    size_t len)
{
    struct door_flows *ds = p->doors;
    struct door_flow *f = flow_find(ds, virt, s->own, d->port, &d->target);
    if (!f) {
        make_room(ds, host);
        f = flow_new(p, s, d, virt, host);
    }
    if (!f) {
        p->dgram->count.no_room++;
        return;
    }
    f->used = p->now;
    TAILQ_REMOVE(&ds->all, f, order);
    TAILQ_INSERT_TAIL(&ds->all, f, order);
    p->dgram->count.in++;
    if (send(f->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED) {
        refused(f); /* the last one; this one may find it open */
        send(f->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* ---- time ---- */

mono_t door_deadline(const struct pump *p)
{
    const struct door_flow *f = TAILQ_FIRST(&p->doors->all);
    return f ? mono_add(f->used, DOOR_IDLE_US) : MONO_NEVER;
}

void door_expire(struct pump *p)
{
    struct door_flow *f;
    while ((f = TAILQ_FIRST(&p->doors->all)) && mono_since(f->used, p->now) >= DOOR_IDLE_US)
        flow_end(f);
}

void door_recheck(struct pump *p)
{
    struct door_flow *f, *next;
    for (f = p->doors ? TAILQ_FIRST(&p->doors->all) : NULL; f; f = next) {
        bool guest;
        const struct door *d = access_door(p, side_by_own(p, f->m.own), f->m.host, IPPROTO_UDP, f->port, &guest);
        next = TAILQ_NEXT(f, order);
        if (!d || !addr_eq(&d->target, &f->target))
            flow_end(f);
    }
}
