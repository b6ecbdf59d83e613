/* path.c - an impaired path between two network namespaces, on which the kernel's TCP and the overlay can be compared.
 *
 *      namespace A                          path                           namespace B
 *      p0 192.0.2.1  --- TUN --->  queue, rate, loss, delay  --- TUN --->  p0 192.0.2.2
 *                    <-- TUN ----  queue, rate, loss, delay  <-- TUN ----
 *
 *      path --rtt MS [--rate MBIT] [--queue BYTES] [--loss PERCENT] [--seed N]
 *
 * Prints "ready PID_A PID_B", two processes that do nothing but hold the namespaces (nsenter -t PID -n), and ends, the
 * namespaces with it, at the end of its input, with one line of what it did. Needs root.
 *
 * Each way the same: a packet waits until the line has sent all before it (drop-tail queue of so many bytes), may be lost
 * after that, and arrives half the RTT later. What the loss falls on is always one packet of at most 1500 bytes, and each
 * way draws from its own seeded generator.
 *
 * With a rate, the kernel hands over plain packets. Without one it hands over trains of segments (TSO, and USO for UDP), as to a
 * network card, so that the path carries more than what is measured on it: each segment of a train is lost or kept on its
 * own, and what is left goes on as the shorter trains between the losses. Both TCPs are served alike.
 *
 * Bounds: RING bytes under way each way; beyond that, lost and counted as overflow.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef TUN_F_USO4 /* Linux 6.2; the headers may be older */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
    MTU = 1500,
    TX_QUEUE = 20000,
    BATCH = 64, /* packets read from one side before the other has its turn */
    RING = 64 << 20,
    FRAME_MAX = sizeof(struct virtio_net_hdr) + 65536,
    RECORD_MAX = (FRAME_MAX + 31) & ~15,
    SEGMENTS_MAX = 256,
};

/* In the ring: this, then the frame; len 0: the next record is at the ring's start. */
struct record {
    uint64_t due_ns;
    uint32_t len, pad;
};

/* One way. Records lie from tail to head; both wrap together at RING. */
struct way {
    int from, to;
    uint8_t *ring;
    size_t head, tail, used;
    uint64_t line_free_ns, rng;
    uint64_t passed, lost, overflow, bytes; /* packets; bytes delivered, IP headers included */
};

static struct {
    double rtt_ms, rate_mbit, loss;
    uint64_t seed;
    long queue;
} opt = {.seed = 1};

static void die(const char *what)
{
    fprintf(stderr, "path: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static double draw(uint64_t *rng)
{
    uint64_t x = *rng += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (double)((x ^ x >> 31) >> 11) / (double)(1ull << 53);
}

static bool is_lost(struct way *w)
{
    bool lost = opt.loss > 0 && draw(&w->rng) * 100 < opt.loss;
    w->lost += lost;
    w->passed += !lost;
    return lost;
}

/* ---- namespaces and devices ---- */

static void set(int s, unsigned long what, struct ifreq *r)
{
    if (ioctl(s, what, r) < 0)
        die("setting up p0");
}

static void set_address(int s, unsigned long what, const char *text)
{
    struct ifreq r = {.ifr_name = "p0"};
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &in.sin_addr);
    memcpy(&r.ifr_addr, &in, sizeof(in));
    set(s, what, &r);
}

static void device_up(const char *address)
{
    struct ifreq r = {.ifr_name = "p0"}, lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (s < 0)
        die("socket");
    set(s, SIOCSIFFLAGS, &lo);
    set_address(s, SIOCSIFADDR, address);
    set_address(s, SIOCSIFNETMASK, "255.255.255.0");
    r.ifr_mtu = MTU;
    set(s, SIOCSIFMTU, &r);
    r.ifr_qlen = TX_QUEUE;
    set(s, SIOCSIFTXQLEN, &r);
    r.ifr_flags = IFF_UP;
    set(s, SIOCSIFFLAGS, &r);
    close(s);
}

/* A new namespace with one TUN device, whose descriptor is returned, and the process that holds it. We are left inside. */
static int end_new(const char *address, pid_t *holder)
{
    struct ifreq r = {.ifr_name = "p0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    unsigned trains = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_USO4 | TUN_F_USO6;
    if (unshare(CLONE_NEWNET) < 0)
        die("a new network namespace");
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, TUNSETOFFLOAD, opt.rate_mbit > 0 ? 0 : trains) < 0)
        die("/dev/net/tun");
    device_up(address);
    *holder = fork();
    if (*holder == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(fd);
        for (;;)
            pause();
    }
    return fd;
}

/* ---- one way ---- */

/* Room for a frame at the head, which is contiguous; NULL: too much is under way. */
static struct record *way_room(struct way *w)
{
    if (RING - w->head < RECORD_MAX) {
        size_t skipped = RING - w->head;
        if (w->used + skipped + RECORD_MAX > RING)
            return NULL;
        ((struct record *)(void *)(w->ring + w->head))->len = 0;
        w->used += skipped;
        w->head = 0;
    }
    return w->used + RECORD_MAX > RING ? NULL : (struct record *)(void *)(w->ring + w->head);
}

