/* daemon.c - where the user's daemon is, and that it answers. */
#include "tools/i3run/i3run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 1000 };

/* The same rule as the shim's (shim/config.h). */
int daemon_find(void)
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

enum { KEPT_FD = 900 }; /* out of the way of what programs pick by hand */

/* One question without arguments; the reply's reader behind its header. */
static int ask_with(uint8_t type, const struct ipc_program *program, int *keep, uint8_t *buf, size_t cap, struct reader *r)
{
    struct writer w = writer_of(buf, cap);
    struct ipc_header h;
    int fd = dial_daemon();
    if (fd < 0)
        return fd;
    ipc_put_header(&w, type, 1);
    if (program)
        ipc_put_program(&w, program);
    ssize_t n = send(fd, buf, writer_len(&w), MSG_NOSIGNAL);
    if (n >= 0)
        n = recv(fd, buf, cap, 0);
    int err = n < 0 ? -errno : 0;
    if (keep)
        *keep = err ? -1 : fcntl(fd, F_DUPFD, KEPT_FD);
    close(fd);
    if (err)
        return err;
    *r = reader_of(buf, (size_t)n);
    ipc_get_header(r, &h);
    return reader_ok(r) && h.type == (type | IPC_REPLY) ? 0 : -EPROTO;
}

static int ask(uint8_t type, uint8_t *buf, size_t cap, struct reader *r)
{
    return ask_with(type, NULL, NULL, buf, cap, r);
}

int daemon_program(const struct ipc_program *v, int *keep)
{
    uint8_t buf[IPC_HEADER_LEN + 128];
    struct reader r;
    int err = ask_with(IPC_PROGRAM, v, keep, buf, sizeof(buf), &r);
    if (err)
        return err;
    uint32_t status = get_u32(&r);
    return reader_done(&r) && status < IPC_STATUS_MAX ? (int)status : -EPROTO;
}

static int ask_info(struct ipc_info *info)
{
    uint8_t buf[IPC_HEADER_LEN + 128];
    struct reader r;
    int err = ask(IPC_INFO, buf, sizeof(buf), &r);
    if (err)
        return err;
    ipc_get_info(&r, info);
    return reader_done(&r) && !info->status ? 0 : -EPROTO;
}

int daemon_suffixes(struct ipc_suffixes *s)
{
    uint8_t buf[IPC_HEADER_LEN + 8 + IPC_SUFFIXES_MAX];
    struct reader r;
    int err = ask(IPC_SUFFIXES, buf, sizeof(buf), &r);
    if (err)
        return err;
    ipc_get_suffixes(&r, s);
    return reader_done(&r) && !s->status && *s->list ? 0 : -EPROTO;
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

int daemon_ensure(struct ipc_info *info)
{
    if (ask_info(info) == 0)
        return 0;
    if (getenv("I3_STRICT")) {
        say("the daemon does not answer at %s, and cannot be started in here (--strict)", run.sock);
        return -ECHILD;
    }
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

