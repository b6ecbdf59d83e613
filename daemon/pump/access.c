/* pump/access.c - the access table (policy/access.h) of this daemon, and what it means for a packet: a guest's ends here unless it is for a
 * port that is shared with it, or belongs to something which began on our side. No answer tells it that there is anything else.
 */
#include "daemon/pump/box.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/share.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/tcpip/ip6.h"

enum { ICMP_ECHO = 8, ICMP6_ECHO = 128, TCP_MIN = 20 };

/* ---- the table ---- */

/* Whom a section names: somebody in the book, or a key, in whose place a later one may have come. NULL: nobody we know. */
static const uint8_t *allowed(struct pump *p, const char *text, uint8_t key[KEY_LEN])
{
    const struct book_entry *e = book_find(p->book, text);
    if (e)
        return e->multicast ? NULL : e->key;
    if (key_parse(text, key))
        return NULL;
    const struct former *f = former_find(p->sharing->shares, key);
    if (f)
        memcpy(key, f->new, KEY_LEN);
    return key;
}

void access_allow(struct pump *p, struct access_list *l, const char (*names)[CONFIG_NAME_MAX + 1], unsigned n)
{
    uint8_t key[KEY_LEN];
    for (unsigned i = 0; i < n; i++) {
        bool anyone = !strcmp(names[i], ACCESS_ANYONE);
        const uint8_t *who = anyone ? NULL : allowed(p, names[i], key);
        l->anyone |= anyone;
        if (who)
            access_list_add(l, who);
    }
}

bool access_uses(const struct pump *p, enum access_use what, const uint8_t key[KEY_LEN])
{
    return access_may_use(p->access, what, key) && !drop_has(p, key);
}

static void add_exposes(struct pump *p)
{
    for (unsigned i = 0; i < p->config.n_exposes; i++) {
        const struct config_expose *x = &p->config.exposes[i];
        struct door *d = access_add(p->access, ACCESS_EXPOSE, x->name, x->proto, x->port, &x->target);
        if (d)
            access_allow(p, &d->who, x->allow, x->n_allow);
        else
            log_warn("expose %s: there are more than %d doors already", x->name, ACCESS_DOORS);
    }
}

static void add_shares(struct pump *p)
{
    const struct shares *s = p->sharing->shares;
    const struct share *sh;
    const struct grant *g;
    for (unsigned i = 0; (sh = share_at(s, i)); i++) {
        struct door *d = access_add(p->access, ACCESS_SHARE, "", sh->proto, sh->port, &sh->target);
        for (unsigned j = 0; d && (g = grant_at(s, j)); j++)
            if (g->proto == sh->proto && g->port == sh->port)
                door_admit(d, g->key);
    }
}

void access_doubt(struct pump *p, const uint8_t key[KEY_LEN])
{
    uint8_t(*v)[KEY_LEN] = realloc(p->stale, (p->n_stale + 1) * sizeof(*v));
    if (!v)
        return;
    p->stale = v;
    memcpy(p->stale[p->n_stale++], key, KEY_LEN);
}

/* Those to whom something was open until now: who of them may no more is looked at when the resets are out (access_settle()). */
static void note_guests(struct pump *p)
{
    const struct access_list *l;
    for (unsigned i = 0; (l = access_list_at(p->access, i)); i++)
        for (unsigned j = 0; j < l->n_keys; j++)
            if (!names_is_friend(p, l->keys[j]))
                access_doubt(p, l->keys[j]);
}

int access_rebuild(struct pump *p)
{
    note_guests(p);
    access_clear(p->access);
    add_exposes(p);
    add_shares(p);
    if (p->config.n_middleboxes)
        access_allow(p, access_use(p->access, ACCESS_BOX), p->config.middleboxes[0].allow, p->config.middleboxes[0].n_allow);
    if (gateway_config(p))
        access_allow(p, access_use(p->access, ACCESS_GATEWAY), gateway_config(p)->allow, gateway_config(p)->n_allow);
    strangers_recheck(p);
    p->access_turn += 1 + (p->access_turn == UINT32_MAX / 2);
    names_pin_book(p);
    rotation_people(p);
    flow_recheck(p);
    door_recheck(p);
    gateway_recheck(p);
    box_recheck(p);
    return 0;
}

