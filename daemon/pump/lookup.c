/* pump/lookup.c - names that are not in the book, and `resolve` of i3.conf says who else is asked: the overlay itself, for names that are
 * hashes (naming/hashname.h), and the DNS (naming/txtname.h).
 *
 *   RESOLVE, ping, a DNS question that passes our stub
 *        |  names_resolve(): IPC_PENDING as long as a look-up runs; whoever waits is told to ask again
 *        v
 *   book -- not there --> look-up --- hash ---> question to the name's id, repeated; answers of claimants
 *                            |  next, when nobody is there
 *                            +------- dns ----> TXT of _i3.NAME
 *                            v
 *                    the key goes into the book, `learned=hash|dns` behind it
 *
 * The first key that is learned is kept (trust on first use): from then on the book has it, and when its time is over the same is asked
 * again, only to see whether it is still the same key. Another one is an error that names both; no answer is none. A name that was learned
 * is no friend: it can be reached, and reaches nothing here.
 *
 * Bounds: LOOKUPS_MAX names, what was found out longest ago gives way; LOOKUP_WAITERS who wait, those beyond are told to ask again at once.
 */
#include "daemon/pump/lookup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "daemon/base/log.h"
#include "daemon/io/resolver.h"
#include "daemon/naming/hashname.h"
#include "daemon/naming/txtname.h"

enum { LOOKUPS_MAX = 128, LOOKUP_WAITERS = 256, HASH_TRIES = 4, RECORD_MAX = 512 };

#define HOLD_US       (500 * USEC_PER_MSEC) /* a program is told "not yet" after that; it gives the daemon 0.9 s */
#define HASH_FIRST_US (250 * USEC_PER_MSEC) /* doubled each time */
#define HASH_LAST_US  (2500 * USEC_PER_MSEC)
#define HASH_OTHERS   (300 * USEC_PER_MSEC) /* after the first answer: is there another claimant? */
#define LIFE_HASH     (300 * USEC_PER_SEC)
#define LIFE_MIN      (5 * USEC_PER_SEC)
#define LIFE_MAX      (86400ull * USEC_PER_SEC)
#define LIFE_UNKNOWN  (5 * USEC_PER_SEC)  /* that there is no such name */
#define LIFE_FAILED   (2 * USEC_PER_SEC)
#define LIFE_UNASKED  (30 * USEC_PER_SEC) /* the key in the book holds where nobody could be asked */

enum lookup_state { LOOKUP_FREE, LOOKUP_HASH, LOOKUP_DNS, LOOKUP_DONE };

struct lookup {
    enum lookup_state state;
    char full[IPC_NAME_MAX + 1], bare[IPC_NAME_MAX + 1];
    struct overlay *o;
    uint32_t serial;   /* tells it from others that were in this place */
    unsigned stage;    /* of config.resolve */
    bool pinned;       /* the book has a key that was learned so */
    bool heard;        /* by hash: somebody, or the node, has answered */
    int worst;         /* of the stages so far: 0, or what a program is told rather than "not known" */
    mono_t due, until; /* running: the next step, when the stage ends. Done: until when it holds */
    unsigned tries;
    struct hashname hash;
    struct hashname_question question;
    uint8_t fresh_priv[KEY_LEN], key[KEY_LEN];
    bool has_key, conflict;
    int result; /* of one that is done: 0, ENOENT, EAGAIN, EKEYREJECTED, EPROTO */
    char why[LOOKUP_WHY];
};

struct waiter {
    struct ipc_client *client; /* NULL: free */
    uint32_t serial;
    uint16_t at; /* of the look-up */
    mono_t until;
    bool control; /* a verb of i3ctl, to be run again */
    size_t len;
    uint8_t record[RECORD_MAX];
};

struct lookups {
    struct lookup v[LOOKUPS_MAX];
    struct waiter waiters[LOOKUP_WAITERS];
    struct resolver *resolver;
    struct addr server;
    uint32_t serial;
    unsigned busy; /* that run, and who wait: at least */
    bool ended; /* some have, and those who wait are to be told */
};

