/* node_control.h - i3node's control room: a Unix socket for its operator, with the framing of include/ipc.h (CONTROL alone).
 *
 *   ring           the ring's map (a walk of node/ring_walk.h); several replies when it is long
 *   trace ID|KEY   who owns that id
 *   metrics        what GET /metrics says, as {"text": ...}
 *
 * It admits the node's own user and root. The socket is node-PORT.sock in a 0700 folder of the user's own: the first of
 * $RUNTIME_DIRECTORY (systemd), $XDG_RUNTIME_DIR/i3, /tmp/i3-UID; where another node has that name, node-PORT-2.sock and so on.
 */
#ifndef I3_NODE_CONTROL_H
#define I3_NODE_CONTROL_H

#include "daemon/control/node_report.h"
#include "daemon/pump/node_pump.h"

enum { CONTROL_WAITERS = 16 }; /* walks and look-ups asked for and not yet answered; further ones are refused */

struct node_control;

struct node_control_config {
    uv_loop_t *loop;
    struct node_pump *pump;
    const char *path; /* NULL: the default */
    mono_t started;
    const char *(*sandbox)(void);
    size_t (*metrics)(void *ctx, char *buf, size_t cap); /* NULL: none */
    void *ctx;
};

/* The folder of the default socket, made if need be. 0 or -errno. */
int node_control_folder(char *out, size_t cap);

/* 0, or -errno with a sentence in why. */
int node_control_start(struct node_control **out, const struct node_control_config *c, char *why, size_t whylen);
void node_control_stop(struct node_control *nc);
const char *node_control_path(const struct node_control *nc);

#endif