/* ---- who ---- */

/* Worked out once per change, kept in the peer's mark: this is asked for every packet. */
bool access_is_guest(struct pump *p, struct peer *peer)
{
    uint32_t mark = peer_mark(peer);
    if (mark >> 1 != p->access_turn) {
        mark = p->access_turn << 1 | !names_is_friend(p, peer_key(peer));
        peer_set_mark(peer, mark);
    }
    return mark & 1;
}

/* A guest without a peer is nobody. */
const struct door *access_door(struct pump *p, const struct side *s, uint32_t host, uint8_t proto, uint16_t port, bool *guest)
{
    struct side *at; /* the same address of ours is there in each overlay, and the host by one of them */
    struct peer *peer = NULL;
    if (s && !overlay_route(p, s->own, host, &at, &peer))
        peer = NULL;
    *guest = !peer || s->o->anon || access_is_guest(p, peer);
    return peer && !s->group && !s->o->anon ? access_find(p->access, proto, port, peer_key(peer)) : NULL;
}

/* ---- packets of guests ---- */

static bool tcp_admitted(struct pump *p, const struct side *s, const struct peer *peer, const struct ip_header *ip, const uint8_t *tcp)
{
    uint16_t src = ip_load16(tcp), dst = ip_load16(tcp + 2);
    return (!s->o->anon && access_find(p->access, IPPROTO_TCP, dst, peer_key(peer))) ||
           tcpip_has(p->tcpip, ip->v6, s->own, dst, peer_addresses(peer).local, src);
}

static bool guest_admitted(struct pump *p, const struct side *s, const struct peer *peer, const uint8_t *packet, size_t len)
{
    struct ip_header ip;
    if (ip_is_fragment(packet, len))
        return true; /* of datagrams, which are looked at when they are whole (pump/udp.c) */
    if (!(packet[0] >> 4 == 6 ? ip6_parse : ip_parse)(packet, len, &ip))
        return false;
    const uint8_t *body = packet + ip.head_len;
    size_t body_len = (size_t)(ip.len - ip.head_len);
    if (ip.proto == IP_UDP)
        return true; /* as well */
    if (ip.proto == IP_TCP)
        return body_len >= TCP_MIN && tcp_admitted(p, s, peer, &ip, body);
    /* answers to our pings, and errors about what we have sent */
    return ip.proto == (ip.v6 ? IP6_ICMP : IP_ICMP) && body_len && body[0] != (ip.v6 ? ICMP6_ECHO : ICMP_ECHO);
}

bool access_admits(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len)
{
    bool guest = s->o->anon || access_is_guest(p, peer); /* nobody is a friend of an anonymous program */
    if (!guest || guest_admitted(p, s, peer, packet, len))
        return true;
    p->count.packets_barred++;
    if (!s->o->anon)
        drop_misuse(p, peer);
    return false;
}

/* ---- gone ---- */

static void end_sessions(struct pump *p, const uint8_t key[KEY_LEN])
{
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next) {
            struct peer *peer = peer_by_key(s->peers, key);
            if (!peer)
                continue;
            tcpip_fail_remote(p->tcpip, p->now, peer_addresses(peer).local, EHOSTUNREACH, true);
            drop_knower(p, s, peer);
            peer_drop(s->peers, peer);
        }
}

/* At the end of the turn after a change: a guest without a door has no session either, so that not even an empty packet comes back. */
void access_settle(struct pump *p)
{
    if (!p->n_stale)
        return;
    net_output(p); /* the resets */
    while (p->n_stale) {
        const uint8_t *key = p->stale[--p->n_stale];
        if (names_may_talk(p, key))
            continue;
        end_sessions(p, key);
        strangers_forget(p, key);
    }
    free(p->stale);
    p->stale = NULL;
}

void access_forget(struct pump *p, const uint8_t key[KEY_LEN])
{
    if (book_find_key(p->book, key) || names_may_talk(p, key))
        return;
    mcast_forget(p, key);
    drop_forget(p, key);
    end_sessions(p, key);
    if (!groups_by_key(p->groups, key))
        pool_pin(p->pool, key, false);
}
