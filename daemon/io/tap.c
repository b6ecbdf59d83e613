#include "daemon/io/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_EVERY (200 * USEC_PER_MSEC) /* for a reader */

enum tap_kind { TAP_TUN, TAP_FIFO, TAP_FILE };

struct tap {
    char spec[TAP_PATH_MAX];
    enum tap_kind kind;
    int fd; /* -1: nobody reads */
    int err;
    unsigned turn; /* of files */
    uint64_t size; /* of the present one */
    uint8_t header[64];
    size_t header_len;
    uint8_t *buffer; /* TAP_BUFFER */
    size_t from, to;
    mono_t looked;
    bool ever_looked;
    uint64_t pending; /* packets in the buffer */
    uint64_t written, dropped;
};

/* What was done before the sandbox closed. */
static struct {
    char spec[TAP_PATH_MAX];
    int fd; /* of a device; else -errno */
} ready[TAPS_MAX];
static unsigned n_ready;
static int verdicts_fd = -ENOENT;

static enum tap_kind kind_of(const char *spec)
{
    return !strncmp(spec, "tun:", 4) ? TAP_TUN : !strncmp(spec, "fifo:", 5) ? TAP_FIFO : TAP_FILE;
}

static const char *path_of(const char *spec)
{
    return strchr(spec, ':') + 1;
}

static int open_device(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int make_place(const char *spec)
{
    const char *path = path_of(spec);
    if (kind_of(spec) == TAP_FIFO)
        return mkfifo(path, 0600) < 0 && errno != EEXIST ? -errno : 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path); /* of a daemon before us: there is one at a time */
    mode_t mask = umask(0177);
    int err = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0 ? -errno : 0;
    umask(mask);
    if (err)
        close(fd);
    return err ? err : fd;
}

void taps_prepare(const char (*specs)[201], unsigned n, const char *verdicts)
{
    for (unsigned i = 0; i < n && n_ready < TAPS_MAX; i++) {
        snprintf(ready[n_ready].spec, sizeof(ready[0].spec), "%s", specs[i]);
        ready[n_ready].fd = kind_of(specs[i]) == TAP_TUN ? open_device(path_of(specs[i])) : make_place(specs[i]);
        n_ready++;
    }
    if (verdicts[0])
        verdicts_fd = listen_at(verdicts);
}

int taps_verdicts_fd(void)
{
    int fd = verdicts_fd;
    verdicts_fd = -ENOENT;
    return fd;
}

const char *tap_folder(const char *spec, char room[TAP_PATH_MAX])
{
    if (kind_of(spec) == TAP_TUN)
        return NULL;
    snprintf(room, TAP_PATH_MAX, "%s", path_of(spec));
    return dirname(room);
}

/* ---- open ---- */

static int prepared(const char *spec)
{
    for (unsigned i = 0; i < n_ready; i++)
        if (!strcmp(ready[i].spec, spec))
            return ready[i].fd;
    return -EPERM;
}

static void put_header(struct tap *t)
{
    memcpy(t->buffer, t->header, t->header_len);
    t->from = 0;
    t->to = t->header_len;
    t->pending = 0;
}

static int next_file(struct tap *t)
{
    char path[TAP_PATH_MAX + 4];
    struct stat st;
    snprintf(path, sizeof(path), "%s%s", path_of(t->spec), t->turn++ % 2 ? ".1" : "");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    if (t->fd >= 0)
        close(t->fd);
    t->fd = fd;
    t->size = 0;
    put_header(t);
    return 0;
}

static const char *why_not(const char *spec, int err)
{
    if (kind_of(spec) != TAP_TUN)
        return strerror(-err);
    return err == -EPERM ? "no such device of yours: an administrator makes one by 'ip tuntap add mode tun user YOU name NAME', or it was added to the configuration since i3d started"
                         : strerror(-err);
}

