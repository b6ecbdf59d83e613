#include "daemon/i3/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/budget.h"
#include "daemon/base/secret.h"

#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

enum { AT_WHO = 0, AT_CIPHER = 1, AT_NOISE = 4, TIME_LEN = 8, NOISE_LEN = NOISE_INIT_OVERHEAD + TIME_LEN };
enum { WHO_KNOWN = 0, WHO_MEMBER = 1 };

#define TRY_PRICE (USEC_PER_SEC / GROUP_TRIES_PER_S)

void group_all_id(struct i3_id *out, const uint8_t group[KEY_LEN])
{
    id_of_key(out, group, NULL);
    memset(out->b + ID_PREFIX_LEN, 0xff, ID_LEN - ID_PREFIX_LEN);
}

/* ---- what both ends do ---- */

static void start(struct noise *n, uint8_t who, uint8_t cipher, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t *to)
{
    uint8_t prologue[16] = "i3run group v1";
    prologue[14] = who;
    prologue[15] = cipher;
    noise_start(n, CIPHER_CHACHA20POLY1305, prologue, sizeof(prologue), priv, pub, to);
}

/* What only members know. */
static int member_secret(uint8_t out[BLAKE2S_LEN], const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN])
{
    uint8_t shared[X25519_LEN];
    int err = x25519(shared, priv, pub);
    blake2s(out, (struct bytes[]){{"i3run member v1", 15}, {shared, sizeof(shared)}}, 2);
    crypto_wipe(shared, sizeof(shared));
    return err;
}

/* The key of an epoch; n is wiped. */
static struct seal *epoch_key(
    struct noise *n, uint8_t who, uint8_t cipher, const uint8_t secret[BLAKE2S_LEN], const void *accel, bool encrypt)
{
    uint8_t key[2][SEAL_KEY_LEN];
    noise_split(n, key[0], key[1]);
    if (who == WHO_MEMBER)
        hmac_blake2s(key[0], (struct bytes){key[0], SEAL_KEY_LEN}, &(struct bytes){secret, BLAKE2S_LEN}, 1);
    struct seal *s = seal_new_with(accel, (enum peer_cipher)cipher, key[0], encrypt);
    crypto_wipe(key, sizeof(key));
    return s;
}

/* ---- sending ---- */

struct group_tx {
    uint8_t priv[KEY_LEN], pub[KEY_LEN], group[KEY_LEN], secret[BLAKE2S_LEN];
    uint8_t who, cipher;
    const void *accel;
    struct drbg drbg;
    uint8_t header[DATA_HEADER_LEN];

    struct seal *seal; /* of this epoch; NULL: none yet */
    uint8_t head[GROUP_HEAD_LEN];
    uint64_t counter, time;
    mono_t since;
};

struct group_tx *group_tx_new(const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t group[KEY_LEN],
    const uint8_t *group_priv, enum peer_cipher cipher, const uint8_t seed[BLAKE2S_LEN], const void *accel)
{
    struct group_tx *t = secret_new(sizeof(*t));
    struct i3_id to;
    if (!t)
        return NULL;
    memcpy(t->priv, priv, KEY_LEN);
    memcpy(t->pub, pub, KEY_LEN);
    memcpy(t->group, group, KEY_LEN);
    t->cipher = (uint8_t)cipher;
    t->accel = accel;
    drbg_init(&t->drbg, seed);
    if (group_priv && !member_secret(t->secret, group_priv, group))
        t->who = WHO_MEMBER;
    group_all_id(&to, group);
    data_header_encode(t->header, sizeof(t->header), &(struct wire_data){.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_GROUP, .ids = to.b});
    return t;
}

void group_tx_free(struct group_tx *t)
{
    if (!t)
        return;
    seal_free(t->seal);
    crypto_wipe(t, sizeof(*t));
    secret_free(t);
}

static int epoch_begin(struct group_tx *t, mono_t now, uint64_t wall_us)
{
    struct noise n;
    uint8_t e_priv[KEY_LEN], time[TIME_LEN];
    struct writer w = writer_of(time, sizeof(time));
    t->time = wall_us > t->time ? wall_us : t->time + 1;
    put_u64(&w, t->time);
    t->head[AT_WHO] = t->who;
    t->head[AT_CIPHER] = t->cipher;
    drbg_draw(&t->drbg, e_priv, sizeof(e_priv));
    start(&n, t->who, t->cipher, t->priv, t->pub, t->group);
    int err = noise_write_init(&n, e_priv, time, sizeof(time), t->head + AT_NOISE);
    crypto_wipe(e_priv, sizeof(e_priv));
    seal_free(t->seal);
    t->seal = err ? NULL : epoch_key(&n, t->who, t->cipher, t->secret, t->accel, true);
    noise_wipe(&n);
    t->counter = 0;
    t->since = now;
    return err;
}

