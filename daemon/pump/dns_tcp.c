/* pump/dns_tcp.c - DNS over TCP between programs, the stub and the servers they have chosen.
 *
 *   program --- pair ---> up: messages ---- not ours ----> server          one connection of ours for each of the program's
 *           <------------ down <--- answers (between two messages of the server's)
 *
 * The pair stands at once: overlay names have answers whether or not the server can be reached. If it cannot, the first message
 * which is for it ends the connection. A stream that does not begin as DNS does (something else may serve at port 53) is passed
 * through as it is.
 */
#include "daemon/pump/dns.h"
#include "daemon/pump/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 2 + 65535,
    UP_FIRST = 2048,
    DOWN = 16384,
    ANSWERS = 4096, /* less than DOWN; those waiting for the end of a message of the server's. When full, questions wait */
};

struct dns_stream {
    struct pump *p;
    char app[IPC_APP_MAX + 1]; /* whose it is (policy.h) */
    int program, server; /* server: -1 when it cannot be reached */
    struct fdset_entry *program_watch, *server_watch;
    bool judged, tunnel; /* whether it is DNS has been seen, and it is not */
    bool program_hup; /* nothing follows what lies there */
    bool program_eof, server_eof, server_shut, program_shut;
    bool reached;        /* the server has taken or sent something */
    uint8_t *up;
    size_t up_cap, up_len, up_clear; /* the first up_clear bytes are the server's */
    size_t down_len, answers_len;
    unsigned prefix;     /* bytes that have been read of the length of the server's message */
    size_t message_left; /* and when it is 2, bytes to come */
    uint8_t down[DOWN], answers[ANSWERS];
    TAILQ_ENTRY(dns_stream) older;
};

/* What a direction has done, FAILED: its socket is no good any more. */
enum step { NOTHING, SOME, FAILED };

/* The program sees a reset, unless the pair has been parted before (daemon/io/pair.h). */
static void stream_free(struct dns_stream *f)
{
    struct dns_side *d = f->p->dns;
    fdset_del(f->p->set, f->program_watch);
    fdset_del(f->p->set, f->server_watch);
    if (f->program >= 0)
        close(f->program);
    if (f->server >= 0)
        close(f->server);
    TAILQ_REMOVE(&d->streams, f, older);
    d->n_streams--;
    free(f->up);
    free(f);
}

static void server_lost(struct dns_stream *f)
{
    fdset_del(f->p->set, f->server_watch);
    f->server_watch = NULL;
    if (f->server >= 0)
        close(f->server);
    f->server = -1;
}

/* ---- up ---- */

static bool up_room(struct dns_stream *f)
{
    if (f->up_len < f->up_cap)
        return true;
    size_t cap = f->up_cap ? f->up_cap * 2 : UP_FIRST;
    if (cap > MESSAGE_MAX)
        cap = MESSAGE_MAX;
    uint8_t *more = cap > f->up_cap ? realloc(f->up, cap) : NULL;
    if (!more)
        return false;
    f->up = more;
    f->up_cap = cap;
    return true;
}

static enum step read_program(struct dns_stream *f)
{
    if (f->program_eof || !up_room(f))
        return NOTHING;
    struct iovec v = {f->up + f->up_len, f->up_cap - f->up_len};
    bool drained; /* what is read is read to the end anyhow */
    ssize_t n = pair_read(f->program, &v, 1, v.iov_len, f->program_hup, &drained);
    if (n < 0)
        return n == -EAGAIN ? NOTHING : n == -EINTR ? SOME : FAILED;
    f->up_len += (size_t)n;
    f->program_eof = n == 0;
    return SOME;
}

static void up_drop(struct dns_stream *f, size_t at, size_t n)
{
    memmove(f->up + at, f->up + at + n, f->up_len - at - n);
    f->up_len -= n;
}

