/* by_syscall.c - the calls of semantics.c by syscall(), as programs make them which go round libc's functions. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int as_int(long rc)
{
    return (int)rc;
}

#define connect(fd, sa, len) as_int(syscall(SYS_connect, (long)(fd), sa, (long)(len)))
#define bind(fd, sa, len) as_int(syscall(SYS_bind, (long)(fd), sa, (long)(len)))
#define listen(fd, n) as_int(syscall(SYS_listen, (long)(fd), (long)(n)))
#define getpeername(fd, sa, len) as_int(syscall(SYS_getpeername, (long)(fd), sa, len))
#define getsockname(fd, sa, len) as_int(syscall(SYS_getsockname, (long)(fd), sa, len))
#define getsockopt(fd, level, name, v, len) as_int(syscall(SYS_getsockopt, (long)(fd), (long)(level), (long)(name), v, len))
#define setsockopt(fd, level, name, v, len) as_int(syscall(SYS_setsockopt, (long)(fd), (long)(level), (long)(name), v, (long)(len)))
#define epoll_ctl(ep, op, fd, ev) as_int(syscall(SYS_epoll_ctl, (long)(ep), (long)(op), (long)(fd), ev))
#define shutdown(fd, how) as_int(syscall(SYS_shutdown, (long)(fd), (long)(how)))
#define sendto(fd, p, n, flags, sa, len) syscall(SYS_sendto, (long)(fd), p, (long)(n), (long)(flags), sa, (long)(len))
#define send(fd, p, n, flags) syscall(SYS_sendto, (long)(fd), p, (long)(n), (long)(flags), 0l, 0l)
#define recv(fd, p, n, flags) syscall(SYS_recvfrom, (long)(fd), p, (long)(n), (long)(flags), 0l, 0l)
#define sendmsg(fd, m, flags) syscall(SYS_sendmsg, (long)(fd), m, (long)(flags))
#define sendmmsg(fd, v, n, flags) as_int(syscall(SYS_sendmmsg, (long)(fd), v, (long)(n), (long)(flags)))

#include "tests/integration/probes/semantics.c"
