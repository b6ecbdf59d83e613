/* filter.c - which calls the supervisor is asked about, as a classic BPF program over the call's number and arguments.
 *
 * Allowed at once are those which name no address: sendto() and recvfrom() without one, accept() that does not ask for the peer's,
 * options which are the same for every kind of socket. io_uring, whose connects nobody could see, does not exist here (programs
 * fall back to epoll), nor do the sockets of 32-bit programs.
 */
#include "tools/i3run/engine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/bytes.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define OTHER_ARCH AUDIT_ARCH_I386
static const int other_calls[] = {102, 359, 425}; /* socketcall, socket, io_uring_setup */
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#define OTHER_ARCH AUDIT_ARCH_ARM
static const int other_calls[] = {102, 281, 425};
#else
#error "which calls make sockets here?"
#endif

/* A call, and the argument (from 0) which has to be other than 0 for it to be asked about; -1: always. */
static const struct {
    int nr, argument;
} asked[] = {
    {SYS_connect, -1},
    {SYS_shutdown, -1},
    {SYS_bind, -1},
    {SYS_listen, -1},
    {SYS_accept, 1},
    {SYS_accept4, 1},
    {SYS_getsockname, -1},
    {SYS_getpeername, -1},
    {SYS_sendto, 4},
    {SYS_recvfrom, 4},
    {SYS_sendmsg, -1},
    {SYS_sendmmsg, -1},
    {SYS_recvmsg, -1},
    {SYS_recvmmsg, -1},
};

static const int levels[] = {IPPROTO_IP, IPPROTO_TCP, IPPROTO_IPV6};
static const int socket_options[] = {SO_ERROR, SO_DOMAIN, SO_PROTOCOL, SO_SNDBUF, SO_SNDBUFFORCE, SO_REUSEPORT};

enum { PROGRAM_MAX = 128 };

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
};

#define LOAD(p, field) add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, field))
/* The low half of an argument, and the high one. */
#define LOW(p, n) add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(offsetof(struct seccomp_data, args) + 8u * (unsigned)(n)))
#define HIGH(p, n) add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(offsetof(struct seccomp_data, args) + 8u * (unsigned)(n) + 4))
#define RETURN(p, what) add(p, BPF_RET | BPF_K, 0, 0, what)

static void add(struct program *p, int code, int yes, int no, uint32_t k)
{
    if (p->len < PROGRAM_MAX)
        p->code[p->len] = (struct sock_filter){(uint16_t)code, (uint8_t)yes, (uint8_t)no, k};
    p->len++;
}

static void skip_unless(struct program *p, uint32_t value, int skip)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value);
}

/* The accumulator is one of these: return that. */
static void return_for(struct program *p, const int *list, size_t n, uint32_t what)
{
    for (size_t i = 0; i < n; i++) {
        skip_unless(p, (uint32_t)list[i], 1);
        RETURN(p, what);
    }
}

static void add_options(struct program *p)
{
    struct program inner = {.len = 0};
    LOW(&inner, 1);
    return_for(&inner, levels, ARRAY_LEN(levels), SECCOMP_RET_USER_NOTIF);
    skip_unless(&inner, SOL_SOCKET, 1 + 2 * ARRAY_LEN(socket_options));
    LOW(&inner, 2);
    return_for(&inner, socket_options, ARRAY_LEN(socket_options), SECCOMP_RET_USER_NOTIF);
    RETURN(&inner, SECCOMP_RET_ALLOW);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_getsockopt);
    skip_unless(p, SYS_setsockopt, inner.len);
    for (unsigned i = 0; i < inner.len; i++)
        add(p, inner.code[i].code, inner.code[i].jt, inner.code[i].jf, inner.code[i].k);
}

static void add_call(struct program *p, int nr, int argument)
{
    if (argument < 0) {
        skip_unless(p, (uint32_t)nr, 1);
        RETURN(p, SECCOMP_RET_USER_NOTIF);
        return;
    }
    skip_unless(p, (uint32_t)nr, 6);
    LOW(p, argument);
    skip_unless(p, 0, 3);
    HIGH(p, argument);
    skip_unless(p, 0, 1);
    RETURN(p, SECCOMP_RET_ALLOW);
    RETURN(p, SECCOMP_RET_USER_NOTIF);
}

static void build(struct program *p)
{
    static const uint32_t none = SECCOMP_RET_ERRNO | ENOSYS;
    LOAD(p, arch);
    skip_unless(p, OTHER_ARCH, 2 + 2 * ARRAY_LEN(other_calls));
    LOAD(p, nr);
    return_for(p, other_calls, ARRAY_LEN(other_calls), none);
    RETURN(p, SECCOMP_RET_ALLOW);
    skip_unless(p, OUR_ARCH, 1);
    add(p, BPF_JMP | BPF_JA, 0, 0, 1);
    RETURN(p, none);
    LOAD(p, nr);
#ifdef __X32_SYSCALL_BIT
    add(p, BPF_JMP | BPF_JSET | BPF_K, 0, 1, __X32_SYSCALL_BIT);
    RETURN(p, none);
#endif
    skip_unless(p, SYS_io_uring_setup, 1);
    RETURN(p, none);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        add_call(p, asked[i].nr, asked[i].argument);
    add_options(p);
    RETURN(p, SECCOMP_RET_ALLOW);
}

int filter_install(void)
{
    struct program p = {.len = 0};
    build(&p);
    if (p.len > PROGRAM_MAX)
        return -E2BIG;
    struct sock_fprog prog = {.len = p.len, .filter = p.code};
    /* who may do without keeps the system's setuid programs as they are */
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
    if (fd < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
    return fd < 0 ? -errno : (int)fd;
}
