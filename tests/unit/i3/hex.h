/* hex.h - bytes from hex digits and patterns, for tests. */
#ifndef I3_TEST_HEX_H
#define I3_TEST_HEX_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Returns the number of bytes; fails the test when they are more than cap. */
static inline size_t unhex(const char *s, void *out, size_t cap)
{
    uint8_t *p = out;
    size_t n = strlen(s) / 2;
    ck_assert_uint_le(n, cap);
    for (size_t i = 0; i < n; i++) {
        unsigned v;
        ck_assert_int_eq(sscanf(s + 2 * i, "%2x", &v), 1);
        p[i] = (uint8_t)v;
    }
    return n;
}

/* 32 bytes of a test's own making. */
static inline void fill_key(uint8_t key[32], unsigned n)
{
    for (unsigned i = 0; i < 32; i++)
        key[i] = (uint8_t)(i * 7 + n * 31 + (n >> 8) * 13 + 1);
}

#endif
