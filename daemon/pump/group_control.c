/* pump/group_control.c - i3ctl group: make, carry over, leave and list the groups of which this daemon is a member. */
#include <errno.h>
#include <string.h>

#include "daemon/io/clock.h"
#include "daemon/pump/control.h"

static const struct side *group_side(const struct pump *p, const struct group *g)
{
    for (const struct overlay *o = p->overlays; o; o = o->next)
        for (const struct side *s = o->sides; s; s = s->next)
            if (s->group == g)
                return s;
    return NULL;
}

/* NULL: its overlay has none. */
static const struct triggers *triggers_of(const struct pump *p, const struct group *g)
{
    struct report_overlay v = {0};
    struct overlay *o = overlay_of_key(p, g->entry.key);
    o->kind->describe(o, &v);
    return v.triggers;
}

static void describe(const struct pump *p, const struct group *g, struct report_group *out)
{
    *out = (struct report_group){.group = g, .address = pool_get(p->pool, p->now, g->entry.key)};
    const struct side *s = group_side(p, g);
    for (struct peer *peer = s ? peer_next(s->peers, NULL) : NULL; peer; peer = peer_next(s->peers, peer)) {
        struct peer_info info;
        peer_info(s->peers, peer, p->now, &info);
        out->sessions += info.standing;
    }
    mcast_report(p, out);
}

unsigned group_report(const struct pump *p, struct report_group out[GROUPS_MAX])
{
    unsigned n = 0;
    for (const struct group *g; (g = groups_at(p->groups, n)); n++)
        describe(p, g, &out[n]);
    return n;
}

static char *report_of(const struct pump *p, const struct group *g)
{
    struct report_group r;
    describe(p, g, &r);
    return report_group(&r, triggers_of(p, g));
}

/* Takes a group into the table, or says why not. */
static void enter(struct control_call *k, const char *name, enum group_kind kind, const uint8_t priv[KEY_LEN], const char *place)
{
    struct pump *p = k->p;
    struct group g;
    uint8_t random[GROUP_MEMBER_LEN];
    entropy_fill(random, sizeof(random));
    int err = book_name_valid(name) ? group_make(&g, name, kind, priv, place, random) : -EDOM;
    const struct book_entry *e = err ? NULL : book_find(p->book, name);
    if (e && memcmp(e->key, g.entry.key, KEY_LEN))
        err = -EALREADY;
    if (!err)
        err = group_enter(p, &g);
    if (!err)
        control_done(k, report_of(p, groups_find(p->groups, name)));
    else if (err == -EDOM)
        control_fail(k, report_error("'%s' cannot be a name: letters, digits, '-' and '_', with dots between", name));
    else if (err == -EINVAL)
        control_fail(k, report_error("'%s' is no place: one word, or two with '/' between, as eu/berlin", place));
    else if (err == -EALREADY)
        control_fail(k, report_error("%s is in the book with another key; choose another name, or 'i3ctl book rm %s' first", name, name));
    else if (err == -EEXIST)
        control_fail(k, report_error("you are in that group, or in another of that name, already: 'i3ctl group list'"));
    else if (err == -ENOSPC)
        control_fail(k, report_error("%d groups is the most: leave one first", GROUPS_MAX));
    else
        control_fail(k, report_error("the group cannot be saved: %s", strerror(-err)));
    crypto_wipe(&g, sizeof(g));
}

static void group_new(struct control_call *k)
{
    uint8_t priv[KEY_LEN];
    enum group_kind kind;
    if (!group_kind_parse(k->argv[3], &kind)) {
        control_fail(k, report_error("'%s' is no kind of group: anycast or multicast", k->argv[3]));
        return;
    }
    entropy_fill(priv, sizeof(priv));
    enter(k, control_bare_name(k->p, k->argv[2]), kind, priv, k->argv[4]);
    crypto_wipe(priv, sizeof(priv));
}

static void group_join(struct control_call *k)
{
    uint8_t priv[KEY_LEN];
    enum group_kind kind;
    if (group_secret_parse(k->argv[3], &kind, priv))
        control_fail(k, report_error("that is no group's secret; it is one line, as 'i3ctl group export' prints it"));
    else
        enter(k, control_bare_name(k->p, k->argv[2]), kind, priv, k->argv[4]);
    crypto_wipe(priv, sizeof(priv));
    crypto_wipe(k->argv[3], strlen(k->argv[3]));
}

static const struct group *group_named(struct control_call *k)
{
    const char *name = control_bare_name(k->p, k->argv[2]);
    const struct group *g = groups_find(k->p->groups, name);
    if (!g)
        control_fail(k, report_error("you are in no group called %s: 'i3ctl group list'", name));
    return g;
}

static void group_export(struct control_call *k)
{
    char secret[GROUP_SECRET_MAX];
    const struct group *g = group_named(k);
    if (!g)
        return;
    group_secret_format(g, secret);
    control_done(k, report_string("secret", secret));
    crypto_wipe(secret, sizeof(secret));
}

static void group_leave_verb(struct control_call *k)
{
    const struct group *g = group_named(k);
    char name[BOOK_NAME_MAX + 1];
    if (!g)
        return;
    memcpy(name, g->entry.name, sizeof(name));
    int err = group_leave(k->p, g);
    if (err)
        control_fail(k, report_error("left %s, but the file could not be written: %s", name, strerror(-err)));
    else
        control_done(k, report_string("left", name));
}

static void group_list(struct control_call *k)
{
    struct report_group r[GROUPS_MAX];
    control_done(k, report_groups(r, group_report(k->p, r), k->p->overlays->ring->triggers));
}

void verb_group(struct control_call *k)
{
    static const struct {
        const char *name;
        int argc;
        void (*run)(struct control_call *);
    } verbs[] = {
        {"new", 5, group_new},
        {"join", 5, group_join},
        {"export", 3, group_export},
        {"leave", 3, group_leave_verb},
        {"list", 2, group_list},
    };
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (k->argc == verbs[i].argc && !strcmp(k->argv[1], verbs[i].name)) {
            verbs[i].run(k);
            return;
        }
    }
    control_fail(k, report_error("usage: group new NAME KIND PLACE | join NAME SECRET PLACE | export NAME | leave NAME | list"));
}
