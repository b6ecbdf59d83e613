/* once.c - what is paid once: a name's look-up. See load.h. */
#include "tests/bench/load.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AGAIN = 50, SAMPLES_MAX = 10000 };

static float lookup_us(const char *name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *a;
    double t0 = seconds();
    if (getaddrinfo(name, NULL, &hints, &a))
        die(name);
    double us = (seconds() - t0) * 1e6;
    freeaddrinfo(a);
    return (float)us;
}

/* What libc loads and reads at a process's very first look-up is paid before; and, with `before`, the process's connection to
 * the daemon. */
static void look_up_in_child(const char *name, const char *before, int out)
{
    float us[2], again[AGAIN];
    lookup_us("localhost");
    if (before)
        lookup_us(before);
    us[0] = lookup_us(name);
    for (int i = 0; i < AGAIN; i++)
        again[i] = lookup_us(name);
    us[1] = (float)quantile(again, AGAIN, 0.5);
    _exit(write(out, us, sizeof(us)) != sizeof(us));
}

static int count_of(const char *s)
{
    int n = atoi(s);
    return n < 1 ? 1 : n > SAMPLES_MAX ? SAMPLES_MAX : n;
}

int lookup(char **arg)
{
    static float first[SAMPLES_MAX], known[SAMPLES_MAX];
    int p[2], n = count_of(arg[1]);
    if (pipe(p) < 0)
        die("pipe");
    for (int i = 0; i < n; i++) {
        float us[2];
        char name[256];
        const char *hash = strchr(arg[0], '#');
        int stem = hash ? (int)(hash - arg[0]) : (int)strlen(arg[0]);
        if (hash)
            snprintf(name, sizeof(name), "%.*s%d%s", stem, arg[0], i, hash + 1);
        else
            snprintf(name, sizeof(name), "%s", arg[0]);
        pid_t pid = fork();
        if (pid == 0)
            look_up_in_child(name, arg[2], p[1]);
        int status;
        if (waitpid(pid, &status, 0) != pid || status || read(p[0], us, sizeof(us)) != sizeof(us))
            exit(1);
        first[i] = us[0];
        known[i] = us[1];
    }
    printf("first_us=%.1f known_us=%.1f\n", quantile(first, (size_t)n, 0.5), quantile(known, (size_t)n, 0.5));
    return 0;
}
