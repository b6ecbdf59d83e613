#include "daemon/node_watch.h"

#include "daemon/base/log.h"
#include "daemon/io/process.h"

static void read_stats(void *ctx, struct node *n, mono_t now, struct outbox *out)
{
    (void)now, (void)out;
    node_stats(n, ctx);
}

static void summary(struct node_watch *w, const struct node_stats *s)
{
    const struct node_stats *b = &w->before;
    uint64_t bad = s->bad - b->bad, refused = s->refused - b->refused, limited = s->rate_limited - b->rate_limited,
             loops = s->loops - b->loops,
             fast = s->source_drops - b->source_drops + s->trigger_drops - b->trigger_drops, unmatched = s->not_present - b->not_present;
    if (bad || refused || limited || loops || fast)
        log_warn("node turned away in=%us bad=%llu refused=%llu rate_limited=%llu loops=%llu too_fast=%llu unmatched=%llu triggers=%u", SUMMARY_S,
            (unsigned long long)bad, (unsigned long long)refused, (unsigned long long)limited, (unsigned long long)loops,
            (unsigned long long)fast, (unsigned long long)unmatched, s->triggers);
    w->before = *s;
}

/* Said once, and again only after a summary. */
static void watch_store(struct node_watch *w, const struct node_stats *s)
{
    bool full = s->triggers >= w->triggers_max;
    if (full && !w->full) {
        log_warn("store full: new triggers are refused triggers=%u", s->triggers);
        w->full = true;
    } else if (w->full && !w->seconds && s->triggers < w->triggers_max - w->triggers_max / 16) {
        log_info("store has room again triggers=%u", s->triggers);
        w->full = false;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct node_watch *w = timer->data;
    struct node_stats s;
    node_pump_with(w->pump, read_stats, &s);
    if (++w->seconds >= SUMMARY_S) {
        w->seconds = 0;
        summary(w, &s);
    }
    watch_store(w, &s);
}

void node_watch_start(struct node_watch *w, uv_loop_t *loop)
{
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_tick, WATCH_MS, WATCH_MS);
}

void node_watch_stop(struct node_watch *w)
{
    struct node_stats s;
    node_pump_with(w->pump, read_stats, &s);
    summary(w, &s);
    uv_close((uv_handle_t *)&w->timer, NULL);
}

struct page {
    struct metrics_view v;
    char *buf;
    size_t cap, len;
};

static void write_page(void *ctx, struct node *n, mono_t now, struct outbox *out)
{
    struct page *p = ctx;
    (void)now, (void)out;
    p->v.node = n;
    p->len = metrics_write(&p->v, p->buf, p->cap);
}

size_t node_watch_page(void *ctx, char *buf, size_t cap)
{
    const struct node_watch *w = ctx;
    struct udp_stats u;
    struct process_info me;
    static const struct streams_stats no_streams;
    const struct streams_stats *t = node_pump_stream_stats(w->pump);
    static const struct http_stats none;
    const struct http_stats *h = w->http ? http_stats(w->http) : &none;
    bool tcp = t != NULL;
    t = tcp ? t : &no_streams;
    node_pump_udp_stats(w->pump, &u);
    process_look(&me);
    struct page p = {.buf = buf, .cap = cap, .v = {
        .version = I3_VERSION,
        .udp_packets_in = u.packets_in,
        .udp_packets_out = u.packets_out,
        .udp_bytes_in = u.bytes_in,
        .udp_bytes_out = u.bytes_out,
        .udp_send_lost = u.send_lost,
        .tcp = tcp,
        .tcp_connections = t->open,
        .tcp_accepted = t->accepted,
        .tcp_refused = t->refused,
        .tcp_frames_in = t->frames_in,
        .tcp_frames_out = t->frames_out,
        .tcp_lost = t->lost + t->nobody,
        .http_served = h->served,
        .http_refused = h->refused,
        .http_dropped = h->dropped,
        .memory_max = w->memory_max,
        .triggers_max = w->triggers_max,
        .process = {me.resident, me.virtual_size, me.cpu_us, me.started, me.fds, me.fds_max},
    }};
    node_pump_with(w->pump, write_page, &p);
    return p.len;
}
