/* stages.c IP PORT - what a TCP client sees of a peer (tests/lib/script_peer.py) at each stage of a connection, one line each.
 *
 * Run on loopback without i3run, on loopback with it, and on the overlay, it must print the same: no addresses, no times, no fds.
 * semantics.c is about the way into a connection; this about life in it and the ways out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_storage to;
static socklen_t to_len;
static int family;
static volatile sig_atomic_t pipes, ios, alarms;

static void line(const char *what, const char *value)
{
    printf("%-44s %s\n", what, value);
}

/* A return value that has to be exact, or the errno. */
static const char *answer(long rc)
{
    static char out[8][32];
    static int at;
    char *o = out[at++ % 8];
    snprintf(o, sizeof(out[0]), "%ld", rc);
    return rc < 0 ? strerrorname_np(errno) : o;
}

static const char *bits(short ev)
{
    static char out[96];
    snprintf(out, sizeof(out), "%s%s%s%s%s%s", ev & POLLIN ? "IN " : "", ev & POLLOUT ? "OUT " : "", ev & POLLPRI ? "PRI " : "",
        ev & POLLERR ? "ERR " : "", ev & POLLHUP ? "HUP " : "", ev & POLLRDHUP ? "RDHUP " : "");
    return ev ? out : "nothing";
}

static void moment(void)
{
    usleep(250000);
}

static short ready(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, ms) > 0 ? p.revents : 0;
}

static const short ALL = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;

/* What is there once it has come to rest. */
static short settled(int fd, short until)
{
    ready(fd, until, 3000);
    moment();
    return ready(fd, ALL, 0);
}

static int unconnected(int flags)
{
    return socket(family, SOCK_STREAM | flags, 0);
}

static int dial(int fd)
{
    return connect(fd, (struct sockaddr *)&to, to_len);
}

static int open_to(const char *script)
{
    int fd = unconnected(0);
    if (dial(fd) < 0 || send(fd, script, strlen(script), 0) != (ssize_t)strlen(script))
        line("no connection", strerrorname_np(errno));
    return fd;
}

static const char *get(int fd, size_t n, int flags)
{
    static char out[8][64];
    static int at;
    char *o = out[at++ % 8];
    ssize_t got = recv(fd, o, n < 60 ? n : 60, flags);
    if (got < 0)
        return strerrorname_np(errno);
    o[got] = '\0';
    return got ? o : "end of file";
}

static const char *put(int fd, const char *s, int flags)
{
    pipes = 0;
    const char *a = answer(send(fd, s, strlen(s), flags));
    static char out[8][48];
    static int at;
    char *o = out[at++ % 8];
    snprintf(o, sizeof(out[0]), "%s%s", a, pipes ? " and SIGPIPE" : "");
    return o;
}

static int so_int(int fd, int level, int name)
{
    int v = 0;
    socklen_t len = sizeof(v);
    return getsockopt(fd, level, name, &v, &len) < 0 ? -errno : v;
}

static const char *names(int fd)
{
    static char out[96];
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    memset(&ss, 0x55, sizeof(ss));
    int rc = getpeername(fd, (struct sockaddr *)&ss, &len);
    const char *peer = rc < 0 ? strerrorname_np(errno) : len == to_len && !memcmp(&ss, &to, len) ? "the peer" : "someone else";
    bool tidy = rc < 0 || ((unsigned char *)&ss)[to_len] == 0x55;
    len = sizeof(ss);
    rc = getsockname(fd, (struct sockaddr *)&ss, &len);
    snprintf(out, sizeof(out), "%s%s, %s", peer, tidy ? "" : " and more", rc < 0 ? strerrorname_np(errno) : len == to_len && ss.ss_family == family ? "local" : "?");
    return out;
}

static int tcp_state(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ? -errno : info.tcpi_state;
}

/* ---- the ways out ---- */