/* ---- the table ---- */

static struct lookup *find(const struct pump *p, const char *full)
{
    for (unsigned i = 0; p->lookups && i < LOOKUPS_MAX; i++)
        if (p->lookups->v[i].state != LOOKUP_FREE && !strcasecmp(p->lookups->v[i].full, full))
            return &p->lookups->v[i];
    return NULL;
}

static bool runs(const struct lookup *l)
{
    return l->state == LOOKUP_HASH || l->state == LOOKUP_DNS;
}

/* NULL: all of them run. */
static struct lookup *room(struct pump *p)
{
    struct lookup *best = NULL;
    for (unsigned i = 0; i < LOOKUPS_MAX; i++) {
        struct lookup *l = &p->lookups->v[i];
        if (l->state == LOOKUP_FREE)
            return l;
        if (!runs(l) && (!best || l->until.us < best->until.us))
            best = l;
    }
    return best;
}

static void set_why(struct lookup *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void set_why(struct lookup *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->why, sizeof(l->why), fmt, ap);
    va_end(ap);
}

static void done(struct pump *p, struct lookup *l, int result, uint64_t life)
{
    l->state = LOOKUP_DONE;
    l->result = result;
    l->until = mono_add(p->now, life);
    p->lookups->ended = true;
    crypto_wipe(l->fresh_priv, sizeof(l->fresh_priv));
    if (result)
        log_info("name=%s looked up err=%d: %s", l->full, result, l->why);
}

/* ---- what comes of it ---- */

static const char *method(const struct lookup *l)
{
    return l->state == LOOKUP_HASH ? "hash" : "dns";
}

static void changed(struct pump *p, struct lookup *l, const struct book_entry *e, const uint8_t key[KEY_LEN])
{
    char was[FINGERPRINT_STR], is[FINGERPRINT_STR];
    set_why(l,
        "%s HAS ANOTHER KEY NOW: it was %s when it was learned, and would be %s (by %s). Either somebody poses as %s, or it has lost its key and "
        "made a new one: ask, by another way, for its fingerprint ('i3ctl id' prints it there). If all is well: 'i3ctl book rm %s', and again",
        e->name, key_fingerprint(e->key, was), key_fingerprint(key, is), method(l), e->name, e->name);
    log_error("name=%s key changed was=%s is=%s by=%s: refused", l->full, was, is, method(l));
    done(p, l, EKEYREJECTED, LIFE_UNASKED);
}

static void learn(struct pump *p, struct lookup *l, const uint8_t key[KEY_LEN], uint64_t life)
{
    char fingerprint[FINGERPRINT_STR];
    const struct book_entry *e = book_find(p->book, l->bare);
    if (e && memcmp(e->key, key, KEY_LEN) != 0) {
        changed(p, l, e, key);
        return;
    }
    struct book_options options = {.guest = true, .learned = method(l)};
    int err = e ? 0 : book_add_with(p->book, l->bare, key, &options);
    if (!e && !err && (err = pump_book_save(p)) < 0)
        book_remove(p->book, l->bare);
    if (err) {
        set_why(l, "%s cannot be kept in the book: %s", l->bare, strerror(-err));
        done(p, l, EAGAIN, LIFE_FAILED);
        return;
    }
    if (!e) {
        log_info("name=%s learned by=%s key=%s", l->full, method(l), key_fingerprint(key, fingerprint));
        access_rebuild(p);
    }
    done(p, l, 0, life < LIFE_MIN ? LIFE_MIN : life > LIFE_MAX ? LIFE_MAX : life);
}

static void next_stage(struct pump *p, struct lookup *l);

/* err: what a program is told if nobody else knows the name; ENOENT: nothing. */
static void give_up(struct pump *p, struct lookup *l, int err, const char *why)
{
    if (l->worst == 0 || l->worst == ENOENT) {
        l->worst = err;
        set_why(l, "%s", why);
    }
    if (l->pinned) { /* who is not there cannot say that the key is another one */
        log_info("name=%s its key could not be asked for again by=%s: %s", l->full, method(l), why);
        done(p, l, 0, LIFE_UNASKED);
        return;
    }
    l->stage++;
    next_stage(p, l);
}

