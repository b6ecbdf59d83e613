/* sockets.c - what io/ promises of the kernel: a pair that polls like a connecting TCP socket, UDP trains that arrive whole,
 * listeners known by cookie, files that are written whole or not at all. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/io/files.h"
#include "daemon/io/loopback.h"
#include "daemon/io/pair.h"
#include "daemon/io/udp.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static const struct sock_name name = {.handle = 0x1234567890abcdef,
    .local = {.family = 4, .port = 4000, .ip = {10, 1, 2, 3}},
    .remote = {.family = 4, .port = 80, .ip = {10, 4, 5, 6}}};

static short polled(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static bool drained;

START_TEST(pair_is_writable_only_after_release)
{
    struct pair p;
    ck_assert_int_eq(pair_open(&p, &name, false), 0);
    int program = dup(p.program);
    ck_assert_int_eq(polled(program), 0);
    ck_assert_int_eq(send(program, "x", 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(pair_release(&p), 0);
    ck_assert_int_eq(polled(program), POLLOUT);
    ck_assert_int_eq(send(program, "hello", 5, 0), 5);
    char got[16];
    struct iovec iov = {got, sizeof(got)};
    ck_assert_int_eq(pair_read(p.daemon, &iov, 1, sizeof(got), false, &drained), 5); /* and nothing of the filling */
    close(program);
    close(p.daemon);
}
END_TEST

START_TEST(refused_pair_polls_as_an_error)
{
    struct pair p;
    int err = 0;
    socklen_t len = sizeof(err);
    ck_assert_int_eq(pair_open(&p, &name, false), 0);
    int program = dup(p.program);
    pair_refuse(&p);
    ck_assert_int_eq(polled(program) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    ck_assert_int_eq(getsockopt(program, SOL_SOCKET, SO_ERROR, &err, &len), 0);
    ck_assert_int_eq(err, ECONNRESET);
    close(program);
}
END_TEST

/* Everything that is written, in order and once, whatever the pieces. */
START_TEST(pair_reads_all_but_its_keeper)
{
    struct pair p;
    char in[997], out[1400];
    size_t sent = 0, got = 0, lens[] = {1, 2, 997, 3, 500, 1, 1};
    uint8_t next = 0;
    ck_assert_int_eq(pair_open(&p, &name, true), 0);
    int program = dup(p.program);
    ck_assert_int_eq(pair_release(&p), 0);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        for (size_t k = 0; k < lens[i]; k++)
            in[k] = (char)(sent + k);
        ck_assert_int_eq(send(program, in, lens[i], 0), (ssize_t)lens[i]);
        sent += lens[i];
        if (i == 3)
            continue; /* two pieces at once */
        if (i == 6)
            shutdown(program, SHUT_WR);
        for (;;) {
            struct iovec iov[2] = {{out, 7}, {out + 700, 13}};
            ssize_t n = pair_read(p.daemon, iov, 2, 20, i == 6, &drained);
            if (n == (i == 6 ? 0 : -EAGAIN))
                break;
            ck_assert_int_gt(n, 0);
            got += (size_t)n;
            for (ssize_t k = 0; k < n; k++)
                ck_assert_int_eq((uint8_t)(k < 7 ? out[k] : out[700 + k - 7]), next++);
        }
        ck_assert_uint_eq(got, sent);
    }
    close(program);
    close(p.daemon);
}
END_TEST

START_TEST(pair_reads_past_an_urgent_byte)
{
    struct pair p;
    char buf[16] = "";
    size_t got = 0;
    ck_assert_int_eq(pair_open(&p, &name, true), 0);
    int program = dup(p.program);
    ck_assert_int_eq(pair_release(&p), 0);
    ck_assert_int_eq(send(program, "ab", 2, 0), 2);
    if (send(program, "X", 1, MSG_OOB) == 1) { /* before Linux 5.15 there is none */
        ck_assert_int_eq(send(program, "cd", 2, 0), 2);
        for (drained = false; !drained;) {
            struct iovec iov = {buf + got, sizeof(buf) - got};
            ssize_t n = pair_read(p.daemon, &iov, 1, sizeof(buf) - got, false, &drained);
            ck_assert_int_gt(n, 0);
            got += (size_t)n;
        }
        ck_assert_str_eq(buf, "abXcd");
    }
    close(program);
    close(p.daemon);
}
END_TEST

