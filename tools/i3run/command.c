/* command.c - which file the command is, and what can be done for it. */
#include "tools/i3run/i3run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path, int *err)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    if (access(path, X_OK) == 0)
        return true;
    *err = -EACCES;
    return false;
}

int command_find(void)
{
    const char *cmd = run.argv[0], *path = getenv("PATH"), *end;
    int err = -ENOENT;
    if (run.argv0 || strchr(cmd, '/')) { /* with --argv0 it is a path in any case */
        int n = snprintf(run.path, sizeof(run.path), "%s%s", strchr(cmd, '/') ? "" : "./", cmd);
        if (n >= (int)sizeof(run.path))
            return -ENAMETOOLONG;
        return access(run.path, X_OK) == 0 ? 0 : -errno;
    }
    for (const char *p = path ? path : "/bin:/usr/bin"; *cmd; p = end + 1) {
        end = strchrnul(p, ':');
        int n = snprintf(run.path, sizeof(run.path), "%.*s/%s", end == p ? 1 : (int)(end - p), end == p ? "." : p, cmd);
        if (n > 0 && n < (int)sizeof(run.path) && is_program(run.path, &err))
            return 0;
        if (!*end)
            break;
    }
    return err;
}
