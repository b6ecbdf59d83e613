#include "tools/i3ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "include/bytes.h"

enum { END_GRACE_MS = 3000, KILL_GRACE_MS = 2000, END_ROUNDS = 5, PROCESSES_MAX = 64, CMDLINE_MAX = 8192 };

const char *const world_user[WORLD_USERS] = {"alice", "bob"};

static const char marker_name[] = ".i3demo", marker_text[] = "i3run demo world 1\n";

extern char **environ;

/* ---- signals ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

void world_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
}

bool world_interrupted(void)
{
    return interrupted != 0;
}

/* ---- files ---- */

void world_path(char *out, size_t cap, const char *world, const char *fmt, ...)
{
    int n = snprintf(out, cap, "%s/", world);
    if (n < 0 || (size_t)n >= cap)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out + n, cap - (size_t)n, fmt, ap);
    va_end(ap);
}

int world_write(const char *path, const char *fmt, ...)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    va_list ap;
    va_start(ap, fmt);
    int n = vdprintf(fd, fmt, ap), err = n < 0 ? -errno : 0;
    va_end(ap);
    return close(fd) < 0 && !err ? -errno : err;
}

/* The marker was written by us: it says what this folder is, and removing a folder hangs on it. */
static bool has_marker(const char *world)
{
    char path[PATH_MAX], text[WORLD_MARKER_MAX] = "";
    struct stat st;
    world_path(path, sizeof(path), world, "%s", marker_name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                read(fd, text, sizeof(text) - 1) == (ssize_t)strlen(marker_text) &&
                !strcmp(text, marker_text);
    close(fd);
    return ours;
}

int world_open(const char *dir, char world[PATH_MAX], char err[CTL_ERR_LEN])
{
    if (!realpath(dir, world)) {
        snprintf(err, CTL_ERR_LEN, "%.300s: %s", dir, strerror(errno));
        return -errno;
    }
    if (has_marker(world))
        return 0;
    snprintf(err, CTL_ERR_LEN, "%.300s is not a demo world of yours", world);
    return -EINVAL;
}

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    int entries = 0;
    if (!d)
        return false;
    while (readdir(d))
        entries++;
    closedir(d);
    return entries == 2;
}

/* 0, or -errno; *made tells whether there was no such folder. */
static int make_folder(const char *dir, bool *made)
{
    struct stat st;
    *made = mkdir(dir, 0700) == 0;
    if (*made)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(dir, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (st.st_uid != geteuid())
        return -EPERM;
    if (!is_empty(dir))
        return -ENOTEMPTY;
    return chmod(dir, 0700) < 0 ? -errno : 0;
}

static int make_fresh_folder(char dir[PATH_MAX])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, PATH_MAX, "%s/i3demo.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -errno;
}

/* Every daemon's socket must fit into a sockaddr_un. */
static bool fits_a_socket(const char *world)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < WORLD_USERS; i++) {
        world_path(path, sizeof(path), world, "%s/run/i3/i3d.sock", world_user[i]);
        if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
            return false;
    }
    return true;
}

int world_create(const char *dir, char world[PATH_MAX], bool *made, char err[CTL_ERR_LEN])
{
    char asked[PATH_MAX], path[PATH_MAX + sizeof(marker_name)];
    int rc = dir ? make_folder(dir, made) : make_fresh_folder(asked);
    if (!dir)
        *made = true;
    else
        snprintf(asked, sizeof(asked), "%s", dir);
    if (!rc && !realpath(asked, world))
        rc = -errno;
    if (rc) {
        snprintf(err, CTL_ERR_LEN, "%.300s: %s", asked,
            rc == -ENOTEMPTY ? "must be a new or an empty folder" : strerror(-rc));
        return rc;
    }
    if (!fits_a_socket(world)) {
        snprintf(err, CTL_ERR_LEN,
            "%.200s: the path is %zu bytes too long for a Unix socket in it; choose a shorter one", world,
            strlen(world) + strlen("/alice/run/i3/i3d.sock") + 1 -
                sizeof(((struct sockaddr_un *)0)->sun_path));
        rc = -ENAMETOOLONG;
    } else {
        world_path(path, sizeof(path), world, "%s", marker_name);
        rc = world_write(path, "%s", marker_text);
        if (rc)
            snprintf(err, CTL_ERR_LEN, "%.300s: %s", path, strerror(-rc));
    }
    if (rc && *made)
        rmdir(world);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    if (at->level == 0)
        return 0; /* the folder itself: world_remove() decides */
    return (type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT ? -1 : 0;
}

/* Folders without write permission (a program's doing) would keep their files: give it back on the way down. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    if ((type == FTW_D || type == FTW_DNR) && (st->st_mode & 0700) != 0700)
        (void)chmod(path, 0700);
    return 0;
}

int world_remove(const char *world, bool with_dir)
{
    (void)nftw(world, open_up, 16, FTW_PHYS | FTW_MOUNT);
    if (nftw(world, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
        return errno ? -errno : -EIO;
    return with_dir && rmdir(world) < 0 ? -errno : 0;
}

/* ---- environment ---- */

static const struct {
    const char *variable, *folder;
} folders[] = {{"XDG_CONFIG_HOME", "config"}, {"XDG_DATA_HOME", "data"}, {"XDG_RUNTIME_DIR", "run"}};

/* What must not reach a daemon: another world's places, and the preload of a program that runs i3ctl. */
static bool dropped(const char *entry)
{
    static const char *const names[] = {
        "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_RUNTIME_DIR=", "I3_SOCK=", "LD_PRELOAD="};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strncmp(entry, names[i], strlen(names[i])))
            return true;
    return false;
}

