/* vsock.c - the tables of program/: virtual sockets by handle and by mirror, and listeners. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/program/listener.h"
#include "include/ipc.h"
#include "daemon/program/vsock.h"
#include "tests/lib/suite.h"

START_TEST(handle_finds_its_vsock_and_no_other)
{
    struct vsocks *vs = vsocks_new(1000);
    struct vsock *a = vsock_new(vs, VSOCK_CLIENT, 0x1111222233334444);
    struct vsock *b = vsock_new(vs, VSOCK_CLIENT, 0x1111222233334445);
    ck_assert_ptr_eq(vsock_by_handle(vs, a->handle), a);
    ck_assert_ptr_eq(vsock_by_handle(vs, b->handle), b);
    ck_assert_ptr_null(vsock_by_handle(vs, a->handle ^ 1ull << 40));
    ck_assert_ptr_null(vsock_by_handle(vs, UINT64_MAX));
    ck_assert_uint_eq(vsocks_count(vs), 2);
    vsocks_free(vs);
}
END_TEST

START_TEST(error_outlives_the_vsock)
{
    struct vsocks *vs = vsocks_new(1000);
    struct vsock *a = vsock_new(vs, VSOCK_CLIENT, 1);
    uint64_t handle = a->handle;
    ck_assert_int_eq(vsock_error(vs, handle), 0);
    vsock_free(vs, a, ECONNREFUSED);
    ck_assert_ptr_null(vsock_by_handle(vs, handle));
    /* a whole chunk of others comes and goes before the slot is used again */
    for (int i = 0; i < 200; i++)
        vsock_free(vs, vsock_new(vs, VSOCK_CLIENT, 100 + (uint64_t)i), 0);
    ck_assert_int_eq(vsock_error(vs, handle), ECONNREFUSED);
    vsocks_free(vs);
}
END_TEST

START_TEST(no_more_than_max)
{
    struct vsocks *vs = vsocks_new(300);
    struct vsock *first = vsock_new(vs, VSOCK_CLIENT, 0);
    for (int i = 1; i < 300; i++)
        ck_assert_ptr_nonnull(vsock_new(vs, VSOCK_CLIENT, (uint64_t)i));
    ck_assert_ptr_null(vsock_new(vs, VSOCK_CLIENT, 300));
    vsock_free(vs, first, 0);
    ck_assert_ptr_nonnull(vsock_new(vs, VSOCK_CLIENT, 301));
    int n = 0;
    for (struct vsock *v = vsock_next(vs, NULL); v; v = vsock_next(vs, v))
        n++;
    ck_assert_int_eq(n, 300);
    vsocks_free(vs);
}
END_TEST

START_TEST(mirror_names_one_server)
{
    struct vsocks *vs = vsocks_new(1000);
    struct addr m = addr_v4(0x7f010203, 40000), other = addr_v4(0x7f010203, 40001), at = addr_v4(0x7f000001, 80),
                elsewhere = addr_v4(0x7f000001, 81);
    struct vsock *a = vsock_new(vs, VSOCK_SERVER, 1), *b = vsock_new(vs, VSOCK_SERVER, 2);
    ck_assert_int_eq(vsock_set_mirror(vs, a, &m, &at), 0);
    ck_assert_int_eq(vsock_set_mirror(vs, b, &m, &at), -EEXIST);
    ck_assert_int_eq(vsock_set_mirror(vs, b, &other, &at), 0);
    ck_assert_ptr_eq(vsock_by_mirror(vs, &m, &at), a);
    ck_assert_ptr_null(vsock_by_mirror(vs, &m, &elsewhere));
    vsock_free(vs, a, 0);
    ck_assert_ptr_null(vsock_by_mirror(vs, &m, &at));
    struct vsock *c = vsock_new(vs, VSOCK_SERVER, 3);
    ck_assert_int_eq(vsock_set_mirror(vs, c, &other, &elsewhere), 0); /* the same caller at another service */
    ck_assert_ptr_eq(vsock_by_mirror(vs, &other, &elsewhere), c);
    ck_assert_ptr_eq(vsock_by_mirror(vs, &other, &at), b);
    vsocks_free(vs);
}
END_TEST

