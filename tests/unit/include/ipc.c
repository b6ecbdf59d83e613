/* Every message between the library and the daemon, byte for byte as ipc.h draws it, and the names of
 * sockets. */
#include "include/ipc.h"
#include "tests/lib/suite.h"

#include <check.h>
#include <stdlib.h>

#define Z4         0, 0, 0, 0
#define Z8         Z4, Z4
#define NONE       Z8, Z8, Z4
#define ADDR4      4, 0, 0x1f, 0x90, 10, 1, 2, 3, Z8, Z4 /* 10.1.2.3:8080 */
#define ADDR6      6, 0, 0x00, 0x16, 0xfd, 0x69, 0x33, 0, Z8, 0, 0, 0, 1
#define HEAD(type) 1, type, 0, 0, 0xde, 0xad, 0xbe, 0xef

static const uint8_t info_req[] = {HEAD(1)};
static const uint8_t info_every_rep[] = {HEAD(0x81), 0, 0, 0, 0, ADDR4, 10, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0x12, 0x34, ADDR6};
static const uint8_t info_rep[] = {HEAD(0x81), 0, 0, 0, 0, ADDR4, 10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x12, 0x34, ADDR6};
static const uint8_t program_req[] = {HEAD(44), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 0, 0, 0, 'c', 'u', 'r', 'l'};
static const uint8_t suffixes_rep[] = {HEAD(0xa4), 0, 0, 0, 0, 1, '.', 'i', '3', ',', '.', 'c'};
static const uint8_t resolve_req[] = {HEAD(2), 'b', 'o', 'b', '.', 'i', '3'};
static const uint8_t resolve_rep[] = {HEAD(0x82), 0, 0, 0, 0, ADDR4, ADDR6};
static const uint8_t resolve_none[] = {HEAD(0x82), 0, 0, 0, 2, NONE, NONE};
static const uint8_t reverse_req[] = {HEAD(3), ADDR6};
static const uint8_t reverse_rep[] = {HEAD(0x83), 0, 0, 0, 0, 'b', 'o', 'b'};
static const uint8_t connect_req[] = {HEAD(4), 6, 0, 0, 0, ADDR4, NONE};
static const uint8_t connect_bound[] = {HEAD(4), 6, 1, 0, 0, ADDR6, ADDR4};
static const uint8_t connect_rep[] = {HEAD(0x84), 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, ADDR4, ADDR6};
static const uint8_t connect_self[] = {HEAD(0x84), 0, 0, 0x10, 0x01, Z8, NONE, NONE};
static const uint8_t error_req[] = {HEAD(5), 1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t error_rep[] = {HEAD(0x85), 0, 0, 0, 111};
static const uint8_t sock_reset_req[] = {HEAD(22), 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0};
static const uint8_t sock_state_rep[] = {HEAD(0x97), 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0,
    0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10};
static const uint8_t listen_req[] = {
    HEAD(6), 6, 3, 0, 0, ADDR4, ADDR6, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88};
static const uint8_t listen_try[] = {HEAD(6), 6, 16, 0, 0, NONE, ADDR4, Z8};
static const uint8_t listen_rep[] = {HEAD(0x86), 0, 0, 0, 0, ADDR4};
static const uint8_t bound_req[] = {HEAD(15), 17, 0, 0, 0, ADDR4, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88};
static const uint8_t bound_rep[] = {HEAD(0x8f), 0, 0, 0, 2, NONE};
static const uint8_t verify_req[] = {HEAD(7), ADDR4, ADDR6};
static const uint8_t verify_rep[] = {HEAD(0x87), 0, 0, 0, 0, ADDR4, ADDR6};
static const uint8_t verify_no[] = {HEAD(0x87), 0, 0, 0x10, 0, NONE, NONE};
static const uint8_t udp_open_req[] = {HEAD(9), 1, 0, 0, 0, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, ADDR4, ADDR6};
static const uint8_t udp_open_rep[] = {HEAD(0x89), 0, 0, 0, 0, ADDR4, ADDR4};
static const uint8_t udp_open_self[] = {HEAD(0x89), 0, 0, 0x10, 0x01, NONE, ADDR4};
static const uint8_t udp_peer_req[] = {HEAD(10), ADDR4};
static const uint8_t udp_peer_rep[] = {HEAD(0x8a), 0, 0, 0, 0, ADDR4, ADDR6};
static const uint8_t udp_peer_none[] = {HEAD(0x8a), 0, 0, 0, 2, NONE, NONE};
static const uint8_t control_req[] = {HEAD(8), 'b', 'o', 'o', 'k', 0, 'l', 's', 0};

/* Body codecs: get and put again. A status in front is the getter's own where the message has one by itself.
 */
static void re_none(struct reader *r, struct writer *w)
{
    (void)r, (void)w;
}

#define RE(name, type)                                                                                       \
    static void re_##name(struct reader *r, struct writer *w)                                                \
    {                                                                                                        \
        struct type v = {0};                                                                                 \
        ipc_get_##name(r, &v);                                                                               \
        ipc_put_##name(w, &v);                                                                               \
    }
RE(info, ipc_info)
RE(program, ipc_program)
RE(suffixes, ipc_suffixes)
RE(resolved, ipc_resolved)
RE(connect, ipc_connect)
RE(socket, ipc_socket)
RE(listen, ipc_listen)
RE(bound, ipc_bound)
RE(pair, ipc_pair)
RE(udp_open, ipc_udp_open)

static void re_status(struct reader *r, struct writer *w)
{
    put_u32(w, get_u32(r));
}

static void re_status_addr(struct reader *r, struct writer *w)
{
    struct addr a;
    put_u32(w, get_u32(r));
    get_addr_or_none(r, &a);
    put_addr_or_none(w, &a);
}

static void re_sock_reset(struct reader *r, struct writer *w)
{
    struct ipc_sock_reset v;
    ipc_get_sock_reset(r, &v);
    ipc_put_sock_reset(w, &v);
}

static void re_sock_state(struct reader *r, struct writer *w)
{
    struct ipc_sock_state v;
    ipc_get_sock_state(r, &v);
    ipc_put_sock_state(w, &v);
}

static void re_handle(struct reader *r, struct writer *w)
{
    put_u64(w, get_u64(r));
}

static void re_address(struct reader *r, struct writer *w)
{
    struct addr a;
    get_addr(r, &a);
    put_addr_or_none(w, &a);
}

static void re_name(struct reader *r, struct writer *w)
{
    struct ipc_name n;
    ipc_get_name(r, &n);
    put_bytes(w, n.name, n.len);
}

static void re_status_name(struct reader *r, struct writer *w)
{
    re_status(r, w);
    re_name(r, w);
}

static void re_status_pair(struct reader *r, struct writer *w)
{
    re_status(r, w);
    re_pair(r, w);
}

/* CONTROL's words, each ended by NUL. */
static void re_words(struct reader *r, struct writer *w)
{
    size_t n = reader_left(r);
    const uint8_t *p = get_span(r, n);
    if (n && p[n - 1])
        r->failed = true;
    put_bytes(w, p, n);
}

static const struct golden {
    const char *name;
    const uint8_t *p;
    size_t len, shortest; /* the shortest prefix of it which is a message too */
    bool open_ended;
    uint8_t type;
    void (*re)(struct reader *, struct writer *);
} golden[] = {
    {"info request", info_req, sizeof(info_req), 8, false, IPC_INFO, re_none},
    {"info reply with a flag", info_every_rep, sizeof(info_every_rep), 64, false, IPC_INFO | IPC_REPLY, re_info},
    {"info reply", info_rep, sizeof(info_rep), 64, false, IPC_INFO | IPC_REPLY, re_info},
    {"program request", program_req, sizeof(program_req), 29, true, IPC_PROGRAM, re_program},
    {"suffixes reply", suffixes_rep, sizeof(suffixes_rep), 13, true, IPC_SUFFIXES | IPC_REPLY, re_suffixes},
    {"resolve request", resolve_req, sizeof(resolve_req), 9, true, IPC_RESOLVE, re_name},
    {"resolve reply", resolve_rep, sizeof(resolve_rep), 52, false, IPC_RESOLVE | IPC_REPLY, re_resolved},
    {"resolve reply, none", resolve_none, sizeof(resolve_none), 52, false, IPC_RESOLVE | IPC_REPLY,
        re_resolved},
    {"reverse request", reverse_req, sizeof(reverse_req), 28, false, IPC_REVERSE, re_address},
    {"reverse reply", reverse_rep, sizeof(reverse_rep), 13, true, IPC_REVERSE | IPC_REPLY, re_status_name},
    {"connect request", connect_req, sizeof(connect_req), 52, false, IPC_CONNECT, re_connect},
    {"connect request, bound", connect_bound, sizeof(connect_bound), 52, false, IPC_CONNECT, re_connect},
    {"connect reply", connect_rep, sizeof(connect_rep), 60, false, IPC_CONNECT | IPC_REPLY, re_socket},
    {"connect reply, self", connect_self, sizeof(connect_self), 60, false, IPC_CONNECT | IPC_REPLY,
        re_socket},
    {"sock error request", error_req, sizeof(error_req), 16, false, IPC_SOCK_ERROR, re_handle},
    {"sock reset request", sock_reset_req, sizeof(sock_reset_req), 20, false, IPC_SOCK_RESET, re_sock_reset},
    {"sock state reply", sock_state_rep, sizeof(sock_state_rep), 60, false, IPC_SOCK_STATE | IPC_REPLY, re_sock_state},
    {"sock error reply", error_rep, sizeof(error_rep), 12, false, IPC_SOCK_ERROR | IPC_REPLY, re_status},
    {"listen request", listen_req, sizeof(listen_req), 60, false, IPC_LISTEN, re_listen},
    {"listen request, try", listen_try, sizeof(listen_try), 60, false, IPC_LISTEN, re_listen},
    {"listen reply", listen_rep, sizeof(listen_rep), 32, false, IPC_LISTEN | IPC_REPLY, re_status_addr},
    {"bound request", bound_req, sizeof(bound_req), 40, false, IPC_BOUND, re_bound},
    {"bound reply, none", bound_rep, sizeof(bound_rep), 32, false, IPC_BOUND | IPC_REPLY, re_status_addr},
    {"verify request", verify_req, sizeof(verify_req), 48, false, IPC_VERIFY, re_pair},
    {"verify reply", verify_rep, sizeof(verify_rep), 52, false, IPC_VERIFY | IPC_REPLY, re_status_pair},
    {"verify reply, none", verify_no, sizeof(verify_no), 52, false, IPC_VERIFY | IPC_REPLY, re_status_pair},
    {"udp open request", udp_open_req, sizeof(udp_open_req), 60, false, IPC_UDP_OPEN, re_udp_open},
    {"udp open reply", udp_open_rep, sizeof(udp_open_rep), 52, false, IPC_UDP_OPEN | IPC_REPLY, re_status_pair},
    {"udp open reply, self", udp_open_self, sizeof(udp_open_self), 52, false, IPC_UDP_OPEN | IPC_REPLY, re_status_pair},
    {"udp peer request", udp_peer_req, sizeof(udp_peer_req), 28, false, IPC_UDP_PEER, re_address},
    {"udp peer reply", udp_peer_rep, sizeof(udp_peer_rep), 52, false, IPC_UDP_PEER | IPC_REPLY, re_status_pair},
    {"udp peer reply, none", udp_peer_none, sizeof(udp_peer_none), 52, false, IPC_UDP_PEER | IPC_REPLY, re_status_pair},
};

/* The message decoded from a copy of just that length and encoded again; 0 when it is refused. */
static size_t re_exact(const struct golden *g, const uint8_t *p, size_t len, uint8_t *out, size_t cap)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, p, len);
    struct reader r = reader_of(copy, len);
    struct writer w = writer_of(out, cap);
    struct ipc_header h;
    ipc_get_header(&r, &h);
    ipc_put_header(&w, h.type, h.serial);
    if (h.type == g->type)
        g->re(&r, &w);
    else
        r.failed = true;
    bool ok = reader_done(&r) && writer_ok(&w);
    free(copy);
    return ok ? writer_len(&w) : 0;
}

