/* pump/share.c - what is shared from here (policy/shares.h), on the disk; and those who come with an invitation of ours (i3/invite.h).
 *
 * Who takes up an invitation is in the book, and the invitation is used up, on the disk, before the answer goes out: kill -9 at any moment
 * leaves either an invitation that is still good, or somebody who has joined and gets the same answer when asking again.
 */
#include "daemon/pump/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/i3/session.h"
#include "daemon/io/files.h"

enum { LOOK_US = 5000000 };

static const struct format shares_format_ = {.kind = "shares", .version = 1, .secret = true};

/* ---- the file ---- */

static void shares_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/shares", p->paths.data);
}

/* Tags are not written down, but made of the tokens. */
static void make_tags(struct shares *s)
{
    struct invitation *v;
    for (unsigned i = 0; (v = invitation_at(s, i)); i++)
        invite_tag(v->tag, v->token);
}

int share_start(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 16], wrong[200];
    struct file_text t;
    unsigned line;
    p->sharing = calloc(1, sizeof(*p->sharing));
    if (!p->sharing || !(p->sharing->shares = shares_new()))
        return -ENOMEM;
    p->sharing->expire_at = p->now;
    p->sharing->joins.credit = JOINS_BURST * (USEC_PER_SEC / JOINS_PER_S);
    shares_path(p, path, sizeof(path));
    int err = file_load(path, &shares_format_, &t, why, whylen);
    if (err)
        return err == -ENOENT ? 0 : err;
    err = shares_parse(p->sharing->shares, t.body, t.body_len, &line, wrong, sizeof(wrong));
    if (err)
        snprintf(why, whylen, "%s:%u: %s; it is left as it is", path, line + t.lines, wrong);
    file_text_free(&t);
    make_tags(p->sharing->shares);
    return err;
}

void share_stop(struct pump *p)
{
    if (!p->sharing)
        return;
    shares_free(p->sharing->shares);
    crypto_wipe(p->sharing, sizeof(*p->sharing));
    free(p->sharing);
    p->sharing = NULL;
}

int share_save(struct pump *p)
{
    char path[sizeof(p->paths.data) + 16];
    size_t len;
    char *text = shares_format(p->sharing->shares, &len);
    if (!text)
        return -ENOMEM;
    shares_path(p, path, sizeof(path));
    int err = file_store(path, &shares_format_, text, len, true);
    crypto_wipe(text, len);
    free(text);
    return err;
}

char *share_mark(struct pump *p, size_t *len)
{
    return shares_format(p->sharing->shares, len);
}

void share_undo(struct pump *p, char *mark, size_t len)
{
    unsigned line;
    char err[200];
    if (mark && shares_parse(p->sharing->shares, mark, len, &line, err, sizeof(err)))
        log_error("shares cannot be put back: %s", err);
    make_tags(p->sharing->shares);
    if (mark)
        crypto_wipe(mark, len);
    free(mark);
}

/* ---- pieces ---- */

bool share_label(const char *text, char out[SHARE_NAME_MAX + 1])
{
    size_t n = strlen(text);
    char folded[BOOK_NAME_MAX + 1];
    if (!n || n > SHARE_NAME_MAX || strchr(text, '.') || book_name_fold(folded, text))
        return false;
    memcpy(out, folded, n + 1);
    return true;
}

void share_own_name(char out[SHARE_NAME_MAX + 1])
{
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    host[SHARE_NAME_MAX - 10] = '\0'; /* room for a number, where it is taken */
    if (!share_label(host, out) || !strcmp(out, "localhost"))
        strcpy(out, "friend");
}

