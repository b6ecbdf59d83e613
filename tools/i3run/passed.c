#include "tools/i3run/passed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "include/ipc.h"

enum { ANSWER_S = 1 };

static int option(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* A socket on which others may call. */
static bool is_server(int fd, struct ipc_listen *l)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    *l = (struct ipc_listen){.proto = (uint8_t)option(fd, SO_PROTOCOL)};
    if (fcntl(fd, F_GETFD) & FD_CLOEXEC || getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return false;
    l->bound = addr_from_sockaddr(&ss, len);
    if (!l->bound.port || addr_is_group(&l->bound))
        return false;
    if (l->proto == (uint8_t)IPPROTO_MPTCP)
        l->proto = IPPROTO_TCP;
    len = sizeof(ss);
    return (l->proto == IPPROTO_TCP && option(fd, SO_ACCEPTCONN) > 0) ||
           (l->proto == IPPROTO_UDP && getpeername(fd, (struct sockaddr *)&ss, &len) < 0);
}

/* As the library does it (shim/claim.h). */
static int fence(int fd, const struct addr *bound)
{
    char name[16] = "";
    socklen_t len = sizeof(name);
    if (addr_is_loopback(bound))
        return 0;
    if (!addr_is_any(bound))
        return -EADDRNOTAVAIL;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) == 0)
        return 0;
    int err = -errno;
    return getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 && !strcmp(name, "lo") ? 0 : err;
}

static int dial(const char *sock)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_S};
    int fd = strlen(sock) < sizeof(un.sun_path) ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0)
        return -1;
    memcpy(un.sun_path, sock, strlen(sock));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Whether the daemon keeps it is not waited for longer than it takes. */
static void tell(int daemon, int fd, struct ipc_listen *l, bool overlay_only)
{
    uint8_t buf[IPC_HEADER_LEN + 64];
    struct writer w = writer_of(buf, sizeof(buf));
    socklen_t len = sizeof(l->cookie);
    if (daemon < 0 || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &l->cookie, &len) < 0)
        return;
    l->flags = (uint8_t)((option(fd, SO_REUSEPORT) > 0 ? IPC_LISTEN_REUSEPORT : 0) |
                         (option(fd, SO_REUSEADDR) > 0 ? IPC_LISTEN_REUSEADDR : 0) | (overlay_only ? IPC_LISTEN_OVERLAY_ONLY : 0));
    ipc_put_header(&w, IPC_LISTEN, (uint32_t)fd);
    ipc_put_listen(&w, l);
    if (send(daemon, buf, writer_len(&w), MSG_NOSIGNAL) >= 0)
        (void)!recv(daemon, buf, sizeof(buf), 0);
}

int passed_tell(const char *sock, bool overlay_only, int *which)
{
    DIR *d = opendir("/proc/self/fd");
    int daemon = -1, err = 0;
    const struct dirent *e;
    while (d && !err && (e = readdir(d))) {
        struct ipc_listen l;
        int fd = *which = atoi(e->d_name);
        if (*e->d_name == '.' || fd == dirfd(d) || fd == daemon || !is_server(fd, &l))
            continue;
        err = overlay_only ? fence(fd, &l.bound) : 0;
        if (!err && daemon < 0)
            daemon = dial(sock);
        if (!err)
            tell(daemon, fd, &l, overlay_only);
    }
    if (d)
        closedir(d);
    if (daemon >= 0)
        close(daemon);
    return err;
}
