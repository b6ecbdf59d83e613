/* hash.h - SipHash-2-4 of two words: the keyed hash for the connection table and for initial sequence numbers
 * (RFC 6528), so that neither can be steered or foreseen from outside. */
#ifndef I3_TCPIP_HASH_H
#define I3_TCPIP_HASH_H

#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

static inline void hash_round(uint64_t v[4])
{
#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))
    v[0] += v[1], v[2] += v[3];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] = ROTL(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[2] = ROTL(v[2], 32);
#undef ROTL
}

static inline uint64_t hash_words(const struct hash_key *k, uint64_t a, uint64_t b)
{
    uint64_t v[4] = {k->k0 ^ 0x736f6d6570736575ull, k->k1 ^ 0x646f72616e646f6dull, k->k0 ^ 0x6c7967656e657261ull,
        k->k1 ^ 0x7465646279746573ull};
    uint64_t word[3] = {a, b, 16ull << 56};
    for (int i = 0; i < 3; i++) {
        v[3] ^= word[i];
        hash_round(v);
        hash_round(v);
        v[0] ^= word[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        hash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
