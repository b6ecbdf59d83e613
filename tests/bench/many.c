/* many.c - a lot of connections at once, mostly idle. See load.h. */
#include "tests/bench/load.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256 };

static void raise_files(void)
{
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

static void watch(int ep, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
        die("epoll_ctl");
}

int keep(char **arg)
{
    static char buf[65536];
    struct epoll_event e[EVENTS];
    int one = 1, ep = epoll_create1(0), l = listen_on(arg[0]);
    raise_files();
    watch(ep, l);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int k = epoll_wait(ep, e, EVENTS, -1);
        for (int i = 0; i < k; i++) {
            int fd = e[i].data.fd;
            if (fd == l) {
                int c = accept(l, NULL, NULL);
                if (c < 0)
                    continue;
                setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                watch(ep, c);
                continue;
            }
            ssize_t n = read(fd, buf, sizeof(buf));
            if (n <= 0 || write(fd, buf, (size_t)n) != n)
                close(fd);
        }
    }
}

/* One address for all, so that what is measured is connections. */
static int connect_all(char **arg, int *fd, int n)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    int held = 0;
    if (getaddrinfo(arg[0], arg[1], &hints, &a))
        die(arg[0]);
    for (int i = 0; i < n; i++) {
        int s = socket(a->ai_family, SOCK_STREAM, 0);
        char c = 'x';
        if (s < 0)
            die("socket");
        if (connect(s, a->ai_addr, a->ai_addrlen) == 0 && write(s, &c, 1) == 1 && read(s, &c, 1) == 1)
            fd[held++] = s;
        else
            close(s);
    }
    freeaddrinfo(a);
    return held;
}

int hold(char **arg)
{
    int n = atoi(arg[2]);
    double per_s = atof(arg[3]), t0 = seconds();
    int *fd = calloc((size_t)n + 1, sizeof(*fd));
    raise_files();
    int held = connect_all(arg, fd, n);
    printf("held=%d failed=%d connect_us=%.1f\n", held, n - held, (seconds() - t0) * 1e6 / (n ? n : 1));
    fflush(stdout);
    struct pollfd end = {STDIN_FILENO, POLLIN, 0};
    double next = seconds();
    for (int i = 0;; i = i + 1 < held ? i + 1 : 0) {
        int wait_ms = -1;
        if (per_s > 0) {
            double left = next - seconds();
            wait_ms = left > 0 ? (int)(left * 1e3) : 0;
            next += 1 / per_s;
        }
        if (poll(&end, 1, wait_ms) > 0)
            return 0;
        char c = 'x';
        while (recv(fd[i], &c, 1, MSG_DONTWAIT) == 1) /* the echo of last time */
            ;
        if (write(fd[i], &c, 1) != 1)
            die("trickle");
    }
}
