/* dgrams.c - what a program sees of UDP: dgrams HOST PORT CLOSED [OTHER OTHERPORT]. An echo server is at HOST:PORT, nobody at
 * HOST:CLOSED, another echo server (a real one) at OTHER:OTHERPORT. Prints one line per observation; addresses are printed only
 * as "peer" or "other" where they are what they should be, so that a run on loopback and one on the overlay print the same.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 5000, BIG = 60000 };

static struct sockaddr_in peer, closed, other;
static char buf[70000];

static const char *who(const struct sockaddr_in *a, socklen_t len)
{
    static char text[64];
    if (len == sizeof(*a) && a->sin_family == AF_INET) {
        if (!memcmp(a, &peer, sizeof(*a)))
            return "peer";
        if (!memcmp(a, &closed, sizeof(*a)))
            return "closed";
        if (!memcmp(a, &other, sizeof(*a)))
            return "other";
    }
    snprintf(text, sizeof(text), "stranger(%d,%u,%s:%u)", a->sin_family, len, inet_ntoa(a->sin_addr), ntohs(a->sin_port));
    return text;
}

static void say(const char *what, long rc)
{
    printf("%s %ld %s\n", what, rc, rc < 0 ? strerrorname_np(errno) : "ok");
}

static int udp(void)
{
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static long to(int fd, const struct sockaddr_in *a, const void *p, size_t n)
{
    return sendto(fd, p, n, 0, (const struct sockaddr *)a, sizeof(*a));
}

static void receive(const char *what, int fd, int flags)
{
    struct sockaddr_in from = {0};
    socklen_t len = sizeof(from);
    ssize_t n = recvfrom(fd, buf, sizeof(buf), flags, (struct sockaddr *)&from, &len);
    if (n < 0)
        say(what, n);
    else
        printf("%s %zd '%.*s' from %s\n", what, n, n > 20 ? 20 : (int)n, buf, who(&from, len));
}

static unsigned local_port(int fd)
{
    struct sockaddr_in a = {0};
    socklen_t len = sizeof(a);
    getsockname(fd, (struct sockaddr *)&a, &len);
    return ntohs(a.sin_port);
}

static void unconnected(void)
{
    int fd = udp(), one = 1;
    struct sockaddr_in from;
    socklen_t len = 4;
    say("sendto", to(fd, &peer, "hello", 5));
    unsigned port = local_port(fd);
    receive("recvfrom", fd, 0);
    say("empty", to(fd, &peer, "", 0));
    receive("empty back", fd, 0);
    say("big", to(fd, &peer, buf, BIG));
    ssize_t n = recv(fd, buf, sizeof(buf), 0);
    printf("big back %zd\n", n);
    say("too big", to(fd, &peer, buf, 65508));
    to(fd, &peer, "peeked", 6);
    receive("peek", fd, MSG_PEEK);
    receive("after peek", fd, 0);
    to(fd, &peer, "truncated", 9);
    printf("trunc %zd\n", recv(fd, buf, 3, MSG_TRUNC));
    to(fd, &peer, "cut", 3);
    memset(&from, 'x', sizeof(from));
    n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
    printf("small name %zd len %u family %d rest %c\n", n, len, from.sin_family, ((char *)&from)[5]);
    receive("nothing there", fd, MSG_DONTWAIT);
    to(fd, &other, "real", 4);
    receive("real peer", fd, 0);
    to(fd, &peer, "again", 5);
    receive("virtual again", fd, 0);
    printf("same port %d\n", port && port == local_port(fd));
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof(one));
    to(fd, &peer, "stamp", 5);
    char control[256];
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof(control)};
    n = recvmsg(fd, &m, 0);
    struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
    printf("recvmsg %zd from %s stamp %d\n", n, who(&from, m.msg_namelen), c && c->cmsg_type == SO_TIMESTAMP);
    say("no destination", send(fd, "x", 1, 0));
    say("bind late", bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(from)));
    close(fd);
}

static void batches(void)
{
    enum { N = 40 };
    int fd = udp();
    struct mmsghdr out[N] = {0}, in[N] = {0};
    struct iovec v[N], w[N];
    struct sockaddr_in from[N];
    static char room[N][64], text[N][8];
    int got = 0;
    for (int i = 0; i < N; i++) {
        v[i] = (struct iovec){text[i], (size_t)snprintf(text[i], sizeof(text[i]), "m%d", i)};
        w[i] = (struct iovec){room[i], sizeof(room[i])};
        out[i].msg_hdr = (struct msghdr){.msg_name = i % 4 == 1 ? &other : &peer, .msg_namelen = sizeof(peer), .msg_iov = &v[i], .msg_iovlen = 1};
    }
    say("sendmmsg", sendmmsg(fd, out, N, 0));
    printf("lengths %u %u %u\n", out[0].msg_len, out[1].msg_len, out[N - 1].msg_len);
    int of_peer = 0, of_other = 0;
    while (got < N) {
        for (int i = 0; i < N; i++)
            in[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &w[i], .msg_iovlen = 1};
        int n = recvmmsg(fd, in, (unsigned)(N - got), MSG_WAITFORONE, NULL);
        if (n <= 0)
            break;
        for (int i = 0; i < n; i++) {
            of_peer += !strcmp(who(&from[i], in[i].msg_hdr.msg_namelen), "peer");
            of_other += !strcmp(who(&from[i], in[i].msg_hdr.msg_namelen), "other");
        }
        got += n;
    }
    printf("recvmmsg %d: %d of peer, %d of other\n", got, of_peer, of_other);
    out[0].msg_hdr.msg_name = NULL;
    say("sendmmsg without destination", sendmmsg(fd, out, 3, 0));
    close(fd);
}

static void connected(void)
{
    int fd = udp(), copy;
    struct sockaddr_in a = {0};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(a);
    say("connect", connect(fd, (struct sockaddr *)&peer, sizeof(peer)));
    getpeername(fd, (struct sockaddr *)&a, &len);
    printf("getpeername %s\n", who(&a, len));
    say("send", send(fd, "one", 3, 0));
    receive("recv", fd, 0);
    say("write", write(fd, "two", 3));
    printf("read %zd\n", read(fd, buf, sizeof(buf)));
    struct pollfd p = {fd, POLLIN, 0};
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    printf("idle poll %d epoll %d\n", poll(&p, 1, 0), epoll_wait(ep, &e, 1, 0));
    send(fd, "three", 5, 0);
    int woke = epoll_wait(ep, &e, 1, WAIT_MS);
    printf("poll %d epoll %d %d\n", poll(&p, 1, WAIT_MS), woke, e.events == EPOLLIN);
    copy = dup(fd);
    receive("of the dup", copy, 0);
    if (fork() == 0) {
        send(copy, "child", 5, 0);
        receive("in the child", copy, 0);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    to(fd, &other, "elsewhere", 9); /* its answer is not ours */
    say("sendto on connected", to(fd, &peer, "there", 5));
    receive("only the peer's", fd, 0);
    say("to the closed", connect(fd, (struct sockaddr *)&closed, sizeof(closed)));
    say("again", connect(fd, (struct sockaddr *)&peer, sizeof(peer)));
    send(fd, "back", 4, 0);
    receive("back", fd, 0);
    say("unconnect", connect(fd, &none, sizeof(none)));
    say("not connected", getpeername(fd, (struct sockaddr *)&a, &len));
    say("to a real one", connect(fd, (struct sockaddr *)&other, sizeof(other)));
    send(fd, "real", 4, 0);
    receive("real", fd, 0);
    say("and to a virtual one", connect(fd, (struct sockaddr *)&peer, sizeof(peer)));
    send(fd, "virtual", 7, 0);
    receive("virtual", fd, 0);
    say("straight to a real one", connect(fd, (struct sockaddr *)&other, sizeof(other)));
    send(fd, "real", 4, 0);
    receive("real", fd, 0);
    close(fd);
    close(copy);
    close(ep);
}

