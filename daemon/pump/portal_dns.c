/* pump/portal_dns.c - the zone, by UDP and TCP (gateway/dns_zone.h). */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/pump/portal_impl.h"

enum { STREAM_BUF = 2 + DNS_ZONE_QUERY_MAX, STREAM_OUT = 2 + DNS_ZONE_TCP_MAX, STREAM_QUESTIONS = 16 /* of one stream a turn */ };

struct portal_stream {
    struct portal *t;
    int fd;
    struct fdset_entry *watch;
    mono_t due;
    bool ready;
    size_t len, out_len;
    uint8_t buf[STREAM_BUF], out[STREAM_OUT];
    TAILQ_ENTRY(portal_stream) entry;
};

/* ---- names ---- */

/* Something is published below that name: it is there itself, without anything. */
static bool is_between(const struct portal *t, const char *name)
{
    const struct config *c = &t->p->config;
    size_t n = strlen(name);
    for (unsigned i = 0; i < c->n_publishes; i++) {
        size_t m = strlen(c->publishes[i].name);
        if (m > n && c->publishes[i].name[m - n - 1] == '.' && !strcmp(c->publishes[i].name + m - n, name))
            return true;
    }
    return false;
}

static bool needs_waypoint(const struct portal *t, const struct config_publish *e)
{
    for (unsigned i = 0; i < e->ports.n; i++)
        if (portal_lists(&t->c.ports, e->ports.v[i]))
            return true;
    return false;
}

/* All of that family, each in front in its turn. */
static unsigned all_waypoints(struct portal *t, uint8_t family, struct addr out[DNS_ZONE_ADDRESSES])
{
    unsigned n = 0, all = t->c.n_waypoints;
    for (unsigned i = 0; i < all && n < DNS_ZONE_ADDRESSES; i++) {
        const struct addr *a = &t->c.waypoints[(t->turn + i) % all];
        if (a->family == family)
            out[n++] = *a;
    }
    t->turn++;
    return n;
}

static enum dns_zone_found find(void *ctx, const char *name, uint8_t family, struct addr out[DNS_ZONE_ADDRESSES], unsigned *n)
{
    struct portal *t = ctx;
    struct ipc_resolved unused;
    const struct config_publish *e = portal_entry(t, name);
    *n = 0;
    if (!e)
        return is_between(t, name) ? DNS_ZONE_FOUND : DNS_ZONE_NO_NAME;
    if (!family)
        return DNS_ZONE_FOUND;
    if (!needs_waypoint(t, e)) {
        *n = all_waypoints(t, family, out);
    } else {
        int w = from_ip_answer(t->from_ip, t->p->now, name, family);
        if (w == -EAGAIN)
            return DNS_ZONE_BUSY;
        if (w >= 0)
            out[(*n)++] = t->c.waypoints[w];
    }
    if (*n)
        policy_resolve(t->p, e->to, "", &unused); /* so that the session stands when the connection comes */
    return DNS_ZONE_FOUND;
}

/* ---- the zone ---- */

static unsigned host_addresses(const struct portal *t, struct addr out[DNS_ZONE_HOST_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->c.dns.n; i++)
        if (!addr_is_any(&t->c.dns.v[i]) && n < DNS_ZONE_HOST_MAX)
            out[n++] = t->c.dns.v[i];
    for (unsigned i = 0; !n && i < t->c.n_waypoints && i < DNS_ZONE_HOST_MAX; i++)
        out[n++] = t->c.waypoints[i];
    return n;
}

int portal_zone_make(struct portal *t)
{
    char ns[CONFIG_ZONE_MAX + 16], mail[CONFIG_ZONE_MAX + 16];
    struct dns_zone_config c = {.zone = t->c.zone, .mail = t->c.mail, .n_ns = t->c.n_ns, .serial = (uint32_t)t->wall};
    for (unsigned i = 0; i < t->c.n_ns; i++)
        c.ns[i] = t->c.ns[i];
    if (!c.n_ns) {
        snprintf(ns, sizeof(ns), "ns.%s", t->c.zone);
        c.ns[c.n_ns++] = ns;
    }
    if (!t->c.mail[0]) {
        snprintf(mail, sizeof(mail), "hostmaster.%s", t->c.zone);
        c.mail = mail;
    }
    c.n_host = host_addresses(t, c.host);
    struct dns_zone *z = dns_zone_new(&c);
    if (!z)
        return -ENOMEM;
    dns_zone_free(t->zone);
    t->zone = z;
    return 0;
}

static size_t answer(struct portal *t, const uint8_t *query, size_t len, bool tcp, uint8_t *out, size_t cap)
{
    struct dns_zone_names names = {find, t};
    struct dns_zone_outcome what;
    size_t n = t->zone ? dns_zone_answer(t->zone, &names, query, len, tcp, out, cap, &what) : 0;
    if (!n) {
        t->count.dns_bad++;
        return 0;
    }
    t->count.dns_nxdomain += what.rcode == 3;
    t->count.dns_refused += what.rcode == 4 || what.rcode == 5;
    t->count.dns_bad += what.rcode == 1;
    t->count.dns_busy += what.rcode == 2;
    t->count.dns_truncated += what.truncated;
    return n;
}

/* ---- UDP ---- */