static struct listener tcp(struct addr bound, uint64_t cookie)
{
    return (struct listener){.proto = IPPROTO_TCP, .bound = bound, .asked = bound, .cookie = cookie};
}

START_TEST(listeners_are_found_by_port_and_removed_by_cookie)
{
    struct listeners *ls = listeners_new();
    struct listener a = tcp(addr_v4(0, 80), 1), b = tcp(addr_v4(0, 80), 2), c = tcp(addr_v4(0x7f000001, 81), 3), more;
    ck_assert_int_eq(listener_add(ls, &a), 0);
    ck_assert_int_eq(listener_add(ls, &b), 0);
    ck_assert_int_eq(listener_add(ls, &c), 0);
    ck_assert_int_eq(listener_add(ls, &c), 0); /* again: no second entry */
    unsigned at = 0, n = 0;
    while (listener_next(ls, &at, 80))
        n++;
    ck_assert_uint_eq(n, 2);
    for (at = 0, n = 0; listener_next(ls, &at, 0);)
        n++;
    ck_assert_uint_eq(n, 3);
    listener_remove(ls, 1);
    at = 0;
    ck_assert_uint_eq(listener_next(ls, &at, 80)->cookie, 2);
    ck_assert_ptr_null(listener_next(ls, &at, 80));
    for (uint64_t i = 0; i < LISTENERS_MAX - 2; i++) {
        more = tcp(addr_v4(0, 90), 100 + i);
        ck_assert_int_eq(listener_add(ls, &more), 0);
    }
    more = tcp(addr_v4(0, 90), 99);
    ck_assert_int_eq(listener_add(ls, &more), -ENOSPC);
    ck_assert_int_eq(listener_add(ls, &b), 0); /* that one is there */
    listeners_free(ls);
}
END_TEST

/* The cookies of who gets eight connections to own. */
static const char *served(struct listeners *ls, struct addr own)
{
    static char out[9];
    for (int i = 0; i < 8; i++) {
        const struct listener *l = listener_best(ls, &own);
        out[i] = l ? (char)('0' + l->cookie) : '-';
    }
    return out;
}

START_TEST(connections_go_to_whom_they_are_meant_for)
{
    static const uint8_t zeros[16];
    struct listeners *ls = listeners_new();
    struct addr own = addr_v4(0x0a090909, 80), own6 = addr_v6((const uint8_t *)ADDR_PREFIX6 "abcdefghijk", 80), real = addr_v4(0x7f000033, 80);
    struct listener lo = tcp(addr_v4(0x7f000001, 80), 1), any6 = tcp(addr_v6(zeros, 80), 2), any = tcp(addr_v4(0, 80), 3),
                    elsewhere = tcp(addr_v4(0x7f000033, 34567), 4), early = tcp(own, 5), mine = tcp(own, 6);
    elsewhere.asked = any.asked;
    early.flags = IPC_LISTEN_BOUND;
    ck_assert_str_eq(served(ls, own), "--------");
    listener_add(ls, &lo);
    ck_assert_str_eq(served(ls, own), "11111111");
    ck_assert_str_eq(served(ls, own6), "--------");
    listener_add(ls, &any6);
    ck_assert_str_eq(served(ls, own), "22222222");
    ck_assert_str_eq(served(ls, own6), "22222222");
    listener_add(ls, &any);
    ck_assert_str_eq(served(ls, own), "33333333");
    listener_add(ls, &elsewhere); /* equals take turns */
    ck_assert(!strcmp(served(ls, own), "34343434") || !strcmp(served(ls, own), "43434343"));
    listener_add(ls, &early); /* does not listen yet */
    ck_assert_ptr_nonnull(strchr(served(ls, own), '3'));
    listener_add(ls, &mine);
    ck_assert_str_eq(served(ls, own), "66666666");
    real.port = 34567; /* where it is on loopback is nobody's business */
    ck_assert_str_eq(served(ls, real), "--------");
    ck_assert_uint_eq(listener_by_cookie(ls, 4)->bound.port, 34567);
    ck_assert_ptr_null(listener_by_cookie(ls, 9));
    listeners_free(ls);
}
END_TEST

