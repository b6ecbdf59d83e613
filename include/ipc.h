/* ipc.h - what the preloaded library, i3run and i3ctl say to the user's daemon, byte by byte.
 *
 * Transport: a Unix SOCK_SEQPACKET socket, $XDG_RUNTIME_DIR/i3/i3d.sock, 0600 in a 0700 directory;
 * the daemon admits its own uid only (SO_PEERCRED). One message is one record. Every request gets
 * exactly one reply with the same serial, in any order; CONTROL alone may get several.
 *
 *     0      1      2      4            8
 *   +------+------+------+--- ... ----+---- ...
 *   | 0x01 | type | 0 0  | serial (4) | body          reply type = request type | 0x80
 *   +------+------+------+--- ... ----+---- ...
 *
 *   request              body                                    reply body
 *   1 INFO               -                                       status(4) own address(20) pool(4) bits(1) flags(1) 0 0 pid(4)
 *                                                                own IPv6 address(20)
 *   2 RESOLVE            name                                    status(4) address(20) IPv6 address(20)
 *   3 REVERSE            address(20)                             status(4) name (no name: ENOENT, or IPC_NOT_VIRTUAL)
 *   4 CONNECT            proto(1) patient(1) resets(1) 0 remote(20) local(20)
 *                                                                status(4) handle(8) local(20) remote(20) + one fd
 *   5 SOCK_ERROR         handle(8)                               status(4): the errno the connection ended with, 0: none
 *   6 LISTEN             proto(1) flags(1) 0 0 bound(20) asked(20) cookie(8)
 *                                                                status(4) asked(20); EADDRINUSE
 *   7 VERIFY             local(20) peer(20), as accept saw them  status(4) local(20) remote(20), virtual
 *   8 CONTROL            verb and arguments, each ended by NUL   more(1) exit(1) 0 0 text
 *   9 UDP_OPEN           connects(1) 0 0 0 cookie(8) bound(20) remote(20)   status(4) mirror(20) local(20), virtual
 *  10 UDP_PEER           mirror(20), as recvfrom saw it          status(4) remote(20) local(20), virtual; ENOENT: no mirror
 *  15 BOUND              proto(1) 0 0 0 bound(20) cookie(8)      status(4) asked(20); ENOENT: it is what the kernel says
 *  22 SOCK_RESET         handle(8) resets(1) 0 0 0               status(4)
 *  23 SOCK_STATE         handle(8)                               status(4) unsent(4) unread(4) srtt us(4) rto us(4) cwnd(4)
 *                                                                ssthresh(4) mss(4) retransmits(4) bytes in(8) out(8)
 *
 *  36 SUFFIXES           -                                       status(4) flags(1) ".i3,.corp": those of all overlays, as I3_SUFFIX
 *                                                                takes them (shim/config.h)
 *
 * SUFFIXES' flag 1: no overlay node is configured, and no session was had so far: i3run tells the user what to do about it.
 *
 *  44 PROGRAM            token(16) all(1) 0 0 0 name            status(4); ENOSPC, ENETUNREACH: what follows is refused
 *
 * PROGRAM is said first on each connection by programs that i3run has started: the token is of one start, and its children have it too. all (0
 * or 1): everything that the program does is anonymous (daemon/pump/anon.h). name: 1 to 63 bytes, for people. It need not be waited for.
 *
 * INFO's flag 2: i3.conf wants all programs to be anonymous, so that i3run starts them so. Flag 4: rules want some names to be reached
 * anonymously, so that programs need tokens. Flag 1: rules of the user (daemon/policy/rules.h) may be about any name, so that RESOLVE is asked for each; IPC_NOT_VIRTUAL is
 * its answer where a name is left to the system. It may change at any time: what was heard holds for a second.
 *
 * status: 0, an errno, or one of enum ipc_status. Addresses are 20 bytes as in wire.h; family 0 is "none".
 * Names are 1..253 bytes without NUL; they take the rest of the record.
 *
 * CONNECT's fd is the program's end of a socketpair (SHIM.md, recipe 1): it polls as not writable until the
 * overlay connection stands; when it fails, EPOLLERR|EPOLLHUP. Both ends are bound to the names below. patient (0 or 1): the
 * program would wait anyhow, so the reply may take 2 ms, by which time the connection mostly stands, or is refused (status).
 *
 * LISTEN says where a program's socket has been bound (`bound`: as getsockname of the kernel has it) or, with TCP, that it
 * listens there. `asked`, unless it is none, is the address which the program believes it to have: one that the kernel did not
 * allow (a port below 1024), or the user's own virtual address; the socket itself is then on loopback, where only the daemon
 * looks for it. With IPC_LISTEN_TRY nothing is registered and `bound` may be none: the answer is whether that address is free, and
 * what was chosen for port 0. BOUND asks for it again, where what the library knew is gone (exec, a passed fd). An own address
 * that is connected to (IPC_SELF) is answered by the loopback address where its listener is, in `remote` of CONNECT and `mirror` of
 * UDP_OPEN; none: the same port.
 *
 * A program's UDP socket stays its own: a virtual peer has a mirror, an address on loopback where the daemon receives what is
 * for it and from which it delivers what comes of it. LISTEN with proto UDP says that a socket was bound; UDP_OPEN that one
 * (`bound`: what getsockname says, its port not 0) is going to send, or to connect. Answers hold for a second, then the library asks again.
 *
 * Port 53 of a real server, which a program has chosen for its DNS questions: the daemon stands in for it (daemon/dns/stub.h),
 * answers what is asked about overlay names, and hands every other message to that server. CONNECT and UDP_OPEN are asked with
 * that server as `remote`, whether or not its address lies in the virtual network.
 *   CONNECT   answers 0, at once, whether or not the server can be reached: the pair takes the messages of the stream. `local` is
 *             what the kernel would have the program speak from.
 *   UDP_OPEN  answers IPC_DNS and a mirror, to be used as any other, for sockets that connect and for those that send.
 *   UDP_PEER  of such a mirror answers IPC_DNS; remote is the server, local the address that this host has towards it, port 0.
 * A server on the host's own loopback is one like any other. Port 53 of a virtual address is ordinary traffic of the overlay. Who
 * sees a datagram before it goes need not ask for those which are not about the overlay: dns_look() of include/dns.h.
 */
