#include "daemon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/ensure.h"
#include "daemon/io/clock.h"
#include "daemon/io/files.h"
#include "daemon/io/ipc_server.h"
#include "daemon/io/log_file.h"
#include "daemon/io/passed.h"
#include "daemon/io/process.h"

/* A daemon that crashes by itself soon after its start is given longer and longer pauses; one that is killed (kill -9, no memory left) is
 * not: whoever kills sets the pace. */
enum { LOCK_TRIES = 300, LOCK_PAUSE_NS = 10000000 };
enum { PAUSE_MS = 10, PAUSE_MAX_MS = 10000, SOON_US = 10000000, ARGS_MAX = 32 };

struct keeper {
    char self[1024]; /* what to run: by its name, so that an upgrade is run at the next start */
    char **argv;
    int socket, lock;
    int ready_fd; /* -1 after the first start */
    sigset_t heeded;
    unsigned crashes; /* in a row */
};

/* ---- one start ---- */

static void exec_daemon(struct keeper *k)
{
    const char *args[ARGS_MAX + 4] = {"i3d"};
    char ready[16];
    int n = 1;
    for (int i = 1; k->argv[i] && n < ARGS_MAX; i++) {
        if (!strcmp(k->argv[i], "--ready-fd") && k->argv[i + 1])
            i++;
        else if (strcmp(k->argv[i], "--keep"))
            args[n++] = k->argv[i];
    }
    args[n++] = "--kept";
    if (k->ready_fd >= 0) {
        int fd = fcntl(k->ready_fd, F_DUPFD, KEEPER_LOCK_FD + 1); /* out of the way of the two below, and open in the daemon */
        snprintf(ready, sizeof(ready), "%d", fd);
        args[n++] = "--ready-fd";
        args[n++] = ready;
    }
    int lock = fcntl(k->lock, F_DUPFD_CLOEXEC, KEEPER_LOCK_FD + 1), socket = fcntl(k->socket, F_DUPFD_CLOEXEC, KEEPER_LOCK_FD + 1);
    sigprocmask(SIG_UNBLOCK, &k->heeded, NULL);
    if (lock >= 0 && socket >= 0 && dup2(lock, KEEPER_LOCK_FD) >= 0 && !passed_hand(socket, KEEPER_SOCKET))
        execv(k->self, (char **)args);
    _exit(127);
}

static pid_t start(struct keeper *k)
{
    pid_t pid = fork();
    if (pid == 0)
        exec_daemon(k);
    if (k->ready_fd >= 0)
        close(k->ready_fd); /* the daemon has it: who waits there learns when that ends */
    k->ready_fd = -1;
    return pid < 0 ? -errno : pid;
}

/* Until it has ended; what is meant for it is passed on. Its status as of waitpid(). */
static int wait_end(struct keeper *k, pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        int number = sigwaitinfo(&k->heeded, NULL);
        if (number > 0 && number != SIGCHLD)
            kill(pid, number);
    }
    return status;
}

/* ---- again and again ---- */

static bool is_wanted(int status)
{
    if (!WIFSIGNALED(status))
        return true;
    int number = WTERMSIG(status);
    return number == SIGTERM || number == SIGINT || number == SIGHUP;
}

/* True: somebody wants an end meanwhile. */
static bool pause_before(struct keeper *k, int number, mono_t began)
{
    unsigned ms = PAUSE_MS;
    k->crashes = number == SIGKILL || mono_since(began, mono_now()) > SOON_US ? 0 : k->crashes + 1;
    for (unsigned i = 0; i < k->crashes && ms < PAUSE_MAX_MS; i++)
        ms *= 2;
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    log_reopen();
    log_error("daemon died signal=%d (%s): it is started anew in ms=%u", number, strsignal(number), ms);
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
    int got = sigtimedwait(&k->heeded, NULL, &wait);
    return got == SIGTERM || got == SIGINT;
}

static int keep(struct keeper *k)
{
    for (;;) {
        mono_t began = mono_now();
        pid_t pid = start(k);
        if (pid < 0)
            return 1;
        int status = wait_end(k, pid);
        if (is_wanted(status))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        if (pause_before(k, WTERMSIG(status), began))
            return 0;
    }
}

/* ---- start ---- */

static int open_all(struct keeper *k, const struct host_options *o, char *why, size_t whylen)
{
    char path[sizeof(o->paths.runtime) + 16];
    ssize_t n = readlink("/proc/self/exe", k->self, sizeof(k->self) - 1);
    k->self[n > 0 ? n : 0] = '\0';
    k->lock = host_lock(&o->paths, true, why, whylen);
    if (k->lock < 0)
        return k->lock;
    snprintf(path, sizeof(path), "%s/i3d.log", o->paths.runtime);
    log_to_file(path); /* one that cannot be written is the daemon's to complain of */
    snprintf(path, sizeof(path), "%s/i3d.sock", o->paths.runtime);
    k->socket = ipc_listen(path);
    if (k->socket < 0)
        snprintf(why, whylen, "cannot listen on %s: %s", path, strerror(-k->socket));
    return k->socket < 0 ? k->socket : 0;
}

int keeper_run(const struct host_options *o, char **argv)
{
    static const int heeded[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    char path[sizeof(o->paths.runtime) + 16], why[1400];
    struct keeper k = {.argv = argv, .ready_fd = o->ready_fd};
    prctl(PR_SET_NAME, "i3keep");
    process_keep_private();
    sigemptyset(&k.heeded);
    for (size_t i = 0; i < sizeof(heeded) / sizeof(heeded[0]); i++)
        sigaddset(&k.heeded, heeded[i]);
    sigprocmask(SIG_BLOCK, &k.heeded, NULL);
    int err = open_all(&k, o, why, sizeof(why));
    if (err) {
        ensure_report(k.ready_fd, why);
        return err == -EWOULDBLOCK ? EX_RUNNING : 1;
    }
    int status = keep(&k);
    snprintf(path, sizeof(path), "%s/i3d.sock", o->paths.runtime);
    unlink(path); /* while the lock is still ours */
    return status;
}

/* What holds the lock still is no daemon any more: it has signed off, or is dead, and its keeper is on its way. */
static bool is_over(const char *path)
{
    int pid = file_lock_holder(path);
    return !pid || (kill(pid, 0) < 0 && errno == ESRCH);
}

int host_lock(const struct pump_paths *paths, bool patient, char *why, size_t whylen)
{
    char path[sizeof(paths->runtime) + 16];
    snprintf(path, sizeof(path), "%s/i3d.pid", paths->runtime);
    int lock = file_lock(path, false);
    for (int i = 0; lock == -EWOULDBLOCK && i < LOCK_TRIES && (patient || is_over(path)); i++) {
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
        lock = file_lock(path, false);
    }
    if (lock >= 0)
        return lock;
    if (lock == -EWOULDBLOCK)
        snprintf(why, whylen, "%s: another i3d of this user is running (pid %d); 'i3ctl stop' ends it", path, file_lock_holder(path));
    else
        snprintf(why, whylen, "%s: %s", path, strerror(-lock));
    return lock;
}
