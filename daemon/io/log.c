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

/* A JSON line may grow: six bytes for one that has to be escaped. */
enum { LOG_FILE_MAX = 1 << 20, LOG_TEXT_MAX = 1000, LOG_LINE_MAX = 8 * LOG_TEXT_MAX };

static enum log_level threshold = LOG_LVL_INFO;
static enum log_format format = LOG_FORMAT_TEXT;
static char path[4096];
static int log_fd = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_format(enum log_format f)
{
    format = f;
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

int log_reopen(void)
{
    int fd = path[0] ? open_file() : log_fd;
    if (fd < 0)
        return -errno;
    if (fd != log_fd)
        close(log_fd);
    log_fd = fd;
    return 0;
}

void log_emit(enum log_level level, const char *fmt, ...)
{
    char text[LOG_TEXT_MAX], when[32], line[LOG_LINE_MAX];
    struct timespec ts;
    struct tm tm;
    if (level > threshold)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + n, sizeof(when) - n, ".%03ldZ", ts.tv_nsec / 1000000);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (m < 0)
        return;
    n = log_format_line(format, level, when, text, line, sizeof(line));
    /* a log that cannot be written is no reason to stop */
    if (write(log_fd, line, n) < 0)
        return;
    turn_over();
}
