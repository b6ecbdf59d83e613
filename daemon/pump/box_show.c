/* pump/box_show.c - what passes a middle-box is shown: to taps, and to programs which say what becomes of it (middlebox/verdict.h).
 *
 *   packet ---> synthesised addresses, where those are wanted ---> taps
 *                                                              \-> programs: watch (a copy), inline (it waits, or has the flow's verdict)
 *
 * Programs connect to the socket `verdicts`, PROGRAMS_MAX at once. The one that said `mode inline` last decides; while there is
 * none, or it is too slow, `fail` does. What a program does not read in time it misses: OUT_MAX bytes wait for it; a program that
 * sends what is no verdict is sent away.
 */
#include "daemon/pump/box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/tap.h"
#include "daemon/middlebox/pcap.h"

enum { PROGRAMS_MAX = 4, OUT_MAX = 4 << 20, LINES_PER_TURN = 20000, READS_PER_TURN = 64 };

#define FIFO_LOOK (200 * USEC_PER_MSEC)

struct program {
    struct pump *p;
    int fd; /* -1: free */
    struct fdset_entry *watch;
    bool decides, flows_only, readable, full;
    char line[VERDICT_LINE + 1];
    size_t line_len;
    uint8_t *out; /* OUT_MAX */
    size_t from, to;
    uint64_t missed;
};

struct box_show {
    struct tap *tap[CONFIG_TAPS_MAX];
    unsigned n_taps;
    struct shows *shows;
    struct verdicts *verdicts; /* NULL: nobody is asked */
    int listen_fd;
    struct fdset_entry *listen_watch;
    struct program program[PROGRAMS_MAX];
    unsigned n_programs;
    uint64_t asked, forwarded, dropped, late, unanswered;
    mono_t look;
    mono_t told;
};

static struct box_show *show_of(const struct pump *p)
{
    return p->boxes ? p->boxes->show : NULL;
}

/* ---- programs come and go ---- */

static struct program *decider(struct box_show *b)
{
    for (unsigned i = 0; i < PROGRAMS_MAX; i++)
        if (b->program[i].fd >= 0 && b->program[i].decides)
            return &b->program[i];
    return NULL;
}

static void release(struct pump *p, struct waiting *w, bool forward)
{
    struct box_show *b = p->boxes->show;
    struct route *r = forward ? box_route(p, w->serial) : NULL;
    b->forwarded += forward;
    b->dropped += !forward;
    if (r)
        box_forward(p, r, w->out, w->packet, w->len);
    verdict_done(b->verdicts, w);
}

static void program_end(struct program *g, const char *why)
{
    struct pump *p = g->p;
    struct box_show *b = p->boxes->show;
    struct waiting *w;
    if (g->fd < 0)
        return;
    log_info("verdicts program gone%s%s", *why ? ": " : "", why);
    fdset_del(p->set, g->watch);
    close(g->fd);
    free(g->out);
    bool decided = g->decides;
    *g = (struct program){.p = p, .fd = -1};
    b->n_programs--;
    if (!decided)
        return;
    verdicts_ask_again(b->verdicts); /* what it said of flows was its own opinion */
    while ((w = verdict_late(b->verdicts, p->now, true))) {
        b->unanswered++;
        release(p, w, p->config.n_middleboxes && p->config.middleboxes[0].fail_open);
    }
}

static void on_program(void *ctx, uint32_t events)
{
    struct program *g = ctx;
    (void)events;
    g->readable = true;
    g->full = false;
}

