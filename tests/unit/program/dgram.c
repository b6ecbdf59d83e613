/* dgram.c - UDP's tables in program/: programs' sockets, mirrors, backlogs, and the file that outlives a daemon. */
#include <check.h>
#include <stdlib.h>

#include "daemon/program/backlog.h"
#include "daemon/program/dgram.h"
#include "daemon/program/dgram_file.h"
#include "include/ipc.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static unsigned freed;

static void on_gone(void *ctx, struct usock *u)
{
    ck_assert_ptr_eq(ctx, &freed);
    ck_assert_ptr_nonnull(u);
    freed++;
}

static struct dgrams *new(void)
{
    freed = 0;
    struct dgrams *d = dgrams_new(on_gone, &freed);
    ck_assert_ptr_nonnull(d);
    return d;
}

static mono_t at(uint64_t s)
{
    return (mono_t){s * USEC_PER_SEC};
}

static struct addr local(uint16_t port)
{
    return addr_v4(INADDR_LOOPBACK, port);
}

static struct usock *for_port(struct dgrams *d, uint16_t port, uint8_t family)
{
    struct addr own = family == 6 ? addr_v6((const uint8_t *)ADDR_PREFIX6 "abcdefghijk", port) : addr_v4(0x0a090909, port);
    return usock_for(d, &own, 0);
}

START_TEST(sockets_are_found_by_address_and_cookie)
{
    struct dgrams *d = new();
    struct addr lan = addr_v4(0xc0a80005, 53), lo = local(53), nobody = local(54);
    struct usock *a = usock_add(d, at(1), &lan, 1, true), *b = usock_add(d, at(1), &lo, 2, true);
    ck_assert_ptr_eq(usock_find(d, &lan), a);
    ck_assert_ptr_eq(usock_find(d, &lo), b);
    ck_assert_ptr_null(usock_find(d, &nobody));
    ck_assert_ptr_eq(usock_by_cookie(d, 53, 1), a);
    ck_assert_ptr_null(usock_by_cookie(d, 53, 3));
    ck_assert_ptr_null(usock_by_cookie(d, 54, 1));
    ck_assert_ptr_eq(for_port(d, 53, 4), b); /* loopback before the others */
    usock_free(d, b);
    ck_assert_ptr_eq(for_port(d, 53, 4), a);
    ck_assert_ptr_eq(usock_add(d, at(2), &lan, 1, false), a); /* the same again, and still a server */
    ck_assert(a->server);
    ck_assert_uint_eq(usocks_count(d), 1);
    dgrams_free(d);
    ck_assert_uint_eq(freed, 2);
}
END_TEST

/* On loopback at a port of the kernel's, it is port 53 to the overlay, and its datagrams come from where it is. */
START_TEST(a_socket_that_asked_for_another_address_is_met_there)
{
    struct dgrams *d = new();
    struct addr real = addr_v4(0x7f000033, 34567), asked = addr_v4(0, 53), own = addr_v4(0x0a090909, 53), any6 = {.family = 6, .port = 53};
    struct usock *u = usock_add(d, at(1), &real, 1, true), *b;
    ck_assert_ptr_eq(for_port(d, 34567, 4), u);
    usock_ask(d, u, &asked, IPC_LISTEN_REUSEPORT);
    ck_assert_ptr_null(for_port(d, 34567, 4));
    ck_assert_ptr_null(for_port(d, 53, 6));
    ck_assert_ptr_eq(for_port(d, 53, 4), u);
    ck_assert_ptr_eq(usock_find(d, &real), u);
    ck_assert_ptr_null(usock_find(d, &own));
    ck_assert_ptr_eq(usock_by_cookie(d, 34567, 1), u);
    ck_assert_ptr_null(usock_by_cookie(d, 53, 1));
    struct addr where = usock_address(u, 4);
    ck_assert(addr_eq(&where, &real));
    ck_assert_ptr_eq(usock_add(d, at(2), &real, 1, false), u); /* it sends: nothing is forgotten */
    ck_assert(addr_eq(&u->asked, &asked));

    ck_assert(usock_conflicts(u, &asked, 0) && usock_conflicts(u, &own, 0) && !usock_conflicts(u, &any6, 0));
    ck_assert(usock_conflicts(u, &asked, IPC_LISTEN_REUSEADDR) && !usock_conflicts(u, &asked, IPC_LISTEN_REUSEPORT));

    real.port++;
    b = usock_add(d, at(1), &real, 2, true);
    usock_ask(d, b, &asked, IPC_LISTEN_REUSEPORT);
    bool met[2] = {false, false};
    for (uint32_t hash = 0; hash < 2; hash++) /* shared */
        met[usock_for(d, &own, hash) == b] = true;
    ck_assert(met[0] && met[1]);
    usock_ask(d, b, &own, 0);
    for (uint32_t hash = 0; hash < 2; hash++) /* the very address first */
        ck_assert_ptr_eq(usock_for(d, &own, hash), b);
    usock_free(d, b);
    ck_assert_ptr_eq(for_port(d, 53, 4), u);
    dgrams_free(d);
}
END_TEST

