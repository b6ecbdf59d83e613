/* pump/state.c - what a daemon that is started anew goes on with. DATA/book (the user's), DATA/mappings (a journal: which key has which
 * virtual address), RUNTIME/listeners and RUNTIME/udp (the sockets of programs that run on), RUNTIME/peers (with whom there were sessions:
 * they are asked for new ones at once, since those hosts send into nothing until they hear of us).
 *
 * A mapping is in the kernel's hands before a program is told of it, so kill -9 costs none. The book is on the disk before its change is
 * acknowledged. Where nothing can be written, the book refuses changes; the others go on in memory, which is said once, and are written when
 * there is room: every STATE_RETRY_US it is tried.
 */
#include "daemon/pump/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/io/files.h"
#include "daemon/naming/mappings.h"

enum { STATE_RETRY_US = 2000000, MEET_WAIT_US = 500000, GARBAGE_MAX = 64 << 10, RECORD_LEN = 64 };

static const struct format book_format_ = {.kind = "book", .version = 1, .bare = true};
static const struct format mappings_format = {.kind = "mappings", .version = 1, .secret = true};

/* ---- trouble ---- */

static void trouble(struct pump *p, const char *file, int err)
{
    if (!p->disk.err)
        log_error("state file=%s cannot be written err=%d (%s): going on in memory until there is room", file, err, strerror(-err));
    p->disk.err = err;
    snprintf(p->disk.file, sizeof(p->disk.file), "%s", file);
    p->disk.retry = mono_add(p->now, STATE_RETRY_US);
}

const char *state_trouble(const struct pump *p, char *out, size_t cap)
{
    if (!p->disk.err)
        return NULL;
    snprintf(out, cap, "%s cannot be written: %s; all goes on in memory, and a restart may lose the latest of it", p->disk.file, strerror(-p->disk.err));
    return out;
}

mono_t state_deadline(const struct pump *p)
{
    return mono_min(p->disk.err ? p->disk.retry : MONO_NEVER, p->met.pending ? mono_add(p->started, MEET_WAIT_US + 1) : MONO_NEVER);
}

/* ---- peers ---- */

static void met_save(struct pump *p)
{
    enum { LINE = KEY_STR_LEN + 1 };
    size_t n = p->met.n < STATE_MET_MAX ? p->met.n : STATE_MET_MAX;
    char *text = malloc(n * LINE + 1);
    for (size_t i = 0; text && i < n; i++) {
        key_format(p->met.key[i], text + i * LINE);
        text[(i + 1) * LINE - 1] = '\n';
    }
    pump_state_save(p, "peers", text, n * LINE);
}

static bool met_has(const struct pump *p, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < p->met.n && i < STATE_MET_MAX; i++)
        if (!memcmp(p->met.key[i], key, KEY_LEN))
            return true;
    return false;
}

void state_met(struct pump *p, const uint8_t key[KEY_LEN])
{
    if (met_has(p, key))
        return;
    memcpy(p->met.key[p->met.n++ % STATE_MET_MAX], key, KEY_LEN);
    met_save(p);
}

int state_load_met(struct pump *p, char *why, size_t whylen)
{
    char *text;
    int err = pump_state_load(p, "peers", &text, why, whylen);
    for (char *at = text, *end; at && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        if (p->met.n < STATE_MET_MAX && !key_parse(at, p->met.key[p->met.n]) && !met_has(p, p->met.key[p->met.n]))
            p->met.n++;
    }
    p->met.pending = p->met.n;
    free(text);
    return err;
}

static bool may_meet(const struct pump *p)
{
    for (const struct overlay *o = p->overlays; o; o = o->next)
        if (!overlay_is_ready(o))
            return mono_since(p->started, p->now) > MEET_WAIT_US;
    return true;
}

/* When answers find us. A key that may talk to us no more is forgotten. */
static void meet_again(struct pump *p)
{
    struct met was = p->met;
    p->met.n = 0;
    p->met.pending = false;
    for (unsigned i = 0; i < was.n; i++) {
        if (!names_may_talk(p, was.key[i]))
            continue;
        memcpy(p->met.key[p->met.n++], was.key[i], KEY_LEN);
        if (!policy_is_anonymous(p, was.key[i], "")) /* whom programs reach as strangers need not hear from us */
            names_address(p, was.key[i], 0);
    }
}

/* ---- mappings ---- */

struct mappings_replay {
    struct pump *p;
    unsigned skipped;
};

static void on_record(void *ctx, const uint8_t *body, size_t len)
{
    struct mappings_replay *r = ctx;
    r->skipped += !mapping_take(r->p->pool, body, len, r->p->now, r->p->wall);
}

static void append(struct pump *p, const struct pool_entry *e)
{
    uint8_t body[MAPPING_LEN];
    mapping_put(e, p->now, p->wall, body);
    journal_append(p->mappings, body, sizeof(body));
}

static void put_all(void *ctx, struct journal_file *j)
{
    struct pump *p = ctx;
    struct pool_entry e;
    (void)j;
    for (void *at = NULL; pool_each(p->pool, &at, &e);)
        append(p, &e);
}

static int rewrite(struct pump *p)
{
    int err = journal_rewrite(p->mappings, put_all, p);
    if (err)
        pool_save_again(p->pool);
    return err;
}

