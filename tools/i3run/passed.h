/* passed.h - sockets that i3run was started with: systemd's LISTEN_FDS, inetd's standard input, a launcher's own way.
 *
 * They listen already, or (UDP) are bound, and no bind() or listen() under the library will say so; the daemon has to know of
 * them before the program asks for a connection, which it does only once there is one.
 */
#ifndef I3_TOOLS_PASSED_H
#define I3_TOOLS_PASSED_H

#include <stdbool.h>

/* Tells the daemon at that socket of all of them. overlay_only: closes them to the local network first; -errno if one cannot be,
 * and its fd in *which. Else 0. */
int passed_tell(const char *sock, bool overlay_only, int *which);

#endif
