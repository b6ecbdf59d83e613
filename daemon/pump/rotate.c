/* pump/rotate.c - the user's key gives way to a new one (i3/rotation.h), and those of others do.
 *
 *   here     DATA/oldkeys has the old key before DATA/identity has the new one, so kill -9 leaves one or the other, and never none.
 *            The old key keeps its trigger, in a side of its own (struct side) whose sessions carry the announcement and nothing else,
 *            until its time of grace is over. Whoever is in the book, or named by a door, is told: at once, then again and again with
 *            growing pauses, and whenever it calls the old key.
 *   there    the new key is in the book, the shares and the pool in the old one's place, on the disk, before the answer goes out.
 *
 * Virtual IPv4 addresses stay, ours and theirs (naming/pool.h), and with them the connections over IPv4: they stand still for the moment
 * that the new session takes. IPv6 addresses follow from the key: connections over them are reset at both ends. Groups are not touched:
 * they have keys of their own.
 *
 * Bounds: RETIRED_MAX old keys; a fourth change waits until the grace of one is over. One telling for each key of the book and doors.
 */
#include "daemon/pump/rotate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "daemon/base/log.h"
#include "daemon/i3/rotation.h"
#include "daemon/io/files.h"
#include "daemon/pump/share.h"

enum { RETIRED_MAX = 3, TELL_AT_ONCE = 32, QUICK_TRIES = 10, SECONDS_MAX = 366 * 86400 };
#define LOOK_US      (60 * USEC_PER_SEC)
#define TELL_PAUSE   (1 * USEC_PER_SEC)
#define TELL_OFTEN   (60 * USEC_PER_SEC) /* pauses grow to this for the first QUICK_TRIES tries */
#define TELL_SELDOM  (600 * USEC_PER_SEC)

static const struct format oldkeys_format = {.kind = "oldkeys", .version = 1, .secret = true};

/* Has this peer heard of the new key? */
struct telling {
    uint8_t key[KEY_LEN];
    bool told;
    unsigned tries;
    mono_t next;
    UT_hash_handle hh;
};

struct rotation {
    struct retired *old[RETIRED_MAX]; /* the latest first */
    unsigned n;
    struct telling *tellings;
    mono_t at; /* the next look */
};

/* ---- the file ---- */

static void oldkeys_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/oldkeys", p->paths.data);
}

static int oldkeys_save(const struct pump *p)
{
    char path[sizeof(p->paths.data) + 16], text[RETIRED_MAX * 128], priv[KEY_STR_LEN + 1];
    const struct rotation *r = p->rotation;
    size_t at = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < r->n; i++) {
        key_format(r->old[i]->priv, priv);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "key %s %llu\n", priv, (unsigned long long)r->old[i]->until);
    }
    oldkeys_path(p, path, sizeof(path));
    int err = file_store(path, &oldkeys_format, text, at, true);
    crypto_wipe(text, sizeof(text));
    crypto_wipe(priv, sizeof(priv));
    return err;
}

static void retired_free(struct retired *old)
{
    crypto_wipe(old, sizeof(*old));
    free(old);
}

/* A line's key; one that is the present key has been written before a change that did not come about. */
static bool take_line(struct pump *p, const char *line, bool *bad)
{
    struct rotation *r = p->rotation;
    char priv[KEY_STR_LEN + 1];
    unsigned long long until;
    int end = 0;
    struct retired *old = calloc(1, sizeof(*old));
    *bad = !old || r->n == RETIRED_MAX || sscanf(line, "key %52[a-zA-Z2-7] %llu\n%n", priv, &until, &end) != 2 || !end || key_decode(priv, old->priv);
    if (!*bad) {
        x25519_public(old->pub, old->priv);
        old->until = until;
        if (memcmp(old->pub, p->identity.pub, KEY_LEN))
            r->old[r->n++] = old, old = NULL;
    }
    crypto_wipe(priv, sizeof(priv));
    if (old)
        retired_free(old);
    return !*bad;
}

