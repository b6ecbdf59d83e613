/* i3run.c - runs a program with the shim preloaded, after seeing to it that the user's daemon answers.
 *
 * Silent on success; the program takes i3run's place by exec, so its exit status, signals and terminal are its own.
 * i3run's own failures: 125 (no daemon, no shim, wrong usage), 126 (a target which cannot be preloaded or executed), 127 (not found).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/limits.h>

#include "include/ipc.h"
#include "tools/i3run/passed.h"

enum { FAILED = 125, REFUSED = 126, NOT_FOUND = 127, INTERPRETER_DEPTH = 5, ANSWER_MS = 1000 };

/* "lib" or "lib64" by way of $LIB is for the day when a 32-bit shim is built as well. */
static const char shim_below[] = "/../lib/i3run/libi3shim.so";

static struct {
    bool verbose, anyway, overlay_only;
    char folder[PATH_MAX]; /* where i3run is */
    char shim[PATH_MAX];
    char sock[sizeof(((struct sockaddr_un *)0)->sun_path)];
} run;

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("i3run: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

/* ---- the daemon ---- */

/* The same rule as the shim's (shim/config.h). */
static int find_socket(void)
{
    const char *sock = getenv("I3_SOCK"), *dir = getenv("XDG_RUNTIME_DIR");
    char here[PATH_MAX];
    int n;
    if (sock && *sock && *sock != '/' && getcwd(here, sizeof(here))) /* the program may change its folder */
        n = snprintf(run.sock, sizeof(run.sock), "%s/%s", here, sock);
    else if (sock && *sock)
        n = snprintf(run.sock, sizeof(run.sock), "%s", sock);
    else if (dir && *dir)
        n = snprintf(run.sock, sizeof(run.sock), "%s/i3/i3d.sock", dir);
    else
        n = snprintf(run.sock, sizeof(run.sock), "/tmp/i3-%u/i3d.sock", (unsigned)getuid());
    return n < 0 || (size_t)n >= sizeof(run.sock) ? -ENAMETOOLONG : 0;
}

/* Below /tmp anyone may have made the folder. */
static bool socket_is_ours(void)
{
    struct stat st;
    char dir[sizeof(run.sock)];
    if (strncmp(run.sock, "/tmp/i3-", 8))
        return true;
    snprintf(dir, sizeof(dir), "%s", run.sock);
    *strrchr(dir, '/') = '\0';
    return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid() && !(st.st_mode & 077);
}

static int dial_daemon(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_MS / 1000, .tv_usec = ANSWER_MS % 1000 * 1000};
    memcpy(un.sun_path, run.sock, sizeof(un.sun_path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (!socket_is_ours() || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        int err = errno ? -errno : -EACCES;
        close(fd);
        return err;
    }
    return fd;
}

static int ask_info(struct ipc_info *info)
{
    uint8_t buf[IPC_HEADER_LEN + 64];
    struct writer w = writer_of(buf, sizeof(buf));
    struct ipc_header h;
    int fd = dial_daemon();
    if (fd < 0)
        return fd;
    ipc_put_header(&w, IPC_INFO, 1);
    ssize_t n = send(fd, buf, writer_len(&w), MSG_NOSIGNAL);
    if (n >= 0)
        n = recv(fd, buf, sizeof(buf), 0);
    int err = n < 0 ? -errno : 0;
    close(fd);
    if (err)
        return err;
    struct reader r = reader_of(buf, (size_t)n);
    ipc_get_header(&r, &h);
    ipc_get_info(&r, info);
    return reader_done(&r) && h.type == (IPC_INFO | IPC_REPLY) && !info->status ? 0 : -EPROTO;
}

/* `i3d --ensure` ends with 0 once a daemon answers; what went wrong it says itself. */
static int start_daemon(void)
{
    char i3d[PATH_MAX];
    const char *given = getenv("I3_DAEMON");
    if (given && *given)
        snprintf(i3d, sizeof(i3d), "%s", given);
    else if ((size_t)snprintf(i3d, sizeof(i3d), "%s/i3d", run.folder) >= sizeof(i3d))
        return -ENAMETOOLONG;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) {
            dup2(null, STDIN_FILENO);
            dup2(null, STDOUT_FILENO);
            if (null > STDERR_FILENO)
                close(null);
        }
        execl(i3d, "i3d", "--ensure", (char *)NULL);
        say("cannot run %s: %s", i3d, strerror(errno));
        _exit(FAILED);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int ensure_daemon(struct ipc_info *info)
{
    if (ask_info(info) == 0)
        return 0;
    int err = start_daemon();
    if (err == -ECHILD) {
        say("the daemon could not be started");
        return err;
    }
    if (err == 0)
        err = ask_info(info);
    if (err < 0)
        say("the daemon does not answer at %s: %s", run.sock, strerror(-err));
    return err;
}

/* ---- the target ---- */

/* As execvp searches; the error is what it would end with. */
static int find_command(const char *cmd, char out[PATH_MAX])
{
    const char *path = getenv("PATH");
    int err = -ENOENT;
    if (strchr(cmd, '/')) {
        snprintf(out, PATH_MAX, "%s", cmd);
        return access(cmd, X_OK) == 0 ? 0 : -errno;
    }
    for (const char *p = path ? path : "/bin:/usr/bin"; *cmd; p++) {
        const char *end = strchrnul(p, ':');
        struct stat st;
        int n = snprintf(out, PATH_MAX, "%.*s/%s", end == p ? 1 : (int)(end - p), end == p ? "." : p, cmd);
        if (n > 0 && n < PATH_MAX && stat(out, &st) == 0 && S_ISREG(st.st_mode)) {
            if (access(out, X_OK) == 0)
                return 0;
            err = -EACCES;
        }
        p = end;
        if (!*p)
            break;
    }
    return err;
}

/* Setuid and the like make the loader ignore LD_PRELOAD; unless they have no effect here. */
static const char *privilege_reason(const char *path, const struct stat *st)
{
    struct statvfs fs;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || (statvfs(path, &fs) == 0 && fs.f_flag & ST_NOSUID))
        return NULL;
    if (st->st_mode & S_ISUID && st->st_uid != getuid())
        return "is setuid: the system drops the preload";
    if (st->st_mode & S_ISGID && st->st_mode & S_IXGRP && st->st_gid != getgid())
        return "is setgid: the system drops the preload";
    if (geteuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
        return "has file capabilities: the system drops the preload";
    return NULL;
}

#if __SIZEOF_POINTER__ == 8
enum { OUR_CLASS = ELFCLASS64 };
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
#else
enum { OUR_CLASS = ELFCLASS32 };
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
#endif

static int our_machine(void)
{
    elf_header h = {0};
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, &h, sizeof(h), 0);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof(h) ? h.e_machine : -1;
}

static const char *loader_reason(int fd, const elf_segment *seg)
{
    char loader[128] = "";
    size_t n = seg->p_filesz < sizeof(loader) ? seg->p_filesz : sizeof(loader) - 1;
    if (pread(fd, loader, n, (off_t)seg->p_offset) < 0)
        return NULL;
    loader[sizeof(loader) - 1] = '\0';
    return strstr(loader, "/ld-musl") ? "is linked against musl: the preloaded library needs glibc" : NULL;
}

static const char *elf_reason(int fd, const char *path)
{
    elf_header h;
    if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
        return NULL;
    if (h.e_ident[EI_CLASS] != OUR_CLASS)
        return h.e_ident[EI_CLASS] == ELFCLASS32 ? "is a 32-bit program: it cannot load the 64-bit library"
                                                 : "is a 64-bit program: it cannot load the 32-bit library";
    if (h.e_machine != our_machine())
        return "is built for another processor: it cannot load the library";
    for (unsigned i = 0; i < h.e_phnum && h.e_phentsize == sizeof(elf_segment); i++) {
        elf_segment seg;
        if (pread(fd, &seg, sizeof(seg), (off_t)(h.e_phoff + i * sizeof(seg))) != (ssize_t)sizeof(seg))
            return NULL;
        if (seg.p_type == PT_INTERP)
            return loader_reason(fd, &seg);
    }
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    if (!strncmp(base, "ld-linux", 8) || !strncmp(base, "ld.so", 5)) /* the loader by name: it does preload */
        return NULL;
    return "is statically linked: it cannot be preloaded";
}

/* The interpreter of a #! line; false when there is none. */
static bool script_interpreter(int fd, char out[PATH_MAX])
{
    char line[PATH_MAX];
    ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
    if (n < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    char *p = line + 2 + strspn(line + 2, " \t");
    p[strcspn(p, " \t\r")] = '\0';
    snprintf(out, PATH_MAX, "%s", p);
    return *p != '\0';
}

/* Why the target would run without the overlay, or NULL; `path` becomes the file which the reason is about. */
static const char *refusal_of(char path[PATH_MAX])
{
    for (int depth = 0; depth < INTERPRETER_DEPTH; depth++) {
        unsigned char magic[SELFMAG] = {0};
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0) { /* executable, but not readable: nothing can be said of it */
            if (fd >= 0)
                close(fd);
            return stat(path, &st) == 0 ? privilege_reason(path, &st) : NULL;
        }
        const char *reason = NULL;
        bool script = false;
        if (pread(fd, magic, sizeof(magic), 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG)) {
            reason = privilege_reason(path, &st);
            if (!reason)
                reason = elf_reason(fd, path);
        } else {
            script = script_interpreter(fd, path); /* without #! it is /bin/sh's, which is as it should be */
        }
        close(fd);
        if (!script)
            return reason;
    }
    return NULL;
}

/* ---- the environment ---- */

static int find_shim(void)
{
    const char *given = getenv("I3_SHIM");
    char path[PATH_MAX + sizeof(shim_below)];
    ssize_t n = readlink("/proc/self/exe", run.folder, sizeof(run.folder) - 1);
    if (n < 0)
        return -errno;
    run.folder[n] = '\0';
    *strrchr(run.folder, '/') = '\0';
    if (given && *given)
        snprintf(path, sizeof(path), "%s", given);
    else
        snprintf(path, sizeof(path), "%s%s", run.folder, shim_below);
    if (!realpath(path, run.shim) || access(run.shim, R_OK) < 0) {
        say("%s: %s", path, strerror(errno));
        return -errno;
    }
    if (strpbrk(run.shim, ": ")) {
        say("%s: a path with a space or a colon cannot be preloaded", run.shim);
        return -EINVAL;
    }
    return 0;
}

/* The shim first, whatever was there before behind it. */
static int set_preload(void)
{
    const char *old = getenv("LD_PRELOAD");
    size_t n = strlen(run.shim);
    if (old && !strncmp(old, run.shim, n) && (!old[n] || old[n] == ':' || old[n] == ' '))
        return 0;
    char *value;
    if (asprintf(&value, "%s%s%s", run.shim, old && *old ? ":" : "", old ? old : "") < 0)
        return -ENOMEM;
    int err = setenv("LD_PRELOAD", value, 1) < 0 ? -errno : 0;
    free(value);
    return err;
}

static int set_environment(const struct ipc_info *info)
{
    char pool[ADDR_STR], value[ADDR_STR + 8];
    struct addr a = addr_v4(info->pool, 0);
    snprintf(value, sizeof(value), "%s", addr_str(&a, pool));
    value[strcspn(value, ":")] = '\0';
    snprintf(value + strlen(value), 8, "/%u", info->pool_bits);
    if (setenv("I3_SOCK", run.sock, 1) < 0 || setenv("I3_POOL", value, 1) < 0 ||
        (run.overlay_only && setenv("I3_OVERLAY_ONLY", "1", 1) < 0))
        return -errno;
    return set_preload();
}

/* ---- the command line ---- */

static const char usage[] =
    "usage: i3run [-v] [--anyway] [--overlay-only] [--] COMMAND [ARGUMENT...]\n"
    "Runs COMMAND so that it can reach, and be reached by, names which end in .i3.\n"
    "\n"
    "  -v, --verbose   say what is done, on stderr\n"
    "      --anyway    run COMMAND even if it cannot be preloaded\n"
    "      --overlay-only\n"
    "                  servers of COMMAND cannot be reached by the local network\n"
    "      --help      this text\n"
    "      --version   the version\n"
    "\n"
    "The status is COMMAND's own; 125 when i3run fails, 126 when COMMAND cannot be run, 127 when it is not found.\n";

enum { OPT_HELP = 256, OPT_VERSION, OPT_ANYWAY, OPT_OVERLAY_ONLY };

static const struct option options[] = {
    {"verbose", no_argument, NULL, 'v'},
    {"anyway", no_argument, NULL, OPT_ANYWAY},
    {"overlay-only", no_argument, NULL, OPT_OVERLAY_ONLY},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

/* -1: go on; otherwise the status to end with. */
static int parse_options(int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "+v", options, NULL)) != -1;) {
        switch (c) {
        case 'v':
            run.verbose = true;
            break;
        case OPT_ANYWAY:
            run.anyway = true;
            break;
        case OPT_OVERLAY_ONLY:
            run.overlay_only = true;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        case OPT_VERSION:
            puts("i3run " I3_VERSION);
            return 0;
        default:
            return FAILED;
        }
    }
    if (optind < argc)
        return -1;
    fputs(usage, stderr);
    return FAILED;
}