const char *service_name(uint8_t proto, uint16_t port)
{
    static const struct {
        uint8_t proto;
        uint16_t port;
        const char *name;
    } known[] = {{IPPROTO_TCP, 22, "ssh"}, {IPPROTO_TCP, 80, "http"}, {IPPROTO_TCP, 443, "https"}, {IPPROTO_TCP, 631, "printing"},
        {IPPROTO_TCP, 445, "files"}, {IPPROTO_TCP, 873, "rsync"}, {IPPROTO_TCP, 3389, "remote desktop"}, {IPPROTO_TCP, 5900, "vnc"},
        {IPPROTO_TCP, 8080, "http"}, {IPPROTO_UDP, 53, "dns"}, {IPPROTO_UDP, 51820, "wireguard"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].proto == proto && known[i].port == port)
            return known[i].name;
    return "";
}

void share_push(struct overlay *o, const uint8_t key_prefix[ID_PREFIX_LEN], enum wire_proto proto, const uint8_t *body, size_t len)
{
    struct i3_id id = {{0}};
    memcpy(id.b, key_prefix, ID_PREFIX_LEN);
    if (outbox_is_tight(&o->out))
        net_flush(o);
    const struct addr *to = overlay_way(o, &id);
    uint8_t *at = to->family ? outbox_alloc(&o->out, DATA_HEADER_LEN + len) : NULL;
    if (!at)
        return;
    data_header_to(at, &id, proto);
    memcpy(at + DATA_HEADER_LEN, body, len);
    outbox_push(&o->out, to, at, DATA_HEADER_LEN + len);
}

/* ---- who waits ---- */

int share_wait(struct control_call *k, const uint8_t tag[TOKEN_TAG_LEN])
{
    struct sharing *sh = k->p->sharing;
    for (unsigned i = 0; i < SHARE_WAITERS_MAX; i++) {
        struct share_waiter *w = &sh->waiters[i];
        if (w->client)
            continue;
        *w = (struct share_waiter){.client = k->client, .serial = k->serial};
        memcpy(w->tag, tag, TOKEN_TAG_LEN);
        return 0;
    }
    return -ENOSPC;
}

/* Its invitation is open no more: they hear of it, and of who it was. */
static void tell_waiters(struct pump *p, const struct invitation *v, enum invitation_state state)
{
    char full[IPC_NAME_MAX + 1] = "", fingerprint[FINGERPRINT_STR] = "";
    const struct book_entry *e = state == INVITATION_TAKEN ? book_find_key(p->book, v->key) : NULL;
    if (e) {
        overlay_of_entry(p, e->name, full);
        key_fingerprint(v->key, fingerprint);
    }
    for (unsigned i = 0; i < SHARE_WAITERS_MAX; i++) {
        struct share_waiter *w = &p->sharing->waiters[i];
        if (!w->client || memcmp(w->tag, v->tag, TOKEN_TAG_LEN))
            continue;
        control_reply(w->client, w->serial, false, e ? 0 : STATUS_FAILED,
            report_share_end(invitation_state_name(state), full, fingerprint, v->proto, v->port));
        w->client = NULL;
    }
}

void share_tell(struct pump *p, const struct invitation *v)
{
    tell_waiters(p, v, invitation_state(v, p->wall));
}

void share_client_gone(struct pump *p, const struct ipc_client *c)
{
    for (unsigned i = 0; i < SHARE_WAITERS_MAX; i++)
        if (p->sharing->waiters[i].client == c)
            p->sharing->waiters[i].client = NULL;
    for (unsigned i = 0; i < JOINS_MAX; i++)
        if (p->sharing->runs[i].client == c)
            p->sharing->runs[i].client = NULL;
}

void share_withdrawn(struct pump *p)
{
    const struct invitation *v;
    for (unsigned i = 0; (v = invitation_at(p->sharing->shares, i)); i++)
        if (invitation_state(v, p->wall) == INVITATION_WITHDRAWN)
            tell_waiters(p, v, INVITATION_WITHDRAWN);
}

/* ---- time ---- */

mono_t share_deadline(const struct pump *p)
{
    return mono_min(p->sharing->expire_at, join_deadline(p));
}

