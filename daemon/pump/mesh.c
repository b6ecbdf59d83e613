/* pump/mesh.c - overlays of kind mesh: hosts whose addresses stand in the book, and who reach each other without nodes (mesh/mesh.h).
 *
 *   book entries with the overlay's suffix --> members       one struct mesh for each key of ours (side); old keys only answer
 *   what peers push for ADDR_ID            --> the way as it is when the outbox is sent: straight, or with a head, to a relay
 *   DATA from the socket, or by a relay    --> net_data_in(): sessions, as in a ring
 *
 * Nobody but members gets as far as a handshake: an INIT must come from an address that has been proven, or by a relay. What is
 * sealed may come from anywhere, as its key is proof enough.
 */
#include "daemon/pump/mesh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/control/overlay_report.h"
#include "daemon/mesh/mesh_wire.h"
#include "daemon/pump/rotate.h"

#define NO_WAY_AFTER (3 * USEC_PER_SEC) /* a handshake with a member that is nowhere is given up */
#define LOOK_EVERY   (500 * USEC_PER_MSEC)

struct mesh_overlay {
    struct addr bind; /* as configured */
    bool relay;
    struct addr node; /* as the sides' peers have it: of whom the last handshake came */
    struct addr way;  /* of kind_way() */
    uint32_t people;  /* access_turn when the members were told last */
    unsigned drops;   /* and how many were dropped */
    bool told;
    mono_t look;
    unsigned full;    /* members that found no room, as the log knows */
};

struct mesh *mesh_of(const struct overlay *o)
{
    return o->sides ? o->sides->mesh : NULL;
}

/* ---- state ---- */

/* All of IPv4 is taken for all of IPv6 as well, where there is any. */
static int bind_socket(struct overlay *o, const struct addr *at, char *why, size_t whylen)
{
    struct addr both = *at;
    both.family = 6;
    if (at->family == 4 && addr_is_any(at) && !overlay_socket(o, &both, why, whylen))
        return 0;
    return overlay_socket(o, at, why, whylen);
}

static int kind_open(struct overlay *o, const struct overlay_plan *c, char *why, size_t whylen)
{
    o->mesh = calloc(1, sizeof(*o->mesh));
    if (!o->mesh)
        return -ENOMEM;
    o->mesh->bind = c->bind;
    o->mesh->relay = c->relay;
    o->mesh->look = MONO_NEVER;
    return bind_socket(o, &c->bind, why, whylen);
}

static void unbind(struct overlay *o)
{
    fdset_del(o->p->set, o->udp_watch);
    udp_close(o->udp);
    o->udp_watch = NULL;
    o->udp = NULL;
    o->udp_ready = false;
}

/* The port may be the same, so the old socket goes first; it is had again if the new one cannot be. */
static int rebind(struct overlay *o, const struct addr *at, char *why, size_t whylen)
{
    char none[200];
    unbind(o);
    int err = bind_socket(o, at, why, whylen);
    if (err) {
        struct addr any = o->mesh->bind;
        unbind(o);
        any.port = 0;
        if (bind_socket(o, &o->mesh->bind, none, sizeof(none)) && (unbind(o), bind_socket(o, &any, none, sizeof(none))))
            log_error("overlay name=%s has no socket any more: %s", o->name, none);
        return err;
    }
    o->mesh->bind = *at;
    return 0;
}

static int kind_change(struct overlay *o, const struct overlay_plan *c, char *why, size_t whylen)
{
    o->mesh->relay = c->relay;
    o->mesh->told = false;
    for (struct side *s = o->sides; s; s = s->next)
        mesh_set_relay(s->mesh, c->relay && !s->retired);
    return addr_eq(&c->bind, &o->mesh->bind) ? 0 : rebind(o, &c->bind, why, whylen);
}

static void kind_close(struct overlay *o)
{
    free(o->mesh);
    o->mesh = NULL;
}

static void kind_begin(struct overlay *o)
{
    char s[ADDR_STR];
    log_info("mesh name=%s address=%s", o->name, addr_str(udp_local(o->udp), s));
}

static int kind_side_up(struct side *s)
{
    struct pump *p = s->o->p;
    struct mesh_config c = {.passive = s->retired, .relay = s->o->mesh->relay && !s->retired};
    memcpy(c.priv, s->retired ? s->retired->priv : p->identity.priv, KEY_LEN);
    memcpy(c.pub, s->retired ? s->retired->pub : p->identity.pub, KEY_LEN);
    drbg_draw(&p->random, c.seed, sizeof(c.seed));
    s->mesh = s->group ? NULL : mesh_new(&c);
    crypto_wipe(&c, sizeof(c));
    s->o->mesh->told = false;
    return s->mesh ? 0 : -ENOMEM;
}