char **world_env(const char *world, const char *user)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **env = calloc(n + ARRAY_LEN(folders) + 1, sizeof(*env));
    if (!env)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!dropped(environ[i]) && (env[kept] = strdup(environ[i])))
            kept++;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (asprintf(&env[kept], "%s=%s/%s/%s", folders[i].variable, world, user, folders[i].folder) > 0)
            kept++;
    env[kept] = NULL;
    return env;
}

void world_env_free(char **env)
{
    for (size_t i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}

/* ---- processes ---- */

/* A process of the world, held by a pidfd so that its number cannot come to mean another one meanwhile. */
struct processes {
    struct pollfd v[PROCESSES_MAX];
    pid_t pid[PROCESSES_MAX];
    size_t n;
};

static bool is_program(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return !strcmp(base, "i3d") || !strcmp(base, "i3node");
}

/* Our program, and (unless its pid file in the world says so) with a path of the world among its arguments. */
static bool belongs(pid_t pid, const char *world, bool named_by_file)
{
    char path[64], text[CMDLINE_MAX + 1];
    size_t len = strlen(world);
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, CMDLINE_MAX);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    if (!is_program(text))
        return false;
    for (const char *arg = text; arg < text + n; arg += strlen(arg) + 1) {
        const char *hit = strstr(arg, world);
        if (hit && (hit == arg || hit[-1] == '=') && (hit[len] == '/' || !hit[len]))
            return true;
    }
    return named_by_file;
}

static void add_process(struct processes *p, pid_t pid, const char *world, bool named_by_file)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->pid[i] == pid)
            return;
    if (p->n == PROCESSES_MAX || pid <= 1 || pid == getpid())
        return;
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return;
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    if (!belongs(pid, world, named_by_file) || poll(&gone, 1, 0) > 0) { /* another's, or a zombie */
        close(fd);
        return;
    }
    p->pid[p->n] = pid;
    p->v[p->n++] = gone;
}

static void add_from_file(struct processes *p, const char *world, const char *name)
{
    char path[PATH_MAX], text[32] = "";
    world_path(path, sizeof(path), world, "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0)
        add_process(p, (pid_t)strtol(text, NULL, 10), world, true);
    close(fd);
}

static void find_processes(struct processes *p, const char *world)
{
    char name[64];
    p->n = 0;
    add_from_file(p, world, "ring/pid");
    for (size_t i = 0; i < WORLD_USERS; i++) {
        snprintf(name, sizeof(name), "%s/run/i3/i3d.pid", world_user[i]);
        add_from_file(p, world, name);
    }
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
            add_process(p, (pid_t)strtol(e->d_name, NULL, 10), world, false);
    if (d)
        closedir(d);
}

static void signal_all(const struct processes *p, int sig)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].fd >= 0)
            (void)pidfd_send_signal(p->v[i].fd, sig, NULL, 0);
}

/* Waits until they are gone or the time is over; how many are left. Those gone have fd -1. */
static size_t wait_gone(struct processes *p, int ms)
{
    int64_t until = clock_ms() + ms;
    for (;;) {
        size_t left = 0;
        int64_t rest = until - clock_ms();
        (void)poll(p->v, p->n, 0);
        for (size_t i = 0; i < p->n; i++) {
            if (p->v[i].fd >= 0 && p->v[i].revents) {
                close(p->v[i].fd);
                p->v[i].fd = -1;
            }
            p->v[i].revents = 0;
            left += p->v[i].fd >= 0;
        }
        if (!left || rest <= 0)
            return left;
        (void)poll(p->v, p->n, (int)rest);
    }
}

int world_end(const char *world)
{
    struct processes p;
    size_t left = 0;
    /* more than once: a program of the world may have started its daemon again while we looked */
    for (int round = 0; round < END_ROUNDS; round++) {
        find_processes(&p, world);
        if (!p.n)
            return 0;
        signal_all(&p, SIGTERM);
        left = wait_gone(&p, END_GRACE_MS);
        if (left) {
            signal_all(&p, SIGKILL);
            left = wait_gone(&p, KILL_GRACE_MS);
        }
        for (size_t i = 0; i < p.n; i++)
            if (p.v[i].fd >= 0)
                close(p.v[i].fd);
    }
    find_processes(&p, world);
    for (size_t i = 0; i < p.n; i++)
        close(p.v[i].fd);
    return (int)(p.n > left ? p.n : left);
}