#ifndef I3_IPC_H
#define I3_IPC_H

#include <sys/un.h>

#include "include/wire.h"

enum {
    IPC_VERSION = 1,
    IPC_HEADER_LEN = 8,
    IPC_NAME_MAX = 253,
    IPC_MAX_LEN = 16384, /* a longer record is refused */
    IPC_CONTROL_MAX = 128 * 1024, /* a reply to CONTROL may be that long */
    IPC_TEXT_MAX = IPC_CONTROL_MAX - IPC_HEADER_LEN - 4,
    IPC_REPLY = 0x80,
};

enum ipc_type {
    IPC_INFO = 1,
    IPC_RESOLVE,
    IPC_REVERSE,
    IPC_CONNECT,
    IPC_SOCK_ERROR,
    IPC_LISTEN,
    IPC_VERIFY,
    IPC_CONTROL,
    IPC_UDP_OPEN,
    IPC_UDP_PEER,
    IPC_BOUND = 15,
    IPC_SOCK_RESET = 22,
    IPC_SOCK_STATE,
    IPC_SUFFIXES = 36,
    IPC_PROGRAM = 44,
    IPC_TYPES,
};

/* Besides errno values, which are all below 4096. */
enum ipc_status {
    IPC_NOT_VIRTUAL = 4096, /* the address is none of ours: let libc have it */
    IPC_SELF = 4097,        /* one's own virtual address: connect to loopback (127.0.0.1, ::1), same port */
    IPC_DNS = 4098,         /* as 0, but the peer is a real DNS server, for which the daemon stands in */
    IPC_PENDING = 4099,     /* RESOLVE: the name is being looked up: ask again, now */
    IPC_STATUS_MAX = IPC_PENDING,
};

struct ipc_header {
    uint8_t type;
    uint32_t serial;
};

enum { IPC_SUFFIXES_MAX = 512, IPC_SUFFIXES_NO_NODE = 1 };

struct ipc_suffixes {
    uint32_t status;
    uint8_t flags;
    char list[IPC_SUFFIXES_MAX];
};

