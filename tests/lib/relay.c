/* relay.c - a bad network for tests: a UDP relay that loses, doubles, delays, reorders, damages and slows down packets.
 *
 *      client A --+                    +-- socket of A --+
 *                 +-- --listen  relay  +                 +-- --to
 *      client B --+                    +-- socket of B --+
 *
 * Every client gets a socket of its own towards the target, so that the target tells them apart and its answers find
 * their way, as through a NAT. SIGUSR1 cuts the line and mends it again; SIGUSR2 gives every client a new socket, as a NAT
 * that lost its table does. SIGTERM ends it with one line of figures on stdout.
 *
 * Bounds: CLIENTS_MAX clients (beyond it, the one silent for longest is forgotten), HELD_MAX packets held back (beyond it,
 * lost and counted).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 512,
    HELD_MAX = 262144,
    BATCH = 64,
    DGRAM_MAX = 65536,
    SOCKET_BUFFER = 8 << 20,
    REORDER_MIN_US = 200, /* a reordered packet comes that much later than its turn */
    REORDER_MAX_US = 3000,
    RATE_QUEUE_US = 50000, /* what a slow line holds before it drops */
};

enum direction { TO_TARGET, TO_CLIENT, DIRECTIONS };

struct options {
    double loss, dup, reorder, corrupt; /* percent */
    double delay_ms, jitter_ms, rate_mbit;
    uint64_t seed;
    struct sockaddr_in listen, to;
    const char *port_file;
};

struct client {
    struct sockaddr_in addr;
    int fd; /* -1: free */
    uint64_t used_us;
};

/* A packet held back. */
struct held {
    uint64_t due_us, order;
    uint16_t client;
    uint8_t direction;
    uint32_t len;
    uint8_t *data;
};

/* Packets which go out now, collected per socket. */
struct sender {
    int fd;
    unsigned n;
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_in to[BATCH];
};

static struct options opt = {.seed = 1};
static struct client client[CLIENTS_MAX];
static int n_clients, front = -1;
static struct held *heap;
static size_t n_held;
static uint64_t next_order, rng, line_free_us[DIRECTIONS], now_us;
static struct sender out = {.fd = -1};
static uint64_t n_in, n_out, n_lost, n_dup, n_reordered, n_corrupt, n_overflow, n_cut, bytes_in;
static volatile sig_atomic_t stop_asked, cut, rebind_asked;

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t random_u64(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1dull;
}

static bool chance(double percent)
{
    return percent > 0 && (double)(random_u64() >> 11) / (double)(1ull << 53) * 100 < percent;
}

static uint64_t random_below(uint64_t n)
{
    return n ? random_u64() % n : 0;
}

/* ---- sockets ---- */

static int udp_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = SOCKET_BUFFER;
    if (fd < 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return fd;
}

static int client_socket(void)
{
    int fd = udp_socket();
    if (connect(fd, (struct sockaddr *)&opt.to, sizeof(opt.to)) < 0)
        die("connect");
    return fd;
}

static int client_find(const struct sockaddr_in *a)
{
    static int last;
    int oldest = 0;
    if (last < n_clients && client[last].addr.sin_port == a->sin_port &&
        client[last].addr.sin_addr.s_addr == a->sin_addr.s_addr)
        return last;
    for (int i = 0; i < n_clients; i++) {
        if (client[i].addr.sin_port == a->sin_port && client[i].addr.sin_addr.s_addr == a->sin_addr.s_addr)
            return last = i;
        if (client[i].used_us < client[oldest].used_us)
            oldest = i;
    }
    if (n_clients < CLIENTS_MAX)
        oldest = n_clients++;
    else
        close(client[oldest].fd);
    client[oldest] = (struct client){*a, client_socket(), now_us};
    return last = oldest;
}

static void rebind_all(void)
{
    for (int i = 0; i < n_clients; i++) {
        close(client[i].fd);
        client[i].fd = client_socket();
    }
}

/* ---- sending ---- */

static void flush(void)
{
    unsigned at = 0;
    while (at < out.n) {
        int n = sendmmsg(out.fd, out.msg + at, out.n - at, 0);
        if (n > 0) {
            at += (unsigned)n;
            n_out += (unsigned)n;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            struct pollfd p = {.fd = out.fd, .events = POLLOUT};
            (void)poll(&p, 1, 100);
        } else if (errno != EINTR) {
            at++; /* refused by a target that is not there: lost */
        }
    }
    out.n = 0;
}

/* The data must stay until flush(). */
static void send_now(int direction, int c, uint8_t *data, size_t len)
{
    int fd = direction == TO_TARGET ? client[c].fd : front;
    if (out.n == BATCH || (out.n && out.fd != fd))
        flush();
    out.fd = fd;
    unsigned i = out.n++;
    out.iov[i] = (struct iovec){data, len};
    memset(&out.msg[i], 0, sizeof(out.msg[i]));
    out.msg[i].msg_hdr.msg_iov = &out.iov[i];
    out.msg[i].msg_hdr.msg_iovlen = 1;
    if (direction == TO_CLIENT) {
        out.to[i] = client[c].addr;
        out.msg[i].msg_hdr.msg_name = &out.to[i];
        out.msg[i].msg_hdr.msg_namelen = sizeof(out.to[i]);
    }
}

