/* pump/drop.c - dropping a peer (paper 4.1): nothing of it is taken, nothing is sent to it, and what it sends ends at the node.
 *
 *   i3ctl drop NAME        its keys are forgotten, its INITs are not answered, its connections reset, programs here get "no route"; and the
 *                          private ids that it knows lose their trigger, while everybody else moves to fresh ones (renew.c)
 *   by itself              a peer with a session that goes on doing what no i3d does: packets in the name of others or for us in somebody
 *                          else's, for what it has no leave for, connections beyond its budget (misuse); for DROP_MISUSE_S
 *
 * Only what its own key has sealed counts as misuse: what anybody on the way can forge or play again would be a means to have it dropped.
 *
 * It can still send to our public id, as anybody can who knows our key: INITs, at the price of a hash, or a cookie (i3/cookie.h). And where it
 * had a shortcut it knows our address: what comes straight is thrown away here, after one look into a table, but it does come.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/io/files.h"
#include "daemon/pump/control.h"

#define DROP_MISUSE_S 600
#define SAY_EVERY     (60 * USEC_PER_SEC)

static const struct format drops_format_ = {.kind = "dropped", .version = 1};

static const char *name_of(const struct pump *p, const uint8_t *key)
{
    const struct book_entry *e = names_entry(p, key);
    return e ? e->name : "a guest";
}

/* ---- the file ---- */

static void drops_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/dropped", p->paths.data);
}

static int save(struct pump *p)
{
    char path[sizeof(p->paths.data) + 16];
    size_t len;
    char *text = drops_format(&p->drops, &len);
    drops_path(p, path, sizeof(path));
    int err = text ? file_store(path, &drops_format_, text, len, true) : -ENOMEM;
    free(text);
    return err;
}

int drop_load(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 16];
    struct file_text t;
    unsigned line;
    drops_path(p, path, sizeof(path));
    int err = file_load(path, &drops_format_, &t, why, whylen);
    if (err)
        return err == -ENOENT ? 0 : err;
    err = drops_parse(&p->drops, t.body, t.body_len, &line);
    if (err)
        snprintf(why, whylen, "%s:%u: that is not KEY asked|misuse UNTIL; correct it, or remove the file to drop nobody", path, line + t.lines);
    file_text_free(&t);
    return err;
}

/* ---- in force ---- */

bool drop_has(const struct pump *p, const uint8_t key[KEY_LEN])
{
    return p->drops.n && drops_find(&p->drops, key);
}

void drop_knower(struct pump *p, struct side *s, struct peer *peer)
{
    struct peer_info info;
    peer_info(s->peers, peer, p->now, &info);
    if (info.handshakes || info.standing)
        renew_begin(s);
}

void drop_forget(struct pump *p, const uint8_t key[KEY_LEN])
{
    if (p->drops.n && drops_remove(&p->drops, key))
        save(p);
}

static void bar(struct pump *p, const uint8_t *key)
{
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next) {
            struct peer *peer = peer_by_key(s->peers, key);
            if (!peer)
                continue;
            tcpip_fail_remote(p->tcpip, p->now, peer_addresses(peer).local, EHOSTUNREACH, true);
            drop_knower(p, s, peer);
            peer_bar(s->peers, peer, true);
        }
}

static void unbar(struct pump *p, const uint8_t *key)
{
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next) {
            struct peer *peer = peer_by_key(s->peers, key);
            if (peer)
                peer_bar(s->peers, peer, false);
        }
}

void drop_peer_made(struct pump *p, struct side *s, struct peer *peer)
{
    if (drop_has(p, peer_key(peer)))
        peer_bar(s->peers, peer, true);
}

static int drop(struct pump *p, const uint8_t *key, enum drop_why why, uint64_t until_s)
{
    struct drops before = p->drops;
    int err = drops_add(&p->drops, key, why, until_s);
    if (err)
        return err;
    err = save(p);
    if (err && why == DROP_ASKED) {
        p->drops = before;
        return err;
    }
    bar(p, key);
    return 0;
}

/* ---- misuse ---- */

void drop_misuse(struct pump *p, struct peer *peer)
{
    p->count.misuse++;
    if (peer_misuse(peer, p->now) || p->misused)
        return;
    p->misused = true;
    memcpy(p->misuser, peer_key(peer), KEY_LEN);
}