static void kind_side_down(struct side *s)
{
    mesh_free(s->mesh);
    s->mesh = NULL;
}

static void kind_rekeyed(struct overlay *o)
{
    for (struct side *s = o->sides; s; s = s->next)
        if (s->retired)
            mesh_set_passive(s->mesh);
}

/* ---- members ---- */

static void tell_members(struct overlay *o, struct side *s)
{
    struct pump *p = o->p;
    struct addr at[BOOK_AT_MAX];
    char full[IPC_NAME_MAX + 1];
    unsigned none = 0;
    mesh_begin(s->mesh);
    for (size_t i = 0; i < book_count(p->book); i++) {
        const struct book_entry *e = book_at(p->book, i);
        bool first = overlay_of_entry(p, e->name, full) == o && twin_entry_in(p, o, e->key) == e; /* of two names, one says where it is */
        if (e->multicast || !first || !names_is_friend(p, e->key))
            continue;
        int err = mesh_member(s->mesh, p->now, e->key, at, book_at_addresses(e->at, at));
        none += err == -ENOSPC;
    }
    mesh_end(s->mesh, p->now);
    if (none != o->mesh->full && none)
        log_warn("mesh name=%s has room for %u members: %u names of the book are not reached", o->name, MESH_MEMBERS, none);
    o->mesh->full = none;
}

static void look_at_book(struct overlay *o)
{
    struct mesh_overlay *m = o->mesh;
    if (m->told && m->people == o->p->access_turn && m->drops == o->p->drops.n)
        return;
    m->told = true;
    m->drops = o->p->drops.n;
    m->people = o->p->access_turn;
    for (struct side *s = o->sides; s; s = s->next)
        tell_members(o, s);
}

/* ---- packets in ---- */

/* From which member, as far as an address says. */
static const uint8_t *member_at(const struct overlay *o, const struct addr *from)
{
    const uint8_t *key = NULL;
    for (const struct side *s = o->sides; s && !key; s = s->next)
        key = mesh_at(s->mesh, from);
    return key;
}

/* A DATA packet; key: of whom, NULL: nobody knows. Answers that are for no session yet go back where it came from. */
static void data_in(struct overlay *o, const uint8_t *key, uint8_t *data, size_t len)
{
    struct wire_data d;
    struct i3_id id;
    if (data_decode(data, len, &d) < 0) {
        o->p->count.packets_bad++;
        return;
    }
    bool shake = d.proto == PROTO_HANDSHAKE_INIT || d.proto == PROTO_HANDSHAKE_RESPONSE || d.proto == PROTO_COOKIE;
    bool sealed = d.proto == PROTO_SEALED || d.proto == PROTO_PLAIN;
    if ((!shake && !sealed) || (!key && (d.proto == PROTO_HANDSHAKE_INIT || d.n > 1))) {
        o->p->count.packets_bad++; /* and not a word to strangers */
        return;
    }
    if (shake) {
        if (key)
            id_of_key(&id, key, NULL);
        o->mesh->node = key ? addr_of_id(id.b) : (struct addr){0};
        for (struct side *s = o->sides; s; s = s->next)
            peers_set_node(s->peers, &o->mesh->node);
    }
    net_data_in(o, &o->mesh->node, data, len);
}

static struct side *side_for(const struct overlay *o, const uint8_t *data, size_t len)
{
    struct side *s = o->sides;
    while (s && !mesh_is_for(s->mesh, data, len))
        s = s->next;
    return s;
}

static void mesh_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    const uint8_t *who;
    uint8_t *packet;
    size_t packet_len;
    struct side *s = side_for(o, data, len);
    if (!s)
        s = o->sides; /* where strangers are counted */
    if (mesh_input(s->mesh, o->p->now, from, udp_ecn(o->udp), data, len, &o->out, &who, &packet, &packet_len) == MESH_DATA &&
        wire_kind(packet, packet_len) == WIRE_DATA)
        data_in(o, who, packet, packet_len);
}

/* Is it of a sort that members alone may send? */
static bool asks_who(const uint8_t *data, size_t len)
{
    struct wire_data d;
    return !data_decode(data, len, &d) && (d.proto == PROTO_HANDSHAKE_INIT || d.n > 1);
}

static void packet_in(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
    struct overlay *o = ctx;
    unsigned kind = wire_kind(data, len);
    if (kind == WIRE_MESH)
        mesh_in(o, from, data, len);
    else if (kind == WIRE_DATA)
        data_in(o, asks_who(data, len) ? member_at(o, from) : NULL, data, len);
    else
        o->p->count.packets_bad++;
    if (outbox_is_tight(&o->out))
        net_flush(o);
}

static bool kind_receive(struct overlay *o)
{
    o->udp_ready = o->udp_ready && udp_recv(o->udp, packet_in, o);
    return o->udp_ready;
}

