/* What the stub answers, what it leaves to the server, and byte by byte how. */
#include "daemon/dns/stub.h"

#include <check.h>
#include <stdlib.h>

#include "tests/lib/suite.h"

static unsigned lookups; /* of names and addresses */

static void find(void *ctx, const char *name, struct dns_facts *f)
{
    (void)ctx;
    lookups++;
    if (dns_name_in(name, "late.i3", false)) {
        f->rcode = DNS_SERVFAIL;
    } else if (dns_name_in(name, "bob.i3", false) || dns_name_in(name, "home.bob.i3", false)) {
        f->a = addr_v4(0x0a010203, 0);
        f->a6 = addr_v6((const uint8_t *)"\xfd\x69\x33\0\0\1\0\0\0\0\0\0\0\0\0\2", 0);
    } else if (dns_name_in(name, "four.i3", false)) {
        f->a = addr_v4(0x0a010204, 0);
    } else {
        f->rcode = DNS_NXDOMAIN;
    }
}

static bool is_virtual(void *ctx, const struct addr *a)
{
    (void)ctx;
    return addr_has_prefix6(a) || addr_ip4(a) >> 16 == 0x0a01;
}

static void reverse(void *ctx, const struct addr *a, struct dns_facts *f)
{
    (void)ctx;
    lookups++;
    if (addr_ip4(a) == 0x0a010203 || (a->family == 6 && a->ip[15] == 2))
        memcpy(f->ptr, "bob.i3", 7);
    else
        f->rcode = DNS_NXDOMAIN;
}

static bool claims(void *ctx, const char *name)
{
    (void)ctx;
    return dns_name_in(name, "i3", true) || dns_name_in(name, "denied.example", true);
}

static const struct stub_names names = {"i3", claims, find, is_virtual, reverse, NULL};

struct message {
    uint8_t b[2048];
    size_t n;
};

static void put(struct message *m, const void *p, size_t n)
{
    ck_assert_uint_le(m->n + n, sizeof(m->b));
    memcpy(m->b + m->n, p, n);
    m->n += n;
}

/* A header and a question; the rest is put behind it. */
static struct message query(const char *name, unsigned type)
{
    struct message m = {.n = dns_put_query(m.b, 0x1234, name, DNS_IN, (uint16_t)type)};
    ck_assert_uint_gt(m.n, 0);
    return m;
}

static struct message ask(const struct message *m)
{
    struct message out = {0};
    uint8_t *exact = malloc(m->n ? m->n : 1); /* so that a sanitizer sees what is read beyond it */
    memcpy(exact, m->b, m->n);
    out.n = stub_answer(&names, exact, m->n, out.b, sizeof(out.b));
    free(exact);
    return out;
}

static unsigned field(const struct message *m, size_t at)
{
    ck_assert_uint_ge(m->n, at + 2);
    return (unsigned)(m->b[at] << 8 | m->b[at + 1]);
}

static unsigned rcode(const struct message *m)
{
    return field(m, 2) & 15;
}

#define EDNS "\0\0\x29\x10\0\0\0\0\0\0\0"

START_TEST(an_address_byte_by_byte)
{
    static const uint8_t want[] = "\x12\x34\x85\x80\0\1\0\1\0\0\0\0\3BoB\2I3\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x0a\1\2\3";
    struct message m = query("BoB.I3", DNS_A), r = ask(&m);
    ck_assert_uint_eq(r.n, sizeof(want) - 1);
    ck_assert_mem_eq(r.b, want, r.n);
}
END_TEST

START_TEST(no_data_has_the_soa_of_the_suffix)
{
    static const uint8_t want[] = "\x12\x34\x85\x80\0\1\0\0\0\1\0\0\3bob\2i3\0\0\x41\0\1"
                                  "\xc0\x10\0\6\0\1\0\0\0\0\0\x26\xc0\x10\6nobody\7invalid\0\0\0\0\1\0\0\x0e\x10\0\0\4\xb0\0\x09\x3a\x80\0\0\0\0";
    struct message m = query("bob.i3", 65), r = ask(&m);
    ck_assert_uint_eq(r.n, sizeof(want) - 1);
    ck_assert_mem_eq(r.b, want, r.n);
}
END_TEST

