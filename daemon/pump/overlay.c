/* pump/overlay.c - the rings of nodes in which this user is, each by its suffix: ".i3", ".work.i3" (struct overlay).
 *
 *   names        box.i3        box.work.i3              the longest suffix wins
 *                  |                |
 *   overlay      first             work                 each has nodes, a home node, owners, triggers, sessions,
 *                  |                |                   transport, private ids and a socket of its own
 *   engine         +---- one TCP/IP engine, one pool of virtual addresses, one book, one identity
 *
 * The user's key is the same everywhere. Everybody else's is reached by one overlay, that of its name in the book: what stands there
 * is what is asked for without the first overlay's suffix ("box", "box.work"), or, where an overlay's suffix is not below the first
 * one's (".corp"), all of it ("box.corp"). So a virtual address belongs to one overlay as well, and so does a session; a name that is
 * asked for with another overlay's suffix is not known, and a key that calls by another overlay is answered with silence. No ring
 * learns of whom one knows in another. A guest that has no name here, only a door (policy/access.h), may come by any of them.
 *
 * Each overlay has a UDP socket of its own, rather than one for all: what comes is of the ring whose socket it came to, so nothing has
 * to be looked up per packet, no node of one ring can speak in another, and a ring which is dead or floods us has only its own buffers
 * to fill. It costs a socket and a NAT's mapping per ring.
 *
 * Without configured nodes the first one runs a node in this process; the others wait until they have some.
 */
#include "daemon/pump/impl.h"

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
    return !p->overlays->next || overlay_of_key(p, key) == o || (!names_entry(p, key) && access_knows(p->access, key));
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
    return found;
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

/* ---- start and end ---- */

/* Where to bind: as configured; where that is all of IPv4 and a node has an IPv6 address, both families by one socket. The port is the
 * first overlay's. */
static struct addr bind_address(const struct overlay *o)
{
    struct addr a = o->p->config.bind;
    bool any4 = a.family == 4 && addr_ip4(&a) == INADDR_ANY;
    for (unsigned i = 0; any4 && i < o->n_configured; i++)
        if (o->configured[i].family == 6)
            a.family = 6;
    if (o != o->p->overlays)
        a.port = 0;
    return a;
}

static void on_udp(void *ctx, uint32_t events)
{
    struct overlay *o = ctx;
    if (events & EPOLLIN)
        o->udp_ready = true;
}

static int open_socket(struct overlay *o, char *why, size_t whylen)
{
    char s[ADDR_STR];
    struct addr local = bind_address(o);
    int err = udp_open(&o->udp, &local, OVERLAY_UDP_BUFFER);
    if (err) {
        snprintf(why, whylen, "cannot bind UDP %s: %s", addr_str(&local, s), strerror(-err));
        return err;
    }
    o->udp_watch = fdset_add(o->p->set, udp_fd(o->udp), false, on_udp, o);
    return o->udp_watch ? 0 : -ENOMEM;
}

