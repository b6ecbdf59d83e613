/* vsock.c - the tables of program/: virtual sockets by handle and by mirror, and listeners. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/program/listener.h"
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

START_TEST(listeners_are_found_by_port_and_removed_by_cookie)
{
    struct listeners *ls = listeners_new();
    struct listener a = {IPPROTO_TCP, addr_v4(0, 80), 1}, b = {IPPROTO_TCP, addr_v4(0, 80), 2},
                    c = {IPPROTO_TCP, addr_v4(0x7f000001, 81), 3};
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
    for (uint64_t i = 0; i < LISTENERS_MAX - 2; i++)
        ck_assert_int_eq(listener_add(ls, &(struct listener){IPPROTO_TCP, addr_v4(0, 90), 100 + i}), 0);
    ck_assert_int_eq(listener_add(ls, &(struct listener){IPPROTO_TCP, addr_v4(0, 90), 99}), -ENOSPC);
    listeners_free(ls);
}
END_TEST

START_TEST(listeners_come_back_from_their_text)
{
    struct listeners *ls = listeners_new(), *again = listeners_new();
    struct listener a = {IPPROTO_TCP, addr_v4(0x7f000001, 80), UINT64_MAX}, b = {IPPROTO_TCP, {.family = 6, .port = 65535}, 2};
    size_t len;
    unsigned at = 0;
    listener_add(ls, &a);
    listener_add(ls, &b);
    char *text = listeners_format(ls, &len);
    ck_assert_str_eq(text, "tcp 127.0.0.1 80 18446744073709551615\ntcp :: 65535 2\n");
    ck_assert_uint_eq(len, strlen(text));
    listeners_parse(again, text);
    const struct listener *l = listener_next(again, &at, 0);
    ck_assert(l && addr_eq(&l->bound, &a.bound) && l->cookie == a.cookie);
    l = listener_next(again, &at, 0);
    ck_assert(l && addr_eq(&l->bound, &b.bound) && l->cookie == b.cookie);
    ck_assert_ptr_null(listener_next(again, &at, 0));
    listeners_parse(again, "\n\nudp 1.2.3.4 5 6\ntcp 1.2.3 5 6\ntcp 1.2.3.4 0 6\ntcp 1.2.3.4 70000 6\ntcp");
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
    tcase_add_test(t, listeners_come_back_from_their_text);
    suite_add_tcase(s, t);
    return suite_run(s);
}