static void refused(void)
{
    int fd = udp(), one = 1, err = -1;
    socklen_t len = sizeof(err);
    connect(fd, (struct sockaddr *)&closed, sizeof(closed));
    say("to nobody", send(fd, "x", 1, 0));
    receive("blocked recv", fd, 0);
    send(fd, "x", 1, 0);
    struct pollfd p = {fd, POLLIN, 0};
    poll(&p, 1, WAIT_MS);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    printf("poll %s SO_ERROR %s\n", p.revents & POLLERR ? "POLLERR" : "-", strerrorname_np(err));
    send(fd, "x", 1, 0);
    poll(&p, 1, WAIT_MS);
    say("the next send", send(fd, "x", 1, 0));
    say("the one after", send(fd, "x", 1, 0));
    close(fd);

    fd = udp();
    setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
    to(fd, &closed, "errors", 6);
    p = (struct pollfd){fd, POLLIN, 0};
    poll(&p, 1, WAIT_MS);
    printf("error queue %s\n", p.revents & POLLERR ? "POLLERR" : "-");
    struct sockaddr_in from = {0};
    char control[512];
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &m, MSG_ERRQUEUE);
    struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == IP_RECVERR) {
        struct sock_extended_err *e = (void *)CMSG_DATA(c);
        struct sockaddr_in *offender = (void *)(e + 1);
        printf("of %s: %s type %d code %d, said by %s\n", who(&from, m.msg_namelen), strerrorname_np((int)e->ee_errno), e->ee_type,
            e->ee_code, offender->sin_addr.s_addr == peer.sin_addr.s_addr ? "peer" : "another");
    } else {
        say("no error", n);
    }
    close(fd);
}

