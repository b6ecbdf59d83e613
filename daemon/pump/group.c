/* pump/group.c - the keys by which this daemon is known (struct side): its user's own, and those of the anycast groups of which it
 * is a member (naming/groups.h). Each has sessions, triggers and virtual addresses of its own; what a program is asked at a group's
 * address it answers from there.
 */
#include "daemon/pump/box.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/rotate.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/pump/anon.h"
#include "daemon/io/files.h"

/* ---- which side ---- */

struct side *side_by_id(const struct overlay *o, const uint8_t id[ID_LEN])
{
    for (struct side *s = o->sides; s; s = s->next)
        if (peers_has_id(s->peers, id))
            return s;
    return NULL;
}

struct side *side_by_own(const struct pump *p, uint32_t own)
{
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next)
            if (s->own == own)
                return s;
    return NULL;
}

uint32_t side_source(const struct pump *p, const uint8_t *ip)
{
    uint32_t src, dst;
    if (ip[0] >> 4 == 4)
        return ip_addresses(ip, IP_HEAD, &src, &dst) ? src : 0;
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (const struct side *s = o->sides; s; s = s->next)
            if (!memcmp(ip + IP6_SRC, s->own6, sizeof(s->own6)))
                return s->own;
    return 0;
}

/* ---- sides come and go ---- */

static void side_link(struct side *s)
{
    struct side **at = &s->o->sides;
    while (*at)
        at = &(*at)->next;
    *at = s;
}

static void side_free(struct side *s)
{
    box_side_gone(s);
    gateway_forget_side(s->o->p, s);
    if (s->o->p->strangers)
        strangers_forget_side(s);
    if (s->o->kind->side_down)
        s->o->kind->side_down(s);
    peers_free(s->peers);
    free(s);
}

/* An id of a trigger of ours: with that suffix, its first bytes. */
static struct i3_id group_id(const uint8_t key[KEY_LEN], const uint8_t *member)
{
    struct i3_id id;
    id_of_key(&id, key, NULL);
    if (member)
        memcpy(id.b + ID_PREFIX_LEN, member, GROUP_MEMBER_LEN);
    else
        memset(id.b + ID_PREFIX_LEN, 0xff, ID_LEN - ID_PREFIX_LEN);
    return id;
}

static int add_triggers(struct overlay *o, const struct group *g)
{
    struct i3_id one = group_id(g->entry.key, g->member), all = group_id(g->entry.key, NULL);
    int err = overlay_announce(o, &all, 256, g->priv, g->entry.key, INSERT_SHORTCUT);
    if (!err && g->kind == GROUP_ANYCAST)
        err = overlay_announce(o, &one, 128, g->priv, g->entry.key, INSERT_SHORTCUT);
    return err;
}

static void remove_triggers(struct overlay *o, const struct group *g)
{
    struct i3_id one = group_id(g->entry.key, g->member), all = group_id(g->entry.key, NULL);
    overlay_withdraw(o, &all, 256);
    overlay_withdraw(o, &one, 128);
}

/* May that key have a session with us as the group's member? As with us ourselves: it is in the book. */
static bool side_known(void *ctx, const uint8_t key[KEY_LEN])
{
    struct side *s = ctx;
    struct pump *p = s->o->p;
    if ((!names_is_friend(p, key) && !box_may_use(p, key) && !gateway_allows(p, key)) || !overlay_may_have(s->o, key))
        return false;
    uint32_t ip = pool_get(p->pool, p->now, key);
    return ip && !side_by_own(p, ip) && peer_get(s->peers, key, ip);
}

static void boxes_named(void *ctx, struct peer *peer, const struct peer_boxes *theirs)
{
    box_named(ctx, peer, theirs);
}

/* An old key of the user's says what the new one is, to those who know it. */
static bool known_before(void *ctx, const uint8_t key[KEY_LEN])
{
    struct overlay *o = ctx;
    return names_is_known(o->p, key) && names_may_talk(o->p, key) && overlay_may_have(o, key);
}

static bool known_to_nobody(void *ctx, const uint8_t key[KEY_LEN])
{
    (void)ctx;
    (void)key;
    return false;
}

