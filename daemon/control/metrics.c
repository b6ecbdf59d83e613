#include "daemon/control/metrics.h"

#include <stdio.h>
#include <string.h>

struct page {
    char *at;
    size_t left;
};

/* One metric with its two comments, or nothing of it. */
static void put(struct page *p, const char *name, const char *type, const char *help, const char *value)
{
    int n = snprintf(p->at, p->left, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, type, name, value);
    if (n < 0 || (size_t)n >= p->left)
        return;
    p->at += n;
    p->left -= (size_t)n;
}

static void put_number(struct page *p, const char *name, const char *type, const char *help, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    put(p, name, type, help, text);
}

static void counter(struct page *p, const char *name, const char *help, uint64_t value)
{
    put_number(p, name, "counter", help, value);
}

static void gauge(struct page *p, const char *name, const char *help, uint64_t value)
{
    put_number(p, name, "gauge", help, value);
}

static void build(struct page *p, const char *version)
{
    int n = snprintf(p->at, p->left, "# HELP i3node_build_info Version of the program.\n# TYPE i3node_build_info gauge\n"
                                     "i3node_build_info{version=\"%s\"} 1\n", version);
    if (n < 0 || (size_t)n >= p->left)
        return;
    p->at += n;
    p->left -= (size_t)n;
}

static void node_part(struct page *p, const struct metrics_view *v)
{
    struct node_stats s;
    node_stats(v->node, &s);
    counter(p, "i3node_packets_received_total", "Datagrams that came in.", s.in);
    counter(p, "i3node_packets_bad_total", "Datagrams that were not understood.", s.bad);
    counter(p, "i3node_packets_forwarded_total", "Datagrams sent on by a trigger, or to another node.", s.forwarded);
    counter(p, "i3node_packets_copied_total", "Forwarded datagrams beyond the first, by multicast.", s.copies);
    counter(p, "i3node_packets_relayed_total", "Datagrams sent on to another node of the ring.", s.relayed);
    counter(p, "i3node_packets_unmatched_total", "Datagrams for an id without a trigger.", s.not_present);
    counter(p, "i3node_packets_looping_total", "Datagrams that ran out of hops, look-ups or room for ids.", s.loops);
    counter(p, "i3node_rate_limited_total", "Things not done because of a limit per second: proofs, look-ups, error replies.",
        s.rate_limited);
    counter(p, "i3node_source_rate_drops_total", "Datagrams dropped because their source sent too many.", s.source_drops);
    counter(p, "i3node_trigger_rate_drops_total", "Datagrams dropped because too many were for their trigger.", s.trigger_drops);
    counter(p, "i3node_challenges_total", "Inserts answered by a challenge.", s.challenges);
    counter(p, "i3node_trigger_inserts_total", "Triggers stored or replaced.", s.inserts);
    counter(p, "i3node_trigger_refreshes_total", "Triggers refreshed.", s.refreshes);
    counter(p, "i3node_trigger_removals_total", "Triggers removed by their owner.", s.removals);
    counter(p, "i3node_trigger_expirations_total", "Triggers whose life has ended.", s.expired);
    counter(p, "i3node_trigger_refusals_total", "Inserts and refreshes refused, for any reason.", s.refused);
    counter(p, "i3node_trigger_refusals_full_total", "Inserts refused because the store was full.", s.full);
    counter(p, "i3node_trigger_copies_received_total", "Copies of triggers taken from other nodes.", s.copies_in);
    counter(p, "i3node_trigger_copies_sent_total", "Copies of triggers given to other nodes.", s.copies_out);
    counter(p, "i3node_lookups_total", "Hosts that asked who owns an id.", s.lookups);
    gauge(p, "i3node_triggers", "Triggers stored now, copies included.", s.triggers);
    gauge(p, "i3node_triggers_limit", "Triggers that can be stored.", v->triggers_max);
}

