/* paths.h - where a user's things are (DESIGN section 11): XDG folders, and /tmp/i3-UID where there is no runtime folder. */
#ifndef I3_PATHS_H
#define I3_PATHS_H

#include "daemon/pump/pump.h"

/* Fills what is still empty from the environment. 0 or -ENAMETOOLONG. */
int paths_default(struct pump_paths *p);

#endif