/* One bound to all addresses speaks from loopback, and one of IPv6 serves both families. */
START_TEST(sockets_for_all_addresses_are_met_on_loopback)
{
    static const uint8_t zeros[16], one[16] = {[15] = 1};
    struct dgrams *d = new();
    struct addr any4 = addr_v4(0, 53), any6 = addr_v6(zeros, 54), lo4 = local(53), lo6 = addr_v6(one, 54), lo46 = local(54),
                other6 = addr_v6(one, 53);
    struct usock *a = usock_add(d, at(1), &any4, 1, true), *b = usock_add(d, at(1), &any6, 2, true);
    ck_assert_ptr_eq(usock_find(d, &lo4), a);
    ck_assert_ptr_eq(usock_find(d, &lo6), b);
    ck_assert_ptr_eq(usock_find(d, &lo46), b);
    ck_assert_ptr_null(usock_find(d, &other6));
    ck_assert_ptr_eq(for_port(d, 54, 6), b);
    ck_assert_ptr_eq(for_port(d, 54, 4), b);
    ck_assert_ptr_null(for_port(d, 53, 6));
    struct addr at4 = usock_address(b, 4), at6 = usock_address(b, 6);
    ck_assert(addr_eq(&at4, &lo46) && addr_eq(&at6, &lo6));
    dgrams_free(d);
}
END_TEST

START_TEST(idle_sockets_go_and_servers_stay)
{
    struct dgrams *d = new();
    struct addr a = local(1), b = local(2), c = local(3);
    usock_add(d, at(10), &a, 1, false);
    struct usock *busy = usock_add(d, at(10), &b, 2, false);
    usock_add(d, at(10), &c, 3, true);
    usock_touch(d, busy, at(200));
    ck_assert_uint_eq(dgrams_deadline(d).us, at(310).us);
    usocks_expire(d, (mono_t){at(310).us - 1});
    ck_assert_uint_eq(usocks_count(d), 3);
    usocks_expire(d, at(310));
    ck_assert_ptr_null(usock_find(d, &a));
    usocks_expire(d, at(100000));
    ck_assert_uint_eq(usocks_count(d), 1);
    ck_assert_ptr_nonnull(usock_find(d, &c));
    usock_demote(d, usock_find(d, &c));
    usocks_expire(d, at(100000));
    ck_assert_uint_eq(usocks_count(d), 0);
    ck_assert_uint_eq(dgrams_deadline(d).us, MONO_NEVER.us);
    dgrams_free(d);
}
END_TEST

