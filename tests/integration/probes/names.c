/* What every interface to names answers about a name with an IPv4 and an IPv6 address, and about one that does not exist: for
 * names.sh, which compares what is printed of an overlay name with what libc says of a name in /etc/hosts.
 *
 *     names NAME UNKNOWN IPV4 IPV6
 *
 * Names and addresses are printed as NAME, UNKNOWN, IPV4, IPV6. Entries of the two families are printed apart, since their order is
 * a matter of the host's routes in libc, and IPv4 first for us. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char *name, *unknown, *ipv4, *ipv6;

static const char *word(const char *s)
{
    return !s                      ? "-"
           : !strcasecmp(s, name)    ? "NAME"
           : !strcasecmp(s, unknown) ? "UNKNOWN"
           : !strcmp(s, ipv4)      ? "IPV4"
           : !strcmp(s, ipv6)      ? "IPV6"
                                   : s;
}

static const char *address(int family, const void *ip)
{
    static char text[INET6_ADDRSTRLEN + 8];
    inet_ntop(family, ip, text, sizeof(text));
    if (!strncmp(text, "::ffff:", 7))
        return !strcmp(text + 7, ipv4) ? "::ffff:IPV4" : text;
    return word(text);
}

static const void *ip_of(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)sa)->sin_addr
                                    : (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
}

/* ---- getaddrinfo ---- */

static void entries(const struct addrinfo *list, const char *which)
{
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a->ai_addr;
        const char *ip = address(a->ai_family, ip_of(a->ai_addr));
        if (strcmp(ip, which))
            continue;
        printf(" [%d %d %d %x %u:%d %s %d", a->ai_family, a->ai_socktype, a->ai_protocol, a->ai_flags, (unsigned)a->ai_addrlen,
            a->ai_addr->sa_family, ip, ntohs(six->sin6_port));
        if (a->ai_family == AF_INET6)
            printf(" %u %u", six->sin6_flowinfo, six->sin6_scope_id);
        printf("]");
    }
}

/* Of the first entry alone. */
static const char *canonical(const struct addrinfo *list)
{
    for (const struct addrinfo *a = list->ai_next; a; a = a->ai_next)
        if (a->ai_canonname)
            return "not only the first";
    return word(list->ai_canonname);
}

static void ask(const char *node, const char *service, const struct addrinfo *hints)
{
    static const char *const which[] = {"IPV4", "IPV6", "::ffff:IPV4"};
    struct addrinfo *list = NULL;
    errno = 77;
    int rc = getaddrinfo(node, service, hints, &list);
    printf("%s %s:", word(node), service ? service : "-");
    if (hints)
        printf("flags=%x family=%d type=%d protocol=%d:", hints->ai_flags, hints->ai_family, hints->ai_socktype, hints->ai_protocol);
    printf(" %d", rc);
    if (rc == 0) {
        printf(" canonical=%s", canonical(list));
        for (size_t i = 0; i < LEN(which); i++)
            entries(list, which[i]);
        freeaddrinfo(list);
    }
    puts("");
}

static void all_questions(const char *node)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    static const int flags[] = {0, AI_CANONNAME, AI_PASSIVE, AI_NUMERICHOST, AI_NUMERICSERV, AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_ALL,
        AI_ADDRCONFIG, AI_CANONNAME | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG | AI_PASSIVE, AI_IDN, AI_CANONNAME | AI_CANONIDN, 0x800000};
    static const struct {
        int type, protocol;
    } kinds[] = {{0, 0}, {SOCK_STREAM, 0}, {SOCK_DGRAM, 0}, {SOCK_RAW, 0}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_STREAM, IPPROTO_UDP},
        {0, IPPROTO_TCP}, {0, IPPROTO_UDP}, {SOCK_SEQPACKET, 0}, {SOCK_STREAM, IPPROTO_SCTP}, {SOCK_RAW, IPPROTO_ICMP}, {99, 0}};
    static const char *const services[] = {NULL, "80", "http", "tftp", "ssh", "no-such-service", "", "99999", "-1", "8o"};
    for (size_t f = 0; f < LEN(families); f++)
        for (size_t g = 0; g < LEN(flags); g++)
            for (size_t k = 0; k < LEN(kinds); k++)
                for (size_t s = 0; s < LEN(services); s++)
                    ask(node, services[s],
                        &(struct addrinfo){.ai_flags = flags[g], .ai_family = families[f], .ai_socktype = kinds[k].type,
                            .ai_protocol = kinds[k].protocol});
    ask(node, NULL, NULL);
    ask(node, "http", NULL);
}