static bool kind_pending(const struct overlay *o)
{
    return o->udp_ready;
}

/* ---- packets out ---- */

static const struct addr *kind_way(struct overlay *o, const struct i3_id *id)
{
    struct i3_id public;
    for (const struct side *s = o->sides; s; s = s->next) {
        const struct peer *peer = peer_by_remote(s->peers, id->b); /* one of its private ids */
        if (!peer)
            continue;
        id_of_key(&public, peer_key(peer), NULL);
        o->mesh->way = addr_of_id(public.b);
        return &o->mesh->way;
    }
    o->mesh->way = addr_of_id(id->b);
    return &o->mesh->way;
}

static struct mesh *way_of(const struct overlay *o, const struct addr *id, struct mesh_way *w)
{
    for (const struct side *s = o->sides; s; s = s->next)
        if (mesh_way(s->mesh, id->ip, w))
            return s->mesh;
    return NULL;
}

/* Room for a head before it: left by who sealed it, or made. */
static bool make_room(struct overlay *o, struct dgram *d)
{
    if (d->data >= o->seal + MESH_HEAD && d->data < o->seal + PUMP_SEAL_BUF)
        return true;
    uint8_t *p = outbox_alloc(&o->out, MESH_HEAD + d->len);
    if (p)
        d->data = memcpy(p + MESH_HEAD, d->data, d->len);
    return p;
}

/* Where it goes now. False: nowhere. */
static bool direct(struct overlay *o, struct dgram *d)
{
    struct mesh_way w;
    struct addr id = d->to;
    struct mesh *m = way_of(o, &id, &w);
    if (!m || (!w.direct && !make_room(o, d)))
        return false;
    d->to = w.to;
    if (w.direct)
        return true;
    mesh_wrap(m, id.ip, d->data, d->len);
    d->data -= MESH_HEAD;
    d->len += MESH_HEAD;
    return true;
}

static void failed(void *ctx, const struct addr *to, size_t len, int err)
{
    struct overlay *o = ctx;
    struct pump *p = o->p;
    for (struct side *s = o->sides; s; s = s->next) {
        if (err != EMSGSIZE) {
            if (err != EAGAIN && err != ENOBUFS)
                mesh_send_failed(s->mesh, p->now, to);
            continue;
        }
        for (struct peer *peer = peer_next(s->peers, NULL); peer; peer = peer_next(s->peers, peer)) {
            struct mesh_way w;
            const struct addr *id = peer_destination(s->peers, peer);
            if (id->via == ADDR_ID && mesh_way(s->mesh, id->ip, &w) && addr_eq(&w.to, to))
                peers_too_big(s->peers, p->now, id, w.direct ? len : len - MESH_HEAD);
        }
    }
}

static void kind_send(struct overlay *o)
{
    unsigned n = 0;
    if (!o->udp) {
        outbox_clear(&o->out);
        return;
    }
    for (unsigned i = 0; i < o->out.n; i++)
        if (o->out.v[i].to.via != ADDR_ID || direct(o, &o->out.v[i]))
            o->out.v[n++] = o->out.v[i];
    o->out.dropped += o->out.n - n;
    o->out.n = n;
    if (n)
        udp_send(o->udp, &o->out, failed, o);
    else
        outbox_clear(&o->out);
}

/* ---- time ---- */

static const char *name_of(struct overlay *o, const uint8_t key[KEY_LEN], char full[IPC_NAME_MAX + 1])
{
    const struct book_entry *e = twin_entry_in(o->p, o, key);
    if (e)
        overlay_of_entry(o->p, e->name, full);
    return e ? full : "?";
}

static void way_changed(struct side *s, const struct mesh_event *e)
{
    struct overlay *o = s->o;
    struct pump *p = o->p;
    char name[IPC_NAME_MAX + 1], by[IPC_NAME_MAX + 1], at[ADDR_STR];
    name_of(o, e->key, name);
    if (e->kind == MESH_DIRECT)
        log_info("mesh peer=%s path=direct address=%s rtt=%u: %s", name, addr_str(&e->at, at), e->rtt_us, e->why);
    else if (e->kind == MESH_DETOUR)
        log_info("mesh peer=%s path=via %s rtt=%u: %s", name, name_of(o, e->by, by), e->rtt_us, e->why);
    else
        log_info("mesh peer=%s path=none: no address of it answers, and no member reaches it", name);
    struct peer *peer = peer_by_key(s->peers, e->key);
    if (!peer || e->kind == MESH_NONE)
        return;
    peer_way_changed(s->peers, peer, p->now, e->kind == MESH_DETOUR ? MESH_HEAD : 0);
    if (peer_addresses(peer).local && !s->retired)
        tcpip_revive(p->tcpip, p->now, peer_addresses(peer).local);
}

