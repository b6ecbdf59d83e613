/* outline.h - which statement stands on which line. Internal to policy/.
 *
 * libconfuse 3.3 does not tell where a section begins, counts a line with a comment twice, ends at the first error, takes what is given
 * twice without a word, keeps its lexer's state from a string left open to the next parse, and reads the environment for ${NAME}. So this
 * goes first: it follows the same grammar, tells all errors of form, each with its line, leaves out the statements that have one, and
 * writes the others anew, one by one, every value quoted. What libconfuse is given then has no comments and nothing that it could misread.
 *
 *     file      = { option | section }
 *     option    = NAME ( "=" | "+=" ) ( value | "{" [ value { "," value } [ "," ] ] "}" )      a list may also be one value
 *     section   = NAME [ value ] "{" { option } "}"
 *     value     = word | "..." | '...'      within one line; in "..." a backslash before '"' or another backslash takes its meaning away,
 *                                           any other stays what it is, as in '...'
 */
#ifndef I3_OUTLINE_H
#define I3_OUTLINE_H

#include "daemon/policy/schema.h"

struct outline_option {
    const struct config_option *option;
    unsigned section; /* index of the section, OUTLINE_TOP */
    unsigned line, first, n; /* of the name; values, as indices into lines */
};

struct outline_section {
    enum config_section kind;
    unsigned line, nth; /* which of its kind: 0, 1, ... as libconfuse numbers them */
    bool bad;           /* something in it was left out */
    char title[CONFIG_NAME_MAX + 1];
};

enum { OUTLINE_TOP = ~0u };

struct outline {
    char *clean; /* for libconfuse */
    struct outline_section *sections;
    unsigned n_sections;
    struct outline_option *options;
    unsigned n_options;
    unsigned *lines; /* of values */
    unsigned n_lines;
};

/* What is wrong goes to e. 0, or -ENOMEM (told as well); o is to be freed in any case. */
int outline_make(struct outline *o, const char *text, size_t len, struct config_errors *e);
void outline_free(struct outline *o);

/* The line of an option's i-th value, of all that were given; with i beyond them that of the option itself; else of the section. */
unsigned outline_line(const struct outline *o, unsigned section, const struct config_option *option, unsigned i);
/* The nth section of a kind: its index. */
unsigned outline_section_index(const struct outline *o, enum config_section kind, unsigned nth);

#endif
