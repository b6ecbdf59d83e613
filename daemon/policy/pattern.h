/* pattern.h - PCRE2 patterns on names: any case, and bounded, whatever the pattern is and whoever makes up the name. */
#ifndef I3_PATTERN_H
#define I3_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* What one match may cost: about a millisecond. Patterns that people write for names take some dozen steps. */
enum { PATTERN_STEPS = 20000, PATTERN_DEPTH = 500, PATTERN_HEAP_KB = 256, PATTERN_NESTED = 50 };

struct pattern;

/* NULL: it does not compile; what is wrong, and at which byte. */
struct pattern *pattern_new(const char *text, size_t *at, char *wrong, size_t cap);
void pattern_free(struct pattern *p);

/* 1: it is somewhere in name; 0: nowhere; -EOVERFLOW: given up, as a bound was reached; -ENOMEM. */
int pattern_match(const struct pattern *p, const char *name, size_t len);

#endif
