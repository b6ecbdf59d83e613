#include "shim/pair.h"

#include "shim/client.h"
#include "shim/epolls.h"
#include "shim/options.h"
#include "shim/sys.h"

static const uint64_t INET6_MARK = 0x69330006;

bool pair_of(int fd, struct sock_name *name)
{
    struct sockaddr_un un;
    socklen_t len = sizeof(un);
    return sys_getsockname(fd, &un, &len) == 0 && len <= sizeof(un) && sock_name_decode(&un, len, name) == 0 &&
           name->side == 'p';
}

enum pair_state pair_state(int fd)
{
    bool small = sys_sockopt_int(fd, SOL_SOCKET, SO_SNDBUF) < PAIR_DIALLING_SNDBUF;
    short ready = sys_ready(fd, POLLOUT);
    if (ready & POLLHUP)
        return small ? PAIR_FAILED : PAIR_ENDED;
    return small && !(ready & POLLOUT) ? PAIR_DIALLING : PAIR_UP;
}

int pair_family(int fd)
{
    uint64_t mark = 0;
    socklen_t len = sizeof(mark);
    sys_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &mark, &len);
    return mark == INET6_MARK ? AF_INET6 : AF_INET;
}

struct fd_entry pair_prepare(int fd, int with, int family, const struct ipc_socket *s)
{
    struct fd_entry e = {.cookie = sys_cookie(with), .kind = FD_PAIR, .dialling = true, .local = s->local, .remote = s->remote};
    options_carry(fd, with, &e);
    if (family == AF_INET6)
        sys_setsockopt(with, SOL_SOCKET, SO_MAX_PACING_RATE, &INET6_MARK, sizeof(INET6_MARK));
    return e;
}

bool pair_is_untold(int fd)
{
    struct fd_entry e;
    return fdtable_get(fd, sys_cookie(fd), &e) && e.kind == FD_PAIR && e.dialling;
}

void pair_told(int fd)
{
    struct fd_entry e;
    if (!fdtable_get(fd, sys_cookie(fd), &e) || e.kind != FD_PAIR)
        return;
    e.dialling = false;
    fdtable_put(fd, &e);
}

int pair_error(const struct sock_name *name)
{
    int err = client_sock_error(name->handle);
    if (err == CLIENT_DEAD)
        return ENETUNREACH;
    return err > 0 && err < IPC_NOT_VIRTUAL ? err : ECONNREFUSED;
}

int pair_end(const struct sock_name *name)
{
    int err = client_sock_error(name->handle);
    return err > 0 && err < IPC_NOT_VIRTUAL ? err : ECONNRESET;
}

int pair_swap(int fd, int with)
{
    struct epolls_saved watched;
    int cloexec = sys_fcntl(fd, F_GETFD, 0) & FD_CLOEXEC;
    epolls_detach(fd, &watched);
    int err;
    do
        err = sys_dup3(with, fd, cloexec ? O_CLOEXEC : 0);
    while (err == -EBUSY || err == -EINTR);
    epolls_attach(fd, &watched);
    sys_close(with);
    return err < 0 ? err : 0;
}

int pair_revert(int fd)
{
    int family = pair_family(fd);
    int with = sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (with < 0)
        return with;
    options_restore(fd, with);
    return pair_swap(fd, with);
}
