/* load.c - who serves, streams, ping-pong, connect and close. See load.h.
 *
 *   load serve PORT [CC]                serves until killed; prints "ready" when it listens; CC: its congestion control
 *   load stream HOST PORT SECS N [up]   N streams at once, down (or up); prints gbit= bytes=
 *   load goodput HOST PORT SECS         one stream down, counted from before the connect; prints mbit=
 *   load fetch HOST PORT MB             what comes is compared with what was sent, byte for byte; prints right= mbyte_s=
 *   load rr HOST PORT SECS              1-byte ping-pong; prints p50_us= p99_us=
 *   load crr HOST PORT SECS N           connect, 100 bytes each way, close, N at once; prints rate= errors=
 *
 * A connection's first byte says what it is for: 'G' the server sends until the client closes, 'P' the client sends
 * and the server counts, 'E' echo, 'F' the server sends a pattern until the client closes.
 */
#include "tests/bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536, SAMPLES = 2000000, CRR_BYTES = 100, ACCEPTORS = 64 };

struct shared {
    volatile uint64_t bytes, connections, errors;
};

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void die(const char *what)
{
    perror(what);
    exit(1);
}

int dial(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int one = 1, err = getaddrinfo(host, port, &hints, &found);
    if (err) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(err));
        exit(1);
    }
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
        close(fd);
        fd = -1;
    } else {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    freeaddrinfo(found);
    return fd;
}

static int read_exactly(int fd, char *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, buf + at, len - at);
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static int write_exactly(int fd, const char *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, buf + at, len - at);
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double quantile(float *v, size_t n, double share)
{
    qsort(v, n, sizeof(*v), compare);
    return n ? v[(size_t)(share * (double)(n - 1))] : 0;
}

/* ---- the pattern ---- */

/* The bytes from `at`, a multiple of 8, of an endless text which nowhere repeats itself (splitmix64 of the position). */
static void pattern(uint64_t at, uint64_t *out, size_t len)
{
    for (size_t i = 0; i < len / 8; i++) {
        uint64_t x = (at / 8 + i) * 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        out[i] = x ^ x >> 31;
    }
}

static void send_pattern(int fd)
{
    static uint64_t buf[CHUNK / 8];
    for (uint64_t at = 0;; at += sizeof(buf)) {
        pattern(at, buf, sizeof(buf));
        if (write_exactly(fd, (char *)buf, sizeof(buf)) < 0)
            return;
    }
}

static int fetch(char **arg)
{
    static uint64_t buf[CHUNK / 8], want[CHUNK / 8];
    uint64_t end = strtoull(arg[2], NULL, 10) << 20, at = 0, right = 0;
    double t0 = seconds();
    int fd = dial(arg[0], arg[1]);
    if (fd < 0 || write(fd, "F", 1) != 1)
        die("connect");
    for (; at < end && read_exactly(fd, (char *)buf, sizeof(buf)) == 0; at += sizeof(buf)) {
        pattern(at, want, sizeof(want));
        right += memcmp(buf, want, sizeof(buf)) ? 0 : sizeof(buf);
    }
    printf("right=%d mbyte_s=%.2f\n", right == end, (double)at / 1e6 / (seconds() - t0));
    return 0;
}

/* ---- server ---- */

static void serve_one(int fd)
{
    static char buf[CHUNK];
    char what;
    ssize_t n;
    if (read(fd, &what, 1) != 1)
        return;
    if (what == 'G')
        while (write(fd, buf, sizeof(buf)) > 0)
            ;
    if (what == 'P')
        while (read(fd, buf, sizeof(buf)) > 0)
            ;
    if (what == 'E')
        while ((n = read(fd, buf, sizeof(buf))) > 0 && write(fd, buf, (size_t)n) == n)
            ;
    if (what == 'F')
        send_pattern(fd);
}

int listen_on(const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE, .ai_family = AF_INET}, *a;
    int one = 1;
    if (getaddrinfo(NULL, port, &hints, &a))
        exit(1);
    int fd = socket(a->ai_family, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 4096) < 0)
        die("listen");
    freeaddrinfo(a);
    return fd;
}

/* A few processes accept; each serves one connection at a time. */
static int serve(char **arg)
{
    int one = 1, fd = listen_on(arg[0]);
    if (arg[1] && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, arg[1], (socklen_t)strlen(arg[1])) < 0)
        die(arg[1]);
    puts("ready");
    fflush(stdout);
    for (int i = 1; i < ACCEPTORS; i++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* no server outlives the one that was started */
            break;
        }
    }
    for (;;) {
        int c = accept(fd, NULL, NULL);
        if (c < 0)
            continue;
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        serve_one(c);
        close(c);
    }
}

