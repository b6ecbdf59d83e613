/* wait.c - calls that wait: a list, polled by the supervisor's loop. */
#include "tools/i3run/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim/sys.h"

struct wait {
    struct wait *next;
    struct trap trap;
    int fd, who; /* polled: what is waited for, and the end of the thread */
    bool own;    /* fd is not the trap's */
    short events;
    int64_t until; /* ms of the monotonic clock; 0: for ever */
    wait_fn fn;
    _Alignas(8) char data[WAIT_DATA];
};

static struct wait *first;
static int count;

int64_t wait_limit(int fd, int option)
{
    struct timeval t = {0};
    socklen_t len = sizeof(t);
    if (sys_getsockopt(fd, SOL_SOCKET, option, &t, &len) < 0 || (!t.tv_sec && !t.tv_usec))
        return 0;
    return (int64_t)t.tv_sec * 1000 + (t.tv_usec + 999) / 1000;
}

answer_t wait_for(struct trap *t, int fd, short events, int64_t ms, wait_fn fn, const void *data, size_t len)
{
    struct wait *w = count < WAITS_MAX && len <= WAIT_DATA ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        if (fd != t->fd)
            close(fd);
        return VALUE(-EAGAIN);
    }
    *w = (struct wait){.next = first, .trap = *t, .fd = fd, .own = fd != t->fd, .events = events, .fn = fn};
    w->who = trap_thread(t->tid);
    w->until = ms ? sys_millis() + ms : 0;
    memcpy(w->data, data ? data : "", len);
    first = w;
    count++;
    t->fd = -1; /* which is ours now */
    return LATER;
}

static void drop(struct wait **at)
{
    struct wait *w = *at;
    *at = w->next;
    count--;
    if (w->own)
        close(w->fd);
    if (w->who >= 0)
        close(w->who);
    if (w->trap.fd >= 0)
        close(w->trap.fd);
    free(w);
}

bool wait_forget(struct trap *t)
{
    bool limited = false;
    for (struct wait **at = &first; *at;) {
        struct wait *w = *at;
        if (w->trap.tid != t->tid) {
            at = &w->next;
            continue;
        }
        limited |= w->until && w->trap.nr == t->nr && trap_fd(t) >= 0 && sys_cookie(t->fd) == sys_cookie(w->own ? w->fd : w->trap.fd);
        drop(at);
    }
    return limited;
}

void wait_sweep(void)
{
    for (struct wait **at = &first; *at;)
        if (!trap_valid(&(*at)->trap))
            drop(at);
        else
            at = &(*at)->next;
}

int wait_count(void)
{
    return count;
}

int wait_fill(struct pollfd *p, int64_t *until)
{
    int n = 0;
    for (struct wait *w = first; w; w = w->next) {
        p[n++] = (struct pollfd){.fd = w->fd, .events = w->events};
        p[n++] = (struct pollfd){.fd = w->who, .events = POLLIN};
        if (w->until && w->until < *until)
            *until = w->until;
    }
    return n;
}

/* Whether w's turn has come, by what poll() said. */
static bool is_due(const struct wait *w, const struct pollfd *p, int64_t now)
{
    return p[0].revents || p[1].revents || (w->until && now >= w->until);
}

void wait_run(const struct pollfd *p, int n)
{
    int64_t now = sys_millis();
    for (struct wait **at = &first; *at && n > 1; p += 2, n -= 2) {
        struct wait *w = *at;
        bool due = is_due(w, p, now);
        if (due && (!trap_valid(&w->trap) || p[1].revents)) {
            drop(at);
            continue;
        }
        answer_t a = due ? w->fn(&w->trap, w->data, p[0].revents) : LATER;
        if (a.how == ANSWER_LATER) {
            at = &w->next;
            continue;
        }
        trap_done(&w->trap, a);
        drop(at);
    }
}