/* ---- struct hostent ---- */

static void hostent(const char *what, const struct hostent *h)
{
    printf("%s:", what);
    if (!h) {
        printf(" none, h_errno=%d\n", h_errno);
        return;
    }
    printf(" %s type=%d length=%d aliases=", word(h->h_name), h->h_addrtype, h->h_length);
    for (char **a = h->h_aliases; *a; a++)
        printf("%s,", *a);
    for (char **a = h->h_addr_list; *a; a++)
        printf(" %s", address(h->h_addrtype, *a));
    puts("");
}

/* With more and more room: what changes is printed. */
static void with_room(const char *node, int family, int by_name2)
{
    struct hostent h, *result;
    char buf[1200];
    int last[3] = {-9, -9, -9};
    for (size_t n = 0; n < sizeof(buf); n += 8) {
        int herr = 0;
        result = &h;
        int rc = by_name2 ? gethostbyname2_r(node, family, &h, buf, n, &result, &herr)
                          : gethostbyname_r(node, &h, buf, n, &result, &herr);
        int now[3] = {rc, rc == 0 && !result ? herr : rc == ERANGE ? herr : 0, result != NULL};
        if (rc == ERANGE && node == unknown) /* whether room matters where there is nothing to put */
            continue;
        if (memcmp(last, now, sizeof(now)))
            printf("%s family=%d _r%d: rc=%d herr=%d result=%d\n", word(node), family, by_name2, now[0], now[1], now[2]);
        memcpy(last, now, sizeof(now));
    }
}

static void older(void)
{
    unsigned char ip4[4], ip6[16];
    char *aliases[] = {"name", "unknown"};
    const char *nodes[] = {name, unknown};
    inet_pton(AF_INET, ipv4, ip4);
    inet_pton(AF_INET6, ipv6, ip6);
    for (int i = 0; i < 2; i++) {
        hostent(aliases[i], gethostbyname(nodes[i]));
        hostent(aliases[i], gethostbyname2(nodes[i], AF_INET));
        hostent(aliases[i], gethostbyname2(nodes[i], AF_INET6));
        with_room(nodes[i], AF_INET, 0);
        with_room(nodes[i], AF_INET, 1);
        with_room(nodes[i], AF_INET6, 1);
    }
    hostent("ipv4", gethostbyaddr(ip4, 4, AF_INET));
    hostent("ipv6", gethostbyaddr(ip6, 16, AF_INET6));
}

/* ---- getnameinfo ---- */

static void describe(const struct sockaddr *sa, socklen_t len, int flags, socklen_t hostlen, socklen_t servlen)
{
    char host[NI_MAXHOST] = "?", serv[NI_MAXSERV] = "?";
    int rc = getnameinfo(sa, len, hostlen ? host : NULL, hostlen, servlen ? serv : NULL, servlen, flags);
    printf("getnameinfo family=%d len=%u flags=%x room=%u,%u: %d", sa->sa_family, (unsigned)len, flags, (unsigned)hostlen,
        (unsigned)servlen, rc);
    if (rc == 0)
        printf(" %s %s", word(host), serv);
    puts("");
}

