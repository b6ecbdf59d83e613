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
static uint64_t o_up(const struct report_overlay *o) { return report_overlay_is_up(o); }
static uint64_t o_sessions(const struct report_overlay *o) { return o->sessions; }
static uint64_t o_packets_in(const struct report_overlay *o) { return o->packets_in; }
static uint64_t o_packets_out(const struct report_overlay *o) { return o->packets_out; }
static uint64_t o_bytes_in(const struct report_overlay *o) { return o->bytes_in; }
static uint64_t o_bytes_out(const struct report_overlay *o) { return o->bytes_out; }

static const struct mesh_stats *mesh_in(const struct report_overlay *o)
{
    static const struct mesh_stats none;
    return o->mesh ? o->mesh : &none;
}

static uint64_t o_members(const struct report_overlay *o) { return mesh_in(o)->members; }
static uint64_t o_members_up(const struct report_overlay *o) { return mesh_in(o)->up; }
static uint64_t o_members_direct(const struct report_overlay *o) { return mesh_in(o)->direct; }
static uint64_t o_probes_out(const struct report_overlay *o) { return mesh_in(o)->probes_out; }
static uint64_t o_probes_lost(const struct report_overlay *o) { return mesh_in(o)->probes_lost; }
static uint64_t o_relayed(const struct report_overlay *o) { return mesh_in(o)->relayed; }
static uint64_t o_relay_refused(const struct report_overlay *o) { return mesh_in(o)->relay_refused; }
static uint64_t o_detours_in(const struct report_overlay *o) { return mesh_in(o)->detours_in; }
static uint64_t o_detours_out(const struct report_overlay *o) { return mesh_in(o)->detours_out; }
static uint64_t o_strangers(const struct report_overlay *o) { return mesh_in(o)->strangers; }
static uint64_t o_forged(const struct report_overlay *o) { return mesh_in(o)->forged; }
static uint64_t o_replayed(const struct report_overlay *o) { return mesh_in(o)->replayed; }

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
    {"i3d_mesh_members", "gauge", "Members of the mesh that the book names; 0 where the overlay is none.", o_members},
    {"i3d_mesh_members_up", "gauge", "Of these, those to whom there is a way.", o_members_up},
    {"i3d_mesh_members_direct", "gauge", "Of these, those that are reached without a detour.", o_members_direct},
    {"i3d_mesh_probes_total", "counter", "Probes sent to members and answers to theirs.", o_probes_out},
    {"i3d_mesh_probes_lost_total", "counter", "Probes that were not answered.", o_probes_lost},
    {"i3d_mesh_relayed_packets_total", "counter", "Packets handed on for other members.", o_relayed},
    {"i3d_mesh_relay_refused_total", "counter", "Packets that were not handed on: too many, or for nobody we reach.", o_relay_refused},
    {"i3d_mesh_detour_received_packets_total", "counter", "Packets for us that came by another member.", o_detours_in},
    {"i3d_mesh_detour_sent_packets_total", "counter", "Packets of ours that went by another member.", o_detours_out},
    {"i3d_mesh_strangers_total", "counter", "Datagrams of nobody we know; none was answered.", o_strangers},
    {"i3d_mesh_forged_total", "counter", "Datagrams whose signature was wrong.", o_forged},
    {"i3d_mesh_replayed_total", "counter", "Datagrams that had come before.", o_replayed},
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
