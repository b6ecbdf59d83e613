/* udp.c - datagrams: at which rate do they still arrive? See load.h.
 *
 * The server counts per run what arrives, and answers a question with the count of the run it names. A rate is sent in
 * bursts of what is due every TICK_NS, at most BURST, as a program does which sends a stream. */
#include "tests/bench/load.h"

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE_MAX_BYTES = 65000, BURST = 256, TICK_NS = 100000, TRIES = 20, ANSWER_MS = 100, STEPS = 10, ATTEMPTS = 4 };

/* Data: question 0. */
struct message {
    uint32_t run, question;
    uint64_t count;
};

static const double lost_at_most = 0.001;

int udpserve(char **arg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE, .ai_family = AF_INET}, *a;
    static char buf[SIZE_MAX_BYTES];
    struct message now = {0};
    if (getaddrinfo(NULL, arg[0], &hints, &a))
        exit(1);
    int fd = socket(a->ai_family, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) < 0)
        die("bind");
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        struct message m;
        if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) < (ssize_t)sizeof(m))
            continue;
        memcpy(&m, buf, sizeof(m));
        if (m.run != now.run)
            now = (struct message){.run = m.run};
        if (!m.question) {
            now.count++;
            continue;
        }
        m.count = now.count;
        sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&from, len);
    }
}

static int64_t arrived(int fd, uint32_t run)
{
    static uint32_t question;
    for (int i = 0; i < TRIES; i++) {
        struct message m = {.run = run, .question = ++question}, r;
        struct pollfd p = {fd, POLLIN, 0};
        send(fd, &m, sizeof(m), 0);
        while (poll(&p, 1, ANSWER_MS) > 0)
            if (recv(fd, &r, sizeof(r), 0) == sizeof(r) && r.question == question && r.run == run)
                return (int64_t)r.count;
    }
    return -1;
}

/* Sends for `secs` at this rate; the share that was lost, and the rate at which it really left; -1: no answers. */
static double lost_at(int fd, size_t size, double pps, double secs, double *real)
{
    static char buf[SIZE_MAX_BYTES];
    static uint32_t run;
    struct message m = {.run = ++run};
    memcpy(buf, &m, sizeof(m));
    double t0 = seconds(), t;
    uint64_t sent = 0;
    if (arrived(fd, run) < 0)
        return -1;
    for (t0 = seconds(); (t = seconds() - t0) < secs;) {
        uint64_t due = (uint64_t)(t * pps) + 1;
        if (sent >= due) {
            nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
            continue;
        }
        for (int k = 0; sent < due && k < BURST; k++)
            if (send(fd, buf, size, 0) == (ssize_t)size || k == 0)
                sent++; /* what the socket refuses counts as lost, once per burst */
    }
    *real = (double)sent / t;
    usleep(100000);
    int64_t got = arrived(fd, run);
    return got < 0 ? -1 : (double)(sent - (uint64_t)got) / (double)sent;
}

static int dial_udp(char **arg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *a;
    if (getaddrinfo(arg[0], arg[1], &hints, &a)) {
        fprintf(stderr, "%s: not known\n", arg[0]);
        exit(1);
    }
    int fd = socket(a->ai_family, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
        die("connect");
    return fd;
}

/* Whether a rate is carried. It has ATTEMPTS: on a shared machine the receiver may once not be run for longer than its socket
 * buffer lasts, which says nothing of the rate. */
static bool carried(int fd, size_t size, double pps, double secs, double *real, double *loss)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        if ((*loss = lost_at(fd, size, pps, secs, real)) < 0) {
            fprintf(stderr, "udp: no answer\n");
            exit(1);
        }
        if (*loss < lost_at_most && *real > 0.95 * pps)
            return true;
    }
    return false;
}

/* Doubles the rate until it is too much, then halves the interval. */
int udp(char **arg)
{
    double secs = atof(arg[2]), low = 0, high = 0, try = 10000, loss, best = 0, best_loss = 0, real = 0;
    size_t size = (size_t)atol(arg[3]);
    int fd = dial_udp(arg);
    prctl(PR_SET_TIMERSLACK, 1ul);
    if (size < sizeof(struct message) || size > SIZE_MAX_BYTES)
        return 2;
    for (int i = 0; i < STEPS; i++) {
        if (carried(fd, size, try, secs / STEPS / 2, &real, &loss)) {
            low = best = real;
            best_loss = loss;
        } else {
            high = try;
        }
        try = high > 0 ? (low + high) / 2 : try * 2;
    }
    printf("pps=%.0f loss=%.5f\n", best, best_loss);
    return 0;
}
