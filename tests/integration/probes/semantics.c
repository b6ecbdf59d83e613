/* semantics.c GOOD-IP PORT REFUSED-IP PORT NEVER-IP PORT - what a TCP client sees of its socket, one line each.
 *
 * Run on loopback without i3run and on the overlay with it, it must print the same: no addresses, no times, no fds. The addresses
 * are all of one family, IPv4 or IPv6.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct target {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
};

static struct target good, refused, never;
static int family;

static void line(const char *what, const char *value)
{
    printf("%-44s %s\n", what, value);
}

static const char *result(int rc)
{
    return rc == 0 ? "0" : rc < 0 ? strerrorname_np(errno) : "positive";
}

static const char *bits(unsigned ev)
{
    static char out[96];
    snprintf(out, sizeof(out), "%s%s%s%s%s", ev & EPOLLIN ? "IN " : "", ev & EPOLLOUT ? "OUT " : "",
        ev & EPOLLERR ? "ERR " : "", ev & EPOLLHUP ? "HUP " : "", ev & EPOLLRDHUP ? "RDHUP " : "");
    return ev ? out : "nothing";
}

static const char *number(int n)
{
    static char out[16];
    snprintf(out, sizeof(out), "%d", n);
    return out;
}

static long millis(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int dial(int fd, const struct target *to)
{
    return connect(fd, &to->sa, to->len);
}

static int so_int(int fd, int level, int name)
{
    int v = 0;
    socklen_t len = sizeof(v);
    return getsockopt(fd, level, name, &v, &len) < 0 ? -errno : v;
}

static unsigned wait_for(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, ms) > 0 ? (unsigned)p.revents : 0;
}

static const char *peer(int fd, const struct target *want)
{
    struct target is = {.len = sizeof(is)};
    if (getpeername(fd, &is.sa, &is.len) < 0)
        return strerrorname_np(errno);
    return is.len == want->len && !memcmp(&is.in6, &want->in6, want->len) ? "the peer" : "someone else";
}

static const char *local(int fd)
{
    static const struct in6_addr any;
    struct target is = {.len = sizeof(is)};
    if (getsockname(fd, &is.sa, &is.len) < 0)
        return strerrorname_np(errno);
    if (is.len != good.len || is.sa.sa_family != family)
        return "no inet address";
    bool known = family == AF_INET6 ? memcmp(&is.in6.sin6_addr, &any, sizeof(any)) != 0 : is.in.sin_addr.s_addr != 0;
    return is.in.sin_port && known ? "address and port" : "none";
}

static const char *echoes(int fd)
{
    char buf[8] = "";
    if (send(fd, "hello", 5, MSG_NOSIGNAL) != 5)
        return strerrorname_np(errno);
    return recv(fd, buf, 5, MSG_WAITALL) == 5 && !memcmp(buf, "hello", 5) ? "yes" : "no";
}

static void blocking(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    line("blocking connect", result(dial(fd, &good)));
    line("  peer", peer(fd, &good));
    line("  local", local(fd));
    line("  echo", echoes(fd));
    line("  again", result(dial(fd, &good)));
    line("  SO_ERROR", number(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  SO_DOMAIN", number(so_int(fd, SOL_SOCKET, SO_DOMAIN)));
    line("  SO_TYPE", number(so_int(fd, SOL_SOCKET, SO_TYPE)));
    line("  SO_PROTOCOL", number(so_int(fd, SOL_SOCKET, SO_PROTOCOL)));
    line("  shutdown", result(shutdown(fd, SHUT_WR)));
    char c;
    line("  end of file", number((int)read(fd, &c, 1)));
    close(fd);
}

static void blocking_refused(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    line("blocking connect, refused", result(dial(fd, &refused)));
    line("  SO_ERROR afterwards", number(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  peer", peer(fd, &refused));
    line("  the same socket to another peer", result(dial(fd, &good)));
    line("  peer", peer(fd, &good));
    line("  echo", echoes(fd));
    close(fd);
}

static void nonblocking(void)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    line("non-blocking connect", result(dial(fd, &good)));
    line("  poll", bits(wait_for(fd, POLLIN | POLLOUT, 3000)));
    line("  SO_ERROR", number(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  first repeated connect", result(dial(fd, &good)));
    line("  second", result(dial(fd, &good)));
    line("  O_NONBLOCK kept", fcntl(fd, F_GETFL) & O_NONBLOCK ? "yes" : "no");
    line("  FD_CLOEXEC kept", fcntl(fd, F_GETFD) & FD_CLOEXEC ? "yes" : "no");
    line("  peer", peer(fd, &good));
    char c;
    line("  read", result((int)recv(fd, &c, 1, 0)));
    close(fd);
}

static void nonblocking_refused(void)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    line("non-blocking connect, refused", result(dial(fd, &refused)));
    wait_for(fd, POLLIN | POLLOUT | POLLRDHUP, 3000);
    usleep(20000); /* the events need not come about in one instant */
    line("  poll", bits(wait_for(fd, POLLIN | POLLOUT | POLLRDHUP, 3000)));
    line("  peer", peer(fd, &refused));
    line("  SO_ERROR", number(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  SO_ERROR again", number(so_int(fd, SOL_SOCKET, SO_ERROR)));
    close(fd);
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    dial(fd, &refused);
    wait_for(fd, POLLOUT, 3000);
    line("  connect tells it, too", result(dial(fd, &refused)));
    line("  and starts anew", result(dial(fd, &good)));
    line("  poll", bits(wait_for(fd, POLLOUT, 3000)));
    line("  peer", peer(fd, &good));
    close(fd);
}

static void pending(void)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    line("pending connect", result(dial(fd, &never)));
    line("  poll", bits(wait_for(fd, POLLIN | POLLOUT, 50)));
    line("  again", result(dial(fd, &never)));
    line("  peer", peer(fd, &never));
    line("  local", local(fd));
    line("  write", result((int)send(fd, "x", 1, MSG_NOSIGNAL)));
    char c;
    line("  read", result((int)recv(fd, &c, 1, 0)));
    line("  SO_ERROR", number(so_int(fd, SOL_SOCKET, SO_ERROR)));
    int size = 4096;
    line("  set SO_SNDBUF", result(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size))));
    line("  poll", bits(wait_for(fd, POLLIN | POLLOUT, 20)));
    line("  again", result(dial(fd, &never)));
    close(fd);
}

