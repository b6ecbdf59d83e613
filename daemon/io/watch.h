/* watch.h - word of a file that may have changed: written in place, replaced by rename as editors do, made, or deleted; also where the
 * path is a link and what it leads to is written. The folder must be there. There may be word when nothing has changed.
 */
#ifndef I3_WATCH_H
#define I3_WATCH_H

#include "daemon/io/fdset.h"

struct watch;

/* `changed` is called in the turns of `set`. 0 or -errno: there is no folder, or the system has no more of these. */
int watch_open(struct watch **out, struct fdset *set, const char *path, void (*changed)(void *ctx), void *ctx);
void watch_close(struct watch *w);

#endif
