/* schema.h - the table of all options of i3.conf, a row each. Internal to policy/, but for tests and for who says what needs a restart. */
#ifndef I3_SCHEMA_H
#define I3_SCHEMA_H

#include "daemon/policy/config.h"

enum config_section { SECTION_TOP, SECTION_OVERLAY, SECTION_RULE, SECTION_EXPOSE, SECTION_PORTAL, SECTION_PUBLISH, SECTION_MIDDLEBOX, SECTION_GATEWAY, CONFIG_SECTIONS };

struct config_option;

/* Reads a value into `to` (struct config, or a section's struct). 0, or -EINVAL with a sentence in why. Of a list, the next one. */
typedef int config_set_fn(const struct config_option *o, void *to, const char *value, char *why, size_t cap);

struct config_option {
    enum config_section section;
    const char *name;
    bool list;
    bool restart;    /* a new value counts from the next start of the daemon */
    const char *def; /* as it would be written; NULL: none */
    config_set_fn *set;
    size_t offset, size; /* in the struct; a list with its count */
    long min, max;       /* of numbers */
};

extern const struct config_option config_options[];
extern const unsigned config_options_n;

/* "", "overlay", "rule", "expose", "gateway". */
const char *config_section_name(enum config_section s);
/* So many at most. */
unsigned config_section_max(enum config_section s);
/* Whether it is written with a name: expose NAME { }. */
bool config_section_titled(enum config_section s);
/* SECTION_TOP when there is no such section. */
enum config_section config_section_find(const char *name);
const struct config_option *config_option_find(enum config_section s, const char *name);

/* ", did you mean X?" when something of that section (or a section's name, at the top) is spelt nearly so, where it would belong when it
 * is another section's, or "". */
void config_hint(enum config_section s, const char *name, char *out, size_t cap);

/* The next top-level option behind `after` (NULL: the first) in which two configurations differ; NULL: there is no more. Sections are not
 * looked at. */
const struct config_option *config_differ(const struct config *a, const struct config *b, const struct config_option *after);

void config_error(struct config_errors *e, unsigned line, const char *option, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
