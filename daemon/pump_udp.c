/* pump_udp.c - UDP between programs and peers (program/dgram.h has the picture).
 *
 * Nothing is stored: what a program sends to a mirror is sealed straight out of the receive buffers; what a peer sends goes to
 * the program's socket straight out of the packets, in trains. Datagrams for which there is no room, no session or nobody are
 * lost and counted, as UDP may.
 *
 * Whose datagram is it? Any local user may send to a mirror, so the sender's socket must be this user's: the kernel is asked
 * (sock_diag) when a socket is first seen, and then about once a second while it is in use.
 */
#include "daemon/pump_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/files.h"
#include "daemon/io/mirror.h"
#include "daemon/program/dgram_file.h"
#include "daemon/pump_udp.h"
#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/icmp_error.h"
#include "daemon/tcpip/udp.h"

enum {
    MTU_SURE = 548,           /* no path has a smaller one: the price of looking is spared */
    READ_ROUNDS = 4,          /* batches of one mirror in one turn, then others have theirs */
    SAVE_AT_ONCE = 256,       /* with more to write, once a second is enough */
    EXPIRE_MAX = 8,           /* mirrors looked after in one turn: each may be a walk through all sockets of the host */
    VERIFY_MAX = 256,         /* sockets looked after in one go */
    ERRORS_BURST = 50,        /* ICMP errors at once; refilled at ERRORS_RATE a second */
    ERRORS_RATE = 1000,
    STRANGERS_BURST = 200,    /* questions to the kernel about sockets that nobody has told us of */
    PLAIN_REST_US = 100000,   /* a mirror used since is not idle, and makes no room for another: a server may still answer */
    ASKED_REST_US = 10000000, /* ... to which a program may be connected */
};
#define VERIFY_US USEC_PER_SEC
#define VERIFIED_US (5 * USEC_PER_SEC / 2) /* a verdict holds so long: two rounds and a half */

struct mirror_io {
    struct pump *p;
    struct mirror *m;
    int fd;
    struct fdset_entry *watch;
    struct mirror_io *next_ready;
};

static bool bucket_take(struct bucket *b, mono_t now, uint32_t burst, uint32_t rate)
{
    uint64_t more = mono_since(b->at, now) * rate / USEC_PER_SEC;
    if (more) {
        b->tokens = more + b->tokens > burst ? burst : b->tokens + (uint32_t)more;
        b->at = now;
    }
    if (!b->tokens)
        return false;
    b->tokens--;
    return true;
}

/* ---- mirrors ---- */

int dgram_fd(const struct mirror *m)
{
    return ((const struct mirror_io *)m->io)->fd;
}

static void on_mirror(void *ctx, uint32_t events)
{
    struct mirror_io *x = ctx;
    struct dgram_side *s = x->p->dgram;
    (void)events;
    if (x->m->ready)
        return;
    x->m->ready = true;
    x->next_ready = NULL;
    if (s->ready_last)
        s->ready_last->next_ready = x;
    else
        s->ready_first = x;
    s->ready_last = x;
}

static void unready(struct dgram_side *s, struct mirror_io *x)
{
    struct mirror_io **at = &s->ready_first, *before = NULL;
    for (; *at && *at != x; at = &(*at)->next_ready)
        before = *at;
    if (!*at)
        return;
    *at = x->next_ready;
    if (s->ready_last == x)
        s->ready_last = before;
    x->m->ready = false;
}

static void mirror_close(struct pump *p, struct mirror *m)
{
    struct mirror_io *x = m->io;
    dgram_flush(p); /* it may still have to deliver */
    if (m->ready)
        unready(p->dgram, x);
    fdset_del(p->set, x->watch);
    close(x->fd);
    free(x);
    mirror_free(p->dgram->t, m);
}

/* Room for one more, at the cost of one that has not been used for a while. */
static bool make_room(struct pump *p)
{
    struct mirror *m = mirror_oldest(p->dgram->t);
    if (!m || mono_since(m->used, p->now) < (m->asked ? ASKED_REST_US : PLAIN_REST_US) || m == p->dgram->reading)
        return false;
    mirror_close(p, m);
    p->dgram->count.evicted++;
    return true;
}

