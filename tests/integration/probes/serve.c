/* serve.c HOW [PORT] - a server that waits in one of the ways servers wait; "port N" once it listens. Each caller is told, in one line,
 * its address as accept() and getpeername() have it and ours as getsockname() has it; what it sends comes back.
 *
 * HOW: blocking, epoll, threads, prefork, quiet (accept() that does not ask for the peer), own ADDRESS (bound to it).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener;
static bool quiet;

static const char *name(const struct sockaddr_in *a)
{
    static __thread char text[2][64];
    static __thread int at;
    char *to = text[at ^= 1];
    snprintf(to, sizeof(text[0]), "%s:%d", inet_ntoa(a->sin_addr), ntohs(a->sin_port));
    return to;
}

static void serve(int c, const struct sockaddr_in *accepted)
{
    char line[256], ip[32];
    struct sockaddr_in peer, own;
    socklen_t len = sizeof(peer);
    getpeername(c, (struct sockaddr *)&peer, &len);
    len = sizeof(own);
    getsockname(c, (struct sockaddr *)&own, &len);
    snprintf(ip, sizeof(ip), "%s", inet_ntoa(own.sin_addr));
    bool same = quiet || (accepted->sin_port == peer.sin_port && accepted->sin_addr.s_addr == peer.sin_addr.s_addr);
    int n = snprintf(line, sizeof(line), "%s %s %s\n", same ? "same" : "differ", name(&peer), ip);
    if (write(c, line, (size_t)n) != n)
        return;
    for (ssize_t got; (got = read(c, line, sizeof(line))) > 0 && write(c, line, (size_t)got) == got;)
        ;
    close(c);
}

static int take(struct sockaddr_in *from)
{
    socklen_t len = sizeof(*from);
    return quiet ? accept(listener, NULL, NULL) : accept4(listener, (struct sockaddr *)from, &len, SOCK_CLOEXEC);
}

static void *one_by_one(void *arg)
{
    struct sockaddr_in from;
    (void)arg;
    for (int c; (c = take(&from)) >= 0 || errno == EINTR;)
        if (c >= 0)
            serve(c, &from);
    return NULL;
}

static void by_epoll(void)
{
    struct sockaddr_in from;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    int ep = epoll_create1(0), c;
    fcntl(listener, F_SETFL, O_NONBLOCK);
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    while (epoll_wait(ep, &ev, 1, -1) >= 0 || errno == EINTR)
        while ((c = take(&from)) >= 0)
            serve(c, &from);
}

static void on_alarm(int sig)
{
    (void)sig;
    static const char text[] = "interrupted\n";
    if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
        _exit(9);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct sigaction act = {.sa_handler = on_alarm};
    socklen_t len = sizeof(at);
    pthread_t id;
    sigaction(SIGUSR1, &act, NULL);
    quiet = !strcmp(how, "quiet");
    if (!strcmp(how, "own"))
        inet_pton(AF_INET, argv[2], &at.sin_addr);
    else if (argc > 2)
        at.sin_port = htons((uint16_t)atoi(argv[2]));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) < 0) {
        perror("serve");
        return 1;
    }
    printf("port %d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (int i = 0; !strcmp(how, "threads") && i < 3; i++)
        pthread_create(&id, NULL, one_by_one, NULL);
    for (int i = 0; !strcmp(how, "prefork") && i < 3 && fork(); i++)
        ;
    if (!strcmp(how, "epoll"))
        by_epoll();
    one_by_one(NULL);
    return 1;
}