/* ---- by hash ---- */

static void hash_send(struct pump *p, struct lookup *l)
{
    struct overlay *o = l->o;
    uint8_t *out = outbox_alloc(&o->out, DATA_HEADER_LEN + HASHNAME_QUESTION);
    const struct addr *to = overlay_way(o, &l->hash.id);
    uint64_t wait = HASH_FIRST_US << l->tries;
    l->tries++;
    l->due = mono_min(mono_add(p->now, wait), l->until);
    if (!out || !to->family)
        return;
    size_t n = data_header_encode(out, DATA_HEADER_LEN, &(struct wire_data){.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_NAME, .ids = l->hash.id.b});
    hashname_ask(&l->hash, &l->question, out + n);
    outbox_push(&o->out, to, out, n + HASHNAME_QUESTION);
}

static void hash_begin(struct pump *p, struct lookup *l)
{
    l->state = LOOKUP_HASH;
    l->tries = 0;
    l->has_key = l->conflict = l->heard = false;
    l->until = mono_add(p->now, HASH_LAST_US);
    hashname_of(&l->hash, l->full);
    drbg_draw(&p->random, l->fresh_priv, KEY_LEN);
    x25519_public(l->question.fresh, l->fresh_priv);
    drbg_draw(&p->random, l->question.nonce, HASHNAME_NONCE);
    l->question.answer_to = l->o->sides->session_id;
    memcpy(l->question.answer_to.b + ID_PREFIX_LEN, l->question.nonce, ID_LEN - ID_PREFIX_LEN);
    hash_send(p, l);
}

static void hash_due(struct pump *p, struct lookup *l)
{
    if (!mono_due(l->until, p->now)) {
        if (l->tries < HASH_TRIES)
            hash_send(p, l);
        else
            l->due = l->until;
    } else if (l->conflict) {
        set_why(l, "%s is claimed by more than one: whose it is cannot be told. Ask for the key and say 'i3ctl book add %s KEY'", l->full, l->bare);
        log_warn("name=%s is claimed by several keys: refused", l->full);
        done(p, l, EKEYREJECTED, LIFE_UNASKED);
    } else if (l->has_key) {
        learn(p, l, l->key, LIFE_HASH);
    } else if (!l->heard && !overlay_is_ready(l->o)) {
        give_up(p, l, EAGAIN, nodes_any(l->o) ? "the overlay node cannot be reached" : "no overlay node is configured: i3ctl nodes add HOST:PORT, or i3ctl join CODE");
    } else {
        give_up(p, l, ENOENT, "nobody claims the name");
    }
}

bool lookup_answer(struct overlay *o, const uint8_t *payload, size_t len)
{
    struct pump *p = o->p;
    const uint8_t *nonce = hashname_nonce(payload, len);
    uint8_t key[KEY_LEN];
    for (unsigned i = 0; nonce && p->lookups && i < LOOKUPS_MAX; i++) {
        struct lookup *l = &p->lookups->v[i];
        if (l->state != LOOKUP_HASH || l->o != o || memcmp(nonce, l->question.nonce, HASHNAME_NONCE) != 0)
            continue;
        if (hashname_read_answer(&l->hash, &l->question, l->fresh_priv, payload, len, key))
            return true;
        if (l->has_key) {
            l->conflict |= memcmp(key, l->key, KEY_LEN) != 0;
            return true;
        }
        memcpy(l->key, key, KEY_LEN);
        l->has_key = l->heard = true;
        l->due = l->until = mono_add(p->now, HASH_OTHERS);
        return true;
    }
    return nonce;
}