static void accept_program(struct pump *p)
{
    struct box_show *b = p->boxes->show;
    int fd = accept4(b->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct program *g = NULL;
    for (unsigned i = 0; i < PROGRAMS_MAX && !g; i++)
        g = b->program[i].fd < 0 ? &b->program[i] : NULL;
    uint8_t *out = g ? malloc(OUT_MAX) : NULL;
    struct fdset_entry *watch = out ? fdset_add(p->set, fd, true, on_program, g) : NULL;
    if (!watch) {
        free(out);
        close(fd);
        return;
    }
    *g = (struct program){.p = p, .fd = fd, .watch = watch, .out = out, .readable = true};
    b->n_programs++;
    log_info("verdicts program connected");
}

static void on_listen(void *ctx, uint32_t events)
{
    struct pump *p = ctx;
    (void)events;
    if (show_of(p))
        for (unsigned i = 0; i < PROGRAMS_MAX; i++)
            accept_program(p);
}

/* ---- saying ---- */

static void program_push(struct program *g)
{
    while (g->fd >= 0 && !g->full && g->from < g->to) {
        ssize_t n = send(g->fd, g->out + g->from, g->to - g->from, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            g->full = true;
            fdset_want_out(g->p->set, g->watch);
            return;
        }
        if (n <= 0) {
            program_end(g, strerror(errno));
            return;
        }
        g->from += (size_t)n;
    }
    if (g->from == g->to)
        g->from = g->to = 0;
}

/* False: it reads too slowly. */
static bool program_tell(struct program *g, const char *head, size_t head_len, const uint8_t *packet, size_t len)
{
    if (OUT_MAX - g->to < head_len + len && g->from) {
        memmove(g->out, g->out + g->from, g->to - g->from);
        g->to -= g->from;
        g->from = 0;
    }
    if (OUT_MAX - g->to < head_len + len) {
        g->missed++;
        return false;
    }
    memcpy(g->out + g->to, head, head_len);
    memcpy(g->out + g->to + head_len, packet, len);
    g->to += head_len + len;
    return true;
}

static bool tell_packet(struct program *g, uint32_t number, const struct flow_entry *f, const struct route *r, unsigned in, bool hidden, const uint8_t *packet,
    size_t len)
{
    char head[80], who[KEY_STR_LEN + 1] = "--------";
    if (!hidden)
        key_format(r->end[0].at.key, who);
    int n = snprintf(head, sizeof(head), "packet %u %u %s %.8s %zu\n", number, f->number, in ? "in" : "out", who, len);
    return program_tell(g, head, (size_t)n, packet, len);
}

/* ---- what they say ---- */

static void decide_flow(struct pump *p, struct flow_entry *f, enum flow_fate fate)
{
    struct verdicts *v = p->boxes->show->verdicts;
    struct waiting *w;
    f->fate = fate;
    while ((w = verdict_of_flow(v, f->number)))
        release(p, w, fate == FLOW_ACCEPT);
}

static bool take_line(struct program *g, const char *line)
{
    struct pump *p = g->p;
    struct box_show *b = p->boxes->show;
    uint32_t number;
    const char *text;
    enum verdict_verb verb = verdict_parse(line, &number, &text);
    struct waiting *w = verb == VERB_FORWARD || verb == VERB_DROP ? verdict_numbered(b->verdicts, number) : NULL;
    struct flow_entry *f = verb >= VERB_ACCEPT ? verdict_flow_numbered(b->verdicts, number) : NULL;
    switch (verb) {
    case VERB_BAD:
        return false;
    case VERB_INLINE:
        if (decider(b) && decider(b) != g)
            decider(b)->decides = false;
        g->decides = true;
        verdicts_ask_again(b->verdicts);
        return true;
    case VERB_WATCH:
        g->decides = false;
        return true;
    case VERB_PACKETS:
    case VERB_FLOWS:
        g->flows_only = verb == VERB_FLOWS;
        return true;
    case VERB_FORWARD:
    case VERB_DROP:
        if (w && g->decides)
            release(p, w, verb == VERB_FORWARD);
        return true;
    case VERB_ACCEPT:
    case VERB_BLOCK:
        if (f) /* a watcher may block, too: from the next packet on */
            decide_flow(p, f, verb == VERB_ACCEPT ? FLOW_ACCEPT : FLOW_BLOCK);
        return true;
    case VERB_ALERT:
        if (f && box_route(p, f->key.serial))
            box_alert(p, box_route(p, f->key.serial), text);
        return true;
    }
    return false;
}

/* Bytes of a program's. False: it is none of ours. */
static bool take_bytes(struct program *g, const char *data, size_t n, unsigned *lines)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] != '\n') {
            if (g->line_len == VERDICT_LINE)
                return false;
            g->line[g->line_len++] = data[i];
            continue;
        }
        g->line[g->line_len] = '\0';
        g->line_len = 0;
        (*lines)++;
        if (!take_line(g, g->line))
            return false;
        if (g->fd < 0)
            return true;
    }
    return true;
}

static void program_read(struct program *g)
{
    char data[16384];
    unsigned lines = 0;
    for (unsigned i = 0; g->fd >= 0 && g->readable && i < READS_PER_TURN && lines < LINES_PER_TURN; i++) {
        ssize_t n = recv(g->fd, data, sizeof(data), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            g->readable = false;
        } else if (n <= 0) {
            program_end(g, "");
        } else if (!take_bytes(g, data, (size_t)n, &lines)) {
            program_end(g, "it says what is no verdict");
        }
    }
}

/* ---- packets ---- */

