#include "daemon/host_sandbox.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/clock.h"
#include "daemon/io/files.h"
#include "daemon/io/process.h"
#include "daemon/io/sandbox.h"
#include "daemon/io/tap.h"

static void warm_up(void)
{
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    entropy_fill(priv, sizeof(priv));
    x25519_public(pub, priv);
    crypto_wipe(priv, sizeof(priv));
    process_watch();
}

/* The folder which the file is in; the file's own, not the link's, where `real`. NULL: there is none. */
static const char *folder_of(const char *file, bool real, char room[PATH_MAX])
{
    if (real ? !realpath(file, room) : snprintf(room, PATH_MAX, "%s", file) >= PATH_MAX)
        return NULL;
    return dirname(room);
}

static bool is_absent(int err)
{
    return err == -ENOSYS || err == -EOPNOTSUPP;
}

/* A middle-box's taps: what needs more than the sandbox lets through is done now. */
static void taps(const struct config *c, const char *own[SANDBOX_FOLDERS])
{
    static char room[CONFIG_TAPS_MAX][TAP_PATH_MAX];
    const struct config_middlebox *m = c->n_middleboxes ? c->middleboxes : NULL;
    unsigned n = 2;
    if (!m)
        return;
    taps_prepare(m->tap, m->n_taps, m->verdicts);
    for (unsigned i = 0; i < m->n_taps && n < SANDBOX_FOLDERS; i++) {
        const char *folder = tap_folder(m->tap[i], room[i]);
        if (folder && access(folder, F_OK) == 0)
            own[n++] = folder;
    }
}

void host_sandbox_files(const struct pump_paths *paths, const struct config *c)
{
    static char folder[PATH_MAX], linked[PATH_MAX], resolv[PATH_MAX];
    const char *own[SANDBOX_FOLDERS] = {paths->data, paths->runtime};
    const char *readable[SANDBOX_FOLDERS] = {folder_of(paths->config, false, folder), folder_of(paths->config, true, linked),
        folder_of("/etc/resolv.conf", true, resolv), "/etc", "/proc/self", "/dev/null"};
    /* one that is made later could not be read: the rule needs the folder itself */
    if (readable[0] && folder_make(readable[0]) < 0)
        log_debug("sandbox folder=%s missing: a configuration that comes to be there cannot be read", readable[0]);
    taps(c, own);
    warm_up();
    int err = sandbox_host_files(own, readable);
    if (err)
        log_warn("sandbox without Landlock: %s", is_absent(err) ? "this kernel has none, or it is switched off" : strerror(-err));
}

void host_sandbox_calls(void)
{
    int err = sandbox_host_calls();
    if (err)
        log_warn("sandbox without seccomp: %s", is_absent(err) || err == -EINVAL ? "this kernel has none, or a container forbids it" : strerror(-err));
}
