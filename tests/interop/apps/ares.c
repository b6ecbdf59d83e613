/* ares.c - c-ares as programs use it: cc ares.c -lcares; ares [-t] ADDRESS. -t: over TCP. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>

static void on_addresses(void *name, int status, int timeouts, struct ares_addrinfo *list)
{
    char text[2][64] = {"", ""};
    int n = 0;
    (void)timeouts;
    for (struct ares_addrinfo_node *a = list ? list->nodes : NULL; a; a = a->ai_next, n++) {
        if (a->ai_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)a->ai_addr)->sin_addr, text[0], 64);
        else
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a->ai_addr)->sin6_addr, text[1], 64);
    }
    if (status)
        printf("%s %d;\n", (char *)name, status);
    else if (n > 2)
        printf("%s %d;\n", (char *)name, n);
    else
        printf("%s %s %s;\n", (char *)name, text[0], text[1]);
    if (list)
        ares_freeaddrinfo(list);
}

static void on_host(void *name, int status, int timeouts, struct hostent *h)
{
    (void)timeouts;
    printf("%s %s;\n", (char *)name, status ? ares_strerror(status) : h->h_name);
}

static void wait_all(ares_channel channel)
{
    for (;;) {
        fd_set r, w;
        struct timeval tv, *limit;
        FD_ZERO(&r);
        FD_ZERO(&w);
        int n = ares_fds(channel, &r, &w);
        limit = ares_timeout(channel, NULL, &tv);
        if (!n || !limit) /* sockets that stay open, and no question */
            return;
        select(n, &r, &w, NULL, limit);
        ares_process(channel, &r, &w);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"bob.i3", "nobody.i3", "www.example.org"};
    int tcp = argc > 2 && !strcmp(argv[1], "-t");
    struct ares_options o = {.flags = ARES_FLAG_STAYOPEN | (tcp ? ARES_FLAG_USEVC : 0)};
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC}, four = {.ai_family = AF_INET};
    struct in_addr in;
    ares_channel channel;
    if (ares_library_init(ARES_LIB_INIT_ALL) || ares_init_options(&channel, &o, ARES_OPT_FLAGS))
        return 1;
    for (int i = 0; i < 3; i++) {
        ares_getaddrinfo(channel, names[i], NULL, &hints, on_addresses, (void *)names[i]);
        wait_all(channel);
    }
    inet_pton(AF_INET, argv[argc - 1], &in);
    ares_gethostbyaddr(channel, &in, sizeof(in), AF_INET, on_host, argv[argc - 1]);
    wait_all(channel);
    ares_getaddrinfo(channel, "big.example", NULL, &four, on_addresses, (void *)"big.example");
    wait_all(channel);
    ares_destroy(channel);
    return 0;
}