START_TEST(pair_that_breaks_is_no_pair_that_ends)
{
    for (int good = 0; good < 2; good++) {
        struct pair p;
        char buf[16];
        struct iovec iov = {buf, sizeof(buf)};
        ck_assert_int_eq(pair_open(&p, &name, good), 0);
        int program = dup(p.program);
        ck_assert_int_eq(pair_release(&p), 0);
        ck_assert_int_eq(send(program, "request", 7, 0), 7);
        ck_assert_int_eq(pair_read(p.daemon, &iov, 1, sizeof(buf), false, &drained), 7);
        ck_assert_int_eq(send(p.daemon, "ans", 3, 0), 3);
        if (good)
            pair_part(p.daemon);
        close(p.daemon);
        ck_assert_int_eq(recv(program, buf, sizeof(buf), 0), 3); /* what has come is not lost */
        ssize_t n = recv(program, buf, sizeof(buf), 0);
        ck_assert_int_eq(n < 0 ? -errno : n, good ? 0 : -ECONNRESET);
        ck_assert_int_eq(recv(program, buf, sizeof(buf), 0), 0);
        close(program);
    }
}
END_TEST

/* A program that closes with something unread resets, and one that does not, does not. */
START_TEST(pair_tells_how_the_program_has_closed)
{
    for (int good = 0; good < 2; good++) {
        struct pair p;
        char buf[16];
        struct iovec iov = {buf, sizeof(buf)};
        ck_assert_int_eq(pair_open(&p, &name, true), 0);
        int program = dup(p.program);
        ck_assert_int_eq(pair_release(&p), 0);
        ck_assert_int_eq(send(p.daemon, "answer", 6, 0), 6);
        if (good)
            ck_assert_int_eq(recv(program, buf, sizeof(buf), 0), 6);
        ck_assert_int_eq(send(program, "bye", 3, 0), 3);
        close(program);
        ck_assert_int_eq(pair_read(p.daemon, &iov, 1, sizeof(buf), true, &drained), 3);
        ck_assert_int_eq(pair_read(p.daemon, &iov, 1, sizeof(buf), true, &drained), good ? 0 : -ECONNRESET);
        close(p.daemon);
    }
}
END_TEST

START_TEST(pair_carries_the_four_tuple_in_its_names)
{
    struct pair p;
    struct sockaddr_un un;
    struct sock_name got;
    socklen_t len = sizeof(un);
    ck_assert_int_eq(pair_open(&p, &name, false), 0);
    ck_assert_int_eq(getpeername(p.program, (struct sockaddr *)&un, &len), 0);
    ck_assert_int_eq(sock_name_decode(&un, len, &got), 0);
    ck_assert_int_eq(got.side, 'd');
    ck_assert(got.handle == name.handle && addr_eq(&got.local, &name.local) && addr_eq(&got.remote, &name.remote));
    pair_refuse(&p);
}
END_TEST

struct gathered {
    unsigned n;
    size_t len[600];
    uint8_t first[600], ecn[600];
    const struct udp *udp;
};

static void gather(void *ctx, const struct addr *from, uint8_t *p, size_t len)
{
    struct gathered *g = ctx;
    ck_assert_int_eq(from->family, udp_local(g->udp)->family);
    g->len[g->n] = len;
    g->ecn[g->n] = udp_ecn(g->udp);
    g->first[g->n++] = p[0];
}

/* ... with the ECN bits of each. */
START_TEST(trains_of_mixed_sizes_arrive_as_sent)
{
    struct sockaddr_in6 loop6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    static struct outbox o;
    static uint8_t data[300][1461];
    struct gathered g = {0};
    struct addr any = _i ? addr_from_sockaddr(&loop6, sizeof(loop6)) : addr_v4(INADDR_LOOPBACK, 0);
    struct udp *a, *b;
    ck_assert_int_eq(udp_open(&a, &any, 4 << 20), 0);
    ck_assert_int_eq(udp_open(&b, &any, 4 << 20), 0);
    for (unsigned i = 0; i < 300; i++) {
        data[i][0] = (uint8_t)i;
        size_t len = i % 70 == 69 ? 100 + i : i > 250 ? 61 : 1461;
        ck_assert(outbox_push(&o, udp_local(b), data[i], len));
        outbox_set_ecn(&o, i % 40 < 20 ? 2 : i % 3 ? 0 : 3);
    }
    g.udp = b;
    udp_send(a, &o, NULL, NULL);
    ck_assert_uint_eq(o.n, 0);
    for (int i = 0; i < 1000 && g.n < 300; i++) {
        struct pollfd p = {udp_fd(b), POLLIN, 0};
        poll(&p, 1, 100);
        udp_recv(b, gather, &g);
    }
    ck_assert_uint_eq(g.n, 300);
    for (unsigned i = 0; i < 300; i++) {
        ck_assert_uint_eq(g.len[i], i % 70 == 69 ? 100 + i : i > 250 ? 61 : 1461);
        ck_assert_uint_eq(g.first[i], (uint8_t)i);
        ck_assert_uint_eq(g.ecn[i], i % 40 < 20 ? 2 : i % 3 ? 0 : 3);
    }
    udp_close(a);
    udp_close(b);
}
END_TEST