/* The best of some attempts: what the machine is busy with besides does not count. */
static void at_once(void)
{
    long best = 1000;
    for (int i = 0; i < 20; i++) {
        int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        long start = millis();
        dial(fd, &never);
        if (millis() - start < best)
            best = millis() - start;
        close(fd);
    }
    line("pending connect in under 10 ms", best < 10 ? "yes" : "no");
}

static void on_signal(int sig)
{
    (void)sig;
}

/* Again and again, in case the first comes before we wait. */
static void interrupt_every(int ms, int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval it = {{.tv_usec = ms * 1000}, {.tv_usec = ms * 1000}};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
}

static void interrupt_no_more(void)
{
    struct itimerval none = {{0}, {0}};
    int saved = errno;
    setitimer(ITIMER_REAL, &none, NULL);
    errno = saved;
}

static const char *interrupted_dial(int fd, int ms, int flags)
{
    interrupt_every(ms, flags);
    int rc = dial(fd, &never);
    interrupt_no_more();
    return result(rc);
}

static void interrupted(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    line("blocking connect, interrupted", interrupted_dial(fd, 50, 0));
    line("  peer", peer(fd, &never));
    line("  again", interrupted_dial(fd, 50, 0));
    close(fd);

    struct timeval limit = {.tv_usec = 150000};
    fd = socket(family, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    line("blocking connect, SO_SNDTIMEO", result(dial(fd, &never)));
    line("  again", result(dial(fd, &never)));
    line("  with it, SA_RESTART does not restart", interrupted_dial(fd, 20, SA_RESTART));
    close(fd);
}

/* What a handler does to the fd which connect() waits for: looks, sends, at last closes it. */
static struct {
    int fd, turns, peer_errno, send_errno, poll_events;
} handled;

static void on_dialling(int sig)
{
    (void)sig;
    int saved = errno;
    struct target is = {.len = sizeof(is)};
    struct pollfd p = {.fd = handled.fd, .events = POLLIN | POLLOUT};
    if (handled.turns++ == 0) {
        handled.peer_errno = getpeername(handled.fd, &is.sa, &is.len) < 0 ? errno : 0;
        handled.send_errno = send(handled.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
        handled.poll_events = poll(&p, 1, 0);
        close(dup(handled.fd));
    } else {
        close(handled.fd);
    }
    errno = saved;
}

static void handlers(void)
{
    struct sigaction sa = {.sa_handler = on_dialling, .sa_flags = SA_RESTART};
    struct itimerval it = {{.tv_usec = 50000}, {.tv_usec = 50000}};
    handled.fd = socket(family, SOCK_STREAM, 0);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    int rc = dial(handled.fd, &never);
    interrupt_no_more();
    line("closed by a handler while it waits", result(rc));
    line("  peer in the handler", strerrorname_np(handled.peer_errno));
    line("  send", strerrorname_np(handled.send_errno));
    line("  poll", number(handled.poll_events));
    line("  the fd afterwards", result(fcntl(handled.fd, F_GETFD)));
}

static volatile bool dialled;

/* A handler with SA_RESTART leaves connect() alone; a second thread ends it by shutdown: again and again, since what is
 * shut down between a signal and the restart starts anew. */
static void *shut_later(void *arg)
{
    usleep(170000);
    while (!dialled) {
        shutdown(*(int *)arg, SHUT_RDWR);
        usleep(33000);
    }
    return NULL;
}

static void restarted(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    pthread_t t;
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    pthread_create(&t, NULL, shut_later, &fd);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    long start = millis();
    const char *end = interrupted_dial(fd, 50, SA_RESTART);
    dialled = true;
    line("blocking connect, SA_RESTART", *end == 'E' && strcmp(end, "EINTR") ? "goes on" : end);
    line("  until shut down", millis() - start > 150 ? "yes" : "no");
    pthread_join(t, NULL);
    close(fd);
}

static unsigned epoll_once(int ep, int ms, unsigned long long *data)
{
    struct epoll_event ev = {0};
    int n = epoll_wait(ep, &ev, 1, ms);
    *data = n > 0 ? ev.data.u64 : 0;
    return n > 0 ? ev.events : 0;
}

static void epoll_before(void)
{
    unsigned long long data;
    int ep = epoll_create1(0), other = epoll_create1(0), fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 0x123456789abcull};
    line("epoll: add before connect", result(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)));
    epoll_ctl(other, EPOLL_CTL_ADD, fd, &ev);
    epoll_ctl(other, EPOLL_CTL_DEL, fd, &ev);
    line("  unconnected", bits(epoll_once(ep, 0, &data)));
    line("  connect", result(dial(fd, &good)));
    line("  fires", bits(epoll_once(ep, 3000, &data)));
    line("  data kept", data == ev.data.u64 ? "yes" : "no");
    for (int i = 0; i < 3 && epoll_once(ep, 20, &data); i++)
        continue; /* an edge may be told more than once, but not for ever */
    line("  edge only", bits(epoll_once(ep, 0, &data)));
    line("  not in the one it was taken from", bits(epoll_once(other, 0, &data)));
    ev.events = EPOLLIN;
    line("  modify", result(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev)));
    line("  add again", result(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)));
    send(fd, "x", 1, 0);
    line("  input", bits(epoll_once(ep, 3000, &data)));
    line("  delete", result(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)));
    line("  delete again", result(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)));
    close(fd);
    fd = socket(family, SOCK_STREAM, 0);
    int spare = dup(fd);
    ev = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 7};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    line("  blocking, refused, registered", result(dial(fd, &refused)));
    line("  then connected", result(dial(fd, &good)));
    line("  fires once", bits(epoll_once(ep, 3000, &data)));
    close(spare);
    close(fd);
    close(ep);
    close(other);
}