/* ---- packets held back: a heap by time, then by order of arrival ---- */

static bool before(const struct held *a, const struct held *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void swap_held(size_t i, size_t j)
{
    struct held t = heap[i];
    heap[i] = heap[j];
    heap[j] = t;
}

static void hold(uint64_t due_us, int direction, int c, const uint8_t *data, size_t len)
{
    uint8_t *copy = n_held < HELD_MAX ? malloc(len ? len : 1) : NULL;
    if (!copy) {
        n_overflow++;
        return;
    }
    memcpy(copy, data, len);
    size_t i = n_held++;
    heap[i] = (struct held){due_us, next_order++, (uint16_t)c, (uint8_t)direction, (uint32_t)len, copy};
    for (; i && before(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap_held(i, (i - 1) / 2);
}

static struct held take_first(void)
{
    struct held first = heap[0];
    heap[0] = heap[--n_held];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < n_held && before(&heap[left], &heap[least]))
            least = left;
        if (right < n_held && before(&heap[right], &heap[least]))
            least = right;
        if (least == i)
            return first;
        swap_held(i, least);
        i = least;
    }
}

static void send_due(void)
{
    uint8_t *sent[BATCH];
    unsigned n = 0;
    while (n_held && heap[0].due_us <= now_us) {
        struct held h = take_first();
        send_now(h.direction, h.client, h.data, h.len);
        sent[n++] = h.data;
        if (n == BATCH || !n_held || heap[0].due_us > now_us) {
            flush();
            while (n)
                free(sent[--n]);
        }
    }
}

/* ---- what happens to a packet ---- */

static void pass(int direction, int c, uint8_t *data, size_t len)
{
    uint64_t due = now_us + (uint64_t)(opt.delay_ms * 1000) + random_below((uint64_t)(opt.jitter_ms * 1000));
    if (opt.rate_mbit > 0) {
        uint64_t *line = &line_free_us[direction];
        if (*line > now_us + RATE_QUEUE_US) {
            n_overflow++;
            return;
        }
        *line = (*line > now_us ? *line : now_us) + (uint64_t)((double)(len + 28) * 8 / opt.rate_mbit);
        due += *line - now_us;
    }
    if (chance(opt.reorder)) {
        due += REORDER_MIN_US + random_below(REORDER_MAX_US - REORDER_MIN_US);
        n_reordered++;
    }
    if (due > now_us)
        hold(due, direction, c, data, len);
    else
        send_now(direction, c, data, len);
}

static void on_packet(int direction, int c, uint8_t *data, size_t len)
{
    n_in++;
    bytes_in += len;
    client[c].used_us = now_us;
    if (cut) {
        n_cut++;
        return;
    }
    if (chance(opt.loss)) {
        n_lost++;
        return;
    }
    if (len && chance(opt.corrupt)) {
        data[random_below(len)] ^= (uint8_t)(1u << random_below(8));
        n_corrupt++;
    }
    pass(direction, c, data, len);
    if (chance(opt.dup)) {
        pass(direction, c, data, len);
        n_dup++;
    }
}

/* One batch from fd; c: whose socket it is, -1 for the front. False when there was none. */
static bool receive_batch(int fd, int c)
{
    static uint8_t buf[BATCH][DGRAM_MAX];
    static struct mmsghdr msg[BATCH];
    static struct iovec iov[BATCH];
    static struct sockaddr_in from[BATCH];
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){buf[i], DGRAM_MAX};
        msg[i].msg_hdr = (struct msghdr){
            .msg_iov = &iov[i], .msg_iovlen = 1, .msg_name = &from[i], .msg_namelen = sizeof(from[i])};
    }
    int n = recvmmsg(fd, msg, BATCH, MSG_DONTWAIT, NULL);
    now_us = clock_us();
    for (int i = 0; i < n; i++)
        on_packet(c < 0 ? TO_TARGET : TO_CLIENT, c < 0 ? client_find(&from[i]) : c, buf[i], msg[i].msg_len);
    flush();
    return n == BATCH;
}

/* ---- the program ---- */

static void on_signal(int sig)
{
    if (sig == SIGUSR1)
        cut = !cut;
    else if (sig == SIGUSR2)
        rebind_asked = 1;
    else
        stop_asked = 1;
}

