/* trap_names.c - what the program hears of its sockets: their names, and options which tell a pair from a TCP socket. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/syscall.h>

#include "shim/options.h"
#include "shim/names.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/sys.h"
#include "tools/i3run/wait.h"

enum { OPTION_MAX = 512 };

/* ---- names ---- */

static int kernel_name(int fd, bool peer, struct sockaddr_storage *ss, socklen_t *full)
{
    *full = sizeof(*ss);
    return peer ? sys_getpeername(fd, ss, full) : sys_getsockname(fd, ss, full);
}

static int pair_name(int fd, const struct sock_name *name, bool peer, struct sockaddr_storage *ss, socklen_t *full)
{
    enum pair_state state = pair_state(fd);
    if (peer && (state == PAIR_DIALLING || state == PAIR_FAILED))
        return -ENOTCONN;
    *full = overlay_sockaddr(peer ? &name->remote : &name->local, pair_family(fd), ss);
    return 0;
}

/* As the program shall see it. */
static int name_of(int fd, bool peer, struct sockaddr_storage *ss, socklen_t *full)
{
    struct sock_name name;
    int err = kernel_name(fd, peer, ss, full);
    if (ss->ss_family == AF_UNIX && !(err && !peer) && pair_of(fd, &name))
        return pair_name(fd, &name, peer, ss, full);
    if (err)
        return err;
    struct addr a = addr_from_sockaddr(ss, *full);
    if (peer ? names_peer(fd, &a) : names_local(fd, &a))
        *full = overlay_sockaddr(&a, ss->ss_family, ss);
    return 0;
}

static answer_t get_name(struct trap *t, bool peer)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    socklen_t full;
    int fd = trap_fd(t);
    if (fd == -EPERM)
        return PASS; /* it may not be looked into */
    int err = fd < 0 ? fd : name_of(fd, peer, &ss, &full);
    return VALUE(err ? err : trap_write_addr(t, t->arg[1], t->arg[2], &ss, full));
}

answer_t trap_getsockname(struct trap *t)
{
    return get_name(t, false);
}

answer_t trap_getpeername(struct trap *t)
{
    return get_name(t, true);
}

/* ---- options ---- */

/* A pair, or with SO_ERROR, SO_DOMAIN, SO_PROTOCOL what may be one; others the kernel answers. */
static bool is_pair(struct trap *t, struct sock_name *name)
{
    return trap_fd(t) >= 0 && sys_sockopt_int(t->fd, SOL_SOCKET, SO_DOMAIN) == AF_UNIX && pair_of(t->fd, name);
}

static int socket_option(int fd, const struct sock_name *sn, int name, void *value, socklen_t *len)
{
    int v = 0;
    socklen_t full = sizeof(v);
    switch (name) {
    case SO_DOMAIN:
        v = pair_family(fd);
        break;
    case SO_PROTOCOL:
        v = IPPROTO_TCP;
        break;
    case SO_ERROR:
        sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &full);
        if ((v == ECONNRESET || v == EPIPE) && pair_state(fd) == PAIR_FAILED)
            v = pair_error(sn);
        break;
    default:
        return sys_getsockopt(fd, SOL_SOCKET, name, value, len);
    }
    *len = *len < sizeof(v) ? *len : (socklen_t)sizeof(v);
    memcpy(value, &v, *len);
    return 0;
}

answer_t trap_getsockopt(struct trap *t)
{
    struct sock_name sn;
    char value[OPTION_MAX] = "";
    int32_t room;
    int level = (int)t->arg[1], name = (int)t->arg[2];
    if ((int)t->arg[0] == -1 && level == IPPROTO_TCP && name == ENGINE_QUESTION)
        return VALUE(-ENGINE_HERE);
    if (!is_pair(t, &sn))
        return PASS;
    int err = trap_read(t, t->arg[4], &room, sizeof(room));
    socklen_t len = room > OPTION_MAX ? OPTION_MAX : (socklen_t)room;
    if (!err && room < 0)
        err = -EINVAL;
    if (!err)
        err = level == SOL_SOCKET ? socket_option(t->fd, &sn, name, value, &len) : options_get(t->fd, level, name, value, &len);
    if (!err)
        err = trap_write(t, t->arg[3], value, len);
    return VALUE(err ? err : trap_write(t, t->arg[4], &len, sizeof(len)));
}

/* The buffer tells a dialling pair from an established one, and is the daemon's while it dials. */
static int set_sndbuf(int fd, int name, const void *value, socklen_t len)
{
    int v;
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, value, sizeof(v));
    if (v < PAIR_MIN_SNDBUF / 2)
        v = PAIR_MIN_SNDBUF / 2;
    return pair_state(fd) == PAIR_DIALLING ? 0 : sys_setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v));
}

answer_t trap_setsockopt(struct trap *t)
{
    struct sock_name sn;
    char value[OPTION_MAX] = "";
    int level = (int)t->arg[1], name = (int)t->arg[2];
    int32_t len = (int32_t)t->arg[4];
    if (!is_pair(t, &sn))
        return PASS;
    if (len < 0)
        return VALUE(-EINVAL);
    len = len > OPTION_MAX ? OPTION_MAX : len;
    int err = trap_read(t, t->arg[3], value, (size_t)len);
    if (err)
        return VALUE(err);
    if (level != SOL_SOCKET)
        return VALUE(options_set(t->fd, level, name, value, (socklen_t)len));
    if (name == SO_SNDBUF || name == SO_SNDBUFFORCE)
        return VALUE(set_sndbuf(t->fd, name, value, (socklen_t)len));
    err = sys_setsockopt(t->fd, level, name, value, (socklen_t)len);
    return VALUE(err == -EOPNOTSUPP && name == SO_REUSEPORT ? 0 : err);
}
