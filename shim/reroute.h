/* reroute.h - a program that is about to be started and cannot have the library in it (target.h) is started by i3run instead, under
 * its engine: bash, preloaded, starts a static busybox, and that reaches the overlay, too.
 *
 *     /bin/busybox: wget URL   ->   I3_RUN: i3run --argv0=wget -- /bin/busybox URL
 *
 * Where there is no I3_RUN, as in programs which i3run has not started, nothing is changed; nor for a program that nothing can help
 * (setuid): it runs as ever. All this happens below vfork as well: the caller gives the room.
 *
 * Bounds: paths of PATH_MAX bytes, I3_RUN of CONFIG_PATH; longer ones are left alone.
 */
#ifndef I3_SHIM_REROUTE_H
#define I3_SHIM_REROUTE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Whether `file`, looked for in PATH or not, shall be; then `path` is where it is. */
bool reroute_wanted(const char *file, bool search, char *const envp[], char path[PATH_MAX]);

/* How many bytes reroute_build() needs, and the arguments for i3run. */
size_t reroute_room(char *const argv[]);
char **reroute_build(const char *path, char *const argv[], void *room);

#endif