START_TEST(addresses_are_shared_as_the_kernel_shares_them)
{
    enum { PORT = IPC_LISTEN_REUSEPORT, ADDR = IPC_LISTEN_REUSEADDR, BOUND = IPC_LISTEN_BOUND };
    static const struct {
        uint32_t old_ip, ip;
        uint8_t old, new, conflict;
    } cases[] = {
        {0, 0, 0, 0, 1}, {0, 0x0a090909, 0, 0, 1}, {0x0a090909, 0, 0, 0, 1}, {0x0a090909, 0x7f000001, 0, 0, 0},
        {0, 0, PORT, 0, 1}, {0, 0, 0, PORT, 1}, {0, 0, PORT, PORT, 0},
        {0, 0, ADDR, ADDR, 1}, {0, 0, ADDR | BOUND, ADDR | BOUND, 0}, {0, 0, ADDR | BOUND, BOUND, 1},
        {0, 0, ADDR, ADDR | BOUND, 1}, {0, 0, ADDR | BOUND, ADDR, 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listener old = tcp(addr_v4(cases[i].old_ip, 80), 1), new = tcp(addr_v4(cases[i].ip, 80), 2);
        old.flags = cases[i].old;
        new.flags = cases[i].new;
        ck_assert_msg(listener_conflicts(&old, &new) == cases[i].conflict, "case %u", i);
        new.asked.port++;
        ck_assert(!listener_conflicts(&old, &new));
    }
    struct listener four = tcp(addr_v4(0, 80), 1), six = tcp((struct addr){.family = 6, .port = 80}, 2);
    ck_assert(!listener_conflicts(&four, &six)); /* most who have both bind each by itself */
}
END_TEST

START_TEST(listeners_come_back_from_their_text)
{
    struct listeners *ls = listeners_new(), *again = listeners_new();
    struct listener a = tcp(addr_v4(0x7f000001, 80), UINT64_MAX), b = tcp((struct addr){.family = 6, .port = 65535}, 2);
    a.asked = addr_v4(0x0a090909, 5000);
    a.flags = IPC_LISTEN_OVERLAY_ONLY;
    size_t len;
    unsigned at = 0;
    listener_add(ls, &a);
    listener_add(ls, &b);
    char *text = listeners_format(ls, &len);
    ck_assert_str_eq(text, "tcp 127.0.0.1 80 18446744073709551615 10.9.9.9 5000 8\ntcp :: 65535 2 :: 65535 0\n");
    ck_assert_uint_eq(len, strlen(text));
    listeners_parse(again, text);
    const struct listener *l = listener_next(again, &at, 0);
    ck_assert(l && addr_eq(&l->bound, &a.bound) && l->cookie == a.cookie && addr_eq(&l->asked, &a.asked) && l->flags == a.flags);
    l = listener_next(again, &at, 0);
    ck_assert(l && addr_eq(&l->bound, &b.bound) && l->cookie == b.cookie);
    ck_assert_ptr_null(listener_next(again, &at, 0));
    listeners_parse(again, "\n\nudp 1.2.3.4 5 6\ntcp 1.2.3 5 6\ntcp 1.2.3.4 0 6\ntcp 1.2.3.4 70000 6\ntcp\n"
                           "tcp 1.2.3.4 5 6 1.2.3.4 5 32\ntcp 1.2.3.4 5 6 1.2.3.4 0 0\ntcp 1.2.3.4 5 6 x 5 0");
    at = 2;
    ck_assert_ptr_null(listener_next(again, &at, 0));
    free(text);
    listeners_free(ls);
    listeners_free(again);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("program");
    TCase *t = tcase_create("tables");
    tcase_add_test(t, handle_finds_its_vsock_and_no_other);
    tcase_add_test(t, error_outlives_the_vsock);
    tcase_add_test(t, no_more_than_max);
    tcase_add_test(t, mirror_names_one_server);
    tcase_add_test(t, listeners_are_found_by_port_and_removed_by_cookie);
    tcase_add_test(t, connections_go_to_whom_they_are_meant_for);
    tcase_add_test(t, addresses_are_shared_as_the_kernel_shares_them);
    tcase_add_test(t, listeners_come_back_from_their_text);
    suite_add_tcase(s, t);
    return suite_run(s);
}
