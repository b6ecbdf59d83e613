/* log_sink.c - what programs lend pure rooms, in tests: log lines go nowhere, or to stderr with I3_TEST_LOG set; secrets are on the heap. */
#include "daemon/base/log.h"
#include "daemon/base/secret.h"

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

void *secret_new(size_t size)
{
    return calloc(1, size);
}

void secret_free(void *p)
{
    free(p);
}
