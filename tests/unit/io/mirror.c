/* mirror.c - the sockets that stand for virtual peers, with the kernel on the other side. */
#include <check.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/io/loopback.h"
#include "daemon/io/mirror.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static uint8_t family; /* of the loopback address: every test is told in both */
static struct mirrors_io *io;
static struct addr real;
static int fd;

static void in_family(uint8_t f)
{
    family = f;
    io = mirrors_io_new(0x1122334455667788);
    real = f == 6 ? addr_v6(in6addr_loopback.s6_addr, 0) : addr_v4(0x7f050607, 0);
    fd = mirror_open(&real);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_ne(real.port, 0);
}

static void in_ipv4(void)
{
    in_family(4);
}

static void in_ipv6(void)
{
    in_family(6);
}

static void done(void)
{
    close(fd);
    mirrors_io_free(io);
}

static int program(struct addr *at)
{
    struct sockaddr_storage ss;
    *at = family == 6 ? addr_v6(in6addr_loopback.s6_addr, 0) : addr_v4(INADDR_LOOPBACK, 0);
    int s = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    socklen_t len = addr_to_sockaddr(at, &ss);
    ck_assert_int_eq(bind(s, (struct sockaddr *)&ss, len), 0);
    ck_assert_int_eq(getsockname(s, (struct sockaddr *)&ss, &len), 0);
    *at = addr_from_sockaddr(&ss, len);
    return s;
}

static int link_to(int s, const struct addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, &ss);
    return connect(s, (struct sockaddr *)&ss, len);
}

struct got {
    unsigned n;
    struct addr from;
    size_t len[200];
    uint8_t first[200];
};

static void on_datagram(void *ctx, const struct addr *from, const uint8_t *p, size_t len)
{
    struct got *g = ctx;
    g->from = *from;
    g->first[g->n] = len ? p[0] : 0;
    g->len[g->n++] = len;
}

START_TEST(the_address_is_nobody_elses)
{
    struct addr again = real, at;
    int s = program(&at), one = 1;
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(&real, &ss);
    close(s);
    s = socket(ss.ss_family, SOCK_DGRAM, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    ck_assert_int_eq(bind(s, (struct sockaddr *)&ss, len), -1);
    close(s);
    int second = mirror_open(&again); /* another port of the same address then */
    ck_assert_int_ge(second, 0);
    ck_assert_uint_ne(again.port, real.port);
    ck_assert_mem_eq(again.ip, real.ip, sizeof(real.ip));
    close(second);
}
END_TEST

START_TEST(datagrams_come_with_their_source)
{
    static const size_t length[] = {5, 0, 1, 9000, 60000};
    static uint8_t data[60000];
    struct addr at;
    struct got g = {0};
    int s = program(&at);
    ck_assert_int_eq(link_to(s, &real), 0);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    for (size_t i = 0; i < ARRAY_LEN(length); i++) {
        data[0] = (uint8_t)i;
        ck_assert_int_eq(send(s, data, length[i], 0), (ssize_t)length[i]);
    }
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    ck_assert_uint_eq(g.n, ARRAY_LEN(length));
    for (size_t i = 0; i < ARRAY_LEN(length); i++)
        ck_assert(g.len[i] == length[i] && (!length[i] || g.first[i] == i));
    ck_assert(addr_eq(&g.from, &at));
    close(s);
}
END_TEST

START_TEST(a_full_batch_is_told)
{
    struct addr at;
    struct got g = {0};
    int s = program(&at);
    link_to(s, &real);
    for (int i = 0; i < MIRROR_BATCH + 3; i++)
        send(s, "x", 1, 0);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 1);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    ck_assert_uint_eq(g.n, MIRROR_BATCH + 3);
    close(s);
}
END_TEST

START_TEST(trains_arrive_as_datagrams)
{
    static const size_t length[] = {100, 100, 100, 40, 100, 0, 0, 1200, 1200, 1200, 1300, 9, 60000, 60000};
    static uint8_t data[ARRAY_LEN(length)][60000], buf[65536];
    struct addr at;
    int s = program(&at), size = 1 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    for (size_t i = 0; i < ARRAY_LEN(length); i++) {
        memset(data[i], (int)i, length[i]);
        mirror_send(io, fd, &at, data[i], length[i]);
    }
    ck_assert_uint_eq(mirrors_flush(io), 0);
    for (size_t i = 0; i < ARRAY_LEN(length); i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        ssize_t n = recvfrom(s, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&ss, &len);
        ck_assert_msg(n == (ssize_t)length[i], "%zu: %zd", i, n);
        ck_assert_mem_eq(buf, data[i], length[i]);
        struct addr from = addr_from_sockaddr(&ss, len);
        ck_assert(addr_eq(&from, &real));
    }
    ck_assert_int_lt(recv(s, buf, sizeof(buf), MSG_DONTWAIT), 0);
    close(s);
}
END_TEST

