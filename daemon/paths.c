#include "daemon/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *env_or(const char *name, const char *otherwise)
{
    const char *v = getenv(name);
    return v && v[0] == '/' ? v : otherwise;
}

/* $XDG/i3, else $HOME/fallback/i3; tail is added. */
static int user_path(char *out, size_t cap, const char *xdg, const char *fallback, const char *tail)
{
    const char *base = env_or(xdg, NULL), *home = env_or("HOME", "/nonexistent");
    int n = base ? snprintf(out, cap, "%s/i3%s", base, tail) : snprintf(out, cap, "%s/%s/i3%s", home, fallback, tail);
    return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

int paths_default(struct pump_paths *p)
{
    int err = 0;
    if (!p->config[0])
        err = user_path(p->config, sizeof(p->config), "XDG_CONFIG_HOME", ".config", "/i3.conf");
    if (!err && !p->data[0])
        err = user_path(p->data, sizeof(p->data), "XDG_DATA_HOME", ".local/share", "");
    if (err || p->runtime[0])
        return err;
    const char *runtime = env_or("XDG_RUNTIME_DIR", NULL);
    int n = runtime ? snprintf(p->runtime, sizeof(p->runtime), "%s/i3", runtime)
                    : snprintf(p->runtime, sizeof(p->runtime), "/tmp/i3-%u", (unsigned)geteuid());
    return n < 0 || (size_t)n >= sizeof(p->runtime) ? -ENAMETOOLONG : 0;
}
