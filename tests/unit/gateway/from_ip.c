/* Whom a connection at a waypoint is for; how many answers a network gets; the name in a ClientHello. */
#include "daemon/gateway/from_ip.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/gateway/dns_limit.h"
#include "daemon/gateway/tls_sni.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static mono_t ms(uint64_t t)
{
    return (mono_t){1000000000 + t * 1000};
}

static bool yes(void *ctx, const char *name, const struct addr *source)
{
    (void)name, (void)source;
    return !ctx;
}

static struct from_ip *table(unsigned n)
{
    struct addr w[8];
    for (unsigned i = 0; i < 8; i++)
        w[i] = addr_v4(0xcb007107 + i, 0);
    w[7] = addr_v6((const uint8_t *)"\x20\x01\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 0);
    return from_ip_new(w, n);
}

static int claim(struct from_ip *t, uint64_t at, uint32_t who, int w, const char **name)
{
    struct addr a = addr_v4(who, 5);
    *name = "";
    return from_ip_claim(t, ms(at), &a, (unsigned)w, yes, NULL, name);
}

START_TEST(for_one_second_a_waypoint_is_the_names)
{
    struct from_ip *t = table(2);
    const char *name;
    int foo = from_ip_answer(t, ms(0), "foo", 4), bar = from_ip_answer(t, ms(0), "bar", 4);
    ck_assert(foo >= 0 && bar >= 0 && foo != bar);
    ck_assert_int_eq(from_ip_answer(t, ms(999), "baz", 4), -EAGAIN);
    ck_assert_int_eq(from_ip_answer(t, ms(0), "foo", 6), -ENOENT);
    ck_assert_int_eq(claim(t, 10, 1, foo, &name), 0);
    ck_assert_str_eq(name, "foo");
    ck_assert_int_eq(claim(t, 20, 2, bar, &name), 0);
    ck_assert_str_eq(name, "bar");
    ck_assert_int_eq(claim(t, 999, 3, foo, &name), 0);
    ck_assert_int_eq(claim(t, 1000, 4, foo, &name), -ENOENT);
    ck_assert_int_ge(from_ip_answer(t, ms(1000), "baz", 4), 0);
    from_ip_free(t);
}
END_TEST

START_TEST(who_is_bound_stays_so_for_a_minute_after_the_last_connection)
{
    struct from_ip *t = table(1);
    struct addr one = addr_v4(1, 0);
    const char *name;
    int w = from_ip_answer(t, ms(0), "foo", 4);
    ck_assert_int_eq(claim(t, 0, 1, w, &name), 0);
    ck_assert_int_eq(claim(t, 5000, 1, w, &name), 0);
    from_ip_end(t, ms(6000), &one, (unsigned)w);
    from_ip_expire(t, ms(600000));
    ck_assert_uint_eq(from_ip_bindings(t), 1);
    from_ip_end(t, ms(600000), &one, (unsigned)w);
    ck_assert_uint_eq(from_ip_deadline(t).us, ms(660000).us);
    ck_assert_int_eq(claim(t, 659000, 1, w, &name), 0);
    from_ip_end(t, ms(660000), &one, (unsigned)w);
    ck_assert_int_eq(claim(t, 720000, 1, w, &name), -ENOENT);
    ck_assert_uint_eq(from_ip_bindings(t), 0);
    from_ip_free(t);
}
END_TEST

START_TEST(what_could_be_either_is_refused)
{
    struct from_ip *t = table(1);
    const char *name;
    int w = from_ip_answer(t, ms(0), "bar", 4);
    ck_assert_int_eq(claim(t, 0, 1, w, &name), 0);
    ck_assert_int_eq(from_ip_answer(t, ms(1000), "foo", 4), w);
    ck_assert_int_eq(claim(t, 1100, 1, w, &name), -EBUSY);
    ck_assert_int_eq(claim(t, 1100, 2, w, &name), 0);
    ck_assert_str_eq(name, "foo");
    ck_assert_int_eq(claim(t, 3999, 1, w, &name), -EBUSY);
    ck_assert_int_eq(claim(t, 4000, 1, w, &name), 0);
    ck_assert_str_eq(name, "bar");
    from_ip_free(t);
}
END_TEST

START_TEST(names_keep_apart_as_long_as_there_are_waypoints)
{
    struct from_ip *t = table(3);
    static const char *const names[] = {"a", "b", "c"};
    int had[3];
    const char *name;
    for (int i = 0; i < 3; i++) {
        had[i] = from_ip_answer(t, ms(0), names[i], 4);
        ck_assert_int_eq(claim(t, 0, 1, had[i], &name), 0);
    }
    for (uint64_t round = 1; round < 50; round++)
        for (unsigned i = 0; i < 3; i++)
            ck_assert_int_eq(from_ip_answer(t, ms(round * 2000), names[(i + round) % 3], 4), had[(i + round) % 3]);
    from_ip_free(t);
}
END_TEST

START_TEST(who_may_not_is_not_bound_and_a_name_is_forgotten)
{
    struct from_ip *t = table(1);
    struct addr a = addr_v4(1, 0);
    const char *name;
    int w = from_ip_answer(t, ms(0), "foo", 4);
    ck_assert_int_eq(from_ip_claim(t, ms(0), &a, (unsigned)w, yes, &a, &name), -EACCES);
    ck_assert_uint_eq(from_ip_bindings(t), 0);
    ck_assert_int_eq(claim(t, 0, 1, w, &name), 0);
    from_ip_forget(t, "foo");
    ck_assert_int_eq(claim(t, 1, 1, w, &name), -ENOENT);
    ck_assert_int_eq(claim(t, 1, 1, 7, &name), -ENOENT);
    from_ip_free(t);
}
END_TEST

START_TEST(bindings_have_a_bound)
{
    struct from_ip *t = table(1);
    const char *name;
    int w = from_ip_answer(t, ms(0), "foo", 4);
    for (uint32_t i = 0; i < FROM_IP_BINDINGS; i++)
        ck_assert_int_eq(claim(t, 1, i, w, &name), 0);
    ck_assert_int_eq(claim(t, 1, FROM_IP_BINDINGS, w, &name), -ENOBUFS);
    struct addr some = addr_v4(77, 0);
    from_ip_end(t, ms(2), &some, (unsigned)w);
    ck_assert_int_eq(claim(t, 3, FROM_IP_BINDINGS, w, &name), 0);
    ck_assert_uint_eq(from_ip_bindings(t), FROM_IP_BINDINGS);
    from_ip_free(t);
}
END_TEST

START_TEST(a_network_gets_so_many_answers)
{
    static struct dns_limit l;
    unsigned got[3] = {0};
    dns_limit_init(&l, 42);
    for (unsigned i = 0; i < 10000; i++) { /* a second of 10,000 from one /24 */
        struct addr a = addr_v4(0xcb007100 + i % 256, (uint16_t)i);
        got[dns_limit_ask(&l, (mono_t){5000000 + i * 100}, &a)]++;
    }
    ck_assert_uint_ge(got[DNS_LIMIT_ANSWER], DNS_LIMIT_BURST + DNS_LIMIT_RATE - 2);
    ck_assert_uint_le(got[DNS_LIMIT_ANSWER], DNS_LIMIT_BURST + DNS_LIMIT_RATE + 1);
    ck_assert_uint_le(got[DNS_LIMIT_SLIP], got[DNS_LIMIT_DROP] + 1);
    ck_assert_uint_ge(got[DNS_LIMIT_SLIP] + 1, got[DNS_LIMIT_DROP]);
    struct addr other = addr_v4(0xc6336401, 53);
    ck_assert_int_eq(dns_limit_ask(&l, (mono_t){6000000}, &other), DNS_LIMIT_ANSWER);
    struct addr again = addr_v4(0xcb007107, 53);
    ck_assert_int_eq(dns_limit_ask(&l, (mono_t){7000000}, &again), DNS_LIMIT_ANSWER);
}
END_TEST

/* ---- TLS ---- */

/* A ClientHello with GREASE, in records of `piece` bytes. */
static size_t hello(uint8_t *out, const char *name, size_t piece, unsigned twice)
{
    uint8_t m[1024];
    struct writer w = writer_of(m, sizeof(m)), r = writer_of(out, 8192);
    put_u8(&w, 1);
    put_bytes(&w, "\0\0\0", 3);
    put_u16(&w, 0x303);
    put_zeros(&w, 32);
    put_u8(&w, 32);
    put_zeros(&w, 32);
    put_u16(&w, 4);
    put_bytes(&w, "\x0a\x0a\x13\x01", 4);
    put_u16(&w, 0x0100);
    uint8_t *ext = put_span(&w, 2);
    size_t from = writer_len(&w), n = name ? strlen(name) : 0;
    put_bytes(&w, "\x3a\x3a\0\0", 4);
    for (unsigned i = 0; name && i <= twice; i++) {
        put_u16(&w, 0);
        put_u16(&w, (uint16_t)(n + 5));
        put_u16(&w, (uint16_t)(n + 3));
        put_u8(&w, 0);
        put_u16(&w, (uint16_t)n);
        put_bytes(&w, name, n);
    }
    put_bytes(&w, "\0\x2b\0\3\2\3\4", 7);
    ext[0] = (uint8_t)((writer_len(&w) - from) >> 8);
    ext[1] = (uint8_t)(writer_len(&w) - from);
    size_t all = writer_len(&w);
    m[2] = (uint8_t)((all - 4) >> 8);
    m[3] = (uint8_t)(all - 4);
    for (size_t at = 0; at < all; at += piece) {
        size_t some = piece < all - at ? piece : all - at;
        put_bytes(&r, "\x16\3\1", 3);
        put_u16(&r, (uint16_t)some);
        put_bytes(&r, m + at, some);
    }
    return writer_len(&r);
}

START_TEST(the_name_is_found_in_any_pieces)
{
    static const size_t pieces[] = {1, 2, 3, 4, 5, 37, 100, 1000};
    uint8_t b[8192];
    char name[TLS_NAME_MAX + 1];
    for (unsigned i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t n = hello(b, "Foo.I3.example.org", pieces[i], 0);
        for (size_t k = 0; k < n; k++) {
            uint8_t *part = malloc(k ? k : 1);
            memcpy(part, b, k);
            ck_assert_msg(tls_sni(part, k, name) == -EAGAIN, "%zu of %zu by %zu", k, n, pieces[i]);
            free(part);
        }
        ck_assert_int_eq(tls_sni(b, n, name), 0);
        ck_assert_str_eq(name, "foo.i3.example.org");
        memcpy(b + n, "rest", 4);
        ck_assert_int_eq(tls_sni(b, n + 4, name), 0);
    }
}
END_TEST

START_TEST(what_names_nobody_or_is_no_hello_is_told_apart)
{
    uint8_t b[8192];
    char name[TLS_NAME_MAX + 1];
    ck_assert_int_eq(tls_sni(b, hello(b, NULL, 1000, 0), name), -ENOENT);
    ck_assert_int_eq(tls_sni(b, hello(b, "a", 1000, 1), name), -EBADMSG);
    ck_assert_int_eq(tls_sni(b, hello(b, "", 1000, 0), name), -EBADMSG);
    ck_assert_int_eq(tls_sni(b, hello(b, "a/b", 1000, 0), name), -EBADMSG);
    ck_assert_int_eq(tls_sni((const uint8_t *)"GET / HTTP/1.1\r\n", 16, name), -EBADMSG);
    ck_assert_int_eq(tls_sni((const uint8_t *)"SSH", 3, name), -EBADMSG);
    ck_assert_int_eq(tls_sni((const uint8_t *)"\x16\3\1\0\4\2\0\0\0", 9, name), -EBADMSG);  /* a ServerHello */
    ck_assert_int_eq(tls_sni((const uint8_t *)"\x16\3\1\0\0", 5, name), -EBADMSG);          /* an empty record */
    ck_assert_int_eq(tls_sni((const uint8_t *)"\x16\3\1\0\4\1\xff\xff\xff", 9, name), -EMSGSIZE);
    ck_assert_int_eq(tls_sni((const uint8_t *)"\x16\2\0", 3, name), -EBADMSG); /* SSL 2 */
    size_t n = hello(b, "foo", 1000, 0);
    for (size_t i = 9; i < n; i++) /* any length in it that lies */
        for (unsigned v = 1; v < 256; v += 37) {
            uint8_t *copy = malloc(n);
            memcpy(copy, b, n);
            copy[i] = (uint8_t)(copy[i] + v);
            tls_sni(copy, n, name);
            free(copy);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gateway/from_ip");
    TCase *c = tcase_create("from_ip");
    tcase_add_test(c, for_one_second_a_waypoint_is_the_names);
    tcase_add_test(c, who_is_bound_stays_so_for_a_minute_after_the_last_connection);
    tcase_add_test(c, what_could_be_either_is_refused);
    tcase_add_test(c, names_keep_apart_as_long_as_there_are_waypoints);
    tcase_add_test(c, who_may_not_is_not_bound_and_a_name_is_forgotten);
    tcase_add_test(c, bindings_have_a_bound);
    tcase_add_test(c, a_network_gets_so_many_answers);
    tcase_add_test(c, the_name_is_found_in_any_pieces);
    tcase_add_test(c, what_names_nobody_or_is_no_hello_is_told_apart);
    suite_add_tcase(s, c);
    return suite_run(s);
}
