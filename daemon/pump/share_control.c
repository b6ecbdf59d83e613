/* pump/share_control.c - the verbs share, unshare, join and peers. */
#include "daemon/pump/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/io/clock.h"

enum { SECONDS_MAX = 7 * 86400, REACH_NAME = 80 };

/* ---- pieces ---- */

static bool take_port(struct control_call *k, int at, uint8_t *proto, uint16_t *port)
{
    unsigned n = 0;
    char end;
    *proto = !strcmp(k->argv[at], "udp") ? IPPROTO_UDP : IPPROTO_TCP;
    if ((!strcmp(k->argv[at], "tcp") || *proto == IPPROTO_UDP) && sscanf(k->argv[at + 1], "%5u%c", &n, &end) == 1 && n && n < 65536) {
        *port = (uint16_t)n;
        return true;
    }
    control_fail(k, report_error("'%s' is no port: a number from 1 to 65535, with /udp behind it for UDP", k->argv[at + 1]));
    return false;
}

static const char *proto_of(uint8_t proto)
{
    return proto == IPPROTO_UDP ? "/udp" : "";
}

/* "name.i3" of a key, NULL: it has none in the book. */
static const char *name_of(void *ctx, const uint8_t *key)
{
    static char full[IPC_NAME_MAX + 1];
    const struct pump *p = ctx;
    const struct book_entry *e = book_find_key(p->book, key);
    if (!e)
        return NULL;
    overlay_of_entry(p, e->name, full);
    return full;
}

/* The key that is meant by a name of the book, or is written out; 0, or the call has its answer. */
static int who(struct control_call *k, char *text, uint8_t key[KEY_LEN])
{
    const struct book_entry *e = book_find(k->p->book, control_bare_name(k->p, text));
    if (e && e->multicast) {
        control_fail(k, report_error("%s is a multicast group: a port is shared with people", text));
        return -EINVAL;
    }
    if (e) {
        memcpy(key, e->key, KEY_LEN);
        return 0;
    }
    if (key_parse(text, key) == 0)
        return 0;
    control_fail(k, report_error("%s is neither in your book ('i3ctl book ls') nor a key (52 characters, as 'i3ctl id' prints it there)", text));
    return -ENOENT;
}

/* ---- share ---- */

/* Where the door leads: "" stands for the same port of this machine. */
static bool take_target(struct control_call *k, const char *text, uint16_t port, struct addr *target)
{
    *target = addr_v4(INADDR_LOOPBACK, port);
    if (*text && (config_parse_addr(target, text, 0) || !target->port || addr_is_any(target) || addr_is_group(target))) {
        control_fail(k, report_error("'%s' is no target: ADDRESS:PORT of the server, as 127.0.0.1:8080", text));
        return false;
    }
    if (!names_is_ours(k->p, target))
        return true;
    control_fail(k, report_error("%s is an address of the overlay: share it there, on the machine that has the server", text));
    return false;
}

/* As share_add(), in words. */
static bool open_share(struct control_call *k, uint8_t proto, uint16_t port, const struct addr *target)
{
    struct shares *s = k->p->sharing->shares;
    int err = share_add(s, proto, port, target);
    char is[ADDR_STR];
    if (err == -EEXIST)
        control_fail(k, report_error("port %u%s is shared already and leads to %s: 'i3ctl unshare %u%s' first, or share another port", port,
                    proto_of(proto), addr_str(&share_find(s, proto, port)->target, is), port, proto_of(proto)));
    else if (err)
        control_fail(k, report_error("%d ports is the most that can be shared: 'i3ctl unshare' one first", SHARES_MAX));
    return !err;
}

static bool save(struct control_call *k, char *mark, size_t len)
{
    int err = mark ? share_save(k->p) : -ENOMEM;
    if (err) {
        share_undo(k->p, mark, len);
        control_fail(k, report_error("what is shared cannot be written down: %s. Nothing has changed", strerror(-err)));
        return false;
    }
    crypto_wipe(mark, len);
    free(mark);
    return true;
}

