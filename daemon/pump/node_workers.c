#include "daemon/pump/node_workers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/clock.h"

struct one {
    _Alignas(128) pthread_mutex_t looking; /* held while it reads the node, and by whoever changes the node */
    struct node_workers *all;
    struct udp *udp;
    unsigned index;
    bool started;
    pthread_t thread;
    struct udp_stats stats; /* as of the last batch; under `looking` */
    struct outbox out;
};

struct node_workers {
    struct node *node;
    unsigned n;
    int stop; /* an eventfd: readable for all when it is time to end */
    void (*sooner)(void *ctx);
    void *ctx;
    node_workers_send_fn *send; /* atomic; what it is given was written before */
    void *send_ctx;
    mono_t armed; /* changed alone */
    struct one *one;
};

/* ---- the lock ---- */

static void look_begin(struct one *o)
{
    if (o->all->n > 1)
        pthread_mutex_lock(&o->looking);
}

static void look_end(struct one *o)
{
    if (o->all->n > 1)
        pthread_mutex_unlock(&o->looking);
}

static void alone_begin(struct node_workers *w)
{
    for (unsigned i = 0; w->n > 1 && i < w->n; i++)
        pthread_mutex_lock(&w->one[i].looking);
}

static void alone_end(struct node_workers *w)
{
    for (unsigned i = w->n; w->n > 1 && i--;)
        pthread_mutex_unlock(&w->one[i].looking);
}

/* ---- a batch ---- */

static void flush(struct one *o)
{
    node_workers_send_fn *send = __atomic_load_n(&o->all->send, __ATOMIC_ACQUIRE);
    if (send)
        send(o->all->send_ctx, o->index, &o->out);
    udp_send(o->udp, &o->out, NULL, NULL);
}

/* The timer is worker 0's thread's. */
static bool is_sooner(const struct one *o)
{
    return o->index && node_deadline(o->all->node).us < o->all->armed.us;
}

static void wake_timer(struct one *o, bool sooner)
{
    if (sooner)
        o->all->sooner(o->all->ctx);
}

static void run_due(struct one *o, mono_t now)
{
    alone_begin(o->all);
    node_run(o->all->node, now, &o->out);
    bool sooner = is_sooner(o);
    alone_end(o->all);
    wake_timer(o, sooner);
    flush(o);
}

static void act(struct one *o, mono_t now)
{
    struct node *n = o->all->node;
    while (node_deeds(n, o->index)) {
        if (outbox_is_tight(&o->out))
            flush(o);
        alone_begin(o->all);
        node_act(n, o->index, now, &o->out);
        bool sooner = is_sooner(o);
        alone_end(o->all);
        wake_timer(o, sooner);
    }
    flush(o);
}

/* From train `from` on, as far as the outbox and the room for deeds reach; the first train that is not done. */
static unsigned look(struct one *o, mono_t now, struct train_in *t, unsigned from, unsigned n)
{
    struct node *node = o->all->node;
    while (from < n && !outbox_is_tight(&o->out) && node_deeds(node, o->index) < NODE_DEEDS) {
        node_look(node, o->index, now, &t[from], &o->out);
        from += t[from].len == 0;
    }
    return from;
}

static void batch(struct one *o, mono_t now, struct train_in *t, unsigned n)
{
    struct node *node = o->all->node;
    look_begin(o);
    if (node_is_due(node, now)) { /* what has expired must not match, however late the timer is */
        look_end(o);
        run_due(o, now);
        look_begin(o);
    }
    node_ready(node, t, n);
    for (unsigned at = look(o, now, t, 0, n);; at = look(o, now, t, at, n)) {
        bool deeds = node_deeds(node, o->index) > 0;
        if (at == n)
            o->stats = *udp_stats(o->udp);
        look_end(o);
        if (deeds)
            act(o, now);
        else
            flush(o);
        if (at == n)
            return;
        look_begin(o);
    }
}

static bool turn(struct one *o)
{
    struct train_in t[UDP_BATCH_MAX];
    bool more;
    unsigned n = udp_take(o->udp, t, &more);
    if (n)
        batch(o, mono_now(), t, n);
    return more;
}

/* ---- threads ---- */

static void *thread(void *arg)
{
    struct one *o = arg;
    struct pollfd p[] = {{.fd = udp_fd(o->udp), .events = POLLIN}, {.fd = o->all->stop, .events = POLLIN}};
    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents)
            return NULL;
        for (int i = 0; i < 64 && turn(o); i++)
            ;
    }
}