static void ends_in_order(void)
{
    int fd = open_to("F");
    line("peer ends", bits(settled(fd, POLLRDHUP)));
    line("  TCP_INFO state", answer(tcp_state(fd)));
    line("  peek", get(fd, 5, MSG_PEEK));
    line("  data", get(fd, 5, 0));
    line("  then", get(fd, 5, 0));
    line("  again", get(fd, 5, 0));
    line("  poll", bits(ready(fd, ALL, 0)));
    line("  names", names(fd));
    line("  SO_ERROR", answer(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  first write into the void", put(fd, "x", 0));
    moment();
    line("  second", put(fd, "x", 0));
    line("  third", put(fd, "x", 0));
    line("  no signal", put(fd, "x", MSG_NOSIGNAL));
    line("  read", get(fd, 5, 0));
    line("  connect", answer(dial(fd)));
    close(fd);
}

static void is_reset(void)
{
    int fd = open_to("R");
    line("peer resets", bits(settled(fd, POLLRDHUP)));
    line("  names", names(fd));
    line("  TCP_INFO state", answer(tcp_state(fd)));
    line("  read", get(fd, 5, 0));
    line("  again", get(fd, 5, 0));
    line("  poll", bits(ready(fd, ALL, 0)));
    line("  write", put(fd, "x", 0));
    line("  shutdown", answer(shutdown(fd, SHUT_RDWR)));
    line("  connect", answer(dial(fd)));
    close(fd);
    fd = open_to("R");
    settled(fd, POLLRDHUP);
    line("peer resets: SO_ERROR", answer(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  again", answer(so_int(fd, SOL_SOCKET, SO_ERROR)));
    line("  read", get(fd, 5, 0));
    line("  no signal", put(fd, "x", MSG_NOSIGNAL));
    close(fd);
    fd = open_to("D");
    line("peer sends and resets", bits(settled(fd, POLLRDHUP)));
    line("  data", get(fd, 5, 0));
    line("  then", get(fd, 5, 0));
    line("  then", get(fd, 5, 0));
    close(fd);
    fd = open_to("Uxx");
    line("peer leaves data unread", bits(settled(fd, POLLRDHUP)));
    line("  data", get(fd, 5, 0));
    line("  then", get(fd, 5, 0));
    close(fd);
}

static void half(void)
{
    int fd = open_to("Habc");
    line("shutdown for writing", answer(shutdown(fd, SHUT_WR)));
    line("  again", answer(shutdown(fd, SHUT_WR)));
    line("  names", names(fd));
    line("  write", put(fd, "x", 0));
    line("  answer", get(fd, 5, MSG_WAITALL));
    line("  poll", bits(settled(fd, POLLRDHUP)));
    line("  end", get(fd, 5, 0));
    line("  names", names(fd));
    line("  shutdown", answer(shutdown(fd, SHUT_RD)));
    close(fd);
    fd = open_to("S");
    line("shutdown for reading, first", get(fd, 1, 0));
    line("  shutdown", answer(shutdown(fd, SHUT_RD)));
    line("  poll", bits(ready(fd, ALL, 0)));
    line("  write", put(fd, "xyz", 0));
    moment();
    line("  write", put(fd, "xyz", 0));
    moment();
    line("  write", put(fd, "xyz", 0));
    line("  names", names(fd));
    close(fd);
    fd = open_to("E");
    line("shutdown, both ways", answer(shutdown(fd, SHUT_RDWR)));
    line("  poll", bits(settled(fd, POLLRDHUP)));
    line("  read", get(fd, 5, 0));
    line("  write", put(fd, "x", 0));
    close(fd);
    fd = unconnected(0);
    line("shutdown, unconnected", answer(shutdown(fd, SHUT_RDWR)));
    line("  of what is no direction", answer(shutdown(fd, 7)));
    line("  of no socket", answer(shutdown(STDIN_FILENO, SHUT_WR)));
    close(fd);
}

/* How `script` with `key` has ended for the peer. */
static const char *told(char key)
{
    char ask[3] = {'W', key, '\0'};
    int fd = open_to(ask);
    const char *t = get(fd, 20, MSG_WAITALL);
    close(fd);
    return t;
}

static void linger(void)
{
    struct linger now = {1, 0}, got = {0};
    socklen_t len = sizeof(got);
    int fd = open_to("L1abc");
    moment();
    line("SO_LINGER 0", answer(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now))));
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &len);
    line("  get", got.l_onoff == 1 && got.l_linger == 0 ? "as set" : "other");
    close(fd);
    line("  for the peer", told('1'));
    fd = unconnected(0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    dial(fd);
    put(fd, "L2abc", 0);
    moment();
    close(fd);
    line("SO_LINGER 0 before connect", told('2'));
    fd = open_to("L3abc");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    now.l_onoff = 0;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    line("SO_LINGER set and taken back", told('3'));
    fd = open_to("Sx");
    ready(fd, POLLIN, 3000);
    close(fd); /* with data unread */
    fd = open_to("L4abc");
    line("close while a dup is open", "");
    int two = dup(fd);
    close(fd);
    moment();
    line("  write on it", put(two, "de", 0));
    close(two);
    line("  for the peer", told('4'));
    fd = open_to("L5abc");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        send(fd, "child", 5, 0);
        _exit(0);
    }
    close(fd);
    waitpid(pid, NULL, 0);
    line("closed here, ended by a child", told('5'));
}

/* ---- in between ---- */

static void flags(void)
{
    char buf[16] = "";
    int fd = open_to("E");
    line("nothing there, MSG_DONTWAIT", get(fd, 5, MSG_DONTWAIT));
    put(fd, "hello", 0);
    line("MSG_WAITALL", get(fd, 5, MSG_WAITALL));
    put(fd, "hello", 0);
    ready(fd, POLLIN, 3000);
    line("MSG_PEEK", get(fd, 3, MSG_PEEK));
    line("  again", get(fd, 3, MSG_PEEK));
    line("  then", get(fd, 5, MSG_WAITALL));
    put(fd, "hello", MSG_MORE);
    put(fd, "world", 0);
    line("MSG_MORE", get(fd, 10, MSG_WAITALL));
    put(fd, "hello", 0);
    line("in pieces", get(fd, 2, MSG_WAITALL));
    line("  and the rest", get(fd, 3, MSG_WAITALL));
    line("nothing asked for", answer(recv(fd, buf, 0, MSG_DONTWAIT)));
    line("nothing sent", answer(send(fd, buf, 0, 0)));
    struct iovec iov[2] = {{"hel", 3}, {"lo", 2}};
    line("writev", answer(writev(fd, iov, 2)));
    char a[2], b[3];
    struct iovec in[2] = {{a, 2}, {b, 3}};
    while (ready(fd, POLLIN, 3000) && so_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM) {
        int n = 0;
        ioctl(fd, FIONREAD, &n);
        if (n == 5)
            break;
    }
    line("readv", answer(readv(fd, in, 2)));
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    memset(&from, 0x55, sizeof(from));
    put(fd, "hello", 0);
    ready(fd, POLLIN, 3000);
    line("recvfrom", answer(recvfrom(fd, buf, 5, MSG_WAITALL, (struct sockaddr *)&from, &len)));
    line("  length of the source", answer(len));
    line("  the source", from.ss_family == 0x5555 ? "untouched" : "written");
    put(fd, "hello", 0);
    ready(fd, POLLIN, 3000);
    struct msghdr m = {&from, sizeof(from), in, 2, buf, sizeof(buf), 0};
    line("recvmsg", answer(recvmsg(fd, &m, MSG_WAITALL)));
    line("  lengths", m.msg_namelen == 0 && m.msg_controllen == 0 && m.msg_flags == 0 ? "0" : "more");
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(20009)};
    other.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    line("sendto elsewhere", answer(sendto(fd, "hello", 5, 0, (struct sockaddr *)&other, sizeof(other))));
    line("  comes back", get(fd, 5, MSG_WAITALL));
    struct msghdr out = {&other, sizeof(other), iov, 2, NULL, 0, 0};
    line("sendmsg elsewhere", answer(sendmsg(fd, &out, 0)));
    line("  comes back", get(fd, 5, MSG_WAITALL));
    line("bind", answer(bind(fd, (struct sockaddr *)&other, sizeof(other))));
    line("listen", answer(listen(fd, 1)));
    line("accept", answer(accept(fd, NULL, NULL)));
    close(fd);
}

