/* i3ctl_trace.c - i3ctl trace: the blocks which the daemon sends (include/pcapng.h) go into a file as they are, or are shown as lines.
 * Only whole blocks are written, so that the file is whole whatever happens to the daemon. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "include/bytes.h"
#include "include/pcapng.h"
#include "tools/i3ctl_packet.h"
#include "tools/i3ctl_table.h"

enum { NAMES_KNOWN = 1024, END_WAIT_MS = 3000, BUFFER = 1 << 20 };

struct known {
    uint8_t family, ip[16];
    char name[256];
};

struct trace {
    const struct ctl *c;
    const char *file, *peer;
    unsigned long count, snaplen;
    int to;       /* a file or pipe for blocks; -1: lines on standard output */
    off_t written;
    int write_err;
    bool force;   /* write over a file that is there */
    bool deaf;    /* whoever reads what we write is gone */
    bool ending;  /* the daemon was asked to end it */
    bool whole;   /* the statistics have come */
    int fd;
    uint64_t shown, received, lost;
    struct known known[NAMES_KNOWN];
    unsigned n_known;
    size_t len;
    uint8_t buf[BUFFER];
};

/* ---- names ---- */

static void learn(struct trace *t, struct reader r)
{
    for (;;) {
        uint16_t type = get_u16(&r), len = get_u16(&r);
        size_t ip = type == PCAPNG_NAME_IP4 ? 4 : 16;
        struct reader record = reader_of(r.at, len <= reader_left(&r) ? len : 0);
        get_span(&r, len + (4 - len % 4) % 4);
        if (!reader_ok(&r) || (type != PCAPNG_NAME_IP4 && type != PCAPNG_NAME_IP6) || len <= ip || t->n_known == NAMES_KNOWN)
            return;
        struct known *k = &t->known[t->n_known++];
        k->family = type == PCAPNG_NAME_IP4 ? 4 : 6;
        get_bytes(&record, k->ip, ip);
        size_t n = reader_left(&record);
        snprintf(k->name, sizeof(k->name), "%.*s", (int)(n < sizeof(k->name) ? n : sizeof(k->name) - 1), (const char *)record.at);
    }
}

static const char *host(const struct trace *t, uint8_t family, const uint8_t *ip, char out[PACKET_HOST])
{
    for (unsigned i = 0; i < t->n_known; i++)
        if (t->known[i].family == family && !memcmp(t->known[i].ip, ip, family == 4 ? 4 : 16))
            return t->known[i].name;
    const char *s = inet_ntop(family == 4 ? AF_INET : AF_INET6, ip, out, PACKET_HOST);
    return s ? s : "?";
}

/* ---- a packet ---- */

static unsigned direction_of(struct reader options)
{
    while (reader_left(&options) >= 4) {
        uint16_t code = get_u16(&options), len = get_u16(&options);
        if (code == PCAPNG_PACKET_FLAGS && len == 4)
            return get_u32(&options) & 3;
        get_span(&options, len + (4 - len % 4) % 4);
    }
    return 0;
}

static void show_packet_json(const struct trace *t, uint64_t time, bool out, uint32_t len, const struct packet_line *p)
{
    char src[PACKET_HOST], dst[PACKET_HOST];
    json_t *o = json_pack("{s:I s:s s:I s:s s:s s:s}", "time_us", (json_int_t)time, "direction", out ? "out" : "in", "length", (json_int_t)len,
        "proto", p->proto, "src", p->family ? host(t, p->family, p->src, src) : "", "dst", p->family ? host(t, p->family, p->dst, dst) : "");
    json_object_set_new(o, "src_port", p->ports ? json_integer(p->src_port) : json_null());
    json_object_set_new(o, "dst_port", p->ports ? json_integer(p->dst_port) : json_null());
    json_object_set_new(o, "info", json_string(p->info));
    show_json(o, true);
    json_decref(o);
}

