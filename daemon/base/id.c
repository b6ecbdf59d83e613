#include "daemon/base/id.h"

#include <errno.h>
#include <string.h>

#define ID_LABEL      "i3run id v1"
#define ADDRESS_LABEL "i3run address v1"
#define ADDRESS6_LABEL "i3run address6 v1"
#define LABEL(s)                                                                                             \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }

static const char base32_digit[] = "abcdefghijklmnopqrstuvwxyz234567";

static void key_prefix(uint8_t out[ID_PREFIX_LEN], const uint8_t key[KEY_LEN])
{
    uint8_t hash[BLAKE2S_LEN];
    blake2s(hash, (struct bytes[]){LABEL(ID_LABEL), {key, KEY_LEN}}, 2);
    memcpy(out, hash, ID_PREFIX_LEN);
}

void id_of_key(struct i3_id *out, const uint8_t key[KEY_LEN], const uint8_t *suffix)
{
    key_prefix(out->b, key);
    if (suffix)
        memcpy(out->b + ID_PREFIX_LEN, suffix, ID_LEN - ID_PREFIX_LEN);
    else
        memset(out->b + ID_PREFIX_LEN, 0, ID_LEN - ID_PREFIX_LEN);
}

bool id_is_of_key(const struct i3_id *id, const uint8_t key[KEY_LEN])
{
    uint8_t prefix[ID_PREFIX_LEN];
    key_prefix(prefix, key);
    return memcmp(prefix, id->b, ID_PREFIX_LEN) == 0;
}

bool id_same_prefix(const struct i3_id *a, const struct i3_id *b)
{
    return memcmp(a->b, b->b, ID_PREFIX_LEN) == 0;
}

unsigned id_common_bits(const struct i3_id *a, const struct i3_id *b)
{
    unsigned i = 0;
    while (i < ID_LEN && a->b[i] == b->b[i])
        i++;
    if (i == ID_LEN)
        return 8 * ID_LEN;
    return 8 * i + (unsigned)__builtin_clz((unsigned)(a->b[i] ^ b->b[i])) - 24;
}

static bool address_usable(uint32_t ip)
{
    uint8_t last = (uint8_t)ip;
    if (last == 0 || last == 255)
        return false;
    return !(ip >> 24 == 10 && (ip >> 8 & 0xffff) == 0);
}

/* The counter is 4 bytes and H the low bits of the hash's first 4, both big-endian. Two results of 256 are refused
 * (in 10.0.0.0/8 a few more), so the loop ends at once for any pool that has usable addresses; the bound is for one
 * that has none. */
uint32_t id_address(const struct i3_id *id, uint32_t pool, unsigned pool_bits)
{
    if (pool_bits > 24)
        return 0;
    uint32_t mask = UINT32_MAX >> pool_bits;
    for (uint32_t i = 0; i < 4096; i++) {
        uint8_t counter[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        uint8_t hash[BLAKE2S_LEN];
        blake2s(hash, (struct bytes[]){LABEL(ADDRESS_LABEL), {counter, sizeof(counter)}, {id->b, ID_LEN}}, 3);
        struct reader r = reader_of(hash, sizeof(hash));
        uint32_t ip = (pool & ~mask) | (get_u32(&r) & mask);
        if (address_usable(ip))
            return ip;
    }
    return 0;
}

void id_address6(const struct i3_id *id, uint8_t out[16])
{
    uint8_t hash[BLAKE2S_LEN];
    blake2s(hash, (struct bytes[]){LABEL(ADDRESS6_LABEL), {id->b, ID_LEN}}, 2);
    memcpy(out, ADDR_PREFIX6, ADDR_PREFIX6_LEN);
    memcpy(out + ADDR_PREFIX6_LEN, hash, 16 - ADDR_PREFIX6_LEN);
}

void base32_encode(const uint8_t *p, size_t n, char *out)
{
    size_t len = BASE32_LEN(n);
    for (size_t i = 0; i < len; i++) {
        size_t bit = 5 * i, at = bit / 8;
        unsigned pair = (unsigned)p[at] << 8 | (at + 1 < n ? p[at + 1] : 0u);
        out[i] = base32_digit[pair >> (11 - bit % 8) & 31];
    }
    out[len] = '\0';
}

void key_format(const uint8_t key[KEY_LEN], char out[KEY_STR_LEN + 1])
{
    base32_encode(key, KEY_LEN, out);
}

const char *key_fingerprint(const uint8_t key[KEY_LEN], char out[FINGERPRINT_STR])
{
    struct i3_id id;
    id_of_key(&id, key, NULL);
    return id_fingerprint(id.b, out);
}

const char *id_fingerprint(const uint8_t prefix[ID_PREFIX_LEN], char out[FINGERPRINT_STR])
{
    enum { GROUP = 4, GROUPS = 5 };
    char digits[BASE32_LEN(ID_PREFIX_LEN) + 1];
    base32_encode(prefix, ID_PREFIX_LEN, digits);
    for (unsigned i = 0; i < GROUPS; i++) {
        memcpy(out + i * (GROUP + 1), digits + i * GROUP, GROUP);
        out[i * (GROUP + 1) + GROUP] = i + 1 < GROUPS ? '-' : '\0';
    }
    return out;
}

static int base32_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

int base32_decode(const char *s, uint8_t *p, size_t n)
{
    size_t len = BASE32_LEN(n);
    if (strnlen(s, len + 1) != len)
        return -EINVAL;
    memset(p, 0, n);
    for (size_t i = 0; i < len; i++) {
        int v = base32_value(s[i]);
        if (v < 0)
            return -EINVAL;
        size_t bit = 5 * i, at = bit / 8;
        unsigned pair = (unsigned)v << (11 - bit % 8), low = pair & 0xff;
        p[at] |= (uint8_t)(pair >> 8);
        if (at + 1 < n)
            p[at + 1] |= (uint8_t)low;
        else if (low)
            return -EINVAL; /* the spare bits */
    }
    return 0;
}

int key_decode(const char *s, uint8_t key[KEY_LEN])
{
    uint8_t k[KEY_LEN]; /* a key that is refused changes nothing */
    int err = base32_decode(s, k, sizeof(k));
    if (!err)
        memcpy(key, k, KEY_LEN);
    crypto_wipe(k, sizeof(k));
    return err;
}

int key_parse(const char *s, uint8_t key[KEY_LEN])
{
    /* Any scalar tells a point of small order: they are all multiples of the cofactor, and the result is zero. */
    static const uint8_t any[X25519_LEN] = {1};
    uint8_t k[KEY_LEN], shared[X25519_LEN];
    int err = key_decode(s, k);
    if (err)
        return err;
    if (x25519(shared, any, k))
        return -EKEYREJECTED;
    memcpy(key, k, KEY_LEN);
    return 0;
}

static const char *hex(const uint8_t *p, size_t n, char *out)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

const char *id_format(const struct i3_id *id, char out[ID_STR])
{
    return hex(id->b, ID_LEN, out);
}

const char *id_short(const struct i3_id *id, char out[ID_STR])
{
    return hex(id->b, 4, out);
}