START_TEST(no_more_sockets_than_there_may_be)
{
    struct dgrams *d = new();
    struct addr server = local(9);
    usock_add(d, at(1), &server, 1, true);
    for (unsigned i = 0; i < USOCKS_MAX + 100; i++) {
        struct addr a = local((uint16_t)(10000 + i));
        ck_assert_ptr_nonnull(usock_add(d, at(2 + i), &a, 100 + i, false));
    }
    ck_assert_uint_eq(usocks_count(d), USOCKS_MAX);
    ck_assert_uint_eq(freed, 101);
    ck_assert_ptr_nonnull(usock_find(d, &server)); /* clients give way first, the least used of them */
    struct addr old = local(10000), recent = local((uint16_t)(10000 + USOCKS_MAX + 99));
    ck_assert_ptr_null(usock_find(d, &old));
    ck_assert_ptr_nonnull(usock_find(d, &recent));
    unsigned n = 0;
    for (struct usock *u = usock_next(d, NULL); u; u = usock_next(d, u))
        n++;
    ck_assert_uint_eq(n, USOCKS_MAX);
    dgrams_free(d);
}
END_TEST

static struct mirror *mirror(struct dgrams *d, uint64_t s, uint16_t port, bool asked)
{
    struct addr virt = addr_v4(0x0a010203, port), real = addr_v4(0x7f010203, port);
    return mirror_new(d, at(s), &virt, &real, asked);
}

START_TEST(mirrors_are_found_from_both_sides)
{
    struct dgrams *d = new();
    struct mirror *m = mirror(d, 1, 53, true);
    struct addr virt = addr_v4(0x0a010203, 53), real = addr_v4(0x7f010203, 53);
    ck_assert_ptr_eq(mirror_find(d, &virt), m);
    ck_assert_ptr_eq(mirror_find_real(d, &real), m);
    ck_assert_ptr_null(mirror_find(d, &real));
    ck_assert_ptr_null(mirror_find_real(d, &virt));
    mirror_free(d, m);
    ck_assert_ptr_null(mirror_find(d, &virt));
    ck_assert_uint_eq(mirrors_count(d), 0);
    dgrams_free(d);
}
END_TEST

START_TEST(mirrors_that_programs_asked_for_stay_longer)
{
    struct dgrams *d = new();
    struct mirror *plain = mirror(d, 10, 1, false), *asked = mirror(d, 5, 2, true), *later = mirror(d, 6, 3, false);
    ck_assert_ptr_eq(mirror_oldest(d), plain);
    mirror_touch(d, plain, at(20));
    ck_assert_ptr_eq(mirror_oldest(d), later);
    mirror_ask(d, later, at(30));
    ck_assert_ptr_null(mirror_expired(d, (mono_t){at(320).us - 1}));
    ck_assert_uint_eq(dgrams_deadline(d).us, at(320).us);
    ck_assert_ptr_eq(mirror_expired(d, at(320)), plain);
    mirror_free(d, plain);
    ck_assert_ptr_null(mirror_expired(d, at(7000)));
    ck_assert_ptr_eq(mirror_expired(d, at(7205)), asked);
    ck_assert_ptr_eq(mirror_oldest(d), asked);
    dgrams_free(d);
}
END_TEST

START_TEST(no_more_mirrors_than_there_may_be)
{
    struct dgrams *d = new();
    for (unsigned i = 0; i < MIRRORS_MAX; i++)
        ck_assert_ptr_nonnull(mirror(d, 1, (uint16_t)(1 + i), i & 1));
    ck_assert_ptr_null(mirror(d, 1, 60000, true));
    mirror_free(d, mirror_oldest(d));
    ck_assert_ptr_nonnull(mirror(d, 1, 60000, true));
    dgrams_free(d);
}
END_TEST

static struct mirror *mirror_of(struct dgrams *d, uint32_t peer, uint16_t port)
{
    struct addr virt = addr_v4(0x0a020300 + peer, port), real = addr_v4(0x7f020300 + peer, port);
    return mirror_new(d, at(1), &virt, &real, false);
}