static void queues(void)
{
    int fd = open_to("E"), n = -1;
    put(fd, "hello", 0);
    for (int i = 0; i < 300 && n != 5; i++) {
        usleep(10000);
        ioctl(fd, FIONREAD, &n);
    }
    line("FIONREAD", answer(n));
    for (int i = 0; i < 300 && n != 0; i++) {
        usleep(10000);
        line(i ? "SIOCOUTQ again" : "SIOCOUTQ", answer(ioctl(fd, SIOCOUTQ, &n)));
        if (n)
            break;
    }
    line("  unsent", answer(n));
    line("SIOCOUTQNSD", answer(ioctl(fd, SIOCOUTQNSD, &n)));
    line("  unsent", answer(n));
    line("SIOCATMARK", answer(ioctl(fd, SIOCATMARK, &n)));
    line("  at mark", answer(n));
    n = 1;
    line("FIONBIO", answer(ioctl(fd, FIONBIO, &n)));
    line("  O_NONBLOCK", fcntl(fd, F_GETFL) & O_NONBLOCK ? "yes" : "no");
    line("  data", get(fd, 5, 0));
    line("  then", get(fd, 5, 0));
    line("TCGETS", answer(ioctl(fd, 0x5401, &n)));
    line("FIONREAD into nowhere", answer(ioctl(fd, FIONREAD, NULL)));
    close(fd);
}