static bool wait_for_verdict(struct pump *p, struct program *g, struct route *r, unsigned in, const struct flow_entry *f, bool hidden, const uint8_t *shown,
    const uint8_t *word, size_t len)
{
    struct box_show *b = p->boxes->show;
    struct waiting *w = len <= VERDICT_PACKET ? verdict_wait(b->verdicts, p->now) : NULL;
    if (!w)
        return false;
    w->flow = f->number;
    w->serial = r->serial;
    w->out = (uint8_t)(1 - in);
    w->len = (uint16_t)len;
    memcpy(w->packet, word, len);
    if (!tell_packet(g, w->number, f, r, in, hidden, shown, len - BOX_HEAD)) {
        verdict_done(b->verdicts, w);
        return false;
    }
    b->asked++;
    return true;
}

static void note_unanswered(struct pump *p, struct route *r, bool open)
{
    struct box_show *b = p->boxes->show;
    b->unanswered++;
    if (!open)
        r->dropped++;
    if (b->told.us && mono_since(b->told, p->now) < 60 * USEC_PER_SEC)
        return;
    b->told = p->now;
    log_warn("verdicts no program decides in time: packets are %s (`fail`)", open ? "forwarded" : "dropped");
}

static bool ask(struct pump *p, struct route *r, unsigned in, bool hidden, const uint8_t *shown, const uint8_t *word, size_t len)
{
    struct box_show *b = p->boxes->show;
    struct flow_key key;
    bool open = p->config.n_middleboxes && p->config.middleboxes[0].fail_open;
    struct flow_entry *f = flow_of(r->serial, word + BOX_HEAD, len - BOX_HEAD, &key) ? verdict_flow(b->verdicts, &key, p->now) : NULL;
    struct program *g = decider(b);
    for (unsigned i = 0; f && i < PROGRAMS_MAX; i++) {
        struct program *watcher = &b->program[i];
        if (watcher->fd >= 0 && watcher != g && (!watcher->flows_only || f->fate == FLOW_ASK))
            tell_packet(watcher, 0, f, r, in, hidden, shown, len - BOX_HEAD);
    }
    if (f && f->fate == FLOW_BLOCK) {
        b->dropped++;
        r->dropped++;
        return false;
    }
    if (f && f->fate == FLOW_ACCEPT) {
        if (g && !g->flows_only)
            tell_packet(g, 0, f, r, in, hidden, shown, len - BOX_HEAD);
        return true;
    }
    if (f && g && wait_for_verdict(p, g, r, in, f, hidden, shown, word, len))
        return false;
    note_unanswered(p, r, open);
    return open;
}

bool box_show(struct pump *p, struct route *r, unsigned in, uint8_t *word, size_t len)
{
    struct box_show *b = p->boxes->show;
    uint8_t copy[VERDICT_PACKET], record[PCAP_RECORD_LEN];
    const uint8_t *shown = word + BOX_HEAD;
    size_t n = len - BOX_HEAD;
    bool hidden = r->flags & BOX_ANONYMOUS || (p->config.n_middleboxes && p->config.middleboxes[0].synthesised);
    if (hidden) {
        if (n > sizeof(copy))
            return false;
        memcpy(copy, shown, n);
        /* whoever is anonymous has opened the route */
        enum show_anonymous who = !(r->flags & BOX_ANONYMOUS) ? SHOW_NOBODY : in == 0 ? SHOW_SENDER : SHOW_RECEIVER;
        if (!show_synthesised(b->shows, r->serial, who, copy, n))
            return false; /* nobody could have looked at it */
        shown = copy;
    }
    pcap_record(record, p->wall, (uint32_t)n);
    for (unsigned i = 0; i < b->n_taps; i++)
        tap_write(b->tap[i], record, sizeof(record), shown, n);
    return !b->verdicts || ask(p, r, in, hidden, shown, word, len);
}

void box_show_route_gone(struct pump *p, uint32_t serial)
{
    if (show_of(p))
        shows_forget(p->boxes->show->shows, serial);
}

/* ---- turns ---- */

mono_t box_show_deadline(const struct pump *p)
{
    const struct box_show *b = show_of(p);
    if (!b)
        return MONO_NEVER;
    mono_t at = b->n_taps ? b->look : MONO_NEVER;
    for (unsigned i = 0; i < PROGRAMS_MAX; i++)
        if (b->program[i].fd >= 0 && b->program[i].readable)
            return p->now; /* it had more to say than one turn has time for */
    return b->verdicts ? mono_min(at, verdicts_deadline(b->verdicts)) : at;
}