int tap_open(struct tap **out, const char *spec, const void *header, size_t header_len, char *why, size_t whylen)
{
    struct tap *t = calloc(1, sizeof(*t));
    if (!t || header_len > sizeof(t->header) || !(t->buffer = malloc(TAP_BUFFER))) {
        free(t);
        snprintf(why, whylen, "out of memory");
        return -ENOMEM;
    }
    snprintf(t->spec, sizeof(t->spec), "%s", spec);
    memcpy(t->header, header, header_len);
    t->header_len = header_len;
    t->kind = kind_of(spec);
    t->fd = -1;
    int err = prepared(spec);
    if (t->kind == TAP_TUN && err >= 0)
        t->fd = err;
    else if (t->kind == TAP_FILE && (err >= 0 || err == -EPERM))
        err = next_file(t);
    if (err < 0 && t->kind != TAP_FIFO)
        t->err = err;
    if (t->err)
        snprintf(why, whylen, "%s", why_not(spec, t->err));
    *out = t;
    return t->err;
}

void tap_close(struct tap *t)
{
    if (!t)
        return;
    if (t->fd >= 0 && t->kind != TAP_TUN) /* a device is opened once for all */
        close(t->fd);
    free(t->buffer);
    free(t);
}

/* ---- write ---- */

static void lose(struct tap *t)
{
    t->dropped += t->pending;
    t->pending = 0;
    t->from = t->to = 0;
    close(t->fd);
    t->fd = -1;
}

/* What the kernel takes. */
static void push(struct tap *t)
{
    while (t->from < t->to) {
        ssize_t n = write(t->fd, t->buffer + t->from, t->to - t->from);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            t->err = t->kind == TAP_FILE ? -errno : 0;
            lose(t);
            t->looked = (mono_t){0};
            return;
        }
        t->from += (size_t)n;
    }
    t->written += t->pending;
    t->pending = 0;
    t->from = t->to = 0;
}

static bool room_for(struct tap *t, size_t len)
{
    if (TAP_BUFFER - t->to >= len)
        return true;
    push(t);
    if (t->from) {
        memmove(t->buffer, t->buffer + t->from, t->to - t->from);
        t->to -= t->from;
        t->from = 0;
    }
    return t->fd >= 0 && TAP_BUFFER - t->to >= len;
}

void tap_write(struct tap *t, const void *record, size_t record_len, const void *packet, size_t len)
{
    if (t->fd < 0) {
        t->dropped++;
        return;
    }
    if (t->kind == TAP_TUN) {
        ssize_t n = write(t->fd, packet, len);
        t->err = n < 0 ? -errno : 0;
        t->written += n >= 0;
        t->dropped += n < 0;
        return;
    }
    if (t->kind == TAP_FILE && t->size + record_len + len > TAP_FILE_MAX) {
        push(t);
        int err = next_file(t);
        t->err = err;
    }
    if (!room_for(t, record_len + len)) {
        t->dropped++;
        return;
    }
    memcpy(t->buffer + t->to, record, record_len);
    memcpy(t->buffer + t->to + record_len, packet, len);
    t->to += record_len + len;
    t->size += record_len + len;
    t->pending++;
}

static void look_for_reader(struct tap *t, mono_t now)
{
    struct stat st;
    if (t->ever_looked && mono_since(t->looked, now) < LOOK_EVERY)
        return;
    t->looked = now;
    t->ever_looked = true;
    int fd = open(path_of(t->spec), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    t->err = fd < 0 && errno != ENXIO ? -errno : 0;
    if (fd < 0)
        return;
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
        close(fd);
        t->err = -EINVAL;
        return;
    }
    fcntl(fd, F_SETPIPE_SZ, 1 << 20);
    t->fd = fd;
    put_header(t);
}

bool tap_flush(struct tap *t, mono_t now)
{
    struct pollfd gone = {.fd = t->fd};
    if (t->kind == TAP_FIFO && t->fd >= 0 && poll(&gone, 1, 0) > 0 && gone.revents & (POLLERR | POLLHUP))
        lose(t);
    if (t->kind == TAP_FIFO && t->fd < 0)
        look_for_reader(t, now);
    if (t->kind != TAP_TUN && t->fd >= 0 && t->from < t->to)
        push(t);
    return t->from < t->to;
}

const char *tap_spec(const struct tap *t)
{
    return t->spec;
}

const char *tap_words(const struct tap *t)
{
    if (t->err)
        return t->kind == TAP_TUN ? why_not(t->spec, t->err) : strerror(-t->err);
    return t->fd >= 0 ? "open" : "waits for a reader";
}

void tap_counts(const struct tap *t, uint64_t *written, uint64_t *dropped)
{
    *written = t->written;
    *dropped = t->dropped;
}
