/* pump/claims.c - names that are hashes, and ours: a trigger at the id of each, and answers to those who ask (naming/hashname.h). They
 * stand in DATA/claims, one a line, as the book would call them.
 *
 * Anybody may ask who knows the name, so answers are limited: CLAIM_ANSWERS a second. What is told is a key and that it is there; who
 * may come is decided by the book as ever.
 */
#include "daemon/pump/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "daemon/base/log.h"
#include "daemon/io/files.h"
#include "daemon/naming/hashname.h"
#include "daemon/pump/lookup.h"

enum { CLAIM_ANSWERS = 50 };

static const struct format claims_format = {.kind = "claims", .version = 1};

struct claim {
    char name[BOOK_NAME_MAX + 1]; /* bare */
    struct overlay *o;            /* where its trigger is; NULL: nowhere */
    struct hashname hash;
};

struct claims {
    struct claim v[CLAIMS_MAX];
    unsigned n;
    mono_t second;
    unsigned answered; /* in it */
};

/* ---- triggers ---- */

static void claim_end(struct pump *p, struct claim *c)
{
    for (struct overlay *o = p->overlays; o; o = o->next)
        if (o == c->o)
            overlay_withdraw(o, &c->hash.id, 256);
    c->o = NULL;
}

static void claim_begin(struct pump *p, struct claim *c)
{
    char full[IPC_NAME_MAX + 1];
    struct overlay *o = overlay_of_entry(p, c->name, full);
    if (c->o == o)
        return;
    claim_end(p, c);
    hashname_of(&c->hash, full);
    int err = overlay_announce(o, &c->hash.id, 256, c->hash.priv, c->hash.pub, 0);
    if (err)
        log_error("name=%s cannot be claimed err=%d", full, err);
    else
        c->o = o;
}

void claims_resettle(struct pump *p)
{
    for (unsigned i = 0; p->claims && i < p->claims->n; i++) {
        claim_end(p, &p->claims->v[i]); /* its suffix may be another */
        claim_begin(p, &p->claims->v[i]);
    }
}

void claims_forget_overlay(struct pump *p, const struct overlay *o)
{
    for (unsigned i = 0; p->claims && i < p->claims->n; i++)
        if (p->claims->v[i].o == o)
            p->claims->v[i].o = NULL;
}

/* ---- the file ---- */

static void claims_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/claims", p->paths.data);
}

static int claims_save(const struct pump *p)
{
    char path[sizeof(p->paths.data) + 8], text[CLAIMS_MAX * (BOOK_NAME_MAX + 1) + 1] = "";
    size_t n = 0;
    for (unsigned i = 0; i < p->claims->n; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", p->claims->v[i].name);
    claims_path(p, path, sizeof(path));
    return file_store(path, &claims_format, text, n, true);
}

static int take(struct pump *p, const char *name)
{
    struct claims *t = p->claims;
    char folded[BOOK_NAME_MAX + 1];
    if (book_name_fold(folded, name))
        return -EINVAL;
    for (unsigned i = 0; i < t->n; i++)
        if (!strcmp(t->v[i].name, folded))
            return -EEXIST;
    if (t->n == CLAIMS_MAX)
        return -ENOSPC;
    t->v[t->n] = (struct claim){0};
    snprintf(t->v[t->n++].name, sizeof(t->v[0].name), "%s", folded);
    return 0;
}

int claims_load(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 8], name[BOOK_NAME_MAX + 1];
    struct file_text t;
    p->claims = calloc(1, sizeof(*p->claims));
    if (!p->claims)
        return -ENOMEM;
    claims_path(p, path, sizeof(path));
    int err = file_load(path, &claims_format, &t, why, whylen);
    if (err)
        return err == -ENOENT ? 0 : err;
    unsigned line = t.lines + 1;
    for (const char *at = t.body, *end = t.body + t.body_len; !err && at < end; line++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((eol ? eol : end) - at);
        int bad = n < sizeof(name) ? 0 : -EINVAL;
        memcpy(name, at, bad ? 0 : n);
        name[bad ? 0 : n] = '\0';
        bad = n && !bad ? take(p, name) : bad;
        if (bad && bad != -EEXIST) {
            snprintf(why, whylen, "%s:%u: this is no name, or one too many; correct it, or remove the file and say `i3ctl book claim`", path, line);
            err = bad;
        }
        at = eol ? eol + 1 : end;
    }
    file_text_free(&t);
    return err;
}

void claims_stop(struct pump *p)
{
    free(p->claims);
    p->claims = NULL;
}

/* ---- changes ---- */

int claims_add(struct pump *p, const char *name)
{
    int err = take(p, name);
    if (err)
        return err;
    err = claims_save(p);
    if (err)
        p->claims->n--;
    else
        claim_begin(p, &p->claims->v[p->claims->n - 1]);
    return err;
}

int claims_remove(struct pump *p, const char *name)
{
    struct claims *t = p->claims;
    unsigned i = 0;
    while (i < t->n && strcasecmp(t->v[i].name, name) != 0)
        i++;
    if (i == t->n)
        return -ENOENT;
    struct claim old = t->v[i];
    memmove(&t->v[i], &t->v[i + 1], (t->n - i - 1) * sizeof(t->v[0]));
    t->n--;
    int err = claims_save(p);
    if (err) {
        t->v[t->n++] = old;
        return err;
    }
    claim_end(p, &old);
    return 0;
}

const char *claims_at(const struct pump *p, unsigned i, char full[IPC_NAME_MAX + 1])
{
    if (!p->claims || i >= p->claims->n)
        return NULL;
    overlay_of_entry(p, p->claims->v[i].name, full);
    return full;
}

const char *claims_find(const struct pump *p, const char *bare)
{
    for (unsigned i = 0; p->claims && i < p->claims->n; i++)
        if (!strcasecmp(p->claims->v[i].name, bare))
            return p->claims->v[i].name;
    return NULL;
}

/* ---- questions ---- */

static bool may_answer(struct pump *p)
{
    struct claims *t = p->claims;
    if (mono_since(t->second, p->now) >= USEC_PER_SEC) {
        t->second = p->now;
        t->answered = 0;
    }
    return t->answered++ < CLAIM_ANSWERS;
}

bool claims_in(struct overlay *o, const struct wire_data *d)
{
    struct pump *p = o->p;
    struct hashname_question q;
    struct claim *c = NULL;
    if (lookup_answer(o, d->payload, d->payload_len))
        return true;
    for (unsigned i = 0; i < p->claims->n && !c; i++)
        if (p->claims->v[i].o == o && !memcmp(p->claims->v[i].hash.id.b, d->ids, ID_LEN))
            c = &p->claims->v[i];
    if (!c || hashname_read_question(&c->hash, d->payload, d->payload_len, &q) || !may_answer(p))
        return true; /* and not a word to strangers */
    uint8_t *out = outbox_alloc(&o->out, DATA_HEADER_LEN + HASHNAME_ANSWER);
    const struct addr *to = overlay_way(o, &q.answer_to);
    if (!out || !to->family)
        return true;
    size_t n = data_header_encode(out, DATA_HEADER_LEN, &(struct wire_data){.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_NAME, .ids = q.answer_to.b});
    if (hashname_answer(&c->hash, &q, p->identity.priv, p->identity.pub, out + n) == 0)
        outbox_push(&o->out, to, out, n + HASHNAME_ANSWER);
    return true;
}
