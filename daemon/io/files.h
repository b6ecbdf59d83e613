/* files.h - the few files of a user: read whole, written whole or not at all. */
#ifndef I3_FILES_H
#define I3_FILES_H

#include <stdbool.h>
#include <stddef.h>

enum { FILE_MAX = 16 << 20 };

/* The whole file, with a NUL behind it, malloc'd. 0 or -errno (-EFBIG above FILE_MAX). private_only: -EPERM unless it is ours
 * and no one else may read it. */
int file_read(const char *path, bool private_only, char **text, size_t *len);

/* Replaces the file by a temporary one and rename; mode 0600. On failure the old one stands. durable: it is on the disk when
 * this returns; false is for what is worthless after a crash of the machine. 0 or -errno. */
int file_write(const char *path, const char *text, size_t len, bool durable);

/* Makes the folder and what is missing above it; the last one 0700, ours, no link: else -EPERM. */
int folder_private(const char *path);

/* An exclusive lock on `path` (made if need be), with the pid written into it. Returns the fd, which holds the lock, or
 * -EWOULDBLOCK when another process has it (wait: blocks instead). */
int file_lock(const char *path, bool wait);

#endif
