#include "daemon/io/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { IN_FOLDER = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR, IN_FILE = IN_CLOSE_WRITE };

struct watch {
    int fd, folder, file; /* file: what the path leads to, -1: nothing now */
    struct fdset *set;
    struct fdset_entry *entry;
    void (*changed)(void *ctx);
    void *ctx;
    char path[PATH_MAX];
    const char *name; /* without the folder */
};

/* By the folder alone nothing is heard of what a link leads to. */
static void watch_file(struct watch *w)
{
    int now = inotify_add_watch(w->fd, w->path, IN_FILE);
    if (w->file >= 0 && w->file != now)
        inotify_rm_watch(w->fd, w->file);
    w->file = now;
}

static bool concerns(const struct watch *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW)
        return true;
    if (e->mask & IN_IGNORED)
        return false;
    return e->wd == w->folder ? e->len && !strcmp(e->name, w->name) : e->wd == w->file;
}

static void on_event(void *ctx, uint32_t events)
{
    struct watch *w = ctx;
    union {
        struct inotify_event e;
        char room[8192];
    } buf;
    bool news = false;
    ssize_t n;
    (void)events;
    while ((n = read(w->fd, buf.room, sizeof(buf))) > 0)
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
            const struct inotify_event *e = (const void *)(buf.room + at);
            news |= concerns(w, e);
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    if (!news)
        return;
    watch_file(w);
    w->changed(w->ctx);
}

int watch_open(struct watch **out, struct fdset *set, const char *path, void (*changed)(void *ctx), void *ctx)
{
    char folder[PATH_MAX];
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    *w = (struct watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .file = -1, .set = set, .changed = changed, .ctx = ctx};
    snprintf(w->path, sizeof(w->path), "%s", path);
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    w->name = slash ? strrchr(w->path, '/') + 1 : w->path;
    if (slash)
        slash[slash == folder] = '\0';
    w->folder = w->fd < 0 ? -1 : inotify_add_watch(w->fd, slash ? folder : ".", IN_FOLDER);
    int err = w->folder < 0 ? -errno : 0;
    if (!err && !(w->entry = fdset_add(set, w->fd, false, on_event, w)))
        err = -ENOMEM;
    if (err) {
        if (w->fd >= 0)
            close(w->fd);
        free(w);
        return err;
    }
    watch_file(w);
    *out = w;
    return 0;
}

void watch_close(struct watch *w)
{
    if (!w)
        return;
    fdset_del(w->set, w->entry);
    close(w->fd);
    free(w);
}
