#include "tests/unit/tcpip/script.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCAL = 0x0a000001, REMOTE = 0x0a000002, LOCAL_PORT = 4000, REMOTE_PORT = 80, ISN = 1000 };

bool script_v6;
const uint8_t script_local6[16] = "\xfd\x69\x33\0\0local", script_remote6[16] = "\xfd\x69\x33\0\0remote";

struct segment_copy {
    struct segment s;
    uint8_t data[9000];
};

/* What one line says of a packet. */
struct spec {
    uint8_t flags;
    uint32_t seq, len;
    bool ect, ce, has_ack, has_win, has_sack, old, no_ts, has_mss, has_ecr, push;
    uint32_t ack, win, mss, ecr;
    int sacks;
    uint32_t sack[8];
};

static uint8_t pattern(uint32_t seq)
{
    return (uint8_t)(seq * 7 + (seq >> 8));
}

static uint32_t isn_of(const struct script *s)
{
    return s->t->isn_fixed ? s->t->isn : ISN;
}

void script_begin(struct script *s, const struct tcpip_config *config)
{
    struct tcpip_config c;
    tcpip_config_default(&c);
    if (config)
        c = *config;
    c.ride_us = 0; /* most conversations are easier to follow without */
    *s = (struct script){.v6 = script_v6, .now = 10000000, .ts = true, .sack = true, .ws = true, .mss = 1012, .peer_isn = 70000,
        .peer_ts = 500};
    s->t = tcpip_new(&c);
    s->t->isn_fixed = true;
    s->t->isn = ISN;
    s->out = calloc(256, sizeof(*s->out));
}

static void drain(struct script *s)
{
    static struct tcpip_packet v[16];
    uint32_t src, dst;
    size_t n;
    tcpip_settle(s->t, (mono_t){s->now});
    for (int i = 0; i < s->kept; i++)
        free(s->keep[i]);
    s->kept = 0;
    if (s->out_at == s->out_n)
        s->out_at = s->out_n = 0;
    while ((n = tcpip_output(s->t, (mono_t){s->now}, v, 16, &src, &dst)) > 0) {
        for (size_t i = 0; i < n; i++) {
            uint8_t flat[10000];
            size_t at = v[i].head_len;
            memcpy(flat, v[i].head, at);
            for (int k = 0; k < 2; at += v[i].body[k].iov_len, k++) {
                if (v[i].body[k].iov_len)
                    memcpy(flat + at, v[i].body[k].iov_base, v[i].body[k].iov_len);
            }
            struct ip_header ip = {.src = LOCAL, .dst = REMOTE};
            bool sound = s->v6 ? ip6_is_from_to(flat, at, script_local6, script_remote6) && ip6_parse(flat, at, &ip)
                               : ip_parse(flat, at, &ip);
            ck_assert_msg(sound && at == ip.len && at == v[i].len, "line %d: a bad IP header went out", s->line);
            ck_assert(ip.src == LOCAL && ip.dst == REMOTE && src == LOCAL && dst == REMOTE);
            ck_assert(ip.proto == IP_TCP && ip.ttl == 64);
            ck_assert_uint_lt(s->out_n, 256);
            struct segment_copy *o = &s->out[s->out_n++];
            ck_assert_msg(segment_parse(flat, &ip, &o->s), "line %d: a bad segment went out", s->line);
            memcpy(o->data, o->s.data, o->s.len);
            if (o->s.has_stamps)
                s->last_ts = o->s.ts_val;
        }
    }
}

static void show(char *to, size_t cap, const struct script *s, const struct segment *g)
{
    int n = snprintf(to, cap, "%s%s%s%s%s%s%s%s %u:%u ack %u win %u", g->ecn ? "ect " : "", g->flags & TH_ECE ? "E" : "", g->flags & TH_CWR ? "W" : "", g->flags & TH_SYN ? "S" : "", g->flags & TH_ACK ? "A" : "",
        g->flags & TH_FIN ? "F" : "", g->flags & TH_RST ? "R" : "", g->flags & TH_PUSH ? "P" : "",
        g->seq - isn_of(s), g->len, g->ack - s->peer_isn, g->window);
    for (int i = 0; i < g->sacks; i++)
        n += snprintf(to + n, cap - (size_t)n, " %u-%u", g->sack[i].start - s->peer_isn, g->sack[i].end - s->peer_isn);
}