struct one {
    const char *name;
    unsigned type, rcode, records;
};

/* rcode 99: it is the server's */
START_TEST(what_is_asked_and_what_is_said)
{
    static const struct one table[] = {
        {"bob.i3", DNS_A, DNS_NOERROR, 1},
        {"bob.i3", DNS_AAAA, DNS_NOERROR, 1},
        {"bob.i3", DNS_ANY, DNS_NOERROR, 2},
        {"bob.i3", 65, DNS_NOERROR, 0},
        {"bob.i3", DNS_SOA, DNS_NOERROR, 0},
        {"bob.i3", DNS_PTR, DNS_NOERROR, 0},
        {"bob.i3", DNS_AXFR, DNS_REFUSED, 0},
        {"home.bob.i3", DNS_A, DNS_NOERROR, 1},
        {"away.bob.i3", DNS_A, DNS_NXDOMAIN, 0},
        {"four.i3", DNS_AAAA, DNS_NOERROR, 0},
        {"four.i3", DNS_ANY, DNS_NOERROR, 1},
        {"late.i3", DNS_A, DNS_SERVFAIL, 0},
        {"nobody.i3", DNS_A, DNS_NXDOMAIN, 0},
        {"nobody.i3", 65, DNS_NXDOMAIN, 0},
        {"i3", DNS_A, DNS_NOERROR, 0},
        {"I3", 2, DNS_NOERROR, 0},
        {"i3.example.org", DNS_A, 99, 0},
        {"bobi3", DNS_A, 99, 0},
        {"bob.xi3", DNS_A, 99, 0},
        {"example.org", DNS_A, 99, 0},
        {"3.2.1.10.in-addr.arpa", DNS_PTR, DNS_NOERROR, 1},
        {"3.2.1.10.In-Addr.ARPA", DNS_PTR, DNS_NOERROR, 1},
        {"3.2.1.10.in-addr.arpa", DNS_A, DNS_NOERROR, 0},
        {"9.2.1.10.in-addr.arpa", DNS_PTR, DNS_NXDOMAIN, 0},
        {"3.2.2.10.in-addr.arpa", DNS_PTR, 99, 0},
        {"2.1.10.in-addr.arpa", DNS_PTR, 99, 0},
        {"1.3.2.1.10.in-addr.arpa", DNS_PTR, 99, 0},
        {"256.2.1.10.in-addr.arpa", DNS_PTR, 99, 0},
        {"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.3.3.9.6.d.f.ip6.arpa", DNS_PTR, DNS_NOERROR, 1},
        {"3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.3.3.9.6.D.F.ip6.arpa", DNS_PTR, DNS_NXDOMAIN, 0},
        {"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.3.3.9.6.c.f.ip6.arpa", DNS_PTR, 99, 0},
        {"use-application-dns.net", DNS_A, DNS_NXDOMAIN, 0},
        {"Use-Application-DNS.net", DNS_AAAA, DNS_NXDOMAIN, 0},
        {"www.use-application-dns.net", DNS_A, 99, 0},
    };
    const struct one *t = &table[_i % (int)ARRAY_LEN(table)];
    ck_assert_int_lt(_i, (int)ARRAY_LEN(table));
    struct message m = query(t->name, t->type), r = ask(&m);
    if (t->rcode == 99) {
        ck_assert_uint_eq(r.n, 0);
        return;
    }
    ck_assert_uint_eq(rcode(&r), t->rcode);
    ck_assert_uint_eq(field(&r, 0), 0x1234);
    ck_assert_uint_eq(field(&r, 4), 1);
    ck_assert_uint_eq(field(&r, 6), t->records);
    bool soa = !t->records && (t->rcode == DNS_NOERROR || t->rcode == DNS_NXDOMAIN);
    ck_assert_uint_eq(field(&r, 8), soa);
    ck_assert_mem_eq(r.b + 12, m.b + 12, m.n - 12); /* the question as it was put */
    for (size_t n = 0; n < r.n; n++) { /* no room: nothing, and nothing beyond it */
        uint8_t *small = malloc(n + 1);
        ck_assert_uint_eq(stub_answer(&names, m.b, m.n, small, n), 0);
        free(small);
    }
}
END_TEST
enum { TABLE = 34 };