/* Nodes that the user names, "ADDRESS:PORT,...": known from now on. */
static bool take_nodes(struct control_call *k, char *text)
{
    struct pump *p = k->p;
    struct overlay *o = p->overlays;
    struct addr all[CONFIG_NODES_MAX];
    unsigned n = o->ring->n_configured;
    bool news = false;
    memcpy(all, o->ring->configured, n * sizeof(*all));
    for (char *at = text, *next; *at; at = next) {
        struct addr a;
        bool known = false;
        next = at + strcspn(at, ",");
        if (*next)
            *next++ = '\0';
        if (config_parse_addr(&a, at, CONFIG_DEFAULT_PORT) || addr_is_any(&a) || addr_is_group(&a)) {
            control_fail(k, report_error("'%s' is no node: ADDRESS or ADDRESS:PORT", at));
            return false;
        }
        for (unsigned i = 0; i < n; i++)
            known |= addr_eq(&all[i], &a);
        if (known || n == CONFIG_NODES_MAX)
            continue;
        all[n++] = a;
        news = true;
    }
    if (!news)
        return true;
    if (o->ring->by_config) {
        control_fail(k, report_error("%s names your overlay nodes, and that one is not among them: put it there, or leave out --node", p->paths.config));
        return false;
    }
    int err = overlay_nodes_save(p, all, n);
    if (err)
        control_fail(k, report_error("the nodes cannot be written down: %s", strerror(-err)));
    return !err;
}

/* The nodes that a code carries: the one in use first. */
static void put_nodes(const struct overlay *o, struct invite *i)
{
    struct addr all[CONFIG_NODES_MAX + 1];
    unsigned n = 0;
    struct addr home = addr_by(&o->ring->node_addr, ADDR_UDP);
    for (int in_use = 1; in_use >= 0; in_use--)
        for (unsigned a = 0; a < o->ring->n_configured; a++)
            if (addr_eq(&o->ring->configured[a], &home) == in_use)
                all[n++] = o->ring->configured[a];
    if (!n)
        all[n++] = addr_v4(INADDR_LOOPBACK, CONFIG_DEFAULT_PORT);
    for (unsigned a = 0; a < n && i->n < INVITE_NODES; a++) {
        i->nodes[i->n] = all[a];
        i->nodes[i->n].via = ADDR_UDP;
        i->n++;
    }
}

static bool local_only(const struct invite *i)
{
    for (unsigned a = 0; a < i->n; a++)
        if (!addr_is_loopback(&i->nodes[a]))
            return false;
    return true;
}

static void code_of(struct pump *p, const struct invitation *v, char code[INVITE_STR], bool *local)
{
    struct invite i = {0};
    memcpy(i.token, v->token, sizeof(i.token));
    memcpy(i.prefix, p->public_id.b, sizeof(i.prefix));
    put_nodes(p->overlays, &i);
    *local = local_only(&i);
    invite_format(&i, code);
    crypto_wipe(&i, sizeof(i));
}

static const char *tag_text(const struct invitation *v, char out[2 * TOKEN_TAG_LEN + 1])
{
    for (unsigned i = 0; i < TOKEN_TAG_LEN; i++)
        snprintf(out + 2 * i, 3, "%02x", v->tag[i]);
    return out;
}

/* A label of the user's, or none. */
static bool take_label(struct control_call *k, const char *text, char out[SHARE_NAME_MAX + 1])
{
    *out = '\0';
    if (!*text || share_label(text, out))
        return true;
    control_fail(k, report_error("'%s' cannot be a name here: up to %d letters, digits, '-' and '_', without dots", text, SHARE_NAME_MAX));
    return false;
}

/* share new PROTO PORT TARGET NAME AS SECONDS NODES */
static void share_new(struct control_call *k)
{
    struct pump *p = k->p;
    struct shares *s = p->sharing->shares;
    struct invitation v = {.made = p->wall};
    struct addr target;
    char *end, code[INVITE_STR], tag[2 * TOKEN_TAG_LEN + 1], as[SHARE_NAME_MAX + 1];
    unsigned long seconds = strtoul(k->argv[7], &end, 10);
    if (!take_port(k, 2, &v.proto, &v.port) || !take_target(k, k->argv[4], v.port, &target) || !take_label(k, k->argv[5], v.name) ||
        !take_label(k, k->argv[6], v.as))
        return;
    if (*end || seconds < 1 || seconds > SECONDS_MAX) {
        control_fail(k, report_error("a code is good for one second to seven days: --for 10m, 2h, 1d"));
        return;
    }
    if (*v.name && (book_find(p->book, v.name) || groups_find(p->groups, v.name))) {
        control_fail(k, report_error("%s is in your book already. Is it that one? Then no code is needed: i3ctl share %u%s --to %s. If not, choose "
                                     "another name", v.name, v.port, proto_of(v.proto), v.name));
        return;
    }
    if (*k->argv[8] && !take_nodes(k, k->argv[8]))
        return;
    size_t len;
    char *mark = share_mark(p, &len);
    if (!open_share(k, v.proto, v.port, &target)) {
        share_undo(p, mark, len);
        return;
    }
    v.until = p->wall + seconds * USEC_PER_SEC;
    entropy_fill(v.token, sizeof(v.token));
    invite_tag(v.tag, v.token);
    if (invitation_add(s, &v)) {
        share_undo(p, mark, len);
        control_fail(k, report_error("%d codes wait to be used: 'i3ctl share --cancel' takes them back", INVITATIONS_MAX));
        return;
    }
    if (!save(k, mark, len))
        return;
    access_rebuild(p);
    p->sharing->expire_at = p->now;
    share_own_name(as);
    struct report_share r = {.proto = v.proto, .port = v.port, .target = target, .code = code, .tag = tag_text(&v, tag), .name = v.name,
        .as = *v.as ? v.as : as, .service = service_name(v.proto, v.port), .seconds = seconds};
    code_of(p, &v, code, &r.local_only);
    control_done(k, report_share_new(&r));
    crypto_wipe(&v, sizeof(v));
    crypto_wipe(code, sizeof(code));
}

