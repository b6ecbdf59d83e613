/* pump/portal.c - the portal as a whole: what is listened at, and turns. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>

#include "daemon/base/log.h"
#include "daemon/pump/portal_impl.h"

static const char *const kind_name[] = {"http", "tls", "port", "dns", "dns"};

/* ---- names ---- */

const struct config_publish *portal_entry(const struct portal *t, const char *name)
{
    const struct config *c = &t->p->config;
    for (unsigned i = 0; i < c->n_publishes; i++)
        if (!strcmp(c->publishes[i].name, name))
            return &c->publishes[i];
    return NULL;
}

bool portal_bare(const struct portal *t, const char *host, char out[CONFIG_NAME_MAX + 1])
{
    size_t n = strlen(host), zone = strlen(t->c.zone);
    out[0] = '\0';
    if (n < zone || strcmp(host + n - zone, t->c.zone) != 0)
        return false;
    if (n == zone)
        return true;
    if (host[n - zone - 1] != '.')
        return false;
    if (n - zone - 1 > CONFIG_NAME_MAX) {
        memcpy(out, ".", 2); /* below it, and nobody */
        return true;
    }
    memcpy(out, host, n - zone - 1);
    out[n - zone - 1] = '\0';
    return true;
}

bool portal_lists(const struct config_ports *ports, uint16_t port)
{
    for (unsigned i = 0; i < ports->n; i++)
        if (ports->v[i] == port)
            return true;
    return false;
}

/* ---- listeners ---- */

static void on_listener(void *ctx, uint32_t events)
{
    struct portal_listener *l = ctx;
    (void)events;
    l->ready = l->t->any_ready = true;
}

static void listener_take(struct portal *t, struct portal_listener *l)
{
    struct accepted v[PORTAL_ACCEPTS];
    if (l->kind == PORTAL_UDP) {
        portal_dns_udp(t, l);
        return;
    }
    unsigned n = accept_batch(l->fd, v, PORTAL_ACCEPTS, &l->ready, &t->spare, &t->count.no_fds);
    for (unsigned i = 0; i < n; i++) {
        if (l->kind == PORTAL_TCP)
            portal_dns_accept(t, &v[i]);
        else
            portal_accept(t, l, &v[i]);
    }
}

static void listener_close(struct portal_listener *l)
{
    if (l->fd < 0)
        return;
    fdset_del(l->t->p->set, l->watch);
    close(l->fd);
    l->fd = -1;
    l->watch = NULL;
    l->ready = false;
}

static const char *advice(int err)
{
    return err == EACCES ? ": a port below 1024 is the administrator's: let systemd redirect it (a .socket with systemd-socket-proxyd), redirect it in the "
                           "firewall (nft ... redirect to :8080), or lower net.ipv4.ip_unprivileged_port_start"
         : err == EADDRNOTAVAIL ? ": this machine does not have that address"
         : err == EADDRINUSE    ? ": another program listens there"
                                : "";
}

static void listener_open(struct portal_listener *l)
{
    char s[ADDR_STR];
    struct pump *p = l->t->p;
    l->fd = l->kind == PORTAL_UDP ? answer_open(&l->at, &l->local) : accept_open(&l->at, &l->local);
    l->err = l->fd < 0 ? -l->fd : 0;
    if (l->fd >= 0 && !(l->watch = fdset_add(p->set, l->fd, false, on_listener, l))) {
        close(l->fd);
        l->fd = -1;
        l->err = ENOMEM;
    }
    l->ready = l->fd >= 0;
    l->t->any_ready = true;
    if (l->err)
        log_error("portal %s cannot listen at %s err=%d%s", kind_name[l->kind], addr_str(&l->at, s), l->err, advice(l->err));
    else
        log_info("portal %s listens at %s", kind_name[l->kind], addr_str(&l->local, s));
}

static struct portal_listener *listener_find(struct portal *t, enum portal_kind kind, const struct addr *at)
{
    for (unsigned i = 0; i < t->n_listeners; i++)
        if (t->listeners[i].kind == kind && addr_eq(&t->listeners[i].at, at))
            return &t->listeners[i];
    return NULL;
}

/* DNS by UDP and TCP has to be at the same port: where any will do, the first has found which. */
static void want(struct portal *t, enum portal_kind kind, const struct addr *at, unsigned waypoint)
{
    struct portal_listener *l = listener_find(t, kind, at);
    if (l && l->fd >= 0) {
        l->stale = false;
        l->waypoint = waypoint;
        return;
    }
    for (unsigned i = 0; !l && i < t->n_listeners; i++)
        if (!t->listeners[i].at.family)
            l = &t->listeners[i];
    if (!l && t->n_listeners == PORTAL_LISTENERS_MAX)
        return;
    l = l ? l : &t->listeners[t->n_listeners++];
    *l = (struct portal_listener){.t = t, .kind = kind, .at = *at, .waypoint = waypoint, .fd = -1};
    listener_open(l);
}

static void want_list(struct portal *t, enum portal_kind kind, const struct config_listen *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        struct addr at = list->v[i];
        want(t, kind, &at, 0);
        if (kind != PORTAL_UDP)
            continue;
        const struct portal_listener *udp = listener_find(t, PORTAL_UDP, &at);
        if (udp && udp->fd >= 0 && !at.port)
            at.port = udp->local.port;
        want(t, PORTAL_TCP, &at, 0);
    }
}

