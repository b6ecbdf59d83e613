/* exec.c - starting programs: each gets back what it needs to reach the overlay (inherit.h), whatever environment it is given.
 *
 * Other libraries' hooks of the same functions are called as libc's would be. A child of vfork may come through here: the stack is
 * all that is written to.
 */
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shim/inherit.h"
#include "shim/libc.h"
#include "shim/reroute.h"

struct start {
    int (*how)(const struct start *s, char *const envp[]);
    const char *file;
    char *const *argv;
    int fd, flags;
    pid_t *pid;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attr;
};

static int by_path(const struct start *s, char *const envp[]);
static int by_search(const struct start *s, char *const envp[]);
static int by_spawn(const struct start *s, char *const envp[]);
static int by_spawn_search(const struct start *s, char *const envp[]);

/* Through i3run instead, where the library could not be in the program. */
static int start_rerouted(const struct start *s, const char *path, char *const envp[])
{
    struct start via = *s;
    via.how = s->how == by_search ? by_path : s->how == by_spawn_search ? by_spawn : s->how;
    via.argv = reroute_build(path, s->argv, __builtin_alloca(reroute_room(s->argv)));
    via.file = via.argv[0];
    return via.how(&via, envp);
}

static int start_completed(const struct start *s, char *const envp[])
{
    char path[PATH_MAX];
    bool search = s->how == by_search || s->how == by_spawn_search;
    if ((search || s->how == by_path || s->how == by_spawn) && reroute_wanted(s->file, search, envp, path))
        return start_rerouted(s, path, envp);
    return s->how(s, envp);
}

/* What a variable-length array would be told of by -Wvla is the point here: there is no other memory below vfork. */
static int start(const struct start *s, char *const envp[])
{
    size_t room = inherit_room(envp);
    if (!room)
        return start_completed(s, envp);
    return start_completed(s, inherit_build(envp, __builtin_alloca(room)));
}

static int by_path(const struct start *s, char *const envp[])
{
    return REAL(execve)(s->file, s->argv, envp);
}

static int by_search(const struct start *s, char *const envp[])
{
    return REAL(execvpe)(s->file, s->argv, envp);
}

static int by_fd(const struct start *s, char *const envp[])
{
    return REAL(fexecve)(s->fd, s->argv, envp);
}

static int by_folder(const struct start *s, char *const envp[])
{
    return REAL(execveat)(s->fd, s->file, s->argv, envp, s->flags);
}

static int by_spawn(const struct start *s, char *const envp[])
{
    return REAL(posix_spawn)(s->pid, s->file, s->actions, s->attr, s->argv, envp);
}

static int by_spawn_search(const struct start *s, char *const envp[])
{
    return REAL(posix_spawnp)(s->pid, s->file, s->actions, s->attr, s->argv, envp);
}

HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
    return start(&(struct start){.how = by_path, .file = path, .argv = argv}, envp);
}

HOOK int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
    return start(&(struct start){.how = by_search, .file = file, .argv = argv}, envp);
}

HOOK int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
    return start(&(struct start){.how = by_fd, .fd = fd, .argv = argv}, envp);
}

HOOK int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
    return start(&(struct start){.how = by_folder, .fd = fd, .file = path, .argv = argv, .flags = flags}, envp);
}

HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
    char *const argv[], char *const envp[])
{
    return start(&(struct start){by_spawn, path, argv, 0, 0, pid, actions, attr}, envp);
}

HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
    char *const argv[], char *const envp[])
{
    return start(&(struct start){by_spawn_search, file, argv, 0, 0, pid, actions, attr}, envp);
}

/* ---- arguments one by one ---- */

static size_t count_arguments(const char *first, va_list ap)
{
    size_t n = 1;
    for (const char *a = first; a; a = va_arg(ap, const char *))
        n++;
    return n; /* with the NULL at the end */
}

/* `argv` from the arguments after `first`, which has to be expanded where they were passed; leaves `ap` behind the NULL. */
#define COLLECT(argv, first, ap)                                                          \
    va_start(ap, first);                                                                  \
    char **argv = __builtin_alloca(count_arguments(first, ap) * sizeof(char *));          \
    va_end(ap);                                                                           \
    va_start(ap, first);                                                                  \
    argv[0] = (char *)first;                                                              \
    for (size_t n = 0; argv[n]; n++)                                                      \
        argv[n + 1] = va_arg(ap, char *);

HOOK int execl(const char *path, const char *first, ...)
{
    va_list ap;
    COLLECT(argv, first, ap)
    va_end(ap);
    return execve(path, argv, environ);
}

HOOK int execlp(const char *file, const char *first, ...)
{
    va_list ap;
    COLLECT(argv, first, ap)
    va_end(ap);
    return execvpe(file, argv, environ);
}

HOOK int execle(const char *path, const char *first, ...)
{
    va_list ap;
    COLLECT(argv, first, ap)
    char *const *envp = va_arg(ap, char *const *);
    va_end(ap);
    return execve(path, argv, envp);
}

/* ---- and with this process's own environment ---- */

HOOK int system(const char *command)
{
    if (command)
        inherit_restore();
    return REAL(system)(command);
}

HOOK FILE *popen(const char *command, const char *mode)
{
    inherit_restore();
    return REAL(popen)(command, mode);
}