static void run(void)
{
    static struct pollfd p[CLIENTS_MAX + 1];
    sigset_t none;
    sigemptyset(&none);
    while (!stop_asked) {
        if (rebind_asked) {
            rebind_asked = 0;
            rebind_all();
        }
        int n = n_clients;
        p[0] = (struct pollfd){.fd = front, .events = POLLIN};
        for (int i = 0; i < n; i++)
            p[i + 1] = (struct pollfd){.fd = client[i].fd, .events = POLLIN};
        now_us = clock_us();
        uint64_t wait = !n_held ? 1000000 : heap[0].due_us > now_us ? heap[0].due_us - now_us : 0;
        struct timespec ts = {(time_t)(wait / 1000000), (long)(wait % 1000000) * 1000};
        int ready = ppoll(p, (nfds_t)n + 1, &ts, &none);
        now_us = clock_us();
        send_due();
        for (int i = 0; ready > 0 && i <= n; i++)
            if (p[i].revents)
                (void)receive_batch(p[i].fd, i - 1);
    }
}

static void parse_addr(const char *s, struct sockaddr_in *a)
{
    char ip[64];
    const char *colon = strrchr(s, ':');
    a->sin_family = AF_INET;
    if (!colon || snprintf(ip, sizeof(ip), "%.*s", (int)(colon - s), s) >= (int)sizeof(ip) ||
        inet_pton(AF_INET, ip, &a->sin_addr) != 1) {
        fprintf(stderr, "relay: %s is no ADDRESS:PORT\n", s);
        exit(2);
    }
    a->sin_port = htons((uint16_t)atoi(colon + 1));
}

static const struct option long_options[] = {
    {"listen", 1, NULL, 'l'},
    {"to", 1, NULL, 't'},
    {"port-file", 1, NULL, 'f'},
    {"loss", 1, NULL, 'L'},
    {"dup", 1, NULL, 'D'},
    {"reorder", 1, NULL, 'R'},
    {"corrupt", 1, NULL, 'C'},
    {"delay-ms", 1, NULL, 'd'},
    {"jitter-ms", 1, NULL, 'j'},
    {"rate-mbit", 1, NULL, 'r'},
    {"seed", 1, NULL, 's'},
    {0},
};

static void parse_options(int argc, char **argv)
{
    double *const number[128] = {['L'] = &opt.loss,
        ['D'] = &opt.dup,
        ['R'] = &opt.reorder,
        ['C'] = &opt.corrupt,
        ['d'] = &opt.delay_ms,
        ['j'] = &opt.jitter_ms,
        ['r'] = &opt.rate_mbit};
    int o;
    while ((o = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (o == 'l')
            parse_addr(optarg, &opt.listen);
        else if (o == 't')
            parse_addr(optarg, &opt.to);
        else if (o == 'f')
            opt.port_file = optarg;
        else if (o == 's')
            opt.seed = strtoull(optarg, NULL, 0);
        else if (o > 0 && o < 128 && number[o])
            *number[o] = atof(optarg);
        else
            exit(2);
    }
    if (!opt.listen.sin_family || !opt.to.sin_family) {
        fputs(
            "relay --listen ADDR:PORT --to ADDR:PORT [--port-file F] [--loss P] [--dup P] [--reorder P] [--corrupt P]\n"
            "      [--delay-ms N] [--jitter-ms N] [--rate-mbit N] [--seed S]          P: percent of the packets\n",
            stderr);
        exit(2);
    }
    rng = opt.seed * 0x9e3779b97f4a7c15ull + 0x1234567;
}

/* Appears complete or not at all, for those who wait for it. */
static void write_port(const struct sockaddr_in *bound)
{
    char temp[4096];
    snprintf(temp, sizeof(temp), "%s.new", opt.port_file);
    FILE *f = fopen(temp, "w");
    if (!f || fprintf(f, "%d\n", ntohs(bound->sin_port)) < 0 || fclose(f) || rename(temp, opt.port_file))
        die(opt.port_file);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    heap = calloc(HELD_MAX, sizeof(*heap));
    front = udp_socket();
    if (!heap || bind(front, (struct sockaddr *)&opt.listen, sizeof(opt.listen)) < 0)
        die("bind");
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    if (getsockname(front, (struct sockaddr *)&bound, &len) < 0)
        die("getsockname");

    const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t mask;
    sigemptyset(&mask);
    for (int i = 0; i < 4; i++) {
        sigaction(signals[i], &sa, NULL);
        sigaddset(&mask, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &mask, NULL); /* they come while ppoll() waits, and only then */
    if (opt.port_file)
        write_port(&bound);
    run();
    printf(
        "in=%llu out=%llu bytes=%llu lost=%llu dup=%llu reordered=%llu corrupt=%llu overflow=%llu cut=%llu clients=%d\n",
        (unsigned long long)n_in, (unsigned long long)n_out, (unsigned long long)bytes_in,
        (unsigned long long)n_lost, (unsigned long long)n_dup, (unsigned long long)n_reordered,
        (unsigned long long)n_corrupt, (unsigned long long)n_overflow, (unsigned long long)n_cut, n_clients);
    while (n_held)
        free(heap[--n_held].data);
    free(heap);
    return 0;
}
