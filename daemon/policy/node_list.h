/* node_list.h - the overlay nodes that were told to us by `i3ctl nodes` or by an invitation: DATA/nodes, behind its first line.
 *
 *     203.0.113.7:5610                 of the first overlay, which has the top-level suffix
 *     198.51.100.2:5610 work           of the one which i3.conf calls `overlay work { }`
 *
 * They are used by an overlay for which i3.conf names none.
 */
#ifndef I3_NODE_LIST_H
#define I3_NODE_LIST_H

#include "daemon/policy/config.h"

enum { NODE_LIST_MAX = 8 * CONFIG_NODES_MAX, NODE_LIST_NAME = 63 };

/* Bound: CONFIG_NODES_MAX of one overlay, NODE_LIST_MAX of all. */
struct node_list {
    unsigned n;
    struct {
        struct addr at;
        char overlay[NODE_LIST_NAME + 1]; /* "": the first */
    } v[NODE_LIST_MAX];
};

/* 0, or -EINVAL with the line and a sentence; `l` is empty then. */
int node_list_parse(struct node_list *l, const char *text, size_t len, unsigned *line, char *why, size_t whylen);
/* The same text again, from malloc; NULL: out of memory. */
char *node_list_format(const struct node_list *l, size_t *len);

/* Those of that overlay, in order; returns how many. */
unsigned node_list_of(const struct node_list *l, const char *overlay, struct addr out[CONFIG_NODES_MAX]);
/* 0, -EEXIST, -ENOSPC, -EINVAL (no such name, or an address that no node can have). */
int node_list_add(struct node_list *l, const char *overlay, const struct addr *at);
/* 0 or -ENOENT. */
int node_list_remove(struct node_list *l, const char *overlay, const struct addr *at);

#endif
