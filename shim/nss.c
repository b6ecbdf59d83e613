#include "shim/nss.h"

#include <nss.h>
#include <stdbool.h>
#include <string.h>

#include "shim/sys.h"

enum { FILE_MAX = 4096, LINE_MAX_LEN = 512 };

static const char before[] = "i3 [!UNAVAIL=return] ", otherwise[] = "files dns" /* as libc has it */;

/* The whole file; one which is longer than `cap` is cut, and no longer of use where that matters. */
static size_t slurp(const char *path, char *out, size_t cap)
{
    long fd = sys_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0), n;
    size_t len = 0;
    if (fd < 0)
        return 0;
    while (len < cap && (n = sys_call(SYS_read, fd, (long)(out + len), (long)(cap - len), 0, 0, 0)) > 0)
        len += (size_t)n;
    sys_close((int)fd);
    return len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What the line says of "hosts", in place: its length, 0 when it is about something else. */
static size_t services(const char *line, size_t len, const char **out)
{
    static const char key[] = "hosts";
    const char *end = memchr(line, '#', len);
    end = end ? end : line + len;
    while (line < end && is_space(*line))
        line++;
    if ((size_t)(end - line) < sizeof(key) || memcmp(line, key, sizeof(key) - 1))
        return 0;
    line += sizeof(key) - 1;
    while (line < end && is_space(*line))
        line++;
    if (line == end || *line++ != ':')
        return 0;
    while (line < end && is_space(*line))
        line++;
    while (line < end && is_space(end[-1]))
        end--;
    *out = line;
    return (size_t)(end - line);
}

/* "hosts" of nsswitch.conf, the last line that has it; libc's own default when there is none, or it is not to be believed. */
static size_t existing(char *file, const char **out)
{
    size_t len = slurp("/etc/nsswitch.conf", file, FILE_MAX), found = 0;
    const char *at = file, *end = file + len, *what = NULL;
    *out = NULL;
    while (at < end) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t n = services(at, (size_t)((eol ? eol : end) - at), &what);
        if (n) {
            *out = what;
            found = n;
        }
        at = eol ? eol + 1 : end;
    }
    if (found && found < LINE_MAX_LEN - sizeof(before))
        return found;
    *out = otherwise;
    return sizeof(otherwise) - 1;
}

void nss_configure(void)
{
    static int done;
    char file[FILE_MAX], line[LINE_MAX_LEN];
    const char *rest = NULL;
    int saved = errno;
    if (__atomic_exchange_n(&done, 1, __ATOMIC_RELAXED))
        return;
    size_t n = existing(file, &rest);
    memcpy(line, before, sizeof(before) - 1);
    memcpy(line + sizeof(before) - 1, rest, n);
    line[sizeof(before) - 1 + n] = '\0';
    __nss_configure_lookup("hosts", line);
    errno = saved;
}
