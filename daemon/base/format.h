/* format.h - the first line of every file which the programs keep: what it holds, and in which version.
 *
 *     i3run KIND VERSION
 *
 * One rule for all of them: a file of this version is read; an older one is read, kept as NAME.1, and written anew; one that is newer,
 * or of another kind, is refused and left as it is (io/files.h does that).
 */
#ifndef I3_FORMAT_H
#define I3_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

struct format {
    const char *kind;
    unsigned version; /* the one that we write, from 1 on */
    bool bare;        /* version 0 had no first line: whatever has none is taken for that */
    bool secret;      /* holds keys: must be its owner's alone */
};

enum format_age { FORMAT_CURRENT, FORMAT_OLD, FORMAT_NEWER, FORMAT_OTHER, FORMAT_AGES };

enum { FORMAT_HEAD_MAX = 64 };

/* What a text is, going by its first line; *version is that line's, *body what comes behind it. An empty text is OLD where there was
 * a bare version, else OTHER. */
enum format_age format_read(const struct format *f, const char *text, size_t len, unsigned *version, size_t *body);
/* The first line with its newline; returns its length. */
size_t format_head(const struct format *f, char out[FORMAT_HEAD_MAX]);

#endif