static int check_target(const char *cmd)
{
    char path[PATH_MAX];
    int err = find_command(cmd, path);
    if (err < 0) {
        say("%s: %s", cmd, strerror(-err));
        return err == -ENOENT || err == -ENOTDIR ? NOT_FOUND : REFUSED;
    }
    if (run.verbose)
        say("running %s", path);
    const char *reason = refusal_of(path);
    if (!reason)
        return 0;
    say("%s %s%s", path, reason, run.anyway ? "" : " (--anyway runs it without the overlay)");
    return run.anyway ? 0 : REFUSED;
}

int main(int argc, char **argv)
{
    struct ipc_info info;
    int status = parse_options(argc, argv);
    if (status >= 0)
        return status;
    char **cmd = argv + optind;
    status = check_target(cmd[0]);
    if (status)
        return status;
    if (find_shim() < 0)
        return FAILED;
    if (find_socket() < 0) {
        say("the path of the daemon's socket is too long");
        return FAILED;
    }
    if (ensure_daemon(&info) < 0)
        return FAILED;
    if (set_environment(&info) < 0) {
        say("%s", strerror(errno));
        return FAILED;
    }
    if (run.verbose)
        say("daemon pid=%u socket=%s shim=%s", info.pid, run.sock, run.shim);
    int fd, err = passed_tell(run.sock, run.overlay_only, &fd);
    if (err < 0) {
        say("the socket that was passed as fd %d cannot be closed to the local network: %s", fd, strerror(-err));
        return FAILED;
    }
    execvp(cmd[0], cmd);
    say("%s: %s", cmd[0], strerror(errno));
    return errno == ENOENT ? NOT_FOUND : REFUSED;
}