static struct spec parse_spec(const struct script *s, char *words)
{
    struct spec p = {0};
    char *save, *w = strtok_r(words, " ", &save);
    for (; *w; w++) {
        const char *all = "FSRPAUEW", *at = strchr(all, *w);
        ck_assert_msg(at != NULL, "line %d: flag %c", s->line, *w);
        p.flags |= (uint8_t)(1 << (at - all));
    }
    p.push = p.flags & TH_PUSH;
    w = strtok_r(NULL, " ", &save);
    ck_assert_msg(w != NULL, "line %d: no sequence number", s->line);
    p.seq = (uint32_t)strtoul(w, &w, 10);
    if (*w == ':')
        p.len = (uint32_t)strtoul(w + 1, NULL, 10);
    while ((w = strtok_r(NULL, " ", &save))) {
        if (strcmp(w, "old") == 0) {
            p.old = true;
            continue;
        }
        if (strcmp(w, "ect") == 0 || strcmp(w, "ce") == 0) {
            p.ect = true;
            p.ce = w[0] == 'c';
            continue;
        }
        if (strcmp(w, "nots") == 0) {
            p.no_ts = true;
            continue;
        }
        char *v = strtok_r(NULL, " ", &save);
        ck_assert_msg(v != NULL, "line %d: %s what?", s->line, w);
        uint32_t x = (uint32_t)strtoul(v, NULL, 10);
        if (strcmp(w, "ack") == 0) {
            p.has_ack = true;
            p.ack = x;
        } else if (strcmp(w, "win") == 0) {
            p.has_win = true;
            p.win = x;
        } else if (strcmp(w, "mss") == 0) {
            p.has_mss = true;
            p.mss = x;
        } else if (strcmp(w, "ecr") == 0) {
            p.has_ecr = true;
            p.ecr = x;
        } else if (strcmp(w, "sack") == 0) {
            p.has_sack = true;
            for (char *at = v; *at && p.sacks < 4; p.sacks++) {
                p.sack[2 * p.sacks] = (uint32_t)strtoul(at, &at, 10);
                p.sack[2 * p.sacks + 1] = (uint32_t)strtoul(at + 1, &at, 10);
                at += *at == ',';
            }
        } else {
            ck_abort_msg("line %d: %s?", s->line, w);
        }
    }
    return p;
}

static void inject(struct script *s, char *words)
{
    struct spec p = parse_spec(s, words);
    uint8_t *packet = malloc(10000);
    uint8_t data[9000];
    bool syn = p.flags & TH_SYN;
    struct segment g = {.src = REMOTE, .dst = LOCAL, .src_port = REMOTE_PORT, .dst_port = LOCAL_PORT,
        .seq = s->peer_isn + p.seq, .ack = p.has_ack ? isn_of(s) + p.ack : 0, .flags = p.flags,
        .window = (uint16_t)(p.has_win ? p.win : 60000), .len = p.len};
    uint8_t back[IP6_HEAD];
    ip6_template(back, script_remote6, script_local6, 77);
    g.ip6 = s->v6 ? back : NULL;
    g.has_stamps = s->ts && !p.no_ts;
    g.ts_val = p.old ? s->peer_ts - 100 : (s->peer_ts += 1);
    g.ts_ecr = p.has_ecr ? s->last_ts - p.ecr : s->last_ts;
    if (syn) {
        g.mss = (uint16_t)s->mss;
        g.sack_ok = s->sack;
        g.has_wscale = s->ws;
    }
    for (int i = 0; i < p.sacks; i++)
        g.sack[g.sacks++] = (struct sack_block){isn_of(s) + p.sack[2 * i], isn_of(s) + p.sack[2 * i + 1]};
    for (uint32_t i = 0; i < p.len; i++)
        data[i] = pattern(p.seq + i);
    size_t head = segment_build(packet, &g, 1, ip_sum(data, p.len));
    memcpy(packet + head, data, p.len);
    if (p.ect) {
        packet[1] |= s->v6 ? ECN_ECT0 << 4 : ECN_ECT0;
        if (!s->v6)
            ip_mend_sum(packet + 10, 0, __builtin_bswap16(ECN_ECT0));
        ck_assert(ip_take_ecn(packet, head + p.len, p.ce ? ECN_CE : ECN_NOT));
    }
    if (s->v6)
        tcpip_input6(s->t, (mono_t){s->now}, packet, head + p.len, REMOTE, LOCAL);
    else
        tcpip_input(s->t, (mono_t){s->now}, packet, head + p.len);
    s->keep[s->kept++] = packet;
}

