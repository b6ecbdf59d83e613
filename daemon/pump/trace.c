/* pump/trace.c - i3ctl trace: IP packets as programs here send and receive them, before they are sealed and after they were opened.
 *
 * Whoever asks gets one end of a stream socket, on which a pcapng file comes (control/pcapng.h), block by block; it ends in good order,
 * with the statistics, when the other end is shut down for writing. The daemon never waits for it: blocks gather in a buffer, which is
 * sent at the end of a turn as far as the socket takes it, and packets for which there is no room are lost and counted.
 *
 * Bounds: TRACES_MAX at once; BUFFER_MAX bytes each, while they last; NAMED_MAX names told in each.
 * While nobody looks on, the price of all this is one comparison per packet.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/control/pcapng.h"
#include "daemon/pump/control.h"

enum { TRACES_MAX = 4, BUFFER_MAX = 4 << 20, END_MAX = 256, NAMED_MAX = 512, SNAPLEN_MIN = 20 };

struct trace {
    struct trace *next;
    struct pump *p;
    int fd;
    struct fdset_entry *entry;
    bool ending;  /* the statistics are in the buffer: nothing more */
    bool ended;   /* the other end is gone, or has all: to be freed at the end of the turn */
    uint32_t only; /* the host whose packets are wanted, 0: all */
    uint32_t snaplen;
    uint64_t begun_us, received, lost, lost_before; /* before: of these, those told already */
    uint32_t named[NAMED_MAX];
    unsigned n_named;
    size_t start, end; /* what is to be sent */
    uint8_t buf[BUFFER_MAX];
};

/* ---- the buffer ---- */

/* At least that much room behind what is there; the end's own is kept free. */
static bool make_room(struct trace *t, size_t len)
{
    if (t->start == t->end)
        t->start = t->end = 0;
    if (BUFFER_MAX - t->end < len && t->start) {
        memmove(t->buf, t->buf + t->start, t->end - t->start);
        t->end -= t->start;
        t->start = 0;
    }
    return BUFFER_MAX - t->end >= len;
}

static void flush(struct trace *t)
{
    while (t->start < t->end && !t->ended) {
        ssize_t n = send(t->fd, t->buf + t->start, t->end - t->start, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            t->start += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            fdset_want_out(t->p->set, t->entry);
            return;
        } else if (n >= 0 || errno != EINTR) {
            t->ended = true;
        }
    }
    t->ended |= t->ending;
}

static void finish(struct trace *t)
{
    if (t->ending)
        return;
    t->ending = true;
    if (make_room(t, END_MAX))
        t->end += pcapng_statistics(t->buf + t->end, BUFFER_MAX - t->end, t->begun_us, t->p->wall, t->received, t->lost);
}

static void trace_free(struct trace *t)
{
    fdset_del(t->p->set, t->entry);
    close(t->fd);
    log_info("trace ended packets=%llu lost=%llu", (unsigned long long)t->received, (unsigned long long)t->lost);
    free(t);
}

void trace_turn(struct pump *p)
{
    for (struct trace **at = &p->trace; *at;) {
        struct trace *t = *at;
        flush(t);
        if (t->ended) {
            *at = t->next;
            trace_free(t);
        } else {
            at = &t->next;
        }
    }
}

void trace_stop(struct pump *p)
{
    for (struct trace *t = p->trace; t; t = t->next)
        finish(t);
    trace_turn(p);
    while (p->trace) {
        struct trace *t = p->trace;
        p->trace = t->next;
        trace_free(t);
    }
}

/* ---- packets ---- */

/* A host is named before its first packet, so that readers which go through a file once know it. */
static void name_host(struct trace *t, uint32_t host)
{
    char name[IPC_NAME_MAX + 1];
    for (unsigned i = 0; i < t->n_named; i++)
        if (t->named[i] == host)
            return;
    if (t->n_named == NAMED_MAX || !make_room(t, 2 * sizeof(name) + END_MAX))
        return;
    t->named[t->n_named++] = host;
    struct addr a6 = names_host_address(t->p, host, 6, 0);
    if (names_reverse(t->p, host, name))
        t->end += pcapng_names(t->buf + t->end, BUFFER_MAX - t->end, host, a6.family == 6 ? a6.ip : NULL, name);
}

