/* explain.h - i3run --explain: what the library decides, one line each.
 *
 *     i3run: curl[4711]: connect 10.1.2.3:80: overlay
 *
 * I3_EXPLAIN says where the lines go: a path, or "2:DEVICE:INODE", standard error as long as that is still the same file. The file is
 * opened for each line and closed again, so that nothing has to survive fork, exec or close_range(). No allocation, no stdio, no errno.
 * Off, it costs one look at a variable.
 */
#ifndef I3_SHIM_EXPLAIN_H
#define I3_SHIM_EXPLAIN_H

#include <stdbool.h>

#include "include/addr.h"

extern bool explain_on;

/* By the constructor. */
void explain_init(const char *where);

/* Who it is about, if not this process: i3run's engine speaks of others. */
void explain_about(int pid);

/* "VERB SUBJECT: VERDICT"; the verdict is words, and a positive errno after them if it is not 0. */
void explain_write(const char *verb, const char *subject, const char *verdict, int err);
void explain_write_addr(const char *verb, const struct addr *a, const char *verdict, int err);

/* An address as text: "10.0.0.1:80", "[fd69:...]:80". */
enum { EXPLAIN_ADDR = 64 };
char *explain_addr_str(const struct addr *a, char out[EXPLAIN_ADDR]);

/* Said once by each process, and never by those who only ask for an explanation: an anonymous program has tried to reach the real network. */
void explain_outside(const struct addr *to);

static inline void explain(const char *verb, const char *subject, const char *verdict)
{
    if (__builtin_expect(explain_on, 0))
        explain_write(verb, subject, verdict, 0);
}

/* status: 0, or -errno. */
static inline void explain_addr(const char *verb, const struct addr *a, const char *verdict, int status)
{
    if (__builtin_expect(explain_on, 0))
        explain_write_addr(verb, a, verdict, -status);
}

#endif
