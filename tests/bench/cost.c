/* cost.c - what a program pays under i3run that uses no virtual name: a run of system calls, and pairs of runs held against each
 * other. See load.h. */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 8, FORK_EVERY = 32, STREAM_PIECE = 16384, WAYS_MAX = 8, WAY_WORDS = 4, RUNS_MAX = 2000 };

extern char **environ;

static void must(bool ok, const char *what)
{
    if (!ok)
        die(what);
}

/* ---- load calls ---- */

static int bound(int type, struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(fd >= 0 && bind(fd, (struct sockaddr *)at, len) == 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0, "bind");
    return fd;
}

/* What an event loop does with a connection that begins. */
static void adopt(int epfd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    struct sockaddr_in name;
    socklen_t len = sizeof(name), ilen = sizeof(int);
    int value = 1;
    must(getsockname(fd, (struct sockaddr *)&name, &len) == 0 && getpeername(fd, (struct sockaddr *)&name, &len) == 0, "name");
    must(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &ilen) == 0, "getsockopt");
    value = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) == 0, "setsockopt");
    must(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    event.events = EPOLLIN | EPOLLOUT;
    must(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event) == 0, "epoll_ctl");
}

static void converse(int a, int b)
{
    char buf[256] = "";
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    for (int i = 0; i < MESSAGES; i++) {
        must(send(a, buf, sizeof(buf), MSG_NOSIGNAL) == sizeof(buf) && recv(b, buf, sizeof(buf), 0) == sizeof(buf), "send");
        must(sendmsg(b, &m, MSG_NOSIGNAL) == sizeof(buf) && recvmsg(a, &m, 0) == sizeof(buf), "sendmsg");
    }
}

static void one_connection(int listener, const struct sockaddr_in *at, int epfd)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(a >= 0 && connect(a, (const struct sockaddr *)at, sizeof(*at)) == 0, "connect");
    int b = accept4(listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
    must(b >= 0, "accept");
    adopt(epfd, a);
    adopt(epfd, b);
    converse(a, b);
    must(shutdown(a, SHUT_WR) == 0 && close(a) == 0 && close(b) == 0, "close");
}

static void datagrams(int udp, const struct sockaddr_in *at)
{
    char buf[256] = "";
    struct sockaddr_in from;
    for (int i = 0; i < MESSAGES; i++) {
        socklen_t len = sizeof(from);
        must(sendto(udp, buf, sizeof(buf), 0, (const struct sockaddr *)at, sizeof(*at)) == sizeof(buf), "sendto");
        must(recvfrom(udp, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) == sizeof(buf), "recvfrom");
    }
}

int calls(char **arg)
{
    struct sockaddr_in tcp_at, udp_at;
    int listener = bound(SOCK_STREAM, &tcp_at), udp = bound(SOCK_DGRAM, &udp_at), epfd = epoll_create1(EPOLL_CLOEXEC);
    must(listen(listener, 16) == 0 && epfd >= 0, "listen");
    for (int i = 0; i < atoi(arg[0]); i++) {
        one_connection(listener, &tcp_at, epfd);
        datagrams(udp, &udp_at);
        if (i % FORK_EVERY)
            continue;
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        must(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
    }
    return 0;
}

/* ---- load pieces ---- */

int pieces(char **arg)
{
    static char buf[STREAM_PIECE];
    struct sockaddr_in at;
    int listener = bound(SOCK_STREAM, &at), a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    must(listen(listener, 1) == 0 && connect(a, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
    int b = accept(listener, NULL, NULL);
    must(b >= 0 && setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "accept");
    for (int i = 0; i < atoi(arg[0]); i++) {
        size_t n = i % 8 ? 1 : sizeof(buf);
        must(write(a, buf, n) == (ssize_t)n, "write");
        for (size_t got = 0; got < n;) {
            ssize_t r = read(b, buf, n - got);
            must(r > 0, "read");
            got += (size_t)r;
        }
    }
    return 0;
}

/* ---- load against ---- */

/* A way to run the command, and what it took. */
struct variant {
    char **argv, **env;
    float wall[RUNS_MAX], cpu[RUNS_MAX];
};

static double cpu_s(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1e-6;
}

static void run_once(struct variant *v, int i)
{
    struct rusage before, after;
    int status;
    pid_t pid;
    getrusage(RUSAGE_CHILDREN, &before);
    double t0 = seconds();
    if (posix_spawnp(&pid, v->argv[0], NULL, NULL, v->argv, v->env) || waitpid(pid, &status, 0) != pid || status)
        die(v->argv[0]);
    v->wall[i] = (float)((seconds() - t0) * 1e3);
    getrusage(RUSAGE_CHILDREN, &after);
    v->cpu[i] = (float)((cpu_s(&after) - cpu_s(&before)) * 1e3);
}

static char **with_preload(const char *library)
{
    static const char name[] = "LD_PRELOAD=";
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = calloc(n + 2, sizeof(*env));
    char *value = malloc(sizeof(name) + strlen(library));
    if (!env || !value)
        die("malloc");
    memcpy(env, environ, n * sizeof(*env));
    memcpy(value, name, sizeof(name));
    env[n] = strcat(value, library);
    return env;
}

static void variant_init(struct variant *v, char *how, char **cmd, int words)
{
    bool preload = *how == '+';
    int first = 0;
    v->argv = calloc(WAY_WORDS + (size_t)words + 1, sizeof(*v->argv));
    if (!v->argv)
        die("malloc");
    v->env = preload ? with_preload(how + 1) : environ;
    for (char *w = preload ? NULL : strtok(how, " "); w && first < WAY_WORDS; w = strtok(NULL, " "))
        v->argv[first++] = w;
    memcpy(v->argv + first, cmd, (size_t)words * sizeof(*cmd));
}

/* The median over the runs of what a way added to the plain one beside it, or (`ratio`) its share of that. */
static double versus(const float *ours, const float *plain, int n, bool ratio)
{
    static float d[RUNS_MAX];
    for (int i = 0; i < n; i++)
        d[i] = ratio ? ours[i] / plain[i] : ours[i] - plain[i];
    return quantile(d, (size_t)n, 0.5);
}

int against(char **arg)
{
    static struct variant v[WAYS_MAX];
    static char plain[] = "";
    int n = atoi(arg[0]), ways = 0, words = 0;
    char **cmd = arg + 1;
    while (*cmd && strcmp(*cmd, "--"))
        cmd++;
    must(*cmd && n > 0 && n <= RUNS_MAX && cmd - arg <= WAYS_MAX, "against");
    while (cmd[1 + words])
        words++;
    variant_init(&v[ways++], plain, cmd + 1, words);
    for (char **how = arg + 1; how < cmd; how++)
        variant_init(&v[ways++], *how, cmd + 1, words);
    for (int i = -1; i < n; i++) /* the first round warms up, and counts for nothing */
        for (int w = 0; w < ways; w++)
            run_once(&v[(w + i + 1) % ways], i < 0 ? 0 : i);
    for (int w = 1; w < ways; w++)
        printf("added%d=%.4f wall%d=%.4f cpu%d=%.4f ", w, versus(v[w].wall, v[0].wall, n, false), w,
            versus(v[w].wall, v[0].wall, n, true), w, versus(v[w].cpu, v[0].cpu, n, true));
    for (int w = 0; w < ways; w++)
        printf("ms%d=%.4f ", w, quantile(v[w].wall, (size_t)n, 0.5));
    printf("\n");
    return 0;
}