static void take(struct trace *t, uint32_t host, bool out, const struct iovec *v, int n, size_t len)
{
    if (t->ending || t->ended || (t->only && t->only != host))
        return;
    name_host(t, host);
    size_t kept = len < t->snaplen ? len : t->snaplen;
    struct pcapng_packet k = {t->p->wall, out ? PCAPNG_OUT : PCAPNG_IN, (uint32_t)len, t->snaplen, t->lost - t->lost_before};
    size_t block = 0;
    t->received++;
    if (make_room(t, kept + PCAPNG_PACKET_OVERHEAD + END_MAX))
        block = pcapng_packet(t->buf + t->end, BUFFER_MAX - t->end, &k, v, n);
    if (block)
        t->lost_before = t->lost;
    else
        t->lost++;
    t->end += block;
}

void trace_packet(struct pump *p, uint32_t host, bool out, const struct iovec *v, int n, size_t len)
{
    for (struct trace *t = p->trace; t; t = t->next)
        take(t, host, out, v, n, len);
}

/* ---- asking for it ---- */

static void on_event(void *ctx, uint32_t events)
{
    struct trace *t = ctx;
    if (events & (EPOLLHUP | EPOLLERR))
        t->ended = true;
    else if (events & (EPOLLIN | EPOLLRDHUP))
        finish(t); /* nobody writes to us: that is the end */
    /* sent, and freed, in trace_turn(), which follows */
}

static bool trace_begin(struct trace *t)
{
    t->end = pcapng_section(t->buf, BUFFER_MAX, "i3d " I3_VERSION);
    t->end += pcapng_interface(t->buf + t->end, BUFFER_MAX - t->end, "i3", "IP packets of programs, through the i3 overlay", t->snaplen);
    return (t->entry = fdset_add(t->p->set, t->fd, false, on_event, t)) != NULL;
}

/* The other end's fd, or -errno. */
static int trace_new(struct pump *p, uint32_t only, uint32_t snaplen)
{
    int fd[2], room = 4 << 20; /* the system gives what it allows */
    unsigned n = 0;
    for (const struct trace *t = p->trace; t; t = t->next)
        n++;
    if (n >= TRACES_MAX)
        return -EBUSY;
    struct trace *t = malloc(sizeof(*t)); /* its pages come as they are used */
    if (!t)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0) {
        int err = -errno;
        free(t);
        return err;
    }
    memset(t, 0, offsetof(struct trace, buf));
    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    t->p = p;
    t->fd = fd[0];
    t->only = only;
    t->snaplen = snaplen;
    t->begun_us = p->wall;
    if (!trace_begin(t)) {
        close(fd[0]);
        close(fd[1]);
        free(t);
        return -ENOMEM;
    }
    t->next = p->trace;
    p->trace = t;
    return fd[1];
}

/* peer=NAME snaplen=N; false: said what is wrong. */
static bool trace_options(struct control_call *k, uint32_t *only, uint32_t *snaplen)
{
    *only = 0;
    *snaplen = PCAPNG_SNAPLEN;
    for (int i = 1; i < k->argc; i++) {
        char *a = k->argv[i], *end = "";
        if (!strncmp(a, "peer=", 5)) {
            const char *name = control_bare_name(k->p, a + 5);
            const struct book_entry *e = book_find(k->p->book, name);
            *only = e ? names_address(k->p, e->key, 0) : 0;
            if (!*only) {
                control_fail(k, report_error("%s: name not known; i3ctl book ls lists those that are", name));
                return false;
            }
        } else if (!strncmp(a, "snaplen=", 8)) {
            unsigned long v = strtoul(a + 8, &end, 10);
            *snaplen = v < SNAPLEN_MIN ? SNAPLEN_MIN : v > PCAPNG_SNAPLEN ? PCAPNG_SNAPLEN : (uint32_t)v;
        } else {
            end = a;
        }
        if (*end) {
            control_fail(k, report_error("usage: trace [peer=NAME] [snaplen=BYTES]"));
            return false;
        }
    }
    return true;
}

void verb_trace(struct control_call *k)
{
    uint32_t only, snaplen;
    uint8_t out[256];
    static const char text[] = "{\"tracing\":true}";
    if (!trace_options(k, &only, &snaplen))
        return;
    int fd = trace_new(k->p, only, snaplen);
    if (fd < 0) {
        control_fail(k, report_error(fd == -EBUSY ? "%d traces run already: end one" : "out of memory or file descriptors", TRACES_MAX));
        return;
    }
    struct writer w = writer_of(out, sizeof(out));
    ipc_put_header(&w, IPC_CONTROL | IPC_REPLY, k->serial);
    put_zeros(&w, 4);
    put_bytes(&w, text, strlen(text));
    ipc_reply(k->client, &w, fd);
    close(fd);
    log_info("trace started snaplen=%u%s", snaplen, only ? " of one peer" : "");
}
