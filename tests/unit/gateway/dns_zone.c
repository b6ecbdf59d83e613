/* Answers of the zone, byte by byte and by what they say. */
#include "daemon/gateway/dns_zone.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { A = 1, NS = 2, SOA = 6, MX = 15, AAAA = 28, AXFR = 252, ANY = 255 };

static struct dns_zone *zone(void)
{
    struct dns_zone_config c = {.zone = "z.org", .mail = "m.org", .ns = {"ns.z.org", "n.net"}, .n_ns = 2, .serial = 7,
        .host = {addr_v4(0xcb007107, 53)}, .n_host = 1};
    return dns_zone_new(&c);
}

static enum dns_zone_found find(void *ctx, const char *name, uint8_t family, struct addr out[DNS_ZONE_ADDRESSES], unsigned *n)
{
    (void)ctx;
    *n = 0;
    if (!strcmp(name, "busy"))
        return DNS_ZONE_BUSY;
    if (strcmp(name, "foo") && strcmp(name, "er") && strcmp(name, "deep.er"))
        return DNS_ZONE_NO_NAME;
    if (family == 4 && strcmp(name, "er"))
        out[(*n)++] = addr_v4(0xcb007107, 0);
    return DNS_ZONE_FOUND;
}

static const struct dns_zone_names names = {find, NULL};