enum ipc_info_flag {
    IPC_INFO_EVERY_NAME = 1, /* rules are about names beyond the suffix as well: RESOLVE is to be asked for each */
    IPC_INFO_ANONYMOUS = 2,
    IPC_INFO_PROGRAMS = 4,
    IPC_INFO_FLAGS = 7,
};

enum { IPC_TOKEN_LEN = 16, IPC_PROGRAM_NAME_MAX = 63 };

struct ipc_program {
    uint8_t token[IPC_TOKEN_LEN];
    bool all;
    char name[IPC_PROGRAM_NAME_MAX + 1];
};

struct ipc_info {
    uint32_t status;
    struct addr own;    /* the user's virtual address, port 0 */
    struct addr own6;   /* and the one in IPv6 */
    uint32_t pool;      /* virtual network, host order, e.g. 0x0a000000 */
    uint8_t pool_bits;  /* its length, e.g. 8 */
    uint8_t flags;      /* enum ipc_info_flag */
    uint32_t pid;
};

struct ipc_name {
    uint32_t status; /* replies only */
    size_t len;
    char name[IPC_NAME_MAX + 1]; /* ended by NUL */
};

struct ipc_resolved {
    uint32_t status; /* 0, ENOENT (no such name), EAGAIN, IPC_PENDING, or IPC_NOT_VIRTUAL: a name that is the system's. Others: it has no
                        address, and will have none */
    struct addr addr, addr6; /* both, or none */
};

struct ipc_connect {
    uint8_t proto; /* IPPROTO_TCP */
    bool patient;
    bool resets; /* as SOCK_RESET */
    struct addr remote;
    struct addr local; /* what the program has bound, none if nothing */
};

/* What the daemon's TCP knows of a connection; bytes, except where it is said. */
struct ipc_sock_state {
    uint32_t status; /* EINVAL: no such connection, or not any more */
    uint32_t unsent; /* not yet acknowledged by the peer */
    uint32_t unread, srtt_us, rto_us, cwnd, ssthresh, mss;
    uint32_t retransmits; /* segments */
    uint64_t bytes_in, bytes_out;
};

struct ipc_sock_reset {
    uint64_t handle;
    bool resets; /* when the program closes its socket, the peer shall see a reset (SO_LINGER with no time) */
};

struct ipc_socket {
    uint32_t status;
    uint64_t handle;
    struct addr local, remote;
};

enum ipc_listen_flag {
    IPC_LISTEN_REUSEPORT = 1,    /* SO_REUSEPORT is set */
    IPC_LISTEN_REUSEADDR = 2,    /* SO_REUSEADDR is */
    IPC_LISTEN_BOUND = 4,        /* TCP: bound, and not listening yet */
    IPC_LISTEN_OVERLAY_ONLY = 8, /* the local network cannot reach it */
    IPC_LISTEN_TRY = 16,
    IPC_LISTEN_FLAGS = 31,
};

struct ipc_listen {
    uint8_t proto;
    uint8_t flags;
    struct addr bound, asked;
    uint64_t cookie; /* SO_COOKIE of the socket */
};

struct ipc_bound {
    uint8_t proto;
    struct addr bound;
    uint64_t cookie;
};

struct ipc_pair {
    uint32_t status; /* replies only */
    struct addr local, remote;
};

static inline void put_addr_or_none(struct writer *w, const struct addr *a)
{
    if (a->family)
        put_addr(w, a);
    else
        put_zeros(w, ADDR_WIRE_LEN);
}

static inline void get_addr_or_none(struct reader *r, struct addr *a)
{
    static const uint8_t zeros[ADDR_WIRE_LEN];
    if (!r->failed && reader_left(r) >= ADDR_WIRE_LEN && !memcmp(r->at, zeros, ADDR_WIRE_LEN)) {
        memset(a, 0, sizeof(*a));
        (void)get_span(r, ADDR_WIRE_LEN);
    } else {
        get_addr(r, a);
    }
}

static inline void ipc_put_header(struct writer *w, uint8_t type, uint32_t serial)
{
    put_u8(w, IPC_VERSION);
    put_u8(w, type);
    put_zeros(w, 2);
    put_u32(w, serial);
}

static inline void ipc_get_header(struct reader *r, struct ipc_header *h)
{
    if (get_u8(r) != IPC_VERSION)
        r->failed = true;
    h->type = get_u8(r);
    wire_expect_zeros(r, 2);
    h->serial = get_u32(r);
}

