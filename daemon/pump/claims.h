/* claims.h - names that are hashes, and this user's; see claims.c. */
#ifndef I3_PUMP_CLAIMS_H
#define I3_PUMP_CLAIMS_H

#include "daemon/pump/impl.h"

enum { CLAIMS_MAX = 16 };

int claims_load(struct pump *p, char *why, size_t whylen);
void claims_stop(struct pump *p);
/* Each has its trigger in the overlay of its suffix. */
void claims_resettle(struct pump *p);
void claims_forget_overlay(struct pump *p, const struct overlay *o);

/* A name as the book would call it. 0, -EEXIST, -EINVAL, -ENOSPC, or what kept the file from being written. */
int claims_add(struct pump *p, const char *name);
int claims_remove(struct pump *p, const char *name); /* -ENOENT */
/* The i-th, with its suffix; NULL: there is none. */
const char *claims_at(const struct pump *p, unsigned i, char full[IPC_NAME_MAX + 1]);
const char *claims_find(const struct pump *p, const char *bare);

/* A packet of PROTO_NAME: a question for one of them, or an answer to one of ours. */
bool claims_in(struct overlay *o, const struct wire_data *d);

#endif