int rotation_start(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 16];
    struct file_text t;
    unsigned line = 0;
    bool bad = false;
    p->rotation = calloc(1, sizeof(*p->rotation));
    if (!p->rotation)
        return -ENOMEM;
    p->rotation->at = p->now;
    oldkeys_path(p, path, sizeof(path));
    int err = file_load(path, &oldkeys_format, &t, why, whylen);
    if (err)
        return err == -ENOENT ? 0 : err;
    for (const char *at = t.body; at < t.body + t.body_len && !bad; line++) {
        const char *next = memchr(at, '\n', (size_t)(t.body + t.body_len - at));
        if (take_line(p, at, &bad))
            at = next ? next + 1 : t.body + t.body_len;
    }
    if (bad)
        snprintf(why, whylen, "%s:%u: damaged; it is left as it is", path, line + t.lines);
    file_text_free(&t);
    return bad ? -EINVAL : 0;
}

static void tellings_clear(struct rotation *r)
{
    struct telling *t, *next;
    HASH_ITER(hh, r->tellings, t, next)
    {
        HASH_DEL(r->tellings, t);
        free(t);
    }
}

void rotation_stop(struct pump *p)
{
    if (!p->rotation)
        return;
    tellings_clear(p->rotation);
    while (p->rotation->n)
        retired_free(p->rotation->old[--p->rotation->n]);
    free(p->rotation);
    p->rotation = NULL;
}

/* ---- sides of old keys ---- */

static void begin(struct overlay *o, const struct retired *old)
{
    struct i3_id id;
    id_of_key(&id, old->pub, NULL);
    int err = overlay_announce(o, &id, 128, old->priv, old->pub, INSERT_SHORTCUT);
    if ((err && err != -EEXIST) || !side_new_retired(o, old))
        log_error("old key cannot be served err=%d: who was away does not learn the new one", err);
}

void rotation_begin(struct overlay *o)
{
    for (unsigned i = 0; i < o->p->rotation->n; i++)
        begin(o, o->p->rotation->old[i]);
}

static struct side *side_of(struct overlay *o, const struct retired *old)
{
    struct side *s = o->sides;
    while (s && s->retired != old)
        s = s->next;
    return s;
}

/* The time of grace is over. */
static void end(struct pump *p, unsigned i)
{
    struct rotation *r = p->rotation;
    struct retired *old = r->old[i];
    char is[FINGERPRINT_STR];
    struct i3_id id;
    id_of_key(&id, old->pub, NULL);
    for (struct overlay *o = p->overlays; o; o = o->next) {
        struct side *s = side_of(o, old);
        overlay_withdraw(o, &id, 128);
        if (s)
            side_end(s);
    }
    log_info("old key fingerprint=%s answers no more", key_fingerprint(old->pub, is));
    memmove(&r->old[i], &r->old[i + 1], (--r->n - i) * sizeof(r->old[0]));
    retired_free(old);
    int err = oldkeys_save(p);
    if (err)
        log_warn("oldkeys cannot be written err=%d", err);
    if (!r->n)
        tellings_clear(r);
}

bool rotation_identity(const struct pump *p, const uint8_t prefix[ID_PREFIX_LEN], const uint8_t **priv, const uint8_t **pub)
{
    struct i3_id id;
    *priv = p->identity.priv;
    *pub = p->identity.pub;
    for (unsigned i = 0;; i++) {
        id_of_key(&id, *pub, NULL);
        if (!memcmp(id.b, prefix, ID_PREFIX_LEN))
            return true;
        if (i == p->rotation->n)
            return false;
        *priv = p->rotation->old[i]->priv;
        *pub = p->rotation->old[i]->pub;
    }
}

/* ---- telling ---- */

static struct telling *telling_find(const struct rotation *r, const uint8_t key[KEY_LEN])
{
    struct telling *t;
    HASH_FIND(hh, r->tellings, key, KEY_LEN, t);
    return t;
}

static struct telling *telling_get(struct pump *p, const uint8_t key[KEY_LEN])
{
    struct rotation *r = p->rotation;
    struct telling *t = telling_find(r, key);
    if (t || !r->n || !memcmp(key, p->identity.pub, KEY_LEN) || !(t = calloc(1, sizeof(*t))))
        return t;
    memcpy(t->key, key, KEY_LEN);
    t->next = p->now;
    HASH_ADD(hh, r->tellings, key, KEY_LEN, t);
    return t;
}

