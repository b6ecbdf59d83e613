/* i3ctl_ping.c - i3ctl ping: every answer as it comes, and a summary, also when Ctrl-C ends it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/i3ctl_table.h"

enum { PING_SERIAL = 1, END_SERIAL = 2, COUNT_MAX = 1000000 };

int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void show_summary(const char *name, const json_t *doc)
{
    char min[PIECE], mean[PIECE], max[PIECE];
    int64_t sent = json_int(doc, "sent"), received = json_int(doc, "received");
    printf("\n%s: %lld sent, %lld answered, %.0f %% lost", name, (long long)sent, (long long)received,
        sent ? 100.0 * (double)(sent - received) / (double)sent : 0);
    if (received)
        printf("; min %s, mean %s, max %s", micros_str(json_int(doc, "min_us"), min), micros_str(json_int(doc, "avg_us"), mean),
            micros_str(json_int(doc, "max_us"), max));
    if (*json_text(doc, "path"))
        printf("\n%s", json_text(doc, "path"));
    if (*json_text(doc, "overlay"))
        printf("; overlay %s", json_text(doc, "overlay"));
    if (*json_text(doc, "member"))
        printf("; member %s", json_text(doc, "member"));
    putchar('\n');
}

static void show(const struct ctl *c, const json_t *doc)
{
    char rtt[PIECE];
    const char *name = c->argv[0];
    if (c->json)
        show_json(doc, true);
    else if (json_object_get(doc, "sent"))
        show_summary(name, doc);
    else if (*json_text(doc, "error"))
        printf("%s: request %d: %s\n", name, (int)json_int(doc, "seq"), json_text(doc, "error"));
    else
        printf("%s: answer %d in %s\n", name, (int)json_int(doc, "seq"), micros_str(json_int(doc, "rtt_us"), rtt));
    fflush(stdout);
}

/* True: there is something from the daemon. The first signal asks it for the summary, the second one does not wait for it. */
static bool wait_for_answer(int fd, int signals, bool *asked)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo which;
    while (poll(p, 2, CTL_TIMEOUT_MS) != 0 || errno == EINTR) {
        if (p[1].revents && read(signals, &which, sizeof(which)) > 0) {
            if (*asked)
                return false;
            *asked = true;
            link_send(fd, END_SERIAL, (const char *[]){"ping-end"}, 1);
        }
        if (p[0].revents)
            return true;
    }
    return false;
}

static int ping(struct ctl *c, int fd)
{
    struct link_reply r = {.more = true};
    int signals = signals_open(), err = 0;
    bool asked = false;
    const char *words[] = {"ping", c->argv[0], c->argc > 1 ? c->argv[1] : "4"};
    err = link_send(fd, PING_SERIAL, words, 3);
    while (!err && r.more) {
        if (!wait_for_answer(fd, signals, &asked)) {
            err = asked ? -EINTR : -ETIMEDOUT;
            break;
        }
        err = link_recv(fd, PING_SERIAL, CTL_TIMEOUT_MS, &r);
        if (err)
            break;
        if (r.exit && *json_text(r.doc, "error") && !r.more)
            show_error(c, r.exit, "%s", json_text(r.doc, "error"));
        else
            show(c, r.doc);
        json_decref(r.doc);
    }
    close(signals);
    if (err == -EINTR)
        return CTL_FAILED;
    if (err == -ETIMEDOUT)
        return show_error(c, CTL_FAILED, "the daemon has not answered for %d s", CTL_TIMEOUT_MS / 1000);
    if (err)
        return show_error(c, CTL_NO_DAEMON, "the daemon went away: %s", strerror(-err));
    return r.exit;
}

static bool is_count(const char *text)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    return !errno && end != text && !*end && n >= 1 && n <= COUNT_MAX;
}

int run_ping(struct ctl *c)
{
    if (c->argc > 1 && !is_count(c->argv[1]))
        return ctl_usage(c->verb, "COUNT is a number from 1 to 1000000, not", c->argv[1]);
    int exit, fd = ctl_open_daemon(c, &exit);
    if (fd < 0)
        return exit;
    exit = ping(c, fd);
    close(fd);
    return exit;
}