START_TEST(queue_is_bounded)
{
    struct addr at;
    int s = program(&at);
    unsigned n = 0;
    for (; !mirrors_full(io); n++) {
        ck_assert_uint_le(n, MIRROR_SPANS);
        mirror_send(io, fd, &at, (const uint8_t *)"abcdefgh", _i ? 4 : 1 + n % 8);
    }
    ck_assert_uint_ge(n, MIRROR_TRAINS);
    mirrors_flush(io);
    ck_assert(!mirrors_full(io));
    close(s);
}
END_TEST

START_TEST(a_datagram_for_nobody_comes_back)
{
    struct addr at, to;
    struct got g = {0};
    const uint8_t *data;
    size_t len;
    close(program(&at));
    mirror_send(io, fd, &at, (const uint8_t *)"anybody?", 8);
    mirrors_flush(io);
    struct pollfd p = {fd, POLLIN, 0};
    ck_assert_int_eq(poll(&p, 1, 2000), 1);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), -EIO);
    ck_assert(mirror_refused(io, fd, &to, &data, &len));
    ck_assert(addr_eq(&to, &at));
    ck_assert_uint_eq(len, 8);
    ck_assert_mem_eq(data, "anybody?", 8);
    ck_assert(!mirror_refused(io, fd, &to, &data, &len));
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    /* and a datagram after that is not lost to the error */
    int s = program(&at);
    mirror_send(io, fd, &at, (const uint8_t *)"x", 1);
    ck_assert_uint_eq(mirrors_flush(io), 0);
    close(s);
}
END_TEST