void rotation_people(struct pump *p)
{
    const struct door *d;
    if (!p->rotation->n)
        return;
    for (size_t i = 0; i < book_count(p->book); i++)
        if (!book_at(p->book, i)->multicast)
            telling_get(p, book_at(p->book, i)->key);
    for (unsigned i = 0; (d = access_at(p->access, i)); i++)
        for (unsigned j = 0; j < d->who.n_keys; j++)
            telling_get(p, d->who.keys[j]);
    p->rotation->at = p->now;
}

static bool say(struct side *s, struct peer *peer)
{
    struct pump *p = s->o->p;
    struct inner_rotate m;
    uint8_t msg[INNER_ROTATE_LEN];
    memcpy(m.key, p->identity.pub, KEY_LEN);
    if (rotation_proof(p->identity.priv, peer_key(peer), s->retired->pub, m.key, peer_key(peer), m.proof))
        return false;
    return peer_say(s->peers, peer, p->now, msg, rotate_encode(msg, sizeof(msg), &m), &s->o->out);
}

static void tell(struct pump *p, struct telling *t)
{
    struct rotation *r = p->rotation;
    struct overlay *o = overlay_of_key(p, t->key);
    struct side *s = side_of(o, r->old[t->tries / 2 % r->n]);
    struct peer *peer = s ? peer_get(s->peers, t->key, 0) : NULL;
    uint64_t most = t->tries < QUICK_TRIES ? TELL_OFTEN : TELL_SELDOM, pause = TELL_PAUSE << (t->tries < 10 ? t->tries : 10);
    t->tries++;
    t->next = mono_add(p->now, pause < most ? pause : most);
    if (peer && !say(s, peer))
        peer_open(s->peers, peer, p->now, p->wall);
}

mono_t rotation_deadline(const struct pump *p)
{
    return p->rotation->n ? p->rotation->at : MONO_NEVER;
}

void rotation_turn(struct pump *p)
{
    struct rotation *r = p->rotation;
    struct telling *t, *next;
    unsigned n = 0;
    if (!r->n || !mono_due(r->at, p->now))
        return;
    for (unsigned i = r->n; i-- > 0;)
        if (p->wall >= r->old[i]->until)
            end(p, i);
    r->at = mono_add(p->now, LOOK_US);
    for (unsigned i = 0; i < r->n; i++)
        if (r->old[i]->until - p->wall < LOOK_US)
            r->at = mono_min(r->at, mono_add(p->now, r->old[i]->until - p->wall + 1000));
    HASH_ITER(hh, r->tellings, t, next)
    {
        if (t->told)
            continue;
        if (!names_may_talk(p, t->key)) {
            HASH_DEL(r->tellings, t);
            free(t);
            continue;
        }
        if (r->n && mono_due(t->next, p->now) && n++ < TELL_AT_ONCE)
            tell(p, t);
        r->at = mono_min(r->at, t->next);
    }
}

void rotation_session(const struct side *s, const struct peer *peer, bool up)
{
    struct pump *p = s->o->p;
    struct rotation *r = p->rotation;
    if (!r->n || s->group)
        return;
    struct telling *t = telling_get(p, peer_key(peer));
    if (!t)
        return;
    if (!s->retired && up) {
        t->told = true; /* it has called the new key, or answers to it */
    } else if (up || (!s->retired && !t->told)) {
        t->told = t->told && !up; /* it knows the old one alone: from a backup, perhaps */
        t->next = p->now;
        r->at = p->now;
        struct side *on = up ? side_of(s->o, s->retired) : NULL;
        if (on && say(on, peer_by_key(on->peers, t->key)))
            t->next = mono_add(p->now, TELL_PAUSE);
    }
}

int rotation_told(struct pump *p, const uint8_t key[KEY_LEN])
{
    const struct telling *t = p->rotation->n ? telling_find(p->rotation, key) : NULL;
    return t ? t->told : -1;
}

/* ---- our own ---- */