void share_turn(struct pump *p)
{
    struct sharing *sh = p->sharing;
    const struct invitation *v;
    join_expire(p);
    if (!mono_due(sh->expire_at, p->now))
        return;
    sh->expire_at = mono_add(p->now, LOOK_US);
    for (unsigned i = 0; (v = invitation_at(sh->shares, i)); i++)
        if (v->state == INVITATION_OPEN) {
            if (invitation_state(v, p->wall) == INVITATION_OVER)
                tell_waiters(p, v, INVITATION_OVER);
            else if (v->until - p->wall < LOOK_US)
                sh->expire_at = mono_min(sh->expire_at, mono_add(p->now, v->until - p->wall + 1000));
        }
    if (!shares_expire(sh->shares, p->wall))
        return;
    int err = share_save(p);
    if (err)
        log_warn("shares cannot be written err=%d: tried again at the next change", err);
    access_rebuild(p);
}

/* ---- somebody comes with a code of ours ---- */

/* The name by which the joiner is in the book from now on: the one it has there, or a free one like `want`. */
static int enter_guest(struct pump *p, const uint8_t key[KEY_LEN], const char *want, bool *added)
{
    char name[BOOK_NAME_MAX + 1];
    *added = false;
    if (book_find_key(p->book, key))
        return 0;
    int err = book_free_name(p->book, want, name);
    if (err)
        return err;
    while (groups_find(p->groups, name)) { /* those are names as well */
        char longer[BOOK_NAME_MAX + 1];
        int n = snprintf(longer, sizeof(longer), "%.*s-guest", BOOK_NAME_MAX - 6, name);
        if (n < 0 || (err = book_free_name(p->book, longer, name)))
            return err ? err : -EINVAL;
    }
    const struct book_entry *there = book_find(p->book, want);
    char was[FINGERPRINT_STR], is[FINGERPRINT_STR];
    if (there)
        log_warn("share: %s is the name of another key here: who joins is %s known=%s joins=%s", want, name, key_fingerprint(there->key, was),
            key_fingerprint(key, is));
    err = book_add_with(p->book, name, key, &(struct book_options){.guest = true});
    if (!err && (err = pump_book_save(p)) < 0)
        book_remove(p->book, name);
    *added = !err;
    return err;
}

/* It is taken by that key, on the disk. */
static int take(struct pump *p, struct invitation *v, const uint8_t key[KEY_LEN])
{
    struct shares *s = p->sharing->shares;
    size_t len;
    char *mark = share_mark(p, &len);
    int err = mark ? share_grant(s, v->proto, v->port, key) : -ENOMEM;
    if (!err) {
        v->state = INVITATION_TAKEN;
        memcpy(v->key, key, KEY_LEN);
        err = share_save(p);
    }
    if (err) {
        share_undo(p, mark, len);
        return err;
    }
    crypto_wipe(mark, len);
    free(mark);
    return 0;
}

static int admit(struct pump *p, struct invitation *v, const uint8_t key[KEY_LEN], const char *name)
{
    char full[IPC_NAME_MAX + 1] = "", fingerprint[FINGERPRINT_STR];
    bool added;
    int err = enter_guest(p, key, *v->name ? v->name : name, &added);
    uint8_t tag[TOKEN_TAG_LEN];
    memcpy(tag, v->tag, sizeof(tag));
    if (!err)
        err = take(p, v, key);
    const struct book_entry *e = book_find_key(p->book, key);
    if (err) {
        log_error("share: who came with a code could not be written down err=%d; the code stays good", err);
        if (added && e) {
            book_remove(p->book, e->name);
            pump_book_save(p);
        }
        return err;
    }
    v = invitation_by_tag(p->sharing->shares, tag);
    if (e)
        overlay_of_entry(p, e->name, full);
    log_info("share port=%u/%s joined by=%s fingerprint=%s", v->port, v->proto == IPPROTO_UDP ? "udp" : "tcp", full,
        key_fingerprint(key, fingerprint));
    access_rebuild(p);
    tell_waiters(p, v, INVITATION_TAKEN);
    return 0;
}

