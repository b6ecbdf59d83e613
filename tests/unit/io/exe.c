/* The helper which says what a process runs, also to one that may not look itself. */
#include "daemon/io/exe.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/io/sandbox.h"
#include "tests/lib/suite.h"

static char **arguments;
static pid_t sleeper;

static void setup(void)
{
    char byte;
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    sleeper = fork();
    if (sleeper == 0) {
        dup2(ready[1], 1);
        close(ready[0]);
        close(ready[1]);
        execl("/bin/sh", "sh", "-c", "echo x; exec sleep 60 >/dev/null", (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    while (read(ready[0], &byte, 1) > 0) /* its end: sleep runs */
        ;
    close(ready[0]);
    ck_assert_int_eq(exe_start(arguments), 0);
}

static void teardown(void)
{
    exe_stop();
    kill(sleeper, SIGKILL);
    waitpid(sleeper, NULL, 0);
}

static void check_sleeper(void)
{
    char path[4096], wanted[4096];
    ck_assert_ptr_nonnull(realpath("/bin/sleep", wanted));
    ck_assert_int_eq(exe_of(sleeper, path, sizeof(path)), 0);
    ck_assert_str_eq(path, wanted);
}

START_TEST(says_what_a_process_runs)
{
    char path[4096], little[4];
    check_sleeper();
    ck_assert_int_eq(exe_of(sleeper, little, sizeof(little)), -ENAMETOOLONG);
    ck_assert_int_eq(exe_of(0x3ffffff0, path, sizeof(path)), -ESRCH);
    check_sleeper();
}
END_TEST

START_TEST(also_from_within_the_sandbox)
{
    const char *none[SANDBOX_FOLDERS] = {"/tmp"};
    char link[64], path[4096];
    int status;
    pid_t child = fork(); /* it cannot be taken off, and a sanitizer's last look would not be allowed in it */
    if (child) {
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        return;
    }
    int err = sandbox_host_files(none, NULL);
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)sleeper);
    if (sandbox_host_calls() < 0)
        _exit(2);
    char was[4096];
    bool told = exe_of(sleeper, was, sizeof(was)) == 0 && strchr(was, '/');
    bool closed = err || strstr(sandbox_text(), "relaxed") || readlink(link, path, sizeof(path)) < 0;
    bool ok = told && closed;
    _exit(ok ? 0 : 1);
}
END_TEST

START_TEST(its_death_is_said_not_waited_for)
{
    char path[4096];
    exe_stop();
    ck_assert_int_eq(exe_of(sleeper, path, sizeof(path)), -ENOTCONN);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("exe");
    TCase *t = tcase_create("helper");
    (void)argc;
    arguments = argv;
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, says_what_a_process_runs);
    tcase_add_test(t, also_from_within_the_sandbox);
    tcase_add_test(t, its_death_is_said_not_waited_for);
    suite_add_tcase(s, t);
    return suite_run(s);
}