static void set(int fd, int level, int name, int value, const char *what)
{
    char text[64];
    snprintf(text, sizeof(text), "  set %s", what);
    line(text, result(setsockopt(fd, level, name, &value, sizeof(value))));
    snprintf(text, sizeof(text), "  get %s", what);
    line(text, number(so_int(fd, level, name)));
}

static void options(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    line("options set before connect", "");
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE");
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 33, "TCP_KEEPIDLE");
    set(fd, IPPROTO_IP, IP_TOS, 16, "IP_TOS");
    set(fd, SOL_SOCKET, SO_RCVBUF, 50000, "SO_RCVBUF");
    struct timeval limit = {.tv_sec = 4};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    line("  connect", result(dial(fd, &good)));
    line("  TCP_NODELAY", number(so_int(fd, IPPROTO_TCP, TCP_NODELAY)));
    line("  SO_KEEPALIVE", number(so_int(fd, SOL_SOCKET, SO_KEEPALIVE)));
    line("  TCP_KEEPIDLE", number(so_int(fd, IPPROTO_TCP, TCP_KEEPIDLE)));
    line("  TCP_KEEPCNT", number(so_int(fd, IPPROTO_TCP, TCP_KEEPCNT)));
    line("  IP_TOS", number(so_int(fd, IPPROTO_IP, IP_TOS)));
    line("  SO_RCVBUF", number(so_int(fd, SOL_SOCKET, SO_RCVBUF)));
    limit = (struct timeval){0};
    socklen_t len = sizeof(limit);
    getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &len);
    line("  SO_RCVTIMEO", number((int)limit.tv_sec));
    line("options set after connect", "");
    set(fd, IPPROTO_TCP, TCP_NODELAY, 0, "TCP_NODELAY");
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 11, "TCP_KEEPINTVL");
    set(fd, IPPROTO_TCP, TCP_CORK, 1, "TCP_CORK");
    set(fd, IPPROTO_IP, IP_TTL, 9, "IP_TTL");
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    set(fd, SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE");
    set(fd, IPPROTO_IPV6, 26, 1, "IPV6_V6ONLY on AF_INET");
    line("  unknown TCP option", number(so_int(fd, IPPROTO_TCP, 250)));
    line("  unknown level", number(so_int(fd, 200, 1)));
    line("  short option", result(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, "x", 1)));
    struct tcp_info info = {0};
    len = sizeof(info);
    line("  TCP_INFO", result(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len)));
    line("  TCP_INFO state", number(info.tcpi_state));
    char cc[16] = "";
    len = sizeof(cc);
    line("  TCP_CONGESTION", result(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, &len)));
    close(fd);
}

