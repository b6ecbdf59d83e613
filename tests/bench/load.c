/* load.c - a plain TCP load, to be run with and without i3run. Knows nothing of the overlay.
 *
 *   load serve PORT                     serves until killed; prints "ready" when it listens
 *   load stream HOST PORT SECS N [up]   N streams at once, down (or up); prints gbit=
 *   load rr HOST PORT SECS              1-byte ping-pong; prints p50_us= p99_us=
 *   load crr HOST PORT SECS N           connect, 100 bytes each way, close, N at once; prints rate= errors=
 *
 * A connection's first byte says what it is for: 'G' the server sends until the client closes, 'P' the client sends
 * and the server counts, 'E' echo.
 */
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

enum { CHUNK = 65536, SAMPLES = 2000000, CRR_BYTES = 100 };

struct shared {
    volatile uint64_t bytes, connections, errors;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(const char *host, const char *port)
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
}

/* A few processes accept, each handing long connections to children of its own. */
static void serve(const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE, .ai_family = AF_INET}, *a;
    int one = 1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    if (getaddrinfo(NULL, port, &hints, &a))
        exit(1);
    int fd = socket(a->ai_family, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 1024) < 0)
        die("listen");
    puts("ready");
    fflush(stdout);
    for (int i = 1; i < 64; i++) {
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

static void stream_one(const char *host, const char *port, int up, struct shared *sh)
{
    static char buf[CHUNK];
    int fd = dial(host, port);
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

static void stream(const char *host, const char *port, double secs, int n, int up)
{
    struct shared *sh = share();
    pid_t pid[1024];
    for (int i = 0; i < n; i++)
        if ((pid[i] = fork()) == 0)
            stream_one(host, port, up, sh);
    usleep(300000); /* slow start is not what is measured */
    uint64_t b0 = sh->bytes;
    double t0 = seconds();
    usleep((useconds_t)(secs * 1e6));
    double gbit = (double)(sh->bytes - b0) * 8e-9 / (seconds() - t0);
    for (int i = 0; i < n; i++)
        kill(pid[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    printf("gbit=%.3f\n", gbit);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void rr(const char *host, const char *port, double secs)
{
    float *us = malloc(sizeof(*us) * SAMPLES);
    int fd = dial(host, port), n = 0;
    char c = 'x';
    if (fd < 0 || write(fd, "E", 1) != 1)
        die("connect");
    for (double t0 = seconds(), t = t0; t - t0 < secs && n < SAMPLES;) {
        if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
            die("ping-pong");
        double now = seconds();
        us[n++] = (float)((now - t) * 1e6);
        t = now;
    }
    qsort(us, (size_t)n, sizeof(*us), compare);
    printf("p50_us=%.1f p99_us=%.1f n=%d\n", us[n / 2], us[n * 99 / 100], n);
}

static void crr_one(const char *host, const char *port, double until, struct shared *sh)
{
    char buf[CRR_BYTES + 1] = "E";
    while (seconds() < until) {
        int fd = dial(host, port);
        int ok = fd >= 0 && write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf) && read_exactly(fd, buf + 1, CRR_BYTES) == 0;
        if (fd >= 0)
            close(fd);
        __sync_fetch_and_add(ok ? &sh->connections : &sh->errors, 1);
    }
    exit(0);
}

static void crr(const char *host, const char *port, double secs, int n)
{
    struct shared *sh = share();
    double t0 = seconds();
    for (int i = 0; i < n; i++)
        if (fork() == 0)
            crr_one(host, port, t0 + secs, sh);
    while (wait(NULL) > 0)
        ;
    printf("rate=%.0f errors=%llu\n", (double)sh->connections / (seconds() - t0), (unsigned long long)sh->errors);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "serve"))
        serve(argv[2]);
    else if (argc >= 6 && !strcmp(argv[1], "stream"))
        stream(argv[2], argv[3], atof(argv[4]), atoi(argv[5]), argc > 6);
    else if (argc == 5 && !strcmp(argv[1], "rr"))
        rr(argv[2], argv[3], atof(argv[4]));
    else if (argc == 6 && !strcmp(argv[1], "crr"))
        crr(argv[2], argv[3], atof(argv[4]), atoi(argv[5]));
    else
        return 2;
    return 0;
}
