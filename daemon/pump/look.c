/* pump/look.c - looking in: what is counted, for i3ctl status and for Prometheus alike. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/control/host_metrics.h"
#include "daemon/io/process.h"
#include "daemon/pump/box.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/control.h"
#include "daemon/pump/portal.h"

enum { COUNTERS_MAX = 192, PORTAL_COUNTERS = 32, PAGE_MAX = IPC_TEXT_MAX / 2 /* as JSON every newline and quote takes two bytes */ };

/* A full table loses the rest; COUNTERS_MAX is well above what there is. */
struct tally {
    struct report_counter v[COUNTERS_MAX];
    unsigned n, portal_from;
    char portal_name[PORTAL_COUNTERS][40];
};

static void add(struct tally *t, const char *name, uint64_t value, const char *help)
{
    if (t->n < COUNTERS_MAX)
        t->v[t->n++] = (struct report_counter){name, help, value, false};
}

static void add_gauge(struct tally *t, const char *name, uint64_t value, const char *help)
{
    add(t, name, value, help);
    t->v[t->n - 1].gauge = true;
}

/* Of all overlays. */
static void sum_sockets(const struct pump *p, struct udp_stats *u, struct streams_stats *s)
{
    *u = (struct udp_stats){0};
    *s = (struct streams_stats){0};
    for (const struct overlay *o = p->overlays; o; o = o->next) {
        const struct udp_stats *a = udp_stats(o->udp);
        u->packets_in += a->packets_in, u->packets_out += a->packets_out, u->bytes_in += a->bytes_in, u->bytes_out += a->bytes_out;
        u->calls_in += a->calls_in, u->calls_out += a->calls_out, u->send_lost += a->send_lost;
        const struct streams_stats *b = overlay_by_tcp(o);
        if (!b)
            continue;
        s->frames_in += b->frames_in, s->frames_out += b->frames_out, s->bytes_in += b->bytes_in, s->bytes_out += b->bytes_out;
        s->calls_in += b->calls_in, s->calls_out += b->calls_out, s->lost += b->lost, s->nobody += b->nobody, s->open += b->open;
    }
}

/* Both ends of gateways. */
static void tally_gateway(const struct pump *p, struct tally *t)
{
    struct gate_account sum;
    const struct gateway *g = p->gateway;
    to_ip_sum(g->to, &sum);
    add_gauge(t, "gateway_serves", gateway_config(p) != NULL, "This host is a gateway.");
    add_gauge(t, "gateway_users", gate_users(g->to), "Who has used this host as a gateway.");
    add_gauge(t, "gateway_flows", gate_flows(g->to), "Connections and flows of datagrams open for users of the gateway.");
    add_gauge(t, "gateway_names", vias_count(g->vias), "Names that lead through gateways.");
    add(t, "gateway_names_found", sum.names, "Questions of the gateway's users that were answered with an address.");
    add(t, "gateway_connections", sum.connections, "Connections opened for the gateway's users.");
    add(t, "gateway_failed", sum.failed, "Connections for the gateway's users that real hosts or the network did not take.");
    add(t, "gateway_refused", sum.refused + g->refused, "Names and flows that the gateway did not allow.");
    add(t, "gateway_bytes_up", sum.up, "Bytes of the gateway's users, of flows that have ended.");
    add(t, "gateway_bytes_down", sum.down, "Bytes for the gateway's users, of flows that have ended.");
}

static void tally_sockets(struct pump *p, struct tally *t)
{
    struct udp_stats sum, *u = &sum;
    struct streams_stats s;
    sum_sockets(p, &sum, &s);
    add(t, "udp_packets_in", u->packets_in, "Datagrams that came.");
    add(t, "udp_packets_out", u->packets_out, "Datagrams sent.");
    add(t, "udp_bytes_in", u->bytes_in, "Bytes in the datagrams that came.");
    add(t, "udp_bytes_out", u->bytes_out, "Bytes in the datagrams sent.");
    add(t, "udp_calls_in", u->calls_in, "System calls that received datagrams.");
    add(t, "udp_calls_out", u->calls_out, "System calls that sent datagrams.");
    add(t, "udp_send_lost", u->send_lost, "Datagrams that the socket did not take.");
    add(t, "stream_frames_in", s.frames_in, "Packets that came by TCP, from nodes.");
    add(t, "stream_frames_out", s.frames_out, "Packets for nodes that went by TCP.");
    add(t, "stream_bytes_in", s.bytes_in, "Bytes that came by TCP.");
    add(t, "stream_bytes_out", s.bytes_out, "Bytes that went by TCP.");
    add(t, "stream_calls_in", s.calls_in, "System calls that read from TCP.");
    add(t, "stream_calls_out", s.calls_out, "System calls that wrote to TCP.");
    add(t, "stream_lost", s.lost + s.nobody, "Packets for TCP that were dropped.");
    add_gauge(t, "streams", s.open, "TCP connections to nodes now.");
}