void lookup_not_present(struct overlay *o, const struct wire_not_present *np)
{
    struct pump *p = o->p;
    for (unsigned i = 0; p->lookups && i < LOOKUPS_MAX; i++) {
        struct lookup *l = &p->lookups->v[i];
        bool it = l->state == LOOKUP_HASH && l->o == o && !l->has_key && !memcmp(&l->hash.id, &np->id, sizeof(np->id));
        if (it && np->echo_len > 1 && !memcmp(np->echo + 1, l->question.nonce, (size_t)np->echo_len - 1 < HASHNAME_NONCE ? np->echo_len - 1u : HASHNAME_NONCE)) {
            l->heard = true;
            give_up(p, l, ENOENT, "nobody claims the name");
        }
    }
}

/* ---- by DNS ---- */

/* "_i3.NAME"; with dns-zone what is left of the first overlay's suffix stands before the zone. */
static bool dns_name(const struct pump *p, const struct lookup *l, char out[IPC_NAME_MAX + 1])
{
    int n = *p->config.dns_zone ? snprintf(out, IPC_NAME_MAX + 1, "_i3.%s.%s", l->bare, p->config.dns_zone)
                                : snprintf(out, IPC_NAME_MAX + 1, "_i3.%s", l->full);
    return n <= IPC_NAME_MAX;
}

static void dns_begin(struct pump *p, struct lookup *l)
{
    char name[IPC_NAME_MAX + 1];
    uint32_t token = (uint32_t)(l - p->lookups->v) | l->serial << 8;
    l->state = LOOKUP_DNS;
    l->due = l->until = mono_add(p->now, RESOLVER_PATIENCE + USEC_PER_SEC);
    if (!p->lookups->resolver) {
        give_up(p, l, EAGAIN, "the DNS cannot be asked: see the log");
        return;
    }
    int err = dns_name(p, l, name) ? resolver_ask(p->lookups->resolver, name, token) : -EINVAL;
    if (err)
        give_up(p, l, err == -ENOSPC ? EAGAIN : ENOENT, err == -ENOSPC ? "too many names are being asked for" : "too long for the DNS");
}

static void use_nodes(struct overlay *o, const struct txtname *t)
{
    struct addr v[TXTNAME_NODES];
    unsigned n = 0;
    for (unsigned i = 0; i < t->n_nodes; i++)
        n += config_parse_addr(&v[n], t->node[i], CONFIG_DEFAULT_PORT) == 0;
    if (!n || nodes_any(o) || o->ring->by_config)
        return;
    int err = nodes_learned(o, v, n);
    if (err)
        log_warn("nodes of the DNS cannot be kept err=%d", err);
}

static void on_dns(void *ctx, uint32_t token, int err, const char *why, const uint8_t *msg, size_t len)
{
    struct pump *p = ctx;
    struct lookup *l = &p->lookups->v[(token & 0xff) % LOOKUPS_MAX];
    struct txtname t;
    uint32_t ttl;
    pump_clock(p);
    if (l->state != LOOKUP_DNS || l->serial << 8 != (token & ~0xffu))
        return;
    if (!err) {
        err = txtname_read(msg, len, &t, &ttl, &why);
        if (err == -ENOENT)
            why = "the DNS has no record of i3 for it";
        else if (err)
            err = -EPROTO;
    }
    if (err) {
        give_up(p, l, -err, why);
        return;
    }
    use_nodes(l->o, &t);
    learn(p, l, t.key, (uint64_t)ttl * USEC_PER_SEC);
}

/* ---- stages ---- */

static void next_stage(struct pump *p, struct lookup *l)
{
    for (; l->stage < p->config.resolve.n; l->stage++) {
        if (p->config.resolve.by[l->stage] == RESOLVE_HASH) {
            hash_begin(p, l);
            return;
        }
        if (p->config.resolve.by[l->stage] == RESOLVE_DNS) {
            dns_begin(p, l);
            return;
        }
    }
    done(p, l, l->worst ? l->worst : ENOENT, l->worst && l->worst != ENOENT ? LIFE_FAILED : LIFE_UNKNOWN);
}