/* share to PROTO PORT TARGET WHO NAME: without an invitation, to a key that is known. */
static void share_to(struct control_call *k)
{
    struct pump *p = k->p;
    uint8_t proto, key[KEY_LEN];
    uint16_t port;
    struct addr target;
    char name[SHARE_NAME_MAX + 1];
    if (!take_port(k, 2, &proto, &port) || !take_target(k, k->argv[4], port, &target) || who(k, k->argv[5], key) || !take_label(k, k->argv[6], name))
        return;
    if (!memcmp(key, p->identity.pub, KEY_LEN)) {
        control_fail(k, report_error("that is your own key"));
        return;
    }
    const struct book_entry *other = *name ? book_find(p->book, name) : NULL;
    if (other && memcmp(other->key, key, KEY_LEN)) {
        control_fail_with(k, STATUS_KEY_CHANGED, control_changed_key(name, other->key, key));
        return;
    }
    bool added = *name && !other;
    int err = added ? book_add_with(p->book, name, key, &(struct book_options){.guest = !book_find_key(p->book, key) || book_find_key(p->book, key)->guest}) : 0;
    if (!err && added && (err = pump_book_save(p)) < 0)
        book_remove(p->book, name);
    if (err) {
        control_fail(k, report_error("the book cannot be saved: %s", strerror(-err)));
        return;
    }
    size_t len;
    char *mark = share_mark(p, &len);
    if (!open_share(k, proto, port, &target)) {
        share_undo(p, mark, len);
        return;
    }
    if (share_grant(p->sharing->shares, proto, port, key)) {
        share_undo(p, mark, len);
        control_fail(k, report_error("%d people is the most that a port can be shared with", ACCESS_KEYS));
        return;
    }
    if (!save(k, mark, len))
        return;
    access_rebuild(p);
    struct report_share r = {.proto = proto, .port = port, .target = target, .name = name_of(p, key), .service = service_name(proto, port), .key = key,
        .address = p->own};
    control_done(k, report_share_new(&r));
}

static void share_list(struct control_call *k)
{
    control_done(k, report_shares(k->p->sharing->shares, k->p->wall, name_of, k->p));
}

/* share cancel [PROTO PORT] */
static void share_cancel(struct control_call *k)
{
    struct pump *p = k->p;
    uint8_t proto = 0;
    uint16_t port = 0;
    size_t len;
    if (k->argc == 3) {
        control_fail(k, report_error("usage: share cancel [PROTO PORT]"));
        return;
    }
    if (k->argc > 3 && !take_port(k, 2, &proto, &port))
        return;
    char *mark = share_mark(p, &len);
    unsigned n = mark ? invitation_withdraw(p->sharing->shares, proto, port, p->wall) : 0;
    shares_expire(p->sharing->shares, p->wall);
    if (!save(k, mark, len))
        return;
    share_withdrawn(p);
    access_rebuild(p);
    control_done(k, report_unshared(0, 0, n, 0, NULL));
}

