/* log_file.h - where log lines go, which, and in what form; see base/log.h for how they are made.
 *
 *   text     2026-11-24T01:02:03.456Z info node started version=0.1.0 address=0.0.0.0:5610
 *   json     {"time":"2026-11-24T01:02:03.456Z","level":"info","event":"node started","version":"0.1.0","address":"0.0.0.0:5610"}
 *   journal  <6>node started version=0.1.0 address=0.0.0.0:5610      (sd-daemon(3): the journal has its own clock)
 *
 * The fields of a JSON line are the words with a '=' in them; what stands before the first is the event, and what follows a field
 * without one belongs to its value. Every value is a string.
 */
#ifndef I3_LOG_FILE_H
#define I3_LOG_FILE_H

#include <stddef.h>

#include "daemon/base/log.h"

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* Appends to `file` (0600) from now on; at 1 MB it becomes FILE.old. 0 or -errno. */
int log_to_file(const char *file);

/* Opens the file anew: somebody has moved it away (logrotate). 0, or -errno and the old one goes on; 0 when there is none. */
int log_reopen(void);

/* One line in that form, with its newline, into out: its length, at most cap. `text` is what was logged. */
size_t log_format_line(enum log_format format, enum log_level level, const char *time, const char *text, char *out, size_t cap);

#endif
