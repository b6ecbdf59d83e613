/* overlay_report.h - the overlays of a daemon as JSON: for status, and for i3ctl nodes. Schema in i3ctl(1). */
#ifndef I3_OVERLAY_REPORT_H
#define I3_OVERLAY_REPORT_H

#include <jansson.h>

#include "daemon/control/report.h"
#include "daemon/mesh/mesh.h"

/* Where its nodes are named. */
enum report_nodes_source { NODES_OF_NOBODY, NODES_OF_CONFIG, NODES_OF_FILE };

struct report_overlay {
    const char *name, *suffix; /* name "": the first */
    const char *kind;          /* "i3", "mesh" */
    enum report_nodes_source source;
    struct addr node; /* in use; family 0: none */
    bool embedded;
    const struct nodes *nodes; /* NULL: none is configured */
    const char *transport, *transport_why;
    const struct triggers *triggers;  /* NULL: it has none */
    const struct mesh_stats *mesh;    /* of a mesh; else NULL */
    const struct peers *peers; /* of our own key */
    unsigned names, sessions; /* in the book for it; standing now */
    uint64_t packets_in, packets_out, bytes_in, bytes_out; /* by UDP and TCP */
};

/* What people call an entry of the book: with the suffix of the overlay by which it is reached (pump/overlay.c). */
void report_full_name(const struct report_overlay *v, unsigned n, const char *suffix, const char *name, char *out, size_t cap);

bool report_overlay_is_up(const struct report_overlay *v);
json_t *report_overlay_array(const struct report_overlay *v, unsigned n);
/* {"overlays": [...]}, with what was done to it, if anything was. */
char *report_overlays(const struct report_overlay *v, unsigned n, const char *done, const struct addr *which, unsigned n_which);

#endif