int state_load_mappings(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 16];
    struct journal_found found;
    struct mappings_replay r = {p, 0};
    snprintf(path, sizeof(path), "%s/mappings", p->paths.data);
    pool_save_step(p->pool, MAPPING_STEP);
    int err = journal_open(&p->mappings, path, &mappings_format, on_record, &r, &found, why, whylen);
    if (err)
        return err;
    pool_expire(p->pool, p->now);
    if (found.torn)
        log_warn("mappings end torn: cut off bytes=%zu", found.torn);
    log_info("mappings read records=%u entries=%zu skipped=%u", found.records, pool_count(p->pool), r.skipped);
    return 0;
}

void state_save_mappings(struct pump *p)
{
    struct pool_entry e;
    bool any = false;
    if (p->disk.mappings)
        return; /* at the next try */
    while (pool_unsaved(p->pool, &e)) {
        append(p, &e);
        any = true;
    }
    if (!any)
        return;
    int err = journal_commit(p->mappings);
    if (!err && journal_size(p->mappings) > GARBAGE_MAX + 2 * RECORD_LEN * pool_count(p->pool))
        err = rewrite(p);
    if (!err)
        return;
    p->disk.mappings = true;
    trouble(p, "mappings", err);
}

void state_turn(struct pump *p)
{
    state_save_mappings(p);
    if (p->met.pending && may_meet(p))
        meet_again(p);
    if (!p->disk.err || !mono_due(p->disk.retry, p->now))
        return;
    unsigned was = p->disk.mappings | p->disk.listeners << 1 | p->disk.udp << 2 | p->disk.peers << 3;
    int before = p->disk.err;
    p->disk.err = 0;
    p->disk.retry = mono_add(p->now, STATE_RETRY_US);
    p->disk.mappings = p->disk.listeners = p->disk.udp = p->disk.peers = false;
    int err = was & 1 ? rewrite(p) : 0;
    if (err) {
        p->disk.err = before;
        p->disk.mappings = true;
        trouble(p, "mappings", err);
    }
    p->disk.err = p->disk.err ? p->disk.err : was & 14 ? before : 0; /* said already */
    if (was & 2)
        listen_save(p);
    if (was & 4)
        dgram_save(p);
    if (was & 8)
        met_save(p);
    if (p->disk.mappings || p->disk.listeners || p->disk.udp || p->disk.peers)
        return;
    p->disk.err = 0;
    log_info("state is written again");
}

void state_close(struct pump *p)
{
    if (p->mappings)
        state_save_mappings(p);
    journal_close(p->mappings);
    p->mappings = NULL;
}

/* ---- the book ---- */

static void book_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/book", p->paths.data);
}

int state_load_book(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 8], wrong[200];
    struct file_text t;
    unsigned line;
    book_path(p, path, sizeof(path));
    int err = file_load(path, &book_format_, &t, why, whylen);
    if (err)
        return err == -ENOENT ? 0 : err;
    err = book_parse(p->book, t.body, t.body_len, &line, wrong, sizeof(wrong));
    if (err)
        snprintf(why, whylen, "%s:%u: %s", path, line + t.lines, wrong);
    bool old = t.version < book_format_.version;
    file_text_free(&t);
    if (!err && old && pump_book_save(p) < 0)
        log_warn("book cannot be written in its new form yet");
    return err;
}

int pump_book_save(struct pump *p)
{
    char path[sizeof(p->paths.data) + 8];
    size_t len;
    char *text = book_format(p->book, &len);
    if (!text)
        return -ENOMEM;
    book_path(p, path, sizeof(path));
    int err = file_store(path, &book_format_, text, len, true);
    free(text);
    return err;
}

/* ---- files of RUNTIME: version 0 had no first line ---- */

static void runtime_path(const struct pump *p, const char *name, char *path, size_t cap)
{
    snprintf(path, cap, "%s/%s", p->paths.runtime, name);
}

/* One that could not be read is not ours to write, not even at the end. */
static unsigned state_bit(const char *name)
{
    return !strcmp(name, "listeners") ? 1 : !strcmp(name, "udp") ? 2 : !strcmp(name, "vias") ? 8 : 4;
}

void pump_state_save(struct pump *p, const char *name, char *text, size_t len)
{
    if (!(p->disk.loaded & state_bit(name))) {
        free(text);
        return;
    }
    char path[sizeof(p->paths.runtime) + 16];
    struct format f = {.kind = name, .version = 1};
    runtime_path(p, name, path, sizeof(path));
    int err = text ? file_store(path, &f, text, len, false) : -ENOMEM;
    free(text);
    if (!err)
        return;
    p->disk.listeners |= !strcmp(name, "listeners");
    p->disk.udp |= !strcmp(name, "udp");
    p->disk.peers |= !strcmp(name, "peers");
    trouble(p, name, err);
}

int pump_state_load(struct pump *p, const char *name, char **text, char *why, size_t whylen)
{
    char path[sizeof(p->paths.runtime) + 16];
    struct format f = {.kind = name, .version = 1, .bare = true, .secret = true};
    struct file_text t;
    runtime_path(p, name, path, sizeof(path));
    *text = NULL;
    int err = file_load(path, &f, &t, why, whylen);
    if (!err || err == -ENOENT)
        p->disk.loaded |= state_bit(name);
    if (err)
        return err == -ENOENT ? 0 : err;
    memmove(t.text, t.body, t.body_len + 1);
    *text = t.text;
    return 0;
}