START_TEST(golden_bytes_come_back)
{
    const struct golden *g = &golden[_i];
    uint8_t out[512];
    ck_assert_msg(re_exact(g, g->p, g->len, out, sizeof(out)) == g->len, "%s", g->name);
    ck_assert_mem_eq(out, g->p, g->len);
}
END_TEST

START_TEST(truncations_and_trailing_bytes_are_refused)
{
    const struct golden *g = &golden[_i];
    uint8_t p[512], out[512];
    for (size_t len = 0; len < g->len; len++)
        ck_assert_msg(
            (re_exact(g, g->p, len, out, sizeof(out)) > 0) == (len >= g->shortest), "%s %zu", g->name, len);
    memcpy(p, g->p, g->len);
    p[g->len] = 'x';
    ck_assert_msg((re_exact(g, p, g->len + 1, out, sizeof(out)) > 0) == g->open_ended, "%s", g->name);
}
END_TEST

static const struct violation {
    const uint8_t *p;
    size_t len, at;
    uint8_t value;
} violation[] = {
    {info_req, sizeof(info_req), 0, 0}, /* version */
    {info_req, sizeof(info_req), 0, 2},
    {info_req, sizeof(info_req), 2, 1}, /* zeros */
    {info_req, sizeof(info_req), 3, 1},
    {info_rep, sizeof(info_rep), 36, 33}, /* bits */
    {info_rep, sizeof(info_rep), 37, 8},
    {info_rep, sizeof(info_rep), 39, 1},
    {info_rep, sizeof(info_rep), 12, 5}, /* family */
    {info_rep, sizeof(info_rep), 12, 0}, /* none, but with an address */
    {info_rep, sizeof(info_rep), 13, 1},
    {info_rep, sizeof(info_rep), 31, 1},       /* IPv4 with more bytes */
    {program_req, sizeof(program_req), 24, 2},
    {program_req, sizeof(program_req), 27, 1},
    {program_req, sizeof(program_req), 29, 0}, /* NUL in the name */
    {suffixes_rep, sizeof(suffixes_rep), 12, 2}, /* a flag that is not known */
    {suffixes_rep, sizeof(suffixes_rep), 14, 0}, /* NUL in the list */
    {resolve_req, sizeof(resolve_req), 10, 0}, /* NUL in a name */
    {resolve_rep, sizeof(resolve_rep), 12, 7},
    {reverse_req, sizeof(reverse_req), 8, 0},
    {connect_req, sizeof(connect_req), 9, 2},
    {connect_req, sizeof(connect_req), 10, 2},
    {sock_reset_req, sizeof(sock_reset_req), 16, 2},
    {sock_reset_req, sizeof(sock_reset_req), 19, 1},
    {connect_req, sizeof(connect_req), 11, 1},
    {connect_req, sizeof(connect_req), 12, 0},
    {connect_req, sizeof(connect_req), 51, 1}, /* no family, but not zeros */
    {listen_req, sizeof(listen_req), 10, 1},
    {listen_req, sizeof(listen_req), 9, 32}, /* no such flag */
    {listen_req, sizeof(listen_req), 12, 9},
    {listen_try, sizeof(listen_try), 9, 8}, /* bound to nothing, and not merely a question */
    {bound_req, sizeof(bound_req), 9, 1},
    {bound_req, sizeof(bound_req), 12, 0},
    {verify_req, sizeof(verify_req), 8, 1},
    {udp_open_req, sizeof(udp_open_req), 8, 2},
    {udp_open_req, sizeof(udp_open_req), 11, 1},
    {udp_open_req, sizeof(udp_open_req), 20, 0},
    {udp_open_req, sizeof(udp_open_req), 40, 5},
    {udp_peer_req, sizeof(udp_peer_req), 8, 0},
};

