#include "tools/i3ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "include/ipc.h"

extern char **environ;

int link_path(char path[sizeof(((struct sockaddr_un *)0)->sun_path)])
{
    size_t cap = sizeof(((struct sockaddr_un *)0)->sun_path);
    const char *sock = getenv("I3_SOCK"), *run = getenv("XDG_RUNTIME_DIR");
    int n;
    if (sock && *sock)
        n = snprintf(path, cap, "%s", sock);
    else if (run && *run)
        n = snprintf(path, cap, "%s/i3/i3d.sock", run);
    else
        n = snprintf(path, cap, "/tmp/i3-%u/i3d.sock", (unsigned)getuid());
    return n >= 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

bool link_data(char path[PATH_MAX])
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n = -1;
    if (xdg && *xdg == '/')
        n = snprintf(path, PATH_MAX, "%s/i3", xdg);
    else if (home && *home == '/')
        n = snprintf(path, PATH_MAX, "%s/.local/share/i3", home);
    return n > 0 && n < PATH_MAX;
}

static int open_socket(const char *path, bool root_may)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(un.sun_path))
        return -ENAMETOOLONG;
    memcpy(un.sun_path, path, strlen(path));
    int err, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
        err = -errno;
    } else if (peer.uid != geteuid() && !(root_may && geteuid() == 0)) {
        err = -EPERM; /* somebody else's socket where ours should be: tell it nothing */
    } else {
        return fd;
    }
    close(fd);
    return err;
}

int link_open(const char *path)
{
    return open_socket(path, false);
}

int link_open_node(const char *path)
{
    return open_socket(path, true);
}

int link_send(int fd, uint32_t serial, const char *const *words, size_t n)
{
    uint8_t buf[IPC_CONTROL_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    ipc_put_header(&w, IPC_CONTROL, serial);
    for (size_t i = 0; i < n; i++)
        put_bytes(&w, words[i], strlen(words[i]) + 1);
    if (!writer_ok(&w))
        return -E2BIG;
    return send(fd, buf, writer_len(&w), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* recv() that takes the fd which may come with a record; *passed: it, or -1. */
static ssize_t receive_with_fd(int fd, void *buf, size_t cap, int *passed)
{
    struct iovec v = {buf, cap};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    *passed = -1;
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(*passed)))
        memcpy(passed, CMSG_DATA(h), sizeof(*passed));
    return n;
}

/* One record from the daemon: its length, 0 at the end, or -errno. */
static ssize_t receive_record(int fd, int64_t until, void *buf, size_t cap, int *passed)
{
    for (;;) {
        int64_t left = until - clock_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, left < 0 ? 0 : (int)left);
        if (ready == 0)
            return -ETIMEDOUT;
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready < 0)
            continue;
        ssize_t n = receive_with_fd(fd, buf, cap, passed);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n < 0 ? -errno : n;
    }
}

/* 0, -EBADMSG, or -EAGAIN for a reply to something else. */
static int decode_reply(const uint8_t *buf, size_t len, uint32_t serial, struct link_reply *out)
{
    struct reader r = reader_of(buf, len);
    struct ipc_header h;
    ipc_get_header(&r, &h);
    if (reader_ok(&r) && h.serial != serial)
        return -EAGAIN;
    out->more = get_u8(&r) != 0;
    out->exit = get_u8(&r);
    wire_expect_zeros(&r, 2);
    size_t text_len = reader_left(&r);
    const char *text = (const char *)get_span(&r, text_len);
    if (!reader_ok(&r) || h.type != (IPC_CONTROL | IPC_REPLY))
        return -EBADMSG;
    while (text_len && text[text_len - 1] == '\0')
        text_len--;
    out->doc = json_loadb(text, text_len, 0, NULL);
    if (out->doc && json_is_object(out->doc))
        return 0;
    json_decref(out->doc);
    return -EBADMSG;
}

int link_recv(int fd, uint32_t serial, int timeout_ms, struct link_reply *out)
{
    uint8_t buf[IPC_CONTROL_MAX];
    int64_t until = clock_ms() + timeout_ms;
    for (;;) {
        ssize_t n = receive_record(fd, until, buf, sizeof(buf), &out->fd);
        if (n <= 0)
            return n < 0 ? (int)n : -ECONNRESET;
        int err = decode_reply(buf, (size_t)n, serial, out);
        if (err && out->fd >= 0)
            close(out->fd);
        if (err != -EAGAIN)
            return err;
    }
}

int link_call(int fd, const char *const *words, size_t n, struct link_reply *out)
{
    int err = link_send(fd, 1, words, n);
    return err ? err : link_recv(fd, 1, CTL_TIMEOUT_MS, out);
}

int link_bin_dir(char dir[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
    if (n < 0)
        return -errno;
    dir[n] = '\0';
    char *slash = strrchr(dir, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

/* The last line that waits in the pipe, or the first, into err. A child which lives on may hold the other end: never wait for the end. */
static void last_line(int fd, bool first, char err[CTL_ERR_LEN])
{
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf) - 1);
    if (n <= 0)
        return;
    while (n && buf[n - 1] == '\n')
        n--;
    buf[n] = '\0';
    char *line = first ? NULL : strrchr(buf, '\n');
    buf[first ? strcspn(buf, "\n") : (size_t)n] = '\0';
    snprintf(err, CTL_ERR_LEN, "%.*s", CTL_ERR_LEN - 1, line ? line + 1 : buf);
}

int link_run(const char *path, char *const *argv, char *const *env, char err[CTL_ERR_LEN])
{
    int pipe_fd[2], status;
    pid_t pid;
    if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], 2);
    err[0] = '\0';
    int rc = -posix_spawn(&pid, path, &actions, NULL, argv, env ? env : environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fd[1]);
    if (!rc) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        last_line(pipe_fd[0], rc == CTL_BAD_CONFIG, err); /* of all that is wrong with a file, what comes first */
    }
    close(pipe_fd[0]);
    return rc;
}

int link_ensure(char *const *env, char err[CTL_ERR_LEN])
{
    char dir[PATH_MAX], path[PATH_MAX + 8];
    int rc = link_bin_dir(dir);
    snprintf(path, sizeof(path), "%s/i3d", rc ? "." : dir);
    if (!rc)
        rc = link_run(path, (char *[]){path, "--ensure", NULL}, env, err);
    if (rc < 0)
        snprintf(err, CTL_ERR_LEN, "cannot run %.400s: %s", path, strerror(-rc));
    else if (rc && !err[0])
        snprintf(err, CTL_ERR_LEN, "i3d did not start (exit status %d)", rc);
    return rc < 0 ? rc : rc ? -ECHILD : 0;
}

bool link_config_refused(char err[CTL_ERR_LEN])
{
    char dir[PATH_MAX], path[PATH_MAX + 8], said[CTL_ERR_LEN];
    if (link_bin_dir(dir))
        return false;
    snprintf(path, sizeof(path), "%s/i3d", dir);
    return link_run(path, (char *[]){path, "--check", NULL}, NULL, err ? err : said) == CTL_BAD_CONFIG;
}