/* An error from the peer about a segment of ours, with 8 bytes of it. */
static void inject_error(struct script *s, const char *words)
{
    static const struct {
        const char *name;
        uint8_t type4, code4, type6, code6;
    } kinds[] = {{"net", 3, 0, 1, 0}, {"host", 3, 1, 1, 3}, {"port", 3, 3, 1, 4}, {"big", 3, 4, 2, 0}};
    uint8_t *packet = calloc(1, 200);
    char name[8];
    unsigned seq, mtu = 0;
    size_t i = 0, ip = s->v6 ? IP6_HEAD : IP_HEAD, len = 8 + ip + 8;
    uint8_t *icmp = packet + ip, *quote = icmp + 8, there[IP6_HEAD], back[IP6_HEAD];
    ck_assert_int_ge(sscanf(words, "%7s %u %u", name, &seq, &mtu), 2);
    while (strcmp(kinds[i].name, name) != 0)
        ck_assert_uint_lt(++i, sizeof(kinds) / sizeof(kinds[0]));
    ip6_template(there, script_local6, script_remote6, 0);
    ip6_template(back, script_remote6, script_local6, 0);
    if (s->v6) {
        ip6_build(packet, back, IP6_ICMP, (uint16_t)len);
        ip6_build(quote, there, IP_TCP, 1000);
    } else {
        ip_build(packet, REMOTE, LOCAL, IP_ICMP, 1, (uint16_t)(ip + len));
        ip_build(quote, LOCAL, REMOTE, IP_TCP, 1, 1000);
    }
    icmp[0] = s->v6 ? kinds[i].type6 : kinds[i].type4;
    icmp[1] = s->v6 ? kinds[i].code6 : kinds[i].code4;
    ip_store32(icmp + 4, mtu);
    ip_store16(quote + ip, LOCAL_PORT);
    ip_store16(quote + ip + 2, REMOTE_PORT);
    ip_store32(quote + ip + 4, isn_of(s) + seq);
    ip_store_sum(icmp + 2, ip_sum(icmp, len) + (s->v6 ? ip6_pseudo_sum(packet, IP6_ICMP, (uint16_t)len) : 0));
    if (s->v6)
        tcpip_input6(s->t, (mono_t){s->now}, packet, ip + len, REMOTE, LOCAL);
    else
        tcpip_input(s->t, (mono_t){s->now}, packet, ip + len);
    s->keep[s->kept++] = packet;
}

static void expect(struct script *s, char *words)
{
    char line[200], was[300] = "nothing";
    snprintf(line, sizeof(line), "%s", words);
    struct spec p = parse_spec(s, words);
    drain(s);
    ck_assert_msg(s->out_at < s->out_n, "line %d: wanted '%s', nothing went out", s->line, line);
    struct segment_copy *o = &s->out[s->out_at++];
    const struct segment *g = &o->s;
    show(was, sizeof(was), s, g);
    uint8_t all = s->ecn ? 0xff : 0x3f, mask = p.push ? all : (uint8_t)(all & ~TH_PUSH);
    uint32_t scale = g->flags & TH_SYN ? 0 : s->ws ? 7 : 0;
    bool good = (g->flags & mask) == (p.flags & mask) && g->seq - isn_of(s) == p.seq && g->len == p.len;
    good = good && (!s->ecn || g->ecn == (p.ect ? ECN_ECT0 : ECN_NOT));
    good = good && (!p.has_ack || g->ack - s->peer_isn == p.ack);
    good = good && (!p.has_win || (uint32_t)g->window << scale == p.win);
    good = good && (!p.has_mss || g->mss == p.mss) && (!p.no_ts || !g->has_stamps);
    good = good && (!p.has_sack || g->sacks == p.sacks);
    for (int i = 0; i < p.sacks && good; i++)
        good = g->sack[i].start - s->peer_isn == p.sack[2 * i] && g->sack[i].end - s->peer_isn == p.sack[2 * i + 1];
    ck_assert_msg(good, "line %d: wanted '%s', went out '%s'", s->line, line, was);
    for (uint32_t i = 0; i < g->len; i++)
        ck_assert_msg(o->data[i] == pattern(p.seq + i), "line %d: payload differs at %u", s->line, i);
}

