/* node_report.h - what an i3node tells about itself and its ring, as JSON. The schema is documented in i3ctl(1) and stable: fields
 * are added, never renamed. Every function returns malloc'd text, NULL when out of memory.
 */
#ifndef I3_NODE_REPORT_H
#define I3_NODE_REPORT_H

#include "daemon/node/node.h"
#include "daemon/node/ring_walk.h"

enum { RING_ROWS_MAX = 200 }; /* of one reply: a record of ipc.h */

/* A position: 32 hex digits. */
enum { POS_STR = 33 };
const char *pos_format(ring_pos pos, char out[POS_STR]);

struct node_view {
    const struct node *node;
    struct addr address; /* where it is bound */
    const char *version, *sandbox;
    uint32_t pid;
    uint64_t uptime_s;
};

/* The ring as the last walk has found it: rows from *at on, as many as fit; *at is moved behind them and is the number of rows at the
 * end. The node itself, its neighbours and fingers are in the first part only. */
char *report_ring(const struct node_view *v, unsigned *at);
/* The walk has found everybody, and they agree. */
bool report_ring_complete(const struct node_view *v);
/* Who owns the id that was looked up. */
char *report_trace(const struct node_view *v, const struct i3_id *id, const struct trace *t);

#endif
