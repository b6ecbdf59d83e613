#include "shim/reroute.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shim/config.h"
#include "shim/explain.h"
#include "shim/inherit.h"
#include "shim/sys.h"
#include "shim/target.h"

static const char argv0[] = "--argv0=";

enum { ADDED = 3 /* i3run --argv0=NAME -- */ };

static bool is_program(const char *path)
{
    struct stat st;
    return sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0, 0, 0) == 0 && S_ISREG(st.st_mode) &&
           sys_call(SYS_faccessat, AT_FDCWD, (long)path, X_OK, 0, 0, 0) == 0;
}

static bool join(char path[PATH_MAX], const char *dir, size_t len, const char *file)
{
    size_t n = strlen(file);
    if (len + 1 + n >= PATH_MAX)
        return false;
    memcpy(path, dir, len);
    path[len] = '/';
    memcpy(path + len + 1, file, n + 1);
    return true;
}

/* As execvp() searches. */
static bool find(const char *file, char path[PATH_MAX])
{
    const char *at = getenv("PATH");
    for (at = at ? at : "/bin:/usr/bin";; at++) {
        size_t len = strcspn(at, ":");
        if (join(path, len ? at : ".", len ? len : 1, file) && is_program(path))
            return true;
        at += len;
        if (!*at)
            return false;
    }
}

/* A path as execve() takes it, which may be anything, and a pointer to nowhere. */
static bool take(const char *file, char path[PATH_MAX])
{
    size_t n;
    if (sys_call(SYS_faccessat, AT_FDCWD, (long)file, X_OK, 0, 0, 0) < 0 || (n = strlen(file)) >= PATH_MAX)
        return false;
    if (!strchr(file, '/'))
        return join(path, ".", 1, file);
    memcpy(path, file, n + 1);
    return true;
}

bool reroute_wanted(const char *file, bool search, char *const envp[], char path[PATH_MAX])
{
    struct target t;
    if (!config_get()->i3run[0] || !inherit_active(envp))
        return false;
    if (!(search && !strchr(file, '/') ? *file && find(file, path) : take(file, path)))
        return false;
    target_look(path, &t);
    if (explain_on && target_way(t.kind) != WAY_PRELOAD) {
        explain("exec", path, target_words(t.kind));
        explain("exec", path, target_way(t.kind) == WAY_ENGINE ? "run by the seccomp engine" : "run without the overlay");
    }
    return target_way(t.kind) == WAY_ENGINE && is_program(path);
}

static size_t count(char *const argv[])
{
    size_t n = 0;
    while (argv && argv[n])
        n++;
    return n;
}

size_t reroute_room(char *const argv[])
{
    size_t n = count(argv);
    return (n + ADDED + 2) * sizeof(char *) + sizeof(argv0) + (n ? strlen(argv[0]) : 0);
}

char **reroute_build(const char *path, char *const argv[], void *room)
{
    size_t n = count(argv), k = 0;
    char **out = room, *name = (char *)(out + n + ADDED + 2);
    memcpy(name, argv0, sizeof(argv0));
    if (n)
        memcpy(name + sizeof(argv0) - 1, argv[0], strlen(argv[0]) + 1);
    out[k++] = (char *)config_get()->i3run;
    out[k++] = name;
    out[k++] = (char *)"--";
    out[k++] = (char *)path;
    for (size_t i = 1; i < n; i++)
        out[k++] = argv[i];
    out[k] = NULL;
    return out;
}