static int open_fd(struct pump *p, struct addr *real)
{
    int fd = mirror_open(real);
    if ((fd == -EMFILE || fd == -ENFILE) && make_room(p))
        fd = mirror_open(real);
    return fd;
}

/* The mirror of a virtual peer, made if need be, at `real` if that is free. 0 or -errno (-ENOBUFS: too many, and all in use). */
static int mirror_get_at(struct pump *p, const struct addr *virt, struct addr real, bool asked, struct mirror **out)
{
    struct dgram_side *s = p->dgram;
    struct mirror *m = *out = mirror_find(s->t, virt);
    if (m)
        return 0;
    if (mirrors_count(s->t) >= s->mirrors_max && !make_room(p))
        return -ENOBUFS;
    int fd = open_fd(p, &real);
    if (fd < 0)
        return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
    struct mirror_io *x = calloc(1, sizeof(*x));
    m = x ? mirror_new(s->t, p->now, virt, &real, asked) : NULL;
    if (m) {
        m->host = names_host(p, virt);
        *x = (struct mirror_io){.p = p, .m = m, .fd = fd};
        m->io = x;
        x->watch = fdset_add(p->set, fd, false, on_mirror, x);
    }
    if (!m || !x->watch) {
        if (m)
            mirror_free(s->t, m);
        free(x);
        close(fd);
        return -ENOMEM;
    }
    *out = m;
    return 0;
}

static int mirror_get(struct pump *p, const struct addr *virt, bool asked, struct mirror **out)
{
    return mirror_get_at(p, virt, mirror_address(virt), asked, out);
}

/* ---- whose socket ---- */

/* Asks the kernel which socket a datagram from the mirror at `from` to u's address would reach. It must be this user's and one
 * we know: that one. NULL: it is not. A u which is gone, or another's now, is forgotten. */
static struct usock *verify(struct pump *p, struct usock *u, const struct addr *from)
{
    struct dgram_side *s = p->dgram;
    struct diag_udp_info info;
    struct addr at = usock_address(u, from->family);
    int err = diag_udp(p->diag, &at, from, &info);
    struct usock *found = err == -EOPNOTSUPP ? u : NULL;
    if (!err && info.uid == s->uid)
        found = usock_by_cookie(s->t, u->at.port, info.cookie);
    if (found) {
        found->verified = p->now;
        return found;
    }
    if (err == -ENOENT && u->server && from->port) { /* it may have connected itself to somebody else */
        usock_demote(s->t, u);
        return NULL;
    }
    s->save |= u->server;
    usock_free(s->t, u);
    return NULL;
}

/* From where a datagram reaches it in any case: the peer that it has last spoken to, and may be connected to. */
static struct addr likely_source(const struct usock *u)
{
    return u->peer.family ? u->peer : (struct addr){.family = u->at.family};
}

static struct usock *verify_alive(struct pump *p, struct usock *u)
{
    struct addr from = likely_source(u);
    return verify(p, u, &from);
}

static bool fresh(const struct pump *p, const struct usock *u)
{
    return mono_since(u->verified, p->now) < VERIFIED_US;
}

/* The sender of a datagram that came to the mirror m; NULL: nobody of ours. */
static struct usock *sender(struct pump *p, const struct mirror *m, const struct addr *from)
{
    struct dgram_side *s = p->dgram;
    struct usock *u = usock_find(s->t, from);
    struct diag_udp_info info;
    if (u && fresh(p, u))
        return u;
    if (!u && !bucket_take(&s->strangers, p->now, STRANGERS_BURST, STRANGERS_BURST))
        return NULL;
    int err = diag_udp(p->diag, from, &m->real, &info);
    if (err == -EOPNOTSUPP)
        return u;
    return err || info.uid != s->uid ? NULL : usock_add(s->t, p->now, from, info.cookie, false);
}

/* The socket that gets what comes from m for the port; NULL: there is none. */
static struct usock *receiver(struct pump *p, const struct mirror *m, uint16_t port)
{
    struct usock *u = usock_for_port(p->dgram->t, port, m->real.family), *next;
    if (!u || fresh(p, u))
        return u;
    for (u = usock_on_port(p->dgram->t, port, NULL); u; u = next) {
        struct usock *found;
        next = u->chain;
        if (usock_takes(u, m->real.family) && (found = verify(p, u, &m->real)))
            return found;
    }
    return NULL;
}

