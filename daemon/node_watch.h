/* node_watch.h - what an operator is told without asking: a summary once a minute of what was refused since the last one (nothing when
 * nothing was), the moment at which the store is full, and the page of metrics. So no packet makes a line in the log. */
#ifndef I3_NODE_WATCH_H
#define I3_NODE_WATCH_H

#include "daemon/control/metrics.h"
#include "daemon/io/http.h"
#include "daemon/pump/node_pump.h"

enum { WATCH_MS = 1000, SUMMARY_S = 60 };

struct node_watch {
    struct node_pump *pump;
    const struct http *http; /* NULL: none */
    uint64_t memory_max;
    uint32_t triggers_max;
    uv_timer_t timer;
    struct node_stats before;
    unsigned seconds; /* since the summary */
    bool full;        /* it was said */
};

void node_watch_start(struct node_watch *w, uv_loop_t *loop);
void node_watch_stop(struct node_watch *w);
/* An http_page_fn; ctx is the watch. */
size_t node_watch_page(void *ctx, char *buf, size_t cap);

#endif