/* The next message, if it is there, to whom it is for. False: nothing was done. */
static bool sort_message(struct dns_stream *f)
{
    uint8_t *at = f->up + f->up_clear;
    size_t left = f->up_len - f->up_clear, len = left < 2 ? 0 : (size_t)(at[0] << 8 | at[1]);
    if (left < 2 || left < 2 + len || sizeof(f->answers) - f->answers_len < 2 + DNS_REPLY_MAX)
        return false;
    uint8_t *out = f->answers + f->answers_len;
    size_t n = dns_answer(f->p, f->app, at + 2, len, out + 2);
    f->judged = true;
    if (!n) {
        f->up_clear += 2 + len;
        return true;
    }
    out[0] = (uint8_t)(n >> 8);
    out[1] = (uint8_t)n;
    f->answers_len += 2 + n;
    up_drop(f, f->up_clear, 2 + len);
    return true;
}

static enum step sort_messages(struct dns_stream *f)
{
    enum step done = NOTHING;
    if (!f->judged && f->up_len && !stub_stream_is_dns(f->up, f->up_len))
        f->judged = f->tunnel = true;
    while (!f->tunnel && f->up_len > f->up_clear && sort_message(f))
        done = SOME;
    if (f->tunnel)
        f->up_clear = f->up_len;
    else if (f->program_eof && f->up_len > f->up_clear && !f->answers_len) { /* the rest of one that is not whole */
        if (dns_mentions(f->up + f->up_clear, f->up_len - f->up_clear, f->p->dns->names.zones))
            f->up_len = f->up_clear;
        f->up_clear = f->up_len;
    }
    return done;
}

/* What goes into the socket now; when it is full the rest goes once it has room. */
static enum step send_some(struct dns_stream *f, int fd, struct fdset_entry *watch, struct bytes what, size_t *sent)
{
    ssize_t n = send(fd, what.at, what.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    *sent = n < 0 ? 0 : (size_t)n;
    if (n >= 0)
        return SOME;
    if (errno == EAGAIN)
        fdset_want_out(f->p->set, watch);
    return errno == EAGAIN ? NOTHING : errno == EINTR ? SOME : FAILED;
}

static enum step write_server(struct dns_stream *f)
{
    if (f->server < 0)
        return NOTHING;
    if (!f->up_clear) {
        if (f->program_eof && !f->up_len && !f->server_shut && f->reached) {
            shutdown(f->server, SHUT_WR);
            f->server_shut = true;
        }
        return NOTHING;
    }
    size_t sent;
    enum step step = send_some(f, f->server, f->server_watch, (struct bytes){f->up, f->up_clear}, &sent);
    f->reached = f->reached || sent;
    f->up_clear -= sent;
    up_drop(f, 0, sent);
    return step;
}

/* ---- down ---- */

static bool between_messages(const struct dns_stream *f)
{
    return f->prefix == 0;
}

/* The server's bytes as they pass by: never more than the rest of a length, or of a message. */
static void follow(struct dns_stream *f, const uint8_t *bytes, size_t n)
{
    if (f->tunnel)
        return;
    if (f->prefix == 2)
        f->message_left -= n;
    for (size_t i = 0; f->prefix < 2 && i < n; i++) {
        f->message_left = (f->prefix ? f->message_left << 8 : 0) | bytes[i];
        f->prefix++;
    }
    if (f->prefix == 2 && !f->message_left)
        f->prefix = 0;
}

static enum step read_server(struct dns_stream *f)
{
    size_t room = sizeof(f->down) - f->down_len, most = f->prefix == 2 ? f->message_left : 2 - f->prefix;
    if (f->server < 0 || f->server_eof || !room)
        return NOTHING;
    if (f->tunnel || most > room)
        most = room;
    ssize_t n = recv(f->server, f->down + f->down_len, most, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? NOTHING : errno == EINTR ? SOME : FAILED;
    f->reached = true;
    f->server_eof = n == 0;
    follow(f, f->down + f->down_len, (size_t)n);
    f->down_len += (size_t)n;
    return SOME;
}

static enum step write_program(struct dns_stream *f)
{
    if (f->answers_len && (between_messages(f) || f->server < 0 || f->server_eof) && sizeof(f->down) - f->down_len >= f->answers_len) {
        memcpy(f->down + f->down_len, f->answers, f->answers_len);
        f->down_len += f->answers_len;
        f->answers_len = 0;
    }
    if (!f->down_len) {
        if (f->server_eof && !f->program_shut) {
            shutdown(f->program, SHUT_WR);
            f->program_shut = true;
        }
        return NOTHING;
    }
    size_t sent;
    enum step step = send_some(f, f->program, f->program_watch, (struct bytes){f->down, f->down_len}, &sent);
    f->down_len -= sent;
    memmove(f->down, f->down + sent, f->down_len);
    return step;
}

/* ---- both ---- */

/* There is nothing left that could happen. */
static bool finished(const struct dns_stream *f)
{
    if (f->down_len || f->answers_len)
        return false;
    if (f->server < 0)
        return f->reached || f->up_clear || f->program_eof;
    return f->program_eof && (f->server_eof || (!f->reached && !f->up_len));
}

/* False: it has ended. */
static bool relay(struct dns_stream *f)
{
    enum step program, server, sorted, to_program, to_server;
    pump_clock(f->p);
    TAILQ_REMOVE(&f->p->dns->streams, f, older);
    TAILQ_INSERT_TAIL(&f->p->dns->streams, f, older);
    do {
        program = read_program(f);
        sorted = sort_messages(f);
        to_server = write_server(f);
        server = to_server == FAILED ? FAILED : read_server(f);
        if (server == FAILED)
            server_lost(f);
        to_program = write_program(f);
        if (program == FAILED || to_program == FAILED) {
            stream_free(f);
            return false;
        }
    } while (program == SOME || sorted == SOME || to_server == SOME || server == SOME || to_program == SOME);
    if (!finished(f))
        return true;
    if (f->program_eof || f->server_eof)
        pair_part(f->program);
    stream_free(f);
    return false;
}

static void on_program(void *ctx, uint32_t events)
{
    struct dns_stream *f = ctx;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        f->program_hup = true;
    if (relay(f) && events & (EPOLLHUP | EPOLLERR)) /* it has closed both directions: nobody waits for answers */
        stream_free(f);
}

static void on_server(void *ctx, uint32_t events)
{
    struct dns_stream *f = ctx;
    if (events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP)))
        f->reached = true;
    relay(f);
}