/* Bodies. Getters leave the cursor failed on any violation; ask reader_done() afterwards. */

static inline void ipc_put_suffixes(struct writer *w, const struct ipc_suffixes *s)
{
    put_u32(w, s->status);
    put_u8(w, s->flags);
    put_bytes(w, s->list, strlen(s->list));
}

static inline void ipc_get_suffixes(struct reader *r, struct ipc_suffixes *s)
{
    *s = (struct ipc_suffixes){.status = get_u32(r)};
    s->flags = get_u8(r);
    size_t n = reader_left(r);
    const uint8_t *p = n < sizeof(s->list) ? get_span(r, n) : NULL;
    if (!p || memchr(p, '\0', n) || s->flags & ~IPC_SUFFIXES_NO_NODE) {
        r->failed = true;
        return;
    }
    memcpy(s->list, p, n);
}

static inline void ipc_put_info(struct writer *w, const struct ipc_info *i)
{
    put_u32(w, i->status);
    put_addr_or_none(w, &i->own);
    put_u32(w, i->pool);
    put_u8(w, i->pool_bits);
    put_u8(w, i->flags);
    put_zeros(w, 2);
    put_u32(w, i->pid);
    put_addr_or_none(w, &i->own6);
}

static inline void ipc_get_info(struct reader *r, struct ipc_info *i)
{
    i->status = get_u32(r);
    get_addr_or_none(r, &i->own);
    i->pool = get_u32(r);
    i->pool_bits = get_u8(r);
    i->flags = get_u8(r);
    wire_expect_zeros(r, 2);
    i->pid = get_u32(r);
    get_addr_or_none(r, &i->own6);
    if (i->pool_bits > 32 || i->flags & ~IPC_INFO_FLAGS)
        r->failed = true;
}

static inline void ipc_put_program(struct writer *w, const struct ipc_program *v)
{
    put_bytes(w, v->token, sizeof(v->token));
    put_u8(w, v->all);
    put_zeros(w, 3);
    put_bytes(w, v->name, strlen(v->name));
}

static inline void ipc_get_program(struct reader *r, struct ipc_program *v)
{
    get_bytes(r, v->token, sizeof(v->token));
    uint8_t all = get_u8(r);
    wire_expect_zeros(r, 3);
    size_t n = r->failed ? 0 : reader_left(r);
    v->all = all;
    if (all > 1 || n < 1 || n > IPC_PROGRAM_NAME_MAX || memchr(r->at, 0, n)) {
        r->failed = true;
        n = 0;
    }
    get_bytes(r, v->name, n);
    v->name[n] = '\0';
}

/* The rest of the record as a name; replies put the status before it themselves. */
static inline void ipc_get_name(struct reader *r, struct ipc_name *n)
{
    n->len = reader_left(r);
    n->name[0] = '\0';
    if (n->len < 1 || n->len > IPC_NAME_MAX || memchr(r->at, 0, n->len)) {
        r->failed = true;
        n->len = 0;
        return;
    }
    get_bytes(r, n->name, n->len);
    n->name[n->len] = '\0';
}

static inline void ipc_put_resolved(struct writer *w, const struct ipc_resolved *v)
{
    put_u32(w, v->status);
    put_addr_or_none(w, &v->addr);
    put_addr_or_none(w, &v->addr6);
}

static inline void ipc_get_resolved(struct reader *r, struct ipc_resolved *v)
{
    v->status = get_u32(r);
    get_addr_or_none(r, &v->addr);
    get_addr_or_none(r, &v->addr6);
}

static inline void ipc_put_connect(struct writer *w, const struct ipc_connect *c)
{
    put_u8(w, c->proto);
    put_u8(w, c->patient);
    put_u8(w, c->resets);
    put_zeros(w, 1);
    put_addr_or_none(w, &c->remote);
    put_addr_or_none(w, &c->local);
}

static inline void ipc_get_connect(struct reader *r, struct ipc_connect *c)
{
    c->proto = get_u8(r);
    uint8_t patient = get_u8(r), resets = get_u8(r);
    c->patient = patient;
    c->resets = resets;
    if (patient > 1 || resets > 1)
        r->failed = true;
    wire_expect_zeros(r, 1);
    get_addr(r, &c->remote);
    get_addr_or_none(r, &c->local);
}