static void on_signal(int sig)
{
    sig_atomic_t *n = (sig_atomic_t *)(sig == SIGPIPE ? &pipes : sig == SIGIO ? &ios : &alarms);
    ++*n;
}

static void times(void)
{
    struct timeval limit = {.tv_usec = 50000};
    int fd = open_to("N");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    line("SO_RCVTIMEO", get(fd, 5, 0));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    static char block[1 << 20];
    ssize_t n;
    long total = 0;
    while ((n = send(fd, block, sizeof(block), 0)) > 0 && total < 200 << 20)
        total += n;
    line("SO_SNDTIMEO", n < 0 ? strerrorname_np(errno) : "never");
    line("  poll", bits(ready(fd, ALL, 0)));
    line("  no wait", answer(send(fd, block, 1, MSG_DONTWAIT)));
    line("  writable when it reads", bits(ready(fd, POLLOUT, 3000)));
    close(fd);

    struct sigaction sa = {.sa_handler = on_signal};
    struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    sigaction(SIGALRM, &sa, NULL);
    fd = open_to("E");
    setitimer(ITIMER_REAL, &soon, NULL);
    line("read, interrupted", get(fd, 5, 0));
    line("  signals", answer(alarms));
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        usleep(150000);
        send(fd, "after", 5, 0);
        _exit(0);
    }
    line("read, restarted", get(fd, 5, MSG_WAITALL));
    waitpid(pid, NULL, 0);
    close(fd);
}

static void async(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGIO, &sa, NULL);
    int fd = unconnected(0);
    fcntl(fd, F_SETOWN, getpid());
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC | O_NONBLOCK);
    dial(fd);
    ready(fd, POLLOUT, 3000);
    line("O_ASYNC kept", fcntl(fd, F_GETFL) & O_ASYNC ? "yes" : "no");
    line("  owner", fcntl(fd, F_GETOWN) == getpid() ? "kept" : "lost");
    ios = 0;
    put(fd, "Ehello", 0);
    for (int i = 0; i < 100 && !ready(fd, POLLIN, 50); i++)
        continue;
    moment();
    line("  SIGIO", ios ? "yes" : "no");
    close(fd);
}

/* ---- epoll ---- */

static const char *event(int ep, int ms)
{
    static char out[2][64];
    static int at;
    struct epoll_event ev;
    int n = epoll_wait(ep, &ev, 1, ms);
    char *o = out[at++ % 2];
    snprintf(o, sizeof(out[0]), "%s%s", n > 0 ? bits((short)ev.events) : "nothing ", n > 0 && ev.data.u32 != 77 ? "of another" : "");
    return o;
}