/* What peers are told of an anonymous program is what they are told of every other. */
static void say_nothing(struct peers_config *c, const uint8_t key[KEY_LEN])
{
    enum { NETWORK = 10 << 24, NETWORK_BITS = 8 }; /* the default one, whatever ours is */
    struct i3_id id;
    id_of_key(&id, key, NULL);
    c->anonymous = true;
    c->pool = NETWORK;
    c->pool_bits = NETWORK_BITS;
    c->own_address = id_address(&id, NETWORK, NETWORK_BITS);
    c->ciphers = CIPHER_AES256GCM | CIPHER_CHACHA20POLY1305;
    c->plain = c->shortcut = c->probe_mtu = false;
    c->mtu = ANON_MTU;
    c->recv_buffer = ANON_RECV_BUFFER;
    c->known = known_to_nobody;
    c->meet = NULL;
}

static struct side *side_make(struct overlay *o, const struct group *g, const struct retired *old, const uint8_t priv[KEY_LEN],
    const uint8_t key[KEY_LEN])
{
    struct pump *p = o->p;
    struct side *s = calloc(1, sizeof(*s));
    struct peers_config c;
    if (!s)
        return NULL;
    s->o = o;
    s->group = g;
    s->retired = old;
    memcpy(s->key, key, KEY_LEN);
    s->own = old ? 0 : o->anon ? pool_pass(p->pool, p->now, key, false) : pool_get(p->pool, p->now, key);
    if (!old && !o->anon)
        pool_pin(p->pool, key, true);
    if (!old && !s->own) {
        free(s);
        return NULL;
    }
    pool_address6(p->pool, s->own, s->own6);
    pump_peers_config(o, &c);
    c.own_address = old ? p->own : s->own;
    c.shortcut = c.shortcut && !old;
    memcpy(c.priv, priv, KEY_LEN);
    memcpy(c.pub, key, KEY_LEN);
    if (old) {
        c.known = known_before;
        c.meet = NULL;
    }
    if (g) {
        memcpy(c.member, g->member, GROUP_MEMBER_LEN);
        c.known = side_known;
        c.boxes = boxes_named;
        c.meet = NULL;
        c.ctx = s;
    }
    if (o->anon)
        say_nothing(&c, key);
    s->peers = peers_new(&c);
    if (s->peers)
        id_of_key(&s->session_id, c.session_pub, NULL);
    if (!s->peers || o->kind->side_up(s) ||
        overlay_announce(o, &s->session_id, 128, c.session_priv, c.session_pub, o->anon ? INSERT_ALONE : INSERT_SHORTCUT | INSERT_ALONE)) {
        crypto_wipe(&c, sizeof(c));
        side_free(s);
        return NULL;
    }
    crypto_wipe(&c, sizeof(c));
    side_link(s);
    return s;
}

struct side *side_new(struct overlay *o, const struct group *g)
{
    const struct pump *p = o->p;
    return side_make(o, g, NULL, g ? g->priv : p->identity.priv, g ? g->entry.key : p->identity.pub);
}

struct side *side_new_hidden(struct overlay *o)
{
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    drbg_draw(&o->p->random, priv, sizeof(priv));
    x25519_public(pub, priv);
    struct side *s = side_make(o, NULL, NULL, priv, pub);
    crypto_wipe(priv, sizeof(priv));
    return s;
}

struct side *side_new_retired(struct overlay *o, const struct retired *old)
{
    return side_make(o, NULL, old, old->priv, old->pub);
}

void sides_free(struct overlay *o)
{
    for (struct side *s = o->sides, *next; s; s = next) {
        next = s->next;
        side_free(s);
    }
    o->sides = NULL;
}

void side_end(struct side *s)
{
    struct overlay *o = s->o;
    struct pump *p = o->p;
    struct side **at = &o->sides;
    renew_stop(s);
    if (s->own)
        flow_end_local(p, s->own);
    net_output(p); /* the resets */
    while (peers_leave(s->peers, p->now, &o->out))
        net_flush(o);
    net_flush(o);
    overlay_withdraw(o, &s->session_id, 128);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    side_free(s);
}

/* ---- groups ---- */

/* From now on a session with the group would be one with ourselves. */
static void forget_as_peer(struct pump *p, const uint8_t key[KEY_LEN])
{
    for (struct overlay *o = p->overlays; o; o = o->next) {
        struct peer *peer = peer_by_key(o->peers, key);
        if (!peer)
            continue;
        tcpip_fail_remote(p->tcpip, p->now, peer_addresses(peer).local, ENETRESET, true);
        peer_drop(o->peers, peer);
    }
}

