/* pump_listen.c - local servers on the overlay: registered by their programs, checked with the kernel, and remembered in
 * RUNTIME/listeners, so that a server need not be started anew when the daemon is.
 */
#include "daemon/pump_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/io/files.h"

static const char *listen_file(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/listeners", p->paths.runtime);
    return path;
}

static void listen_save(struct pump *p)
{
    char path[sizeof(p->paths.runtime) + 16];
    size_t len;
    char *text = listeners_format(p->listeners, &len);
    int err = text ? file_write(listen_file(p, path, sizeof(path)), text, len, false) : -ENOMEM;
    if (err)
        log_warn("listeners file=%s cannot be written err=%d", path, err);
    free(text);
}

void listen_load(struct pump *p)
{
    char path[sizeof(p->paths.runtime) + 16], *text;
    size_t len;
    if (file_read(listen_file(p, path, sizeof(path)), true, &text, &len) < 0)
        return;
    listeners_parse(p->listeners, text);
    free(text);
    listen_sweep(p);
}

int listen_add(struct pump *p, const struct listener *l)
{
    listen_sweep(p);
    int err = listener_add(p->listeners, l);
    if (!err)
        listen_save(p);
    return err;
}

void listen_sweep(struct pump *p)
{
    const struct listener *l;
    bool changed = false;
    for (unsigned at = 0; (l = listener_next(p->listeners, &at, 0));) {
        if (diag_listens(p->diag, &l->bound, l->cookie))
            continue;
        listener_remove(p->listeners, l->cookie);
        changed = true;
        at = 0;
    }
    if (changed)
        listen_save(p);
}

const struct listener *listen_find(struct pump *p, uint16_t port)
{
    const struct listener *l;
    for (unsigned at = 0; (l = listener_next(p->listeners, &at, port));) {
        if (diag_listens(p->diag, &l->bound, l->cookie))
            return l;
        listener_remove(p->listeners, l->cookie);
        at = 0;
    }
    return NULL;
}
