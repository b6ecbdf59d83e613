/* pump/overlay.c - the overlays in which this user is, each by its suffix: ".i3", ".work.i3" (struct overlay).
 *
 *   names        box.i3        box.work.i3              the longest suffix wins
 *                  |                |
 *   overlay      first             work                 each has nodes, a home node, owners, triggers, sessions,
 *                  |                |                   transport, private ids and a socket of its own
 *   engine         +---- one TCP/IP engine, one pool of virtual addresses, one book, one identity
 *
 * The user's key is the same everywhere. Everybody else's is reached by the overlays of its names in the book (twin.c): what stands there
 * is what is asked for without the first overlay's suffix ("box", "box.work"), or, where an overlay's suffix is not below the first
 * one's (".corp"), all of it ("box.corp"). So a virtual address belongs to one overlay as well, and so does a session; a name that is
 * asked for with another overlay's suffix is not known, and a key that calls by another overlay is answered with silence. No ring
 * learns of whom one knows in another. A guest that has no name here, only a door (policy/access.h), may come by any of them.
 *
 * An overlay is of one of two kinds (overlay_kind.h): a ring of nodes as in the paper (ring.c), or a mesh of hosts whose addresses stand
 * in the book (mesh.c). What is above the line knows no difference.
 *
 * Each overlay has a UDP socket of its own, rather than one for all: what comes is of the ring whose socket it came to, so nothing has
 * to be looked up per packet, no node of one ring can speak in another, and a ring which is dead or floods us has only its own buffers
 * to fill. It costs a socket and a NAT's mapping per ring.
 */
#include "daemon/pump/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/policy/suffix.h"

enum { OVERLAY_UDP_BUFFER = 4 << 20 };

/* ---- which one ---- */

struct overlay *overlay_of_name(const struct pump *p, const char *name, size_t len, size_t *bare)
{
    const char *suffix[OVERLAYS_MAX];
    struct overlay *v[OVERLAYS_MAX];
    unsigned n = 0;
    for (struct overlay *o = p->overlays; o && n < OVERLAYS_MAX; o = o->next, n++) {
        v[n] = o;
        suffix[n] = o->suffix;
    }
    int i = suffix_longest(name, len, suffix, n, bare);
    return i < 0 ? NULL : v[i];
}

struct overlay *overlay_of_entry(const struct pump *p, const char *name, char full[IPC_NAME_MAX + 1])
{
    size_t bare, len = strlen(name);
    struct overlay *o = overlay_of_name(p, name, len, &bare);
    if (o && o != p->overlays) {
        snprintf(full, IPC_NAME_MAX + 1, "%s", name);
        return o;
    }
    int n = snprintf(full, IPC_NAME_MAX + 1, "%s%s", name, p->overlays->suffix);
    return n > IPC_NAME_MAX ? p->overlays : overlay_of_name(p, full, (size_t)n, &bare);
}

struct overlay *overlay_of_key(const struct pump *p, const uint8_t key[KEY_LEN])
{
    char full[IPC_NAME_MAX + 1];
    if (!p->overlays->next)
        return p->overlays;
    const struct book_entry *e = names_entry(p, key);
    return e ? overlay_of_entry(p, e->name, full) : p->overlays;
}

struct overlay *overlay_named(const struct pump *p, const char *name)
{
    struct overlay *o = p->overlays;
    while (o && strcmp(o->name, name))
        o = o->next;
    return o;
}

bool overlay_may_have(const struct overlay *o, const uint8_t key[KEY_LEN])
{
    const struct pump *p = o->p;
    return !p->overlays->next || overlay_of_key(p, key) == o || (names_entry(p, key) && twin_entry_in(p, o, key)) || (!names_entry(p, key) && access_knows(p->access, key));
}

/* A guest without a name may come by any overlay: then it is answered by the one where its session is. */
bool overlay_route(const struct pump *p, uint32_t own, uint32_t remote, struct side **s, struct peer **peer)
{
    struct side *found = NULL;
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *at = o->sides; at; at = at->next) {
            struct peer *there = at->own == own ? peer_by_address(at->peers, remote) : NULL;
            if (!there || (found && !peer_is_standing(there)))
                continue;
            found = *s = at;
            *peer = there;
            if (!p->overlays->next || o->anon || peer_is_standing(there))
                return true;
        }
    return found || gate_route(p, own, remote, s, peer);
}

