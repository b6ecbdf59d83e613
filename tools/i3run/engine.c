/* engine.c - the supervisor: starts the program under the filter, and answers its calls until nobody is left who makes any. */
#include "tools/i3run/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/bytes.h"
#include "shim/explain.h"
#include "shim/sys.h"
#include "tools/i3run/i3run.h"
#include "tools/i3run/wait.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#endif

enum { SWEEP_MS = 1000, FIXED = 3 };

static struct {
    int report;  /* to i3run; -1: it has its answer, or is gone */
    int children; /* signalfd */
    pid_t program; /* 0: has ended */
} super;

static pid_t i3run;

bool engine_here(void)
{
    int value;
    socklen_t len = sizeof(value);
    return getsockopt(-1, IPPROTO_TCP, ENGINE_QUESTION, &value, &len) < 0 && errno == ENGINE_HERE;
}

/* ---- answers ---- */

/* Answers to calls which a signal has interrupted meanwhile, and which are going to be made anew. */
enum { LATE_MAX = 64 };

static struct late {
    struct trap trap;
    uint64_t cookie; /* of what the fd was then */
    long value;
} late[LATE_MAX];

static uint64_t cookie_now(const struct trap *t)
{
    struct trap again = *t;
    again.fd = -1;
    int fd = trap_fd(&again);
    uint64_t cookie = fd < 0 ? 0 : sys_cookie(fd);
    if (fd >= 0)
        close(fd);
    return cookie;
}

static void late_keep(const struct trap *t, long value)
{
    static unsigned next;
    late[next++ % LATE_MAX] = (struct late){*t, cookie_now(t), value};
}

/* True, and *value: the call was done before. */
static bool late_take(const struct trap *t, long *value)
{
    for (int i = 0; i < LATE_MAX; i++) {
        struct late *l = &late[i];
        if (l->trap.tid != t->tid || l->trap.nr != t->nr || l->trap.ip != t->ip || memcmp(l->trap.arg, t->arg, sizeof(t->arg)))
            continue;
        *value = l->value;
        bool same = l->cookie && l->cookie == cookie_now(t);
        *l = (struct late){.value = 0};
        return same;
    }
    return false;
}

void trap_done(struct trap *t, answer_t a)
{
    if (a.how == ANSWER_PASS)
        trap_send(t, 0, true);
    else if (a.how == ANSWER_VALUE && trap_send(t, a.value, false) == -ENOENT && t->acted)
        late_keep(t, a.value);
}

static answer_t (*handler(int nr))(struct trap *)
{
    static const struct {
        int nr;
        answer_t (*fn)(struct trap *);
    } calls[] = {
        {SYS_connect, trap_connect},
        {SYS_shutdown, trap_shutdown},
        {SYS_bind, trap_bind},
        {SYS_listen, trap_listen},
        {SYS_accept, trap_accept},
        {SYS_accept4, trap_accept},
        {SYS_getsockname, trap_getsockname},
        {SYS_getpeername, trap_getpeername},
        {SYS_getsockopt, trap_getsockopt},
        {SYS_setsockopt, trap_setsockopt},
        {SYS_sendto, trap_sendto},
        {SYS_sendmsg, trap_sendmsg},
        {SYS_sendmmsg, trap_sendmmsg},
        {SYS_recvfrom, trap_recvfrom},
        {SYS_recvmsg, trap_recvmsg},
        {SYS_recvmmsg, trap_recvmmsg},
    };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (calls[i].nr == nr)
            return calls[i].fn;
    return NULL;
}

static void receive_call(void)
{
    union { /* a newer kernel's is longer */
        struct seccomp_notif n;
        char room[512];
    } u = {.room = {0}};
    if (ioctl(trap_notify, SECCOMP_IOCTL_NOTIF_RECV, &u) < 0)
        return; /* interrupted meanwhile */
    struct trap t = {.id = u.n.id, .ip = u.n.data.instruction_pointer, .tid = (pid_t)u.n.pid, .nr = u.n.data.nr, .fd = -1};
    for (int i = 0; i < 6; i++)
        t.arg[i] = u.n.data.args[i];
    answer_t (*fn)(struct trap *) = handler(t.nr);
    explain_about(t.tid);
    long value;
    if (wait_forget(&t))
        trap_done(&t, VALUE(-EINTR));
    else if (late_take(&t, &value))
        trap_done(&t, VALUE(value));
    else
        trap_done(&t, fn ? fn(&t) : VALUE(-ENOSYS));
    if (t.fd >= 0)
        close(t.fd);
}

/* ---- the program's life ---- */

static void report(enum job_event event, int value)
{
    struct job_report r = {event, value};
    if (super.report >= 0 && send(super.report, &r, sizeof(r), MSG_NOSIGNAL) < 0) {
        close(super.report);
        super.report = -1;
    }
}

