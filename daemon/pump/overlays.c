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
    triggers_remove_all(o->triggers, p->now, &o->out);
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

static int settle(struct pump *p, const char *name, const char *suffix, const struct addr *nodes, unsigned n, char *why, size_t whylen)
{
    struct addr v[CONFIG_NODES_MAX];
    unsigned n_v = nodes_of(p, name, nodes, n, v);
    struct overlay *o = overlay_named(p, name);
    int err = 0;
    if (o) {
        snprintf(o->suffix, sizeof(o->suffix), "%s", suffix);
        o->by_config = n;
        return overlay_set_nodes(o, v, n_v);
    }
    err = overlay_new(p, name, suffix, v, n_v, &o, why, whylen);
    if (err)
        return err;
    o->by_config = n;
    log_info("overlay name=%s suffix=%s nodes=%u", name, suffix, n_v);
    rotation_begin(o);
    net_choose_node(o);
    move_begin(o);
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
    snprintf(why, whylen, "out of memory");
    int err = settle(p, "", c->suffix, c->nodes, c->n_nodes, why, whylen);
    for (struct overlay *o = p->overlays, *next; o; o = next) {
        next = o->next;
        if (*o->name && !wanted(c, o->name)) {
            group_leave_overlay(o);
            overlay_remove(o);
        }
    }
    for (unsigned i = 0; i < c->n_overlays; i++) {
        const struct config_overlay *v = &c->overlays[i];
        int bad = settle(p, v->name, v->suffix, v->nodes, v->n_nodes, why, whylen);
        if (bad)
            log_error("overlay name=%s cannot be had err=%d: %s", v->name, bad, why);
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