START_TEST(what_the_drawing_forbids_is_refused)
{
    const struct violation *v = &violation[_i];
    uint8_t p[512], out[512];
    memcpy(p, v->p, v->len);
    p[v->at] = v->value;
    for (size_t i = 0; i < ARRAY_LEN(golden); i++)
        ck_assert_msg(
            re_exact(&golden[i], p, v->len, out, sizeof(out)) == 0, "%s byte %zu", golden[i].name, v->at);
}
END_TEST

START_TEST(fields_are_where_the_drawing_has_them)
{
    struct addr v4 = addr_v4(0x0a010203, 8080),
                v6 = {.family = 6, .port = 22, .ip = {0xfd, 0x69, 0x33, [15] = 1}};
    struct ipc_header h;
    struct reader r = reader_of(info_rep, sizeof(info_rep));
    struct ipc_info info;
    ipc_get_header(&r, &h);
    ck_assert(h.type == (IPC_INFO | IPC_REPLY) && h.serial == 0xdeadbeef);
    ipc_get_info(&r, &info);
    ck_assert(info.status == 0 && addr_eq(&info.own, &v4) && info.pool == 0x0a000000 && info.pool_bits == 8 &&
              info.pid == 0x1234 && addr_eq(&info.own6, &v6));

    struct ipc_connect c;
    r = reader_of(connect_bound + 8, sizeof(connect_bound) - 8);
    ipc_get_connect(&r, &c);
    ck_assert(reader_done(&r) && c.proto == 6 && c.patient && addr_eq(&c.remote, &v6) && addr_eq(&c.local, &v4));

    struct ipc_socket s;
    r = reader_of(connect_rep + 8, sizeof(connect_rep) - 8);
    ipc_get_socket(&r, &s);
    ck_assert(reader_done(&r) && s.status == 0 && s.handle == 0x0102030405060708 && addr_eq(&s.local, &v4) &&
              addr_eq(&s.remote, &v6));
    r = reader_of(connect_self + 8, sizeof(connect_self) - 8);
    ipc_get_socket(&r, &s);
    ck_assert(s.status == IPC_SELF && s.local.family == 0);

    struct ipc_listen l;
    r = reader_of(listen_req + 8, sizeof(listen_req) - 8);
    ipc_get_listen(&r, &l);
    ck_assert(reader_done(&r) && l.proto == 6 && l.flags == (IPC_LISTEN_REUSEPORT | IPC_LISTEN_REUSEADDR) &&
              addr_eq(&l.bound, &v4) && addr_eq(&l.asked, &v6) && l.cookie == 0xffeeddccbbaa9988);

    struct ipc_bound b;
    r = reader_of(bound_req + 8, sizeof(bound_req) - 8);
    ipc_get_bound(&r, &b);
    ck_assert(reader_done(&r) && b.proto == 17 && addr_eq(&b.bound, &v4) && b.cookie == 0xffeeddccbbaa9988);

    struct ipc_pair p;
    r = reader_of(verify_req + 8, sizeof(verify_req) - 8);
    ipc_get_pair(&r, &p);
    ck_assert(reader_done(&r) && addr_eq(&p.local, &v4) && addr_eq(&p.remote, &v6));

    struct ipc_resolved v;
    r = reader_of(resolve_rep + 8, sizeof(resolve_rep) - 8);
    ipc_get_resolved(&r, &v);
    ck_assert(reader_done(&r) && v.status == 0 && addr_eq(&v.addr, &v4) && addr_eq(&v.addr6, &v6));
    r = reader_of(resolve_none + 8, sizeof(resolve_none) - 8);
    ipc_get_resolved(&r, &v);
    ck_assert(reader_done(&r) && v.status == ENOENT && v.addr.family == 0 && v.addr6.family == 0);

    r = reader_of(control_req + 8, sizeof(control_req) - 8);
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof(out));
    re_words(&r, &w);
    ck_assert(reader_done(&r) && writer_len(&w) == 8);
}
END_TEST