/* As much as is left, so that there is always room for another; what programs have asked for does not count. */
START_TEST(one_peer_has_a_share_of_the_mirrors)
{
    struct dgrams *d = new();
    struct addr peer[4];
    unsigned n = 0, of[4] = {0};
    for (unsigned i = 0; i < 4; i++)
        peer[i] = addr_v4(0x0a020300 + i, 9);
    while (!mirrors_of_enough(d, &peer[0], 1000))
        mirror_of(d, 0, (uint16_t)++n);
    ck_assert_uint_eq(n, 500);
    for (unsigned i = 1; i < 4; i++)
        for (; !mirrors_of_enough(d, &peer[i], 1000); of[i]++)
            mirror_of(d, i, (uint16_t)(1 + of[i]));
    ck_assert_uint_eq(of[1], 250);
    ck_assert_uint_ge(of[3], MIRRORS_LEAST);
    ck_assert(mirrors_of_enough(d, &peer[0], 1000));
    struct mirror *first = mirror_oldest_of(d, &peer[0]);
    ck_assert_ptr_eq(first, mirror_oldest(d));
    ck_assert_ptr_null(mirror_oldest_of(d, &peer[3])); /* far from the oldest */
    mirror_ask(d, first, at(1));
    ck_assert_ptr_ne(mirror_oldest_of(d, &peer[0]), first);
    while (mirrors_count(d))
        mirror_free(d, mirror_oldest(d));
    ck_assert(!mirrors_of_enough(d, &peer[0], 1000));
    dgrams_free(d);
}
END_TEST

START_TEST(servers_and_mirrors_come_back_from_their_text)
{
    struct dgrams *d = new();
    struct addr server = local(53), client = local(5000);
    struct dgram_line line;
    size_t len;
    unsigned servers = 0, mirrors = 0;
    struct addr asked = addr_v4(0, 5353);
    usock_ask(d, usock_add(d, at(1), &server, 0xfedcba9876543210, true), &asked, IPC_LISTEN_OVERLAY_ONLY);
    usock_add(d, at(1), &client, 8, false);
    mirror(d, 1, 7, true);
    mirror(d, 1, 8, false);
    char *text = dgrams_format(d, &len);
    ck_assert_uint_eq(strlen(text), len);
    for (const char *p = text; dgrams_parse(&p, &line);) {
        servers += !line.mirror && addr_eq(&line.a, &server) && line.cookie == 0xfedcba9876543210 &&
                   addr_eq(&line.asked, &asked) && line.flags == IPC_LISTEN_OVERLAY_ONLY;
        mirrors += line.mirror && line.a.port == 7 && line.a.ip[0] == 10 && line.real.ip[0] == 127 && line.real.port == 7;
    }
    ck_assert_uint_eq(servers, 1);
    ck_assert_uint_eq(mirrors, 1);
    ck_assert_ptr_null(strstr(text, "5000"));
    free(text);
    dgrams_free(d);
}
END_TEST

START_TEST(lines_that_make_no_sense_are_skipped)
{
    static const char text[] = "udp 127.0.0.1 0 5\nudp 127.0.0.1 70000 5\nudp x 5 5\nmirror 10.0.0.1 5\n\nnonsense\n"
                               "mirror 10.0.0.1 5 127.0.0.1 0\nudp 127.0.0.1 53\nudp 1.1.1.1 5 5 1.1.1.1 5 32\n"
                               "udp 1.1.1.1 5 5 1.1.1.1 0 0";
    const char *p = text;
    struct dgram_line line;
    ck_assert(!dgrams_parse(&p, &line));
    p = "rubbish\nudp ::1 53 9 :: 54 8";
    ck_assert(dgrams_parse(&p, &line));
    ck_assert(line.a.family == 6 && line.a.port == 53 && line.cookie == 9 && !line.mirror && line.asked.port == 54 && line.flags == 8);
    ck_assert(!dgrams_parse(&p, &line));
}
END_TEST

/* ---- backlog ---- */

