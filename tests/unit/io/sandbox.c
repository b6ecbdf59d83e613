/* What the sandbox forbids, and what it leaves: in a child each, since it cannot be taken off. */
#include "daemon/io/sandbox.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/suite.h"

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static char folder[] = "/tmp/i3sandbox.XXXXXX", other[] = "/tmp/i3outside.XXXXXX";

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(mkdtemp(other));
}

static void teardown(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/log", folder);
    unlink(path);
    rmdir(folder);
    rmdir(other);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    strcpy(other + strlen(other) - 6, "XXXXXX");
}

/* ---- what is tried: 0, or the errno it fails with ---- */

static int try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int try_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}

static int try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? errno : 0;
}

static void *thread(void *arg)
{
    *(int *)arg = try_socket();
    return NULL;
}

/* A thread can be started, and is in the sandbox as well. */
static int try_thread(void)
{
    pthread_t t;
    int seen = -1, err = pthread_create(&t, NULL, thread, &seen);
    if (err)
        return err;
    pthread_join(t, NULL);
    return seen == EPERM ? 0 : ENOTRECOVERABLE;
}

static int try_executable_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int try_memory(void)
{
    for (size_t n = 100; n < 100 << 20; n *= 7) {
        char *p = malloc(n);
        if (!p)
            return ENOMEM;
        memset(p, 1, n);
        p = realloc(p, 2 * n);
        free(p);
    }
    return 0;
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int try_passwd(void)
{
    return try_open("/etc/passwd", O_RDONLY);
}

static int try_outside(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/log", other);
    return try_open(path, O_WRONLY | O_CREAT);
}

static int try_log(void)
{
    char path[64], old[64];
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(old, sizeof(old), "%s/log.old", folder);
    int err = try_open(path, O_WRONLY | O_CREAT | O_APPEND);
    if (err)
        return err;
    return rename(path, old) < 0 || unlink(old) < 0 ? errno : 0;
}

static int try_kill_parent(void)
{
    return kill(getppid(), 0) < 0 ? errno : 0;
}

/* The socket of the parent's is still ours. */
static int service[2];

static int try_datagram(void)
{
    char c = 'x';
    return send(service[0], &c, 1, 0) == 1 && recv(service[1], &c, 1, 0) == 1 ? 0 : errno;
}

static int try_abort(void)
{
    abort();
}

/* ---- in a child ---- */

enum { KILLED = 1000 }; /* and the signal */

static int in_child(bool files, bool calls, int (*attempt)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        const char *const allowed[SANDBOX_FOLDERS] = {NULL, folder};
        if ((files && sandbox_files(allowed)) || (calls && sandbox_calls()))
            _exit(255);
        _exit(attempt());
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    int got = WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
    ck_assert_int_ne(got, 255);
    return got;
}

static bool landlock_is_here(void)
{
    return syscall(444, NULL, 0, 1) >= 1;
}

START_TEST(calls_are_refused)
{
    const int deadly = SANITIZED ? EPERM : KILLED + SIGSYS;
    ck_assert_int_eq(in_child(false, true, try_socket), EPERM);
    ck_assert_int_eq(in_child(false, true, try_exec), deadly);
    ck_assert_int_eq(in_child(false, true, try_ptrace), deadly);
    if (SANITIZED)
        return;
    ck_assert_int_eq(in_child(false, true, try_fork), EPERM);
    ck_assert_int_eq(in_child(false, true, try_executable_memory), EPERM);
    ck_assert_int_eq(in_child(false, true, try_kill_parent), EPERM);
}
END_TEST

START_TEST(without_it_they_are_not)
{
    ck_assert_int_eq(in_child(false, false, try_socket), 0);
    ck_assert_int_eq(in_child(false, false, try_exec), 0);
    ck_assert_int_eq(in_child(false, false, try_passwd), 0);
    ck_assert_int_eq(in_child(false, false, try_outside), 0);
    char path[64];
    snprintf(path, sizeof(path), "%s/log", other);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(what_a_service_needs_is_left)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, service), 0);
    ck_assert_int_eq(in_child(true, true, try_memory), 0);
    ck_assert_int_eq(in_child(true, true, try_thread), 0);
    ck_assert_int_eq(in_child(true, true, try_datagram), 0);
    ck_assert_int_eq(in_child(true, true, try_log), 0);
    ck_assert_int_eq(in_child(true, true, try_abort), KILLED + SIGABRT);
    close(service[0]);
    close(service[1]);
}
END_TEST

START_TEST(files_elsewhere_are_out_of_reach)
{
    if (!landlock_is_here() || SANITIZED)
        return;
    ck_assert_int_eq(in_child(true, false, try_passwd), EACCES);
    ck_assert_int_eq(in_child(true, false, try_outside), EACCES);
    ck_assert_int_eq(in_child(true, false, try_exec), EACCES);
    ck_assert_int_eq(in_child(true, false, try_log), 0);
}
END_TEST

static int try_status(void)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 && !SANITIZED)
        return EPERM; /* forbidden is as good: it was asked for after the filter */
    return strncmp(sandbox_text(), "seccomp", 7) ? EINVAL : 0;
}

START_TEST(it_says_what_is_in_force)
{
    ck_assert_str_eq(sandbox_text(), "none");
    int got = in_child(true, true, try_status);
    ck_assert(got == 0 || got == EPERM);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("io/sandbox");
    TCase *t = tcase_create("sandbox");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, calls_are_refused);
    tcase_add_test(t, without_it_they_are_not);
    tcase_add_test(t, what_a_service_needs_is_left);
    tcase_add_test(t, files_elsewhere_are_out_of_reach);
    tcase_add_test(t, it_says_what_is_in_force);
    suite_add_tcase(s, t);
    return suite_run(s);
}
