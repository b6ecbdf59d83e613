/* pump/join.c - taking up an invitation (i3/invite.h): JOIN is sent until an answer comes, or it is clear that none will.
 *
 *   nodes      none configured: those of the code are taken, and kept (DATA/nodes)
 *   waiting    for our public trigger, to which the answer comes
 *   asking     JOIN after 0, 0.25, 0.5, 1, 2, 2 ... s
 *   over       JOINED: the inviter is in the book as a guest, its key pinned to the name; or why not
 */
#include "daemon/pump/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"

#define JOIN_LIFE      (12 * USEC_PER_SEC)
#define NODES_LIFE     (6 * USEC_PER_SEC)  /* for a node to answer us */
#define JOIN_REPEAT    (250 * USEC_PER_MSEC)
#define JOIN_LOOK      (50 * USEC_PER_MSEC) /* whether the trigger stands */
#define ABSENT_FOR     (4 * USEC_PER_SEC)   /* the other daemon may just be starting */

enum { ABSENT_MIN = 3, JOIN_REPEAT_MAX_US = 2000000 };

/* ---- the end ---- */

static void run_free(struct join_run *r)
{
    crypto_wipe(r, sizeof(*r));
}

static void run_end(struct join_run *r, uint8_t status, char *json)
{
    if (r->client)
        control_reply(r->client, r->serial, false, status, json);
    else
        free(json);
    run_free(r);
}

/* Where we have looked for the inviter. */
static void nodes_text(const struct addr *v, unsigned n, char *out, size_t cap)
{
    char s[ADDR_STR];
    size_t at = 0;
    *out = '\0';
    for (unsigned i = 0; i < n && i < 4 && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ", " : "", addr_str(&v[i], s));
}

static bool shares_a_node(const struct overlay *o, const struct invite *i)
{
    for (unsigned a = 0; a < o->ring->n_configured; a++)
        for (unsigned b = 0; b < i->n; b++)
            if (addr_eq(&o->ring->configured[a], &i->nodes[b]))
                return true;
    return !i->n;
}

/* Nodes that have brought nothing are not kept: the next code may be of another overlay. */
static void unlearn(struct pump *p, const struct join_run *r)
{
    struct node_list *l = r->learned ? malloc(sizeof(*l)) : NULL;
    if (!l)
        return;
    *l = p->told;
    for (unsigned i = 0; i < r->invite.n; i++)
        node_list_remove(l, p->overlays->name, &r->invite.nodes[i]);
    int err = nodes_replace(p->overlays, l);
    if (err)
        log_warn("nodes cannot be written err=%d: those of a code that was no good stay", err);
    free(l);
}

/* No answer: what is most likely, and what to do. */
static void give_up(struct pump *p, struct join_run *r)
{
    const struct overlay *o = p->overlays;
    char ours[4 * (ADDR_STR + 2)], theirs[4 * (ADDR_STR + 2)];
    nodes_text(o->ring->configured, o->ring->n_configured, ours, sizeof(ours));
    nodes_text(r->invite.nodes, r->invite.n, theirs, sizeof(theirs));
    bool same = shares_a_node(o, &r->invite);
    char *json;
    if (!r->tries)
        json = report_error("no overlay node answers (%s): is this machine online, and does its network let UDP out? 'i3ctl doctor' looks for "
                            "the reason. The code stays good until its time is over: try again then",
            *ours ? ours : "127.0.0.1:5610, as none is known");
    else if (!same)
        json = report_error("nobody answered. This machine uses the overlay nodes %s, and the invitation is from %s: if those are not of one "
                            "overlay, put the invitation's into i3.conf (nodes = ...), 'i3ctl reload', and try again",
            *ours ? ours : "127.0.0.1:5610", theirs);
    else if (r->absent >= ABSENT_MIN)
        json = report_error("whoever made that code is offline: ask them to check that their machine is on and 'i3ctl status' there says online. "
                            "The code stays good until its time is over: try again then");
    else
        json = report_error("nobody answered: the machine that made that code has just gone offline, or does not know the code any more (they are "
                            "forgotten a day after their time). Ask whether it is on ('i3ctl status' says online there), and try again; else "
                            "ask for a new code: 'i3ctl share PORT'");
    unlearn(p, r);
    run_end(r, STATUS_NO_ANSWER, json);
}