static void way_commit(struct way *w, struct record *r, size_t len, uint64_t due_ns)
{
    size_t size = (sizeof(*r) + len + 15) & ~15ul;
    r->len = (uint32_t)len;
    r->due_ns = due_ns;
    w->head += size;
    w->used += size;
}

/* The first record; NULL: none is under way. */
static struct record *way_first(struct way *w)
{
    struct record *r = (void *)(w->ring + w->tail);
    if (w->used && !r->len) {
        w->used -= RING - w->tail;
        w->tail = 0;
        r = (void *)w->ring;
    }
    return w->used ? r : NULL;
}

static void way_deliver(struct way *w, uint64_t now)
{
    struct record *r;
    while ((r = way_first(w)) && r->due_ns <= now) {
        size_t size = (sizeof(*r) + r->len + 15) & ~15ul;
        if (write(w->to, r + 1, r->len) < 0 && errno != EAGAIN)
            fprintf(stderr, "path: a packet is not taken: %s\n", strerror(errno));
        w->bytes += r->len - sizeof(struct virtio_net_hdr);
        w->tail += size;
        w->used -= size;
    }
}

/* ---- trains ---- */

static uint32_t sum16(const void *p, size_t len, uint32_t sum)
{
    for (const uint8_t *b = p; len > 1; b += 2, len -= 2)
        sum += (uint32_t)b[0] << 8 | b[1];
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)sum);
}

/* A train as the kernel hands it over: IPv4, then TCP or UDP, then segments of `each` bytes. */
struct train {
    const uint8_t *frame;
    size_t len, l4, headers, each, segments; /* l4, headers: from the frame's start */
    bool tcp;
};

static bool train_read(struct train *t, const uint8_t *frame, size_t len)
{
    struct virtio_net_hdr h;
    memcpy(&h, frame, sizeof(h));
    uint8_t kind = h.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    t->frame = frame;
    t->len = len;
    t->tcp = kind == VIRTIO_NET_HDR_GSO_TCPV4;
    t->l4 = sizeof(h) + h.csum_start;
    t->each = h.gso_size;
    if ((!t->tcp && kind != VIRTIO_NET_HDR_GSO_UDP_L4) || !t->each || t->l4 + sizeof(struct tcphdr) > len)
        return false;
    t->headers = t->l4 + (t->tcp ? 4u * (frame[t->l4 + 12] >> 4) : sizeof(struct udphdr));
    t->segments = t->headers < len ? (len - t->headers + t->each - 1) / t->each : 0;
    return t->segments > 1 && t->segments <= SEGMENTS_MAX;
}

/* Segments first..end of a train as a frame of their own, with the headers that the kernel would have given them. */
static size_t train_cut(const struct train *t, size_t first, size_t end, uint8_t *out)
{
    size_t from = t->headers + first * t->each, to = t->headers + end * t->each;
    size_t payload = (to < t->len ? to : t->len) - from, len = t->headers + payload;
    uint16_t l4_len = (uint16_t)(len - t->l4);
    struct virtio_net_hdr h;
    struct iphdr ip;
    memcpy(out, t->frame, t->headers);
    memcpy(out + t->headers, t->frame + from, payload);
    memcpy(&h, out, sizeof(h));
    if (end - first == 1)
        h.gso_type = VIRTIO_NET_HDR_GSO_NONE, h.gso_size = 0;
    memcpy(out, &h, sizeof(h));
    memcpy(&ip, out + sizeof(h), sizeof(ip));
    ip.tot_len = htons((uint16_t)(len - sizeof(h)));
    ip.id = htons((uint16_t)(ntohs(ip.id) + first));
    ip.check = 0;
    memcpy(out + sizeof(h), &ip, sizeof(ip));
    ip.check = (uint16_t)~fold(sum16(out + sizeof(h), t->l4 - sizeof(h), 0));
    memcpy(out + sizeof(h), &ip, sizeof(ip));
    uint16_t pseudo = fold(sum16(&ip.saddr, 8, ip.protocol) + l4_len);
    if (t->tcp) {
        struct tcphdr tcp;
        memcpy(&tcp, out + t->l4, sizeof(tcp));
        tcp.seq = htonl(ntohl(tcp.seq) + (uint32_t)(first * t->each));
        if (end < t->segments)
            tcp.fin = tcp.psh = 0;
        tcp.check = pseudo;
        memcpy(out + t->l4, &tcp, sizeof(tcp));
    } else {
        struct udphdr udp;
        memcpy(&udp, out + t->l4, sizeof(udp));
        udp.len = htons(l4_len);
        udp.check = pseudo;
        memcpy(out + t->l4, &udp, sizeof(udp));
    }
    return len;
}

