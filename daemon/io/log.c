/* log.c - the sink behind base/log.h: stderr, or the daemon's log file, which is turned over at LOG_FILE_MAX. */
#include "daemon/io/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOG_FILE_MAX = 1 << 20 };

static enum log_level threshold = LOG_LVL_INFO;
static char path[4096];
static int log_fd = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

static int open_file(void)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int log_to_file(const char *file)
{
    if (strlen(file) >= sizeof(path))
        return -ENAMETOOLONG;
    strcpy(path, file);
    int fd = open_file();
    if (fd < 0)
        return -errno;
    log_fd = fd;
    return 0;
}

/* The file that is full becomes FILE.old; the one before it goes. */
static void turn_over(void)
{
    struct stat st;
    char old[sizeof(path) + 4];
    if (!path[0] || fstat(log_fd, &st) < 0 || st.st_size < LOG_FILE_MAX)
        return;
    snprintf(old, sizeof(old), "%s.old", path);
    if (rename(path, old) < 0)
        return;
    int fd = open_file();
    if (fd >= 0) {
        close(log_fd);
        log_fd = fd;
    }
}

void log_emit(enum log_level level, const char *fmt, ...)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};
    char line[1024];
    struct timespec ts;
    struct tm tm;
    if (level > threshold)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %s ", ts.tv_nsec / 1000000, name[level]);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    if (m < 0)
        return;
    n = n + (size_t)m < sizeof(line) - 1 ? n + (size_t)m : sizeof(line) - 2;
    line[n++] = '\n';
    /* a log that cannot be written is no reason to stop */
    if (write(log_fd, line, n) < 0)
        return;
    turn_over();
}
