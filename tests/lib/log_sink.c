/* log_sink.c - where pure rooms' log lines go in tests: nowhere, or to stderr with I3_TEST_LOG set. */
#include "daemon/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void log_emit(enum log_level level, const char *fmt, ...)
{
    if (!getenv("I3_TEST_LOG"))
        return;
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "<%d> ", level);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}