static int watch(int ep, int op, int fd, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.u32 = 77};
    return epoll_ctl(ep, op, fd, &ev);
}

static void epolls(void)
{
    int once = epoll_create1(0), edge = epoll_create1(0), outer = epoll_create1(0), sole = epoll_create1(0);
    int fd = unconnected(SOCK_NONBLOCK);
    watch(once, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLIN | EPOLLONESHOT);
    watch(edge, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLIN | EPOLLRDHUP | EPOLLET);
    watch(sole, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLEXCLUSIVE);
    watch(outer, EPOLL_CTL_ADD, once, EPOLLIN);
    dial(fd);
    line("epoll, nested", event(outer, 3000));
    line("  one shot", event(once, 3000));
    line("  no second", event(once, 50));
    line("  armed again", answer(watch(once, EPOLL_CTL_MOD, fd, EPOLLOUT | EPOLLONESHOT)));
    line("  one shot", event(once, 3000));
    line("  edge", event(edge, 3000));
    line("  exclusive", event(sole, 3000));
    line("  exclusive, modified", answer(watch(sole, EPOLL_CTL_MOD, fd, EPOLLOUT)));
    line("  add what is there", answer(watch(edge, EPOLL_CTL_ADD, fd, EPOLLOUT)));
    while (strncmp(event(edge, 50), "nothing", 7) != 0)
        continue;
    send(fd, "E", 1, 0);
    send(fd, "hello", 5, 0);
    watch(edge, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET);
    line("  input", event(edge, 3000));
    char buf[8];
    for (int n = 0, i = 0; n < 5 && i < 100; i++) {
        ssize_t got = recv(fd, buf, sizeof(buf), 0);
        n += got > 0 ? (int)got : 0;
        usleep(10000);
    }
    while (strncmp(event(edge, 50), "nothing", 7) != 0)
        continue;
    shutdown(fd, SHUT_WR);
    watch(edge, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP);
    ready(fd, POLLRDHUP, 3000);
    moment();
    line("  end", event(edge, 3000));
    line("  taken off", answer(epoll_ctl(edge, EPOLL_CTL_DEL, fd, NULL)));
    line("  and again", answer(epoll_ctl(edge, EPOLL_CTL_DEL, fd, NULL)));
    close(fd);
    line("  nothing after close", event(once, 0));
    close(once), close(edge), close(outer), close(sole);
}

/* ---- other fds ---- */

static void files(void)
{
    int fd = open_to("E"), p[2];
    FILE *f = fdopen(dup(fd), "r+");
    fprintf(f, "line\n");
    fflush(f);
    char buf[32] = "";
    line("stdio", fgets(buf, sizeof(buf), f) && !strcmp(buf, "line\n") ? "yes" : "no");
    fclose(f);
    int mem = memfd_create("probe", 0);
    line("sendfile", write(mem, "hello", 5) == 5 && lseek(mem, 0, SEEK_SET) == 0 ? answer(sendfile(fd, mem, NULL, 5)) : "no file");
    line("  back", get(fd, 5, MSG_WAITALL));
    put(fd, "hello", 0);
    ready(fd, POLLIN, 3000);
    moment();
    line("splice", pipe(p) == 0 ? answer(splice(fd, NULL, p[1], NULL, 5, 0)) : "no pipe");
    line("  and back", answer(splice(p[0], NULL, fd, NULL, 5, 0)));
    line("  to us", get(fd, 5, MSG_WAITALL));
    line("lseek", answer(lseek(fd, 0, SEEK_CUR)));
    line("pread", answer(pread(fd, buf, 1, 0)));
    line("fsync", answer(fsync(fd)));
    int high = fcntl(fd, F_DUPFD, 1500), three = dup3(fd, 1700, O_CLOEXEC);
    line("F_DUPFD", high >= 1500 ? names(high) : "no");
    line("dup3", three == 1700 ? names(three) : "no");
    line("  close on exec", fcntl(three, F_GETFD) & FD_CLOEXEC ? "yes" : "no");
    line("  flags are shared", fcntl(three, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_GETFL) & O_NONBLOCK ? "yes" : "no");
    int nothing = dup2(STDIN_FILENO, high);
    line("dup2 over it", answer(nothing == high ? 0 : 1));
    line("  is no socket", names(high));
    line("  the others live", names(three));
    close(fd), close(high), close(three), close(mem), close(p[0]), close(p[1]);
}

