/* pump/portal_conn.c - a connection of the Internet: from its accept() to its end. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/pump/portal_impl.h"

enum { BUF_FIRST = 2048, BUF_MAX = HTTP_HEAD_MAX, LOOK_AGAIN_MS = 100 };

static const char *const conn_name[] = {"http", "tls", "port"};

/* ---- who comes ---- */

static struct addr net_of(const struct addr *source)
{
    struct addr net = *source;
    net.port = 0;
    if (net.family == 6)
        memset(net.ip + 8, 0, 8);
    return net;
}

static struct portal_source *source_get(struct portal *t, const struct addr *source)
{
    struct addr net = net_of(source);
    struct portal_source *s;
    HASH_FIND(hh, t->sources, &net, sizeof(net), s);
    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->net = net;
    HASH_ADD(hh, t->sources, net, sizeof(s->net), s);
    return s;
}

static void source_put(struct portal *t, struct portal_source *s)
{
    if (s->n)
        return;
    HASH_DEL(t->sources, s);
    free(s);
}

/* ---- stages ---- */

void portal_stage(struct portal_conn *c, enum portal_stage s, unsigned seconds)
{
    struct portal *t = c->t;
    TAILQ_REMOVE(&t->list[c->stage], c, entry);
    t->n[c->stage]--;
    c->stage = s;
    c->due = seconds ? mono_add(t->p->now, seconds * USEC_PER_SEC) : MONO_NEVER;
    TAILQ_INSERT_TAIL(&t->list[s], c, entry);
    t->n[s]++;
}

void portal_work(struct portal_conn *c)
{
    if (c->work)
        return;
    c->work = true;
    TAILQ_INSERT_TAIL(&c->t->work, c, working);
    c->t->n_work++;
}

static void log_end(const struct portal_conn *c, const char *why)
{
    char s[ADDR_STR];
    uint64_t us = mono_since(c->since, c->t->p->now);
    if (!c->name[0] || !why) {
        if (why)
            log_debug("portal %s from=%s end=\"%s\"", conn_name[c->kind], addr_str(&c->source, s), why);
        return;
    }
    log_info("portal %s from=%s name=%s to=%s:%u in=%llu out=%llu seconds=%llu.%llu end=\"%s\"", conn_name[c->kind], addr_str(&c->source, s), c->name,
        c->to[0] ? c->to : "-", c->port, (unsigned long long)c->in, (unsigned long long)c->out, (unsigned long long)(us / USEC_PER_SEC),
        (unsigned long long)(us / 100000 % 10), why);
}

static void conn_free(struct portal_conn *c)
{
    struct portal *t = c->t;
    if (c->work) {
        TAILQ_REMOVE(&t->work, c, working);
        t->n_work--;
    }
    TAILQ_REMOVE(&t->list[c->stage], c, entry);
    t->n[c->stage]--;
    t->all--;
    if (c->table && c->table == t->table)
        from_ip_end(t->from_ip, t->p->now, &c->source, c->waypoint);
    c->by->n--;
    source_put(t, c->by);
    free(c->gate);
    free(c->buf);
    free(c);
}

void portal_end(struct portal_conn *c, bool reset, const char *why)
{
    struct flow *f = c->flow;
    c->flow = NULL;
    if (f)
        flow_cut(f);
    fdset_del(c->t->p->set, c->watch);
    if (reset)
        accept_reset(c->fd);
    else
        close(c->fd);
    log_end(c, why);
    conn_free(c);
}