static void share_wait_verb(struct control_call *k)
{
    uint8_t tag[TOKEN_TAG_LEN];
    bool ok = strlen(k->argv[2]) == 2 * TOKEN_TAG_LEN;
    for (unsigned i = 0; ok && i < TOKEN_TAG_LEN; i++) {
        unsigned v;
        ok = sscanf(k->argv[2] + 2 * i, "%2x", &v) == 1;
        tag[i] = (uint8_t)v;
    }
    const struct invitation *v = ok ? invitation_by_tag(k->p->sharing->shares, tag) : NULL;
    if (!v)
        control_fail(k, report_error("there is no such invitation"));
    else if (share_wait(k, tag))
        control_fail(k, report_error("%d wait already", SHARE_WAITERS_MAX));
    else if (invitation_state(v, k->p->wall) != INVITATION_OPEN)
        share_tell(k->p, v);
}

void verb_share(struct control_call *k)
{
    static const struct {
        const char *name;
        int min, max;
        void (*run)(struct control_call *);
    } verbs[] = {{"new", 9, 9, share_new}, {"to", 7, 7, share_to}, {"list", 2, 2, share_list}, {"cancel", 2, 4, share_cancel}, {"wait", 3, 3, share_wait_verb}};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (k->argc >= verbs[i].min && k->argc <= verbs[i].max && !strcmp(k->argv[1], verbs[i].name)) {
            verbs[i].run(k);
            return;
        }
    }
    control_fail(k, report_error("usage: share new PROTO PORT TARGET NAME AS SECONDS NODES | to PROTO PORT TARGET WHO NAME | list | cancel [PROTO PORT] | wait TAG"));
}

/* ---- unshare ---- */

/* What i3.conf opens to the key all the same, as "port 22"; NULL: nothing. key NULL: to anybody at that port. */
static const char *still_open(const struct pump *p, uint8_t proto, uint16_t port, const uint8_t *key, char out[REACH_NAME])
{
    const struct door *d;
    for (unsigned i = 0; (d = access_at(p->access, i)); i++) {
        if (d->source != ACCESS_EXPOSE || (port && (d->proto != proto || d->port != port)) || (key && !access_list_names(&d->who, key)))
            continue;
        snprintf(out, REACH_NAME, "port %u%s", d->port, proto_of(d->proto));
        return out;
    }
    return NULL;
}

/* Guests who can reach nothing here, and share nothing with us, go from the book: a share has brought them in. Returns how many. */
static unsigned drop_guests(struct pump *p)
{
    unsigned n = 0;
    for (size_t i = book_count(p->book); i-- > 0;) {
        const struct book_entry *e = book_at(p->book, i);
        uint8_t key[KEY_LEN];
        char name[BOOK_NAME_MAX + 1];
        if (!e->guest || names_may_talk(p, e->key))
            continue;
        memcpy(key, e->key, sizeof(key));
        memcpy(name, e->name, sizeof(name));
        book_remove(p->book, name);
        access_forget(p, key);
        n++;
    }
    return n;
}

/* Shares have been taken back, and that is on the disk: it takes effect now. */
static void shut(struct control_call *k, unsigned ports, unsigned keys, unsigned invitations, uint8_t proto, uint16_t port, const uint8_t *key)
{
    struct pump *p = k->p;
    char still[REACH_NAME];
    uint64_t before = p->count.cut;
    access_rebuild(p);
    net_output(p); /* the resets, while there are sessions for them */
    if (drop_guests(p)) {
        int err = pump_book_save(p);
        if (err)
            log_warn("book cannot be written err=%d: guests without a share are in it again after a restart", err);
        access_rebuild(p);
    }
    share_withdrawn(p);
    control_done(k, report_unshared(ports, keys, invitations, (unsigned)(p->count.cut - before), still_open(p, proto, port, key, still)));
}

/* unshare port PROTO PORT */
static void unshare_port(struct control_call *k)
{
    struct pump *p = k->p;
    struct shares *s = p->sharing->shares;
    uint8_t proto;
    uint16_t port;
    unsigned keys = 0, before = 0, after = 0;
    char still[REACH_NAME];
    size_t len;
    if (!take_port(k, 2, &proto, &port))
        return;
    if (!share_find(s, proto, port)) {
        const char *expose = still_open(p, proto, port, NULL, still);
        control_fail(k, expose ? report_error("port %u%s is opened by an expose section of %s: take that out, and 'i3ctl reload'", port, proto_of(proto), p->paths.config)
                               : report_error("port %u%s is not shared: 'i3ctl share' lists what is", port, proto_of(proto)));
        return;
    }
    const struct grant *g;
    for (unsigned i = 0; (g = grant_at(s, i)); i++)
        keys += g->proto == proto && g->port == port;
    const struct invitation *v;
    for (unsigned i = 0; (v = invitation_at(s, i)); i++)
        before += invitation_state(v, p->wall) == INVITATION_OPEN;
    char *mark = share_mark(p, &len);
    if (mark)
        share_remove(s, proto, port);
    for (unsigned i = 0; (v = invitation_at(s, i)); i++)
        after += invitation_state(v, p->wall) == INVITATION_OPEN;
    if (save(k, mark, len))
        shut(k, 1, keys, before - after, proto, port, NULL);
}