START_TEST(link_local_addresses_keep_their_interface)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_scope_id = 0x01020304};
    struct sockaddr_storage ss;
    inet_pton(AF_INET6, "fe80::a:b:c", &in6.sin6_addr);
    struct addr a = addr_from_sockaddr(&in6, sizeof(in6)), other;
    in6.sin6_scope_id = 2;
    other = addr_from_sockaddr(&in6, sizeof(in6));
    ck_assert(!addr_eq(&a, &other));
    ck_assert_uint_eq(addr_to_sockaddr(&a, &ss), sizeof(in6));
    in6.sin6_scope_id = 0x01020304;
    ck_assert_mem_eq(&ss, &in6, sizeof(in6));
    inet_pton(AF_INET6, "2001:db8:1:2:3::c", &in6.sin6_addr); /* others have none */
    a = addr_from_sockaddr(&in6, sizeof(in6));
    ck_assert_mem_eq(a.ip, &in6.sin6_addr, 16);
    addr_to_sockaddr(&a, &ss);
    in6.sin6_scope_id = 0;
    ck_assert_mem_eq(&ss, &in6, sizeof(in6));
}
END_TEST

START_TEST(names_have_1_to_253_bytes)
{
    char text[300];
    memset(text, 'a', sizeof(text));
    for (size_t len = 0; len < sizeof(text); len++) {
        struct ipc_name n;
        struct reader r = reader_of(text, len);
        ipc_get_name(&r, &n);
        ck_assert_msg(reader_done(&r) == (len >= 1 && len <= IPC_NAME_MAX), "%zu", len);
        if (reader_done(&r))
            ck_assert_uint_eq(strlen(n.name), len);
    }
}
END_TEST

