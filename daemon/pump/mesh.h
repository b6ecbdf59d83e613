/* pump/mesh.h - overlays of kind mesh, for who shows them. */
#ifndef I3_PUMP_MESH_H
#define I3_PUMP_MESH_H

#include "daemon/mesh/mesh.h"
#include "daemon/pump/impl.h"

/* Of the user's own key. */
struct mesh *mesh_of(const struct overlay *o);

#endif
