/* job.c - i3run while its program runs under the engine: it looks to its parent and to the terminal as if it were the program.
 *
 * Signals sent to it are passed on. Those of the terminal are not, since the program, in the same process group, has its own.
 * When the program stops, so does i3run, by the same signal; when it dies of one, so does i3run.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/i3run/engine.h"
#include "tools/i3run/i3run.h"

static pid_t program, supervisor;

/* By its default action, once. */
static void suffer(int sig)
{
    struct sigaction old, dfl = {.sa_handler = SIG_DFL};
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, sig);
    sigaction(sig, &dfl, &old);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
    sigaction(sig, &old, NULL);
}

static int end_like(int status)
{
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* the program has left its own, if it was to */
    suffer(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

/* -1: go on. */
static int on_report(int fd)
{
    struct job_report r;
    ssize_t n = recv(fd, &r, sizeof(r), 0);
    if (n < 0 && errno == EINTR)
        return -1;
    if (n != (ssize_t)sizeof(r)) {
        if (program)
            kill(program, SIGKILL);
        return FAILED; /* the supervisor could not start, and has said so, or was killed */
    }
    switch (r.event) {
    case JOB_STARTED:
        program = (pid_t)r.value;
        break;
    case JOB_STOPPED:
        suffer(r.value);
        break;
    case JOB_CONTINUED:
        break;
    case JOB_ALL_ENDED:
        waitpid(supervisor, NULL, 0);
        return end_like(r.value);
    case JOB_ENDED: /* the supervisor goes on for those that are left */
        return end_like(r.value);
    }
    return -1;
}

static void on_signal(int fd)
{
    struct signalfd_siginfo s;
    if (read(fd, &s, sizeof(s)) != (ssize_t)sizeof(s) || s.ssi_signo == SIGCHLD)
        return;
    if (s.ssi_code != SI_KERNEL)
        kill(program, (int)s.ssi_signo);
}

int job_follow(int fd, pid_t pid)
{
    sigset_t all;
    sigfillset(&all);
    supervisor = pid;
    int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), status = -1;
    while (status < 0) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        if (poll(p, program ? 2 : 1, -1) < 0) /* signals wait until there is somebody to have them */
            status = errno == EINTR ? -1 : FAILED;
        else if (p[0].revents)
            status = on_report(fd);
        else if (p[1].revents)
            on_signal(signals);
    }
    return status;
}
