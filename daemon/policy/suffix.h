/* suffix.h - which overlay a name belongs to: the one with the longest suffix that it ends with. */
#ifndef I3_SUFFIX_H
#define I3_SUFFIX_H

#include <stddef.h>

/* Which of the n suffixes (".i3", with the dot, lower case), in whatever case the name is; *bare: how much of the name is before it, at
 * least 1. -1: none. */
int suffix_longest(const char *name, size_t len, const char *const *suffix, unsigned n, size_t *bare);

#endif
