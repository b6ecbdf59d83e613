/* journal_file.h - a journal (base/journal.h) in a file: read at the start, then appended to.
 *
 * Records are gathered and written by one call (commit): they are in the kernel's hands then, which survives the death of the process, not
 * that of the machine: this is for what can be had again with some loss, as which address a key has. A write that fails leaves the file
 * as it was, or is cut off again; then the journal is FAILED until a rewrite succeeds, which puts all that is to be kept into a new file and
 * that in place of the old one. The old one stands until then.
 */
#ifndef I3_JOURNAL_FILE_H
#define I3_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/format.h"

struct journal_file;

/* What was found by an open. */
struct journal_found {
    unsigned records;
    size_t torn; /* bytes cut off */
};

/* Opens or makes the file, mode 0600, and hands each record to read(). A file that cannot be made or written is no reason not to go
 * on: *out is FAILED then. NULL only when out of memory, or when the file must not be touched, with a sentence in why: another
 * version, or not ours. format must stay. */
int journal_open(struct journal_file **out, const char *path, const struct format *format,
    void (*read)(void *ctx, const uint8_t *body, size_t len), void *ctx, struct journal_found *found, char *why, size_t whylen);
void journal_close(struct journal_file *j);

/* Kept until the commit. */
void journal_append(struct journal_file *j, const void *body, size_t len);
/* 0; or -errno: nothing of it is in the file, and the journal has failed. */
int journal_commit(struct journal_file *j);
/* Anew: put() is called with an append that it is to call for each record. What was appended and not committed is forgotten. On
 * failure the old file stands. */
int journal_rewrite(struct journal_file *j, void (*put)(void *ctx, struct journal_file *j), void *ctx);
/* -errno of the last failure, 0 when all is in the file. */
int journal_failed(const struct journal_file *j);
/* Bytes in the file. */
size_t journal_size(const struct journal_file *j);

#endif