static void none(struct script *s)
{
    char was[300];
    drain(s);
    if (s->out_at == s->out_n)
        return;
    show(was, sizeof(was), s, &s->out[s->out_at].s);
    ck_abort_msg("line %d: '%s' went out unexpected", s->line, was);
}

static void advance(struct script *s, const char *word)
{
    char *unit;
    double x = strtod(word, &unit);
    uint64_t end = s->now + (uint64_t)(x * (strcmp(unit, "ms") == 0 ? 1e3 : strcmp(unit, "us") == 0 ? 1 : 1e6));
    drain(s);
    for (uint64_t at; (at = tcpip_deadline(s->t).us) <= end;) {
        s->now = at > s->now ? at : s->now;
        tcpip_expire(s->t, (mono_t){s->now});
        drain(s);
    }
    s->now = end;
    s->peer_ts += (uint32_t)(x * (strcmp(unit, "ms") == 0 ? 1 : strcmp(unit, "us") == 0 ? 0 : 1000));
}

static void want_event(struct script *s, char *words)
{
    static const char *const names[] = {"INCOMING", "CONNECTED", "READABLE", "WRITABLE", "FAILED", "CLOSED", "ECHO_REPLY"};
    static const struct {
        const char *name;
        int err;
    } errs[] = {{"ECONNREFUSED", ECONNREFUSED}, {"ECONNRESET", ECONNRESET}, {"ETIMEDOUT", ETIMEDOUT},
        {"EHOSTUNREACH", EHOSTUNREACH}, {"ENETUNREACH", ENETUNREACH}};
    char *save, *kind = strtok_r(words, " ", &save), *err = strtok_r(NULL, " ", &save);
    struct tcpip_event e;
    drain(s);
    ck_assert_msg(tcpip_event(s->t, &e), "line %d: no event, wanted %s", s->line, kind);
    ck_assert_msg(strcmp(names[e.kind], kind) == 0, "line %d: event %s, wanted %s", s->line, names[e.kind], kind);
    for (size_t i = 0; err && i < sizeof(errs) / sizeof(errs[0]); i++) {
        if (strcmp(errs[i].name, err) == 0)
            ck_assert_msg(e.err == errs[i].err, "line %d: errno %d, wanted %s", s->line, e.err, err);
    }
    if (e.kind == TCPIP_INCOMING)
        s->ref = e.ref;
}

static void do_write(struct script *s, char *words)
{
    char *rest;
    uint64_t n = strtoull(words, &rest, 10);
    while (n) {
        struct iovec v[2];
        int k = tcp_send_space(s->t, s->ref, v);
        ck_assert_msg(k > 0, "line %d: no room to write", s->line);
        size_t put = v[0].iov_len < n ? v[0].iov_len : n;
        for (size_t i = 0; i < put; i++)
            ((uint8_t *)v[0].iov_base)[i] = pattern((uint32_t)(1 + s->written + i));
        s->written += put;
        n -= put;
        tcp_send_commit(s->t, (mono_t){s->now}, s->ref, put, n == 0 && strstr(rest, "push"));
    }
}

static void do_read(struct script *s, uint64_t n, bool all)
{
    static uint32_t at;
    struct conn *c = table_get(s->t, s->ref);
    ck_assert_msg(c != NULL, "line %d: no connection to read from", s->line);
    at = (uint32_t)(c->rd - c->irs);
    while (n || all) {
        struct iovec v[4];
        bool eof;
        int k = tcp_recv_spans(s->t, s->ref, v, 4, &eof);
        if (k == 0) {
            ck_assert_msg(all, "line %d: %llu bytes were not there", s->line, (unsigned long long)n);
            return;
        }
        size_t take = all || v[0].iov_len < n ? v[0].iov_len : n;
        for (size_t i = 0; i < take; i++, at++)
            ck_assert_msg(((uint8_t *)v[0].iov_base)[i] == pattern(at), "line %d: read a wrong byte at %u", s->line, at);
        tcp_recv_consume(s->t, (mono_t){s->now}, s->ref, take);
        n -= all ? 0 : take;
    }
}

static void want_state(struct script *s, const char *name)
{
    struct tcp_info_row row;
    uint32_t cursor = 0;
    bool is = tcpip_next(s->t, &cursor, &row);
    drain(s);
    if (strcmp(name, "gone") == 0)
        ck_assert_msg(!is, "line %d: state %s, wanted none", s->line, is ? row.state : "");
    else
        ck_assert_msg(is && strcmp(row.state, name) == 0, "line %d: state %s, wanted %s", s->line, is ? row.state : "none",
            name);
}