/* Handshakes with members that are nowhere; and peers made since the way was found. */
static bool look_at_peers(struct side *s)
{
    mono_t now = s->o->p->now;
    bool waits = false;
    for (struct peer *peer = peer_next(s->peers, NULL); peer; peer = peer_next(s->peers, peer)) {
        struct peer_info info;
        struct mesh_info way;
        peer_info(s->peers, peer, now, &info);
        bool shake = !strcmp(info.state, "handshake");
        if (!mesh_info_of(s->mesh, now, peer_key(peer), &way))
            continue;
        if (way.kind == MESH_NONE && shake && way.since_us >= NO_WAY_AFTER)
            peer_has_no_way(s->peers, peer);
        waits |= shake;
    }
    return waits;
}

static void kind_turn(struct overlay *o)
{
    struct pump *p = o->p;
    struct mesh_event e;
    look_at_book(o);
    for (struct side *s = o->sides; s; s = s->next)
        while (mesh_event(s->mesh, &e))
            way_changed(s, &e);
    if (o->mesh->look.us != MONO_NEVER.us && !mono_due(o->mesh->look, p->now))
        return;
    bool waits = false;
    for (struct side *s = o->sides; s; s = s->next)
        waits |= look_at_peers(s);
    o->mesh->look = mono_add(p->now, waits ? LOOK_EVERY : 2 * LOOK_EVERY);
}

static void kind_output(struct overlay *o)
{
    struct mesh_event e;
    for (struct side *s = o->sides; s; s = s->next) {
        if (outbox_is_tight(&o->out))
            net_flush(o);
        mesh_output(s->mesh, o->p->now, &o->out);
        while (mesh_event(s->mesh, &e))
            way_changed(s, &e);
    }
}

static mono_t kind_deadline(const struct overlay *o)
{
    mono_t at = o->mesh->look;
    for (const struct side *s = o->sides; s; s = s->next)
        at = mono_min(at, mesh_deadline(s->mesh));
    return at;
}

static void kind_doubt(struct overlay *o)
{
    for (struct side *s = o->sides; s; s = s->next)
        mesh_doubt(s->mesh, o->p->now);
}

/* ---- the host ---- */

static void kind_moved(struct overlay *o)
{
    for (struct side *s = o->sides; s; s = s->next)
        mesh_moved(s->mesh, o->p->now);
}

static void kind_look(struct overlay *o, bool anyway)
{
    (void)o;
    (void)anyway;
}

/* ---- looking in ---- */

static void kind_describe(struct overlay *o, struct report_overlay *out)
{
    out->source = NODES_OF_NOBODY;
    out->transport = "udp";
    out->mesh = o->sides && o->sides->mesh ? mesh_stats(o->sides->mesh) : NULL;
}

static const char *kind_path(struct overlay *o, const struct peer_info *info, char *out)
{
    struct mesh_info way = {0};
    char by[IPC_NAME_MAX + 1], at[ADDR_STR];
    mesh_info_of(mesh_of(o), o->p->now, info->key, &way);
    *out = '\0';
    for (unsigned i = 0; i < way.n_spots; i++)
        if (way.spot[i].in_use)
            snprintf(out, REPORT_PATH, "direct %s", addr_str(&way.spot[i].addr, at));
    if (way.kind == MESH_DETOUR)
        snprintf(out, REPORT_PATH, "via %.100s", name_of(o, way.by, by));
    if (way.kind == MESH_NONE)
        snprintf(out, REPORT_PATH, "no way: none of its addresses answers");
    return out;
}

static const char *kind_silence(struct overlay *o, const uint8_t key[KEY_LEN])
{
    struct mesh_info way;
    if (!mesh_info_of(mesh_of(o), o->p->now, key, &way))
        return "no answer: it is no member of the mesh";
    if (way.kind != MESH_NONE)
        return NULL;
    return way.n_spots ? "no answer: none of its addresses in the book answers, and no other member reaches it"
                       : "no answer: the book has no address for it (i3ctl book add NAME KEY --at ADDRESS:PORT), and it has not called";
}

const struct overlay_kind overlay_kind_mesh = {
    .name = "mesh",
    .headroom = MESH_HEAD,
    .by_id = true,
    .open = kind_open,
    .change = kind_change,
    .begin = kind_begin,
    .close = kind_close,
    .side_up = kind_side_up,
    .side_down = kind_side_down,
    .rekeyed = kind_rekeyed,
    .way = kind_way,
    .receive = kind_receive,
    .pending = kind_pending,
    .send = kind_send,
    .turn = kind_turn,
    .output = kind_output,
    .deadline = kind_deadline,
    .doubt = kind_doubt,
    .look = kind_look,
    .moved = kind_moved,
    .addresses = kind_moved,
    .describe = kind_describe,
    .path = kind_path,
    .silence = kind_silence,
};