ssize_t group_seal(struct group_tx *t, mono_t now, uint64_t wall_us, const struct iovec *v, int n, uint8_t *out, size_t cap)
{
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += v[i].iov_len;
    if (cap < GROUP_OVERHEAD + len)
        return -ENOSPC;
    bool over = !t->seal || mono_since(t->since, now) >= GROUP_EPOCH || t->counter >= GROUP_EPOCH_PACKETS;
    int err = over ? epoch_begin(t, now, wall_us) : 0;
    if (err)
        return err;
    struct writer w = writer_of(out, cap);
    uint64_t counter = t->counter++;
    put_bytes(&w, t->header, sizeof(t->header));
    put_bytes(&w, t->head, sizeof(t->head));
    put_u64(&w, counter);
    size_t head = writer_len(&w);
    return (ssize_t)(head + seal_encrypt(t->seal, counter, NULL, 0, v, n, out + head));
}

/* ---- receiving ---- */

struct sender;

struct epoch {
    uint8_t head[GROUP_HEAD_LEN];
    struct sender *sender;
    struct seal *seal;
    uint64_t time;
    struct replay replay;
    UT_hash_handle by_head;
};

struct sender {
    uint8_t key[KEY_LEN];
    struct epoch *now, *before; /* before: NULL while there was one only */
    UT_hash_handle by_key;
    struct sender *prev, *next; /* the longest unheard first */
};

struct group_rx {
    struct group_rx_config c;
    uint8_t secret[BLAKE2S_LEN];
    struct epoch *epochs;
    struct sender *senders, *order;
    struct budget tries;
    struct group_stats stats;
};

struct group_rx *group_rx_new(const struct group_rx_config *c)
{
    struct group_rx *r = secret_new(sizeof(*r));
    if (!r)
        return NULL;
    r->c = *c;
    r->tries.credit = GROUP_TRIES_BURST * TRY_PRICE;
    member_secret(r->secret, c->priv, c->pub);
    return r;
}

static void epoch_free(struct group_rx *r, struct epoch *e)
{
    if (!e)
        return;
    HASH_DELETE(by_head, r->epochs, e);
    seal_free(e->seal);
    crypto_wipe(e, sizeof(*e));
    secret_free(e);
}

static void sender_free(struct group_rx *r, struct sender *s)
{
    epoch_free(r, s->now);
    epoch_free(r, s->before);
    HASH_DELETE(by_key, r->senders, s);
    DL_DELETE(r->order, s);
    r->stats.senders--;
    free(s);
}

void group_rx_free(struct group_rx *r)
{
    if (!r)
        return;
    while (r->order)
        sender_free(r, r->order);
    crypto_wipe(r, sizeof(*r));
    secret_free(r);
}

static struct sender *sender_find(const struct group_rx *r, const uint8_t key[KEY_LEN])
{
    struct sender *s;
    HASH_FIND(by_key, r->senders, key, KEY_LEN, s);
    return s;
}

void group_forget(struct group_rx *r, const uint8_t key[KEY_LEN])
{
    struct sender *s = sender_find(r, key);
    if (s)
        sender_free(r, s);
}

const struct group_stats *group_rx_stats(const struct group_rx *r)
{
    return &r->stats;
}

static struct sender *sender_get(struct group_rx *r, const uint8_t key[KEY_LEN])
{
    struct sender *s = sender_find(r, key);
    if (s)
        return s;
    if (r->stats.senders == GROUP_SENDERS)
        sender_free(r, r->order);
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    memcpy(s->key, key, KEY_LEN);
    HASH_ADD(by_key, r->senders, key, KEY_LEN, s);
    DL_APPEND(r->order, s);
    r->stats.senders++;
    return s;
}

/* 0 and -EBADMSG; one counter says why. */
static int refuse(uint64_t *counter)
{
    ++*counter;
    return -EBADMSG;
}

/* The counter and what lies behind it. */
static int open_with(struct seal *s, const struct replay *seen, uint8_t *p, size_t len, uint64_t *counter)
{
    struct reader r = reader_of(p, 8);
    *counter = get_u64(&r);
    if (seen && !replay_is_new(seen, *counter))
        return -EALREADY;
    return seal_decrypt(s, *counter, NULL, 0, p + 8, len - 8);
}

/* A header that was not seen before: whose it is, at the price of one Diffie-Hellman, and when that may speak, at the price of another, its
 * key. 0, or -EBADMSG. */