/* ---- names of sockets ---- */

static const struct socket_case {
    struct sock_name n;
    const char *text; /* after the NUL */
} sockets[] = {
    {{'p', 0x0123456789abcdef, {4, 0, 40000, {10, 1, 2, 3}}, {4, 0, 80, {10, 255, 0, 254}}},
        "i3.1p.0123456789abcdef.40a0102039c40.40aff00fe0050"},
    {{'d', 1, {6, 0, 65535, {0xfd, 0x69, [15] = 1}}, {4, 0, 0, {10, 0, 1, 1}}},
        "i3.1d.0000000000000001.6fd690000000000000000000000000001ffff.40a0001010000"},
    {{'p', UINT64_MAX, {6, 0, 1, {[15] = 1}}, {6, 0, 2, {[0] = 0xff, [15] = 0xff}}},
        "i3.1p.ffffffffffffffff.6000000000000000000000000000000010001.6ff0000000000000000000000000000ff0002"},
};

START_TEST(socket_names_are_as_drawn)
{
    const struct socket_case *c = &sockets[_i];
    struct sockaddr_un un;
    struct sock_name back;
    socklen_t len = sock_name_encode(&c->n, &un),
              path = len - (socklen_t)offsetof(struct sockaddr_un, sun_path);
    ck_assert_uint_eq(path, 1 + strlen(c->text));
    ck_assert_uint_eq(un.sun_path[0], 0);
    ck_assert_mem_eq(un.sun_path + 1, c->text, path - 1);
    ck_assert_int_eq(sock_name_decode(&un, len, &back), 0);
    ck_assert(back.side == c->n.side && back.handle == c->n.handle);
    ck_assert(addr_eq(&back.local, &c->n.local) && addr_eq(&back.remote, &c->n.remote));
}
END_TEST

