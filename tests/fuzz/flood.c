/* flood.c - HOST:PORT COUNT [SEED [KEY]]: sends COUNT mutated i3 packets to a node or a daemon, and sees that
 * it lives on.
 *
 * Packets of every kind are built as wire.h says, with ids of our own, ids next to them and random ones, and
 * then most of them are damaged: bits, bytes, fields, length, splices of two. Answers are read: a CHALLENGE
 * is taken up for a real PROVE, so that triggers of ours come to stand, REFRESHes hold, and DATA is forwarded
 * (back to us).
 *
 * With the public KEY of a daemon, strangers also begin sessions with it: real first messages of the
 * handshake, some of them damaged and given a good mac1 again, so that they get past the cheap test.
 *
 * Pace: a node answers a PING after every BATCHES batches, which shows both that it lives and that it has
 * read what was before. A daemon answers nobody; there the kernel's count of what waits in its socket tells
 * (/proc/net/udp). Nothing is to be gained from packets which the kernel drops, so their number is printed.
 *
 * Exit: 0, or 1 with the reason: PONGs stop, the socket is no longer read, or the port is closed.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/i3/handshake.h"
#include "daemon/i3/proof.h"

enum {
    SOCKETS = 4,
    BATCH = 64,
    BATCHES = 4,
    SLOT = 2048,         /* bytes of a usual packet at most */
    QUEUE_MAX = 1 << 19, /* bytes waiting at the target beyond which we wait */
    PATIENCE_MS = 10000,
    OURS = 8, /* keys */
};

/* One of our triggers, as far as it has come. */
struct ours {
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    struct i3_id id, stack[2];
    struct wire_insert insert;
    struct wire_challenge challenge;
    struct proof_key key;
    bool challenged;
    uint64_t seq;
    uint8_t init[INIT_LEN]; /* to the daemon, when its key is known */
};