const char *portal_wrong(const struct pump *p)
{
    return p->portal && p->portal->wrong[0] ? p->portal->wrong : NULL;
}

static void note_wrong(struct portal *t)
{
    char s[ADDR_STR];
    t->wrong[0] = '\0';
    for (unsigned i = t->n_listeners; i--;)
        if (t->listeners[i].err && t->listeners[i].at.family)
            snprintf(t->wrong, sizeof(t->wrong), "%s at %s: %s", kind_name[t->listeners[i].kind], addr_str(&t->listeners[i].at, s),
                strerror(t->listeners[i].err));
}

/* Behind those that stay nothing moves: what is watched has its address for good. */
static void listen_as_configured(struct portal *t)
{
    for (unsigned i = 0; i < t->n_listeners; i++)
        t->listeners[i].stale = true;
    want_list(t, PORTAL_UDP, &t->c.dns);
    want_list(t, PORTAL_HTTP, &t->c.http);
    want_list(t, PORTAL_TLS, &t->c.tls);
    for (unsigned i = 0; i < t->c.n_waypoints; i++)
        for (unsigned k = 0; k < t->c.ports.n; k++) {
            struct addr at = t->c.waypoints[i];
            at.port = t->c.ports.v[k];
            want(t, PORTAL_PORT, &at, i);
        }
    for (unsigned i = 0; i < t->n_listeners; i++)
        if (t->listeners[i].stale) {
            listener_close(&t->listeners[i]);
            t->listeners[i].at = (struct addr){0};
        }
    while (t->n_listeners && t->listeners[t->n_listeners - 1].fd < 0 && !t->listeners[t->n_listeners - 1].at.family)
        t->n_listeners--;
    note_wrong(t);
}

/* ---- life ---- */

static struct portal *portal_new(struct pump *p)
{
    struct portal *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->p = p;
    t->spare = -1;
    t->listeners = calloc(PORTAL_LISTENERS_MAX, sizeof(*t->listeners));
    for (unsigned i = 0; i < PORTAL_STAGES; i++)
        TAILQ_INIT(&t->list[i]);
    TAILQ_INIT(&t->work);
    TAILQ_INIT(&t->streams);
    dns_limit_init(&t->limit, drbg_u64(&p->random));
    if (t->listeners)
        return t;
    free(t);
    return NULL;
}

/* Bindings hold as long as the waypoints are what they were. */
static void make_table(struct portal *t, const struct config_portal *old)
{
    bool same = t->from_ip && old->n_waypoints == t->c.n_waypoints && !memcmp(old->waypoints, t->c.waypoints, sizeof(old->waypoints));
    if (same)
        return;
    from_ip_free(t->from_ip);
    t->from_ip = from_ip_new(t->c.waypoints, t->c.n_waypoints);
    t->table++;
}

void portal_configure(struct pump *p)
{
    const struct config *c = &p->config;
    if (!c->n_portals) {
        portal_stop(p);
        return;
    }
    struct portal *t = p->portal = p->portal ? p->portal : portal_new(p);
    if (!t) {
        log_error("portal: out of memory");
        return;
    }
    struct config_portal old = t->c;
    t->c = c->portals[0];
    t->wall = p->wall / 1000000;
    make_table(t, &old);
    if (portal_zone_make(t) < 0)
        log_error("portal zone=%s: out of memory, or a name of it is too long", t->c.zone);
    listen_as_configured(t);
    if (t->spare < 0)
        t->spare = fcntl(p->timer_fd, F_DUPFD_CLOEXEC, 0);
    portal_conns_recheck(t);
}

void portal_stop(struct pump *p)
{
    struct portal *t = p->portal;
    if (!t)
        return;
    p->portal = NULL;
    portal_conns_stop(t);
    portal_dns_stop(t);
    for (unsigned i = 0; i < t->n_listeners; i++)
        listener_close(&t->listeners[i]);
    if (t->spare >= 0)
        close(t->spare);
    from_ip_free(t->from_ip);
    dns_zone_free(t->zone);
    free(t->listeners);
    free(t);
}

mono_t portal_deadline(const struct pump *p)
{
    const struct portal *t = p->portal;
    if (!t)
        return MONO_NEVER;
    if (t->any_ready)
        return p->now;
    mono_t at = t->from_ip ? from_ip_deadline(t->from_ip) : MONO_NEVER;
    return mono_min(at, mono_min(portal_conns_deadline(t), portal_dns_deadline(t)));
}

void portal_turn(struct pump *p)
{
    struct portal *t = p->portal;
    if (!t)
        return;
    bool any = t->any_ready;
    t->any_ready = false;
    for (unsigned i = 0; any && i < t->n_listeners; i++)
        if (t->listeners[i].ready) {
            listener_take(t, &t->listeners[i]);
            t->any_ready = t->any_ready || t->listeners[i].ready;
        }
    if (t->from_ip)
        from_ip_expire(t->from_ip, p->now);
    portal_conns_turn(t);
    portal_dns_turn(t);
}