static void tally_boxes(struct pump *p, struct tally *t)
{
    const struct box_counters *c = &p->boxes->count;
    add(t, "box_packets", c->packets, "Packets that passed this middle-box.");
    add(t, "box_bytes", c->bytes, "Bytes in them.");
    add(t, "box_dropped", c->dropped, "Packets that could not go on from this middle-box.");
    add(t, "box_bypassed", c->bypassed, "Packets refused, as they came without the middle-boxes that lie on their way.");
    add(t, "box_unknown", c->unknown, "Packets of a route that is not known here.");
    add(t, "box_refused", c->refused, "Routes that were refused, and packets of such.");
    add(t, "box_alerts", c->alerts, "Alerts of verdict programs, sent.");
    add_gauge(t, "box_routes", routes_count(p->boxes->routes), "Routes through middle-boxes, others' and our own.");
}

static void tally_packets(struct pump *p, struct tally *t)
{
    add(t, "packets_bad", p->count.packets_bad, "Packets that were not understood.");
    add(t, "packets_spoofed", p->count.packets_spoofed, "Packets of peers that spoke for an address which is not theirs.");
    add(t, "packets_passed_on", p->count.waypoint, "Packets passed on for others, as a waypoint.");
    add(t, "packets_barred", p->count.packets_barred, "Packets for ports that their sender may not reach.");
    add(t, "packets_unsealed", p->count.packets_unsealed, "Packets that could not be sealed.");
    add(t, "packets_held_lost", p->count.held_lost, "Packets that waited for a session and gave way to others.");
    add(t, "connects", p->count.connects, "Connections that programs asked for.");
    add(t, "incoming", p->count.incoming, "Connections that peers asked for.");
    add(t, "refused", p->count.refused, "Connections of peers that were refused.");
    add(t, "misuse", p->count.misuse, "Packets of peers with a session which no i3d sends.");
    add(t, "peers_dropped_misuse", p->count.dropped_misuse, "Peers that were dropped for that.");
    add(t, "strangers", p->count.strangers, "Keys that nobody here knows which have had a session, as something is open to anyone.");
    add(t, "strangers_refused", p->count.strangers_refused, "Times that such a key got no answer, as there were too many.");
    add_gauge(t, "strangers_now", strangers_count(p), "Such keys now.");
    add_gauge(t, "peers_dropped", p->drops.n, "Peers that are dropped now.");
    add(t, "slowed_by_node", p->count.slowed, "Times that a node said that we send faster than its operator allows.");
}

/* What strangers cost, of all keys of ours. */
static void tally_handshakes(struct pump *p, struct tally *t)
{
    struct peers_load all = {0};
    for (struct overlay *o = p->overlays; o; o = o->next)
        for (struct side *s = o->sides; s; s = s->next) {
            struct peers_load l = peers_load(s->peers, p->now);
            all.now |= l.now;
            all.inits += l.inits;
            all.read += l.read;
            all.cookies += l.cookies;
            all.dropped += l.dropped;
            all.cookies_taken += l.cookies_taken;
        }
    add(t, "handshakes_asked", all.inits, "First messages of handshakes that came, for one of our keys.");
    add(t, "handshakes_read", all.read, "Of these, those decrypted, each at the price of a Diffie-Hellman.");
    add(t, "handshakes_cookies", all.cookies, "Of these, those answered by a cookie, as too many came.");
    add(t, "handshakes_dropped", all.dropped, "Of these, those dropped unread, as too many came.");
    add(t, "cookies_taken", all.cookies_taken, "Cookies that others have asked of us.");
    add_gauge(t, "handshakes_under_load", all.now, "1 while strangers need a cookie.");
}

static void tally_datagrams(struct pump *p, struct tally *t)
{
    const struct dgram_counters *d = dgram_counters(p);
    add(t, "dgrams_in", d->in, "Datagrams for programs.");
    add(t, "dgrams_out", d->out, "Datagrams of programs.");
    add(t, "dgrams_bad", d->bad, "Datagrams that were malformed.");
    add(t, "dgrams_strangers", d->strangers, "Datagrams of sockets that are not this user's.");
    add(t, "dgrams_unreachable", d->unreachable, "Datagrams for a port that nobody has.");
    add(t, "dgrams_refused", d->refused, "Datagrams which a peer had no port for.");
    add(t, "dgrams_overflow", d->overflow, "Datagrams dropped because the program read too slowly.");
    add(t, "dgrams_undelivered", d->undelivered, "Datagrams that the program's socket did not take.");
    add(t, "dgrams_no_room", d->no_room, "Datagrams for which no mirror could be had.");
    add(t, "dgrams_over_share", d->over_share, "Datagrams of peers that have their share of mirrors.");
    add(t, "fragments_in", d->fragments.fragments, "Fragments that came.");
    add(t, "fragments_bad", d->fragments.bad, "Fragments that were malformed.");
    add(t, "fragments_lost", d->fragments.expired + d->fragments.evicted, "Datagrams whose fragments never came together.");
    add(t, "mirrors_evicted", d->evicted, "Mirrors that made room for others.");
    add_gauge(t, "mirrors", d->mirrors, "Mirrors now.");
    add_gauge(t, "dgram_sockets", d->sockets, "Sockets of programs with UDP now.");
    add(t, "programs_refused", ipc_server_refused(p->ipc), "Programs that were turned away, as one had its share or there were too many.");
    add_gauge(t, "programs", ipc_server_clients(p->ipc), "Programs that talk to the daemon now, i3ctl among them.");
}

