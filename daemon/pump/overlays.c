/* pump/overlays.c - which overlays there are: what i3.conf says, at the start and whenever it is read again. Those that stay keep their
 * sessions and connections, whatever else changes; a name that belongs to another one from now on begins anew there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/claims.h"
#include "daemon/pump/impl.h"
#include "daemon/pump/lookup.h"

/* ---- an overlay goes ---- */

/* Its hosts are out of reach: connections end, programs hear of it. */
static void drop_peers(struct overlay *o, bool all)
{
    struct pump *p = o->p;
    for (struct side *s = o->sides; s; s = s->next)
        for (struct peer *peer = peer_next(s->peers, NULL), *next; peer; peer = next) {
            next = peer_next(s->peers, peer);
            if (!all && overlay_may_have(o, peer_key(peer)))
                continue;
            uint32_t local = peer_addresses(peer).local;
            peer_drop(s->peers, peer);
            if (local && !overlay_of_host(p, local))
                tcpip_fail_remote(p->tcpip, p->now, local, EHOSTUNREACH, true);
        }
}

static void overlay_remove(struct overlay *o)
{
    struct pump *p = o->p;
    log_info("overlay name=%s suffix=%s ends", o->name, o->suffix);
    anon_forget_ring(p, o);
    drop_peers(o, true);
    overlay_leave(o);
    net_flush(o);
    mcast_forget_overlay(p, o);
    names_forget_overlay(p, o);
    claims_forget_overlay(p, o);
    overlay_free(o);
}

/* ---- an overlay comes, or changes ---- */

static bool wanted(const struct config *c, const char *name)
{
    for (unsigned i = 0; i < c->n_overlays; i++)
        if (!strcmp(c->overlays[i].name, name))
            return true;
    return false;
}

static int settle(struct pump *p, const struct overlay_plan *c, char *why, size_t whylen)
{
    struct addr v[CONFIG_NODES_MAX];
    struct overlay_plan is = *c;
    is.nodes = v;
    is.by_config = c->n_nodes;
    is.n_nodes = nodes_of(p, c->name, c->nodes, c->n_nodes, v);
    struct overlay *o = overlay_named(p, c->name);
    if (o && o->kind != c->kind) {
        overlay_remove(o);
        o = NULL;
    }
    if (o) {
        snprintf(o->suffix, sizeof(o->suffix), "%s", c->suffix);
        return o->kind->change(o, &is, why, whylen);
    }
    int err = overlay_make(p, &is, &o, why, whylen);
    if (err)
        return err;
    log_info("overlay name=%s kind=%s suffix=%s", c->name, o->kind->name, c->suffix);
    rotation_begin(o);
    o->kind->begin(o);
    return 0;
}

/* The caller may have done so already, or be about to. */
static void use_resolvers(struct pump *p, const struct config *c)
{
    p->config.resolve = c->resolve;
    p->config.dns_server = c->dns_server;
    if (c != &p->config)
        memcpy(p->config.dns_zone, c->dns_zone, sizeof(p->config.dns_zone));
    lookup_configure(p);
}

int overlays_configure(struct pump *p, const struct config *c, char *why, size_t whylen)
{
    const struct overlay_plan first = overlay_plan_first(c);
    snprintf(why, whylen, "out of memory");
    int err = settle(p, &first, why, whylen);
    for (struct overlay *o = p->overlays, *next; o; o = next) {
        next = o->next;
        if (*o->name && !wanted(c, o->name)) {
            group_leave_overlay(o);
            overlay_remove(o);
        }
    }
    for (unsigned i = 0; i < c->n_overlays; i++) {
        const struct overlay_plan v = overlay_plan_of(&c->overlays[i]);
        int bad = settle(p, &v, why, whylen);
        if (bad)
            log_error("overlay name=%s cannot be had err=%d: %s", v.name, bad, why);
        err = err ? err : bad;
    }
    overlays_list_zones(p);
    group_resettle(p);
    claims_resettle(p);
    use_resolvers(p, c);
    for (struct overlay *o = p->overlays; o; o = o->next)
        drop_peers(o, false);
    return err ? err : access_rebuild(p);
}