START_TEST(other_socket_names_are_not_ours)
{
    const struct socket_case *c = &sockets[_i];
    struct sockaddr_un un, bad;
    struct sock_name back;
    socklen_t len = sock_name_encode(&c->n, &un), head = (socklen_t)offsetof(struct sockaddr_un, sun_path);
    for (socklen_t n = 0; n <= sizeof(un) + 10; n++)
        ck_assert_msg((sock_name_decode(&un, n, &back) == 0) == (n == len), "%u", n);
    bad = un;
    bad.sun_family = AF_INET;
    ck_assert_int_eq(sock_name_decode(&bad, len, &back), -EBADMSG);
    for (socklen_t i = head; i < len; i++) { /* a byte that stands nowhere in such a name */
        bad = un;
        ((uint8_t *)&bad)[i] = 'G';
        ck_assert_msg(sock_name_decode(&bad, len, &back) == -EBADMSG, "%u", i);
    }
}
END_TEST

START_TEST(hex_is_lower_case_and_two_digits)
{
    static const struct {
        const char *s;
        int v;
    } c[] = {{"00", 0}, {"0f", 15}, {"a9", 0xa9}, {"ff", 255}, {"0F", -1}, {"g0", -1}, {"0", -1}, {"/0", -1},
        {":0", -1}, {"`0", -1}, {"", -1}};
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        struct reader r = reader_of(c[i].s, strlen(c[i].s));
        uint8_t b;
        get_hex(&r, &b, 1);
        ck_assert_msg(reader_ok(&r) == (c[i].v >= 0), "%s", c[i].s);
        if (c[i].v >= 0)
            ck_assert_uint_eq(b, (unsigned)c[i].v);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("include/ipc");
    TCase *tc = tcase_create("ipc");
    tcase_add_loop_test(tc, golden_bytes_come_back, 0, (int)ARRAY_LEN(golden));
    tcase_add_loop_test(tc, truncations_and_trailing_bytes_are_refused, 0, (int)ARRAY_LEN(golden));
    tcase_add_loop_test(tc, what_the_drawing_forbids_is_refused, 0, (int)ARRAY_LEN(violation));
    tcase_add_test(tc, fields_are_where_the_drawing_has_them);
    tcase_add_test(tc, link_local_addresses_keep_their_interface);
    tcase_add_test(tc, names_have_1_to_253_bytes);
    tcase_add_loop_test(tc, socket_names_are_as_drawn, 0, (int)ARRAY_LEN(sockets));
    tcase_add_loop_test(tc, other_socket_names_are_not_ours, 0, (int)ARRAY_LEN(sockets));
    tcase_add_test(tc, hex_is_lower_case_and_two_digits);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
