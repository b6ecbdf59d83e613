/* mesh_report.h - the members of a mesh as JSON. Schema in i3ctl(1). */
#ifndef I3_MESH_REPORT_H
#define I3_MESH_REPORT_H

#include <jansson.h>

#include "daemon/mesh/mesh.h"

/* The name of a key, NULL: it has none. Valid until the next call. */
typedef const char *mesh_name_fn(void *ctx, const uint8_t key[KEY_LEN]);

json_t *report_mesh_overlay(struct mesh *m, const char *name, const char *suffix, const char *bind, mono_t now, mesh_name_fn *fn, void *ctx);
/* {"meshes": [...]}; list is taken over. NULL when out of memory. */
char *report_mesh(json_t *list);

#endif
