/* journal.h - records that are only ever added, so that a crash costs the last of them at most.
 *
 *     | first line (base/format.h) | record | record | ...
 *
 *     record     0        2                10
 *                | length | check ...      | body ...        1 to JOURNAL_BODY_MAX bytes of body, integers big-endian
 *
 * The check is the hash of what the record before it had as check, of the length and of the body: so what is read is always a beginning of
 * what was written, never a record from elsewhere, and never one behind a hole. What follows the first record that does not hold is a
 * torn end, to be cut off (io/journal_file.h).
 */
#ifndef I3_JOURNAL_H
#define I3_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

enum { JOURNAL_CHECK_LEN = 8, JOURNAL_HEAD_LEN = 2 + JOURNAL_CHECK_LEN, JOURNAL_BODY_MAX = 1024 };

/* The place behind the last record. */
struct journal {
    uint8_t check[JOURNAL_CHECK_LEN];
};

/* Behind the first line. */
void journal_start(struct journal *j, const void *first_line, size_t len);
/* Writes a record to out, JOURNAL_HEAD_LEN + len bytes, and returns how many those are. */
size_t journal_put(struct journal *j, const void *body, size_t len, uint8_t *out);
/* The record at data: its whole length, with its body and the body's length; 0: there is none that holds, and j is as it was. */
size_t journal_get(struct journal *j, const uint8_t *data, size_t left, const uint8_t **body, size_t *len);

#endif
