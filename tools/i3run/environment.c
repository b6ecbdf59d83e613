/* environment.c - what the program and all that it starts inherit: the library, where the daemon is, which network is virtual. */
#include "tools/i3run/i3run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/explain.h"
#include "shim/sys.h"

/* "lib" or "lib64" by way of $LIB is for the day when a 32-bit library is built as well. */
static const char library_below[] = "/../lib/i3run/libi3shim.so";

/* Which end a path in LD_PRELOAD, or stand for something else there. */
static const char separators[] = ": $";

int environment_find(void)
{
    const char *given = getenv("I3_SHIM");
    char path[PATH_MAX + sizeof(library_below)];
    ssize_t n = readlink("/proc/self/exe", run.folder, sizeof(run.folder) - 1);
    if (n < 0)
        return -errno;
    run.folder[n] = '\0';
    *strrchr(run.folder, '/') = '\0';
    if (given && *given)
        snprintf(path, sizeof(path), "%s", given);
    else
        snprintf(path, sizeof(path), "%s%s", run.folder, library_below);
    if (!realpath(path, run.shim) || access(run.shim, R_OK) < 0) {
        say("%s: %s", path, strerror(errno));
        return -errno;
    }
    return 0;
}

/* A path which cannot stand in LD_PRELOAD gets a link beside the daemon's socket, which only the user can write. Two of us at
 * a time make the same one: each under a name of its own first. */
static int link_library(void)
{
    char folder[sizeof(run.sock)], name[sizeof(run.sock) + 32], fresh[sizeof(name) + 16], there[PATH_MAX] = "";
    struct stat st;
    snprintf(folder, sizeof(folder), "%s", run.sock);
    *strrchr(folder, '/') = '\0';
    if (strpbrk(folder, separators) || lstat(folder, &st) < 0 || st.st_uid != getuid() || st.st_mode & 022) {
        say("%s: this path cannot stand in LD_PRELOAD, nor can a link to it in %s", run.shim, folder);
        return -EINVAL;
    }
    snprintf(name, sizeof(name), "%s/libi3shim.so", folder);
    if (readlink(name, there, sizeof(there) - 1) < 0 || strcmp(there, run.shim)) {
        snprintf(fresh, sizeof(fresh), "%s.%d", name, (int)getpid());
        if (symlink(run.shim, fresh) < 0 || rename(fresh, name) < 0) {
            say("%s: %s", name, strerror(errno));
            return -errno;
        }
    }
    snprintf(run.shim, sizeof(run.shim), "%s", name);
    return 0;
}

static bool is_listed(const char *list, const char *path)
{
    size_t n = strlen(path);
    for (const char *at = list; (at = strstr(at, path)); at += n)
        if ((at == list || strchr(": ", at[-1])) && (!at[n] || strchr(": ", at[n])))
            return true;
    return false;
}

/* The shim first, whatever was there before behind it. */
static int set_preload(void)
{
    const char *old = getenv("LD_PRELOAD");
    char *value;
    if (strpbrk(run.shim, separators) && link_library() < 0)
        return -EINVAL;
    if (old && is_listed(old, run.shim))
        return 0;
    if (asprintf(&value, "%s%s%s", run.shim, old && *old ? ":" : "", old ? old : "") < 0)
        return -ENOMEM;
    int err = setenv("LD_PRELOAD", value, 1) < 0 ? -errno : 0;
    free(value);
    return err;
}

/* Where the lines of --explain go, as shim/explain.h has it: standard error by a path where others, too, write at the end of it. */
static int set_explain(void)
{
    char value[PATH_MAX] = "";
    struct stat st, there;
    if (run.explain_file) {
        int fd = open(run.explain_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0 || !realpath(run.explain_file, value)) {
            say("%s: %s", run.explain_file, strerror(errno));
            return -errno;
        }
        close(fd);
    } else {
        if (fstat(STDERR_FILENO, &st) < 0)
            return 0;
        ssize_t n = readlink("/proc/self/fd/2", value, sizeof(value) - 1);
        value[n < 0 ? 0 : n] = '\0';
        bool appends = S_ISCHR(st.st_mode) || (S_ISREG(st.st_mode) && fcntl(STDERR_FILENO, F_GETFL) & O_APPEND);
        bool same = value[0] == '/' && stat(value, &there) == 0 && there.st_ino == st.st_ino && there.st_dev == st.st_dev;
        if (!appends || !same)
            snprintf(value, sizeof(value), "2:%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    }
    return setenv("I3_EXPLAIN", value, 1) < 0 ? -errno : 0;
}

static int set_program(void)
{
    char value[2 * IPC_TOKEN_LEN + 2 + sizeof(run.program.name)];
    struct writer w = writer_of(value, sizeof(value));
    put_hex(&w, run.program.token, IPC_TOKEN_LEN);
    snprintf(value + 2 * IPC_TOKEN_LEN, sizeof(value) - 2 * IPC_TOKEN_LEN, ".%s", run.program.name);
    return setenv("I3_PROGRAM", value, 1) < 0 || (run.anonymous && setenv("I3_ANONYMOUS", "1", 1) < 0) ? -1 : 0;
}

int environment_set(const struct ipc_info *info)
{
    char pool[ADDR_STR], value[ADDR_STR + 8];
    struct addr a = addr_v4(info->pool, 0);
    snprintf(value, sizeof(value), "%s", addr_str(&a, pool));
    value[strcspn(value, ":")] = '\0';
    snprintf(value + strlen(value), 8, "/%u", info->pool_bits);
    char self[PATH_MAX + 8];
    snprintf(self, sizeof(self), "%s/i3run", run.folder);
    if (setenv("I3_SOCK", run.sock, 1) < 0 || setenv("I3_POOL", value, 1) < 0 || setenv("I3_RUN", self, 1) < 0 ||
        (run.strict && setenv("I3_STRICT", "1", 1) < 0) || (run.overlay_only && setenv("I3_OVERLAY_ONLY", "1", 1) < 0)) {
        say("%s", strerror(errno));
        return -errno;
    }
    if (run.anonymous || info->flags & IPC_INFO_EVERY_NAME ? setenv("I3_EVERY_NAME", "1", 1) < 0 : unsetenv("I3_EVERY_NAME") < 0)
        return -errno;
    if (run.program.name[0] && set_program() < 0)
        return -errno;
    if (run.explain && set_explain() < 0)
        return -EINVAL;
    explain_init(getenv("I3_EXPLAIN"));
    return set_preload();
}

/* Our own process may have the library in it, whose hooks would lead back to us: so the kernel itself is asked. */
int environment_exec(void)
{
    if (run.argv0)
        run.argv[0] = (char *)run.argv0;
    long err = sys_call(SYS_execve, (long)run.path, (long)run.argv, (long)environ, 0, 0, 0);
    if (err == -ENOEXEC) { /* a script without #! */
        size_t n = 0;
        while (run.argv[n])
            n++;
        char **argv = calloc(n + 2, sizeof(*argv));
        if (!argv)
            return -ENOMEM;
        argv[0] = (char *)"/bin/sh";
        argv[1] = run.path;
        memcpy(argv + 2, run.argv + 1, n * sizeof(*argv));
        err = sys_call(SYS_execve, (long)argv[0], (long)argv, (long)environ, 0, 0, 0);
        free(argv);
    }
    say("%s: %s", run.path, strerror((int)-err));
    return err == -ENOENT ? NOT_FOUND : REFUSED;
}