/* ---- clients ---- */

static struct shared *share(void)
{
    return mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void stream_one(char **arg, int up, struct shared *sh)
{
    static char buf[CHUNK];
    int fd = dial(arg[0], arg[1]);
    if (fd < 0)
        die("connect");
    if (write(fd, up ? "P" : "G", 1) != 1)
        die("write");
    for (;;) {
        ssize_t n = up ? write(fd, buf, sizeof(buf)) : read(fd, buf, sizeof(buf));
        if (n <= 0)
            die("stream");
        __sync_fetch_and_add(&sh->bytes, (uint64_t)n);
    }
}

static int stream(char **arg)
{
    struct shared *sh = share();
    pid_t pid[1024];
    int n = atoi(arg[3]);
    for (int i = 0; i < n; i++)
        if ((pid[i] = fork()) == 0)
            stream_one(arg, arg[4] != NULL, sh);
    usleep(300000); /* slow start is not what is measured */
    uint64_t b0 = sh->bytes;
    double t0 = seconds();
    usleep((useconds_t)(atof(arg[2]) * 1e6));
    double gbit = (double)(sh->bytes - b0) * 8e-9 / (seconds() - t0);
    for (int i = 0; i < n; i++)
        kill(pid[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    printf("gbit=%.3f bytes=%llu\n", gbit, (unsigned long long)sh->bytes);
    return 0;
}

/* Here slow start is part of what is measured. */
static int goodput(char **arg)
{
    static char buf[CHUNK];
    uint64_t bytes = 0;
    double t0 = seconds(), end = t0 + atof(arg[2]), t = t0;
    int fd = dial(arg[0], arg[1]);
    if (fd < 0 || write(fd, "G", 1) != 1)
        die("connect");
    while ((t = seconds()) < end) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, (int)((end - t) * 1e3) + 1) > 0) {
            ssize_t n = read(fd, buf, sizeof(buf));
            if (n <= 0)
                die("stream");
            bytes += (uint64_t)n;
        }
    }
    printf("mbit=%.3f\n", (double)bytes * 8e-6 / (t - t0));
    return 0;
}

static int rr(char **arg)
{
    float *us = malloc(sizeof(*us) * SAMPLES);
    int fd = dial(arg[0], arg[1]);
    size_t n = 0;
    char c = 'x';
    if (fd < 0 || write(fd, "E", 1) != 1)
        die("connect");
    double secs = atof(arg[2]);
    for (double t0 = seconds(), t = t0; t - t0 < secs && n < SAMPLES;) {
        if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
            die("ping-pong");
        double now = seconds();
        us[n++] = (float)((now - t) * 1e6);
        t = now;
    }
    printf("p50_us=%.1f p99_us=%.1f n=%zu\n", quantile(us, n, 0.5), quantile(us, n, 0.99), n);
    return 0;
}

static void crr_one(char **arg, double until, struct shared *sh)
{
    char buf[CRR_BYTES + 1] = "E";
    while (seconds() < until) {
        int fd = dial(arg[0], arg[1]);
        int ok = fd >= 0 && write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf) && read_exactly(fd, buf + 1, CRR_BYTES) == 0;
        if (fd >= 0)
            close(fd);
        __sync_fetch_and_add(ok ? &sh->connections : &sh->errors, 1);
    }
    exit(0);
}

static int crr(char **arg)
{
    struct shared *sh = share();
    double t0 = seconds();
    for (int i = 0; i < atoi(arg[3]); i++)
        if (fork() == 0)
            crr_one(arg, t0 + atof(arg[2]), sh);
    while (wait(NULL) > 0)
        ;
    printf("rate=%.0f errors=%llu\n", (double)sh->connections / (seconds() - t0), (unsigned long long)sh->errors);
    return 0;
}

static const struct {
    const char *name;
    int args;
    int (*run)(char **arg); /* arguments behind the mode, ended by NULL */
} mode[] = {
    {"serve", 1, serve},
    {"stream", 4, stream},
    {"goodput", 3, goodput},
    {"fetch", 3, fetch},
    {"rr", 3, rr},
    {"crr", 4, crr},
    {"keep", 1, keep},
    {"hold", 4, hold},
    {"udpserve", 1, udpserve},
    {"udp", 4, udp},
    {"lookup", 2, lookup},
    {"calls", 1, calls},
    {"pieces", 1, pieces},
    {"against", 2, against},
};

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < sizeof(mode) / sizeof(mode[0]); i++)
        if (argc >= 2 + mode[i].args && !strcmp(argv[1], mode[i].name))
            return mode[i].run(argv + 2);
    fprintf(stderr, "usage: load MODE ARGUMENT... (tests/bench/load.h)\n");
    return 2;
}
