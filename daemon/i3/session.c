#include "daemon/i3/session.h"

#include <stdlib.h>
#include <string.h>

void sessions_init(struct sessions *t, const uint8_t session_pub[KEY_LEN])
{
    struct i3_id id;
    *t = (struct sessions){0};
    id_of_key(&id, session_pub, NULL);
    memcpy(t->prefix, id.b, ID_PREFIX_LEN);
    memcpy(t->before, id.b, ID_PREFIX_LEN);
}

void sessions_set_key(struct sessions *t, const uint8_t session_pub[KEY_LEN])
{
    struct i3_id id;
    id_of_key(&id, session_pub, NULL);
    memcpy(t->before, t->prefix, ID_PREFIX_LEN);
    memcpy(t->prefix, id.b, ID_PREFIX_LEN);
}

void sessions_fini(struct sessions *t)
{
    for (uint32_t i = 0; i < t->used; i++)
        if (t->slot[i])
            session_free(t, t->slot[i]);
    free(t->slot);
    free(t->free);
    *t = (struct sessions){0};
}

static bool grow(struct sessions *t)
{
    uint32_t cap = t->cap ? t->cap * 2 : 16;
    if (cap > SESSIONS_MAX)
        return false;
    struct session **slot = realloc(t->slot, cap * sizeof(struct session *));
    if (slot)
        t->slot = slot;
    uint32_t *unused = realloc(t->free, cap * sizeof(uint32_t));
    if (unused)
        t->free = unused;
    if (!slot || !unused)
        return false;
    t->cap = cap;
    return true;
}

struct session *session_new(struct sessions *t, struct peer *p, struct drbg *d)
{
    if (!t->n_free && t->used == t->cap && !grow(t))
        return NULL;
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->slot = t->n_free ? t->free[--t->n_free] : t->used++;
    t->slot[s->slot] = s;
    s->peer = p;
    memcpy(s->local.b, t->prefix, ID_PREFIX_LEN);
    struct writer w = writer_of(s->local.b + ID_PREFIX_LEN, 16);
    put_u64(&w, s->slot);
    put_u64(&w, drbg_u64(d));
    return s;
}

void session_free(struct sessions *t, struct session *s)
{
    if (!s)
        return;
    if (s->by_remote.tbl)
        HASH_DELETE(by_remote, t->by_remote, s);
    seal_free(s->tx);
    seal_free(s->rx);
    t->slot[s->slot] = NULL;
    t->free[t->n_free++] = s->slot;
    crypto_wipe(s, sizeof(*s));
    free(s);
}

void session_set_keys(struct sessions *t, struct session *s, struct noise *n, bool initiator,
    enum peer_cipher cipher, bool plain, const struct i3_id *remote, mono_t now)
{
    uint8_t key[2][SEAL_KEY_LEN];
    noise_split(n, key[0], key[1]);
    s->tx = seal_new_with(t->accel, cipher, key[initiator ? 0 : 1], true);
    s->rx = seal_new_with(t->accel, cipher, key[initiator ? 1 : 0], false);
    s->plain = plain;
    crypto_wipe(key, sizeof(key));
    s->has_keys = true;
    s->initiator = initiator;
    s->cipher = cipher;
    s->remote = *remote;
    s->created = now;
    s->rekey_at = mono_add(now, initiator ? SESSION_REKEY : SESSION_REKEY_LATE);
    data_header_to(s->header, remote, PROTO_SEALED);
    if (!session_find_remote(
            t, remote)) /* a peer that gives two sessions one id gets no hints about the second */
        HASH_ADD(by_remote, t->by_remote, remote, sizeof(s->remote), s);
}

struct session *session_find(const struct sessions *t, const uint8_t id[ID_LEN])
{
    struct reader r = reader_of(id + ID_PREFIX_LEN, 8);
    uint64_t slot = get_u64(&r);
    if (slot >= t->used || !t->slot[slot] || memcmp(t->slot[slot]->local.b, id, ID_LEN) != 0)
        return NULL;
    return t->slot[slot];
}

struct session *session_find_remote(const struct sessions *t, const struct i3_id *id)
{
    struct session *s;
    HASH_FIND(by_remote, t->by_remote, id, sizeof(*id), s);
    return s;
}

void data_header_to(uint8_t out[DATA_HEADER_LEN], const struct i3_id *id, enum wire_proto proto)
{
    struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = (uint8_t)proto, .ids = id->b};
    data_header_encode(out, DATA_HEADER_LEN, &d);
}