/* The new key takes the first place in that overlay, the old one goes on behind it. */
static int change_overlay(struct overlay *o, const struct retired *old)
{
    struct pump *p = o->p;
    struct side *before = o->sides, **at = &o->sides;
    before->retired = old;
    before->own = 0;
    memset(before->own6, 0, sizeof(before->own6));
    int err = overlay_announce(o, &p->public_id, 128, p->identity.priv, p->identity.pub, INSERT_SHORTCUT);
    struct side *s = err ? NULL : side_new(o, NULL);
    if (!s)
        return err ? err : -ENOMEM;
    while (*at != s)
        at = &(*at)->next;
    *at = NULL; /* it was linked last */
    s->next = o->sides;
    o->sides = s;
    o->peers = s->peers;
    overlay_rekeyed(o);
    return 0;
}

static void restart_mcasts(struct pump *p)
{
    const struct group *g;
    mcast_stop(p);
    if (mcast_start(p))
        return;
    for (unsigned i = 0; (g = groups_at(p->groups, i)); i++)
        if (g->kind == GROUP_MULTICAST)
            mcast_join(p, g);
}

/* It is on the disk: everything here goes by the new key. */
static int change(struct pump *p, const struct pump_identity *new, const struct retired *old)
{
    int err = 0;
    flow_end6(p, 0);
    net_output(p); /* the resets */
    pool_rekey(p->pool, p->now, old->pub, new->pub);
    state_save_mappings(p);
    p->identity = *new;
    id_of_key(&p->public_id, new->pub, NULL);
    pool_address6(p->pool, p->own, p->own6);
    if (book_rekey(p->book, old->pub, new->pub))
        pump_book_save(p);
    for (struct overlay *o = p->overlays; o && !err; o = o->next)
        err = change_overlay(o, old);
    restart_mcasts(p);
    access_rebuild(p);
    return err;
}

static int retire(struct pump *p, uint64_t until)
{
    struct rotation *r = p->rotation;
    struct retired *old = calloc(1, sizeof(*old));
    if (!old)
        return -ENOMEM;
    memcpy(old->priv, p->identity.priv, KEY_LEN);
    memcpy(old->pub, p->identity.pub, KEY_LEN);
    old->until = until;
    memmove(&r->old[1], &r->old[0], r->n++ * sizeof(r->old[0]));
    r->old[0] = old;
    return oldkeys_save(p);
}

static void retire_undo(struct pump *p)
{
    struct rotation *r = p->rotation;
    if (!r->n)
        return;
    retired_free(r->old[0]);
    memmove(&r->old[0], &r->old[1], --r->n * sizeof(r->old[0]));
    oldkeys_save(p);
}

/* rotate SECONDS */
void verb_rotate(struct control_call *k)
{
    struct pump *p = k->p;
    struct rotation *r = p->rotation;
    struct pump_identity new = {0};
    char *end_of, was[FINGERPRINT_STR], is[FINGERPRINT_STR];
    unsigned long seconds = k->argc == 2 ? strtoul(k->argv[1], &end_of, 10) : 0;
    if (!seconds || *end_of || seconds > SECONDS_MAX) {
        control_fail(k, report_error("the old key can answer for one second to a year: --for 30d"));
        return;
    }
    if (r->n == RETIRED_MAX) {
        control_fail(k, report_error("%d old keys are still being answered for; wait until the grace of one is over ('i3ctl peers' shows who does not "
                                     "know the present key yet)", RETIRED_MAX));
        return;
    }
    unsigned before = r->n;
    int err = retire(p, p->wall + seconds * USEC_PER_SEC);
    if (!err) {
        entropy_fill(new.priv, KEY_LEN);
        x25519_public(new.pub, new.priv);
        err = identity_save(&new, p->paths.data);
    }
    if (err) {
        if (r->n > before)
            retire_undo(p);
        crypto_wipe(&new, sizeof(new));
        control_fail(k, report_error("the new key cannot be written down: %s. The old one stays", strerror(-err)));
        return;
    }
    tellings_clear(r);
    err = change(p, &new, r->old[0]);
    crypto_wipe(&new, sizeof(new));
    log_info("key changed old=%s new=%s", key_fingerprint(r->old[0]->pub, was), key_fingerprint(p->identity.pub, is));
    if (err)
        control_fail(k, report_error("the key was changed, but memory is short for what comes of it: 'i3ctl stop', the next program starts the daemon anew"));
    else
        control_done(k, report_rotated(r->old[0]->pub, p->identity.pub, HASH_COUNT(r->tellings), seconds));
}

