#include "daemon/control/metrics.h"

static void node_part(struct prom *p, const struct metrics_view *v)
{
    struct node_stats s;
    node_stats(v->node, &s);
    prom_counter(p, "i3node_packets_received_total", "Datagrams that came in.", s.in);
    prom_counter(p, "i3node_packets_bad_total", "Datagrams that were not understood.", s.bad);
    prom_counter(p, "i3node_packets_forwarded_total", "Datagrams sent on by a trigger, or to another node.", s.forwarded);
    prom_counter(p, "i3node_packets_copied_total", "Forwarded datagrams beyond the first, by multicast.", s.copies);
    prom_counter(p, "i3node_packets_relayed_total", "Datagrams sent on to another node of the ring.", s.relayed);
    prom_counter(p, "i3node_packets_unmatched_total", "Datagrams for an id without a trigger.", s.not_present);
    prom_counter(p, "i3node_packets_looping_total", "Datagrams that ran out of hops, look-ups or room for ids.", s.loops);
    prom_counter(p, "i3node_rate_limited_total", "Things not done because of a limit per second: proofs, look-ups, error replies.",
        s.rate_limited);
    prom_counter(p, "i3node_source_rate_drops_total", "Datagrams dropped because their source sent too many.", s.source_drops);
    prom_counter(p, "i3node_trigger_rate_drops_total", "Datagrams dropped because too many were for their trigger.", s.trigger_drops);
    prom_counter(p, "i3node_challenges_total", "Inserts answered by a challenge.", s.challenges);
    prom_counter(p, "i3node_trigger_inserts_total", "Triggers stored or replaced.", s.inserts);
    prom_counter(p, "i3node_trigger_refreshes_total", "Triggers refreshed.", s.refreshes);
    prom_counter(p, "i3node_trigger_removals_total", "Triggers removed by their owner.", s.removals);
    prom_counter(p, "i3node_trigger_expirations_total", "Triggers whose life has ended.", s.expired);
    prom_counter(p, "i3node_trigger_refusals_total", "Inserts and refreshes refused, for any reason.", s.refused);
    prom_counter(p, "i3node_trigger_refusals_full_total", "Inserts refused because the store was full.", s.full);
    prom_counter(p, "i3node_trigger_copies_received_total", "Copies of triggers taken from other nodes.", s.copies_in);
    prom_counter(p, "i3node_trigger_copies_sent_total", "Copies of triggers given to other nodes.", s.copies_out);
    prom_counter(p, "i3node_lookups_total", "Hosts that asked who owns an id.", s.lookups);
    prom_gauge(p, "i3node_triggers", "Triggers stored now, copies included.", s.triggers);
    prom_gauge(p, "i3node_triggers_limit", "Triggers that can be stored.", v->triggers_max);
}

static void ring_part(struct prom *p, const struct ring *r)
{
    struct ring_stats s;
    unsigned successors = 0;
    prom_gauge(p, "i3node_ring_member", "1 when the node is part of a ring.", r != NULL);
    if (!r)
        return;
    ring_stats(r, &s);
    while (ring_successor(r, successors))
        successors++;
    prom_gauge(p, "i3node_ring_joining", "1 while the node is looking for its ring.", ring_is_joining(r));
    prom_gauge(p, "i3node_ring_successors", "Successors known now.", successors);
    prom_gauge(p, "i3node_ring_predecessor", "1 when the predecessor is known.", ring_predecessor(r) != NULL);
    prom_gauge(p, "i3node_ring_fingers", "Fingers known now.", s.fingers);
    prom_counter(p, "i3node_ring_messages_received_total", "Messages of other nodes.", s.in);
    prom_counter(p, "i3node_ring_messages_sent_total", "Messages to other nodes.", s.out);
    prom_counter(p, "i3node_ring_messages_bad_total", "Messages that bore no proof of the ring's secret, or made no sense.", s.bad);
    prom_counter(p, "i3node_ring_questions_total", "Questions put to other nodes.", s.asked);
    prom_counter(p, "i3node_ring_questions_unanswered_total", "Questions without an answer.", s.silent);
    prom_counter(p, "i3node_ring_lookups_found_total", "Look-ups of our own that found the owner.", s.found);
    prom_counter(p, "i3node_ring_lookups_lost_total", "Look-ups of our own that nobody answered.", s.lost);
    prom_counter(p, "i3node_ring_lookups_passed_on_total", "Look-ups of others, passed on.", s.passed_on);
}

static void outside_part(struct prom *p, const struct metrics_view *v)
{
    prom_counter(p, "i3node_udp_received_packets_total", "Datagrams the socket gave.", v->udp_packets_in);
    prom_counter(p, "i3node_udp_received_bytes_total", "Bytes in them.", v->udp_bytes_in);
    prom_counter(p, "i3node_udp_sent_packets_total", "Datagrams given to the socket.", v->udp_packets_out);
    prom_counter(p, "i3node_udp_sent_bytes_total", "Bytes in them.", v->udp_bytes_out);
    prom_counter(p, "i3node_udp_send_failures_total", "Datagrams that the socket did not take.", v->udp_send_lost);
    if (v->tcp) {
        prom_gauge(p, "i3node_tcp_connections", "Hosts that are here by TCP.", v->tcp_connections);
        prom_counter(p, "i3node_tcp_accepted_total", "Connections taken.", v->tcp_accepted);
        prom_counter(p, "i3node_tcp_refused_total", "Connections for which there was no place.", v->tcp_refused);
        prom_counter(p, "i3node_tcp_received_packets_total", "Packets that came by them.", v->tcp_frames_in);
        prom_counter(p, "i3node_tcp_sent_packets_total", "Packets for them.", v->tcp_frames_out);
        prom_counter(p, "i3node_tcp_lost_packets_total", "Packets for those that read too slowly, or are gone.", v->tcp_lost);
    }
    prom_counter(p, "i3node_metrics_requests_total", "Requests for this page.", v->http_served);
    prom_counter(p, "i3node_metrics_refusals_total", "Requests for anything else.", v->http_refused);
    prom_counter(p, "i3node_metrics_drops_total", "Connections that were too slow, or too many.", v->http_dropped);
    if (v->memory_max)
        prom_gauge(p, "i3node_memory_limit_bytes", "As --memory says.", v->memory_max);
}

size_t metrics_write(const struct metrics_view *v, char *out, size_t cap)
{
    struct prom p = {out, cap};
    prom_build(&p, "i3node_build_info", v->version);
    node_part(&p, v);
    ring_part(&p, node_ring(v->node));
    outside_part(&p, v);
    prom_process(&p, &v->process);
    return cap - p.left;
}
