/* ensure.h - self-start: makes sure that this user's daemon is up.
 *
 * Two that try at once are put in order by a lock; the second finds the first one's daemon. The new daemon says through a
 * pipe that it is ready, or why it is not.
 */
#ifndef I3_ENSURE_H
#define I3_ENSURE_H

#include "daemon/host_options.h"

/* On stderr, each line with our name before it. */
void ensure_tell(const char *text);

/* Returns the exit status for `i3d --ensure`; says on stderr what is wrong. argv0: to run ourselves again if /proc is missing. */
int ensure_daemon(const struct host_options *o, const char *argv0);

/* In the daemon: tells whoever started it (fd from --ready-fd, -1 for nobody) that it is ready (NULL) or why not. */
void ensure_report(int fd, const char *why);

#endif
