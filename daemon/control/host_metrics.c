#include "daemon/control/host_metrics.h"

#include <stdio.h>
#include <string.h>

#include "daemon/control/overlay_report.h"
#include "daemon/i3/handshake.h"
#include "include/bytes.h"

static void counter_part(struct prom *p, const struct report_view *v)
{
    for (unsigned i = 0; i < v->n_counters; i++) {
        const struct report_counter *c = &v->counters[i];
        char name[80];
        snprintf(name, sizeof(name), "i3d_%s%s", c->name, c->gauge ? "" : "_total");
        if (c->gauge)
            prom_gauge(p, name, c->help, c->value);
        else
            prom_counter(p, name, c->help, c->value);
    }
}

static void overlay_part(struct prom *p, const struct report_view *v)
{
    struct trigger_info t;
    char age[PROM_SECONDS];
    unsigned n = 0, standing = 0, slowest = 0;
    mono_t heard = triggers_last_answer(v->triggers);
    for (; triggers_info(v->triggers, n, &t); n++) {
        standing += t.state == TRIGGER_STANDING || t.state == TRIGGER_REFRESHING;
        slowest = t.rtt_us > slowest ? t.rtt_us : slowest;
    }
    prom_gauge(p, "i3d_online", "1 while all triggers stand, so that this user can be reached.", triggers_all_standing(v->triggers));
    prom_gauge(p, "i3d_triggers", "Triggers that this daemon wants.", n);
    prom_gauge(p, "i3d_triggers_standing", "Triggers that stand.", standing);
    prom_put(p, "i3d_trigger_rtt_seconds", "gauge", "The slowest trigger's last exchange with its node.", prom_seconds(slowest, age));
    if (heard.us != MONO_NEVER.us)
        prom_put(p, "i3d_node_silence_seconds", "gauge", "Since the node last answered.", prom_seconds(mono_since(heard, v->now), age));
    prom_gauge(p, "i3d_node_tcp", "1 while nodes are reached by TCP.", !strcmp(v->transport, "tcp"));
}

/* What is told of each overlay; label "" is the first. */
static uint64_t o_up(const struct report_overlay *o) { return o->node.family && triggers_all_standing(o->triggers); }
static uint64_t o_sessions(const struct report_overlay *o) { return o->sessions; }
static uint64_t o_packets_in(const struct report_overlay *o) { return o->packets_in; }
static uint64_t o_packets_out(const struct report_overlay *o) { return o->packets_out; }
static uint64_t o_bytes_in(const struct report_overlay *o) { return o->bytes_in; }
static uint64_t o_bytes_out(const struct report_overlay *o) { return o->bytes_out; }

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct report_overlay *);
} of_overlay[] = {
    {"i3d_overlay_online", "gauge", "1 while all triggers in that overlay stand.", o_up},
    {"i3d_overlay_sessions", "gauge", "Sessions in that overlay that stand.", o_sessions},
    {"i3d_overlay_received_packets_total", "counter", "Packets that came by that overlay, shortcuts included.", o_packets_in},
    {"i3d_overlay_sent_packets_total", "counter", "Packets sent by that overlay, shortcuts included.", o_packets_out},
    {"i3d_overlay_received_bytes_total", "counter", "Bytes that came by that overlay, shortcuts included.", o_bytes_in},
    {"i3d_overlay_sent_bytes_total", "counter", "Bytes sent by that overlay, shortcuts included.", o_bytes_out},
};

static void overlays_part(struct prom *p, const struct report_view *v)
{
    char labels[300], suffix[2 * 64 + 4];
    for (size_t m = 0; m < ARRAY_LEN(of_overlay); m++)
        for (unsigned i = 0; i < v->n_overlays; i++) {
            if (!i)
                prom_family(p, of_overlay[m].name, of_overlay[m].type, of_overlay[m].help);
            snprintf(labels, sizeof(labels), "overlay=\"%s\",suffix=\"%s\"", v->overlays[i].name, prom_label(v->overlays[i].suffix, suffix, sizeof(suffix)));
            prom_sample(p, of_overlay[m].name, labels, of_overlay[m].value(&v->overlays[i]));
        }
}