/* Takes both fds, whatever becomes of it. */
static int stream_new(struct pump *p, const char *app, int program, int server)
{
    struct dns_side *d = p->dns;
    struct dns_stream *f = calloc(1, sizeof(*f));
    if (!f) {
        close(program);
        if (server >= 0)
            close(server);
        return -ENOMEM;
    }
    if (d->n_streams >= DNS_STREAMS_MAX)
        stream_free(TAILQ_FIRST(&d->streams));
    f->p = p;
    snprintf(f->app, sizeof(f->app), "%s", app);
    f->program = program;
    f->server = server;
    TAILQ_INSERT_TAIL(&d->streams, f, older);
    d->n_streams++;
    f->program_watch = fdset_add(p->set, program, false, on_program, f);
    if (server >= 0)
        f->server_watch = fdset_add(p->set, server, true, on_server, f);
    if (f->program_watch && (server < 0 || f->server_watch))
        return 0;
    stream_free(f);
    return -ENOMEM;
}

int dns_connect(struct pump *p, const struct ipc_connect *ask, struct ipc_client *client, uint32_t serial)
{
    struct ipc_socket s = {.handle = drbg_u64(&p->random), .remote = ask->remote};
    struct pair pair;
    int server = dns_dial(SOCK_STREAM, &ask->remote, &ask->local, &s.local);
    if (server < 0) { /* there is no way to it: but there is one to us */
        struct addr any = {.family = ask->remote.family, .port = 1 + s.handle % 65535};
        s.local = ask->local.family == any.family ? ask->local : any;
    }
    int err = pair_open(&pair, &(struct sock_name){.handle = s.handle, .local = s.local, .remote = s.remote}, true);
    if (err) {
        if (server >= 0)
            close(server);
        return err;
    }
    reply_socket(client, serial, &s, pair.program);
    /* the program has its answer; the end of the pair would say the rest */
    if (pair_release(&pair) == 0) {
        stream_new(p, policy_app(p, client), pair.daemon, server);
        return 0;
    }
    close(pair.daemon);
    if (server >= 0)
        close(server);
    return 0;
}

void dns_streams_stop(struct pump *p)
{
    struct dns_stream *f;
    while ((f = TAILQ_FIRST(&p->dns->streams)))
        stream_free(f);
}
