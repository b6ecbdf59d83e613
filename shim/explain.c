#include "shim/explain.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "shim/sys.h"

enum { LINE = 512, WHERE = 256 };

bool explain_on;

static char where[WHERE];
static uint64_t device, inode; /* of standard error, when that is where */
static int about;

static size_t put(char *line, size_t at, const char *s)
{
    while (*s && at < LINE - 1) {
        char c = *s++;
        line[at++] = c < ' ' || c == 127 ? '?' : c; /* nobody's name shall write a line of its own */
    }
    return at;
}

static size_t put_number(char *line, size_t at, unsigned v)
{
    char digits[12], *p = digits + sizeof(digits);
    *--p = '\0';
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    return put(line, at, p);
}

void explain_init(const char *value)
{
    char *end;
    size_t n = value ? strlen(value) : 0;
    if (!n || n >= sizeof(where))
        return;
    if (*value == '/') {
        memcpy(where, value, n + 1);
    } else {
        if (strncmp(value, "2:", 2))
            return;
        device = strtoull(value + 2, &end, 10);
        inode = *end == ':' ? strtoull(end + 1, NULL, 10) : 0;
    }
    explain_on = true;
}

void explain_about(int pid)
{
    about = pid;
}

static size_t put_who(char *line, size_t at)
{
    char name[32] = "";
    if (!about) {
        sys_call(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0);
    } else {
        char path[32];
        size_t n = put(path, 0, "/proc/");
        n = put(path, put_number(path, n, (unsigned)about), "/comm");
        path[n] = '\0';
        int fd = (int)sys_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
        long got = fd < 0 ? 0 : sys_call(SYS_read, fd, (long)name, sizeof(name) - 1, 0, 0, 0);
        name[got > 0 ? got - 1 : 0] = '\0';
        if (fd >= 0)
            sys_close(fd);
    }
    at = put(line, at, "i3run: ");
    at = put(line, at, name);
    at = put(line, at, "[");
    at = put_number(line, at, about ? (unsigned)about : (unsigned)sys_getpid());
    return put(line, at, "]: ");
}

static void emit(const char *line, size_t n)
{
    struct stat st;
    if (where[0]) {
        int fd = (int)sys_call(SYS_openat, AT_FDCWD, (long)where, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC, 0, 0, 0);
        if (fd < 0)
            return;
        sys_call(SYS_write, fd, (long)line, (long)n, 0, 0, 0);
        sys_close(fd);
    } else if (sys_call(SYS_fstat, STDERR_FILENO, (long)&st, 0, 0, 0, 0) == 0 && st.st_dev == device && st.st_ino == inode) {
        sys_call(SYS_write, STDERR_FILENO, (long)line, (long)n, 0, 0, 0);
    }
}

void explain_write(const char *verb, const char *subject, const char *verdict, int err)
{
    char line[LINE];
    const char *name = err > 0 ? strerrorname_np(err) : NULL;
    size_t at = put_who(line, 0);
    at = put(line, at, verb);
    at = put(line, at, " ");
    at = put(line, at, subject);
    at = put(line, at, ": ");
    at = put(line, at, verdict);
    if (name) {
        at = put(line, at, *verdict ? ", " : "");
        at = put(line, at, name);
    }
    line[at++] = '\n';
    emit(line, at);
}

char *explain_addr_str(const struct addr *a, char out[EXPLAIN_ADDR])
{
    size_t at = 0;
    if (a->family == 6) {
        at = put(out, at, "[");
        for (int i = 0; i < 16; i += 2) {
            unsigned v = (unsigned)(a->ip[i] << 8 | a->ip[i + 1]);
            bool begun = false;
            at = put(out, at, i ? ":" : "");
            for (int shift = 12; shift >= 0; shift -= 4) {
                unsigned d = v >> shift & 15;
                begun |= d || !shift;
                if (begun)
                    out[at++] = "0123456789abcdef"[d];
            }
        }
        at = put(out, at, "]");
    } else {
        for (int i = 0; i < 4; i++)
            at = put_number(out, put(out, at, i ? "." : ""), a->ip[i]);
    }
    at = put_number(out, put(out, at, ":"), a->port);
    out[at] = '\0';
    return out;
}

void explain_write_addr(const char *verb, const struct addr *a, const char *verdict, int err)
{
    char text[EXPLAIN_ADDR];
    explain_write(verb, explain_addr_str(a, text), verdict, err);
}

void explain_outside(const struct addr *to)
{
    static int said;
    char line[LINE], text[EXPLAIN_ADDR];
    explain_addr("connect", to, "outside the overlay: refused", -ENETUNREACH);
    if (__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
        return;
    size_t at = put_who(line, 0);
    at = put(line, at, explain_addr_str(to, text));
    at = put(line, at, " is not reached: this program is anonymous, so nothing outside the overlay is");
    line[at++] = '\n';
    sys_call(SYS_write, STDERR_FILENO, (long)line, (long)at, 0, 0, 0);
}