static void family6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = peer.sin_port}, from;
    socklen_t len = sizeof(from);
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    a.sin6_addr.s6_addr[10] = a.sin6_addr.s6_addr[11] = 0xff;
    memcpy(a.sin6_addr.s6_addr + 12, &peer.sin_addr, 4);
    say("mapped sendto", sendto(fd, "six", 3, 0, (struct sockaddr *)&a, sizeof(a)));
    ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
    printf("mapped recvfrom %zd %s\n", n, len == sizeof(a) && !memcmp(&from, &a, sizeof(a)) ? "peer" : "stranger");
    say("mapped connect", connect(fd, (struct sockaddr *)&a, sizeof(a)));
    send(fd, "seven", 5, 0);
    printf("mapped recv %zd\n", recv(fd, buf, sizeof(buf), 0));
    memset(&from, 0, sizeof(from));
    getpeername(fd, (struct sockaddr *)&from, &len);
    printf("mapped peer %s\n", !memcmp(&from, &a, sizeof(a)) ? "peer" : "stranger");
    close(fd);
}

/* The local address in IP_PKTINFO is the one that getsockname gives a socket connected to the peer, and can be sent from. */
static void packet_info(void)
{
    struct sockaddr_in own = {0}, from = {0};
    socklen_t len = sizeof(own);
    int fd = udp(), one = 1, c = udp();
    char control[256];
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof(control)};
    connect(c, (struct sockaddr *)&peer, sizeof(peer));
    getsockname(c, (struct sockaddr *)&own, &len);
    close(c);
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
    to(fd, &peer, "info", 4);
    ssize_t n = recvmsg(fd, &m, 0);
    struct cmsghdr *h = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (!h || h->cmsg_type != IP_PKTINFO) {
        say("no pktinfo", n);
        return;
    }
    struct in_pktinfo *info = (void *)CMSG_DATA(h);
    printf("pktinfo %zd own %d %d\n", n, info->ipi_spec_dst.s_addr == own.sin_addr.s_addr, info->ipi_addr.s_addr == own.sin_addr.s_addr);
    v.iov_len = (size_t)n;
    say("answer from it", sendmsg(fd, &m, 0));
    receive("and back", fd, 0);
    close(fd);
}

/* Segmentation by the kernel, out and in, as QUIC does it: datagrams arrive as they were cut. */
static void segments(void)
{
    enum { SIZE = 1000, N = 10 };
    int fd = udp(), size = SIZE, one = 1, got = 0, small = 0;
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {buf, sizeof(buf)};
    memset(buf, 's', sizeof(buf));
    say("set segment", setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
    say("send segments", to(fd, &peer, buf, SIZE * (N - 1) + 1));
    for (int i = 0; i < N; i++) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        got += n == SIZE;
        small += n == 1;
    }
    printf("segments back %d and %d\n", got, small);
    size = 0;
    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
    uint16_t by_message = SIZE;
    struct msghdr m = {.msg_name = &peer, .msg_namelen = sizeof(peer), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = CMSG_SPACE(sizeof(by_message))};
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(sizeof(by_message)), IPPROTO_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &by_message, sizeof(by_message));
    v.iov_len = SIZE * N;
    say("set gro", setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)));
    say("send by message", sendmsg(fd, &m, 0));
    int bytes = 0, cut = 1;
    while (bytes < SIZE * N) {
        struct msghdr r = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        v.iov_len = sizeof(buf);
        ssize_t n = recvmsg(fd, &r, 0);
        struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&r) : NULL;
        if (n <= 0)
            break;
        if (c && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
            memcpy(&size, CMSG_DATA(c), sizeof(size));
        else
            size = (int)n;
        cut &= size == SIZE;
        bytes += (int)n;
    }
    printf("gro %d bytes, of the right size %d\n", bytes, cut);
    say("more than fit", to(fd, &peer, buf, 65507));
    printf("the largest %zd\n", recv(fd, buf, sizeof(buf), 0));
    close(fd);
}