/* What a node forwards comes as trains already; beside others, and on a socket that takes none. */
START_TEST(a_train_of_the_outbox_arrives_in_its_pieces)
{
    static struct outbox o;
    static uint8_t data[20 * 300];
    struct gathered g = {0};
    struct addr any = addr_v4(INADDR_LOOPBACK, 0);
    struct udp *a, *b;
    int one = 1;
    ck_assert_int_eq(udp_open(&a, &any, 1 << 20), 0);
    ck_assert_int_eq(udp_open(&b, &any, 1 << 20), 0);
    if (_i) /* GSO needs checksums: EIO without */
        setsockopt(udp_fd(a), SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one));
    for (unsigned i = 0; i < 20; i++)
        data[i * 300] = (uint8_t)(i + 1);
    outbox_push(&o, udp_local(b), data, 300);
    outbox_push_train(&o, udp_local(b), data + 300, 17 * 300 + 100, 300, 2);
    outbox_push_train(&o, udp_local(b), data + 19 * 300, 300, 300, 0);
    ck_assert_uint_eq(dgram_count(&o.v[1]), 18);
    ck_assert_uint_eq(dgram_count(&o.v[2]), 1);
    udp_send(a, &o, NULL, NULL);
    ck_assert_uint_eq(udp_stats(a)->packets_out, 20);
    ck_assert_uint_eq(udp_stats(a)->send_lost, 0);
    g.udp = b;
    for (int i = 0; i < 100 && g.n < 20; i++) {
        poll(&(struct pollfd){udp_fd(b), POLLIN, 0}, 1, 100);
        udp_recv(b, gather, &g);
    }
    ck_assert_uint_eq(g.n, 20);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_uint_eq(g.first[i], i + 1);
        ck_assert_uint_eq(g.len[i], i == 18 ? 100 : 300);
        ck_assert_uint_eq(g.ecn[i], i > 0 && i < 19 ? 2 : 0);
    }
    ck_assert_uint_eq(udp_stats(b)->packets_in, 20);
    udp_close(a);
    udp_close(b);
}
END_TEST

/* Flows are dealt out among them, and each stays with one. */
START_TEST(sockets_beside_each_other_share_the_flows)
{
    enum { SOCKETS = 4, FLOWS = 64, EACH = 3 };
    struct addr any = addr_v4(INADDR_LOOPBACK, 0);
    struct udp *u[SOCKETS], *other;
    unsigned used = 0, got = 0;
    uint8_t by[FLOWS] = {0};
    ck_assert_int_eq(udp_open(&u[0], &any, 1 << 20), 0);
    for (unsigned i = 1; i < SOCKETS; i++) {
        ck_assert_int_eq(udp_open_beside(&u[i], u[0], 1 << 20), 0);
        ck_assert(addr_eq(udp_local(u[i]), udp_local(u[0])));
    }
    ck_assert_int_eq(udp_open(&other, udp_local(u[0]), 1 << 20), -EADDRINUSE);
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(udp_local(u[0]), &ss);
    for (unsigned i = 0; i < FLOWS; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        for (unsigned k = 0; k < EACH; k++)
            ck_assert_int_eq(sendto(fd, &(uint8_t){(uint8_t)i}, 1, 0, (struct sockaddr *)&ss, len), 1);
        close(fd);
    }
    for (unsigned i = 0; i < SOCKETS; i++) {
        struct gathered g = {.udp = u[i]};
        while (udp_recv(u[i], gather, &g))
            ;
        used += g.n > 0;
        got += g.n;
        for (unsigned k = 0; k < g.n; k++) {
            ck_assert(!by[g.first[k]] || by[g.first[k]] == i + 1);
            by[g.first[k]] = (uint8_t)(i + 1);
        }
        udp_close(u[i]);
    }
    ck_assert_uint_eq(got, FLOWS * EACH);
    ck_assert_uint_ge(used, 3);
}
END_TEST

