/* dgrams.c - datagrams at a given rate, counted at the other end. See load.h.
 *
 * A datagram begins with the number of the run and its own; one with number COUNT asks how many have come, in order or not.
 */
#include "tests/bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 65507, STEP_NS = 100000, PATIENCE_MS = 3000 };
#define COUNT UINT64_MAX

struct mark {
    uint64_t run, number, late; /* late: came after one with a larger number */
};

static int udp_socket(const char *host, const char *port, int server)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_family = AF_INET, .ai_flags = server ? AI_PASSIVE : 0}, *found;
    int err = getaddrinfo(host, port, &hints, &found);
    if (err) {
        fprintf(stderr, "%s: %s\n", host ? host : port, gai_strerror(err));
        exit(1);
    }
    int fd = socket(found->ai_family, SOCK_DGRAM, 0);
    if ((server ? bind : connect)(fd, found->ai_addr, found->ai_addrlen) < 0)
        die(server ? "bind" : "connect");
    freeaddrinfo(found);
    return fd;
}

int udp_serve(char **arg)
{
    static char buf[LARGEST];
    struct mark seen = {0}, m;
    uint64_t came = 0;
    int fd = udp_socket(NULL, arg[0], 1);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
        if (n < (ssize_t)sizeof(m))
            continue;
        memcpy(&m, buf, sizeof(m));
        if (m.run != seen.run) {
            seen = (struct mark){.run = m.run};
            came = 0;
        }
        if (m.number == COUNT) {
            m.number = came;
            m.late = seen.late;
            sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&from, len);
            continue;
        }
        came++;
        seen.late += m.number < seen.number;
        seen.number = m.number > seen.number ? m.number : seen.number;
    }
}

/* Asks until there is an answer. */
static struct mark ask(int fd, uint64_t run)
{
    struct mark m = {0}, q = {.run = run, .number = COUNT};
    for (int i = 0; i < 20; i++) {
        struct pollfd p = {fd, POLLIN, 0};
        if (send(fd, &q, sizeof(q), 0) < 0 && errno != ECONNREFUSED)
            die("send");
        if (poll(&p, 1, PATIENCE_MS / 20) == 1 && recv(fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m) && m.run == run)
            return m;
    }
    fprintf(stderr, "the receiver does not answer\n");
    exit(1);
}

int udp(char **arg)
{
    static char buf[LARGEST];
    double secs = atof(arg[2]), rate = atof(arg[3]);
    size_t size = (size_t)atoi(arg[4]);
    struct mark m = {.run = (uint64_t)time(NULL) << 20 | (uint64_t)getpid()};
    int fd = udp_socket(arg[0], arg[1], 0);
    if (size < sizeof(m) || size > sizeof(buf))
        return 2;
    prctl(PR_SET_TIMERSLACK, 1);
    ask(fd, m.run); /* there is a session, and everything is warm */
    double t0 = seconds(), t;
    while ((t = seconds() - t0) < secs) {
        for (uint64_t due = (uint64_t)(t * rate); m.number < due; m.number++) {
            memcpy(buf, &m, sizeof(m));
            if (send(fd, buf, size, 0) < 0)
                die("send");
        }
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    t = seconds() - t0;
    usleep(300000);
    struct mark end = ask(fd, m.run);
    printf("pps=%.0f loss=%.4f%% sent=%llu came=%llu late=%llu\n", (double)end.number / t,
        100.0 - 100.0 * (double)end.number / (double)m.number, (unsigned long long)m.number, (unsigned long long)end.number,
        (unsigned long long)end.late);
    return 0;
}