/* What the client sends yet is thrown away until it has seen our end: a reset would take the error from it. */
static bool linger(struct portal_conn *c)
{
    char junk[4096];
    ssize_t n;
    for (unsigned i = 0; i < 16; i++)
        if ((n = recv(c->fd, junk, sizeof(junk), MSG_DONTWAIT)) <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
    portal_work(c);
    return true;
}

static void on_client(void *ctx, uint32_t events)
{
    struct portal_conn *c = ctx;
    (void)events;
    portal_work(c);
}

static bool watch(struct portal_conn *c)
{
    if (!c->watch)
        c->watch = fdset_add(c->t->p->set, c->fd, false, on_client, c);
    return c->watch;
}

void portal_tell(struct portal_conn *c, const void *text, size_t len, const char *why)
{
    struct portal *t = c->t;
    struct flow *f = c->flow;
    c->flow = NULL;
    if (f)
        flow_cut(f);
    if (send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || shutdown(c->fd, SHUT_WR) < 0 || !watch(c)) {
        portal_end(c, true, why);
        return;
    }
    log_end(c, why);
    free(c->buf);
    c->buf = NULL;
    c->len = c->cap = c->pass = 0;
    portal_stage(c, PORTAL_LINGERS, PORTAL_LINGER_S);
    portal_work(c);
    if (t->n[PORTAL_LINGERS] > PORTAL_ENDING)
        portal_end(TAILQ_FIRST(&t->list[PORTAL_LINGERS]), false, NULL);
}

/* In the words of what the client speaks. */
static void refuse(struct portal_conn *c, int status, uint8_t alert, const char *why)
{
    if (c->kind == PORTAL_HTTP)
        portal_http_error(c, status, why);
    else if (c->kind == PORTAL_TLS)
        portal_tls_error(c, alert, why);
    else
        portal_end(c, true, why);
}

/* ---- the flow ---- */

static void buf_drop(struct portal_conn *c, size_t n)
{
    c->len -= n;
    c->pass -= n;
    if (c->len) {
        memmove(c->buf, c->buf + n, c->len);
        return;
    }
    free(c->buf);
    c->buf = NULL;
    c->cap = 0;
}

/* What may pass of buf, as much as there is room for. */
static ssize_t hand_over(struct portal_conn *c, const struct iovec *iov, int n)
{
    size_t done = 0;
    for (int i = 0; i < n && done < c->pass; i++) {
        size_t some = c->pass - done < iov[i].iov_len ? c->pass - done : iov[i].iov_len;
        memcpy(iov[i].iov_base, c->buf + done, some);
        done += some;
    }
    buf_drop(c, done);
    c->in += done;
    return (ssize_t)done;
}

/* More of the client's bytes into buf: how many, 0 at their end, -errno; -ENOBUFS: it is full. */
static ssize_t buf_fill(struct portal_conn *c)
{
    if (c->len == c->cap) {
        size_t cap = c->cap ? BUF_MAX : BUF_FIRST;
        uint8_t *more = c->cap == BUF_MAX ? NULL : realloc(c->buf, cap);
        if (!more)
            return -ENOBUFS;
        c->buf = more;
        c->cap = cap;
    }
    ssize_t n = recv(c->fd, c->buf + c->len, c->cap - c->len, MSG_DONTWAIT);
    if (n > 0)
        c->len += (size_t)n;
    return n < 0 ? -errno : n;
}

static bool is_opaque(const struct portal_conn *c)
{
    return !c->gate || c->gate->state == GATE_OPAQUE;
}

static ssize_t read_straight(struct portal_conn *c, const struct iovec *iov, int n, bool *drained)
{
    size_t room = 0;
    for (int i = 0; i < n; i++)
        room += iov[i].iov_len;
    ssize_t got = readv(c->fd, iov, n);
    *drained = got >= 0 && (size_t)got < room;
    if (got > 0)
        c->in += (uint64_t)got;
    return got < 0 ? -errno : got;
}

/* Requests pass as far as they are for this host; where one is not, there is work to be done. */
static ssize_t read_requests(struct portal_conn *c, const struct iovec *iov, int n)
{
    for (;;) {
        if (!c->pass && c->len)
            portal_http_admit(c);
        if (c->pass)
            return hand_over(c, iov, n);
        if (c->gate->state == GATE_SHUT) {
            portal_work(c);
            return -EAGAIN;
        }
        c->waits = c->gate->state == GATE_WAIT || c->gate->n == HTTP_PIPELINE;
        if (c->waits && c->len)
            return -EAGAIN;
        ssize_t got = buf_fill(c);
        if (got == -ENOBUFS) {
            c->gate->state = GATE_SHUT;
            c->gate->status = c->cap == BUF_MAX ? 431 : 503;
            continue;
        }
        if (got <= 0) {
            if (!c->len) /* many rest between two requests */
                buf_drop(c, 0);
            return got;
        }
    }
}

/* A body whose length is known goes straight on, without passing buf. */
static ssize_t read_body(struct portal_conn *c, const struct iovec *iov, int n, bool *drained)
{
    struct iovec part[2] = {{0}};
    uint64_t left = c->gate->body.left;
    int k = 0;
    for (; k < n && k < 2 && left; k++) {
        part[k] = (struct iovec){iov[k].iov_base, iov[k].iov_len < left ? iov[k].iov_len : (size_t)left};
        left -= part[k].iov_len;
    }
    ssize_t got = read_straight(c, part, k, drained);
    size_t bytes = got > 0 ? (size_t)got : 0;
    for (int i = 0; i < k && bytes; i++) {
        size_t some = bytes < part[i].iov_len ? bytes : part[i].iov_len;
        http_gate_admit(c->gate, part[i].iov_base, some);
        bytes -= some;
    }
    return got;
}

static ssize_t on_read(void *ctx, const struct iovec *iov, int n, bool *drained)
{
    struct portal_conn *c = ctx;
    *drained = false;
    if (is_opaque(c))
        c->pass = c->len;
    if (is_opaque(c) && !c->len)
        return read_straight(c, iov, n, drained);
    if (c->pass)
        return hand_over(c, iov, n);
    if (!c->len && c->gate->state == GATE_BODY && c->gate->body.framing == HTTP_LENGTH)
        return read_body(c, iov, n, drained);
    return read_requests(c, iov, n);
}

static void on_passed(void *ctx, const struct iovec *iov, int n, size_t bytes)
{
    struct portal_conn *c = ctx;
    c->out += bytes;
    if (is_opaque(c))
        return;
    for (int i = 0; i < n && bytes; i++) {
        size_t some = bytes < iov[i].iov_len ? bytes : iov[i].iov_len;
        http_gate_answered(c->gate, iov[i].iov_base, some);
        bytes -= some;
    }
    if (c->waits || c->gate->state == GATE_SHUT)
        portal_work(c);
}

static void on_connected(void *ctx)
{
    struct portal_conn *c = ctx;
    portal_stage(c, PORTAL_OPEN, 0);
}

/* Whoever could not be reached has not been spoken to: the client is told in its own words. */
static void on_ended(void *ctx, int err)
{
    struct portal_conn *c = ctx;
    bool dialled = c->stage == PORTAL_DIALS;
    c->flow = NULL;
    if (!dialled) {
        portal_end(c, err, err ? strerror(err) : "done");
        return;
    }
    c->t->count.failed++;
    if (err == ECONNREFUSED)
        refuse(c, 502, TLS_INTERNAL_ERROR, "the host refuses");
    else
        refuse(c, 504, TLS_INTERNAL_ERROR, strerror(err));
}

static const struct flow_guest guest = {on_read, on_passed, on_connected, on_ended};

static void dial(struct portal_conn *c, const struct side *s, const struct addr *at)
{
    struct portal *t = c->t;
    struct addr to = *at;
    to.port = c->port;
    if (t->n[PORTAL_DIALS] >= PORTAL_DIALLING) {
        t->count.over_dialling++;
        refuse(c, 503, TLS_INTERNAL_ERROR, "too many wait for hosts");
        return;
    }
    fdset_del(t->p->set, c->watch);
    c->watch = NULL;
    int err = flow_dial(t->p, s, &to, c->fd, &guest, c, &c->flow);
    if (err) {
        t->count.failed++;
        refuse(c, 503, TLS_INTERNAL_ERROR, strerror(-err));
        return;
    }
    t->count.dialled++;
    portal_stage(c, PORTAL_DIALS, PORTAL_DIAL_S);
}

/* ---- who it is for ---- */

static void look(struct portal_conn *c)
{
    struct pump *p = c->t->p;
    struct ipc_resolved out;
    policy_resolve(p, c->to, "", &out);
    if (out.status == IPC_PENDING) {
        if (c->stage != PORTAL_LOOKS)
            portal_stage(c, PORTAL_LOOKS, PORTAL_LOOK_S);
        return;
    }
    const struct side *s = NULL;
    int verdict = out.status ? 0 : ipc_way(p, &out.addr, &s);
    if (!s) {
        c->t->count.failed++;
        refuse(c, 502, TLS_INTERNAL_ERROR, verdict == IPC_SELF ? "its host is this daemon itself" : verdict ? "there is no way to its host" : "its name leads to nobody");
        return;
    }
    dial(c, s, &out.addr);
}

void portal_lead(struct portal_conn *c, const struct config_publish *e, uint16_t port)
{
    snprintf(c->name, sizeof(c->name), "%s", e->name);
    snprintf(c->to, sizeof(c->to), "%s", e->to);
    c->port = port;
    look(c);
}

static bool may_come(void *ctx, const char *name, const struct addr *source)
{
    const struct portal_conn *c = ctx;
    const struct config_publish *e = portal_entry(c->t, name);
    return e && portal_lists(&e->ports, c->local.port) && config_from_has(e->from, e->n_from, source);
}

static void at_waypoint(struct portal_conn *c)
{
    struct portal *t = c->t;
    const char *name = NULL;
    int err = from_ip_claim(t->from_ip, t->p->now, &c->source, c->waypoint, may_come, c, &name);
    switch (err) {
    case 0:
        break;
    case -EBUSY:
        t->count.ambiguous++;
        portal_end(c, true, "it could be for either of two names");
        return;
    case -EACCES:
        t->count.barred++;
        portal_end(c, true, "not allowed");
        return;
    case -ENOBUFS:
        t->count.over_bindings++;
        portal_end(c, true, "too many are bound");
        return;
    default:
        t->count.unclaimed++;
        portal_end(c, true, "nobody has asked for a name");
        return;
    }
    c->table = t->table;
    portal_lead(c, portal_entry(t, name), c->local.port);
}

/* ---- heads ---- */

static void read_head(struct portal_conn *c)
{
    for (;;) {
        ssize_t n = buf_fill(c);
        if (n == -EAGAIN || n == -EINTR)
            return;
        if (n == -ENOBUFS) {
            c->t->count.bad++;
            refuse(c, 431, TLS_DECODE_ERROR, "its head is too long");
            return;
        }
        if (n <= 0) {
            portal_end(c, n < 0, n < 0 || c->len ? "gone before its head was whole" : NULL);
            return;
        }
        if (c->kind == PORTAL_HTTP ? !portal_http_read(c) : !portal_tls_read(c))
            return;
    }
}

/* Whether there is a place. The oldest of those who have not said what they want gives way. */
static bool make_room(struct portal *t)
{
    if (t->n[PORTAL_READS] >= PORTAL_READING || (t->all >= t->c.connections && t->n[PORTAL_READS])) {
        t->count.gave_way++;
        portal_end(TAILQ_FIRST(&t->list[PORTAL_READS]), true, NULL);
    }
    if (t->all >= t->c.connections && t->n[PORTAL_LINGERS])
        portal_end(TAILQ_FIRST(&t->list[PORTAL_LINGERS]), false, NULL);
    return t->all < t->c.connections;
}

static struct portal_conn *conn_new(struct portal *t, const struct portal_listener *l, const struct accepted *a)
{
    struct portal_conn *c = calloc(1, sizeof(*c));
    struct portal_source *by = c ? source_get(t, &a->source) : NULL;
    if (!by) {
        free(c);
        return NULL;
    }
    by->n++;
    *c = (struct portal_conn){.t = t, .kind = l->kind, .fd = a->fd, .source = a->source, .local = a->local, .by = by, .since = t->p->now,
        .waypoint = l->waypoint, .stage = PORTAL_READS};
    c->due = mono_add(t->p->now, PORTAL_HEAD_S * USEC_PER_SEC);
    TAILQ_INSERT_TAIL(&t->list[PORTAL_READS], c, entry);
    t->n[PORTAL_READS]++;
    t->all++;
    return c;
}

void portal_accept(struct portal *t, struct portal_listener *l, const struct accepted *a)
{
    t->count.accepted++;
    bool room = make_room(t);
    struct portal_conn *c = room ? conn_new(t, l, a) : NULL;
    if (!c) {
        t->count.over_all++;
        if (l->kind == PORTAL_HTTP)
            portal_http_busy(a->fd);
        else
            accept_reset(a->fd);
        return;
    }
    if (c->by->n > t->c.per_source) {
        t->count.over_source++;
        refuse(c, 503, TLS_INTERNAL_ERROR, NULL);
        return;
    }
    if (c->kind == PORTAL_PORT) {
        t->count.waypoint++;
        at_waypoint(c);
    } else if (!watch(c)) {
        portal_end(c, true, "out of memory");
    } else {
        portal_work(c);
    }
}

/* ---- turns ---- */

/* A request for another host, or none at all, once all before it have their answers. */
static void shut(struct portal_conn *c)
{
    struct portal *t = c->t;
    if (c->stage == PORTAL_OPEN) {
        t->count.misdirected += c->gate->status == 421;
        t->count.bad += c->gate->status != 421;
        portal_stage(c, PORTAL_SHUTS, PORTAL_SHUT_S);
    }
    if (http_gate_quiet(c->gate))
        portal_http_error(c, c->gate->status, c->gate->status == 421 ? "a request for another host" : "a request that is none");
}

static void do_work(struct portal_conn *c)
{
    switch (c->stage) {
    case PORTAL_READS:
        read_head(c);
        break;
    case PORTAL_LINGERS:
        if (!linger(c))
            portal_end(c, false, NULL);
        break;
    case PORTAL_OPEN:
    case PORTAL_SHUTS:
        if (c->gate && c->gate->state == GATE_SHUT) {
            shut(c);
        } else if (c->waits) {
            c->waits = false;
            flow_poke(c->flow);
        }
        break;
    case PORTAL_LOOKS:
    case PORTAL_DIALS:
    case PORTAL_STAGES:
        break;
    }
}

static void time_out(struct portal_conn *c)
{
    switch (c->stage) {
    case PORTAL_READS:
        c->t->count.late++;
        portal_end(c, true, NULL);
        break;
    case PORTAL_LOOKS:
    case PORTAL_DIALS:
        c->t->count.failed++;
        refuse(c, 504, TLS_INTERNAL_ERROR, "its host does not answer");
        break;
    case PORTAL_LINGERS:
        portal_end(c, false, NULL);
        break;
    case PORTAL_OPEN:
    case PORTAL_SHUTS:
    case PORTAL_STAGES:
        portal_end(c, true, "its answers do not end");
        break;
    }
}

/* Within a stage all have the same time, so that the first is the first. */
mono_t portal_conns_deadline(const struct portal *t)
{
    mono_t at = MONO_NEVER;
    if (!TAILQ_EMPTY(&t->work))
        return t->p->now;
    if (t->n[PORTAL_LOOKS])
        at = mono_add(t->p->now, LOOK_AGAIN_MS * USEC_PER_MSEC);
    for (unsigned i = 0; i < PORTAL_STAGES; i++)
        if (t->n[i])
            at = mono_min(at, TAILQ_FIRST(&t->list[i])->due);
    return at;
}

void portal_conns_turn(struct portal *t)
{
    struct portal_conn *c, *next;
    for (unsigned i = t->n_work; i && (c = TAILQ_FIRST(&t->work)); i--) { /* what comes to be meanwhile is for the next turn */
        TAILQ_REMOVE(&t->work, c, working);
        t->n_work--;
        c->work = false;
        do_work(c);
    }
    for (c = TAILQ_FIRST(&t->list[PORTAL_LOOKS]); c; c = next) {
        next = TAILQ_NEXT(c, entry);
        look(c);
    }
    for (unsigned i = 0; i < PORTAL_STAGES; i++)
        while ((c = TAILQ_FIRST(&t->list[i])) && mono_due(c->due, t->p->now))
            time_out(c);
}

/* ---- the configuration has changed ---- */

static bool still_allowed(const struct portal_conn *c)
{
    const struct config_publish *e = c->name[0] ? portal_entry(c->t, c->name) : NULL;
    return e && !strcmp(e->to, c->to) && portal_lists(&e->ports, c->port) && config_from_has(e->from, e->n_from, &c->source);
}

void portal_conns_recheck(struct portal *t)
{
    struct portal_conn *c, *next;
    for (unsigned i = PORTAL_LOOKS; i <= PORTAL_SHUTS; i++)
        for (c = TAILQ_FIRST(&t->list[i]); c; c = next) {
            next = TAILQ_NEXT(c, entry);
            if (!still_allowed(c))
                portal_end(c, true, "not published any more");
        }
    const void *cursor = NULL;
    struct from_ip_row row;
    while (t->from_ip && from_ip_next(t->from_ip, t->p->now, &cursor, &row))
        if (!portal_entry(t, row.name)) {
            char name[CONFIG_NAME_MAX + 1];
            snprintf(name, sizeof(name), "%s", row.name);
            from_ip_forget(t->from_ip, name);
            cursor = NULL;
        }
}

void portal_conns_stop(struct portal *t)
{
    struct portal_conn *c;
    for (unsigned i = 0; i < PORTAL_STAGES; i++)
        while ((c = TAILQ_FIRST(&t->list[i])))
            portal_end(c, true, NULL);
}