static bool asks_others(const struct pump *p)
{
    for (unsigned i = 0; i < p->config.resolve.n; i++)
        if (p->config.resolve.by[i] != RESOLVE_BOOK)
            return true;
    return false;
}

/* A name that was learned is asked for again in the same way alone. */
static unsigned stage_of(const struct pump *p, const char *learned)
{
    enum config_resolver by = !strcmp(learned, "hash") ? RESOLVE_HASH : RESOLVE_DNS;
    unsigned i = 0;
    while (i < p->config.resolve.n && p->config.resolve.by[i] != by)
        i++;
    return i;
}

int lookup_name(struct pump *p, struct overlay *o, const char *full, const char *bare, const struct book_entry *e, const char **why)
{
    *why = "";
    if ((e && !e->learned) || !asks_others(p) || !p->lookups)
        return e ? 0 : ENOENT;
    unsigned stage = e ? stage_of(p, e->learned) : 0;
    if (stage == p->config.resolve.n || !book_name_valid(bare))
        return e ? 0 : ENOENT; /* it is not asked for so any more */
    struct lookup *l = find(p, full);
    if (l && runs(l))
        return IPC_PENDING;
    if (l && !mono_due(l->until, p->now) && (e || l->result)) {
        *why = l->why;
        return l->result;
    }
    l = l ? l : room(p);
    if (!l)
        return EAGAIN;
    *l = (struct lookup){.o = o, .stage = stage, .pinned = e, .serial = ++p->lookups->serial};
    snprintf(l->full, sizeof(l->full), "%s", full);
    snprintf(l->bare, sizeof(l->bare), "%s", bare);
    p->lookups->busy++;
    next_stage(p, l);
    if (runs(l))
        return IPC_PENDING;
    *why = l->why;
    return l->result;
}

void lookup_forget(struct pump *p, const char *bare)
{
    for (unsigned i = 0; p->lookups && i < LOOKUPS_MAX; i++)
        if (p->lookups->v[i].state == LOOKUP_DONE && !strcasecmp(p->lookups->v[i].bare, bare))
            p->lookups->v[i].state = LOOKUP_FREE;
}

void names_forget_overlay(struct pump *p, const struct overlay *o)
{
    for (unsigned i = 0; p->lookups && i < LOOKUPS_MAX; i++)
        if (p->lookups->v[i].o == o)
            p->lookups->v[i].state = LOOKUP_FREE;
    if (p->lookups)
        p->lookups->ended = true;
}

/* ---- those who wait ---- */

bool lookup_wait(struct pump *p, const char *full, struct ipc_client *client, uint32_t serial, const uint8_t *record, size_t len)
{
    struct lookup *l = find(p, full);
    if (!l || !runs(l) || len > RECORD_MAX)
        return false;
    for (unsigned i = 0; i < LOOKUP_WAITERS; i++) {
        struct waiter *w = &p->lookups->waiters[i];
        if (w->client)
            continue;
        p->lookups->busy++;
        *w = (struct waiter){.client = client, .serial = serial, .at = (uint16_t)(l - p->lookups->v), .len = len, .control = record};
        w->until = record ? MONO_NEVER : mono_add(p->now, HOLD_US);
        if (record)
            memcpy(w->record, record, len);
        return true;
    }
    return false;
}

void lookup_client_gone(struct pump *p, const struct ipc_client *c)
{
    for (unsigned i = 0; p->lookups && i < LOOKUP_WAITERS; i++)
        if (p->lookups->waiters[i].client == c)
            p->lookups->waiters[i].client = NULL;
}

/* Ask again: there is an answer now, or will be. */
static void tell(struct pump *p, struct waiter *w)
{
    uint8_t out[128];
    struct waiter it = *w;
    struct writer r = writer_of(out, sizeof(out));
    w->client = NULL;
    if (it.control) {
        control_request(p, it.client, it.serial, it.record, it.len);
        return;
    }
    ipc_put_header(&r, IPC_RESOLVE | IPC_REPLY, it.serial);
    ipc_put_resolved(&r, &(struct ipc_resolved){.status = IPC_PENDING});
    ipc_reply(it.client, &r, -1);
}