/* Under the filter: the notification fd says so. */
static bool nobody_left(void)
{
    struct pollfd p = {.fd = trap_notify, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

static void reap(void)
{
    struct signalfd_siginfo drained;
    int status;
    pid_t pid;
    (void)!read(super.children, &drained, sizeof(drained));
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
        if (pid != super.program)
            continue; /* a daemon's child, whose parent has ended */
        if (WIFSTOPPED(status)) {
            report(JOB_STOPPED, WSTOPSIG(status));
        } else if (WIFCONTINUED(status)) {
            report(JOB_CONTINUED, 0);
        } else {
            super.program = 0;
            report(nobody_left() ? JOB_ALL_ENDED : JOB_ENDED, status);
        }
    }
    wait_sweep();
}

/* i3run was killed, and so is the program. */
static void abandoned(void)
{
    close(super.report);
    super.report = -1;
    if (super.program)
        kill(super.program, SIGKILL);
}

/* False: nobody is left under the filter. */
static bool turn(struct pollfd *p)
{
    int64_t now = sys_millis(), until = wait_count() ? now + SWEEP_MS : INT64_MAX;
    p[0] = (struct pollfd){.fd = trap_notify, .events = POLLIN};
    p[1] = (struct pollfd){.fd = super.children, .events = POLLIN};
    p[2] = (struct pollfd){.fd = super.report, .events = 0};
    int n = wait_fill(p + FIXED, &until);
    int limit = until == INT64_MAX ? -1 : until > now ? (int)(until - now) : 0;
    if (poll(p, (nfds_t)(FIXED + n), limit) < 0)
        return errno == EINTR || errno == EAGAIN;
    wait_run(p + FIXED, n);
    if (p[1].revents)
        reap();
    if (p[2].revents)
        abandoned();
    if (p[0].revents & POLLIN)
        receive_call();
    static int64_t swept;
    if (now - swept > SWEEP_MS) {
        swept = now;
        wait_sweep();
    }
    return !(p[0].revents & POLLHUP) || super.program;
}

static void supervise(void)
{
    struct pollfd *p = NULL;
    int room = 0;
    ioctl(trap_notify, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    do {
        int need = FIXED + 2 * wait_count();
        if (need > room) {
            struct pollfd *more = realloc(p, (size_t)(need * 2) * sizeof(*p));
            if (!more)
                _exit(FAILED);
            p = more;
            room = need * 2;
        }
    } while (turn(p));
    _exit(0);
}

/* ---- the start ---- */

void engine_unlist(void)
{
    char *value = getenv("LD_PRELOAD"), *at = value;
    size_t n = strlen(run.shim);
    while (at && (at = strstr(at, run.shim))) {
        bool first = at == value || strchr(": ", at[-1]), last = !at[n];
        if (first && (last || strchr(": ", at[n])))
            memmove(at, at + n + !last, strlen(at + n + !last) + 1);
        else
            at += n;
    }
    if (value && !*value)
        unsetenv("LD_PRELOAD");
}

/* systemd's word to a service for whom its sockets are: i3run stands where the program would. */
static void rename_receiver(pid_t us)
{
    const char *pid = getenv("LISTEN_PID");
    char text[16];
    snprintf(text, sizeof(text), "%d", (int)getpid());
    if (pid && atoi(pid) == us)
        setenv("LISTEN_PID", text, 1);
}

/* The program's first moments. write() and read() are not asked about, so that they serve before anybody answers. */
static void become_program(int super_fd, const sigset_t *mask)
{
    int notify = run.strict && strict_enter() < 0 ? -ECANCELED : filter_install();
    if (write(super_fd, &notify, sizeof(notify)) != sizeof(notify) || read(super_fd, &notify, sizeof(notify)) != sizeof(notify))
        _exit(FAILED);
    sigprocmask(SIG_SETMASK, mask, NULL);
    rename_receiver(i3run);
    _exit(environment_exec());
}

/* The other side of it; the notification fd in our hands, or -errno. */
static int take_notify(int program_fd)
{
    int notify, pidfd;
    if (read(program_fd, &notify, sizeof(notify)) != sizeof(notify))
        return -EPIPE;
    if (notify < 0)
        return notify;
    pidfd = (int)syscall(SYS_pidfd_open, super.program, 0);
    int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, notify, 0);
    int err = fd < 0 ? -errno : 0;
    close(pidfd);
    return err ? err : fd;
}

static void detach(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < (explain_on ? 2 : 3); fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    (void)!chdir("/");
    setpgid(0, 0); /* what the terminal sends is for the program and i3run */
}

static void become_supervisor(const sigset_t *mask)
{
    int pair[2];
    sigset_t children;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "i3run-engine");
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    super.children = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (super.children < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        _exit(FAILED);
    super.program = fork();
    if (super.program == 0) {
        close(pair[0]);
        become_program(pair[1], mask);
    }
    close(pair[1]);
    trap_notify = super.program < 0 ? -errno : take_notify(pair[0]);
    if (trap_notify == -ECANCELED)
        _exit(FAILED);
    if (trap_notify < 0) {
        say(trap_notify == -EBUSY ? "%s: the program is under another seccomp supervisor already"
                                  : "the seccomp engine cannot start: %s", strerror(-trap_notify));
        _exit(FAILED);
    }
    report(JOB_STARTED, super.program);
    detach();
    (void)!write(pair[0], &trap_notify, sizeof(trap_notify));
    close(pair[0]);
    supervise();
}

int engine_run(void)
{
    int pair[2];
    sigset_t all, mask;
    engine_unlist();
    i3run = getpid();
    sigfillset(&all);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || sigprocmask(SIG_SETMASK, &all, &mask) < 0) {
        say("%s", strerror(errno));
        return FAILED;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        super.report = pair[1];
        become_supervisor(&mask);
    }
    close(pair[1]);
    if (pid < 0) {
        say("%s", strerror(errno));
        return FAILED;
    }
    return job_follow(pair[0], pid);
}