/* What the shim does to a socket that is connected to a mirror, or wants the error queue. */
static void share_port(int s)
{
    int one = 1;
    ck_assert_int_eq(setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
}

START_TEST(the_kernel_refuses_in_the_peers_name)
{
    struct addr at;
    struct got g = {0};
    char buf[10];
    int s = program(&at);
    link_to(s, &real);
    share_port(s);
    send(s, "hello", 5, 0);
    ck_assert_int_eq(mirror_refuse(io, fd, &real, &at), 0);
    struct pollfd p = {s, POLLIN, 0};
    ck_assert_int_eq(poll(&p, 1, 2000), 1);
    ck_assert(p.revents & POLLERR);
    ck_assert_int_eq(recv(s, buf, sizeof(buf), MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    /* nobody sees a trace of it, and both go on */
    send(s, "again", 5, 0);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    ck_assert_uint_eq(g.n, 2);
    ck_assert(g.len[0] == 5 && g.len[1] == 5);
    mirror_send(io, fd, &at, (const uint8_t *)"back", 4);
    mirrors_flush(io);
    ck_assert_int_eq(recv(s, buf, sizeof(buf), MSG_DONTWAIT), 4);
    close(s);
}
END_TEST

START_TEST(the_error_queue_has_it_too)
{
    struct addr at;
    char buf[64], control[512];
    struct sockaddr_storage ss;
    int s = program(&at), one = 1;
    share_port(s);
    setsockopt(s, family == 6 ? IPPROTO_IPV6 : IPPROTO_IP, family == 6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof(one));
    ck_assert_int_eq(mirror_refuse(io, fd, &real, &at), 0);
    struct pollfd p = {s, 0, 0};
    ck_assert_int_eq(poll(&p, 1, 2000), 1);
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_name = &ss, .msg_namelen = sizeof(ss), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof(control)};
    ck_assert_int_ge(recvmsg(s, &m, MSG_ERRQUEUE), 0);
    struct addr to = addr_from_sockaddr(&ss, m.msg_namelen);
    ck_assert(addr_eq(&to, &real));
    const struct sock_extended_err *e = (const void *)CMSG_DATA(CMSG_FIRSTHDR(&m));
    ck_assert_uint_eq(e->ee_errno, ECONNREFUSED);
    close(s);
}
END_TEST

START_TEST(a_socket_that_does_not_share_is_left_alone)
{
    struct addr at;
    struct got g = {0};
    int s = program(&at);
    link_to(s, &real);
    ck_assert_int_eq(mirror_refuse(io, fd, &real, &at), -EADDRINUSE);
    send(s, "x", 1, 0);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    ck_assert_uint_eq(g.n, 1);
    close(s);
}
END_TEST

/* The late probe of a refusal looks like a datagram of the program; the peer must not get it. */
START_TEST(our_own_probe_is_no_datagram)
{
    struct addr at;
    struct got g = {0};
    uint64_t probe = 0x1122334455667788, other = 0x1122334455667789;
    int s = program(&at);
    link_to(s, &real);
    send(s, &probe, sizeof(probe), 0);
    send(s, &other, sizeof(other), 0);
    ck_assert_int_eq(mirror_recv(io, fd, on_datagram, &g), 0);
    ck_assert_uint_eq(g.n, 1);
    ck_assert_uint_eq(g.first[0], 0x89);
    close(s);
}
END_TEST

START_TEST(the_kernel_says_whose_a_socket_is)
{
    struct diag *d = diag_open();
    struct diag_udp_info info;
    struct addr at, stranger = real;
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    int s = program(&at);
    if (!d)
        return;
    getsockopt(s, SOL_SOCKET, SO_COOKIE, &cookie, &len);
    ck_assert_int_eq(diag_udp(d, &at, &real, &info), 0);
    ck_assert(info.cookie == cookie && info.uid == geteuid() && info.used == 0 && info.buffer > 2000);
    link_to(s, &real);
    send(fd, "", 0, 0);
    mirror_send(io, fd, &at, (const uint8_t *)"waits", 5);
    mirrors_flush(io);
    ck_assert_int_eq(diag_udp(d, &at, &real, &info), 0);
    ck_assert_uint_gt(info.used, 0);
    stranger.port ^= 1;
    ck_assert_int_eq(diag_udp(d, &at, &stranger, &info), -ENOENT); /* it is connected to another */
    close(s);
    ck_assert_int_eq(diag_udp(d, &at, &real, &info), -ENOENT);
    diag_close(d);
}
END_TEST

START_TEST(the_kernel_says_who_is_connected)
{
    struct diag *d = diag_open();
    struct addr at;
    int s = program(&at);
    if (!d)
        return;
    ck_assert(!diag_udp_connected(d, &real));
    link_to(s, &real);
    ck_assert(diag_udp_connected(d, &real));
    close(s);
    ck_assert(!diag_udp_connected(d, &real));
    if (family == 4 && access("/proc/net/if_inet6", R_OK) == 0) { /* a socket of both families */
        struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(real.port)};
        mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
        memcpy(mapped.sin6_addr.s6_addr + 12, real.ip, 4);
        s = socket(AF_INET6, SOCK_DGRAM, 0);
        ck_assert_int_eq(connect(s, (struct sockaddr *)&mapped, sizeof(mapped)), 0);
        ck_assert(diag_udp_connected(d, &real));
        close(s);
    }
    diag_close(d);
}
END_TEST

static TCase *all(const char *name, void (*setup)(void))
{
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, setup, done);
    tcase_add_test(t, the_address_is_nobody_elses);
    tcase_add_test(t, datagrams_come_with_their_source);
    tcase_add_test(t, a_full_batch_is_told);
    tcase_add_test(t, trains_arrive_as_datagrams);
    tcase_add_loop_test(t, queue_is_bounded, 0, 2);
    tcase_add_test(t, a_datagram_for_nobody_comes_back);
    tcase_add_test(t, the_kernel_refuses_in_the_peers_name);
    tcase_add_test(t, the_error_queue_has_it_too);
    tcase_add_test(t, a_socket_that_does_not_share_is_left_alone);
    tcase_add_test(t, our_own_probe_is_no_datagram);
    tcase_add_test(t, the_kernel_says_whose_a_socket_is);
    tcase_add_test(t, the_kernel_says_who_is_connected);
    return t;
}

int main(void)
{
    Suite *s = suite_create("io/mirror");
    suite_add_tcase(s, all("ipv4", in_ipv4));
    if (access("/proc/net/if_inet6", R_OK) == 0)
        suite_add_tcase(s, all("ipv6", in_ipv6));
    return suite_run(s);
}
