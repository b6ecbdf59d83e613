/* pump/names.c - names to keys to virtual addresses, and back. */
#include "daemon/pump/box.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/policy.h"
#include "daemon/pump/share.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "daemon/pump/lookup.h"

/* The handshake's arithmetic comes that much after the answer to a look-up: the kernel tends to wake the program on our own
 * processor, where it would wait for the end of it. */
enum { AFTER_ANSWER_US = 300 };

struct overlay *names_bare(const struct pump *p, const char *name, char bare[IPC_NAME_MAX + 1])
{
    size_t len = strlen(name), n, first = strlen(p->overlays->suffix);
    if (len && name[len - 1] == '.')
        len--;
    struct overlay *o = overlay_of_name(p, name, len, &n);
    if (!o || len > IPC_NAME_MAX)
        return NULL;
    if (o != p->overlays)
        n = len > first && !strncasecmp(name + len - first, p->overlays->suffix, first) ? len - first : len;
    memcpy(bare, name, n);
    bare[n] = '\0';
    return o;
}

const struct book_entry *names_find(const struct pump *p, const char *name)
{
    char bare[IPC_NAME_MAX + 1];
    const struct overlay *o = names_bare(p, name, bare);
    const struct book_entry *e = o ? book_find(p->book, bare) : NULL;
    const struct group *g = !o || e ? NULL : groups_find(p->groups, bare);
    e = g ? &g->entry : e;
    char full[IPC_NAME_MAX + 1];
    return e && overlay_of_entry(p, e->name, full) == o ? e : NULL;
}

const struct book_entry *names_entry(const struct pump *p, const uint8_t key[KEY_LEN])
{
    const struct book_entry *e = book_find_key(p->book, key);
    const struct group *g = e ? NULL : groups_by_key(p->groups, key);
    return g ? &g->entry : e;
}

bool names_is_friend(const struct pump *p, const uint8_t key[KEY_LEN])
{
    const struct book_entry *e = book_find_key(p->book, key);
    return e && !e->multicast && !e->guest && !drop_has(p, key);
}

/* By more than being anyone. */
bool names_is_known(const struct pump *p, const uint8_t key[KEY_LEN])
{
    const struct shares *s = p->sharing->shares;
    return book_find_key(p->book, key) || access_names(p->access, key) || received_from(s, key) || former_find(s, key) ||
           box_knows(p, key);
}

bool names_may_talk(const struct pump *p, const uint8_t key[KEY_LEN])
{
    const struct shares *s = p->sharing->shares;
    const struct book_entry *e = book_find_key(p->book, key);
    return !drop_has(p, key) &&
           (names_is_friend(p, key) || access_knows(p->access, key) || received_from(s, key) || former_find(s, key) || (e && e->learned) ||
            box_knows(p, key));
}

bool names_is_multicast(struct pump *p, uint32_t ip)
{
    const uint8_t *key = pool_key(p->pool, p->now, ip);
    const struct book_entry *e = key ? names_entry(p, key) : NULL;
    return e && e->multicast;
}

/* The ids of those that packets to e pass first. A name that is in the book no more, or a group, or of another overlay, keeps its place as an id that nobody
 * has: rather no way than one that was not meant. */
static void set_via(struct side *s, struct peer *peer, const struct book_entry *e)
{
    struct overlay *o = anon_ring(s->o);
    struct pump *p = s->o->p;
    struct i3_id via[PEER_VIA_MAX] = {0};
    char name[BOOK_NAME_MAX + 1];
    unsigned n = 0;
    for (const char *at = e->via; n < PEER_VIA_MAX && book_via_next(&at, name); n++) {
        const struct book_entry *box = book_find(p->book, name);
        if (box && !box->multicast && twin_entry_in(p, o, box->key))
            id_of_key(&via[n], box->key, NULL);
    }
    peer_set_via(s->peers, peer, via, n);
}

/* The peer of an entry in the book; NULL: it is ourselves, or none can be had, or there is none at a multicast group. */
static struct peer *peer_of(struct side *s, const struct book_entry *e, uint32_t ip)
{
    uint8_t place[GROUP_MEMBER_LEN];
    struct pump *p = s->o->p;
    if (!ip || side_by_own(p, ip) || e->multicast)
        return NULL;
    struct peer *peer = peer_get(s->peers, e->key, ip);
    if (peer && e->via && !peer_box(peer))
        set_via(s, peer, e);
    if (peer && s->o->anon)
        box_policy(s, peer, e); /* for the rest it wants what all instances want */
    else if (peer)
        policy_peer(p, s->o, peer, e);
    if (peer && e->near)
        peer_set_near(peer, place, place_bytes(e->near, place));
    return peer;
}

/* As the entry e has it, which may be one of several of that key; NULL: none. */
static struct peer *peer_by(struct side *s, const uint8_t key[KEY_LEN], const struct book_entry *e, uint32_t ip)
{
    struct pump *p = s->o->p;
    struct peer *peer = e ? peer_of(s, e, ip) : !side_by_own(p, ip) ? peer_get(s->peers, key, ip) : NULL;
    if (peer)
        drop_peer_made(p, s, peer);
    return peer;
}

struct peer *names_peer(struct side *s, const uint8_t key[KEY_LEN], uint32_t ip)
{
    return peer_by(s, key, names_entry(s->o->p, key), ip);
}