/* dup() before connect(): both numbers are the same socket. */
static void dup_before(void)
{
    int fd = unconnected(0), two = dup(fd), three = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    dial(fd);
    line("dup before connect: peer of the dup", names(two));
    line("  of the other", names(three));
    line("  write on it", put(two, "Ehello", MSG_NOSIGNAL));
    line("  read on the other", two >= 0 ? get(fd, 5, MSG_WAITALL | MSG_DONTWAIT) != NULL ? "possible" : "" : "");
    line("  close on exec", fcntl(three, F_GETFD) & FD_CLOEXEC && !(fcntl(two, F_GETFD) & FD_CLOEXEC) ? "as it was" : "changed");
    close(fd), close(two), close(three);
}

static void wrong(void)
{
    char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss), minus = (socklen_t)-1, none = 0;
    int fd = unconnected(0), v = 1;
    line("connect: bad address", answer(connect(fd, (void *)bad, to_len)));
    line("  none", answer(connect(fd, NULL, to_len)));
    line("  too long", answer(connect(fd, (void *)&to, 1000)));
    line("  length 0", answer(connect(fd, (void *)&to, 0)));
    line("  closed fd", answer(connect(3000, (void *)&to, to_len)));
    struct sockaddr_storage other = to;
    other.ss_family = 99;
    line("  unknown family", answer(connect(fd, (void *)&other, to_len)));
    line("bind: bad address", answer(bind(fd, (void *)bad, to_len)));
    dial(fd);
    line("getpeername: bad address", answer(getpeername(fd, (void *)bad, &len)));
    line("  bad length", answer(getpeername(fd, (void *)&ss, (void *)bad)));
    line("  no length", answer(getpeername(fd, (void *)&ss, NULL)));
    line("  negative length", answer(getpeername(fd, (void *)&ss, &minus)));
    line("  length 0", answer(getpeername(fd, (void *)&ss, &none)));
    line("  full length", none == to_len ? "told" : "not told");
    line("getsockname: bad address", answer(getsockname(fd, (void *)bad, &len)));
    line("  closed fd", answer(getsockname(3000, (void *)&ss, &len)));
    line("getsockopt: bad value", answer(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bad, &len)));
    line("  bad length", answer(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, (void *)bad)));
    line("  SO_ERROR, bad value", answer(getsockopt(fd, SOL_SOCKET, SO_ERROR, bad, &len)));
    line("setsockopt: bad value", answer(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bad, sizeof(v))));
    line("  no value", answer(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, NULL, sizeof(v))));
    line("  unknown", answer(setsockopt(fd, SOL_SOCKET, 999, &v, sizeof(v))));
    line("send: bad data", answer(send(fd, bad, 10, 0)));
    line("sendto: bad address", answer(sendto(fd, "x", 1, 0, (void *)bad, to_len)));
    line("sendmsg: none", answer(sendmsg(fd, NULL, 0)));
    line("recvmsg: none", answer(recvmsg(fd, NULL, MSG_DONTWAIT)));
    close(fd);
}

int main(int argc, char **argv)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;
    if (argc != 3)
        return 2;
    family = to.ss_family = strchr(argv[1], ':') ? AF_INET6 : AF_INET;
    to_len = family == AF_INET ? sizeof(*in) : sizeof(*in6);
    in->sin_port = htons((uint16_t)atoi(argv[2]));
    inet_pton(family, argv[1], family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr);
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGPIPE, &sa, NULL);
    alarm(40);
    ends_in_order();
    is_reset();
    half();
    linger();
    flags();
    queues();
    times();
    async();
    epolls();
    files();
    dup_before();
    wrong();
    return 0;
}
