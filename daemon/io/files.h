/* files.h - the few files of a user: read whole, written whole or not at all. */
#ifndef I3_FILES_H
#define I3_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/format.h"

enum { FILE_MAX = 16 << 20 };

/* The whole file, with a NUL behind it, malloc'd. 0 or -errno (-EFBIG above FILE_MAX). private_only: -EPERM unless it is ours
 * and no one else may read it. */
int file_read(const char *path, bool private_only, char **text, size_t *len);

/* Replaces the file by a temporary one and rename; mode 0600. On failure the old one stands. durable: it is on the disk when
 * this returns; false is for what is worthless after a crash of the machine. 0 or -errno. */
int file_write(const char *path, const char *text, size_t len, bool durable);

/* A file with a first line (base/format.h), read. */
struct file_text {
    char *text;       /* malloc'd; to be freed, and wiped where the format is secret: file_text_free() */
    size_t len;
    const char *body; /* what stands behind the first line */
    size_t body_len;
    unsigned lines;   /* before the body: 1, or 0 where the file has no first line */
    unsigned version; /* below the format's: the caller reads what there was then, and writes it anew; the old file is kept as PATH.1 */
};

/* Reads it. 0; -ENOENT; otherwise -errno with a whole sentence in why, which says what to do: -EPROTO for one of a newer version or of
 * another kind, -EPERM for a secret that others may read. */
int file_load(const char *path, const struct format *f, struct file_text *out, char *why, size_t whylen);
void file_text_free(struct file_text *t);
/* As file_write(), with the first line before it. */
int file_store(const char *path, const struct format *f, const char *body, size_t len, bool durable);

/* Makes the folder and what is missing above it, mode 0700; one that is there stays as it is. */
int folder_make(const char *path);
/* As that; the last one 0700, ours, no link: else -EPERM. */
int folder_private(const char *path);

/* Removes what writers that were killed have left there. By whoever has the lock: nobody else writes then. */
void folder_sweep(const char *path);

/* An exclusive lock on `path` (made if need be), with the pid written into it. Returns the fd, which holds the lock, or
 * -EWOULDBLOCK when another process has it (wait: blocks instead). */
int file_lock(const char *path, bool wait);
/* Our pid into a lock that was handed on to us. 0 or -errno. */
int file_lock_sign(int fd);
/* The pid in it, 0: not known. */
int file_lock_holder(const char *path);

#endif