/* Sockets in use are looked after, so that neither their last datagram before close() nor the first after a pause has to wait
 * for a question. */
static void verify_some(struct pump *p)
{
    struct usock *older;
    unsigned n = 0;
    for (struct usock *u = usock_newest(p->dgram->t); u && n < VERIFY_MAX; u = older, n++) {
        older = u->older;
        verify_alive(p, u);
    }
    for (struct usock *u; n < VERIFY_MAX && (u = usock_server(p->dgram->t)) && !fresh(p, u); n++) {
        usock_touch(p->dgram->t, u, p->now);
        verify_alive(p, u);
    }
}

/* ---- programs to peers ---- */

/* The inner MTU towards a peer; looked up once a turn. */
static uint16_t mtu_of(const struct pump *p, uint32_t remote)
{
    struct dgram_side *s = p->dgram;
    struct peer_info info = {.mtu = (uint16_t)p->config.mtu};
    if (s->mtu_host == remote && s->mtu_at.us == p->now.us)
        return s->mtu;
    const struct peer *peer = peer_by_address(p->peers, remote);
    if (peer)
        peer_info(p->peers, peer, &info);
    s->mtu_host = remote;
    s->mtu_at = p->now;
    s->mtu = info.mtu;
    return info.mtu;
}

/* Too large for the path: the UDP header goes with the first piece. */
static void fragments_out(struct pump *p, uint32_t host, const uint8_t *ip, const uint8_t udp[UDP_HEAD], const uint8_t *data,
    size_t len)
{
    uint8_t head[FRAGMENT_HEADS_MAX + UDP_HEAD];
    uint16_t room = fragment_room(ip, mtu_of(p, host)), id = p->dgram->ip_id++;
    size_t total = UDP_HEAD + len;
    for (size_t at = 0; at < total; at += room) {
        uint16_t body = (uint16_t)(total - at < room ? total - at : room);
        size_t front = at ? 0 : UDP_HEAD, n = fragment_build(head, ip, id, (uint16_t)at, body, at + room < total);
        memcpy(head + n, udp, front);
        struct iovec v[2] = {{head, n + front}, {(void *)(data + at + front - UDP_HEAD), body - front}};
        net_send_packet(p, host, v, 2, n + body);
    }
}

/* The IP header of a datagram to m. Returns its length. */
static size_t ip_head(struct pump *p, const struct mirror *m, uint8_t *out, size_t len)
{
    uint16_t body = (uint16_t)(UDP_HEAD + len);
    if (m->virt.family == 4) {
        ip_build(out, p->own, m->host, IP_UDP, p->dgram->ip_id++, (uint16_t)(IP_HEAD + body));
        return IP_HEAD;
    }
    uint8_t template[IP6_HEAD];
    ip6_template(template, p->own6, m->virt.ip, 0);
    ip6_build(out, template, IP_UDP, body);
    return IP6_HEAD;
}

static void datagram_out(struct pump *p, const struct mirror *m, uint16_t port, const uint8_t *data, size_t len)
{
    uint8_t head[UDP_HEADS_MAX];
    size_t n = ip_head(p, m, head, len);
    struct iovec v[2] = {{head, n + UDP_HEAD}, {(void *)data, len}};
    udp_build(head + n, head, port, m->virt.port, data, len);
    n += UDP_HEAD + len;
    if (n > MTU_SURE && n > mtu_of(p, m->host))
        fragments_out(p, m->host, head, head + v[0].iov_len - UDP_HEAD, data, len);
    else
        net_send_packet(p, m->host, v, len ? 2 : 1, n);
}

static void from_program(void *ctx, const struct addr *from, const uint8_t *data, size_t len)
{
    struct pump *p = ctx;
    struct dgram_side *s = p->dgram;
    struct mirror *m = s->reading;
    struct usock *u = sender(p, m, from);
    if (!u) {
        s->count.strangers++;
        return;
    }
    u->peer = m->real;
    usock_touch(s->t, u, p->now);
    mirror_touch(s->t, m, p->now);
    s->count.out++;
    datagram_out(p, m, u->at.port, data, len);
}

