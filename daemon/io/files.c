#include "daemon/io/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, char *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, buf + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += (size_t)n;
    }
    return 0;
}

static int write_all(int fd, const char *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, buf + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += (size_t)n;
    }
    return 0;
}

int file_read(const char *path, bool private_only, char **text, size_t *len)
{
    struct stat st;
    int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = -EINVAL;
    else if (private_only && (st.st_uid != geteuid() || st.st_mode & 077))
        err = -EPERM;
    else if (st.st_size > FILE_MAX)
        err = -EFBIG;
    char *buf = err ? NULL : malloc((size_t)st.st_size + 1);
    if (!err && !buf)
        err = -ENOMEM;
    if (!err)
        err = read_all(fd, buf, (size_t)st.st_size);
    close(fd);
    if (err) {
        free(buf);
        return err;
    }
    buf[st.st_size] = '\0';
    *text = buf;
    *len = (size_t)st.st_size;
    return 0;
}

/* The name of the file, too, is on the disk. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (!len || len >= sizeof(folder))
        return;
    memcpy(folder, path, len);
    folder[len] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* What a process that was ended in the middle of file_write() has left: NAME.PID.tmp. */
static bool is_leftover(const char *name)
{
    const char *dot = strstr(name, ".tmp");
    if (!dot || dot[4] || dot == name)
        return false;
    const char *at = dot;
    while (at > name && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return at < dot && at > name && at[-1] == '.';
}

void folder_sweep(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return;
    for (const struct dirent *e; (e = readdir(d));)
        if (is_leftover(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

/* One piece behind the other. */
static int write_pieces(const char *path, const char *head, size_t head_len, const char *text, size_t len, bool durable)
{
    char tmp[PATH_MAX];
    if (snprintf(tmp, sizeof(tmp), "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof(tmp))
        return -ENAMETOOLONG;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, head, head_len);
    if (!err)
        err = write_all(fd, text, len);
    if (!err && durable && fsync(fd) < 0)
        err = -errno;
    if (close(fd) < 0 && !err)
        err = -errno;
    if (!err && rename(tmp, path) < 0)
        err = -errno;
    if (err)
        unlink(tmp);
    else if (durable)
        sync_folder(path);
    return err;
}

int file_write(const char *path, const char *text, size_t len, bool durable)
{
    return write_pieces(path, "", 0, text, len, durable);
}

int file_store(const char *path, const struct format *f, const char *body, size_t len, bool durable)
{
    char head[FORMAT_HEAD_MAX];
    return write_pieces(path, head, format_head(f, head), body, len, durable);
}

/* PATH.1 is what PATH was; one that is there already is not replaced: it is older, and may be all that is left of something. */
static int keep_old(const char *path, const char *text, size_t len)
{
    char old[PATH_MAX];
    if (snprintf(old, sizeof(old), "%s.1", path) >= (int)sizeof(old))
        return -ENAMETOOLONG;
    return access(old, F_OK) == 0 ? 0 : file_write(old, text, len, true);
}

static int refuse(const char *path, enum format_age age, const struct format *f, unsigned version, char *why, size_t whylen)
{
    if (age == FORMAT_NEWER)
        snprintf(why, whylen, "%s: written by a newer i3run (version %u of this file, known are those up to %u): use that one, or move the "
            "file away; it is left as it is", path, version, f->version);
    else
        snprintf(why, whylen, "%s:1: is damaged, or not a file of i3run's: 'i3run %s %u' is expected there. Move it away, or put it right; "
            "it is left as it is", path, f->kind, f->version);
    return -EPROTO;
}

int file_load(const char *path, const struct format *f, struct file_text *out, char *why, size_t whylen)
{
    size_t body;
    *out = (struct file_text){0};
    int err = file_read(path, f->secret, &out->text, &out->len);
    if (err == -EPERM && f->secret)
        snprintf(why, whylen, "%s: must be yours and readable by you alone: chmod 600 '%s'", path, path);
    else if (err && err != -ENOENT)
        snprintf(why, whylen, "%s: %s", path, strerror(-err));
    if (err)
        return err;
    enum format_age age = format_read(f, out->text, out->len, &out->version, &body);
    if (age == FORMAT_NEWER || age == FORMAT_OTHER)
        err = refuse(path, age, f, out->version, why, whylen);
    else if (age == FORMAT_OLD && (err = keep_old(path, out->text, out->len)) < 0)
        snprintf(why, whylen, "%s.1: what is to be brought up to date cannot be kept there: %s", path, strerror(-err));
    if (err) {
        file_text_free(out);
        return err;
    }
    out->body = out->text + body;
    out->body_len = out->len - body;
    out->lines = body > 0;
    return 0;
}

void file_text_free(struct file_text *t)
{
    if (t->text)
        explicit_bzero(t->text, t->len);
    free(t->text);
    *t = (struct file_text){0};
}

static int make_parents(const char *path)
{
    char part[PATH_MAX];
    if (strlen(path) >= sizeof(part))
        return -ENAMETOOLONG;
    strcpy(part, path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

int folder_make(const char *path)
{
    int err = make_parents(path);
    return !err && mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : err;
}

int folder_private(const char *path)
{
    struct stat st;
    int err = folder_make(path);
    if (err)
        return err;
    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return -EPERM;
    if (st.st_mode & 077 && chmod(path, 0700) < 0)
        return -errno;
    return 0;
}

/* So that whoever cannot have the lock knows who has. */
int file_lock_sign(int fd)
{
    char pid[16];
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    return ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n ? -errno : 0;
}

int file_lock_holder(const char *path)
{
    char *text;
    size_t len;
    if (file_read(path, false, &text, &len) < 0)
        return 0;
    long pid = strtol(text, NULL, 10);
    free(text);
    return pid > 0 && pid <= INT_MAX ? (int)pid : 0;
}

int file_lock(const char *path, bool wait)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
        if (errno == EINTR)
            continue;
        int err = errno;
        close(fd);
        return -err;
    }
    int err = file_lock_sign(fd);
    if (err)
        close(fd);
    return err ? err : fd;
}