/* unshare who NAME|KEY [PROTO PORT] */
static void unshare_who(struct control_call *k)
{
    struct pump *p = k->p;
    uint8_t key[KEY_LEN], proto = 0;
    uint16_t port = 0;
    char still[REACH_NAME];
    size_t len;
    if (who(k, k->argv[2], key) || (k->argc > 3 && !take_port(k, 3, &proto, &port)))
        return;
    char *mark = share_mark(p, &len);
    unsigned n = mark ? share_revoke(p->sharing->shares, proto, port, key) : 0;
    if (mark && !n) {
        const char *expose = still_open(p, proto, port, key, still);
        share_undo(p, mark, len);
        control_fail(k, expose ? report_error("%s is let in by an expose section of %s (%s): take the name out there, and 'i3ctl reload'", k->argv[2], p->paths.config, expose)
                               : report_error("nothing like that is shared with %s: 'i3ctl peers' shows what is", k->argv[2]));
        return;
    }
    if (save(k, mark, len))
        shut(k, n, 1, 0, proto, port, key);
}

void verb_unshare(struct control_call *k)
{
    if (k->argc == 4 && !strcmp(k->argv[1], "port"))
        unshare_port(k);
    else if ((k->argc == 3 || k->argc == 5) && !strcmp(k->argv[1], "who"))
        unshare_who(k);
    else
        control_fail(k, report_error("usage: unshare port PROTO PORT | unshare who NAME|KEY [PROTO PORT]"));
}

/* ---- join ---- */

static const char *code_wrong(int err)
{
    switch (err) {
    case -EMSGSIZE:
        return "characters are missing from that code, or are too many: copy all of it, from 'i3ctl join' on";
    case -EBADMSG:
        return "that code is mistyped: at least one character is wrong. Compare it with the one on the other screen, or copy it whole";
    case -EPROTONOSUPPORT:
        return "that code is from a newer i3run: upgrade this one";
    }
    return "that is no code: 'i3ctl share PORT' prints one on the other machine, in groups of six letters and digits";
}

/* The name that is typed stands for somebody else: before the code is spent. */
static bool name_is_free(struct control_call *k, const char *name, const struct invite *i)
{
    struct pump *p = k->p;
    const struct book_entry *e = *name ? book_find(p->book, name) : NULL;
    struct i3_id id;
    if (!*name || (!e && !groups_find(p->groups, name)))
        return true;
    if (!e) {
        control_fail(k, report_error("%s is a group that you are in: choose another name", name));
        return false;
    }
    id_of_key(&id, e->key, NULL);
    if (!memcmp(id.b, i->prefix, ID_PREFIX_LEN))
        return true;
    char is[FINGERPRINT_STR];
    control_fail_with(k, STATUS_KEY_CHANGED, control_changed_id(name, e->key, id_fingerprint(i->prefix, is)));
    return false;
}

/* join CODE NAME AS */
void verb_join(struct control_call *k)
{
    struct pump *p = k->p;
    struct invite i;
    char name[INVITE_NAME_MAX + 1], as[INVITE_NAME_MAX + 1];
    if (k->argc != 4) {
        control_fail(k, report_error("usage: join CODE NAME AS"));
        return;
    }
    int err = invite_parse(k->argv[1], &i);
    if (err) {
        control_fail_with(k, STATUS_CODE, report_error("%s", code_wrong(err)));
        return;
    }
    if (!take_label(k, *k->argv[2] ? control_bare_name(p, k->argv[2]) : "", name) || !take_label(k, k->argv[3], as))
        return;
    if (!memcmp(i.prefix, p->public_id.b, ID_PREFIX_LEN)) {
        control_fail_with(k, STATUS_CODE, report_error("that code is your own: it is for the other machine, to be typed there"));
        return;
    }
    if (!name_is_free(k, name, &i))
        return;
    if (!*as)
        share_own_name(as);
    struct addr usual = addr_v4(INADDR_LOOPBACK, CONFIG_DEFAULT_PORT); /* who has no nodes looks there anyway */
    bool learn = !p->overlays->ring->n_configured && i.n && !addr_eq(&i.nodes[0], &usual);
    if (learn && (err = overlay_nodes_save(p, i.nodes, i.n))) {
        control_fail(k, report_error("the overlay nodes of the code cannot be written down: %s", strerror(-err)));
        return;
    }
    join_begin(k, &i, name, as, learn);
    crypto_wipe(&i, sizeof(i));
    crypto_wipe(k->argv[1], strlen(k->argv[1]));
}

