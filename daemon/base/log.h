/* log.h - the one door through which pure rooms speak. Subject first, then key=value:
 *
 *     log_warn("trigger id=%s refresh failed err=%d", id_str(id), err);
 *
 * The sink is defined by the program (daemon/io/log.c) or by a test (tests/lib/log_sink.c).
 */
#ifndef I3_LOG_H
#define I3_LOG_H

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

void log_emit(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_emit(LOG_LVL_ERROR, __VA_ARGS__)
#define log_warn(...) log_emit(LOG_LVL_WARN, __VA_ARGS__)
#define log_info(...) log_emit(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) log_emit(LOG_LVL_DEBUG, __VA_ARGS__)

#endif
