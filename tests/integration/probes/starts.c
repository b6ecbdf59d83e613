/* starts.c WAY - starts /usr/bin/env by one of the ways there are, with an environment in which nothing is left but A=1; for those
 * which take the process's own, that one is emptied first. "all": each way, one after the other, in a child. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *argv[] = {"env", NULL};
static char *const *envp = (char *[]){"A=1", "LD_PRELOAD=", NULL};
static const char path[] = "/usr/bin/env";

static void empty(void)
{
    clearenv();
    setenv("A", "1", 1);
    setenv("PATH", "/usr/bin", 1);
}

static void by_spawn(int search)
{
    pid_t pid;
    fflush(stdout);
    if (search ? posix_spawnp(&pid, "env", NULL, NULL, argv, envp) : posix_spawn(&pid, path, NULL, NULL, argv, envp))
        _exit(1);
    waitpid(pid, NULL, 0);
    _exit(0);
}

static void by_vfork(void)
{
    if (vfork() == 0) {
        execve(path, argv, envp);
        _exit(1);
    }
    wait(NULL);
    _exit(0);
}

static void by_popen(void)
{
    char line[256];
    empty();
    FILE *f = popen("env", "r");
    while (f && fgets(line, sizeof(line), f))
        fputs(line, stdout);
    fflush(stdout);
    _exit(f ? pclose(f) : 1);
}

static void run(const char *how)
{
    int fd;
    if (!strcmp(how, "execve"))
        execve(path, argv, envp);
    else if (!strcmp(how, "execve-null"))
        execve(path, argv, NULL);
    else if (!strcmp(how, "execvpe"))
        execvpe("env", argv, envp);
    else if (!strcmp(how, "execle"))
        execle(path, "env", "-u", "B", NULL, envp);
    else if (!strcmp(how, "execv"))
        empty(), execv(path, argv);
    else if (!strcmp(how, "execvp"))
        empty(), execvp("env", argv);
    else if (!strcmp(how, "execl"))
        empty(), execl(path, "env", "-u", "B", NULL);
    else if (!strcmp(how, "execlp"))
        empty(), execlp("env", "env", "-u", "B", NULL);
    else if (!strcmp(how, "fexecve"))
        fd = open(path, O_RDONLY), fexecve(fd, argv, envp);
    else if (!strcmp(how, "execveat"))
        fd = open("/usr/bin", O_RDONLY), execveat(fd, "env", argv, envp, 0);
    else if (!strcmp(how, "syscall"))
        syscall(SYS_execve, path, argv, envp);
    else if (!strcmp(how, "posix_spawn"))
        by_spawn(0);
    else if (!strcmp(how, "posix_spawnp"))
        by_spawn(1);
    else if (!strcmp(how, "vfork"))
        by_vfork();
    else if (!strcmp(how, "system"))
        empty(), _exit(system("env"));
    else if (!strcmp(how, "popen"))
        by_popen();
    _exit(1);
}

int main(int argc, char **args)
{
    static const char *const all[] = {"execve", "execve-null", "execvpe", "execle", "execv", "execvp", "execl", "execlp", "fexecve",
        "execveat", "syscall", "posix_spawn", "posix_spawnp", "vfork", "system", "popen"};
    if (argc == 2 && strcmp(args[1], "all") != 0)
        run(args[1]);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int status;
        printf("= %s\n", all[i]);
        fflush(stdout);
        if (fork() == 0)
            run(all[i]);
        wait(&status);
        printf("status %d\n", status);
    }
    return 0;
}