/* ---- peers ---- */

struct people {
    struct control_call *k;
    struct report_person rows[REPORT_PEERS_PART];
    char name[REPORT_PEERS_PART][IPC_NAME_MAX + 1], path[REPORT_PEERS_PART][REPORT_PATH];
    uint8_t key[REPORT_PEERS_PART][KEY_LEN];
    unsigned n;
};

static void people_flush(struct people *v, bool more)
{
    struct pump *p = v->k->p;
    control_reply(v->k->client, v->k->serial, more, 0, report_people(v->rows, v->n, p->identity.pub, strangers_count(p), access_is_open(p->access)));
    v->n = 0;
}

static void add_session(struct pump *p, const uint8_t key[KEY_LEN], struct report_person *r, char path[REPORT_PATH])
{
    struct overlay *o = overlay_of_key(p, key);
    const struct peer *peer = peer_by_key(o->peers, key);
    struct peer_info info;
    r->state = drop_has(p, key) ? "dropped" : "idle";
    *path = '\0';
    if (!peer)
        return;
    peer_info(o->peers, peer, p->now, &info);
    r->state = info.state;
    r->heard = info.last_received.us != 0;
    r->heard_us = mono_since(info.last_received, p->now);
    if (info.standing)
        overlay_path(o, &info, path);
}

static void add_ports(struct pump *p, const uint8_t key[KEY_LEN], struct report_person *r)
{
    const struct door *d;
    const struct grant *g;
    for (unsigned i = 0; (d = access_at(p->access, i)) && r->n_reach < REPORT_PORTS_MAX; i++)
        if (door_admits(d, key))
            r->reach[r->n_reach++] = (struct report_port){d->proto, d->port, d->source == ACCESS_EXPOSE};
    for (unsigned i = 0; (g = received_at(p->sharing->shares, i)) && r->n_offers < REPORT_PORTS_MAX; i++)
        if (!memcmp(g->key, key, KEY_LEN))
            r->offers[r->n_offers++] = (struct report_port){g->proto, g->port, false};
}

/* e: NULL: in no book. */
static void add_person(struct people *v, const struct book_entry *e, const uint8_t key[KEY_LEN])
{
    struct pump *p = v->k->p;
    if (v->n == REPORT_PEERS_PART)
        people_flush(v, true);
    unsigned i = v->n++;
    memcpy(v->key[i], key, KEY_LEN);
    struct report_person *r = &v->rows[i];
    *r = (struct report_person){.key = v->key[i], .path = v->path[i], .role = e && !e->guest ? "friend" : "guest"};
    if (e) {
        overlay_of_entry(p, e->name, v->name[i]);
        r->name = v->name[i];
    }
    r->address = pool_get(p->pool, p->now, key);
    r->former = former_of(p->sharing->shares, key);
    r->told = rotation_told(p, key);
    add_session(p, key, r, v->path[i]);
    add_ports(p, key, r);
}

void verb_peers(struct control_call *k)
{
    struct pump *p = k->p;
    struct people *v = calloc(1, sizeof(*v));
    if (!v) {
        control_fail(k, report_error("memory is short"));
        return;
    }
    v->k = k;
    for (size_t i = 0; i < book_count(p->book); i++) {
        const struct book_entry *e = book_at(p->book, i);
        if (!e->multicast)
            add_person(v, e, e->key);
    }
    const struct access_list *l;
    for (unsigned i = 0; (l = access_list_at(p->access, i)); i++)
        for (unsigned j = 0; j < l->n_keys; j++) {
            bool seen = book_find_key(p->book, l->keys[j]);
            for (unsigned b = 0; b < i && !seen; b++)
                seen = access_list_names(access_list_at(p->access, b), l->keys[j]);
            if (!seen)
                add_person(v, NULL, l->keys[j]);
        }
    people_flush(v, false);
    free(v);
}