static void load_part(struct prom *p, const struct report_view *v)
{
    struct tcpip_stats t;
    tcpip_stats(v->tcpip, &t);
    prom_gauge(p, "i3d_connections", "Connections through the overlay now.", t.conns);
    prom_gauge(p, "i3d_book_entries", "Names in the address book.", book_count(v->book));
}

/* What is told of each peer. */
static uint64_t packets_in(const struct peer_info *i) { return i->packets_in; }
static uint64_t packets_out(const struct peer_info *i) { return i->packets_out; }
static uint64_t bytes_in(const struct peer_info *i) { return i->bytes_in; }
static uint64_t bytes_out(const struct peer_info *i) { return i->bytes_out; }
static uint64_t handshakes(const struct peer_info *i) { return i->handshakes; }
static uint64_t replays(const struct peer_info *i) { return i->replays; }
static uint64_t forged(const struct peer_info *i) { return i->forged; }
static uint64_t standing(const struct peer_info *i) { return i->standing; }
static uint64_t shortcut(const struct peer_info *i) { return i->shortcut.family != 0; }

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct peer_info *);
} of_peer[] = {
    {"i3d_peer_session", "gauge", "1 while a session with the peer stands.", standing},
    {"i3d_peer_shortcut", "gauge", "1 while packets to the peer go straight, not by a node.", shortcut},
    {"i3d_peer_received_packets_total", "counter", "Packets of the peer.", packets_in},
    {"i3d_peer_sent_packets_total", "counter", "Packets for the peer.", packets_out},
    {"i3d_peer_received_bytes_total", "counter", "Bytes in packets of the peer.", bytes_in},
    {"i3d_peer_sent_bytes_total", "counter", "Bytes in packets for the peer.", bytes_out},
    {"i3d_peer_handshakes_total", "counter", "Handshakes with the peer.", handshakes},
    {"i3d_peer_replays_total", "counter", "Packets of the peer that came again.", replays},
    {"i3d_peer_forged_total", "counter", "Packets in the peer's name that were not the peer's.", forged},
};

static void peer_labels(const struct report_view *v, const struct peer_info *i, char *out, size_t cap)
{
    const struct book_entry *e = book_find_key(v->book, i->key);
    char key[KEY_STR_LEN + 1], name[2 * BOOK_NAME_MAX + 4];
    key_format(i->key, key);
    snprintf(out, cap, "peer=\"%s\",key=\"%s\"", prom_label(e ? e->name : "", name, sizeof(name)), key);
}

static void peer_part(struct prom *p, const struct report_view *v)
{
    char labels[3 * BOOK_NAME_MAX];
    struct peer_info info;
    for (size_t m = 0; m < ARRAY_LEN(of_peer); m++) {
        unsigned n = 0;
        for (struct peer *peer = peer_next(v->peers, NULL); peer && n < REPORT_ROWS_MAX; peer = peer_next(v->peers, peer)) {
            peer_info(v->peers, peer, v->now, &info);
            if (!report_peer_is_shown(&info))
                continue;
            if (!n++)
                prom_family(p, of_peer[m].name, of_peer[m].type, of_peer[m].help);
            peer_labels(v, &info, labels, sizeof(labels));
            prom_sample(p, of_peer[m].name, labels, of_peer[m].value(&info));
        }
    }
}

size_t host_metrics_write(const struct report_view *v, const struct prom_process *process, char *out, size_t cap)
{
    struct prom p = {out, cap};
    prom_build(&p, "i3d_build_info", v->version);
    overlay_part(&p, v);
    overlays_part(&p, v);
    load_part(&p, v);
    counter_part(&p, v);
    prom_process(&p, process);
    peer_part(&p, v);
    return cap - p.left;
}