static void ring_part(struct page *p, const struct ring *r)
{
    struct ring_stats s;
    unsigned successors = 0;
    gauge(p, "i3node_ring_member", "1 when the node is part of a ring.", r != NULL);
    if (!r)
        return;
    ring_stats(r, &s);
    while (ring_successor(r, successors))
        successors++;
    gauge(p, "i3node_ring_joining", "1 while the node is looking for its ring.", ring_is_joining(r));
    gauge(p, "i3node_ring_successors", "Successors known now.", successors);
    gauge(p, "i3node_ring_predecessor", "1 when the predecessor is known.", ring_predecessor(r) != NULL);
    gauge(p, "i3node_ring_fingers", "Fingers known now.", s.fingers);
    counter(p, "i3node_ring_messages_received_total", "Messages of other nodes.", s.in);
    counter(p, "i3node_ring_messages_sent_total", "Messages to other nodes.", s.out);
    counter(p, "i3node_ring_messages_bad_total", "Messages that bore no proof of the ring's secret, or made no sense.", s.bad);
    counter(p, "i3node_ring_questions_total", "Questions put to other nodes.", s.asked);
    counter(p, "i3node_ring_questions_unanswered_total", "Questions without an answer.", s.silent);
    counter(p, "i3node_ring_lookups_found_total", "Look-ups of our own that found the owner.", s.found);
    counter(p, "i3node_ring_lookups_lost_total", "Look-ups of our own that nobody answered.", s.lost);
    counter(p, "i3node_ring_lookups_passed_on_total", "Look-ups of others, passed on.", s.passed_on);
}

static void outside_part(struct page *p, const struct metrics_view *v)
{
    counter(p, "i3node_udp_received_packets_total", "Datagrams the socket gave.", v->udp_packets_in);
    counter(p, "i3node_udp_received_bytes_total", "Bytes in them.", v->udp_bytes_in);
    counter(p, "i3node_udp_sent_packets_total", "Datagrams given to the socket.", v->udp_packets_out);
    counter(p, "i3node_udp_sent_bytes_total", "Bytes in them.", v->udp_bytes_out);
    counter(p, "i3node_udp_send_failures_total", "Datagrams that the socket did not take.", v->udp_send_lost);
    if (v->tcp) {
        gauge(p, "i3node_tcp_connections", "Hosts that are here by TCP.", v->tcp_connections);
        counter(p, "i3node_tcp_accepted_total", "Connections taken.", v->tcp_accepted);
        counter(p, "i3node_tcp_refused_total", "Connections for which there was no place.", v->tcp_refused);
        counter(p, "i3node_tcp_received_packets_total", "Packets that came by them.", v->tcp_frames_in);
        counter(p, "i3node_tcp_sent_packets_total", "Packets for them.", v->tcp_frames_out);
        counter(p, "i3node_tcp_lost_packets_total", "Packets for those that read too slowly, or are gone.", v->tcp_lost);
    }
    counter(p, "i3node_metrics_requests_total", "Requests for this page.", v->http_served);
    counter(p, "i3node_metrics_refusals_total", "Requests for anything else.", v->http_refused);
    counter(p, "i3node_metrics_drops_total", "Connections that were too slow, or too many.", v->http_dropped);
    if (v->memory_max)
        gauge(p, "i3node_memory_limit_bytes", "As --memory says.", v->memory_max);
}

static void process_part(struct page *p, const struct metrics_view *v)
{
    char seconds[40];
    snprintf(seconds, sizeof(seconds), "%llu.%06llu", (unsigned long long)(v->cpu_us / 1000000),
        (unsigned long long)(v->cpu_us % 1000000));
    put(p, "process_cpu_seconds_total", "counter", "User and system time of the process.", seconds);
    if (v->resident) {
        gauge(p, "process_resident_memory_bytes", "Memory in use.", v->resident);
        gauge(p, "process_virtual_memory_bytes", "Memory asked for.", v->virtual_size);
    }
    gauge(p, "process_open_fds", "Open file descriptors.", v->fds);
    gauge(p, "process_max_fds", "File descriptors that it may have.", v->fds_max);
    gauge(p, "process_start_time_seconds", "When it was started, in seconds since 1970.", v->started);
}

size_t metrics_write(const struct metrics_view *v, char *out, size_t cap)
{
    struct page p = {out, cap};
    build(&p, v->version);
    node_part(&p, v);
    ring_part(&p, node_ring(v->node));
    outside_part(&p, v);
    process_part(&p, v);
    return cap - p.left;
}