static int head_read(struct group_rx *r, uint64_t wall_us, const uint8_t *head, uint8_t sender[KEY_LEN], uint64_t *time, struct seal **key)
{
    struct noise n;
    uint8_t text[TIME_LEN];
    uint8_t who = head[AT_WHO], cipher = head[AT_CIPHER];
    int err = -EBADMSG;
    start(&n, who, cipher, r->c.priv, r->c.pub, NULL);
    if (noise_read_init_key(&n, head + AT_NOISE, NOISE_LEN)) {
        refuse(&r->stats.forged);
        goto out;
    }
    memcpy(sender, n.rs, KEY_LEN);
    if (!memcmp(sender, r->c.self, KEY_LEN)) {
        refuse(&r->stats.own);
        goto out;
    }
    if (who != WHO_MEMBER && !r->c.known(r->c.ctx, sender)) {
        refuse(&r->stats.strangers);
        goto out;
    }
    if (noise_read_init_payload(&n, head + AT_NOISE, NOISE_LEN, text)) {
        refuse(&r->stats.forged);
        goto out;
    }
    struct reader t = reader_of(text, sizeof(text));
    *time = get_u64(&t);
    const struct sender *s = sender_find(r, sender);
    uint64_t off = *time > wall_us ? *time - wall_us : wall_us - *time;
    if (off > GROUP_CLOCKS_DIFFER || (s && *time <= s->now->time)) {
        refuse(&r->stats.stale);
        goto out;
    }
    *key = epoch_key(&n, who, cipher, r->secret, r->c.accel, false);
    err = 0;
out:
    noise_wipe(&n);
    return err;
}

/* The sender's newest; takes over the key. NULL: out of memory. */
static struct epoch *epoch_add(struct group_rx *r, const uint8_t *head, const uint8_t key[KEY_LEN], uint64_t time, struct seal *seal)
{
    struct epoch *e = secret_new(sizeof(*e));
    struct sender *s = e ? sender_get(r, key) : NULL;
    if (!s) {
        secret_free(e);
        return NULL;
    }
    epoch_free(r, s->before);
    s->before = s->now;
    s->now = e;
    memcpy(e->head, head, GROUP_HEAD_LEN);
    e->sender = s;
    e->seal = seal;
    e->time = time;
    HASH_ADD(by_head, r->epochs, head, GROUP_HEAD_LEN, e);
    return e;
}

/* Only a datagram that is genuine leaves a trace. */
static int open_first(struct group_rx *r, mono_t now, uint64_t wall_us, uint8_t *body, size_t len, struct epoch **out)
{
    uint8_t key[KEY_LEN];
    uint64_t time, counter;
    struct seal *seal;
    if (!budget_take(&r->tries, now, TRY_PRICE, GROUP_TRIES_BURST))
        return refuse(&r->stats.skipped);
    if (head_read(r, wall_us, body, key, &time, &seal))
        return -EBADMSG;
    int err = open_with(seal, NULL, body + GROUP_HEAD_LEN, len - GROUP_HEAD_LEN, &counter);
    *out = err ? NULL : epoch_add(r, body, key, time, seal);
    if (!*out) {
        seal_free(seal);
        return refuse(&r->stats.forged);
    }
    replay_mark(&(*out)->replay, counter);
    return 0;
}

static int open_again(struct group_rx *r, struct epoch *e, uint8_t *body, size_t len)
{
    uint64_t counter;
    int err = open_with(e->seal, &e->replay, body + GROUP_HEAD_LEN, len - GROUP_HEAD_LEN, &counter);
    if (err)
        return refuse(err == -EALREADY ? &r->stats.replays : &r->stats.forged);
    replay_mark(&e->replay, counter);
    DL_DELETE(r->order, e->sender);
    DL_APPEND(r->order, e->sender);
    return 0;
}

int group_open(struct group_rx *r, mono_t now, uint64_t wall_us, uint8_t *body, size_t len, uint8_t sender[KEY_LEN], uint8_t **plain,
    size_t *plain_len)
{
    struct epoch *e;
    if (len < GROUP_MIN_LEN || body[AT_WHO] > WHO_MEMBER || body[2] || body[3] ||
        (body[AT_CIPHER] != CIPHER_AES256GCM && body[AT_CIPHER] != CIPHER_CHACHA20POLY1305))
        return refuse(&r->stats.forged);
    HASH_FIND(by_head, r->epochs, body, GROUP_HEAD_LEN, e);
    int err = e ? open_again(r, e, body, len) : open_first(r, now, wall_us, body, len, &e);
    if (err)
        return err;
    memcpy(sender, e->sender->key, KEY_LEN);
    r->stats.opened++;
    *plain = body + GROUP_HEAD_LEN + 8;
    *plain_len = len - GROUP_MIN_LEN;
    return 0;
}
