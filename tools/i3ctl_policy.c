/* i3ctl_policy.c - why, reload: what the rules of i3.conf do. */
#include <stdio.h>
#include <string.h>

#include "include/bytes.h"
#include "tools/i3ctl.h"
#include "tools/i3ctl_table.h"

#define LABEL "  %-9s "

/* ---- reload ---- */

static void print_list(const char *before, const json_t *list)
{
    size_t i;
    json_t *name;
    fputs(before, stdout);
    json_array_foreach((json_t *)list, i, name) printf("%s%s", i ? ", " : "", json_string_value(name));
    putchar('\n');
}

void show_reload(const struct ctl *c, const json_t *doc)
{
    const json_t *now = json_object_get(doc, "changed"), *later = json_object_get(doc, "needs_restart");
    (void)c;
    if (json_is_true(json_object_get(doc, "unchanged"))) {
        printf("%s: as before\n", json_text(doc, "file"));
        return;
    }
    printf("%s: reloaded\n", json_text(doc, "file"));
    if (json_array_size(now))
        print_list("in force now: ", now);
    if (json_array_size(later))
        print_list("from the next start of the daemon (i3ctl stop): ", later);
}

/* ---- why ---- */

int run_why(struct ctl *c)
{
    const char *words[] = {"why", c->argv[0], c->option[CTL_APP]};
    return daemon_words(c, words, c->option[CTL_APP] ? 3 : 2);
}

static void print_option(const json_t *rule, const char *name)
{
    const json_t *v = json_object_get(rule, name);
    if (json_is_string(v))
        printf("  %s = %s%s%s", name, strchr(json_string_value(v), '\\') ? "'" : "\"", json_string_value(v),
            strchr(json_string_value(v), '\\') ? "'" : "\"");
    else if (json_is_boolean(v))
        printf("  %s = %s", name, json_is_true(v) ? "yes" : "no");
}

/* FILE:LINE and what stands there. */
static void print_rule(const json_t *rule)
{
    static const char *const options[] = {"suffix", "match", "app", "action", "via", "strip", "shortcut", "encrypt", "anonymity"};
    const json_t *through = json_object_get(rule, "through");
    size_t i;
    json_t *name;
    printf("%s:%lld ", json_text(rule, "file"), (long long)json_int(rule, "line"));
    for (i = 0; i < ARRAY_LEN(options); i++)
        print_option(rule, options[i]);
    if (json_array_size(through))
        printf("  through = {");
    json_array_foreach((json_t *)through, i, name) printf("%s \"%s\"", i ? "," : "", json_string_value(name));
    puts(json_array_size(through) ? " }" : "");
}

static void print_rules(const json_t *doc)
{
    const json_t *rule = json_object_get(doc, "rule"), *others = json_object_get(doc, "rules_for_some_programs");
    long long n = json_int(doc, "rules");
    size_t i;
    json_t *other;
    printf(LABEL, "rule");
    if (json_is_object(rule))
        print_rule(rule);
    else if (n)
        printf("none of the %lld in %s fits\n", n, json_text(doc, "file"));
    else
        printf("there are none in %s\n", json_text(doc, "file"));
    json_array_foreach((json_t *)others, i, other)
    {
        printf(LABEL, i ? "" : "but for");
        printf("%s: ", json_text(other, "app"));
        print_rule(other);
    }
}

/* Who asks, for sentences. */
static const char *who(const json_t *doc)
{
    const char *app = json_text(doc, "app");
    return *app ? app : "a program";
}

static void print_unknown(const json_t *doc)
{
    const json_t *also = json_object_get(doc, "resolve_also");
    const char *asked = json_text(doc, "asked"), *suffix = json_text(doc, "suffix");
    size_t n = strlen(asked), m = strlen(suffix);
    if (!*suffix) {
        printf(LABEL "no overlay of that suffix runs; it starts with the daemon: i3ctl stop, then i3run\n", "overlay");
        return;
    }
    if (json_array_size(also)) {
        printf(LABEL "not in your address book; ", "host");
        print_list("asked besides, as `resolve` says: ", also);
        return;
    }
    printf(LABEL "%s is told that there is no such name; DNS is not asked\n", "so", who(doc));
    int bare = n > m && !strcmp(asked + n - m, suffix) ? (int)(n - m) : (int)n;
    printf(LABEL "if you know the key:  i3ctl book add %.*s KEY\n", "", bare, asked);
}

static void print_host(const json_t *doc)
{
    const json_t *host = json_object_get(doc, "host");
    const char *overlay = json_text(doc, "overlay"), *six = json_text(doc, "address6");
    printf(LABEL "%s%s%s%s\n", "overlay", json_text(doc, "suffix"), *overlay ? ", which is called " : "", overlay,
        *overlay || !*json_text(doc, "suffix") ? "" : ", your first");
    if (json_is_object(host)) {
        printf(LABEL "%s, %s\n", "host", json_text(host, "name"),
            !strcmp(json_text(host, "from"), "group") ? "a group that you are in" : "in your address book");
        printf(LABEL "%s\n" LABEL "%s, to be compared by voice\n", "key", json_text(host, "key"), "", json_text(host, "fingerprint"));
    }
    printf(LABEL "%s%s%s\n", "address", json_text(doc, "address"), *six ? ", " : "", six);
}