struct flood {
    struct sockaddr_storage to;
    socklen_t to_len;
    unsigned port;
    int fd[SOCKETS];
    uint64_t rng;
    struct ours ours[OURS];
    bool has_key; /* of the daemon */
    uint8_t mac1_key[BLAKE2S_LEN];
    struct i3_id daemon;
    uint8_t p[SLOT];        /* where packets are built */
    uint8_t previous[SLOT]; /* to splice with */
    size_t previous_len;
    bool pongs;                          /* the target is a node */
    uint64_t sent, n_pongs, answers[16]; /* by kind */
    uint64_t seq;
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("flood: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- chance ---- */

static uint64_t draw(struct flood *f)
{
    uint64_t z = f->rng += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t below(struct flood *f, size_t n)
{
    return (size_t)(draw(f) % n);
}

static void fill(struct flood *f, void *p, size_t n)
{
    uint8_t *at = p;
    while (n) {
        uint64_t v = draw(f);
        size_t take = n < sizeof(v) ? n : sizeof(v);
        memcpy(at, &v, take);
        at += take;
        n -= take;
    }
}

/* One of ours, one that shares some bits with it, or any. */
static struct i3_id some_id(struct flood *f)
{
    struct i3_id id = f->ours[below(f, OURS)].id;
    switch (below(f, 4)) {
    case 0:
        fill(f, &id, sizeof(id));
        break;
    case 1: {
        size_t from = below(f, ID_LEN);
        fill(f, id.b + from, ID_LEN - from);
        break;
    }
    default:
        break;
    }
    return id;
}

static void some_ids(struct flood *f, struct i3_id *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        v[i] = some_id(f);
}

/* ---- good packets, built in f->p; each returns the length ---- */

static size_t make_data(struct flood *f)
{
    /* bodies of a handshake, its answer, a sealed packet, and whatever */
    static const size_t body[] = {192, 104, 24 + 40, 24 + 1400, 0, 1};
    struct i3_id ids[STACK_MAX];
    unsigned n = below(f, 3) ? 1 : 1 + (unsigned)below(f, STACK_MAX);
    some_ids(f, ids, n);
    struct wire_data d = {.flags = (uint8_t)below(f, 2),
        .hops = (uint8_t)(below(f, 8) ? HOPS_DEFAULT : draw(f)),
        .n = (uint8_t)n,
        .proto = (uint8_t)(1 + below(f, 3)),
        .ids = ids[0].b};
    size_t len = data_header_encode(f->p, SLOT, &d), want = body[below(f, ARRAY_LEN(body))];
    if (want > SLOT - len)
        want = SLOT - len;
    fill(f, f->p + len, want);
    return len + want;
}

static size_t make_insert(struct flood *f)
{
    struct ours *o = &f->ours[below(f, OURS)];
    fill(f, o->insert.nonce, NONCE_LEN);
    o->challenged = false;
    return insert_encode(f->p, SLOT, &o->insert);
}

static size_t make_prove(struct flood *f)
{
    struct ours *o = &f->ours[below(f, OURS)];
    struct wire_prove pr = {.insert = o->insert, .epoch = o->challenge.epoch, .seq = o->seq};
    memcpy(pr.cookie, o->challenge.cookie, COOKIE_LEN);
    memcpy(pr.key, o->pub, KEY_LEN);
    size_t len = prove_encode(f->p, SLOT, &pr);
    proof_mac(f->p + len - MAC_LEN, &o->key, f->p, len - MAC_LEN);
    return len;
}

static size_t make_refresh(struct flood *f)
{
    struct ours *o = &f->ours[below(f, OURS)];
    struct wire_refresh rf = {.flags = !below(f, 16), .plen = o->insert.plen, .id = o->id, .seq = ++o->seq};
    size_t len = refresh_encode(f->p, SLOT, &rf);
    proof_mac(f->p + len - MAC_LEN, &o->key, f->p, len - MAC_LEN);
    return len;
}

/* What only a host should get, and a daemon does. */
static size_t make_challenge(struct flood *f)
{
    struct wire_challenge c;
    fill(f, &c, sizeof(c));
    c.seen = addr_v4((uint32_t)draw(f), (uint16_t)draw(f));
    return challenge_encode(f->p, SLOT, &c);
}

static size_t make_ack(struct flood *f)
{
    struct wire_ack a;
    fill(f, &a, sizeof(a));
    a.seen = addr_v4((uint32_t)draw(f), (uint16_t)draw(f));
    return ack_encode(f->p, SLOT, &a);
}

static size_t make_not_present(struct flood *f)
{
    struct wire_not_present np = {.id = some_id(f), .echo_len = (uint8_t)below(f, NOT_PRESENT_ECHO + 1)};
    fill(f, np.echo, sizeof(np.echo));
    return not_present_encode(f->p, SLOT, &np);
}

static size_t make_ping(struct flood *f)
{
    uint8_t nonce[NONCE_LEN] = "flooding"; /* not one that we wait for */
    return ping_encode(f->p, SLOT, below(f, 2) ? WIRE_PING : WIRE_PONG, nonce);
}

static size_t make_refused(struct flood *f)
{
    return refused_encode(f->p, SLOT, &(struct wire_refused){(uint8_t)below(f, 8), draw(f)});
}

static size_t make_noise(struct flood *f)
{
    size_t len = below(f, 8) ? below(f, 200) : below(f, SLOT);
    fill(f, f->p, len);
    if (len)
        f->p[0] = (uint8_t)(below(f, 16) | 0x10);
    return len;
}

/* The first message of a stranger, once in a while; any DATA otherwise. */
static size_t make_init(struct flood *f)
{
    if (!f->has_key || below(f, 4))
        return make_data(f);
    uint8_t mac[BLAKE2S_LEN];
    struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_HANDSHAKE_INIT, .ids = f->daemon.b};
    size_t len = data_header_encode(f->p, SLOT, &d);
    uint8_t *init = f->p + len;
    memcpy(init, f->ours[below(f, OURS)].init, INIT_LEN);
    if (below(f, 2))
        init[below(f, INIT_NOISE_LEN)] ^= (uint8_t)(1u << below(f, 8));
    hmac_blake2s(
        mac, (struct bytes){f->mac1_key, sizeof(f->mac1_key)}, &(struct bytes){init, INIT_NOISE_LEN}, 1);
    memcpy(init + INIT_NOISE_LEN, mac, MAC_LEN);
    return len + INIT_LEN;
}

/* DATA is what there is most of. */
static size_t (*const make[])(struct flood *) = {
    make_data,
    make_data,
    make_data,
    make_init,
    make_insert,
    make_prove,
    make_refresh,
    make_challenge,
    make_ack,
    make_not_present,
    make_ping,
    make_refused,
    make_noise,
};

/* ---- damage ---- */

static size_t damage_bits(struct flood *f, size_t len)
{
    for (size_t k = 1 + below(f, 4); len && k; k--)
        f->p[below(f, len)] ^= (uint8_t)(1u << below(f, 8));
    return len;
}

static size_t damage_byte(struct flood *f, size_t len)
{
    static const uint8_t edge[] = {0, 1, 15, 16, 127, 128, 129, 254, 255};
    if (len)
        f->p[below(f, 2) ? below(f, len) : below(f, len < 6 ? len : 6)] = edge[below(f, sizeof(edge))];
    return len;
}

static size_t damage_cut(struct flood *f, size_t len)
{
    return below(f, 4) ? below(f, len + 1) : len - (len > 0);
}

static size_t damage_lengthen(struct flood *f, size_t len)
{
    size_t more = below(f, 2) ? 1 : below(f, SLOT - len + 1);
    if (more > SLOT - len)
        return len;
    if (below(f, 2))
        fill(f, f->p + len, more);
    else
        memset(f->p + len, 0, more);
    return len + more;
}

static size_t damage_random(struct flood *f, size_t len)
{
    size_t from = below(f, len + 1);
    fill(f, f->p + from, below(f, len - from + 1));
    return len;
}

static size_t damage_splice(struct flood *f, size_t len)
{
    size_t at = below(f, len + 1), from = below(f, f->previous_len + 1), n = f->previous_len - from;
    if (n > SLOT - at)
        n = SLOT - at;
    memcpy(f->p + at, f->previous + from, n);
    return at + n;
}

static size_t damage_kind(struct flood *f, size_t len)
{
    if (len)
        f->p[0] = (uint8_t)(0x10 | (1 + below(f, 10)));
    return len;
}

static size_t (*const damage[])(struct flood *, size_t) = {
    damage_bits,
    damage_byte,
    damage_cut,
    damage_lengthen,
    damage_random,
    damage_splice,
    damage_kind,
};

/* The next packet into f->p. */
static size_t packet(struct flood *f)
{
    uint8_t good[SLOT];
    size_t len = make[below(f, ARRAY_LEN(make))](f), good_len = len;
    memcpy(good, f->p, len);
    if (below(f, 16))
        for (size_t k = 1 + below(f, 3); k; k--)
            len = damage[below(f, ARRAY_LEN(damage))](f, len);
    memcpy(f->previous, good, good_len);
    f->previous_len = good_len;
    return len;
}

/* ---- answers ---- */

static void take_challenge(struct flood *f, const uint8_t *p, size_t len)
{
    struct wire_challenge c;
    if (challenge_decode(p, len, &c))
        return;
    for (unsigned i = 0; i < OURS; i++) {
        struct ours *o = &f->ours[i];
        if (o->challenged || memcmp(o->insert.nonce, c.nonce, NONCE_LEN))
            continue;
        bool same_key = !memcmp(o->challenge.node_key, c.node_key, KEY_LEN);
        o->challenge = c;
        o->challenged = true;
        o->seq += 1ull << 41;
        if (!same_key && proof_key_derive(&o->key, o->priv, c.node_key, o->pub, c.node_key))
            die("the node's key is of small order");
    }
}

/* Reads all that is there. True when the PONG with this number was among it. */
static bool answers(struct flood *f, uint64_t number)
{
    static uint8_t p[65536];
    uint8_t nonce[NONCE_LEN];
    bool found = false;
    for (unsigned i = 0; i < SOCKETS; i++) {
        ssize_t n;
        while ((n = recv(f->fd[i], p, sizeof(p), MSG_DONTWAIT)) >= 0 || errno == ECONNREFUSED) {
            if (n < 0)
                die("the port is closed after %llu packets", (unsigned long long)f->sent);
            f->answers[wire_kind(p, (size_t)n)]++;
            if (wire_kind(p, (size_t)n) == WIRE_CHALLENGE)
                take_challenge(f, p, (size_t)n);
            if (!ping_decode(p, (size_t)n, WIRE_PONG, nonce) && !memcmp(nonce, &number, sizeof(number)))
                found = true;
        }
    }
    return found;
}

/* ---- pace ---- */

/* A PING, and its PONG within ms. */
static bool ping_once(struct flood *f, int ms)
{
    uint8_t p[PING_LEN], nonce[NONCE_LEN];
    uint64_t number = draw(f);
    memcpy(nonce, &number, sizeof(nonce));
    ping_encode(p, sizeof(p), WIRE_PING, nonce);
    if (send(f->fd[0], p, sizeof(p), 0) < 0 && errno == ECONNREFUSED)
        die("the port is closed after %llu packets", (unsigned long long)f->sent);
    for (double end = seconds() + ms / 1000.0, left; (left = end - seconds()) > 0;) {
        poll(&(struct pollfd){.fd = f->fd[0], .events = POLLIN}, 1, (int)(left * 1000) + 1);
        if (answers(f, number)) {
            f->n_pongs++;
            return true;
        }
    }
    return false;
}

struct queue {
    bool found;
    unsigned long bytes, drops;
};

/* What the kernel says about the target's socket, if it is one of this network namespace. */
static struct queue queue_look(const struct flood *f)
{
    struct queue q = {0};
    const char *name[] = {"/proc/net/udp", "/proc/net/udp6"};
    for (unsigned i = 0; i < 2 && !q.found; i++) {
        char line[512];
        FILE *file = fopen(name[i], "r");
        while (file && fgets(line, sizeof(line), file)) {
            unsigned port;
            unsigned long bytes, drops;
            if (sscanf(line, " %*d: %*[0-9A-F]:%x %*s %*s %*x:%lx %*s %*s %*s %*s %*s %*s %*s %lu", &port,
                    &bytes, &drops) == 3 &&
                port == f->port) {
                q.found = true;
                q.bytes += bytes;
                q.drops += drops;
            }
        }
        if (file)
            fclose(file);
    }
    return q;
}

static void pace_by_queue(struct flood *f)
{
    for (int ms = 0;; ms++) {
        struct queue q = queue_look(f);
        if (!q.found)
            die("the target's socket is gone after %llu packets", (unsigned long long)f->sent);
        if (q.bytes < QUEUE_MAX)
            return;
        if (ms == PATIENCE_MS)
            die("the target reads no more after %llu packets", (unsigned long long)f->sent);
        usleep(1000);
    }
}

static void pace(struct flood *f, bool local)
{
    if (local)
        pace_by_queue(f);
    if (f->pongs) {
        for (int tries = 0; !ping_once(f, PATIENCE_MS / 20); tries++)
            if (tries == 20)
                die("no PONG any more after %llu packets", (unsigned long long)f->sent);
    } else if (!local) {
        usleep(2000);
    }
    answers(f, 0);
}

/* ---- sending ---- */

static void send_batch(struct flood *f, unsigned n)
{
    static uint8_t slot[BATCH][SLOT];
    struct iovec iov[BATCH];
    struct mmsghdr m[BATCH];
    memset(m, 0, sizeof(m));
    for (unsigned i = 0; i < n; i++) {
        iov[i] = (struct iovec){slot[i], packet(f)};
        memcpy(slot[i], f->p, iov[i].iov_len);
        m[i].msg_hdr.msg_iov = &iov[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    int fd = f->fd[below(f, SOCKETS)];
    for (unsigned at = 0; at < n;) {
        int rc = sendmmsg(fd, m + at, n - at, 0);
        if (rc < 0 && errno == ECONNREFUSED)
            die("the port is closed after %llu packets", (unsigned long long)f->sent);
        if (rc < 0 && errno != EINTR && errno != EAGAIN && errno != ENOBUFS)
            die("sendmmsg: %s", strerror(errno));
        at += rc > 0 ? (unsigned)rc : 0;
    }
    f->sent += n;
}

/* Now and then one as long as UDP can be. */
static void send_giant(struct flood *f)
{
    static uint8_t p[WIRE_MAX_LEN];
    size_t len = packet(f);
    memcpy(p, f->p, len);
    fill(f, p + len, sizeof(p) - len);
    if (send(f->fd[0], p, sizeof(p), 0) > 0)
        f->sent++;
}

/* ---- start ---- */

static void open_sockets(struct flood *f)
{
    int size = 4 << 20;
    for (unsigned i = 0; i < SOCKETS; i++) {
        f->fd[i] = socket(f->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (f->fd[i] < 0 || connect(f->fd[i], (struct sockaddr *)&f->to, f->to_len))
            die("socket: %s", strerror(errno));
        setsockopt(f->fd[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        setsockopt(f->fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
}

static void parse_target(struct flood *f, char *target)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV}, *ai;
    char *colon = strrchr(target, ':');
    if (!colon)
        die("HOST:PORT is expected");
    *colon = '\0';
    if (*target == '[') {
        target++;
        target[strcspn(target, "]")] = '\0';
    }
    int err = getaddrinfo(target, colon + 1, &hints, &ai);
    if (err)
        die("%s: %s", target, gai_strerror(err));
    memcpy(&f->to, ai->ai_addr, ai->ai_addrlen);
    f->to_len = ai->ai_addrlen;
    f->port = (unsigned)atoi(colon + 1);
    freeaddrinfo(ai);
}

/* Eight keys; some triggers match by prefix, some lead to others of ours, also in a circle. */
static void make_ours(struct flood *f)
{
    for (unsigned i = 0; i < OURS; i++) {
        struct ours *o = &f->ours[i];
        fill(f, o->priv, sizeof(o->priv));
        x25519_public(o->pub, o->priv);
        id_of_key(&o->id, o->pub, NULL);
        o->insert = (struct wire_insert){
            .plen = i % 2 ? 256 : 128, .n = (uint8_t)(i < 4 ? 0 : i % 3), .id = o->id, .ids = o->stack[0].b};
    }
    for (unsigned i = 0; i < OURS; i++) {
        f->ours[i].stack[0] = f->ours[(i + 1) % OURS].id;
        f->ours[i].stack[1] = f->ours[(i + 3) % OURS].id;
    }
}

static void report(const struct flood *f, double took, const struct queue *before)
{
    static const struct {
        enum wire_kind kind;
        const char *name;
    } shown[] = {{WIRE_CHALLENGE, "challenges"}, {WIRE_ACK, "acks"}, {WIRE_DATA, "forwarded back"},
        {WIRE_NOT_PRESENT, "not present"}, {WIRE_REFUSED, "refused"}};
    struct queue after = queue_look(f);
    printf("%llu packets in %.1f s: %.0f/s", (unsigned long long)f->sent, took, (double)f->sent / took);
    if (before->found)
        printf(", %lu dropped by the kernel", after.drops - before->drops);
    if (f->pongs)
        printf("; %llu pings answered", (unsigned long long)f->n_pongs);
    else
        printf("; no node, pings are not answered");
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        printf(", %llu %s", (unsigned long long)f->answers[shown[i].kind], shown[i].name);
    putchar('\n');
}

static void make_inits(struct flood *f, const char *text)
{
    uint8_t key[KEY_LEN], e[KEY_LEN];
    if (key_parse(text, key))
        die("%s is no key", text);
    f->has_key = true;
    mac1_key(f->mac1_key, key);
    id_of_key(&f->daemon, key, NULL);
    for (unsigned i = 0; i < OURS; i++) {
        struct ours *o = &f->ours[i];
        struct hello h = {.time = (uint64_t)time(NULL) * 1000000, .id = o->id, .ciphers = 3, .mtu = 1400};
        struct noise n;
        fill(f, e, sizeof(e));
        handshake_start(&n, o->priv, o->pub, key);
        if (init_write(&n, e, &h, o->init))
            die("%s is a weak key", text);
    }
}

int main(int argc, char **argv)
{
    static struct flood f;
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: flood HOST:PORT COUNT [SEED [KEY]]\n");
        return 2;
    }
    f.rng = argc >= 4 ? strtoull(argv[3], NULL, 0) : 1;
    uint64_t count = strtoull(argv[2], NULL, 0);
    parse_target(&f, argv[1]);
    open_sockets(&f);
    make_ours(&f);
    if (argc == 5)
        make_inits(&f, argv[4]);
    for (int i = 0; i < 10 && !f.pongs; i++)
        f.pongs = ping_once(&f, 100);
    struct queue before = queue_look(&f);

    double start = seconds();
    for (unsigned batch = 0; f.sent < count; batch++) {
        send_batch(&f, count - f.sent < BATCH ? (unsigned)(count - f.sent) : BATCH);
        if (batch % 256 == 255 && f.sent < count)
            send_giant(&f);
        if (batch % BATCHES == BATCHES - 1)
            pace(&f, before.found);
    }
    pace(&f, before.found);
    double took = seconds() - start;
    report(&f, took, &before);
    return 0;
}