mono_t lookup_deadline(const struct pump *p)
{
    mono_t at = MONO_NEVER;
    if (!p->lookups)
        return at;
    if (p->lookups->ended)
        return p->now;
    if (!p->lookups->busy)
        return at;
    for (unsigned i = 0; i < LOOKUPS_MAX; i++)
        if (runs(&p->lookups->v[i]))
            at = mono_min(at, p->lookups->v[i].due);
    for (unsigned i = 0; i < LOOKUP_WAITERS; i++)
        if (p->lookups->waiters[i].client)
            at = mono_min(at, p->lookups->waiters[i].until);
    return p->lookups->resolver ? mono_min(at, resolver_deadline(p->lookups->resolver, p->now)) : at;
}

void lookup_turn(struct pump *p)
{
    if (!mono_due(lookup_deadline(p), p->now))
        return;
    if (p->lookups->resolver)
        resolver_expire(p->lookups->resolver);
    for (unsigned i = 0; i < LOOKUPS_MAX; i++) {
        struct lookup *l = &p->lookups->v[i];
        if (l->state == LOOKUP_HASH && mono_due(l->due, p->now))
            hash_due(p, l);
        else if (l->state == LOOKUP_DNS && mono_due(l->due, p->now))
            give_up(p, l, EAGAIN, "no DNS server answers");
    }
    bool ended = p->lookups->ended;
    p->lookups->ended = false;
    p->lookups->busy = 0;
    for (unsigned i = 0; i < LOOKUP_WAITERS; i++) {
        struct waiter *w = &p->lookups->waiters[i];
        if (w->client && (mono_due(w->until, p->now) || (ended && !runs(&p->lookups->v[w->at]))))
            tell(p, w);
    }
    for (unsigned i = 0; i < LOOKUPS_MAX; i++)
        p->lookups->busy += runs(&p->lookups->v[i]);
    for (unsigned i = 0; i < LOOKUP_WAITERS; i++)
        p->lookups->busy += p->lookups->waiters[i].client != NULL;
    if (ended)
        dns_ask_again(p);
}

/* ---- life ---- */

static bool wants_dns(const struct pump *p)
{
    for (unsigned i = 0; i < p->config.resolve.n; i++)
        if (p->config.resolve.by[i] == RESOLVE_DNS)
            return true;
    return false;
}

/* What was found out by the old configuration holds no more; what is under way ends by it. */
int lookup_configure(struct pump *p)
{
    if (!p->lookups && !asks_others(p))
        return 0;
    struct lookups *t = p->lookups = p->lookups ? p->lookups : calloc(1, sizeof(*p->lookups));
    if (!t)
        return -ENOMEM;
    for (unsigned i = 0; i < LOOKUPS_MAX; i++)
        if (t->v[i].state == LOOKUP_DONE && (t->v[i].result || !t->v[i].pinned))
            t->v[i].state = LOOKUP_FREE;
    if (t->resolver && (!wants_dns(p) || !addr_eq(&t->server, &p->config.dns_server))) {
        resolver_free(t->resolver);
        t->resolver = NULL;
    }
    int err = wants_dns(p) && !t->resolver ? resolver_new(&t->resolver, p->set, &p->config.dns_server, on_dns, p) : 0;
    if (err)
        log_error("dns cannot be asked err=%d", err);
    if (t->resolver && !p->config.dns_server.family && !resolver_knows_system(t->resolver))
        log_warn("dns: the system's servers cannot be read by a daemon that runs (it is shut off from files): start it anew, or set dns-server");
    t->server = p->config.dns_server;
    return 0;
}

void lookup_stop(struct pump *p)
{
    if (!p->lookups)
        return;
    resolver_free(p->lookups->resolver);
    crypto_wipe(p->lookups->v, sizeof(p->lookups->v));
    free(p->lookups);
    p->lookups = NULL;
}