static const char *const refusal_text[JOIN_REFUSALS] = {
    [JOIN_USED] = "that code has been used already, by somebody else: each is good once. If that was not you, tell whoever gave it to you: "
                  "'i3ctl peers' shows there who joined, and 'i3ctl unshare' ends it. For a new code: 'i3ctl share PORT' there",
    [JOIN_OVER] = "that code is too old: ask for a new one ('i3ctl share PORT' makes it there; --for 1h makes it last longer)",
    [JOIN_WITHDRAWN] = "that code was taken back by whoever made it: ask for a new one ('i3ctl share PORT' makes it there)",
    [JOIN_TROUBLE] = "the other machine could not write that down (is its disk full?): the code stays good, try again when that is put right",
};

/* ---- the answer ---- */

static void save_failed(struct join_run *r, int err)
{
    run_end(r, STATUS_FAILED, report_error("the book cannot be saved: %s. Nothing is lost: put that right, and join again with the same code",
                                  strerror(-err)));
}

/* The inviter's name in our book: the one it has there, or the one wanted. 0, or the run has ended. */
static int enter_inviter(struct pump *p, struct join_run *r, const uint8_t key[KEY_LEN], const char *proposed, bool *added)
{
    const struct book_entry *there = book_find_key(p->book, key);
    *added = false;
    if (there && (!*r->name || !strcmp(there->name, r->name)))
        return 0;
    const char *name = *r->name ? r->name : proposed;
    const struct book_entry *other = book_find(p->book, name);
    char is[FINGERPRINT_STR];
    if (other && memcmp(other->key, key, KEY_LEN)) {
        run_end(r, STATUS_KEY_CHANGED, control_changed_id(name, other->key, key_fingerprint(key, is)));
        return -EKEYREJECTED;
    }
    if (groups_find(p->groups, name)) {
        run_end(r, STATUS_FAILED, report_error("%s is a group that you are in: join again with another name, i3ctl join CODE NAME", name));
        return -EEXIST;
    }
    bool guest = !there || there->guest;
    int err = other ? 0 : book_add_with(p->book, name, key, &(struct book_options){.guest = guest});
    if (!err && !other && (err = pump_book_save(p)) < 0)
        book_remove(p->book, name);
    if (err)
        save_failed(r, err);
    *added = !err && !other;
    return err;
}

static void done(struct pump *p, struct join_run *r, const uint8_t key[KEY_LEN], const struct joined *j)
{
    char full[IPC_NAME_MAX + 1], mine[FINGERPRINT_STR], name[BOOK_NAME_MAX + 1];
    bool added;
    if (enter_inviter(p, r, key, j->name, &added))
        return;
    const struct book_entry *e = *r->name ? book_find(p->book, r->name) : book_find_key(p->book, key);
    int err = e ? received_add(p->sharing->shares, j->proto, j->port, key) : -ENOENT;
    if (!err)
        err = share_save(p);
    if (err) {
        save_failed(r, err);
        return;
    }
    memcpy(name, e->name, sizeof(name));
    access_rebuild(p);
    uint32_t ip = names_address(p, key, 0); /* and a session: the first connection finds it ready */
    struct overlay *o = overlay_of_entry(p, name, full);
    struct peer *peer = peer_by_key(o->peers, key);
    if (peer)
        peer_open_anew(o->peers, peer, p->now); /* it may have forgotten us, when an earlier share was taken back */
    log_info("join name=%s port=%u/%s fingerprint=%s", full, j->port, j->proto == IPPROTO_UDP ? "udp" : "tcp", key_fingerprint(key, mine));
    run_end(r, 0, report_joined(full, key, ip, j->proto, j->port, service_name(j->proto, j->port), added, r->learned));
}