static void take_train(struct way *w, struct train *t, struct record *r, uint64_t due_ns)
{
    static uint8_t copy[FRAME_MAX];
    bool lost[SEGMENTS_MAX + 1];
    size_t n_lost = 0;
    for (size_t i = 0; i < t->segments; i++)
        n_lost += lost[i] = is_lost(w);
    if (!n_lost) {
        way_commit(w, r, t->len, due_ns);
        return;
    }
    memcpy(copy, t->frame, t->len); /* it lies where the first piece goes */
    t->frame = copy;
    lost[t->segments] = true;
    for (size_t i = 0, first = 0; i <= t->segments; i++) {
        if (!lost[i])
            continue;
        if (i > first && (r = way_room(w)))
            way_commit(w, r, train_cut(t, first, i, (uint8_t *)(r + 1)), due_ns);
        first = i + 1;
    }
}

/* ---- what comes in ---- */

/* When a packet of so many bytes has left the line; 0: the queue is full. */
static uint64_t line_pass(struct way *w, size_t bytes, uint64_t now)
{
    if (opt.rate_mbit <= 0)
        return now;
    uint64_t start = w->line_free_ns > now ? w->line_free_ns : now;
    double waiting = (double)(start - now) * opt.rate_mbit / 8e3; /* bytes */
    if (waiting + (double)bytes > (double)opt.queue) {
        w->overflow++;
        return 0;
    }
    return w->line_free_ns = start + (uint64_t)((double)bytes * 8e3 / opt.rate_mbit);
}

static void take(struct way *w, struct record *r, size_t len, uint64_t now)
{
    const uint8_t *frame = (const uint8_t *)(r + 1);
    struct train t;
    if (len <= sizeof(struct virtio_net_hdr) || frame[sizeof(struct virtio_net_hdr)] >> 4 != 4)
        return; /* what IPv6 says to itself */
    uint64_t out = line_pass(w, len - sizeof(struct virtio_net_hdr), now), delay = (uint64_t)(opt.rtt_ms * 5e5);
    if (!out)
        return;
    if (train_read(&t, frame, len))
        take_train(w, &t, r, out + delay);
    else if (!is_lost(w))
        way_commit(w, r, len, out + delay);
}

static void way_read(struct way *w)
{
    static uint8_t waste[FRAME_MAX];
    for (int i = 0; i < BATCH; i++) {
        struct record *r = way_room(w);
        ssize_t n = read(w->from, r ? (void *)(r + 1) : waste, FRAME_MAX);
        if (n <= 0)
            return;
        if (r)
            take(w, r, (size_t)n, now_ns());
        else
            w->overflow++;
    }
}

static void run(struct way way[2])
{
    struct pollfd p[3] = {{way[0].from, POLLIN, 0}, {way[1].from, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    while (!p[2].revents) {
        uint64_t now = now_ns(), due = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            way_deliver(&way[i], now);
            struct record *r = way_first(&way[i]);
            if (r && r->due_ns < due)
                due = r->due_ns;
        }
        now = now_ns();
        uint64_t left = due <= now ? 0 : due - now;
        struct timespec wait = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
        if (ppoll(p, 3, due == UINT64_MAX ? NULL : &wait, NULL) < 0 && errno != EINTR)
            die("ppoll");
        for (int i = 0; i < 2; i++)
            if (p[i].revents)
                way_read(&way[i]);
    }
}

static void options(int argc, char **argv)
{
    static const struct option known[] = {{"rtt", 1, NULL, 't'}, {"rate", 1, NULL, 'r'}, {"queue", 1, NULL, 'q'},
        {"loss", 1, NULL, 'l'}, {"seed", 1, NULL, 's'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) >= 0;) {
        switch (c) {
        case 't': opt.rtt_ms = atof(optarg); break;
        case 'r': opt.rate_mbit = atof(optarg); break;
        case 'q': opt.queue = atol(optarg); break;
        case 'l': opt.loss = atof(optarg); break;
        case 's': opt.seed = strtoull(optarg, NULL, 10); break;
        default: exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct way way[2] = {{.rng = 0}};
    pid_t a, b;
    options(argc, argv);
    prctl(PR_SET_TIMERSLACK, 1ul);
    way[0].from = way[1].to = end_new("192.0.2.1", &a);
    way[0].to = way[1].from = end_new("192.0.2.2", &b);
    for (unsigned i = 0; i < 2; i++) {
        way[i].rng = opt.seed * 2 + i;
        draw(&way[i].rng);
        way[i].ring = mmap(NULL, RING + RECORD_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (way[i].ring == MAP_FAILED)
            die("memory");
    }
    printf("ready %d %d\n", (int)a, (int)b);
    fflush(stdout);
    run(way);
    for (unsigned i = 0; i < 2; i++)
        printf("bytes%u=%llu passed%u=%llu lost%u=%llu overflow%u=%llu ", i, (unsigned long long)way[i].bytes, i, (unsigned long long)way[i].passed, i,
            (unsigned long long)way[i].lost, i, (unsigned long long)way[i].overflow);
    putchar('\n');
    return 0;
}