static inline void ipc_put_sock_reset(struct writer *w, const struct ipc_sock_reset *s)
{
    put_u64(w, s->handle);
    put_u8(w, s->resets);
    put_zeros(w, 3);
}

static inline void ipc_get_sock_reset(struct reader *r, struct ipc_sock_reset *s)
{
    s->handle = get_u64(r);
    uint8_t resets = get_u8(r);
    s->resets = resets;
    if (resets > 1)
        r->failed = true;
    wire_expect_zeros(r, 3);
}

static inline void ipc_put_sock_state(struct writer *w, const struct ipc_sock_state *s)
{
    const uint32_t words[] = {s->status, s->unsent, s->unread, s->srtt_us, s->rto_us, s->cwnd, s->ssthresh, s->mss, s->retransmits};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        put_u32(w, words[i]);
    put_u64(w, s->bytes_in);
    put_u64(w, s->bytes_out);
}

static inline void ipc_get_sock_state(struct reader *r, struct ipc_sock_state *s)
{
    uint32_t *const words[] = {
        &s->status, &s->unsent, &s->unread, &s->srtt_us, &s->rto_us, &s->cwnd, &s->ssthresh, &s->mss, &s->retransmits};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        *words[i] = get_u32(r);
    s->bytes_in = get_u64(r);
    s->bytes_out = get_u64(r);
}

static inline void ipc_put_socket(struct writer *w, const struct ipc_socket *s)
{
    put_u32(w, s->status);
    put_u64(w, s->handle);
    put_addr_or_none(w, &s->local);
    put_addr_or_none(w, &s->remote);
}

static inline void ipc_get_socket(struct reader *r, struct ipc_socket *s)
{
    s->status = get_u32(r);
    s->handle = get_u64(r);
    get_addr_or_none(r, &s->local);
    get_addr_or_none(r, &s->remote);
}

static inline void ipc_put_listen(struct writer *w, const struct ipc_listen *l)
{
    put_u8(w, l->proto);
    put_u8(w, l->flags);
    put_zeros(w, 2);
    put_addr_or_none(w, &l->bound);
    put_addr_or_none(w, &l->asked);
    put_u64(w, l->cookie);
}

static inline void ipc_get_listen(struct reader *r, struct ipc_listen *l)
{
    l->proto = get_u8(r);
    l->flags = get_u8(r);
    wire_expect_zeros(r, 2);
    get_addr_or_none(r, &l->bound);
    get_addr_or_none(r, &l->asked);
    l->cookie = get_u64(r);
    if (l->flags & ~IPC_LISTEN_FLAGS || (!l->bound.family && !(l->flags & IPC_LISTEN_TRY)))
        r->failed = true;
}

static inline void ipc_put_bound(struct writer *w, const struct ipc_bound *b)
{
    put_u8(w, b->proto);
    put_zeros(w, 3);
    put_addr(w, &b->bound);
    put_u64(w, b->cookie);
}

static inline void ipc_get_bound(struct reader *r, struct ipc_bound *b)
{
    b->proto = get_u8(r);
    wire_expect_zeros(r, 3);
    get_addr(r, &b->bound);
    b->cookie = get_u64(r);
}

/* VERIFY's request has no status; its reply has one before the pair. */
static inline void ipc_put_pair(struct writer *w, const struct ipc_pair *p)
{
    put_addr_or_none(w, &p->local);
    put_addr_or_none(w, &p->remote);
}

static inline void ipc_get_pair(struct reader *r, struct ipc_pair *p)
{
    get_addr_or_none(r, &p->local);
    get_addr_or_none(r, &p->remote);
}

struct ipc_udp_open {
    bool connects;
    uint64_t cookie;
    struct addr bound, remote;
};

static inline void ipc_put_udp_open(struct writer *w, const struct ipc_udp_open *u)
{
    put_u8(w, u->connects);
    put_zeros(w, 3);
    put_u64(w, u->cookie);
    put_addr(w, &u->bound);
    put_addr(w, &u->remote);
}