/* Against a plain queue of lengths: what goes in comes out, in order, and the bound holds. */
START_TEST(backlog_is_a_queue)
{
    enum { MODEL = 70000, BACKLOG_BYTES = 1 << 20 };
    struct backlog_ring *b = backlog_ring_new(BACKLOG_BYTES);
    static size_t length[MODEL];
    static uint8_t data[70000];
    size_t head = 0, tail = 0, held = 0, most = 0;
    uint32_t x = 12345 + (uint32_t)_i;
    for (unsigned i = 0; i < 60000 && tail < MODEL; i++) {
        x = x * 1664525 + 1013904223;
        size_t len = _i == 0 ? (x >> 8) % 1500 : _i == 1 ? (x >> 8) % 65508 : (x >> 8) % 9;
        bool fill = (i / 3000) % 2 == 0 ? x >> 28 < 12 : x >> 28 < 4;
        struct backlog_entry put = {addr_v4(1, (uint16_t)tail), {tail}, data, len}, got;
        if (fill) {
            memset(data, (int)(tail & 255), len);
            if (backlog_put(b, &put)) {
                length[tail++] = len;
                held += len;
            } else {
                ck_assert_uint_ge(held + len * 2 + (tail - head + 2) * 48, BACKLOG_BYTES / 2);
            }
        } else if (backlog_first(b, &got)) {
            ck_assert_uint_lt(head, tail);
            ck_assert_uint_eq(got.from.port, (uint16_t)head);
            ck_assert_uint_eq(got.at.us, head);
            ck_assert_uint_eq(got.len, length[head]);
            ck_assert(!got.len || (got.data[0] == (uint8_t)head && got.data[got.len - 1] == (uint8_t)head));
            held -= length[head++];
            backlog_drop(b);
        } else {
            ck_assert_uint_eq(head, tail);
        }
        most = held > most ? held : most;
        ck_assert_uint_le(held, BACKLOG_BYTES);
        ck_assert(backlog_is_empty(b) == (head == tail));
    }
    ck_assert(_i == 2 || most > BACKLOG_BYTES / 2);
    backlog_ring_free(b);
}
END_TEST

START_TEST(backlog_is_full_to_the_last_byte)
{
    enum { SIZE = 1 << 16, RECORD = 1024, HEAD = 40 };
    static uint8_t data[SIZE];
    struct backlog_ring *b = backlog_ring_new(SIZE);
    struct backlog_entry e = {addr_v4(1, 1), {1}, data, SIZE}, none = {addr_v4(1, 1), {1}, data, 0}, got;
    size_t count = 0;
    ck_assert(!backlog_put(b, &e));
    e.len = RECORD - HEAD;
    while (backlog_put(b, &e))
        count++;
    ck_assert_uint_eq(count, SIZE / RECORD);
    for (int i = 0; i < 3; i++) { /* full, and the end where the start is */
        ck_assert(!backlog_put(b, &none));
        ck_assert(backlog_first(b, &got));
        backlog_drop(b);
        ck_assert(backlog_put(b, &e));
    }
    for (; backlog_first(b, &got); count--)
        backlog_drop(b);
    ck_assert_uint_eq(count, 0);
    backlog_ring_free(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("program/dgram");
    TCase *t = tcase_create("dgram");
    tcase_add_test(t, sockets_are_found_by_address_and_cookie);
    tcase_add_test(t, a_socket_that_asked_for_another_address_is_met_there);
    tcase_add_test(t, sockets_for_all_addresses_are_met_on_loopback);
    tcase_add_test(t, idle_sockets_go_and_servers_stay);
    tcase_add_test(t, no_more_sockets_than_there_may_be);
    tcase_add_test(t, mirrors_are_found_from_both_sides);
    tcase_add_test(t, mirrors_that_programs_asked_for_stay_longer);
    tcase_add_test(t, no_more_mirrors_than_there_may_be);
    tcase_add_test(t, one_peer_has_a_share_of_the_mirrors);
    tcase_add_test(t, servers_and_mirrors_come_back_from_their_text);
    tcase_add_test(t, lines_that_make_no_sense_are_skipped);
    tcase_add_loop_test(t, backlog_is_a_queue, 0, 3);
    tcase_add_test(t, backlog_is_full_to_the_last_byte);
    suite_add_tcase(s, t);
    return suite_run(s);
}