void box_show_turn(struct pump *p)
{
    struct box_show *b = show_of(p);
    struct waiting *w;
    if (!b)
        return;
    for (unsigned i = 0; b->verdicts && i < PROGRAMS_MAX; i++)
        if (b->program[i].fd >= 0)
            program_read(&b->program[i]);
    bool open = p->config.n_middleboxes && p->config.middleboxes[0].fail_open;
    while (b->verdicts && (w = verdict_late(b->verdicts, p->now, false))) {
        struct route *r = box_route(p, w->serial);
        b->late++;
        if (r)
            note_unanswered(p, r, open);
        release(p, w, open);
    }
    for (unsigned i = 0; b->verdicts && i < PROGRAMS_MAX; i++)
        if (b->program[i].fd >= 0)
            program_push(&b->program[i]);
    bool left = false;
    for (unsigned i = 0; i < b->n_taps; i++)
        left |= tap_flush(b->tap[i], p->now);
    b->look = mono_add(p->now, left ? 10 * USEC_PER_MSEC : FIFO_LOOK);
}

/* ---- start and end ---- */

static void open_taps(struct pump *p, const struct config_middlebox *m)
{
    struct box_show *b = p->boxes->show;
    uint8_t header[PCAP_HEADER_LEN];
    char why[200] = "";
    pcap_header(header);
    for (unsigned i = 0; i < m->n_taps; i++) {
        struct tap *t = NULL;
        int err = tap_open(&t, m->tap[i], header, sizeof(header), why, sizeof(why));
        if (err)
            log_warn("tap %s: %s", m->tap[i], why);
        if (t)
            b->tap[b->n_taps++] = t;
    }
}

static int open_verdicts(struct pump *p, const struct config_middlebox *m)
{
    struct box_show *b = p->boxes->show;
    b->verdicts = verdicts_new();
    b->listen_fd = taps_verdicts_fd();
    if (!b->verdicts)
        return -ENOMEM;
    if (b->listen_fd < 0) {
        log_warn("verdicts %s: %s: no program can connect, so packets are %s (`fail`)", m->verdicts, strerror(-b->listen_fd), m->fail_open ? "forwarded" : "dropped");
        return 0;
    }
    b->listen_watch = fdset_add(p->set, b->listen_fd, false, on_listen, p);
    return b->listen_watch ? 0 : -ENOMEM;
}

int box_show_start(struct pump *p)
{
    const struct config_middlebox *m = p->config.middleboxes;
    struct box_show *b = calloc(1, sizeof(*b));
    if (!b || !(b->shows = shows_new())) {
        free(b);
        return -ENOMEM;
    }
    p->boxes->show = b;
    b->listen_fd = -1;
    for (unsigned i = 0; i < PROGRAMS_MAX; i++)
        b->program[i] = (struct program){.p = p, .fd = -1};
    open_taps(p, m);
    return m->verdicts[0] ? open_verdicts(p, m) : 0;
}

void box_show_stop(struct pump *p)
{
    struct box_show *b = show_of(p);
    if (!b)
        return;
    for (unsigned i = 0; i < PROGRAMS_MAX; i++)
        if (b->program[i].fd >= 0) {
            fdset_del(p->set, b->program[i].watch);
            close(b->program[i].fd);
            free(b->program[i].out);
        }
    for (unsigned i = 0; i < b->n_taps; i++) {
        tap_flush(b->tap[i], p->now);
        tap_close(b->tap[i]);
    }
    if (b->listen_watch)
        fdset_del(p->set, b->listen_watch);
    if (b->listen_fd >= 0)
        close(b->listen_fd);
    if (p->config.n_middleboxes && p->config.middleboxes[0].verdicts[0] && b->listen_fd >= 0)
        unlink(p->config.middleboxes[0].verdicts);
    shows_free(b->shows);
    verdicts_free(b->verdicts);
    free(b);
    p->boxes->show = NULL;
}

/* ---- looking in ---- */

unsigned box_show_taps(const struct pump *p, struct tap_state *v, unsigned max)
{
    const struct box_show *b = show_of(p);
    unsigned n = 0;
    for (; b && n < b->n_taps && n < max; n++) {
        v[n] = (struct tap_state){.spec = tap_spec(b->tap[n]), .state = tap_words(b->tap[n])};
        tap_counts(b->tap[n], &v[n].written, &v[n].dropped);
    }
    return n;
}

void box_show_verdicts(const struct pump *p, struct verdict_state *out)
{
    const struct box_show *b = show_of(p);
    *out = (struct verdict_state){0};
    if (!b || !b->verdicts)
        return;
    out->path = p->config.n_middleboxes ? p->config.middleboxes[0].verdicts : "";
    out->programs = b->n_programs;
    out->inlined = decider((struct box_show *)b) != NULL;
    out->waiting = verdicts_waiting(b->verdicts);
    out->flows = verdicts_flows(b->verdicts);
    out->asked = b->asked;
    out->forwarded = b->forwarded;
    out->dropped = b->dropped;
    out->late = b->late;
    out->unanswered = b->unanswered;
}
