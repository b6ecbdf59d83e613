/* known.h - names which the daemon has resolved within the last second, for programs that look one up again and again.
 *
 * Each look-up wants a session with the peer and renews the mapping (DESIGN section 8); both last for far longer than a second.
 */
#ifndef I3_SHIM_KNOWN_H
#define I3_SHIM_KNOWN_H

#include "include/ipc.h"

enum { KNOWN_MAX = 16, KNOWN_LIFE_MS = 1000 };

/* `name` in its plain form (overlay_name()). Safe in threads, after fork and in signal handlers: nothing ever waits. */
bool known_get(const char *name, struct addr *a, struct addr *a6);
void known_put(const char *name, const struct addr *a, const struct addr *a6);

#endif