static void drop_misuser(struct pump *p)
{
    p->misused = false;
    if (strangers_has(p, p->misuser)) { /* what would be written down is a key that costs nothing */
        p->count.dropped_misuse++;
        strangers_expel(p, p->misuser);
        return;
    }
    if (drop(p, p->misuser, DROP_MISUSE, p->wall / USEC_PER_SEC + DROP_MISUSE_S))
        return;
    p->count.dropped_misuse++;
    if (p->misuse_told.us && mono_since(p->misuse_told, p->now) < SAY_EVERY)
        return;
    p->misuse_told = p->now;
    log_warn("peer name=%s dropped for %u s: it goes on sending what it may not; i3ctl undrop %s ends that, i3ctl book rm %s is for good",
        name_of(p, p->misuser), DROP_MISUSE_S, name_of(p, p->misuser), name_of(p, p->misuser));
}

/* ---- time ---- */

void drop_turn(struct pump *p)
{
    uint8_t key[KEY_LEN];
    bool any = false;
    if (p->misused)
        drop_misuser(p);
    while (p->drops.n && drops_expire(&p->drops, p->wall / USEC_PER_SEC, key)) {
        log_info("peer name=%s is let in again", name_of(p, key));
        unbar(p, key);
        any = true;
    }
    if (any)
        save(p); /* what is over is over there too */
    for (struct overlay *o = p->overlays; o; o = o->next)
        renew_turn(o);
}

mono_t drop_deadline(const struct pump *p)
{
    uint64_t next = drops_next_s(&p->drops), now = p->wall / USEC_PER_SEC;
    mono_t at = next == UINT64_MAX ? MONO_NEVER : mono_add(p->now, (next > now ? next - now : 0) * USEC_PER_SEC + USEC_PER_SEC / 10);
    for (const struct overlay *o = p->overlays; o; o = o->next)
        at = mono_min(at, renew_deadline(o));
    return p->misused ? p->now : at;
}

/* ---- verbs ---- */

static char *dropped_json(struct pump *p, const uint8_t *key)
{
    struct report_view v = control_view(p);
    return report_dropped(&v, key);
}

/* The key of NAME, or KEY itself: a guest may have no name. */
static bool named(struct control_call *k, uint8_t key[KEY_LEN])
{
    const char *name = control_bare_name(k->p, k->argv[1]);
    const struct book_entry *e = book_find(k->p->book, name);
    if (e)
        memcpy(key, e->key, KEY_LEN);
    if (!e && key_parse(name, key))
        control_fail(k, report_error("%s is not in the book: nobody who is not gets an answer anyway", name));
    else if (e && e->multicast)
        control_fail(k, report_error("%s is a multicast group: 'i3ctl group leave %s'", name, name));
    else if (!memcmp(key, k->p->identity.pub, KEY_LEN))
        control_fail(k, report_error("%s is yourself", name));
    else
        return true;
    return false;
}

void verb_drop(struct control_call *k)
{
    struct pump *p = k->p;
    uint64_t seconds = k->argc == 3 ? drop_time(k->argv[2]) : 0;
    if (k->argc == 1) {
        control_done(k, dropped_json(p, NULL));
        return;
    }
    if (k->argc > 3 || (k->argc == 3 && !seconds)) {
        control_fail(k, report_error("usage: drop NAME [TIME], a time as 90s, 10m, 2h or 7d"));
        return;
    }
    uint8_t key[KEY_LEN];
    if (!named(k, key))
        return;
    int err = drop(p, key, DROP_ASKED, seconds ? p->wall / USEC_PER_SEC + seconds : 0);
    if (err == -ENOSPC)
        control_fail(k, report_error("%u are dropped already: 'i3ctl undrop' or 'i3ctl book rm' some", DROPS_MAX));
    else if (err && err != -EALREADY)
        control_fail(k, report_error("that cannot be saved: %s", strerror(-err)));
    else
        control_done(k, dropped_json(p, key));
    if (!err)
        log_info("peer name=%s dropped", name_of(p, key));
}

void verb_undrop(struct control_call *k)
{
    struct pump *p = k->p;
    uint8_t key[KEY_LEN];
    if (k->argc != 2)
        control_fail(k, report_error("usage: undrop NAME"));
    if (k->argc != 2 || !named(k, key))
        return;
    struct drops before = p->drops;
    if (!drops_remove(&p->drops, key)) {
        control_fail(k, report_error("%s is not dropped: 'i3ctl drop' lists who is", k->argv[1]));
        return;
    }
    int err = save(p);
    if (err) {
        p->drops = before;
        control_fail(k, report_error("that cannot be saved: %s", strerror(-err)));
        return;
    }
    unbar(p, key);
    log_info("peer name=%s is let in again", name_of(p, key));
    control_done(k, report_string("undropped", k->argv[1]));
}
