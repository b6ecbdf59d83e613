/* pump/nodes_control.c - i3ctl nodes: which overlay nodes are used, and changes of that while the daemon runs. Also what is told of each
 * overlay in `i3ctl status`.
 *
 *     nodes list OVERLAY     nodes add OVERLAY ADDRESS...     nodes rm OVERLAY ADDRESS...         "*": all, "": the first
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pump/control.h"

static void describe(struct overlay *o, struct report_overlay *out)
{
    struct pump *p = o->p;
    char full[IPC_NAME_MAX + 1];
    *out = (struct report_overlay){.name = o->name,
        .suffix = o->suffix,
        .kind = o->kind->name,
        .peers = o->peers};
    o->kind->describe(o, out);
    for (size_t i = 0; i < book_count(p->book); i++)
        out->names += overlay_of_entry(p, book_at(p->book, i)->name, full) == o;
    for (struct side *s = o->sides; s; s = s->next)
        for (struct peer *peer = peer_next(s->peers, NULL); peer; peer = peer_next(s->peers, peer)) {
            struct peer_info info;
            peer_info(s->peers, peer, p->now, &info);
            out->sessions += info.standing;
        }
    const struct udp_stats *u = udp_stats(o->udp);
    const struct streams_stats *tcp = overlay_by_tcp(o), t = tcp ? *tcp : (struct streams_stats){0};
    out->packets_in = u->packets_in + t.frames_in;
    out->packets_out = u->packets_out + t.frames_out;
    out->bytes_in = u->bytes_in + t.bytes_in;
    out->bytes_out = u->bytes_out + t.bytes_out;
}

unsigned overlays_describe(struct pump *p, const struct overlay *only, struct report_overlay out[OVERLAYS_MAX])
{
    unsigned n = 0;
    for (struct overlay *o = p->overlays; o && n < OVERLAYS_MAX; o = o->next)
        if (!only || o == only)
            describe(o, &out[n++]);
    return n;
}

static char *report_of(struct pump *p, const struct overlay *only, const char *done, const struct addr *which, unsigned n)
{
    struct report_overlay v[OVERLAYS_MAX];
    return report_overlays(v, overlays_describe(p, only, v), done, which, n);
}

static bool parse(struct control_call *k, struct addr v[CONFIG_NODES_MAX], unsigned *n)
{
    *n = 0;
    for (int i = 3; i < k->argc; i++) {
        struct addr a;
        if (*n == CONFIG_NODES_MAX) {
            control_fail(k, report_error("an overlay has %d nodes at most", CONFIG_NODES_MAX));
            return false;
        }
        if (config_parse_addr(&a, k->argv[i], CONFIG_DEFAULT_PORT) || !a.port || addr_is_any(&a) || addr_is_group(&a)) {
            control_fail(k, report_error("'%s' is not the address of a node: as in 203.0.113.7:5610 or [2001:db8::7]:5610", k->argv[i]));
            return false;
        }
        v[(*n)++] = a;
    }
    return true;
}

/* 0, or the answer was given. */
static int change(struct control_call *k, struct overlay *o, struct node_list *l, bool add, const struct addr *v, unsigned n)
{
    char s[ADDR_STR];
    unsigned done = 0;
    for (unsigned i = 0; i < n; i++) {
        int err = add ? node_list_add(l, o->name, &v[i]) : node_list_remove(l, o->name, &v[i]);
        if (err == -ENOSPC)
            control_fail(k, report_error("that would be more than %d nodes: take others out first (i3ctl nodes rm)", CONFIG_NODES_MAX));
        else if (err == -ENOENT)
            control_fail(k, report_error("%s is not among the nodes: i3ctl nodes list", addr_str(&v[i], s)));
        if (err && err != -EEXIST)
            return err;
        done += !err;
    }
    int err = done ? nodes_replace(o, l) : 0;
    if (err)
        control_fail(k, report_error("the nodes cannot be saved: %s", strerror(-err)));
    return err;
}

static void nodes_change(struct control_call *k, struct overlay *o, bool add)
{
    struct addr v[CONFIG_NODES_MAX];
    unsigned n;
    if (!parse(k, v, &n))
        return;
    if (o->ring->by_config) {
        control_fail(k, report_error("the nodes of %s stand in %s, and are changed there: edit `nodes` and say `i3ctl reload`", o->suffix,
                    k->p->paths.config));
        return;
    }
    struct node_list *l = malloc(sizeof(*l));
    if (!l) {
        control_fail(k, report_error("out of memory"));
        return;
    }
    *l = k->p->told;
    if (change(k, o, l, add, v, n) == 0)
        control_done(k, report_of(k->p, o, add ? "added" : "removed", v, n));
    free(l);
}

void verb_nodes(struct control_call *k)
{
    bool add = k->argc >= 4 && !strcmp(k->argv[1], "add"), rm = k->argc >= 4 && !strcmp(k->argv[1], "rm");
    bool list = k->argc == 3 && !strcmp(k->argv[1], "list"), all = list && !strcmp(k->argv[2], "*");
    struct overlay *o = (add || rm || list) && !all ? overlay_named(k->p, k->argv[2]) : NULL;
    if (!add && !rm && !list)
        control_fail(k, report_error("usage: nodes list OVERLAY | nodes add OVERLAY ADDRESS... | nodes rm OVERLAY ADDRESS..."));
    else if (!o && !all)
        control_fail(k, report_error("there is no overlay '%s': i3.conf has none of that name", k->argv[2]));
    else if (list)
        control_done(k, report_of(k->p, o, NULL, NULL, 0));
    else
        nodes_change(k, o, add);
}