void join_joined_in(struct overlay *o, const struct wire_data *d)
{
    struct pump *p = o->p;
    for (unsigned i = 0; i < JOINS_MAX; i++) {
        struct join_run *r = &p->sharing->runs[i];
        enum join_refusal why;
        struct joined j;
        if (!r->on || d->n != 1 || memcmp(d->ids, p->public_id.b, ID_PREFIX_LEN))
            continue;
        if (refusal_read(r->invite.token, r->msg, d->payload, d->payload_len, &why) == 0) {
            run_end(r, why == JOIN_TROUBLE ? STATUS_NO_ANSWER : STATUS_CODE, report_error("%s", refusal_text[why]));
            return;
        }
        if (!join_is_for(r->invite.token, PROTO_JOINED, d->payload, d->payload_len))
            continue;
        struct noise n = r->noise;
        if (joined_read(&n, &r->invite, d->payload, &j) == 0) {
            uint8_t key[KEY_LEN];
            memcpy(key, n.rs, KEY_LEN);
            done(p, r, key, &j);
        }
        noise_wipe(&n);
        return;
    }
}

void join_not_present(struct overlay *o, const struct wire_not_present *np)
{
    for (unsigned i = 0; i < JOINS_MAX; i++) {
        struct join_run *r = &o->p->sharing->runs[i];
        if (r->on && np->echo_len == NOT_PRESENT_ECHO && !memcmp(np->id.b, r->invite.prefix, ID_PREFIX_LEN) &&
            !memcmp(np->echo, r->msg, NOT_PRESENT_ECHO))
            r->absent++;
    }
}

/* ---- asking ---- */

/* Our public trigger stands: an answer reaches us. */
static bool reachable(const struct overlay *o)
{
    struct trigger_info t;
    for (unsigned i = 0; triggers_info(o->ring->triggers, i, &t); i++)
        if (!memcmp(t.id.b, o->p->public_id.b, ID_PREFIX_LEN))
            return t.state == TRIGGER_STANDING || t.state == TRIGGER_REFRESHING;
    return false;
}

static void ask(struct pump *p, struct join_run *r)
{
    struct overlay *o = p->overlays;
    if (!reachable(o)) {
        r->due = mono_add(p->now, JOIN_LOOK);
        return;
    }
    share_push(o, r->invite.prefix, PROTO_JOIN, r->msg, sizeof(r->msg));
    uint64_t pause = JOIN_REPEAT << (r->tries < 3 ? r->tries : 3);
    r->tries++;
    r->due = mono_add(p->now, pause < JOIN_REPEAT_MAX_US ? pause : JOIN_REPEAT_MAX_US);
}

void join_expire(struct pump *p)
{
    for (unsigned i = 0; i < JOINS_MAX; i++) {
        struct join_run *r = &p->sharing->runs[i];
        if (!r->on || !mono_due(r->due, p->now))
            continue;
        uint64_t age = mono_since(r->started, p->now);
        if (age >= (r->tries ? JOIN_LIFE : NODES_LIFE) || (r->absent >= ABSENT_MIN && r->absent >= r->tries && age >= ABSENT_FOR))
            give_up(p, r);
        else
            ask(p, r);
    }
}

mono_t join_deadline(const struct pump *p)
{
    mono_t at = MONO_NEVER;
    for (unsigned i = 0; i < JOINS_MAX; i++)
        if (p->sharing->runs[i].on)
            at = mono_min(at, p->sharing->runs[i].due);
    return at;
}

void join_begin(struct control_call *k, const struct invite *inv, const char *name, const char *as, bool learned)
{
    struct pump *p = k->p;
    uint8_t e_priv[KEY_LEN];
    struct join_run *r = NULL;
    for (unsigned i = 0; i < JOINS_MAX && !r; i++)
        if (!p->sharing->runs[i].on)
            r = &p->sharing->runs[i];
    if (!r) {
        control_fail(k, report_error("%d invitations are being taken up already: wait a moment", JOINS_MAX));
        return;
    }
    *r = (struct join_run){.on = true, .client = k->client, .serial = k->serial, .invite = *inv, .learned = learned, .started = p->now, .due = p->now};
    snprintf(r->name, sizeof(r->name), "%s", name);
    drbg_draw(&p->random, e_priv, sizeof(e_priv));
    int err = join_write(&r->noise, inv, e_priv, p->identity.priv, p->identity.pub, as, r->msg);
    crypto_wipe(e_priv, sizeof(e_priv));
    if (err) {
        run_free(r);
        control_fail(k, report_error("'%s' cannot be a name: letters, digits, '-' and '_'", as));
    }
}