static void refuse(struct overlay *o, const struct invitation *v, const struct noise *n, const uint8_t *join, enum join_refusal why)
{
    uint8_t out[REFUSAL_LEN];
    struct i3_id id;
    id_of_key(&id, n->rs, NULL);
    refusal_write(v->token, join, why, out);
    share_push(o, id.b, PROTO_JOINED, out, sizeof(out));
}

static void answer(struct overlay *o, const struct invitation *v, struct noise *n)
{
    struct pump *p = o->p;
    struct joined j = {.proto = v->proto, .port = v->port};
    uint8_t e_priv[KEY_LEN], out[JOINED_LEN];
    struct i3_id id;
    id_of_key(&id, n->rs, NULL);
    if (*v->as)
        memcpy(j.name, v->as, sizeof(j.name));
    else
        share_own_name(j.name);
    drbg_draw(&p->random, e_priv, sizeof(e_priv));
    if (joined_write(n, v->token, e_priv, &j, out) == 0)
        share_push(o, id.b, PROTO_JOINED, out, sizeof(out));
    crypto_wipe(e_priv, sizeof(e_priv));
}

static void come(struct overlay *o, struct invitation *v, struct noise *n, const char *name, const uint8_t *join)
{
    struct pump *p = o->p;
    uint8_t tag[TOKEN_TAG_LEN];
    memcpy(tag, v->tag, sizeof(tag));
    uint8_t shared[X25519_LEN];
    if (!memcmp(n->rs, p->identity.pub, KEY_LEN) || x25519(shared, p->identity.priv, n->rs))
        return;
    crypto_wipe(shared, sizeof(shared));
    switch (invitation_state(v, p->wall)) {
    case INVITATION_OVER:
        refuse(o, v, n, join, JOIN_OVER);
        return;
    case INVITATION_WITHDRAWN:
        refuse(o, v, n, join, JOIN_WITHDRAWN);
        return;
    case INVITATION_TAKEN:
        if (memcmp(v->key, n->rs, KEY_LEN))
            refuse(o, v, n, join, JOIN_USED);
        else if (share_granted(p->sharing->shares, v->proto, v->port, v->key))
            answer(o, v, n); /* its answer was lost */
        else
            refuse(o, v, n, join, JOIN_WITHDRAWN);
        return;
    case INVITATION_OPEN:
    case INVITATION_STATES:
        break;
    }
    if (admit(p, v, n->rs, name)) {
        v = invitation_by_tag(p->sharing->shares, tag);
        if (v)
            refuse(o, v, n, join, JOIN_TROUBLE);
        return;
    }
    answer(o, invitation_by_tag(p->sharing->shares, tag), n);
}

void share_join_in(struct overlay *o, const struct wire_data *d)
{
    struct pump *p = o->p;
    char name[INVITE_NAME_MAX + 1];
    const uint8_t *priv, *pub; /* a code outlives a change of the key: who comes is told of it by the old one (pump/rotate.c) */
    struct noise n;
    if (d->n != 1 || d->payload_len != JOIN_LEN || !rotation_identity(p, d->ids, &priv, &pub))
        return;
    struct invitation *v = invitation_by_tag(p->sharing->shares, d->payload);
    if (!v || !budget_take(&p->sharing->joins, p->now, USEC_PER_SEC / JOINS_PER_S, JOINS_BURST) ||
        !join_is_for(v->token, PROTO_JOIN, d->payload, d->payload_len))
        return; /* and not a word: it is not known here who that is */
    uint8_t join[JOIN_LEN];
    memcpy(join, d->payload, JOIN_LEN);
    if (join_read(&n, v->token, priv, pub, join, name) == 0)
        come(o, v, &n, name, join);
    noise_wipe(&n);
}
