/* raw.c - whether syscall() hands over what it is given: every number with six arguments, which a filter stops at the door of the
 * kernel and shows to a signal handler; then some calls that are made. One line for each difference, "numbers N" at the end.
 *
 * The numbers that have hooks are told apart by asking: their calls do not come through as they are (shim/hooks/syscall.c).
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "shim/sys.h"

#define MARK 0x6a15cafe6a15cafeul
enum { NUMBERS = 1024, ARGUMENTS = 6, URETPROBE = 335 /* and the next one: past every filter, and deadly */ };

static volatile struct {
    int times;
    long number;
    unsigned long arg[ARGUMENTS];
} seen;

static void on_trap(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    seen.times++;
    seen.number = info->si_syscall;
#if defined(__x86_64__)
    static const int regs[ARGUMENTS] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    for (int i = 0; i < ARGUMENTS; i++)
        seen.arg[i] = (unsigned long)m->gregs[regs[i]];
    m->gregs[REG_RAX] = info->si_syscall % 2 ? -EXDEV : 77;
#elif defined(__aarch64__)
    for (int i = 0; i < ARGUMENTS; i++)
        seen.arg[i] = m->regs[i];
    m->regs[0] = (unsigned long)(info->si_syscall % 2 ? -EXDEV : 77);
#endif
}

static int set_filter(void)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)MARK, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(MARK >> 32), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof(f) / sizeof(f[0]), f};
    struct sigaction sa = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -1 : 0;
}

/* Those which have hooks: what they are given are no fds, no addresses. */
static int hooked(long n)
{
    static const long list[] = {SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_getsockname, SYS_getpeername,
        SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg,
        SYS_epoll_ctl, SYS_ioctl, SYS_shutdown, SYS_execve, SYS_execveat};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i] == n)
            return 1;
    return 0;
}

static int handed_over(long n)
{
    const unsigned long arg[ARGUMENTS] = {MARK, 0x1111222233334444ul, 0xfffffffffffffffful, 0x8000000000000000ul,
        0x00000000fffffff0ul, 0x123456789abcdef0ul};
    memset((void *)&seen, 0, sizeof(seen));
    errno = 0;
    long rc = syscall(n, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (seen.times != 1 || seen.number != (int)n || memcmp((void *)seen.arg, arg, sizeof(arg)) != 0)
        return 0;
    return n % 2 ? rc == -1 && errno == EXDEV : rc == 77 && errno == 0;
}

/* What is made: the same answer from the kernel, called directly. */
static void compare(long n, long a, long b, long c, long d, long e, long f)
{
    long raw = sys_call(n, a, b, c, d, e, f);
    errno = 0;
    long rc = syscall(n, a, b, c, d, e, f);
    if (rc == -1 && errno)
        rc = -errno;
    if (rc != raw)
        printf("%ld answers %ld, the kernel %ld\n", n, rc, raw);
}

int main(void)
{
    int count = 0;
    long bad = (long)0xffff800000000000ul;
    if (set_filter() < 0) {
        puts("no filter");
        return 77;
    }
    for (long n = -2; n < NUMBERS; n++) {
        if (hooked(n) || n == URETPROBE || n == URETPROBE + 1)
            continue;
        if (!handed_over(n))
            printf("%ld is not handed over\n", n);
        count++;
    }
    for (long n = NUMBERS; n < NUMBERS + 10; n++)
        compare(n, 1, 2, 3, 4, 5, 6);
    compare(SYS_getpid, 0, 0, 0, 0, 0, 0);
    compare(SYS_lseek, -1, 0, 0, 0, 0, 0);
    compare(SYS_read, 0, bad, 10, 0, 0, 0);
    compare(SYS_socket, 99, 1, 0, 0, 0, 0);
    /* with hooks, but nothing of theirs */
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return 1;
    const long with_fd[] = {SYS_connect, SYS_bind, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_sendto,
        SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_accept, SYS_accept4, SYS_listen, SYS_epoll_ctl, SYS_ioctl, SYS_shutdown};
    for (size_t i = 0; i < sizeof(with_fd) / sizeof(with_fd[0]); i++) {
        compare(with_fd[i], -1, 0, 0, 0, 0, 0);
        compare(with_fd[i], -1, bad, 16, 16, bad, 16);
        compare(with_fd[i], fds[0], 0, 0, 0, 0, 0);
        if (with_fd[i] != SYS_connect && with_fd[i] != SYS_shutdown && with_fd[i] != SYS_listen)
            compare(with_fd[i], fds[0], bad, bad, 0, 0, 0);
    }
    compare(SYS_execve, bad, 0, 0, 0, 0, 0);
    compare(SYS_execveat, -1, 0, 0, 0, 0, 0);
    printf("numbers %d\n", count);
    return 0;
}