static size_t question(uint8_t *out, const char *name, uint16_t type, uint16_t klass, int edns)
{
    struct writer w = writer_of(out, 512);
    put_bytes(&w, edns >= 0 ? "\x12\x34\1\0\0\1\0\0\0\0\0\1" : "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
    for (const char *at = name; *at;) {
        size_t n = strcspn(at, ".");
        put_u8(&w, (uint8_t)n);
        put_bytes(&w, at, n);
        at += n + (at[n] == '.');
    }
    put_u8(&w, 0);
    put_u16(&w, type);
    put_u16(&w, klass);
    if (edns >= 0) {
        put_bytes(&w, "\0\0\x29", 3);
        put_u16(&w, (uint16_t)edns);
        put_bytes(&w, "\0\0\0\0\0\0", 6);
    }
    return writer_len(&w);
}

START_TEST(an_address_byte_by_byte)
{
    static const uint8_t golden[] = "\x12\x34\x85\0\0\1\0\1\0\0\0\0"
                                    "\3FoO\1z\3OrG\0\0\1\0\1"
                                    "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xcb\0\x71\7";
    uint8_t q[512], out[1232];
    struct dns_zone *z = zone();
    struct dns_zone_outcome what;
    size_t n = dns_zone_answer(z, &names, q, question(q, "FoO.z.OrG", A, 1, -1), false, out, sizeof(out), &what);
    ck_assert_uint_eq(n, sizeof(golden) - 1);
    ck_assert_mem_eq(out, golden, n);
    dns_zone_free(z);
}
END_TEST

static const struct {
    const char *name;
    uint16_t type, klass;
    uint8_t rcode;
    bool aa;
    unsigned answers, authority;
} table[] = {
    {"foo.z.org", A, 1, 0, true, 1, 0},
    {"foo.z.org", AAAA, 1, 0, true, 0, 1},
    {"foo.z.org", MX, 1, 0, true, 0, 1},
    {"foo.z.org", ANY, 1, 0, true, 1, 0},
    {"deep.er.z.org", A, 1, 0, true, 1, 0},
    {"er.z.org", A, 1, 0, true, 0, 1},
    {"nix.z.org", A, 1, 3, true, 0, 1},
    {"nix.z.org", ANY, 1, 3, true, 0, 1},
    {"a.foo.z.org", A, 1, 3, true, 0, 1},
    {"x y.z.org", A, 1, 3, true, 0, 1},
    {"busy.z.org", A, 1, 2, false, 0, 0},
    {"z.org", SOA, 1, 0, true, 1, 0},
    {"z.org", NS, 1, 0, true, 2, 0},
    {"z.org", A, 1, 0, true, 0, 1},
    {"z.org", ANY, 1, 0, true, 1, 0},
    {"ns.z.org", A, 1, 0, true, 1, 0},
    {"ns.z.org", AAAA, 1, 0, true, 0, 1},
    {"org", A, 1, 5, false, 0, 0},
    {"xz.org", A, 1, 5, false, 0, 0},
    {"foo.z.com", A, 1, 5, false, 0, 0},
    {"", NS, 1, 5, false, 0, 0},
    {"z.org", AXFR, 1, 5, false, 0, 0},
    {"foo.z.org", A, 3, 5, false, 0, 0},
};

START_TEST(what_is_asked_and_what_is_said)
{
    uint8_t q[512], out[1232];
    struct dns_zone *z = zone();
    struct dns_zone_outcome what;
    for (int edns = -1; edns < 2000; edns += 1000) {
        size_t len = question(q, table[_i].name, table[_i].type, table[_i].klass, edns);
        size_t n = dns_zone_answer(z, &names, q, len, false, out, sizeof(out), &what);
        ck_assert_uint_ge(n, 12);
        ck_assert_msg((out[3] & 15) == table[_i].rcode && !(out[2] & 4) == !table[_i].aa, "%s %u: %u %u", table[_i].name, table[_i].type, out[3] & 15, out[2]);
        ck_assert_uint_eq(out[7], table[_i].answers);
        ck_assert_uint_eq(out[9], table[_i].authority);
        ck_assert_uint_eq(out[11], edns >= 0);
        ck_assert(!(out[3] & 0x80) && out[2] & 0x80 && out[2] & 1); /* RA never, QR, RD as it came */
    }
    dns_zone_free(z);
}
END_TEST

START_TEST(what_is_no_question_is_told_so_in_twelve_bytes)
{
    uint8_t q[512], out[1232];
    struct dns_zone *z = zone();
    struct dns_zone_outcome what;
    size_t len = question(q, "foo.z.org", A, 1, -1);
    for (size_t k = 0; k < len; k++) {
        uint8_t *part = malloc(k ? k : 1);
        memcpy(part, q, k);
        size_t n = dns_zone_answer(z, &names, part, k, false, out, sizeof(out), &what);
        ck_assert_msg(k < 12 ? n == 0 : n == 12 && (out[3] & 15) == 1, "%zu: %zu", k, n);
        free(part);
    }
    q[2] = 0x28; /* UPDATE */
    ck_assert_uint_eq(dns_zone_answer(z, &names, q, len, false, out, sizeof(out), &what), 12);
    ck_assert_uint_eq(out[3], 4);
    q[2] = 0x80; /* an answer */
    ck_assert_uint_eq(dns_zone_answer(z, &names, q, len, false, out, sizeof(out), &what), 0);
    ck_assert_uint_eq(dns_zone_slip(q, len, out, sizeof(out)), 0);
    q[2] = 1;
    ck_assert_uint_eq(dns_zone_slip(q, len, out, sizeof(out)), 12);
    ck_assert_uint_eq(out[2], 0x83); /* QR, TC, RD */
    q[5] = 2;
    ck_assert_uint_eq(dns_zone_answer(z, &names, q, len, false, out, sizeof(out), &what), 12);
    ck_assert_uint_eq(out[3], 1);
    dns_zone_free(z);
}
END_TEST

START_TEST(a_newer_edns_is_told_which_is_known)
{
    uint8_t q[512], out[1232];
    struct dns_zone *z = zone();
    struct dns_zone_outcome what;
    size_t len = question(q, "foo.z.org", A, 1, 1232);
    q[len - 5] = 1; /* version */
    ck_assert_uint_ge(dns_zone_answer(z, &names, q, len, false, out, sizeof(out), &what), 12);
    ck_assert_uint_eq(what.rcode, 16);
    ck_assert_uint_eq(out[7], 0);
    dns_zone_free(z);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gateway/dns_zone");
    TCase *c = tcase_create("dns_zone");
    tcase_add_test(c, an_address_byte_by_byte);
    tcase_add_loop_test(c, what_is_asked_and_what_is_said, 0, ARRAY_LEN(table));
    tcase_add_test(c, what_is_no_question_is_told_so_in_twelve_bytes);
    tcase_add_test(c, a_newer_edns_is_told_which_is_known);
    suite_add_tcase(s, c);
    return suite_run(s);
}