/* Signals are for the first thread's loop. */
static int thread_start(struct one *o)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&o->thread, NULL, thread, o);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    o->started = err == 0;
    return -err;
}

int node_workers_start(struct node_workers *w, struct node *n, void (*sooner)(void *ctx), void *ctx)
{
    int err = 0;
    w->node = n;
    w->sooner = sooner;
    w->ctx = ctx;
    for (unsigned i = 1; i < w->n && !err; i++)
        err = thread_start(&w->one[i]);
    if (err)
        node_workers_stop(w);
    return err;
}

void node_workers_stop(struct node_workers *w)
{
    uint64_t now = 1;
    if (w->n > 1 && write(w->stop, &now, sizeof(now)) < 0)
        log_error("node workers do not stop err=%d", errno);
    for (unsigned i = 1; i < w->n; i++) {
        if (w->one[i].started)
            pthread_join(w->one[i].thread, NULL);
        w->one[i].started = false;
    }
}

void node_workers_connections(struct node_workers *w, node_workers_send_fn *send, void *ctx)
{
    w->send_ctx = ctx;
    __atomic_store_n(&w->send, send, __ATOMIC_RELEASE);
}

/* ---- life ---- */

int node_workers_open(struct node_workers **out, const struct addr *bind, uint32_t buffer, unsigned n)
{
    struct node_workers *w = calloc(1, sizeof(*w));
    int err = -ENOMEM;
    if (!w)
        return err;
    w->stop = -1;
    w->one = aligned_alloc(_Alignof(struct one), n * sizeof(*w->one));
    if (!w->one)
        goto err;
    memset(w->one, 0, n * sizeof(*w->one));
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = w->stop < 0 ? -errno : 0;
    for (unsigned i = 0; !err && i < n; i++, w->n++) {
        struct one *o = &w->one[i];
        o->all = w;
        o->index = i;
        pthread_mutex_init(&o->looking, NULL);
        err = i ? udp_open_beside(&o->udp, w->one[0].udp, buffer) : udp_open(&o->udp, bind, buffer);
    }
    if (err)
        goto err;
    *out = w;
    return 0;

err:
    node_workers_free(w);
    return err;
}

void node_workers_free(struct node_workers *w)
{
    if (!w)
        return;
    if (w->n)
        node_workers_stop(w);
    for (unsigned i = 0; i < w->n; i++) {
        udp_close(w->one[i].udp);
        pthread_mutex_destroy(&w->one[i].looking);
    }
    if (w->stop >= 0)
        close(w->stop);
    free(w->one);
    free(w);
}

/* ---- the first thread ---- */

bool node_workers_turn(struct node_workers *w)
{
    return turn(&w->one[0]);
}

void node_workers_feed(struct node_workers *w, struct train_in *t, unsigned n)
{
    batch(&w->one[0], mono_now(), t, n);
}

struct outbox *node_workers_alone(struct node_workers *w)
{
    alone_begin(w);
    return &w->one[0].out;
}

void node_workers_flush(struct node_workers *w)
{
    flush(&w->one[0]);
}

void node_workers_done(struct node_workers *w)
{
    alone_end(w);
    flush(&w->one[0]);
}

mono_t node_workers_arm(struct node_workers *w, mono_t latest)
{
    alone_begin(w);
    mono_t at = mono_min(node_deadline(w->node), latest);
    w->armed = at;
    alone_end(w);
    return at;
}

int node_workers_fd(const struct node_workers *w)
{
    return udp_fd(w->one[0].udp);
}

const struct addr *node_workers_local(const struct node_workers *w)
{
    return udp_local(w->one[0].udp);
}

void node_workers_udp_stats(struct node_workers *w, struct udp_stats *out)
{
    memset(out, 0, sizeof(*out));
    alone_begin(w);
    for (unsigned i = 0; i < w->n; i++) {
        const struct udp_stats *s = &w->one[i].stats;
        out->packets_in += s->packets_in;
        out->bytes_in += s->bytes_in;
        out->packets_out += s->packets_out;
        out->bytes_out += s->bytes_out;
        out->calls_in += s->calls_in;
        out->calls_out += s->calls_out;
        out->send_lost += s->send_lost;
    }
    alone_end(w);
}