static void show_packet_line(const struct trace *t, uint64_t time, bool out, const struct packet_line *p)
{
    char src[PACKET_HOST], dst[PACKET_HOST], clock[16], ports[2][8] = {"", ""};
    time_t seconds = (time_t)(time / 1000000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    for (int i = 0; i < 2 && p->ports; i++)
        snprintf(ports[i], sizeof(ports[i]), ":%u", i ? p->dst_port : p->src_port);
    printf("%s.%06u %-3s ", clock, (unsigned)(time % 1000000), out ? "out" : "in");
    if (p->family)
        printf("%s %s%s > %s%s ", p->proto, host(t, p->family, p->src, src), ports[0], host(t, p->family, p->dst, dst), ports[1]);
    puts(p->info);
}

static void show_packet(struct trace *t, struct reader r)
{
    struct packet_line line;
    get_u32(&r);
    uint64_t time = get_u64(&r);
    uint32_t kept = get_u32(&r), len = get_u32(&r);
    const uint8_t *p = get_span(&r, kept);
    get_span(&r, (4 - kept % 4) % 4);
    if (!reader_ok(&r))
        return;
    bool out = direction_of(r) == PCAPNG_OUT;
    packet_read(p, kept, &line);
    if (t->c->json)
        show_packet_json(t, time, out, len, &line);
    else
        show_packet_line(t, time, out, &line);
}

static void read_statistics(struct trace *t, struct reader r)
{
    t->whole = true;
    get_u32(&r);
    get_u64(&r);
    while (reader_left(&r) >= 4) {
        uint16_t code = get_u16(&r), len = get_u16(&r);
        uint64_t v = len == 8 ? get_u64(&r) : 0;
        if (len != 8)
            get_span(&r, len + (4 - len % 4) % 4);
        if (code == PCAPNG_STATS_RECEIVED)
            t->received = v;
        if (code == PCAPNG_STATS_LOST)
            t->lost = v;
    }
}

/* ---- blocks ---- */

static void ask_for_end(struct trace *t)
{
    if (!t->ending)
        shutdown(t->fd, SHUT_WR);
    t->ending = true;
}

/* A file ends with a whole block even if the disk is full. */
static void write_block(struct trace *t, const uint8_t *block, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(t->to, block + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->write_err = n < 0 ? errno : EIO;
            t->deaf = true;
            if (t->to != STDOUT_FILENO && ftruncate(t->to, t->written) < 0)
                t->written = -1; /* no file at all */
            return;
        }
        at += (size_t)n;
    }
    t->written += (off_t)len;
}

static void on_block(struct trace *t, uint32_t type, const uint8_t *block, size_t len)
{
    struct reader body = reader_of(block + PCAPNG_HEAD_LEN, len - PCAPNG_BLOCK_MIN);
    if (type == PCAPNG_PACKET && t->count && t->shown == t->count)
        return;
    if (type == PCAPNG_NAMES)
        learn(t, body);
    if (type == PCAPNG_STATISTICS)
        read_statistics(t, body);
    if (t->to >= 0 && !t->deaf)
        write_block(t, block, len);
    else if (t->to < 0 && type == PCAPNG_PACKET)
        show_packet(t, body);
    t->shown += type == PCAPNG_PACKET && !t->deaf;
    if (t->deaf || (t->count && t->shown == t->count))
        ask_for_end(t);
}

/* The whole blocks at the front of the buffer. False: that is no such stream. */
static bool take_blocks(struct trace *t)
{
    size_t at = 0;
    while (t->len - at >= PCAPNG_BLOCK_MIN) {
        struct reader r = reader_of(t->buf + at, PCAPNG_HEAD_LEN);
        uint32_t type = get_u32(&r), total = get_u32(&r);
        if (total < PCAPNG_BLOCK_MIN || total % 4 || total > BUFFER)
            return false;
        if (t->len - at < total)
            break;
        on_block(t, type, t->buf + at, total);
        at += total;
    }
    memmove(t->buf, t->buf + at, t->len - at);
    t->len -= at;
    if (t->to < 0)
        t->deaf |= fflush(stdout) != 0;
    return true;
}

static void copy(struct trace *t)
{
    int signals = signals_open();
    struct pollfd p[3] = {{.fd = t->fd, .events = POLLIN}, {.fd = signals, .events = POLLIN},
        {.fd = t->to < 0 ? STDOUT_FILENO : t->to, .events = 0}};
    struct signalfd_siginfo which;
    int64_t until = INT64_MAX;
    for (;;) {
        int ready = poll(p, 3, t->ending ? END_WAIT_MS : -1);
        if ((ready == 0 || clock_ms() > until) && t->ending)
            break;
        bool gone = p[2].revents & (POLLERR | POLLNVAL);
        if (gone || (p[1].revents && read(signals, &which, sizeof(which)) > 0)) {
            if (t->ending && !gone)
                break; /* asked twice */
            t->deaf |= gone;
            ask_for_end(t);
            p[2].fd = -1;
        }
        if (t->ending && until == INT64_MAX)
            until = clock_ms() + END_WAIT_MS;
        if (!p[0].revents)
            continue;
        ssize_t n = read(t->fd, t->buf + t->len, sizeof(t->buf) - t->len);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            break;
        t->len += n > 0 ? (size_t)n : 0;
        if (!take_blocks(t))
            break;
    }
    close(signals);
}

/* ---- the verb ---- */

static bool number(const char *text, unsigned long *out)
{
    char *end;
    errno = 0;
    *out = strtoul(text, &end, 10);
    return !errno && end != text && !*end && *text != '-' && *out > 0;
}