static void one_datagram(struct portal *t, struct portal_listener *l, const struct answer_way *way, const uint8_t *query, size_t len)
{
    uint8_t out[DNS_ZONE_UDP_MAX];
    size_t n = 0;
    t->count.dns_udp++;
    switch (dns_limit_ask(&t->limit, t->p->now, &way->source)) {
    case DNS_LIMIT_ANSWER:
        n = answer(t, query, len, false, out, sizeof(out));
        break;
    case DNS_LIMIT_SLIP:
        n = dns_zone_slip(query, len, out, sizeof(out));
        t->count.dns_slipped++;
        break;
    case DNS_LIMIT_DROP:
        t->count.dns_dropped++;
        break;
    }
    if (n && way->source.port)
        answer_send(l->fd, way, out, n);
}

void portal_dns_udp(struct portal *t, struct portal_listener *l)
{
    uint8_t query[DNS_ZONE_QUERY_MAX + 1];
    struct answer_way way;
    for (unsigned i = 0; i < PORTAL_QUERIES; i++) {
        ssize_t n = answer_recv(l->fd, query, sizeof(query), &way);
        if (n == -EAGAIN) {
            l->ready = false;
            return;
        }
        if (n > 0)
            one_datagram(t, l, &way, query, (size_t)n);
    }
    l->ready = true;
}

/* ---- TCP ---- */

static void stream_free(struct portal_stream *s)
{
    struct portal *t = s->t;
    fdset_del(t->p->set, s->watch);
    close(s->fd);
    TAILQ_REMOVE(&t->streams, s, entry);
    t->n_streams--;
    free(s);
}

static void on_stream(void *ctx, uint32_t events)
{
    struct portal_stream *s = ctx;
    (void)events;
    s->ready = true;
}

void portal_dns_accept(struct portal *t, const struct accepted *a)
{
    struct portal_stream *s = calloc(1, sizeof(*s));
    if (!s) {
        accept_reset(a->fd);
        return;
    }
    if (t->n_streams == PORTAL_DNS_STREAMS) {
        t->count.dns_full++;
        stream_free(TAILQ_FIRST(&t->streams));
    }
    s->t = t;
    s->fd = a->fd;
    s->ready = true;
    s->due = mono_add(t->p->now, PORTAL_DNS_IDLE_S * USEC_PER_SEC);
    TAILQ_INSERT_TAIL(&t->streams, s, entry);
    t->n_streams++;
    s->watch = fdset_add(t->p->set, s->fd, false, on_stream, s);
    if (!s->watch)
        stream_free(s);
}

/* The answer goes out whole before the next question is looked at. False: the stream is no good any more. */
static bool flush(struct portal_stream *s)
{
    if (!s->out_len)
        return true;
    ssize_t n = send(s->fd, s->out, s->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
        fdset_want_out(s->t->p->set, s->watch);
        return true;
    }
    if (n < 0)
        return errno == EINTR;
    s->out_len -= (size_t)n;
    memmove(s->out, s->out + n, s->out_len);
    return true;
}

/* The next question, if it is there whole. False: none was. */
static bool one_question(struct portal_stream *s, bool *bad)
{
    struct portal *t = s->t;
    size_t len = s->len < 2 ? 0 : (size_t)(s->buf[0] << 8 | s->buf[1]);
    *bad = s->len >= 2 && (len > DNS_ZONE_QUERY_MAX || !len);
    if (*bad || s->len < 2 || s->len < 2 + len)
        return false;
    t->count.dns_tcp++;
    size_t n = answer(t, s->buf + 2, len, true, s->out + 2, sizeof(s->out) - 2);
    s->len -= 2 + len;
    memmove(s->buf, s->buf + 2 + len, s->len);
    *bad = !n;
    s->out[0] = (uint8_t)(n >> 8);
    s->out[1] = (uint8_t)n;
    s->out_len = n ? 2 + n : 0;
    TAILQ_REMOVE(&t->streams, s, entry);
    TAILQ_INSERT_TAIL(&t->streams, s, entry);
    s->due = mono_add(t->p->now, PORTAL_DNS_IDLE_S * USEC_PER_SEC);
    return n;
}

/* False: it has ended. */
static bool serve(struct portal_stream *s)
{
    bool bad = false;
    s->ready = false;
    for (unsigned i = 0; i < STREAM_QUESTIONS; i++) {
        if (!flush(s))
            return false;
        if (s->out_len)
            return true;
        if (one_question(s, &bad))
            continue;
        ssize_t n = bad ? 0 : recv(s->fd, s->buf + s->len, sizeof(s->buf) - s->len, MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return false;
        s->len += (size_t)n;
    }
    s->ready = true; /* the others have their turn first */
    return true;
}

mono_t portal_dns_deadline(const struct portal *t)
{
    const struct portal_stream *s;
    TAILQ_FOREACH(s, &t->streams, entry)
        if (s->ready)
            return t->p->now;
    return TAILQ_EMPTY(&t->streams) ? MONO_NEVER : TAILQ_FIRST(&t->streams)->due;
}

void portal_dns_turn(struct portal *t)
{
    struct portal_stream *s, *next;
    for (s = TAILQ_FIRST(&t->streams); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if ((s->ready && !serve(s)) || mono_due(s->due, t->p->now))
            stream_free(s);
    }
}

void portal_dns_stop(struct portal *t)
{
    struct portal_stream *s;
    while ((s = TAILQ_FIRST(&t->streams)))
        stream_free(s);
}