struct overlay *overlay_of_host(const struct pump *p, uint32_t remote)
{
    struct side *s;
    struct peer *peer;
    return overlay_route_own(p, remote, &s, &peer) ? s->o : NULL;
}

bool overlay_route_own(const struct pump *p, uint32_t remote, struct side **s, struct peer **peer)
{
    return overlay_route(p, p->own, remote, s, peer);
}

/* ---- its socket ---- */

static void on_udp(void *ctx, uint32_t events)
{
    struct overlay *o = ctx;
    if (events & EPOLLIN)
        o->udp_ready = true;
}

int overlay_socket(struct overlay *o, const struct addr *local, char *why, size_t whylen)
{
    char s[ADDR_STR];
    int err = udp_open(&o->udp, local, OVERLAY_UDP_BUFFER);
    if (err) {
        snprintf(why, whylen, "cannot bind UDP %s: %s", addr_str(local, s), strerror(-err));
        return err;
    }
    o->udp_watch = fdset_add(o->p->set, udp_fd(o->udp), false, on_udp, o);
    return o->udp_watch ? 0 : -ENOMEM;
}

int overlay_socket_anew(struct overlay *o, const struct addr *local)
{
    struct udp *old = o->udp;
    struct fdset_entry *watch = o->udp_watch;
    char why[200];
    o->udp = NULL;
    o->udp_watch = NULL;
    int err = overlay_socket(o, local, why, sizeof(why));
    if (!err) {
        fdset_del(o->p->set, watch);
        udp_close(old);
        return 0;
    }
    log_warn("overlay nodes with IPv6 addresses are out of reach until i3d starts anew: %s", why); /* a port that is bound already */
    udp_close(o->udp);
    o->udp = old;
    o->udp_watch = watch;
    return err == -EADDRINUSE ? 0 : err;
}

/* ---- start and end ---- */

struct overlay *overlay_each(const struct pump *p, const struct overlay *o)
{
    return !o ? p->overlays : o->next ? o->next : o->anon ? NULL : p->hidden;
}

/* A packet to a peer is of no use before its answer gets back: an instance for an anonymous program begins with its trigger. */
bool overlay_may_call(const struct overlay *o)
{
    enum { TRIGGER_PATIENCE = 3000000 };
    return !o->anon || (!anon_fades(o) && (o->stood || mono_since(o->made, o->p->now) > TRIGGER_PATIENCE));
}

static struct overlay **list_of(const struct overlay *o)
{
    return o->anon ? &o->p->hidden : &o->p->overlays;
}

static void overlay_link(struct overlay *o)
{
    struct overlay **at = list_of(o);
    while (*at)
        at = &(*at)->next;
    *at = o;
}

/* The list for those who must know our names from others. */
void overlays_list_zones(struct pump *p)
{
    size_t at = 0;
    p->zones[0] = '\0';
    for (const struct overlay *o = p->overlays; o && at < sizeof(p->zones); o = o->next)
        at += (size_t)snprintf(p->zones + at, sizeof(p->zones) - at, "%s%s", at ? " " : "", o->suffix + 1);
}

static void overlay_unlink(struct overlay *o)
{
    struct overlay **at = list_of(o);
    while (*at && *at != o)
        at = &(*at)->next;
    if (*at)
        *at = o->next;
}

/* The user's own side, which others find by the public id for every suffix: who asks need not know that it is nobody's but ours
 * (i3/peer.h). An anonymous program's side has no name to be found by. */
static int open_side(struct overlay *o)
{
    struct pump *p = o->p;
    o->seal = malloc(PUMP_SEAL_BUF);
    int err = o->seal ? 0 : -ENOMEM;
    if (!err && !o->anon)
        err = overlay_announce(o, &p->public_id, 128, p->identity.priv, p->identity.pub, INSERT_SHORTCUT);
    struct side *s = err ? NULL : o->anon ? side_new_hidden(o) : side_new(o, NULL);
    if (!s)
        return err ? err : -ENOMEM;
    o->peers = s->peers;
    return o->kind->up ? o->kind->up(o) : 0;
}

struct overlay_plan overlay_plan_first(const struct config *c)
{
    return (struct overlay_plan){.name = "", .suffix = c->suffix, .kind = &overlay_kind_i3, .nodes = c->nodes, .n_nodes = c->n_nodes};
}

