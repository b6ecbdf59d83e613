/* What the sandbox forbids, and what it leaves: in a child each, since it cannot be taken off. */
#include "daemon/io/sandbox.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
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

static bool host; /* its profile */

/* The host's may read the other folder as well. */
static bool is_entered(bool files, bool calls)
{
    const char *const allowed[SANDBOX_FOLDERS] = {NULL, folder}, *const readable[SANDBOX_FOLDERS] = {other, NULL, "/nowhere"};
    if (files && (host ? sandbox_host_files(allowed, readable) : sandbox_files(allowed)))
        return false;
    return !calls || !(host ? sandbox_host_calls() : sandbox_calls());
}

static int in_child(bool files, bool calls, int (*attempt)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (!is_entered(files, calls))
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

/* ---- the host's ---- */

/* Each family by the types of ours: 0, or the errno of the first that cannot be had. */
static int try_host_sockets(void)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM};
    int pair[2];
    for (unsigned i = 0; i < 6; i++)
        if (socket(families[i / 2], types[i % 2] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) < 0)
            return errno;
    if (socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) < 0 || socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG) < 0)
        return errno;
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 ? errno : 0;
}

static int try_raw(void)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 ? errno : 0;
}

static int try_packet(void)
{
    return socket(AF_PACKET, SOCK_DGRAM, 0) < 0 ? errno : 0;
}

static int try_alg(void)
{
    return socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 ? errno : 0;
}

static int try_netfilter(void)
{
    return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) < 0 ? errno : 0;
}

static int try_other(int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/i3.conf", other);
    return try_open(path, flags);
}

static int try_read_other(void)
{
    return try_other(O_RDONLY);
}

static int try_write_other(void)
{
    return try_other(O_WRONLY);
}

START_TEST(a_host_has_the_sockets_that_it_needs)
{
    host = true;
    ck_assert_int_eq(in_child(true, true, try_host_sockets), 0);
    ck_assert_int_eq(in_child(true, true, try_memory), 0);
    ck_assert_int_eq(in_child(true, true, try_log), 0);
    host = false;
}
END_TEST

START_TEST(a_host_has_no_others_and_starts_nothing)
{
    int (*const refused[])(void) = {try_raw, try_packet, try_alg, try_netfilter, try_fork, try_executable_memory, try_kill_parent};
    host = true;
    for (unsigned i = 0; !SANITIZED && i < sizeof(refused) / sizeof(refused[0]); i++)
        ck_assert_int_eq(in_child(false, true, refused[i]), EPERM);
    ck_assert_int_eq(in_child(false, true, try_exec), SANITIZED ? EPERM : KILLED + SIGSYS);
    ck_assert_int_eq(in_child(false, true, try_ptrace), SANITIZED ? EPERM : KILLED + SIGSYS);
    host = false;
}
END_TEST

START_TEST(a_host_reads_where_it_may_and_writes_in_its_own_folders)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/i3.conf", other);
    ck_assert_int_eq(try_other(O_WRONLY | O_CREAT), 0);
    host = true;
    if (landlock_is_here() && !SANITIZED) {
        ck_assert_int_eq(in_child(true, false, try_read_other), 0);
        ck_assert_int_eq(in_child(true, false, try_write_other), EACCES);
        ck_assert_int_eq(in_child(true, false, try_outside), EACCES);
        ck_assert_int_eq(in_child(true, false, try_passwd), EACCES);
        ck_assert_int_eq(in_child(true, false, try_log), 0);
    }
    host = false;
    unlink(path);
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
    tcase_add_test(t, a_host_has_the_sockets_that_it_needs);
    tcase_add_test(t, a_host_has_no_others_and_starts_nothing);
    tcase_add_test(t, a_host_reads_where_it_may_and_writes_in_its_own_folders);
    tcase_add_test(t, without_it_they_are_not);
    tcase_add_test(t, what_a_service_needs_is_left);
    tcase_add_test(t, files_elsewhere_are_out_of_reach);
    tcase_add_test(t, it_says_what_is_in_force);
    suite_add_tcase(s, t);
    return suite_run(s);
}
