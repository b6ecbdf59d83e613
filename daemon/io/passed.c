#include "daemon/io/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_number(int fd, int option, int wanted)
{
    int v = -1;
    socklen_t len = sizeof(v);
    return getsockopt(fd, SOL_SOCKET, option, &v, &len) == 0 && v == wanted;
}

static int count(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    return pid && fds && strtol(pid, NULL, 10) == getpid() ? atoi(fds) : 0;
}

int passed_socket(char name[64], char *why, size_t whylen)
{
    const char *names = getenv("LISTEN_FDNAMES");
    int n = count();
    snprintf(name, 64, "%.*s", names ? (int)strcspn(names, ":") : 0, names ? names : "");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (n < 1)
        return 0;
    for (int fd = PASSED_FIRST + 1; fd < PASSED_FIRST + n && fd < 1024; fd++)
        close(fd);
    if (!is_number(PASSED_FIRST, SO_DOMAIN, AF_UNIX) || !is_number(PASSED_FIRST, SO_TYPE, SOCK_SEQPACKET) ||
        !is_number(PASSED_FIRST, SO_ACCEPTCONN, 1)) {
        snprintf(why, whylen, "the socket that was passed (LISTEN_FDS) is no listening Unix socket of type SOCK_SEQPACKET: the .socket unit "
            "must say ListenSequentialPacket=");
        return -EINVAL;
    }
    fcntl(PASSED_FIRST, F_SETFD, FD_CLOEXEC);
    fcntl(PASSED_FIRST, F_SETFL, fcntl(PASSED_FIRST, F_GETFL) | O_NONBLOCK);
    return PASSED_FIRST;
}

int passed_hand(int fd, const char *name)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (fd != PASSED_FIRST && dup2(fd, PASSED_FIRST) < 0)
        return -errno;
    fcntl(PASSED_FIRST, F_SETFD, 0);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", name, 1);
    return 0;
}