/* ---- that of somebody else ---- */

/* In the book and the shares, on the disk. */
static int write_down(struct pump *p, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN])
{
    size_t len, n = book_rekey(p->book, old, new);
    char *mark = share_mark(p, &len);
    int err = mark ? shares_rekey(p->sharing->shares, old, new, p->wall) : -ENOMEM;
    if (!err && n)
        err = pump_book_save(p);
    if (!err)
        err = share_save(p);
    if (!err) {
        crypto_wipe(mark, len);
        free(mark);
        return 0;
    }
    share_undo(p, mark, len);
    if (n) {
        book_rekey(p->book, new, old);
        pump_book_save(p);
    }
    return err;
}

static void acknowledge(struct side *s, struct peer *peer, const uint8_t new[KEY_LEN])
{
    uint8_t msg[INNER_TOKEN_LEN];
    peer_say(s->peers, peer, s->o->p->now, msg, token_encode(msg, sizeof(msg), INNER_ROTATED, rotation_token(new)), &s->o->out);
}

/* Nobody's yet: neither ours, nor one that has been given up. */
static bool is_new(const struct pump *p, const uint8_t key[KEY_LEN])
{
    bool ours = !memcmp(key, p->identity.pub, KEY_LEN);
    for (unsigned i = 0; i < p->rotation->n; i++)
        ours |= !memcmp(key, p->rotation->old[i]->pub, KEY_LEN);
    return !ours && !former_find(p->sharing->shares, key) && !groups_by_key(p->groups, key);
}

static bool is_proven(const struct side *s, const uint8_t old[KEY_LEN], const struct inner_rotate *m)
{
    const struct pump *p = s->o->p;
    const uint8_t *priv = s->retired ? s->retired->priv : p->identity.priv, *pub = s->retired ? s->retired->pub : p->identity.pub;
    uint8_t proof[ROTATION_PROOF_LEN];
    return rotation_proof(priv, m->key, old, m->key, pub, proof) == 0 && crypto_equal(proof, m->proof, sizeof(proof));
}

/* Programs go on with the name and the IPv4 address that they know. */
static void move_host(struct pump *p, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN])
{
    uint32_t host = pool_get(p->pool, p->now, old);
    flow_end6(p, host);
    mcast_forget(p, old);
    pool_rekey(p->pool, p->now, old, new);
    state_save_mappings(p);
    access_rebuild(p);
    names_address(p, new, 0);
}

static void announced(struct side *s, struct peer *peer, const struct inner_rotate *m)
{
    struct pump *p = s->o->p;
    char was[FINGERPRINT_STR], is[FINGERPRINT_STR], full[IPC_NAME_MAX + 1] = "";
    uint8_t old[KEY_LEN];
    memcpy(old, peer_key(peer), KEY_LEN);
    const struct former *f = former_find(p->sharing->shares, old);
    if (f) {
        if (!memcmp(f->new, m->key, KEY_LEN))
            acknowledge(s, peer, f->new); /* the first answer was lost */
        return;
    }
    if (!names_may_talk(p, old) || !is_new(p, m->key) || !is_proven(s, old, m))
        return;
    const struct book_entry *e = book_find_key(p->book, old);
    if (e)
        overlay_of_entry(p, e->name, full);
    int err = write_down(p, old, m->key);
    if (err) {
        log_warn("peer name=%s has a new key, which cannot be written down err=%d: it will say so again", full, err);
        return;
    }
    log_warn("peer name=%s has changed its key, as it says itself by the old one: was=%s is=%s", full, key_fingerprint(old, was),
        key_fingerprint(m->key, is));
    move_host(p, old, m->key);
    acknowledge(s, peer, m->key);
}

void rotation_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct inner_rotate m;
    uint64_t token;
    if (s->group)
        return;
    if (rotate_decode(msg, len, &m) == 0) {
        announced(s, peer, &m);
    } else if (s->retired && token_decode(msg, len, INNER_ROTATED, &token) == 0 && token == rotation_token(p->identity.pub)) {
        struct telling *t = telling_find(p->rotation, peer_key(peer));
        if (t)
            t->told = true;
    }
}
