/* warnings.h - what a user should know at once, and what to do about it: the list `warnings` of i3ctl status. Each is an object of
 * code (one word, stable, for scripts), text (one sentence) and fix (what to do). */
#ifndef I3_WARNINGS_H
#define I3_WARNINGS_H

#include <jansson.h>

#include "daemon/control/report.h"

json_t *warnings_array(const struct report_view *v);

#endif