static void reverse(void)
{
    static const int flags[] = {0, NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD, NI_DGRAM, NI_NOFQDN, NI_IDN,
        NI_NUMERICHOST | NI_NUMERICSERV, NI_NAMEREQD | NI_NUMERICSERV | NI_DGRAM, NI_NAMEREQD | NI_NUMERICHOST, 0x8000,
        0x8000 | NI_NAMEREQD};
    static const socklen_t room[][2] = {{NI_MAXHOST, NI_MAXSERV}, {NI_MAXHOST, 0}, {0, NI_MAXSERV}, {0, 0}, {4, NI_MAXSERV}, {NI_MAXHOST, 2}};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(69)};
    inet_pton(AF_INET, ipv4, &in.sin_addr);
    inet_pton(AF_INET6, ipv6, &in6.sin6_addr);
    for (size_t f = 0; f < LEN(flags); f++)
        for (size_t r = 0; r < LEN(room); r++) {
            describe((struct sockaddr *)&in, sizeof(in), flags[f], room[r][0], room[r][1]);
            describe((struct sockaddr *)&in, sizeof(in) - 1, flags[f], room[r][0], room[r][1]);
            describe((struct sockaddr *)&in6, sizeof(in6), flags[f], room[r][0], room[r][1]);
        }
}

/* ---- getaddrinfo_a ---- */

static sem_t told;
static int told_value;

static void on_thread(union sigval v)
{
    told_value = v.sival_int;
    sem_post(&told);
}

static void asynchronous(int mode, int notify, bool all_ours)
{
    struct gaicb q[4] = {{.ar_name = name, .ar_service = "80"}, {.ar_name = unknown}, {.ar_name = all_ours ? name : "127.0.0.1"},
        {.ar_name = name, .ar_service = "no-such-service"}};
    struct gaicb *list[] = {&q[0], &q[1], NULL, &q[2], &q[3]};
    struct sigevent event = {.sigev_notify = notify, .sigev_value.sival_int = 42, .sigev_signo = SIGRTMIN,
        .sigev_notify_function = on_thread};
    struct timespec limit = {.tv_sec = 10};
    siginfo_t info = {.si_signo = 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    told_value = 0;
    int rc = getaddrinfo_a(mode, list, (int)LEN(list), mode == GAI_WAIT && notify == SIGEV_NONE ? NULL : &event);
    if (mode == GAI_NOWAIT && notify == SIGEV_SIGNAL) {
        sigtimedwait(&set, &info, &limit);
        told_value = info.si_value.sival_int;
    } else if (mode == GAI_NOWAIT && notify == SIGEV_THREAD) {
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec += 10;
        sem_timedwait(&told, &limit);
    } else if (mode == GAI_NOWAIT) {
        for (size_t i = 0; i < LEN(q); i++) /* libc's own gai_suspend() may miss the end, or crash, if it comes meanwhile */
            while (gai_error(&q[i]) == EAI_INPROGRESS)
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    printf("getaddrinfo_a mode=%d notify=%d: %d told=%d code=%d:", mode, notify, rc, told_value,
        info.si_signo ? info.si_code == SI_ASYNCNL : 0);
    for (size_t i = 0; i < LEN(q); i++) {
        printf(" %d", gai_error(&q[i]));
        if (gai_error(&q[i]) == 0)
            freeaddrinfo(q[i].ar_result);
    }
    printf(" cancel=%d\n", gai_cancel(&q[0]) == EAI_ALLDONE);
}

int main(int argc, char **argv)
{
    static const int notify[] = {SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD};
    sigset_t set;
    if (argc != 5)
        return 2;
    name = argv[1], unknown = argv[2], ipv4 = argv[3], ipv6 = argv[4];
    sem_init(&told, 0, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    all_questions(name);
    all_questions(unknown);
    older();
    reverse();
    for (int mode = GAI_WAIT; mode <= GAI_NOWAIT; mode++)
        for (size_t i = 0; i < LEN(notify); i++)
            for (int ours = 0; ours < 2; ours++)
                asynchronous(mode, notify[i], ours);
    errno = 0;
    printf("getaddrinfo_a mode=7: %d", getaddrinfo_a(7, (struct gaicb *[]){&(struct gaicb){.ar_name = name}}, 1, NULL));
    printf(" errno=%d\n", errno);
    return 0;
}
