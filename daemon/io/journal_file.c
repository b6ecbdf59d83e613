#include "daemon/io/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/journal.h"
#include "daemon/io/files.h"

struct journal_file {
    const struct format *format;
    int fd; /* -1: there is none */
    int failed;
    struct journal end; /* behind what is gathered */
    size_t size;        /* of the file */
    uint8_t *gathered;
    size_t n, cap;
    bool short_of_memory;
    char path[PATH_MAX];
};

void journal_append(struct journal_file *j, const void *body, size_t len)
{
    size_t want = j->n + JOURNAL_HEAD_LEN + len;
    if (want > j->cap) {
        uint8_t *more = realloc(j->gathered, 2 * want);
        if (!more) {
            j->short_of_memory = true; /* which the commit says */
            return;
        }
        j->gathered = more;
        j->cap = 2 * want;
    }
    j->n += journal_put(&j->end, body, len, j->gathered + j->n);
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* What was gathered is in the file, or nothing of it. */
static int write_gathered(struct journal_file *j, int fd)
{
    int err = j->short_of_memory ? -ENOMEM : write_all(fd, j->gathered, j->n);
    j->short_of_memory = false;
    return err;
}

int journal_commit(struct journal_file *j)
{
    if (j->failed)
        return j->failed;
    if (!j->n && !j->short_of_memory)
        return 0;
    int err = write_gathered(j, j->fd);
    if (err && ftruncate(j->fd, (off_t)j->size) < 0)
        err = -errno; /* a torn end: whoever reads it next cuts it off */
    if (!err)
        j->size += j->n;
    j->failed = err;
    j->n = 0;
    return err;
}

static int open_new(struct journal_file *j, char tmp[PATH_MAX])
{
    if (snprintf(tmp, PATH_MAX, "%s.tmp", j->path) >= PATH_MAX)
        return -ENAMETOOLONG;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

int journal_rewrite(struct journal_file *j, void (*put)(void *ctx, struct journal_file *j), void *ctx)
{
    char tmp[PATH_MAX], head[FORMAT_HEAD_MAX];
    size_t len = format_head(j->format, head);
    int fd = open_new(j, tmp), err = fd < 0 ? fd : 0;
    j->n = 0;
    if (!err) {
        journal_start(&j->end, head, len);
        put(ctx, j);
        err = write_all(fd, (const uint8_t *)head, len);
    }
    if (!err)
        err = write_gathered(j, fd);
    if (!err && fdatasync(fd) < 0) /* a file that was whole is replaced */
        err = -errno;
    if (!err && rename(tmp, j->path) < 0)
        err = -errno;
    j->failed = err;
    if (err) {
        if (fd >= 0) {
            close(fd);
            unlink(tmp);
        }
        j->n = 0;
        return err;
    }
    if (j->fd >= 0)
        close(j->fd);
    j->fd = fd;
    j->size = len + j->n;
    j->n = 0;
    return 0;
}

static size_t replay(struct journal_file *j, const struct file_text *t, void (*read)(void *ctx, const uint8_t *body, size_t len), void *ctx,
    unsigned *records)
{
    const uint8_t *at = (const uint8_t *)t->body, *body;
    size_t left = t->body_len, len, n;
    journal_start(&j->end, t->text, t->len - t->body_len);
    while ((n = journal_get(&j->end, at, left, &body, &len))) {
        read(ctx, body, len);
        ++*records;
        at += n;
        left -= n;
    }
    return left;
}

static void put_nothing(void *ctx, struct journal_file *j)
{
    (void)ctx, (void)j;
}

/* Ready to be appended to, its torn end cut off. */
static int reopen(struct journal_file *j, size_t torn)
{
    j->fd = open(j->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (j->fd < 0)
        return -errno;
    return torn && ftruncate(j->fd, (off_t)j->size) < 0 ? -errno : 0;
}

/* Not even its first line is whole: the process that made it was ended in the middle of that. */
static bool is_torn_head(const char *path, const struct format *f)
{
    char head[FORMAT_HEAD_MAX], *text;
    size_t n = format_head(f, head), len;
    if (file_read(path, true, &text, &len) < 0)
        return false;
    bool torn = len < n && !memcmp(text, head, len);
    free(text);
    return torn;
}

int journal_open(struct journal_file **out, const char *path, const struct format *format,
    void (*read)(void *ctx, const uint8_t *body, size_t len), void *ctx, struct journal_found *found, char *why, size_t whylen)
{
    struct file_text t;
    struct journal_file *j = strlen(path) < PATH_MAX ? calloc(1, sizeof(*j)) : NULL;
    *found = (struct journal_found){0};
    if (!j) {
        snprintf(why, whylen, "%s: out of memory", path);
        return -ENOMEM;
    }
    j->format = format;
    j->fd = -1;
    strcpy(j->path, path);
    int err = is_torn_head(path, format) ? -ENOENT : file_load(path, format, &t, why, whylen);
    if (err == -ENOENT) {
        journal_rewrite(j, put_nothing, NULL);
        *out = j;
        return 0;
    }
    if (err) {
        free(j);
        return err;
    }
    found->torn = replay(j, &t, read, ctx, &found->records);
    j->size = t.len - found->torn;
    file_text_free(&t);
    j->failed = reopen(j, found->torn);
    *out = j;
    return 0;
}

void journal_close(struct journal_file *j)
{
    if (!j)
        return;
    journal_commit(j);
    if (j->fd >= 0)
        close(j->fd);
    free(j->gathered);
    free(j);
}

int journal_failed(const struct journal_file *j)
{
    return j->failed;
}

size_t journal_size(const struct journal_file *j)
{
    return j->size;
}