static void answer_unreachable(struct pump *p, uint32_t host, const uint8_t *packet, size_t len)
{
    uint8_t out[ICMP_ERROR_MAX];
    struct dgram_side *s = p->dgram;
    s->count.unreachable++;
    if (!bucket_take(&s->errors, p->now, ERRORS_BURST, ERRORS_RATE))
        return;
    size_t n = icmp_error_build(out, s->ip_id++, packet, len);
    if (n)
        net_send_packet(p, host, &(struct iovec){out, n}, 1, n);
}

/* What we delivered has found no socket: the peer hears of it as it would have from a kernel. */
static void refusals(struct pump *p, struct mirror_io *x)
{
    struct dgram_side *s = p->dgram;
    const struct mirror *m = x->m;
    struct addr to;
    const uint8_t *data;
    size_t len;
    while (mirror_refused(s->io, x->fd, &to, &data, &len)) {
        uint8_t packet[UDP_HEADS_MAX + 128], answer[IP6_HEAD];
        struct usock *u = usock_find(s->t, &to);
        if (u)
            verify(p, u, &m->real);
        if (len > 128)
            len = 128;
        /* as it came: the header of what we would send to the peer, turned round */
        size_t n = ip_head(p, m, packet, len);
        if (m->virt.family == 6) {
            ip6_template_back(answer, packet);
            ip6_build(packet, answer, IP_UDP, (uint16_t)(UDP_HEAD + len));
        } else {
            ip_build(packet, m->host, p->own, IP_UDP, 0, (uint16_t)(n + UDP_HEAD + len));
        }
        udp_build(packet + n, packet, m->virt.port, to.port, data, len);
        memcpy(packet + n + UDP_HEAD, data, len);
        answer_unreachable(p, m->host, packet, n + UDP_HEAD + len);
    }
}

/* True: there is more to read from it. */
static bool read_mirror(struct pump *p, struct mirror_io *x)
{
    struct dgram_side *s = p->dgram;
    int more = 1;
    s->reading = x->m;
    for (int i = 0; i < READ_ROUNDS && more; i++) {
        more = mirror_recv(s->io, x->fd, from_program, p);
        if (more < 0)
            refusals(p, x);
    }
    s->reading = NULL;
    return more != 0;
}

bool dgram_read(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    struct mirror_io *last = s->ready_last, *x;
    while ((x = s->ready_first)) {
        unready(s, x);
        if (read_mirror(p, x))
            on_mirror(x, 0);
        if (x == last)
            break;
    }
    return s->ready_first != NULL;
}

/* ---- peers to programs ---- */

static void udp_in(struct pump *p, const uint8_t *packet, const struct ip_header *ip)
{
    struct dgram_side *s = p->dgram;
    struct udp_datagram d;
    struct mirror *m;
    if (!udp_parse(packet, ip, &d)) {
        s->count.bad++;
        return;
    }
    struct addr virt = ip->v6 ? addr_v6(packet + IP6_SRC, d.src_port) : addr_v4(ip->src, d.src_port);
    if (!usock_for_port(s->t, d.dst_port, virt.family)) {
        answer_unreachable(p, ip->src, packet, ip->len);
        return;
    }
    if (mirror_get(p, &virt, false, &m) < 0) {
        s->count.no_room++;
        return;
    }
    struct usock *u = receiver(p, m, d.dst_port);
    if (!u) {
        answer_unreachable(p, ip->src, packet, ip->len);
        return;
    }
    mirror_touch(s->t, m, p->now);
    deliver(p, u, m, d.data, d.len);
}

/* A peer says that its port is closed: so say all sockets that have last spoken to it from that port. */
static void port_closed(struct pump *p, const uint8_t *packet, const struct ip_header *ip, const struct icmp_error *e)
{
    struct dgram_side *s = p->dgram;
    struct addr virt = ip->v6 ? addr_v6(packet + IP6_SRC, e->remote_port) : addr_v4(ip->src, e->remote_port);
    struct mirror *m = mirror_find(s->t, &virt);
    struct usock *u = NULL;
    s->count.refused++;
    while (m && (u = usock_on_port(s->t, e->local_port, u))) {
        struct addr at = usock_address(u, m->real.family);
        if (addr_eq(&u->peer, &m->real))
            mirror_refuse(s->io, dgram_fd(m), &m->real, &at);
    }
}