static void print_session(const json_t *doc)
{
    static const struct {
        const char *state, *words;
    } known[] = {{"none", "none yet: it is made when a program connects"}, {"relayed", "stands, by the overlay node"},
        {"shortcut", "stands, straight from host to host"},
        {"direct", "stands, straight from host to host in the mesh"}, {"detour", "stands, by another member of the mesh: `i3ctl mesh`"},
        {"dropped", "none, as you take nothing from that host: `i3ctl undrop` ends that"}};
    const char *state = json_text(doc, "session");
    if (json_is_true(json_object_get(doc, "anonymous"))) {
        printf(LABEL "anonymous: one of the program's own, with a key, an address and a node that nobody knows; `i3ctl anonymous`\n", "session");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(state, known[i].state))
            printf(LABEL "%s; shortcuts: %s, encryption: %s\n", "session", known[i].words, json_is_true(json_object_get(doc, "shortcut")) ? "yes" : "no",
                json_is_true(json_object_get(doc, "encrypt")) ? "yes" : "no, where the peer wants none either");
    if (*json_text(doc, "through"))
        printf(LABEL "%s\n", "way", json_text(doc, "through"));
}

static void print_overlay(const json_t *doc)
{
    const char *name = json_text(json_object_get(doc, "host"), "name");
    long long port = json_int(doc, "port");
    printf(LABEL "%s is given that host's virtual address, and is connected to it by the overlay\n", "so", who(doc));
    print_host(doc);
    print_session(doc);
    if (port && *name)
        printf(LABEL "whether %s lets you in at port %lld is for %s to say: `i3ctl share %lld` or `expose` there, or a server under i3run\n", "port",
            name, port, name, port);
}

static void print_self(const json_t *doc)
{
    const char *by = json_text(doc, "listening");
    printf(LABEL "it is this very host: %s is connected to its own loopback\n", "so", who(doc));
    print_host(doc);
    if (json_int(doc, "port"))
        printf(LABEL "%s\n", "port",
            !strcmp(by, "exposed")   ? "open to the keys that an `expose` section of i3.conf allows"
            : !strcmp(by, "shared")  ? "open to those with whom you share it: i3ctl peers"
            : !strcmp(by, "program") ? "a server under i3run listens there"
                                     : "nobody listens there: i3run SERVER, or i3ctl share, or an `expose` section");
}

static void print_denied(const json_t *doc)
{
    if (json_is_true(json_object_get(doc, "pattern_given_up")))
        printf(LABEL "its pattern takes too many steps on this name and was given up, so:\n", "");
    else if (!json_is_object(json_object_get(doc, "rule")))
        printf(LABEL "no name is that long\n", "");
    printf(LABEL "%s is told that there is no such name, and connections to that host are refused\n", "so", who(doc));
}

static void print_unavailable(const json_t *doc)
{
    printf(LABEL "that rule asks for %s, which this version does not have\n" LABEL
                 "so that nothing goes another way than you want, %s is told that there is no such name\n",
        "", json_text(doc, "missing"), "so", who(doc));
}

static void print_system(const json_t *doc)
{
    const char *meant = json_text(doc, "meant");
    printf(LABEL "left to the system's resolver and network, as without i3run\n", "so");
    if (*meant)
        printf(LABEL "did you mean %s? Names of the overlay end with its suffix\n", "", meant);
}

static void print_gateway(const json_t *doc)
{
    const json_t *g = json_object_get(doc, "gateway");
    const char *words = json_text(g, "words"), *address = json_text(g, "address"), *name = json_text(g, "name");
    printf(LABEL "%s", "gateway", name);
    if (!json_is_object(json_object_get(g, "host"))) {
        printf(", which is not in your address book: i3ctl book add %s KEY\n" LABEL "%s is told that there is no such name\n", name, "so", who(doc));
        return;
    }
    printf(" is asked for %s, and opens the connection%s\n", json_text(g, "asked"),
        !strcmp(json_text(g, "session"), "none") ? "; there is no session with it yet" : !strcmp(json_text(g, "session"), "dropped") ? "; but you take nothing from it: `i3ctl undrop`" : "");
    if (*address)
        printf(LABEL "%s, %s\n", "address", address, json_text(g, "address6"));
    printf(LABEL "%s\n", "answer", *words ? words : "it was not asked yet");
}

static void print_real(const json_t *doc)
{
    printf(LABEL "rules are about names; this number is none of the overlay's addresses, and %s goes there as without i3run\n", "so", who(doc));
}

void show_why(const struct ctl *c, const json_t *doc)
{
    static const struct {
        const char *decision;
        void (*print)(const json_t *doc);
    } how[] = {{"overlay", print_overlay}, {"unknown", print_unknown}, {"system", print_system}, {"denied", print_denied},
        {"unavailable", print_unavailable}, {"self", print_self}, {"gateway", print_gateway}, {"real", print_real}};
    const char *app = json_text(doc, "app"), *wrong = json_text(doc, "config_wrong");
    long long port = json_int(doc, "port");
    (void)c;
    printf("%s", json_text(doc, "name"));
    if (port)
        printf(", port %lld", port);
    printf(*app ? ", asked for by %s\n" : "\n", app);
    print_rules(doc);
    for (size_t i = 0; i < ARRAY_LEN(how); i++)
        if (!strcmp(json_text(doc, "decision"), how[i].decision))
            how[i].print(doc);
    if (*wrong)
        printf("The file as it is now is not in force: %s\n", wrong);
}