static int parse(struct ctl *c, struct trace *t)
{
    static const struct option table[] = {{"write", 1, 0, 'w'}, {"count", 1, 0, 'c'}, {"peer", 1, 0, 'p'}, {"snaplen", 1, 0, 's'}, {"force", 0, 0, 'f'}, {0}};
    char *argv[32] = {(char *)"trace"};
    int option, argc = 1;
    for (int i = 0; i < c->argc && argc < 31; i++)
        argv[argc++] = c->argv[i];
    opterr = 0;
    while ((option = getopt_long(argc, argv, "w:c:p:s:", table, NULL)) != -1) {
        bool good = true;
        if (option == 'w')
            t->file = optarg;
        else if (option == 'c')
            good = number(optarg, &t->count);
        else if (option == 'p')
            t->peer = optarg;
        else if (option == 's')
            good = number(optarg, &t->snaplen);
        else if (option == 'f')
            t->force = true;
        else
            return ctl_usage(c->verb, "no option, or its value is missing:", argv[optind - 1]);
        if (!good)
            return ctl_usage(c->verb, "that is no number:", optarg);
    }
    if (optind < argc)
        return ctl_usage(c->verb, "too many arguments:", argv[optind]);
    if (t->file && !strcmp(t->file, "-") && out_is_terminal())
        return ctl_usage(c->verb, "packets are not for a terminal: -w - wants a pipe, or leave it away to see lines", "");
    return CTL_OK;
}

/* The daemon's end of it, or -1 with the error shown. */
static int begin(struct trace *t, int *exit)
{
    char peer[300], snaplen[40];
    const char *words[4] = {"trace"};
    struct link_reply r;
    size_t n = 1;
    if (t->peer) {
        snprintf(peer, sizeof(peer), "peer=%s", t->peer);
        words[n++] = peer;
    }
    if (t->snaplen) {
        snprintf(snaplen, sizeof(snaplen), "snaplen=%lu", t->snaplen);
        words[n++] = snaplen;
    }
    int daemon = ctl_open_daemon(t->c, exit);
    if (daemon < 0)
        return -1;
    int err = link_call(daemon, words, n, &r);
    close(daemon);
    *exit = CTL_FAILED;
    if (err) {
        show_error(t->c, CTL_FAILED, "the daemon does not answer: %s", strerror(-err));
        return -1;
    }
    int fd = r.fd;
    if (fd < 0)
        show_error(t->c, CTL_FAILED, "%s", *json_text(r.doc, "error") ? json_text(r.doc, "error") : "the daemon passed nothing to read from");
    json_decref(r.doc);
    return fd;
}

/* What is no file of somebody's: a pipe, /dev/null, or a file with nothing in it, as mktemp makes it. */
static bool may_write_over(const struct trace *t)
{
    struct stat st;
    return t->force || (!stat(t->file, &st) && (!S_ISREG(st.st_mode) || !st.st_size));
}

static int open_file(struct trace *t)
{
    t->to = -1;
    if (!t->file)
        return CTL_OK;
    if (!strcmp(t->file, "-")) {
        t->to = STDOUT_FILENO;
        return CTL_OK;
    }
    int fd = open(t->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* what people say to each other is in it */
    if (fd < 0 && errno == EEXIST && may_write_over(t))
        fd = open(t->file, O_WRONLY | O_TRUNC | O_CLOEXEC);
    else if (fd < 0 && errno == EEXIST)
        return show_error(t->c, CTL_FAILED, "%s is there already; --force writes over it", t->file);
    t->to = fd;
    return fd >= 0 ? CTL_OK : show_error(t->c, CTL_FAILED, "%s: %s", t->file, strerror(errno));
}

static void show_total(const struct trace *t, bool file)
{
    if (t->c->json && t->to != STDOUT_FILENO) {
        json_t *doc = json_pack("{s:I s:I s:s?}", "packets", (json_int_t)t->shown, "lost", (json_int_t)t->lost, "file", file ? t->file : NULL);
        show_json(doc, true);
        json_decref(doc);
        return;
    }
    fprintf(stderr, "%llu packet%s%s%s", (unsigned long long)t->shown, t->shown == 1 ? "" : "s", file ? " in " : "", file ? t->file : "");
    if (t->lost)
        fprintf(stderr, "; %llu more were LOST, since they came faster than they were taken", (unsigned long long)t->lost);
    fputc('\n', stderr);
}

static int finish(struct trace *t)
{
    bool file = t->to > STDOUT_FILENO;
    if (t->deaf && !file) /* our reader has seen enough, which is no failure */
        __fpurge(stdout), clearerr(stdout);
    if (file && close(t->to) && !t->write_err)
        t->write_err = errno;
    if (file && t->write_err)
        return show_error(t->c, CTL_FAILED, "%s: %s; the %llu packets in it are whole", t->file, strerror(t->write_err),
            (unsigned long long)t->shown);
    show_total(t, file);
    if (!t->whole && !t->deaf)
        return show_error(t->c, CTL_FAILED, "the daemon went away; what came before is whole");
    return CTL_OK;
}

int run_trace(struct ctl *c)
{
    static struct trace t;
    t.c = c;
    int exit = parse(c, &t);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit is a full disk */
    if (exit)
        return exit;
    t.fd = begin(&t, &exit);
    if (t.fd < 0)
        return exit;
    exit = open_file(&t);
    if (!exit) {
        if (isatty(STDERR_FILENO) && !c->json)
            fprintf(stderr, "i3ctl: looking at packets%s%s; Ctrl-C ends it\n", t.peer ? " of " : "", t.peer ? t.peer : "");
        copy(&t);
        exit = finish(&t);
    }
    close(t.fd);
    return exit;
}