static void copies(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    dial(fd, &good);
    int two = dup(fd), high = fcntl(fd, F_DUPFD_CLOEXEC, 2000);
    line("dup: peer", peer(two, &good));
    line("  dup to 2000 and above: peer", peer(high, &good));
    line("  local", local(high));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        line("fork: peer in the child", peer(two, &good));
        line("  local in the child", local(two));
        line("  its own connect", result(dial(socket(family, SOCK_STREAM, 0), &good)));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(fd);
    line("  echo on a dup", echoes(two));
    close(two);
    close(high);
    fd = socket(family, SOCK_STREAM, 0);
    dup2(fd, 2001);
    line("connect on fd 2001", result(dial(2001, &good)));
    line("  peer", peer(2001, &good));
    line("  echo", echoes(2001));
    close(fd);
    close(2001);
}

static void mapped(void)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = good.in.sin_port}, in6 = {0};
    to.sin6_addr.s6_addr[10] = to.sin6_addr.s6_addr[11] = 0xff;
    memcpy(to.sin6_addr.s6_addr + 12, &good.in.sin_addr, 4);
    socklen_t len = sizeof(in6);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    line("mapped address on an AF_INET6 socket", result(connect(fd, (struct sockaddr *)&to, sizeof(to))));
    getpeername(fd, (struct sockaddr *)&in6, &len);
    line("  peer", len == sizeof(in6) && !memcmp(&in6.sin6_addr, &to.sin6_addr, 16) ? "mapped" : "no");
    len = sizeof(in6);
    getsockname(fd, (struct sockaddr *)&in6, &len);
    line("  local", len == sizeof(in6) && IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) ? "mapped" : "no");
    line("  SO_DOMAIN", number(so_int(fd, SOL_SOCKET, SO_DOMAIN)));
    line("  IPV6_V6ONLY", number(so_int(fd, IPPROTO_IPV6, IPV6_V6ONLY)));
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    line("mapped address on an AF_INET socket", result(connect(fd, (struct sockaddr *)&to, sizeof(to))));
    close(fd);
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    line("AF_INET address on an AF_INET6 socket", result(dial(fd, &good)));
    close(fd);
}