int overlay_rebind(struct overlay *o)
{
    struct udp *old = o->udp;
    struct fdset_entry *watch = o->udp_watch;
    char why[200];
    if (bind_address(o).family == 4 || udp_local(old)->family == 6)
        return 0;
    o->udp = NULL;
    o->udp_watch = NULL;
    int err = open_socket(o, why, sizeof(why));
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

/* No node is measured, no id has a name, no private id moves nearer. */
static int open_hidden(struct overlay *o)
{
    struct side *s = side_new_hidden(o);
    if (!s)
        return -ENOMEM;
    triggers_set_private(o->triggers);
    o->peers = s->peers;
    o->wall = drbg_u64(&o->p->random) >> 16; /* no clock: microseconds of nothing, greater each time */
    return 0;
}

static int open_rooms(struct overlay *o)
{
    struct pump *p = o->p;
    uint8_t seed[BLAKE2S_LEN];
    o->seal = malloc(PUMP_SEAL_BUF);
    drbg_draw(&p->random, seed, sizeof(seed));
    o->triggers = triggers_new(seed);
    drbg_draw(&p->random, seed, sizeof(seed));
    o->owners = owners_new(seed);
    if (!o->seal || !o->triggers || !o->owners)
        return -ENOMEM;
    drbg_draw(&p->random, seed, sizeof(seed));
    /* for every suffix: who asks need not know that it is nobody's but ours (i3/peer.h) */
    if (o->anon)
        return open_hidden(o);
    if (o->n_configured && !(o->nodes = nodes_new(o->configured, o->n_configured, p->public_id.b, seed)))
        return -ENOMEM;
    int err = trigger_add(o->triggers, p->now, &p->public_id, 128, p->identity.priv, p->identity.pub, NULL, 0, INSERT_SHORTCUT);
    struct side *s = err ? NULL : side_new(o, NULL);
    if (!s)
        return err ? err : -ENOMEM;
    o->peers = s->peers;
    return sample_start(o);
}

struct overlay *overlay_each(const struct pump *p, const struct overlay *o)
{
    return !o ? p->overlays : o->next ? o->next : o->anon ? NULL : p->hidden;
}

/* A packet to a peer is of no use before its answer gets back: an instance for an anonymous program begins with its trigger. */
bool overlay_may_call(const struct overlay *o)
{
    enum { TRIGGER_PATIENCE = 3000000 };
    return !o->anon || (!anon_fades(o) && (o->stood || mono_since(o->node_since, o->p->now) > TRIGGER_PATIENCE));
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

static int overlay_open(struct overlay *o, struct overlay **out, char *why, size_t whylen)
{
    overlay_link(o);
    overlays_list_zones(o->p);
    int err = open_socket(o, why, whylen);
    if (!err)
        err = link_start(o);
    if (!err)
        err = open_rooms(o);
    if (err) {
        overlay_free(o);
        return err;
    }
    *out = o;
    return 0;
}

int overlay_hidden(struct overlay *ring, struct anon *anon, struct overlay **out)
{
    char why[200];
    struct overlay *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->p = ring->p;
    o->anon = anon;
    snprintf(o->suffix, sizeof(o->suffix), "%s", ring->suffix);
    memcpy(o->configured, ring->configured, sizeof(o->configured));
    o->n_configured = ring->n_configured;
    return overlay_open(o, out, why, sizeof(why));
}

int overlay_new(struct pump *p, const char *name, const char *suffix, const struct addr *nodes, unsigned n, struct overlay **out, char *why,
    size_t whylen)
{
    struct overlay *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->p = p;
    snprintf(o->name, sizeof(o->name), "%s", name);
    snprintf(o->suffix, sizeof(o->suffix), "%s", suffix);
    memcpy(o->configured, nodes, n * sizeof(*nodes));
    o->n_configured = n;
    return overlay_open(o, out, why, whylen);
}

void overlay_free(struct overlay *o)
{
    overlay_unlink(o);
    overlays_list_zones(o->p);
    link_stop(o);
    if (o->p->set)
        fdset_del(o->p->set, o->udp_watch);
    udp_close(o->udp);
    node_pump_stop(o->node);
    triggers_free(o->triggers);
    sides_free(o);
    owners_free(o->owners);
    nodes_free(o->nodes);
    sampler_free(o->sample.sampler);
    free(o->seal);
    free(o);
}

void overlays_free(struct pump *p)
{
    while (p->overlays)
        overlay_free(p->overlays);
}

/* ---- turns ---- */

mono_t overlay_deadline(const struct overlay *o)
{
    mono_t at = o->node_addr.family && !anon_fades(o) ? triggers_deadline(o->triggers) : MONO_NEVER;
    at = mono_min(at, owners_deadline(o->owners));
    for (const struct side *s = o->sides; s && overlay_may_call(o); s = s->next)
        at = mono_min(at, peers_deadline(s->peers));
    if (o->nodes)
        at = mono_min(at, mono_min(nodes_deadline(o->nodes), sampler_deadline(o->sample.sampler)));
    return mono_min(at, link_deadline(o));
}

bool overlay_recv(struct overlay *o)
{
    o->udp_ready = o->udp_ready && udp_recv(o->udp, net_packet_in, o);
    return link_recv(o) || o->udp_ready;
}

void overlay_turn(struct overlay *o)
{
    link_turn(o);
    if (anon_fades(o))
        return;
    net_choose_node(o);
    sample_turn(o);
    if (o->anon)
        o->stood |= overlay_stands(o, &o->sides->session_id);
    else
        shortcut_turn(o);
}