START_TEST(a_reverse_answer_byte_by_byte)
{
    static const uint8_t want[] = "\1\63\1\62\1\61\00210\7in-addr\4arpa\0\0\14\0\1\xc0\x0c\0\14\0\1\0\0\0\0\0\10\3bob\2i3\0";
    struct message m = query("3.2.1.10.in-addr.arpa", DNS_PTR), r = ask(&m);
    ck_assert_uint_eq(r.n, 12 + sizeof(want) - 1);
    ck_assert_mem_eq(r.b + 12, want, sizeof(want) - 1);
}
END_TEST

START_TEST(edns_is_answered_by_edns)
{
    static const uint8_t want[] = "\0\0\x29\x04\xd0\0\0\x80\0\0\0";
    struct message m = query("bob.i3", DNS_A);
    m.b[11] = 1;
    put(&m, "\0\0\x29\x10\0\0\0\x80\0\0\x0c\0\x0a\0\x08" "cookie!!", 23);
    struct message r = ask(&m);
    ck_assert_uint_eq(rcode(&r), DNS_NOERROR);
    ck_assert_uint_eq(field(&r, 10), 1);
    ck_assert_mem_eq(r.b + r.n - 11, want, 11);
    m.b[m.n - 17] = 1; /* its version */
    r = ask(&m);
    ck_assert_uint_eq(rcode(&r), DNS_BADVERS & 15);
    ck_assert_uint_eq(r.b[r.n - 6], DNS_BADVERS >> 4);
    ck_assert_uint_eq(field(&r, 6), 0);
}
END_TEST

START_TEST(flags_of_the_question_come_back)
{
    struct message m = query("bob.i3", DNS_A);
    m.b[2] = 0;
    m.b[3] = DNS_CD | 0x20 /* AD */;
    struct message r = ask(&m);
    ck_assert_uint_eq(field(&r, 2), DNS_QR | DNS_AA | DNS_RA | DNS_CD);
    m.b[2] = 4 << 3; /* notify */
    r = ask(&m);
    ck_assert_uint_eq(field(&r, 2), DNS_QR | DNS_AA | DNS_RA | DNS_CD | 4 << 11 | DNS_NOTIMP);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused_if_it_is_ours)
{
    struct message m = query("bob.i3", DNS_A), whole = m, r;
    for (m.n = 0; m.n < whole.n; m.n++) { /* cut: it is ours as soon as the suffix is in it */
        r = ask(&m);
        ck_assert_uint_eq(r.n, m.n >= 12 + 4 + 3 ? 12 : 0);
        if (r.n)
            ck_assert_uint_eq(rcode(&r), DNS_FORMERR);
    }
    m = whole;
    m.b[11] = 1; /* a record which is not there */
    r = ask(&m);
    ck_assert_uint_eq(rcode(&r), DNS_FORMERR);
    put(&m, EDNS EDNS, 22);
    m.b[11] = 2;
    r = ask(&m);
    ck_assert_uint_eq(rcode(&r), DNS_FORMERR);
    m = query("bob.example", DNS_A);
    m.n -= 3;
    ck_assert_uint_eq(ask(&m).n, 0);
    m = whole;
    m.b[2] |= 0x80; /* a response */
    ck_assert_uint_eq(ask(&m).n, 0);
}
END_TEST

START_TEST(several_questions_are_refused_if_one_is_ours)
{
    struct message m = query("example.org", DNS_A), ours = query("bob.i3", DNS_A);
    m.b[5] = 2;
    put(&m, ours.b + 12, ours.n - 12);
    lookups = 0;
    struct message r = ask(&m);
    ck_assert_uint_eq(rcode(&r), DNS_FORMERR);
    ck_assert_uint_eq(lookups, 0);
    m = query("example.org", DNS_A);
    m.b[5] = 2;
    put(&m, m.b + 12, m.n - 12);
    ck_assert_uint_eq(ask(&m).n, 0);
}
END_TEST