/* `host` is the peer's handle. */
static bool packet_in(struct pump *p, uint32_t host, const uint8_t *packet, size_t len)
{
    struct ip_header ip = {.src = host, .dst = p->own};
    struct icmp_error e;
    bool v6 = packet[0] >> 4 == 6;
    uint8_t proto = v6 ? packet[6] : packet[9];
    if (proto != IP_UDP && proto != (v6 ? IP6_ICMP : IP_ICMP))
        return false;
    if (!(v6 ? ip6_parse : ip_parse)(packet, len, &ip)) {
        p->dgram->count.bad++;
        return true;
    }
    if (proto == IP_UDP) {
        udp_in(p, packet, &ip);
        return true;
    }
    if (!icmp_error_parse(packet, &ip, &e) || e.proto != IP_UDP)
        return false;
    if (e.err == ECONNREFUSED) /* the others are no more than a hint: a UDP socket is not told of them */
        port_closed(p, packet, &ip, &e);
    return true;
}

/* Of fragments only UDP's are taken: the engines send everything else whole. */
bool dgram_packet_in(struct pump *p, uint32_t host, const uint8_t *packet, size_t len)
{
    size_t whole;
    if (!ip_is_fragment(packet, len))
        return packet_in(p, host, packet, len);
    packet = reassembly_add(p->dgram->pieces, p->now, packet, len, &whole);
    if (packet && (packet[0] >> 4 == 6 ? packet[6] : packet[9]) == IP_UDP) {
        packet_in(p, host, packet, whole);
        dgram_flush(p); /* before the bytes go */
    }
    return true;
}

void dgram_flush(struct pump *p)
{
    p->dgram->count.undelivered += mirrors_flush(p->dgram->io);
}

/* ---- the file ---- */

static const char *state_file(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/udp", p->paths.runtime);
    return path;
}

static void save(struct pump *p)
{
    char path[sizeof(p->paths.runtime) + 16];
    size_t len;
    char *text = dgrams_format(p->dgram->t, &len);
    int err = text ? file_write(state_file(p, path, sizeof(path)), text, len, false) : -ENOMEM;
    if (err)
        log_warn("udp file=%s cannot be written err=%d", path, err);
    free(text);
    p->dgram->save = false;
}

static bool is_loopback(const struct addr *a)
{
    return a->family == 6 ? !memcmp(a->ip, &in6addr_loopback, sizeof(a->ip)) : a->ip[0] == 127;
}

/* After a restart: servers whose sockets are still there, and mirrors at the addresses they had. */
void dgram_load(struct pump *p)
{
    char path[sizeof(p->paths.runtime) + 16], *text;
    struct dgram_line line;
    struct mirror *m;
    size_t len;
    if (file_read(state_file(p, path, sizeof(path)), true, &text, &len) < 0)
        return;
    for (const char *at = text; dgrams_parse(&at, &line);) {
        if (line.mirror && is_loopback(&line.real) && names_is_virtual(p, names_host(p, &line.a)))
            mirror_get_at(p, &line.a, line.real, true, &m);
        if (line.mirror)
            continue;
        struct usock *u = usock_add(p->dgram->t, p->now, &line.a, line.cookie, true);
        if (u)
            verify_alive(p, u);
    }
    free(text);
}

/* ---- what programs ask ---- */

/* Servers that are gone leave no trace until somebody looks: each new one pays for a look at two old ones. */
static void forget_some(struct pump *p)
{
    struct usock *u;
    for (int i = 0; i < 2 && (u = usock_server(p->dgram->t)); i++) {
        usock_touch(p->dgram->t, u, p->now);
        verify_alive(p, u);
    }
}