struct failures {
    unsigned n;
    struct addr to;
    size_t len;
    int err;
};

static void failed(void *ctx, const struct addr *to, size_t len, int err)
{
    struct failures *f = ctx;
    *f = (struct failures){f->n + 1, *to, len, err};
}

START_TEST(what_cannot_be_sent_is_told_with_its_size_and_the_rest_goes)
{
    static struct outbox o;
    static uint8_t data[65535];
    struct gathered g = {0};
    struct failures f = {0};
    struct addr any = addr_v4(INADDR_LOOPBACK, 0), broadcast = addr_v4(INADDR_BROADCAST, 9);
    struct udp *a, *b;
    ck_assert_int_eq(udp_open(&a, &any, 1 << 20), 0);
    ck_assert_int_eq(udp_open(&b, &any, 1 << 20), 0);
    g.udp = b;
    outbox_push(&o, udp_local(b), data, 100);
    outbox_push(&o, udp_local(b), data, 65530);
    outbox_push(&o, udp_local(b), data, 200);
    udp_send(a, &o, failed, &f);
    ck_assert_uint_eq(f.n, 1);
    ck_assert_int_eq(f.err, EMSGSIZE);
    ck_assert_uint_eq(f.len, 65530);
    ck_assert(addr_eq(&f.to, udp_local(b)));
    outbox_push(&o, &broadcast, data, 100);
    udp_send(a, &o, failed, &f);
    ck_assert_uint_eq(f.n, 2);
    ck_assert_uint_ne(f.err, EMSGSIZE);
    for (int i = 0; i < 100 && g.n < 2; i++) {
        poll(&(struct pollfd){udp_fd(b), POLLIN, 0}, 1, 100);
        udp_recv(b, gather, &g);
    }
    ck_assert_uint_eq(g.n, 2);
    udp_close(a);
    udp_close(b);
}
END_TEST

START_TEST(fragments_are_forbidden)
{
    struct addr any = addr_v4(0, 0), any6 = {.family = 6};
    struct udp *u;
    int v = -1;
    socklen_t len = sizeof(v);
    ck_assert_int_eq(udp_open(&u, &any, 1 << 20), 0);
    ck_assert_int_eq(getsockopt(udp_fd(u), IPPROTO_IP, IP_MTU_DISCOVER, &v, &len), 0);
    ck_assert_int_eq(v, IP_PMTUDISC_PROBE);
    udp_close(u);
    if (udp_open(&u, &any6, 1 << 20)) /* no IPv6 here */
        return;
    ck_assert_int_eq(getsockopt(udp_fd(u), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v, &len), 0);
    ck_assert_int_eq(v, IPV6_PMTUDISC_PROBE);
    ck_assert_int_eq(getsockopt(udp_fd(u), IPPROTO_IP, IP_MTU_DISCOVER, &v, &len), 0);
    ck_assert_int_eq(v, IP_PMTUDISC_PROBE);
    udp_close(u);
}
END_TEST

/* A probe that is too large must take nothing with it. A train arrives in one piece where nobody takes it apart. */
START_TEST(who_wants_to_be_alone_is_in_no_train)
{
    static struct outbox o;
    static uint8_t data[8][1000], buf[65536];
    static const ssize_t want[] = {3000, 1000, 4000};
    struct addr any = addr_v4(INADDR_LOOPBACK, 0);
    struct udp *a, *b;
    ck_assert_int_eq(udp_open(&a, &any, 1 << 20), 0);
    ck_assert_int_eq(udp_open(&b, &any, 1 << 20), 0);
    for (unsigned i = 0; i < 8; i++) {
        outbox_push(&o, udp_local(b), data[i], 1000);
        if (i == 3)
            outbox_alone(&o);
    }
    udp_send(a, &o, NULL, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        poll(&(struct pollfd){udp_fd(b), POLLIN, 0}, 1, 1000);
        ssize_t got = recv(udp_fd(b), buf, sizeof(buf), MSG_DONTWAIT);
        if (i == 0 && got == 1000)
            break; /* a kernel without trains */
        ck_assert_int_eq(got, want[i]);
    }
    udp_close(a);
    udp_close(b);
}
END_TEST

