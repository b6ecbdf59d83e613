/* reload.h - i3.conf read from its file, at the start and again while the daemon runs. */
#ifndef I3_RELOAD_H
#define I3_RELOAD_H

#include "daemon/policy/config.h"

enum { RELOAD_WHY = 12288 /* all that is wrong with a file */ };

/* Reads the file; without one the defaults hold. 0 or -EINVAL with all that is wrong in why, one "FILE:LINE: option: what" a line. c is
 * filled only on success, and then config_free()'s. */
int reload_read(const char *path, struct config *c, char *why, size_t whylen);

#endif