static void tally_tcp(struct pump *p, struct tally *t)
{
    struct tcpip_stats s;
    tcpip_stats(p->tcpip, &s);
    add(t, "tcp_segments_in", s.in_packets, "Segments that came through the overlay.");
    add(t, "tcp_segments_out", s.out_packets, "Segments sent through the overlay.");
    add(t, "tcp_retransmits", s.retransmits, "Segments sent again.");
    add(t, "tcp_timeouts", s.timeouts, "Retransmission timers that ran out.");
    add(t, "tcp_bad", s.in_bad, "Segments that were malformed.");
    add_gauge(t, "tcp_memory", s.memory, "Bytes held for connections now.");
    add_gauge(t, "tcp_memory_max", s.memory_max, "Bytes that may be held for connections.");
    add_gauge(t, "tcp_half_open", s.half_open, "Connections of peers that are not answered or finished yet, now.");
    add(t, "tcp_refused_half_open", s.refused_half_open, "Connections of peers refused because too many were half open.");
    add(t, "tcp_refused_peer", s.refused_peer, "Connections refused because too many were of that peer.");
    add(t, "tcp_refused_memory", s.refused_memory, "Connections refused for want of memory.");
    add(t, "tcp_dropped_memory", s.dropped_memory, "Segments dropped for want of memory.");
    add(t, "tcp_ecn_marked", s.ecn_marked, "Segments that came with a mark of congestion.");
    add(t, "tcp_ecn_cuts", s.ecn_cuts, "Times that we slowed down for marks of congestion.");
}

static void add_to(void *ctx, const char *name, uint64_t value, const char *help)
{
    struct tally *t = ctx;
    unsigned i = t->n - t->portal_from;
    if (i >= PORTAL_COUNTERS)
        return;
    snprintf(t->portal_name[i], sizeof(t->portal_name[i]), "%s", name);
    add(t, t->portal_name[i], value, help);
}

static void tally_portal(struct pump *p, struct tally *t)
{
    t->portal_from = t->n;
    portal_tally(p, add_to, t);
}

static void tally_all(struct pump *p, struct tally *t)
{
    t->n = 0;
    tally_boxes(p, t);
    tally_sockets(p, t);
    tally_packets(p, t);
    tally_portal(p, t);
    tally_handshakes(p, t);
    tally_datagrams(p, t);
    tally_tcp(p, t);
    tally_gateway(p, t);
}

void verb_status(struct control_call *k)
{
    struct pump *p = k->p;
    struct tally t;
    struct report_group groups[GROUPS_MAX];
    struct report_overlay overlays[OVERLAYS_MAX];
    char socket[sizeof(p->paths.runtime) + 16];
    struct report_view v = control_view(p);
    snprintf(socket, sizeof(socket), "%s/i3d.sock", p->paths.runtime);
    listen_sweep(p); /* what is gone is not shown */
    dgram_sweep(p);
    tally_all(p, &t);
    v.socket = socket;
    v.counters = t.v;
    v.n_counters = t.n;
    v.overlays = overlays;
    v.n_overlays = overlays_describe(p, NULL, overlays);
    v.groups = groups;
    v.n_groups = group_report(p, groups);
    control_done(k, report_status(&v));
}

void verb_metrics(struct control_call *k)
{
    struct tally t;
    struct process_info me;
    struct report_overlay overlays[OVERLAYS_MAX];
    struct report_view v = control_view(k->p);
    char *page = malloc(PAGE_MAX + 1);
    if (!page) {
        control_fail(k, report_error("out of memory"));
        return;
    }
    tally_all(k->p, &t);
    v.counters = t.v;
    v.n_counters = t.n;
    v.overlays = overlays;
    v.n_overlays = overlays_describe(k->p, NULL, overlays);
    process_look(&me);
    const struct prom_process process = {me.resident, me.virtual_size, me.cpu_us, me.started, me.fds, me.fds_max};
    page[host_metrics_write(&v, &process, page, PAGE_MAX)] = '\0';
    control_done(k, report_string("text", page));
    free(page);
}