static uint32_t address(struct pump *p, const uint8_t key[KEY_LEN], const struct book_entry *e, uint64_t later_us)
{
    uint32_t ip = e ? twin_address(p, e, false) : pool_get(p->pool, p->now, key);
    char full[IPC_NAME_MAX + 1];
    state_save_mappings(p);
    struct overlay *o = e ? overlay_of_entry(p, e->name, full) : overlay_of_key(p, key);
    struct side *s = ip && o ? side_in(p, o) : NULL;
    if (!s)
        return 0;
    struct peer *peer = peer_by(s, key, e, ip);
    if (peer)
        peer_open(s->peers, peer, mono_add(p->now, later_us), p->wall);
    return ip;
}

uint32_t names_address(struct pump *p, const uint8_t key[KEY_LEN], uint64_t later_us)
{
    return address(p, key, names_entry(p, key), later_us);
}

uint32_t names_address_of(struct pump *p, const struct book_entry *e, uint64_t later_us)
{
    return address(p, e->key, e, later_us);
}

uint32_t names_address_at(struct pump *p, uint32_t ip)
{
    const uint8_t *key = pool_key(p->pool, p->now, ip);
    const struct book_entry *e = twin_is(p, key) ? twin_entry(p, key) : NULL;
    return e ? names_address_of(p, e, 0) : key ? names_address(p, key, 0) : 0;
}

int names_look(struct pump *p, const char *name, const struct book_entry **e, const char **why)
{
    char bare[IPC_NAME_MAX + 1], full[IPC_NAME_MAX + 1];
    struct overlay *o = names_bare(p, name, bare);
    size_t len = strlen(name);
    *e = names_find(p, name);
    *why = "";
    if (!o || (!*e && (book_find(p->book, bare) || len > IPC_NAME_MAX)))
        return ENOENT;
    len -= len && name[len - 1] == '.';
    snprintf(full, sizeof(full), "%.*s", (int)len, name);
    if (p->by) /* whoever else would be asked would be asked by us */
        return *e ? 0 : ENOENT;
    int status = lookup_name(p, o, full, bare, *e, why);
    if (!status && !*e)
        *e = names_find(p, name);
    return status ? status : *e ? 0 : ENOENT;
}

void names_resolve(struct pump *p, const char *name, struct ipc_resolved *out)
{
    const struct book_entry *e;
    const char *why;
    int status = names_look(p, name, &e, &why);
    uint32_t ip = !status ? names_address_of(p, e, AFTER_ANSWER_US) : 0;
    *out = (struct ipc_resolved){.status = status ? (uint32_t)status : !ip ? EAGAIN : 0};
    if (!ip)
        return;
    out->addr = addr_v4(ip, 0);
    if (!twin_is(p, pool_key(p->pool, p->now, ip)))
        out->addr6 = names_host_address(p, ip, 6, 0);
}

uint32_t names_host(struct pump *p, const struct addr *a)
{
    if (a->family == 4)
        return addr_ip4(a);
    return addr_has_prefix6(a) ? pool_find6(p->pool, p->now, a->ip) : 0;
}

struct addr names_host_address(const struct pump *p, uint32_t ip, uint8_t family, uint16_t port)
{
    uint8_t ip6[16];
    if (family == 4)
        return addr_v4(ip, port);
    return pool_address6(p->pool, ip, ip6) ? addr_v6(ip6, port) : (struct addr){0};
}

const char *names_reverse(struct pump *p, uint32_t ip, char out[IPC_NAME_MAX + 1])
{
    const uint8_t *key = pool_contains(p->pool, ip) ? pool_key(p->pool, p->now, ip) : NULL;
    const struct book_entry *e = twin_entry(p, key);
    const struct via *v = key && !e ? gate_via(p, ip) : NULL;
    if (v)
        snprintf(out, IPC_NAME_MAX + 1, "%s", v->key.full);
    if (v)
        return out;
    if (!e)
        return NULL;
    overlay_of_entry(p, e->name, out);
    return out;
}

bool names_is_virtual(struct pump *p, uint32_t ip)
{
    return pool_contains(p->pool, ip) && !pool_is_excluded(p->pool, ip) && pool_key(p->pool, p->now, ip);
}

bool names_is_ours(struct pump *p, const struct addr *a)
{
    return addr_has_prefix6(a) || names_is_virtual(p, names_host(p, a));
}

/* Who is named by a door, in the book or not, is known by an address before it calls; without a name by whichever overlay it calls. */
static void pin_guest(struct pump *p, const uint8_t key[KEY_LEN])
{
    uint32_t ip = book_find_key(p->book, key) ? 0 : pool_get(p->pool, p->now, key);
    if (!ip || side_by_own(p, ip))
        return;
    pool_pin(p->pool, key, true);
    for (struct overlay *o = p->overlays; o; o = o->next)
        if (overlay_may_have(o, key))
            peer_get(o->peers, key, ip);
}

/* The keys of the book have their addresses for good, whether they are used or not, and may open a session. */
void names_pin_book(struct pump *p)
{
    for (size_t i = 0; i < book_count(p->book); i++) {
        const struct book_entry *e = book_at(p->book, i);
        char full[IPC_NAME_MAX + 1];
        const struct overlay *o = overlay_of_entry(p, e->name, full);
        uint32_t ip = twin_address(p, e, true);
        if (o)
            peer_of(o->sides, e, ip);
    }
    const struct access_list *l;
    for (unsigned i = 0; (l = access_list_at(p->access, i)); i++)
        for (unsigned j = 0; j < l->n_keys; j++)
            pin_guest(p, l->keys[j]);
}