int dgram_open(struct pump *p, const struct ipc_udp_open *q, struct addr *mirror)
{
    struct dgram_side *s = p->dgram;
    bool any = !memcmp(q->bound.ip, (uint8_t[16]){0}, 16);
    struct mirror *m;
    if (q->bound.family != q->remote.family && !(q->bound.family == 6 && any))
        return -ENETUNREACH; /* as the kernel says when source and destination do not go together */
    int err = mirror_get(p, &q->remote, false, &m);
    if (err)
        return err;
    s->save |= q->connects;
    if (q->connects)
        mirror_ask(s->t, m, p->now);
    else
        mirror_touch(s->t, m, p->now);
    struct usock *u = usock_add(s->t, p->now, &q->bound, q->cookie, false);
    if (!u)
        return -ENOBUFS;
    u->peer = m->real;
    *mirror = m->real;
    return 0;
}

int dgram_listen(struct pump *p, const struct addr *bound, uint64_t cookie)
{
    struct dgram_side *s = p->dgram;
    forget_some(p);
    if (!usock_add(s->t, p->now, bound, cookie, true))
        return -ENOBUFS;
    s->save = true;
    if (usocks_count(s->t) + mirrors_count(s->t) <= SAVE_AT_ONCE)
        save(p);
    return 0;
}

const struct addr *dgram_peer(const struct pump *p, const struct addr *real)
{
    const struct mirror *m = mirror_find_real(p->dgram->t, real);
    return m ? &m->virt : NULL;
}

/* ---- life ---- */

/* No more than a fourth of the files we may have. */
static unsigned mirrors_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / 4 >= MIRRORS_MAX)
        return MIRRORS_MAX;
    return (unsigned)r.rlim_cur / 4;
}

int dgram_start(struct pump *p)
{
    struct dgram_side *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    p->dgram = s;
    s->t = dgrams_new(deliver_forget, p);
    s->io = mirrors_io_new(drbg_u64(&p->random));
    s->ip_id = (uint16_t)drbg_u64(&p->random);
    s->uid = geteuid();
    s->mirrors_max = mirrors_limit();
    s->verify_at = MONO_NEVER;
    s->pieces = reassembly_new();
    return s->t && s->io && s->pieces ? 0 : -ENOMEM;
}

void dgram_stop(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    struct mirror *m;
    if (!s)
        return;
    if (s->t && s->io && p->set)
        save(p);
    while (s->t && s->io && (m = mirror_oldest(s->t)))
        mirror_close(p, m);
    mirrors_io_free(s->io);
    reassembly_free(s->pieces);
    dgrams_free(s->t); /* backlogs go with their sockets */
    free(s);
    p->dgram = NULL;
}

/* Idle mirrors go, but for those to which some socket is still connected: it would not ask again. */
static void mirrors_expire(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    struct mirror *m;
    for (int i = 0; i < EXPIRE_MAX && (m = mirror_expired(s->t, p->now)); i++) {
        if (m->asked && diag_udp_connected(p->diag, &m->real))
            mirror_ask(s->t, m, p->now);
        else
            mirror_close(p, m);
    }
}

void dgram_expire(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    if (mono_due(s->verify_at, p->now)) {
        s->verify_at = MONO_NEVER;
        verify_some(p);
        deliver_trim(p);
        if (s->save)
            save(p);
    }
    deliver_expire(p);
    reassembly_expire(s->pieces, p->now);
    if (s->verify_at.us == MONO_NEVER.us && usocks_count(s->t))
        s->verify_at = mono_add(p->now, VERIFY_US);
    usocks_expire(s->t, p->now);
    mirrors_expire(p);
}

mono_t dgram_deadline(const struct pump *p)
{
    mono_t at = mono_min(p->dgram->verify_at, dgrams_deadline(p->dgram->t));
    at = mono_min(at, reassembly_deadline(p->dgram->pieces));
    return mono_min(at, deliver_deadline(p));
}

void dgram_sweep(struct pump *p)
{
    for (struct usock *u = usock_next(p->dgram->t, NULL), *next; u; u = next) {
        next = usock_next(p->dgram->t, u);
        if (u->server)
            verify_alive(p, u);
    }
}

const struct dgrams *dgram_table(const struct pump *p)
{
    return p->dgram->t;
}

const struct dgram_counters *dgram_counters(const struct pump *p)
{
    p->dgram->count.mirrors = mirrors_count(p->dgram->t);
    p->dgram->count.sockets = usocks_count(p->dgram->t);
    p->dgram->count.fragments = *reassembly_stats(p->dgram->pieces);
    return &p->dgram->count;
}
