/* reload.h - i3.conf read from its file, at the start and again while the daemon runs.
 *
 *   i3ctl reload, SIGHUP, a change of the file (io/watch.h) ---> reload_now()
 *
 * A file with errors changes nothing: they are told to who asked, and logged, and `i3ctl status` has them until the file is right again. Of
 * one without errors, sections, nodes, names, `log`, `shortcut`, `encrypt` and `waypoint` count at once; what else has changed (`restart` in
 * policy/schema.c) counts from the next start, which is said as well. Connections go on in any case: a new rule is asked when the next one is made.
 */
#ifndef I3_RELOAD_H
#define I3_RELOAD_H

#include "daemon/base/mono.h"
#include "daemon/policy/config.h"

enum { RELOAD_WHY = 12288 /* all that is wrong with a file */ };

struct pump;

/* Reads the file; without one the defaults hold. 0 or -EINVAL with all that is wrong in why, one "FILE:LINE: option: what" a line. c is
 * filled only on success, and then config_free()'s. */
int reload_read(const char *path, struct config *c, char *why, size_t whylen);

/* Looks out for changes of the file from now on. -ENOMEM. */
int reload_start(struct pump *p);
void reload_stop(struct pump *p);
mono_t reload_deadline(const struct pump *p);
void reload_expire(struct pump *p);

struct reload_outcome {
    bool same;                 /* nothing has changed */
    char later[256], now[256]; /* names of options and sections that have changed, with ", " between */
    char why[RELOAD_WHY];      /* -EINVAL: as reload_read() */
};

/* 0, or -EINVAL: the configuration is as it was. */
int reload_now(struct pump *p, struct reload_outcome *out);
/* The first thing that is wrong with the file as it is now; NULL: it is in force. */
const char *reload_wrong(const struct pump *p);

#endif
