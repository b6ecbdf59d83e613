/* rules.h - what becomes of a name that a program asks for (DESIGN section 11).
 *
 * The `rule` sections of i3.conf in their order; the first that fits decides. A rule fits when all that it says fits:
 *
 *   suffix = ".example.org"   the name ends so, at a label: git.example.org, never badexample.org, nor example.org itself
 *   match = "PATTERN"         a PCRE2 pattern, found somewhere in the name; ^ and $ are its ends, case counts nothing
 *   app = "firefox"           the program's file is called so
 *
 * Where none fits, names with an overlay's suffix are the overlay's, and all others are left to the system.
 *
 *   overlay   the overlay's, and nobody else's; also a name that has no overlay's suffix
 *   direct    the system's, as without i3
 *   deny      no such name; a connection to that host is refused
 *   gateway   asked of the gateway that `via` names, and reached through it (daemon/gateway/to_ip.h)
 *
 * A pattern that cannot be decided within its bounds (pattern.h) counts as a rule which denies.
 */
#ifndef I3_RULES_H
#define I3_RULES_H

#include "daemon/policy/config.h"

enum { RULES_NAME_MAX = 253 };

struct rules;

struct verdict {
    enum config_action action;
    const struct config_rule *rule; /* NULL: none fits. Valid as long as the rules are. */
    bool undecided;                 /* its pattern was given up */
    bool has_suffix;                /* one of an overlay */
};

/* c's rules are copied. NULL: out of memory. */
struct rules *rules_new(const struct config *c);
void rules_free(struct rules *r);

/* `name` in any case, with or without a dot at the end; "" is a host that has no name: rules about names do not fit then. app: "" is a
 * program which is not known: rules about programs do not fit. */
struct verdict rules_decide(const struct rules *r, const char *name, const char *app);

/* Some rule is about programs. */
bool rules_know_apps(const struct rules *r);
/* What is wanted of the session with a host of that name. Programs share it, so the strictest of the rules counts that fit the name for
 * any of them: no shortcut, encryption. */
void rules_wishes(const struct rules *r, const char *name, enum config_choice *shortcut, enum config_choice *encrypt);
/* The first rule which brings the name into the overlay through middle-boxes, for some program: it counts for all. NULL: none does. */
const struct config_rule *rules_through(const struct rules *r, const char *name);
/* A rule wants a shortcut, whatever the top-level option says. */
bool rules_want_shortcuts(const struct rules *r);
/* The first rule behind `after` (NULL: of all) that fits the name for some program; NULL: there is none. */
const struct config_rule *rules_for_some(const struct rules *r, const char *name, const struct config_rule *after);
/* What the verdict asks for is there in this version; else a few words about what is not. */
bool verdict_works(const struct verdict *v, const char **missing);

/* Names beyond the suffix (".i3") which programs hold for the overlay's by themselves are to be asked for as well. */
bool rules_want_every_name(const struct rules *r, const char *suffix);

/* "overlay", "gateway", "direct", "deny". */
const char *action_name(enum config_action a);

#endif