static void peer_options(struct script *s, const char *words)
{
    s->ts = !strstr(words, "nots");
    s->sack = !strstr(words, "nosack");
    s->ws = !strstr(words, "nows");
    const char *mss = strstr(words, "mss=");
    if (mss)
        s->mss = (uint32_t)strtoul(mss + 4, NULL, 10);
}

static void begin(struct script *s, bool active)
{
    struct tcpip_event e;
    char syn[] = "S 0";
    if (active) {
        int err = s->v6 ? tcp_connect6(s->t, (mono_t){s->now}, LOCAL, script_local6, LOCAL_PORT, REMOTE, script_remote6,
                              REMOTE_PORT, &s->ref)
                        : tcp_connect(s->t, (mono_t){s->now}, LOCAL, LOCAL_PORT, REMOTE, REMOTE_PORT, &s->ref);
        ck_assert_int_eq(err, 0);
        return;
    }
    inject(s, syn);
    ck_assert_msg(tcpip_event(s->t, &e) && e.kind == TCPIP_INCOMING, "line %d: no INCOMING", s->line);
    s->ref = e.ref;
}

static void run_line(struct script *s, char *line)
{
    while (*line == ' ')
        line++;
    char *rest = line + strcspn(line, " ");
    rest += *rest == ' ';
    mono_t now = {s->now};
#define IS(word) (strncmp(line, word, sizeof(word) - 1) == 0)
    if (!*line || *line == '#')
        return;
    if (*line == '>') {
        expect(s, line + 2);
    } else if (*line == '<') {
        drain(s);
        inject(s, line + 2);
    } else if (*line == '&') { /* in one batch with the packet before */
        inject(s, line + 2);
    } else if (*line == '+') {
        advance(s, line + 1);
    } else if (IS("icmp")) {
        drain(s);
        inject_error(s, rest);
    } else if (IS("none")) {
        none(s);
    } else if (IS("noevent")) {
        struct tcpip_event e;
        ck_assert_msg(!tcpip_event(s->t, &e), "line %d: event %d", s->line, e.kind);
    } else if (IS("event")) {
        want_event(s, rest);
    } else if (IS("state")) {
        want_state(s, rest);
    } else if (IS("connect")) {
        begin(s, true);
    } else if (IS("incoming")) {
        begin(s, false);
    } else if (IS("accept")) {
        tcp_accept(s->t, now, s->ref);
    } else if (IS("refuse")) {
        tcp_refuse(s->t, now, s->ref);
    } else if (IS("write")) {
        do_write(s, rest);
    } else if (IS("readall")) {
        do_read(s, 0, true);
    } else if (IS("read")) {
        do_read(s, strtoull(rest, NULL, 10), false);
    } else if (IS("eof")) {
        tcp_send_eof(s->t, now, s->ref);
    } else if (IS("close")) {
        tcp_close(s->t, now, s->ref);
    } else if (IS("abort")) {
        tcp_abort(s->t, now, s->ref);
    } else if (IS("patient")) {
        table_get(s->t, s->ref)->quick = 0;
    } else if (IS("ride")) {
        s->t->cfg.ride_us = strtoull(rest, NULL, 10);
    } else if (IS("peer")) {
        peer_options(s, rest);
    } else if (IS("ecn")) {
        s->ecn = true;
    } else if (IS("isn")) {
        s->t->isn = (uint32_t)strtoul(rest, NULL, 10);
    } else if (IS("open")) { /* the usual handshake over 20 ms, out of the way */
        script_run(s, "connect\n> S 0\n+20ms\n< SA 0 ack 1\n> A 1 ack 1\nevent CONNECTED");
    } else if (IS("peerisn")) {
        s->peer_isn = (uint32_t)strtoul(rest, NULL, 10);
    } else {
        ck_abort_msg("line %d: '%s'?", s->line, line);
    }
#undef IS
}

void script_run(struct script *s, const char *text)
{
    char *copy = strdup(text), *save, *line;
    int outer = s->line;
    s->line = 0;
    for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        s->line++;
        run_line(s, line);
    }
    free(copy);
    s->line = outer;
}

void script_end(struct script *s)
{
    s->line = -1;
    none(s);
    tcpip_free(s->t);
    free(s->out);
}

void script_play(const char *text)
{
    struct script s;
    script_begin(&s, NULL);
    script_run(&s, text);
    script_end(&s);
}