START_TEST(odd_bytes_in_labels_find_nobody)
{
    struct message m = query("bobxi3.i3", DNS_A), r;
    static const char odd[] = {'.', '\0', ' ', (char)0xff};
    for (size_t i = 0; i < sizeof(odd); i++) {
        m.b[12 + 4] = (uint8_t)odd[i]; /* "bob.i3" as one label */
        r = ask(&m);
        ck_assert_uint_eq(rcode(&r), DNS_NXDOMAIN);
    }
    m = query("bob.i3", DNS_A);
    m.b[12] = 0xc0; /* a pointer in a question */
    ck_assert_uint_eq(rcode(&m), 0);
    r = ask(&m);
    ck_assert_uint_eq(rcode(&r), DNS_FORMERR);
}
END_TEST

START_TEST(the_longest_names_fit)
{
    char name[DNS_NAME_MAX + 1];
    memset(name, 'x', sizeof(name));
    for (int i = 50; i < DNS_NAME_MAX - 10; i += 51)
        name[i] = '.';
    memcpy(name + DNS_NAME_MAX - 3, ".i3", 4);
    struct message m = query(name, DNS_A);
    ck_assert_uint_eq(m.n, DNS_QUERY_MAX);
    m.b[11] = 1;
    put(&m, EDNS, 11);
    struct message r = {.n = stub_answer(&names, m.b, m.n, r.b, DNS_REPLY_MAX)};
    ck_assert_uint_eq(rcode(&r), DNS_NXDOMAIN);
    char longer[DNS_NAME_MAX + 8] = "x.";
    memcpy(longer + 2, name, sizeof(name));
    uint8_t out[DNS_QUERY_MAX];
    ck_assert_uint_eq(dns_put_query(out, 0, longer, DNS_IN, DNS_A), 0);
    ck_assert_uint_eq(dns_put_query(out, 0, "a..i3", DNS_IN, DNS_A), 0);
}
END_TEST

START_TEST(what_is_no_dns_on_a_stream_is_seen)
{
    struct message m = {0}, q = query("example.org", DNS_A);
    uint8_t len[2] = {0, (uint8_t)q.n};
    put(&m, len, 2);
    put(&m, q.b, q.n);
    for (size_t n = 0; n <= m.n; n++)
        ck_assert(stub_stream_is_dns(m.b, n));
    ck_assert(!stub_stream_is_dns((const uint8_t *)"SSH-2.0-OpenSSH", 15) || !stub_stream_is_dns((const uint8_t *)"SSH-2.0-OpenSSH", 8));
    ck_assert(!stub_stream_is_dns((const uint8_t *)"GET / HTTP/1.1\r\n", 16));
    ck_assert(!stub_stream_is_dns((const uint8_t *)"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", 10)); /* TLS */
    ck_assert(!stub_stream_is_dns((const uint8_t *)"\0\3", 2));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dns/stub");
    TCase *c = tcase_create("stub");
    tcase_add_test(c, an_address_byte_by_byte);
    tcase_add_test(c, no_data_has_the_soa_of_the_suffix);
    tcase_add_loop_test(c, what_is_asked_and_what_is_said, 0, TABLE);
    tcase_add_test(c, a_reverse_answer_byte_by_byte);
    tcase_add_test(c, edns_is_answered_by_edns);
    tcase_add_test(c, flags_of_the_question_come_back);
    tcase_add_test(c, what_cannot_be_read_is_refused_if_it_is_ours);
    tcase_add_test(c, several_questions_are_refused_if_one_is_ours);
    tcase_add_test(c, odd_bytes_in_labels_find_nobody);
    tcase_add_test(c, the_longest_names_fit);
    tcase_add_test(c, what_is_no_dns_on_a_stream_is_seen);
    suite_add_tcase(s, c);
    return suite_run(s);
}