static inline void ipc_get_udp_open(struct reader *r, struct ipc_udp_open *u)
{
    uint8_t connects = get_u8(r);
    u->connects = connects;
    if (connects > 1)
        r->failed = true;
    wire_expect_zeros(r, 3);
    u->cookie = get_u64(r);
    get_addr(r, &u->bound);
    get_addr(r, &u->remote);
}

/* The abstract names to which both ends of a virtual connection's socketpair are bound, so that
 * getsockname and getpeername survive dup, fork, exec and passing of the fd (SHIM.md, recipe 2):
 *
 *     NUL "i3.1" side "." handle(16 hex) "." address "." address
 *
 * side: 'p' the program's end, 'd' the daemon's. The addresses are the program's local and remote one;
 * an address is its family digit, the ip in hex (8 or 32 digits) and the port in hex (4).
 */
struct sock_name {
    char side;
    uint64_t handle;
    struct addr local, remote;
};

static inline char hex_digit(unsigned v)
{
    return "0123456789abcdef"[v & 15];
}

static inline void put_hex(struct writer *w, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_u8(w, (uint8_t)hex_digit(p[i] >> 4));
        put_u8(w, (uint8_t)hex_digit(p[i]));
    }
}

static inline void get_hex(struct reader *r, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        for (int half = 0; half < 2; half++) {
            uint8_t c = get_u8(r);
            unsigned d = c >= '0' && c <= '9' ? c - 48u : c >= 'a' && c <= 'f' ? c - 87u : 16u;
            if (d == 16)
                r->failed = true;
            v = v << 4 | (d & 15);
        }
        p[i] = (uint8_t)v;
    }
}

static inline void put_sock_addr(struct writer *w, const struct addr *a)
{
    uint8_t port[2] = {(uint8_t)(a->port >> 8), (uint8_t)a->port};
    put_u8(w, '.');
    put_u8(w, (uint8_t)('0' + a->family));
    put_hex(w, a->ip, a->family == 6 ? 16 : 4);
    put_hex(w, port, 2);
}

static inline void get_sock_addr(struct reader *r, struct addr *a)
{
    uint8_t port[2];
    memset(a, 0, sizeof(*a));
    if (get_u8(r) != '.')
        r->failed = true;
    a->family = (uint8_t)(get_u8(r) - '0');
    if (a->family != 4 && a->family != 6)
        r->failed = true;
    get_hex(r, a->ip, a->family == 6 ? 16 : 4);
    get_hex(r, port, 2);
    a->port = (uint16_t)(port[0] << 8 | port[1]);
}

/* Fills `un`; returns the length to pass to bind(). */
static inline socklen_t sock_name_encode(const struct sock_name *n, struct sockaddr_un *un)
{
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    struct writer w = writer_of(un->sun_path, sizeof(un->sun_path));
    uint8_t handle[8];
    struct writer h = writer_of(handle, sizeof(handle));
    put_u64(&h, n->handle);
    put_bytes(&w, "\0i3.1", 5);
    put_u8(&w, (uint8_t)n->side);
    put_u8(&w, '.');
    put_hex(&w, handle, sizeof(handle));
    put_sock_addr(&w, &n->local);
    put_sock_addr(&w, &n->remote);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + writer_len(&w));
}

/* 0, or -EBADMSG when the name is not one of ours. */
static inline int sock_name_decode(const struct sockaddr_un *un, socklen_t len, struct sock_name *out)
{
    uint8_t handle[8], magic[5];
    if (len < offsetof(struct sockaddr_un, sun_path) || len > sizeof(*un) || un->sun_family != AF_UNIX)
        return -EBADMSG;
    struct reader r = reader_of(un->sun_path, len - offsetof(struct sockaddr_un, sun_path));
    get_bytes(&r, magic, sizeof(magic));
    if (memcmp(magic, "\0i3.1", 5))
        return -EBADMSG;
    out->side = (char)get_u8(&r);
    if ((out->side != 'p' && out->side != 'd') || get_u8(&r) != '.')
        return -EBADMSG;
    get_hex(&r, handle, sizeof(handle));
    struct reader h = reader_of(handle, sizeof(handle));
    out->handle = get_u64(&h);
    get_sock_addr(&r, &out->local);
    get_sock_addr(&r, &out->remote);
    return reader_done(&r) ? 0 : -EBADMSG;
}

#endif
