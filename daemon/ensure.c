#include "daemon/ensure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/io/files.h"
#include "daemon/pump/reload.h"
#include "include/ipc.h"

enum { READY_TIMEOUT_MS = 15000, READY_FD = 3, EX_CONFIG = 78 };

/* A daemon answers INFO at the socket. */
static bool answers(const struct pump_paths *paths)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 2};
    uint8_t buf[256];
    struct writer w = writer_of(buf, sizeof(buf));
    if (snprintf(un.sun_path, sizeof(un.sun_path), "%s/i3d.sock", paths->runtime) >= (int)sizeof(un.sun_path))
        return false;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ipc_put_header(&w, IPC_INFO, 1);
    bool ok = connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
              send(fd, buf, writer_len(&w), MSG_NOSIGNAL) > 0 && recv(fd, buf, sizeof(buf), 0) > IPC_HEADER_LEN;
    close(fd);
    return ok;
}

/* The keeper (keeper.h), which starts it, with nothing of what is open here. */
static void exec_keeper(const struct host_options *o, const char *argv0, int ready)
{
    const struct pump_paths *paths = &o->paths;
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int null = open("/dev/null", O_RDWR);
    if (n > 0)
        self[n] = '\0';
    setsid();
    if (chdir("/") < 0)
        return;
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    if (dup2(ready, READY_FD) < 0 || close_range(READY_FD + 1, ~0u, 0) < 0)
        errno = 0; /* an old kernel: then they stay open */
    const char *args[] = {"i3keep", "--keep", "--background", "--config", paths->config, "--data", paths->data, "--runtime", paths->runtime,
        "--ready-fd", "3", o->no_sandbox ? "--no-sandbox" : NULL, NULL};
    execv(n > 0 ? self : argv0, (char **)args);
    _exit(127);
}

/* Forks twice, so that the daemon is nobody's child. Returns the pipe's reading end, or -errno. */
static int spawn(const struct host_options *o, const char *argv0)
{
    int fd[2], status;
    if (pipe(fd) < 0)
        return -errno;
    fcntl(fd[0], F_SETFD, FD_CLOEXEC);
    pid_t pid = fork();
    if (pid < 0) {
        int err = errno;
        close(fd[0]);
        close(fd[1]);
        return -err;
    }
    if (pid == 0) {
        unsetenv("LD_PRELOAD");
        if (fork() == 0)
            exec_keeper(o, argv0, fd[1]);
        _exit(0);
    }
    close(fd[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return fd[0];
}

void ensure_tell(const char *text)
{
    while (*text) {
        int n = (int)strcspn(text, "\n");
        fprintf(stderr, "i3d: %.*s\n", n, text);
        text += n + (text[n] == '\n');
    }
}

/* Reads what the new daemon says: "ok", or a sentence. */
static int wait_ready(int fd)
{
    static char text[16384]; /* all that is wrong with a configuration */
    size_t len = 0;
    ssize_t n = 0;
    struct pollfd p = {fd, POLLIN, 0};
    while (len < sizeof(text) - 1) {
        if (poll(&p, 1, READY_TIMEOUT_MS) <= 0)
            break;
        n = read(fd, text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    if (!strcmp(text, "ok"))
        return 0;
    ensure_tell(len ? text : "the daemon did not start; see i3d.log in its runtime folder");
    return 1;
}

/* What is wrong with the configuration is told, and nothing is started that would end at once. */
static bool is_refused(const char *path)
{
    static char why[RELOAD_WHY];
    struct config c;
    if (reload_read(path, &c, why, sizeof(why))) {
        ensure_tell(why);
        return true;
    }
    config_free(&c);
    return false;
}

int ensure_daemon(const struct host_options *o, const char *argv0)
{
    const struct pump_paths *paths = &o->paths;
    char lock[sizeof(paths->runtime) + 16];
    if (answers(paths))
        return 0;
    int err = folder_private(paths->runtime);
    if (err) {
        fprintf(stderr, "i3d: %s: %s\n", paths->runtime,
            err == -EPERM ? "is not a folder of your own" : strerror(-err));
        return 1;
    }
    snprintf(lock, sizeof(lock), "%s/start.lock", paths->runtime);
    int held = file_lock(lock, true);
    if (held < 0) {
        fprintf(stderr, "i3d: %s: %s\n", lock, strerror(-held));
        return 1;
    }
    int status = 0;
    if (!answers(paths)) {
        bool refused = is_refused(paths->config);
        int fd = refused ? -1 : spawn(o, argv0);
        status = refused ? EX_CONFIG : fd < 0 ? 1 : wait_ready(fd);
        if (fd >= 0)
            close(fd);
    }
    close(held);
    return status;
}

void ensure_report(int fd, const char *why)
{
    if (fd < 0)
        return;
    if (!why)
        why = "ok";
    /* whoever waits may be gone: then there is nobody to tell */
    if (write(fd, why, strlen(why)) < 0)
        errno = 0;
    close(fd);
}