static void odds(void)
{
    int fd = socket(family, SOCK_STREAM, 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    line("bad fd", result(dial(-1, &good)));
    line("not a socket", result(dial(STDIN_FILENO, &good)));
    line("short address", result(connect(fd, &good.sa, 4)));
    line("unconnected: peer", peer(fd, &good));
    line("connect", result(dial(fd, &good)));
    struct target cut = {.len = 0};
    socklen_t len = 4;
    line("  peer into 4 bytes", result(getpeername(fd, &cut.sa, &len)));
    line("  full length told", number((int)len));
    line("  no more than that written", cut.in.sin_port == good.in.sin_port && !cut.in.sin_addr.s_addr && !cut.in6.sin6_addr.s6_addr[0] ? "yes" : "no");
    line("  listen", result(listen(fd, 1)));
    line("  dissolve by AF_UNSPEC", result(connect(fd, &none, sizeof(none))));
    line("  peer", peer(fd, &good));
    line("  connect anew", result(dial(fd, &good)));
    line("  echo", echoes(fd));
    close(fd);
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    line("fast open", result((int)sendto(fd, "x", 1, MSG_FASTOPEN, &good.sa, good.len)));
    line("  poll", bits(wait_for(fd, POLLOUT, 3000)));
    line("  peer", peer(fd, &good));
    close(fd);
    struct iovec iov = {"hello", 5};
    struct mmsghdr two[2] = {0};
    for (int i = 0; i < 2; i++) {
        two[i].msg_hdr = (struct msghdr){&good.sa, good.len, &iov, 1, NULL, 0, 0};
    }
    fd = socket(family, SOCK_STREAM, 0);
    dial(fd, &good);
    line("sendto on a connection", number((int)sendto(fd, "x", 1, 0, &good.sa, good.len)));
    line("sendmsg", number((int)sendmsg(fd, &two[0].msg_hdr, 0)));
    line("fast open", result((int)sendto(fd, "x", 1, MSG_FASTOPEN, &good.sa, good.len)));
    close(fd);
    fd = socket(family, SOCK_STREAM, 0);
    line("fast open, sendmmsg", sendmmsg(fd, two, 2, MSG_FASTOPEN) > 0 && two[0].msg_len == 5 ? "yes" : "no");
    line("  peer", peer(fd, &good));
    close(fd);
    fd = socket(family, SOCK_STREAM, 0);
    line("fast open, blocking", number((int)sendto(fd, "hello", 5, MSG_FASTOPEN, &good.sa, good.len)));
    char buf[5];
    line("  echo", number((int)recv(fd, buf, 5, MSG_WAITALL)));
    close(fd);
}

static struct target address(char **arg)
{
    struct target t = {.len = sizeof(t.in)};
    t.in.sin_family = AF_INET;
    if (strchr(arg[0], ':')) {
        t.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
        t.len = sizeof(t.in6);
    }
    t.in.sin_port = htons((uint16_t)atoi(arg[1])); /* at the same place in both */
    inet_pton(t.sa.sa_family, arg[0], t.len == sizeof(t.in) ? (void *)&t.in.sin_addr : (void *)&t.in6.sin6_addr);
    return t;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    good = address(argv + 1);
    family = good.sa.sa_family;
    refused = address(argv + 3);
    never = address(argv + 5);
    blocking();
    blocking_refused();
    nonblocking();
    nonblocking_refused();
    pending();
    at_once();
    interrupted();
    handlers();
    restarted();
    epoll_before();
    options();
    copies();
    if (family == AF_INET)
        mapped();
    odds();
    return 0;
}