START_TEST(another_socket_on_the_port_is_not_the_listener)
{
    struct diag *d = diag_open();
    struct addr bound = addr_v4(INADDR_LOOPBACK, 0);
    struct sockaddr_storage ss;
    uint64_t cookie = 0;
    socklen_t len = addr_to_sockaddr(&bound, &ss);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!d) {
        close(fd);
        return;
    }
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
    len = sizeof(ss);
    getsockname(fd, (struct sockaddr *)&ss, &len);
    bound = addr_from_sockaddr(&ss, len);
    ck_assert_int_eq(listen(fd, 5), 0);
    len = sizeof(cookie);
    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
    ck_assert(diag_listens(d, &bound, cookie));
    ck_assert(!diag_listens(d, &bound, cookie + 1));
    struct addr from = addr_v4(0x7f090807, 0), to;
    int c = loopback_connect(&from, &bound, &to);
    ck_assert_int_ge(c, 0);
    ck_assert_uint_eq(addr_ip4(&from), 0x7f090807);
    ck_assert_uint_ne(from.port, 0);
    ck_assert(addr_eq(&to, &bound));
    close(fd);
    ck_assert(!diag_listens(d, &bound, cookie));
    close(c);
    diag_close(d);
}
END_TEST

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
    return cookie;
}

/* A socket on *at, shared by SO_REUSEPORT, with its port if that was 0. */
static int shared_socket(int type, struct addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(at, &ss);
    int one = 1, fd = socket(AF_INET, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
    len = sizeof(ss);
    getsockname(fd, (struct sockaddr *)&ss, &len);
    *at = addr_from_sockaddr(&ss, len);
    return fd;
}

/* The kernel answers for one member of a group only. */
START_TEST(each_socket_of_a_group_is_known_by_itself)
{
    enum { N = 3 };
    struct diag *d = diag_open();
    struct addr tcp = addr_v4(INADDR_LOOPBACK, 0), udp = tcp;
    int listener[N], bound[N];
    uint64_t was[N], bound_was[N];
    for (int i = 0; d && i < N; i++) {
        listener[i] = shared_socket(SOCK_STREAM, &tcp);
        ck_assert_int_eq(listen(listener[i], 5), 0);
        was[i] = cookie_of(listener[i]);
        bound[i] = shared_socket(SOCK_DGRAM, &udp);
        bound_was[i] = cookie_of(bound[i]);
    }
    for (int closed = 0; d && closed <= N; closed++) {
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(diag_listens(d, &tcp, was[i]), i >= closed);
            ck_assert_int_eq(diag_udp_alive(d, &udp, bound_was[i]), i >= closed);
        }
        if (closed < N) {
            close(listener[closed]);
            close(bound[closed]);
        }
    }
    diag_close(d);
}
END_TEST

/* One that is bound to the interface lo, as servers for the overlay only are. */
START_TEST(a_listener_on_the_interface_lo_is_known)
{
    struct diag *d = diag_open();
    struct addr at = addr_v4(INADDR_ANY, 0);
    int fd = shared_socket(SOCK_STREAM, &at);
    if (d && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) == 0) {
        ck_assert_int_eq(listen(fd, 5), 0);
        ck_assert(diag_listens(d, &at, cookie_of(fd)));
    }
    close(fd);
    diag_close(d);
}
END_TEST

/* Bound and not listening is taken, too; what has ended is not. */
START_TEST(an_address_is_taken_as_long_as_a_socket_has_it)
{
    struct addr at = addr_v4(INADDR_LOOPBACK, 0);
    int fd = shared_socket(SOCK_STREAM, &at);
    ck_assert(loopback_taken(&at));
    listen(fd, 1);
    ck_assert(loopback_taken(&at));
    close(fd);
    ck_assert(!loopback_taken(&at));
}
END_TEST

/* Some machines have none, not even on loopback. */
static bool has_ipv6(void)
{
    struct sockaddr_in6 lo = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&lo, sizeof(lo)) == 0;
    close(fd);
    return has;
}