/* What comes beside a datagram, and what a socket says of time and emptiness. */
static void beside(void)
{
    int fd = udp(), one = 1, ttl = -1, tos = -1;
    char control[256];
    struct sockaddr_in from;
    struct iovec v = {buf, sizeof(buf)};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof(control)};
    struct timeval soon = {.tv_usec = 50000};
    setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one));
    setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
    to(fd, &peer, "beside", 6);
    ssize_t n = recvmsg(fd, &m, 0);
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == IP_TTL)
            memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
        if (c->cmsg_type == IP_TOS)
            tos = *CMSG_DATA(c);
    }
    printf("ttl %d tos %d of %s\n", ttl, tos, who(&from, m.msg_namelen));
    v.iov_len = 3;
    to(fd, &peer, "shortened", 9);
    m.msg_controllen = sizeof(control);
    n = recvmsg(fd, &m, MSG_TRUNC);
    printf("truncated %zd %d\n", n, !!(m.msg_flags & MSG_TRUNC));
    to(fd, &peer, "no room for control", 19);
    m.msg_controllen = 4;
    n = recvmsg(fd, &m, 0);
    printf("control cut %zd %d\n", n, !!(m.msg_flags & MSG_CTRUNC));
    say("no errors", recvmsg(fd, &m, MSG_ERRQUEUE));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    say("time runs out", recv(fd, buf, sizeof(buf), 0));
    close(fd);
}

/* Groups and broadcast are the real network's, on the very socket that speaks to the peer. */
static void to_all(void)
{
    struct sockaddr_in group = {.sin_family = AF_INET, .sin_port = 0}, at = {.sin_family = AF_INET}, from = {0};
    struct ip_mreqn join = {.imr_ifindex = 1}, local = {.imr_ifindex = 1};
    socklen_t len = sizeof(from);
    int fd = udp(), one = 1;
    inet_pton(AF_INET, "239.105.51.1", &join.imr_multiaddr);
    say("bind", bind(fd, (struct sockaddr *)&at, sizeof(at)));
    say("join", setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)));
    say("interface", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &local, sizeof(local)));
    group.sin_addr = join.imr_multiaddr;
    group.sin_port = htons((uint16_t)local_port(fd));
    say("to the group", to(fd, &group, "all", 3));
    ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
    printf("of the group %zd, own port %d\n", n, from.sin_port == group.sin_port);
    to(fd, &peer, "one", 3);
    receive("of the peer", fd, 0);
    say("leave", setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &join, sizeof(join)));
    inet_pton(AF_INET, "127.255.255.255", &group.sin_addr);
    say("broadcast", to(fd, &group, "x", 1));
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
    say("allowed", to(fd, &group, "broad", 5));
    len = sizeof(from);
    n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
    printf("broadcast %zd\n", n);
    to(fd, &peer, "one", 3);
    receive("of the peer still", fd, 0);
    close(fd);
}

/* Several sockets on one port: each gets what is sent to it by the peer it is connected to. */
static void shared(void)
{
    enum { N = 4 };
    int fd[N], one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    for (int i = 0; i < N; i++) {
        char text[2] = {(char)('a' + i)};
        fd[i] = udp();
        setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
        say("bind shared", bind(fd[i], (struct sockaddr *)&at, sizeof(at)));
        if (i == 0)
            getsockname(fd[i], (struct sockaddr *)&at, &len);
        if (i == 0) {
            connect(fd[i], (struct sockaddr *)&peer, sizeof(peer));
            at.sin_addr.s_addr = INADDR_ANY;
        } else {
            connect(fd[i], (struct sockaddr *)&other, sizeof(other));
        }
        send(fd[i], text, 1, 0);
        receive(i ? "shared, real" : "shared, virtual", fd[i], 0);
    }
    send(fd[0], "z", 1, 0);
    receive("shared, virtual again", fd[0], 0);
    for (int i = 0; i < N; i++)
        close(fd[i]);
}

/* Many sockets, one after the other, each with one question. */
static void many(void)
{
    int answered = 0, fds_before = dup(0);
    for (int i = 0; i < 500; i++) {
        int fd = udp();
        if (i & 1)
            connect(fd, (struct sockaddr *)&peer, sizeof(peer));
        if (i & 1)
            send(fd, "q", 1, 0);
        else
            to(fd, &peer, "q", 1);
        answered += recv(fd, buf, sizeof(buf), 0) == 1;
        close(fd);
    }
    int fds_after = dup(0);
    printf("answered %d, fds %d\n", answered, fds_after - fds_before);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    peer = closed = other = (struct sockaddr_in){.sin_family = AF_INET};
    inet_pton(AF_INET, argv[1], &peer.sin_addr);
    peer.sin_port = htons((uint16_t)atoi(argv[2]));
    closed.sin_addr = peer.sin_addr;
    closed.sin_port = htons((uint16_t)atoi(argv[3]));
    inet_pton(AF_INET, argv[4], &other.sin_addr);
    other.sin_port = htons((uint16_t)atoi(argv[5]));
    setvbuf(stdout, NULL, _IOLBF, 0);
    unconnected();
    batches();
    connected();
    refused();
    family6();
    packet_info();
    segments();
    beside();
    to_all();
    shared();
    many();
    return 0;
}