static int group_begin(struct pump *p, const struct group *g)
{
    char full[IPC_NAME_MAX + 1];
    struct overlay *o = overlay_of_entry(p, g->entry.name, full);
    int err = o->kind->named ? add_triggers(o, g) : -EOPNOTSUPP;
    if (err)
        return err;
    pool_pin(p->pool, g->entry.key, true);
    err = g->kind == GROUP_MULTICAST ? mcast_join(p, g) : side_new(o, g) ? 0 : -ENOMEM;
    if (err)
        remove_triggers(o, g);
    return err;
}

static void groups_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/groups", p->paths.data);
}

static int groups_save(const struct pump *p)
{
    char path[sizeof(p->paths.data) + 16];
    size_t len;
    char *text = groups_format(p->groups, &len);
    if (!text)
        return -ENOMEM;
    groups_path(p, path, sizeof(path));
    int err = file_write(path, text, len, true);
    crypto_wipe(text, len);
    free(text);
    return err;
}

int group_enter(struct pump *p, const struct group *g)
{
    int err = groups_add(p->groups, g);
    if (err)
        return err;
    const struct group *mine = groups_find(p->groups, g->entry.name);
    err = groups_save(p);
    if (!err) {
        forget_as_peer(p, mine->entry.key);
        err = group_begin(p, mine);
    }
    if (err) {
        groups_remove(p->groups, mine);
        groups_save(p);
    }
    return err;
}

int group_leave(struct pump *p, const struct group *g)
{
    struct group old = *g;
    for (struct overlay *o = p->overlays; o; o = o->next) {
        struct side *s = o->sides;
        while (s && s->group != g)
            s = s->next;
        remove_triggers(o, g);
        if (s)
            side_end(s);
        net_flush(o);
    }
    mcast_leave(p, g->entry.key);
    groups_remove(p->groups, g);
    if (!book_find_key(p->book, old.entry.key))
        pool_pin(p->pool, old.entry.key, false);
    int err = groups_save(p);
    crypto_wipe(&old, sizeof(old));
    access_rebuild(p);
    return err;
}

int group_load(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 16], *text;
    unsigned line;
    size_t len;
    groups_path(p, path, sizeof(path));
    int err = file_read(path, true, &text, &len);
    if (err == -ENOENT)
        return 0;
    if (err) {
        snprintf(why, whylen, "%s: %s", path, err == -EPERM ? "must be yours and readable by you alone" : strerror(-err));
        return err;
    }
    err = groups_parse(p->groups, text, len, &line);
    crypto_wipe(text, len);
    free(text);
    if (err)
        snprintf(why, whylen, "%s:%u: damaged, or written by another version; it is left as it is", path, line);
    return err;
}

static struct side *side_of_group(const struct overlay *o, const struct group *g)
{
    struct side *s = o->sides;
    while (s && s->group != g)
        s = s->next;
    return s;
}

static void group_end_at(struct overlay *o, const struct group *g)
{
    struct side *s = side_of_group(o, g);
    remove_triggers(o, g);
    if (s)
        side_end(s);
    net_flush(o);
}

void group_leave_overlay(struct overlay *o)
{
    const struct group *g;
    for (unsigned i = 0; (g = groups_at(o->p->groups, i)); i++)
        group_end_at(o, g);
}

void group_resettle(struct pump *p)
{
    char full[IPC_NAME_MAX + 1];
    const struct group *g;
    for (unsigned i = 0; (g = groups_at(p->groups, i)); i++) {
        struct overlay *home = overlay_of_entry(p, g->entry.name, full);
        bool there = g->kind == GROUP_MULTICAST ? mcast_is_at(p, g->entry.key, home) : side_of_group(home, g) != NULL;
        if (there)
            continue;
        for (struct overlay *o = p->overlays; o; o = o->next)
            group_end_at(o, g);
        mcast_leave(p, g->entry.key);
        int err = group_begin(p, g);
        if (err)
            log_error("group name=%s cannot be served err=%d", g->entry.name, err);
    }
}

void group_stop(struct pump *p)
{
    for (struct overlay *o = p->overlays; o; o = o->next)
        for (struct side *s = o->sides; s; s = s->next)
            while (s->group && peers_leave(s->peers, p->now, &o->out))
                net_flush(o);
}

void group_start(struct pump *p)
{
    const struct group *g;
    for (unsigned i = 0; (g = groups_at(p->groups, i)); i++) {
        int err = group_begin(p, g);
        if (err)
            log_error("group name=%s cannot be served err=%d", g->entry.name, err);
    }
}