/* Whom each kind of listener lets in, and from where the daemon comes. */
START_TEST(listeners_are_reached_over_their_family)
{
    static const struct {
        const char *bound;
        int v6only, takes4, takes6, reached4;
    } cases[] = {
        {"::", 0, 1, 1, 1},
        {"::", 1, 1, 1, 0}, /* only the connection tells */
        {"::1", 0, 0, 1, 0},
        {"0.0.0.0", 0, 1, 0, 1},
        {"127.0.0.1", 0, 1, 0, 1},
        {"::ffff:127.0.0.1", 0, 1, 0, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage ss = {0};
        bool v6 = strchr(cases[i].bound, ':');
        ss.ss_family = v6 ? AF_INET6 : AF_INET;
        inet_pton(ss.ss_family, cases[i].bound,
            v6 ? (void *)&((struct sockaddr_in6 *)&ss)->sin6_addr : (void *)&((struct sockaddr_in *)&ss)->sin_addr);
        int fd = socket(ss.ss_family, SOCK_STREAM, 0);
        if (v6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &cases[i].v6only, sizeof(int));
        socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (v6 && (fd < 0 || !has_ipv6())) {
            close(fd);
            continue;
        }
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
        ck_assert_int_eq(listen(fd, 5), 0);
        len = sizeof(ss);
        getsockname(fd, (struct sockaddr *)&ss, &len);
        struct addr bound = addr_from_sockaddr(&ss, len), to;
        for (int family = 4; family <= 6; family += 2) {
            struct addr virt = family == 6 ? addr_v6((const uint8_t *)ADDR_PREFIX6 "abcdefghijk", 7777) : addr_v4(0x0a090807, 0);
            struct addr from = mirror_address(&virt);
            if (!(family == 4 ? cases[i].takes4 : cases[i].takes6))
                continue;
            int c = loopback_connect(&from, &bound, &to), err = 0;
            ck_assert_int_ge(c, 0);
            ck_assert_uint_eq(to.family, family);
            ck_assert_uint_eq(to.port, bound.port);
            ck_assert_uint_ne(from.port, 0);
            len = sizeof(err);
            getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len);
            ck_assert_int_eq(err, family == 4 && !cases[i].reached4 ? ECONNREFUSED : 0);
            if (!err) { /* the server sees what the daemon knows */
                len = sizeof(ss);
                int s = accept(fd, (struct sockaddr *)&ss, &len);
                struct addr seen = addr_from_sockaddr(&ss, len);
                ck_assert(addr_eq(&seen, &from));
                len = sizeof(ss);
                getsockname(s, (struct sockaddr *)&ss, &len);
                seen = addr_from_sockaddr(&ss, len);
                ck_assert(addr_eq(&seen, &to));
                close(s);
            }
            close(c);
        }
        close(fd);
    }
}
END_TEST

START_TEST(files_are_private_and_whole)
{
    char dir[] = "/tmp/i3filesXXXXXX", path[64], *text;
    size_t len;
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/f", dir);
    ck_assert_int_eq(file_read(path, true, &text, &len), -ENOENT);
    ck_assert_int_eq(file_write(path, "one", 3, true), 0);
    ck_assert_int_eq(file_write(path, "three", 5, true), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(file_read(path, true, &text, &len), 0);
    ck_assert_str_eq(text, "three");
    free(text);
    chmod(path, 0640);
    ck_assert_int_eq(file_read(path, true, &text, &len), -EPERM);
    int lock = file_lock(path, false);
    ck_assert_int_ge(lock, 0);
    ck_assert_int_eq(file_lock(path, false), -EWOULDBLOCK);
    close(lock);
    unlink(path);
    rmdir(dir);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("io");
    TCase *t = tcase_create("kernel");
    tcase_add_test(t, pair_is_writable_only_after_release);
    tcase_add_test(t, refused_pair_polls_as_an_error);
    tcase_add_test(t, pair_reads_all_but_its_keeper);
    tcase_add_test(t, pair_reads_past_an_urgent_byte);
    tcase_add_test(t, pair_that_breaks_is_no_pair_that_ends);
    tcase_add_test(t, pair_tells_how_the_program_has_closed);
    tcase_add_test(t, pair_carries_the_four_tuple_in_its_names);
    tcase_add_loop_test(t, trains_of_mixed_sizes_arrive_as_sent, 0, 2);
    tcase_add_loop_test(t, a_train_of_the_outbox_arrives_in_its_pieces, 0, 2);
    tcase_add_test(t, sockets_beside_each_other_share_the_flows);
    tcase_add_test(t, what_cannot_be_sent_is_told_with_its_size_and_the_rest_goes);
    tcase_add_test(t, fragments_are_forbidden);
    tcase_add_test(t, who_wants_to_be_alone_is_in_no_train);
    tcase_add_test(t, another_socket_on_the_port_is_not_the_listener);
    tcase_add_test(t, each_socket_of_a_group_is_known_by_itself);
    tcase_add_test(t, a_listener_on_the_interface_lo_is_known);
    tcase_add_test(t, an_address_is_taken_as_long_as_a_socket_has_it);
    tcase_add_test(t, listeners_are_reached_over_their_family);
    tcase_add_test(t, files_are_private_and_whole);
    suite_add_tcase(s, t);
    return suite_run(s);
}
