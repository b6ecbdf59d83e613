/* log_file.h - where log lines go and which; see base/log.h for how they are made. */
#ifndef I3_LOG_FILE_H
#define I3_LOG_FILE_H

#include "daemon/base/log.h"

void log_set_level(enum log_level level);

/* Appends to `file` (0600) from now on; at 1 MB it becomes FILE.old. 0 or -errno. */
int log_to_file(const char *file);

#endif