struct overlay_plan overlay_plan_of(const struct config_overlay *c)
{
    static const struct overlay_kind *const kinds[] = {[KIND_I3] = &overlay_kind_i3, [KIND_MESH] = &overlay_kind_mesh};
    return (struct overlay_plan){.name = c->name, .suffix = c->suffix, .kind = kinds[c->kind], .nodes = c->nodes, .n_nodes = c->n_nodes,
        .bind = c->bind, .relay = c->relay};
}

int overlay_make(struct pump *p, const struct overlay_plan *c, struct overlay **out, char *why, size_t whylen)
{
    struct overlay *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->p = p;
    o->made = p->now;
    o->anon = c->anon;
    o->kind = c->kind;
    snprintf(o->name, sizeof(o->name), "%s", c->name);
    snprintf(o->suffix, sizeof(o->suffix), "%s", c->suffix);
    overlay_link(o);
    overlays_list_zones(p);
    int err = o->kind->open(o, c, why, whylen);
    if (!err)
        err = open_side(o);
    if (err) {
        overlay_free(o);
        return err;
    }
    *out = o;
    return 0;
}

int overlay_new(struct pump *p, const char *name, const char *suffix, const struct addr *nodes, unsigned n, struct overlay **out, char *why,
    size_t whylen)
{
    struct overlay_plan c = {.name = name, .suffix = suffix, .kind = &overlay_kind_i3, .nodes = nodes, .n_nodes = n};
    return overlay_make(p, &c, out, why, whylen);
}

void overlay_free(struct overlay *o)
{
    overlay_unlink(o);
    overlays_list_zones(o->p);
    sides_free(o);
    o->kind->close(o);
    if (o->p->set)
        fdset_del(o->p->set, o->udp_watch);
    udp_close(o->udp);
    free(o->seal);
    free(o);
}

void overlays_free(struct pump *p)
{
    while (p->overlays)
        overlay_free(p->overlays);
}

/* ---- what the kind does ---- */

int overlay_announce(struct overlay *o, const struct i3_id *id, unsigned bits, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], unsigned flags)
{
    return o->kind->announce ? o->kind->announce(o, id, bits, priv, pub, flags) : 0;
}

void overlay_withdraw(struct overlay *o, const struct i3_id *id, unsigned bits)
{
    if (o->kind->withdraw)
        o->kind->withdraw(o, id, bits);
}

bool overlay_stands(const struct overlay *o, const struct i3_id *id)
{
    return !o->kind->stands || o->kind->stands(o, id);
}

bool overlay_is_ready(const struct overlay *o)
{
    return !o->kind->ready || o->kind->ready(o);
}

const struct addr *overlay_way(struct overlay *o, const struct i3_id *id)
{
    return o->kind->way(o, id);
}

void overlay_leave(struct overlay *o)
{
    if (o->kind->leave)
        o->kind->leave(o);
}

const struct streams_stats *overlay_by_tcp(const struct overlay *o)
{
    return o->kind->by_tcp ? o->kind->by_tcp(o) : NULL;
}

const char *overlay_silence(struct overlay *o, const uint8_t key[KEY_LEN])
{
    return o->kind->silence ? o->kind->silence(o, key) : NULL;
}

const char *overlay_path(struct overlay *o, const struct peer_info *info, char *out)
{
    return o->kind->path(o, info, out);
}

void overlay_rekeyed(struct overlay *o)
{
    if (o->kind->rekeyed)
        o->kind->rekeyed(o);
}

unsigned overlay_replaced(struct overlay *o, const struct i3_id *now, struct i3_id *old)
{
    return o->kind->replaced ? o->kind->replaced(o, now, old) : 0;
}

/* ---- turns ---- */

mono_t overlay_deadline(const struct overlay *o)
{
    mono_t at = o->kind->deadline(o);
    for (const struct side *s = o->sides; s && overlay_may_call(o); s = s->next)
        at = mono_min(at, peers_deadline(s->peers));
    return at;
}

bool overlay_recv(struct overlay *o)
{
    return o->kind->receive(o);
}

bool overlay_pending(const struct overlay *o)
{
    return o->kind->pending(o);
}

void overlay_turn(struct overlay *o)
{
    o->kind->turn(o);
}
