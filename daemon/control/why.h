/* why.h - what `i3ctl why` shows: a decision about a name, and how it came about. */
#ifndef I3_WHY_H
#define I3_WHY_H

#include "daemon/naming/book.h"
#include "daemon/policy/rules.h"

enum { WHY_OTHERS_MAX = 8 };

enum why_fate {
    WHY_OVERLAY,     /* goes by the overlay to the host */
    WHY_UNKNOWN,     /* the overlay's, and nobody knows the name */
    WHY_SYSTEM,      /* left to the system's resolver */
    WHY_DENIED,
    WHY_UNAVAILABLE, /* asks for what this version does not have */
    WHY_SELF,        /* this very host */
    WHY_GATEWAY,     /* through a gateway */
    WHY_REAL,        /* a number that is no virtual address */
    WHY_FATES,
};

struct report_why {
    const char *name, *app; /* app "": any */
    unsigned port;          /* 0: none was asked about */
    const char *file;       /* i3.conf */
    unsigned n_rules;
    enum why_fate fate;
    struct verdict verdict;
    const char *missing;        /* with WHY_UNAVAILABLE */
    const char *suffix;         /* with WHY_OVERLAY and WHY_UNKNOWN: of the overlay; NULL: it does not run yet */
    const char *overlay;        /* its name, "" for the first */
    const struct book_entry *e; /* NULL: not in the book, nor a group */
    const char *asked;          /* as the book was asked */
    bool group;
    struct addr address, address6; /* none: family 0 */
    const char *gateway, *gateway_state, *gateway_words; /* with WHY_GATEWAY; what it has answered, NULL: nothing yet */
    bool hash, dns;                /* asked, where the book has nothing */
    const char *session;           /* "none", "relayed", "shortcut", "dropped", "direct" or "detour" in a mesh; NULL: not with that host */
    bool shortcut, encrypt, anonymous;
    const char *through;           /* a sentence about its middle-boxes, NULL: there are none */
    const char *meant; /* a name that was perhaps meant, NULL: none */
    const struct config_rule *others[WHY_OTHERS_MAX]; /* rules for some programs only, which come before */
    unsigned n_others;
    const char *listening; /* with WHY_SELF and a port: who has it, "exposed", "shared", "program", "nobody" */
    const char *wrong;     /* why the file as it is now is not in force; NULL: it is */
};

/* malloc'd JSON, NULL when out of memory. */
char *report_why(const struct report_why *w);

#endif
