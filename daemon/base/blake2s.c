#include "daemon/base/blake2s.h"

#include <stdbool.h>
#include <string.h>

static const uint32_t iv[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* The order in which a round takes the words of the block (RFC 7693, 2.7). */
static const uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t turn(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static inline __attribute__((always_inline)) void mix(
    uint32_t v[16], unsigned a, unsigned b, unsigned c, unsigned d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = turn(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = turn(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = turn(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = turn(v[b] ^ v[c], 7);
}

static inline __attribute__((always_inline)) void mix_round(uint32_t v[16], const uint32_t m[16], const uint8_t s[16])
{
    mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
    mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
    mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
    mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
    mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
    mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
    mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
    mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
}

static void compress(struct blake2s *s, const uint8_t *block, bool last)
{
    uint32_t v[16], m[16];
    for (unsigned i = 0; i < 16; i++)
        m[i] = load32(block + 4 * i);
    memcpy(v, s->h, sizeof(s->h));
    memcpy(v + 8, iv, sizeof(iv));
    v[12] ^= (uint32_t)s->t;
    v[13] ^= (uint32_t)(s->t >> 32);
    v[14] ^= last ? ~0u : 0;
#pragma GCC unroll 10
    for (unsigned i = 0; i < 10; i++) /* unrolled, so that sigma becomes constants */
        mix_round(v, m, sigma[i]);
    for (unsigned i = 0; i < 8; i++)
        s->h[i] ^= v[i] ^ v[i + 8];
}

void blake2s_init(struct blake2s *s)
{
    memcpy(s->h, iv, sizeof(iv));
    s->h[0] ^= 0x01010000 ^ BLAKE2S_LEN; /* no key, fan-out and depth 1 */
    s->t = 0;
    s->used = 0;
}

void blake2s_press(struct blake2s *s)
{
    s->t += BLAKE2S_BLOCK;
    compress(s, s->block, false);
    s->used = 0;
}

void blake2s_add(struct blake2s *s, const void *p, size_t len)
{
    const uint8_t *at = p;
    while (len) {
        if (s->used == BLAKE2S_BLOCK)
            blake2s_press(s);
        size_t take = BLAKE2S_BLOCK - s->used < len ? BLAKE2S_BLOCK - s->used : len;
        memcpy(s->block + s->used, at, take);
        s->used += (unsigned)take;
        at += take;
        len -= take;
    }
}

void blake2s_end(struct blake2s *s, uint8_t out[BLAKE2S_LEN])
{
    s->t += s->used;
    memset(s->block + s->used, 0, BLAKE2S_BLOCK - s->used);
    compress(s, s->block, true);
    for (unsigned i = 0; i < BLAKE2S_LEN; i++)
        out[i] = (uint8_t)(s->h[i / 4] >> 8 * (i % 4));
}
