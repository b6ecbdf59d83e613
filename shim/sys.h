/* sys.h - system calls made by the library itself: -errno instead of errno, no cancellation point, no hook.
 *
 * Going round libc keeps three promises at once: errno is never touched by accident, the library's own calls do
 * not come back through its hooks, and nothing here depends on symbols being bound already.
 */
#ifndef I3_SHIM_SYS_H
#define I3_SHIM_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
static inline long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#elif defined(__aarch64__)
static inline long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
static inline long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long ret = syscall(n, a, b, c, d, e, f);
    if (ret == -1)
        ret = -errno;
    errno = saved;
    return ret;
}
#endif

static inline int sys_close(int fd)
{
    return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline int sys_fcntl(int fd, int cmd, long arg)
{
    return (int)sys_call(SYS_fcntl, fd, cmd, arg, 0, 0, 0);
}

static inline int sys_dup3(int from, int to, int flags)
{
    return (int)sys_call(SYS_dup3, from, to, flags, 0, 0, 0);
}

static inline int sys_socket(int family, int type, int protocol)
{
    return (int)sys_call(SYS_socket, family, type, protocol, 0, 0, 0);
}

static inline int sys_bind(int fd, const void *sa, socklen_t len)
{
    return (int)sys_call(SYS_bind, fd, (long)sa, (long)len, 0, 0, 0);
}

static inline int sys_connect(int fd, const void *sa, socklen_t len)
{
    return (int)sys_call(SYS_connect, fd, (long)sa, (long)len, 0, 0, 0);
}

static inline int sys_getsockname(int fd, void *sa, socklen_t *len)
{
    return (int)sys_call(SYS_getsockname, fd, (long)sa, (long)len, 0, 0, 0);
}

static inline int sys_getpeername(int fd, void *sa, socklen_t *len)
{
    return (int)sys_call(SYS_getpeername, fd, (long)sa, (long)len, 0, 0, 0);
}

static inline int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return (int)sys_call(SYS_getsockopt, fd, level, name, (long)value, (long)len, 0);
}

static inline int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return (int)sys_call(SYS_setsockopt, fd, level, name, (long)value, (long)len, 0);
}

/* An int option's value, or -errno (options whose value may be negative: use sys_getsockopt). */
static inline int sys_sockopt_int(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int err = sys_getsockopt(fd, level, name, &value, &len);
    return err < 0 ? err : value;
}

/* A TCP socket that is neither connected nor listening nor on its way to either (TCP_CLOSE). */
static inline bool sys_tcp_is_fresh(int fd)
{
    enum { TCP_INFO_OPTION = 11, STATE_CLOSE = 7 }; /* <linux/tcp.h> and <netinet/tcp.h> cannot both be included */
    uint8_t state = 0; /* the first member of struct tcp_info */
    socklen_t len = sizeof(state);
    return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO_OPTION, &state, &len) == 0 && state == STATE_CLOSE;
}

/* SO_COOKIE, which names the socket behind an fd and is the same for all its dups; 0: not a socket. */
static inline uint64_t sys_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    return sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

static inline long sys_sendmsg(int fd, const struct msghdr *m, int flags)
{
    return sys_call(SYS_sendmsg, fd, (long)m, flags, 0, 0, 0);
}

static inline long sys_recvmsg(int fd, struct msghdr *m, int flags)
{
    return sys_call(SYS_recvmsg, fd, (long)m, flags, 0, 0, 0);
}

static inline int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    return (int)sys_call(SYS_epoll_ctl, epfd, op, fd, (long)event, 0, 0);
}

/* What `fd` is ready for right now. */
static inline short sys_ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    struct timespec now = {0, 0};
    long n = sys_call(SYS_ppoll, (long)&p, 1, (long)&now, 0, 0, 0);
    return n == 1 ? p.revents : 0;
}

/* Whether the `len` bytes at `p` lie in the frames of those who called us, and so are there. Above the first frames of all there is
 * that much at least: the environment, or what libc keeps of a thread. */
static inline __attribute__((always_inline)) bool sys_in_callers(const void *p, size_t len)
{
    enum { CALLERS = 2048 };
    uintptr_t at = (uintptr_t)p, frame = (uintptr_t)__builtin_frame_address(0);
    return at >= frame && len <= CALLERS && at - frame <= CALLERS - len;
}

/* Whether the `len` bytes at `p` (not more than a page) can be read, as the kernel would find out: it looks at a signal mask before
 * it refuses what is to be done with it. */
static inline bool sys_readable(const void *p, size_t len)
{
    enum { MASK_LEN = 8, NO_SUCH_THING = 0x7fff, PAGE = 4096 };
    const uintptr_t word = ~(uintptr_t)(MASK_LEN - 1), first = (uintptr_t)p & word, last = ((uintptr_t)p + len - 1) & word;
    if (sys_in_callers(p, len))
        return true;
    return sys_call(SYS_rt_sigprocmask, NO_SUCH_THING, (long)first, 0, MASK_LEN, 0, 0) == -EINVAL &&
           (last / PAGE == first / PAGE || sys_call(SYS_rt_sigprocmask, NO_SUCH_THING, (long)last, 0, MASK_LEN, 0, 0) == -EINVAL);
}

static inline int sys_getpid(void)
{
    return (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_getppid(void)
{
    return (int)sys_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

/* Milliseconds of the monotonic clock (vDSO: no system call, no errno). */
static inline int64_t sys_millis(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
