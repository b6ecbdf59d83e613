/* pump/link.c - the connections to nodes where UDP is blocked, and the choice between the two (i3/transport.h). */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/base/log.h"

/* Connections: a host has one to its node and one to each node whose ids it uses. */
enum { LINK_CONNECTIONS = 64, LINK_QUEUE = 2 << 20, LINK_MEMORY = 16 << 20 };

#define LINGER_US (1 * USEC_PER_SEC) /* what is on its way by TCP when UDP is back */

static void on_streams(void *ctx, uint32_t events)
{
    struct pump *p = ctx;
    (void)events;
    p->streams_ready = true;
}

static int open_streams(struct pump *p)
{
    static const struct streams_config c = {.max = LINK_CONNECTIONS, .queue_max = LINK_QUEUE, .memory_max = LINK_MEMORY};
    int err = streams_new(&p->streams, &c);
    if (err)
        return err;
    streams_dial(p->streams, 0);
    p->streams_watch = fdset_add(p->set, streams_fd(p->streams), false, on_streams, p);
    return p->streams_watch ? 0 : -ENOMEM;
}

int link_start(struct pump *p)
{
    static const enum transport_mode mode[] = {
        [CONFIG_AUTO] = TRANSPORT_AUTO, [CONFIG_UDP] = TRANSPORT_UDP, [CONFIG_TCP] = TRANSPORT_TCP};
    uint8_t seed[BLAKE2S_LEN];
    drbg_draw(&p->random, seed, sizeof(seed));
    transport_init(&p->transport, p->now, mode[p->config.transport], p->config.nodes, p->config.n_nodes, seed);
    return p->transport.mode == TRANSPORT_UDP ? 0 : open_streams(p);
}

void link_stop(struct pump *p)
{
    if (p->set)
        fdset_del(p->set, p->streams_watch);
    streams_free(p->streams);
}

bool link_recv(struct pump *p)
{
    p->streams_ready = p->streams_ready && streams_recv(p->streams, p->now, net_packet_in, p);
    return p->streams_ready;
}

void link_send(struct pump *p)
{
    if (p->streams)
        streams_send(p->streams, p->now, &p->out);
}

void link_moved(struct pump *p)
{
    if (!p->streams)
        return;
    streams_hang_up(p->streams);
    transport_moved(&p->transport, p->now);
}

bool link_is_full(const struct pump *p)
{
    return p->streams && p->transport.tcp && streams_would_wait(p->streams, p->now);
}

mono_t link_deadline(const struct pump *p)
{
    return p->streams ? mono_min(streams_deadline(p->streams), transport_deadline(&p->transport)) : MONO_NEVER;
}

/* The node does not know any more where we are: the triggers there are inserted by a new connection. */
static void take_event(struct pump *p, const struct stream_event *e)
{
    char s[ADDR_STR];
    if (e->up)
        log_info("node address=%s connected", addr_str(&e->at, s));
    else if (e->was_up)
        log_info("node address=%s connection ended err=%d", addr_str(&e->at, s), e->err);
    if (e->up || !p->transport.tcp)
        return;
    triggers_renew_at(p->triggers, p->now, &e->at);
    transport_lost(&p->transport, p->now, &e->at);
}

/* UDP is used again, and the triggers stand by it: the node may forget the others. */
static void hang_up(struct pump *p)
{
    const struct transport *t = &p->transport;
    if (t->tcp || t->asking.us != MONO_NEVER.us || !streams_stats(p->streams)->open)
        return;
    if (triggers_all_standing(p->triggers) && mono_since(p->node_since, p->now) > LINGER_US)
        streams_hang_up(p->streams);
}

static void decided(struct pump *p, const struct addr *home)
{
    char s[ADDR_STR];
    log_info("node address=%s chosen", addr_str(home, s));
    int i = transport_index(&p->transport, home);
    if (i >= 0)
        p->node_index = (unsigned)i;
    if (p->nodes)
        nodes_prefer(p->nodes, p->now, p->node_index);
    net_set_home(p, home);
    for (struct side *side = p->sides; side; side = side->next)
        peers_size_anew(side->peers, p->now);
}

void link_turn(struct pump *p)
{
    struct stream_event e;
    struct addr home;
    if (!p->streams)
        return;
    if (mono_due(streams_deadline(p->streams), p->now))
        streams_expire(p->streams, p->now);
    while (streams_event(p->streams, &e))
        take_event(p, &e);
    if (mono_due(transport_deadline(&p->transport), p->now))
        transport_output(&p->transport, p->now, &p->out);
    streams_dial(p->streams, p->transport.port);
    if (transport_decision(&p->transport, &home))
        decided(p, &home);
    hang_up(p);
}

void link_traffic(const struct pump *p, uint64_t *bytes, uint64_t *packets_in)
{
    const struct udp_stats *u = udp_stats(p->udp);
    const struct streams_stats *t = p->streams ? streams_stats(p->streams) : NULL;
    *bytes = u->bytes_in + u->bytes_out + (t ? t->bytes_in + t->bytes_out : 0);
    *packets_in = u->packets_in + (t ? t->frames_in : 0);
}
