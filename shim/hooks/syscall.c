/* syscall.c - syscall(): the numbers for which there is a hook go to it, every other call goes on with all that it came with.
 *
 * Both calling conventions here pass the arguments of a variadic function as those of any other, so the hook is defined with the
 * seven that there may be; what the caller has not given it does not look at, as libc's own does not.
 */
#include <sys/ioctl.h>

#include "include/bytes.h"
#include "shim/libc.h"
#include "shim/sys.h"

#if defined(__x86_64__) || defined(__aarch64__)

#define ARGS long a, long b, long c, long d, long e, long f
#define UNUSED (void)a, (void)b, (void)c, (void)d, (void)e, (void)f

typedef long (*handler)(ARGS);

static long on_connect(ARGS)
{
    UNUSED;
    return connect((int)a, (void *)b, (socklen_t)c);
}

static long on_bind(ARGS)
{
    UNUSED;
    return bind((int)a, (void *)b, (socklen_t)c);
}

static long on_listen(ARGS)
{
    UNUSED;
    return listen((int)a, (int)b);
}

static long on_accept(ARGS)
{
    UNUSED;
    return accept((int)a, (void *)b, (void *)c);
}

static long on_accept4(ARGS)
{
    UNUSED;
    return accept4((int)a, (void *)b, (void *)c, (int)d);
}

static long on_getsockname(ARGS)
{
    UNUSED;
    return getsockname((int)a, (void *)b, (void *)c);
}

static long on_getpeername(ARGS)
{
    UNUSED;
    return getpeername((int)a, (void *)b, (void *)c);
}

static long on_getsockopt(ARGS)
{
    UNUSED;
    return getsockopt((int)a, (int)b, (int)c, (void *)d, (void *)e);
}

static long on_setsockopt(ARGS)
{
    UNUSED;
    return setsockopt((int)a, (int)b, (int)c, (void *)d, (socklen_t)e);
}

static long on_sendto(ARGS)
{
    return sendto((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (socklen_t)f);
}

static long on_recvfrom(ARGS)
{
    return recvfrom((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (void *)f);
}

static long on_sendmsg(ARGS)
{
    UNUSED;
    return sendmsg((int)a, (void *)b, (int)c);
}

static long on_recvmsg(ARGS)
{
    UNUSED;
    return recvmsg((int)a, (void *)b, (int)c);
}

static long on_sendmmsg(ARGS)
{
    UNUSED;
    return sendmmsg((int)a, (void *)b, (unsigned)c, (int)d);
}

static long on_recvmmsg(ARGS)
{
    UNUSED;
    return recvmmsg((int)a, (void *)b, (unsigned)c, (int)d, (void *)e);
}

static long on_epoll_ctl(ARGS)
{
    UNUSED;
    return epoll_ctl((int)a, (int)b, (int)c, (void *)d);
}

static long on_ioctl(ARGS)
{
    UNUSED;
    return ioctl((int)a, (unsigned long)b, c);
}

static long on_shutdown(ARGS)
{
    UNUSED;
    return shutdown((int)a, (int)b);
}

static long on_execve(ARGS)
{
    UNUSED;
    return execve((void *)a, (void *)b, (void *)c);
}

static long on_execveat(ARGS)
{
    UNUSED;
    return execveat((int)a, (void *)b, (void *)c, (void *)d, (int)e);
}

static const struct {
    long number;
    handler take;
} taken[] = {
    {SYS_connect, on_connect},
    {SYS_bind, on_bind},
    {SYS_listen, on_listen},
    {SYS_accept, on_accept},
    {SYS_accept4, on_accept4},
    {SYS_getsockname, on_getsockname},
    {SYS_getpeername, on_getpeername},
    {SYS_getsockopt, on_getsockopt},
    {SYS_setsockopt, on_setsockopt},
    {SYS_sendto, on_sendto},
    {SYS_recvfrom, on_recvfrom},
    {SYS_sendmsg, on_sendmsg},
    {SYS_recvmsg, on_recvmsg},
    {SYS_sendmmsg, on_sendmmsg},
    {SYS_recvmmsg, on_recvmmsg},
    {SYS_epoll_ctl, on_epoll_ctl},
    {SYS_ioctl, on_ioctl},
    {SYS_shutdown, on_shutdown},
    {SYS_execve, on_execve},
    {SYS_execveat, on_execveat},
};

/* One bit for each number that somebody takes; they are all below 512. */
static const uint64_t mask[8] = {
#define BIT(word, n) ((n) / 64 == (word) ? 1ull << (n) % 64 : 0)
#define WORD(w)                                                                                                              \
    BIT(w, SYS_connect) | BIT(w, SYS_bind) | BIT(w, SYS_listen) | BIT(w, SYS_accept) | BIT(w, SYS_accept4) |                 \
        BIT(w, SYS_getsockname) | BIT(w, SYS_getpeername) | BIT(w, SYS_getsockopt) | BIT(w, SYS_setsockopt) |                \
        BIT(w, SYS_sendto) | BIT(w, SYS_recvfrom) | BIT(w, SYS_sendmsg) | BIT(w, SYS_recvmsg) | BIT(w, SYS_sendmmsg) |       \
        BIT(w, SYS_recvmmsg) | BIT(w, SYS_epoll_ctl) | BIT(w, SYS_ioctl) | BIT(w, SYS_shutdown) | BIT(w, SYS_execve) |       \
        BIT(w, SYS_execveat)
    WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7)};

long hook_syscall(long number, ARGS) __asm__("syscall");
typedef long (*real_syscall_fn)(long number, ARGS);

HOOK long hook_syscall(long number, ARGS)
{
    if ((unsigned long)number < 512 && mask[number / 64] >> number % 64 & 1)
        for (size_t i = 0; i < ARRAY_LEN(taken); i++)
            if (taken[i].number == number)
                return taken[i].take(a, b, c, d, e, f);
    return ((real_syscall_fn)libc_get(LIBC_syscall))(number, a, b, c, d, e, f);
}

#endif
