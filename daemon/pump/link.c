/* pump/link.c - the connections to nodes where UDP is blocked, and the choice between the two (i3/transport.h). */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/base/log.h"

/* Connections: a host has one to its node and one to each node whose ids it uses. */
enum { LINK_CONNECTIONS = 64, LINK_QUEUE = 2 << 20, LINK_MEMORY = 16 << 20 };

#define LINGER_US (1 * USEC_PER_SEC) /* what is on its way by TCP when UDP is back */

static void on_streams(void *ctx, uint32_t events)
{
    struct overlay *o = ctx;
    (void)events;
    o->ring->streams_ready = true;
}

static int open_streams(struct overlay *o)
{
    struct pump *p = o->p;
    static const struct streams_config c = {.max = LINK_CONNECTIONS, .queue_max = LINK_QUEUE, .memory_max = LINK_MEMORY};
    int err = streams_new(&o->ring->streams, &c);
    if (err)
        return err;
    streams_dial(o->ring->streams, 0);
    o->ring->streams_watch = fdset_add(p->set, streams_fd(o->ring->streams), false, on_streams, o);
    return o->ring->streams_watch ? 0 : -ENOMEM;
}

static void begin(struct overlay *o)
{
    struct pump *p = o->p;
    static const enum transport_mode mode[] = {
        [CONFIG_AUTO] = TRANSPORT_AUTO, [CONFIG_UDP] = TRANSPORT_UDP, [CONFIG_TCP] = TRANSPORT_TCP};
    uint8_t seed[BLAKE2S_LEN];
    drbg_draw(&p->random, seed, sizeof(seed));
    transport_init(&o->ring->transport, p->now, mode[p->config.transport], o->ring->configured, o->ring->n_configured, seed);
}

int link_start(struct overlay *o)
{
    begin(o);
    return o->ring->transport.mode == TRANSPORT_UDP ? 0 : open_streams(o);
}

/* Whether UDP gets through is found out anew: it may be that of another network. */
int link_set_nodes(struct overlay *o)
{
    struct addr home = o->ring->node_addr;
    begin(o);
    if (home.family)
        transport_home(&o->ring->transport, o->p->now, &home);
    if (o->ring->streams)
        streams_hang_up(o->ring->streams);
    return o->ring->transport.mode == TRANSPORT_UDP || o->ring->streams ? 0 : open_streams(o);
}

void link_stop(struct overlay *o)
{
    struct pump *p = o->p;
    if (p->set)
        fdset_del(p->set, o->ring->streams_watch);
    streams_free(o->ring->streams);
}

bool link_recv(struct overlay *o)
{
    struct pump *p = o->p;
    o->ring->streams_ready = o->ring->streams_ready && streams_recv(o->ring->streams, p->now, net_packet_in, o);
    return o->ring->streams_ready;
}

void link_send(struct overlay *o)
{
    struct pump *p = o->p;
    if (o->ring->streams)
        streams_send(o->ring->streams, p->now, &o->out);
}

void link_moved(struct overlay *o)
{
    struct pump *p = o->p;
    if (!o->ring->streams)
        return;
    streams_hang_up(o->ring->streams);
    transport_moved(&o->ring->transport, p->now);
}

bool link_is_full(const struct overlay *o)
{
    const struct pump *p = o->p;
    return o->ring->streams && o->ring->transport.tcp && streams_would_wait(o->ring->streams, p->now);
}

mono_t link_deadline(const struct overlay *o)
{
    return o->ring->streams ? mono_min(streams_deadline(o->ring->streams), transport_deadline(&o->ring->transport)) : MONO_NEVER;
}

/* The node does not know any more where we are: the triggers there are inserted by a new connection. */
static void take_event(struct overlay *o, const struct stream_event *e)
{
    struct pump *p = o->p;
    char s[ADDR_STR];
    if (e->up)
        log_info("node address=%s connected", addr_str(&e->at, s));
    else if (e->was_up)
        log_info("node address=%s connection ended err=%d", addr_str(&e->at, s), e->err);
    if (e->up || !o->ring->transport.tcp)
        return;
    triggers_renew_at(o->ring->triggers, p->now, &e->at);
    transport_lost(&o->ring->transport, p->now, &e->at);
}

/* UDP is used again, and the triggers stand by it: the node may forget the others. */
static void hang_up(struct overlay *o)
{
    struct pump *p = o->p;
    const struct transport *t = &o->ring->transport;
    if (t->tcp || t->asking.us != MONO_NEVER.us || !streams_stats(o->ring->streams)->open)
        return;
    if (triggers_all_standing(o->ring->triggers) && mono_since(o->ring->node_since, p->now) > LINGER_US)
        streams_hang_up(o->ring->streams);
}

static void decided(struct overlay *o, const struct addr *home)
{
    struct pump *p = o->p;
    char s[ADDR_STR];
    log_info("node address=%s chosen", addr_str(home, s));
    int i = transport_index(&o->ring->transport, home);
    if (i >= 0)
        o->ring->node_index = (unsigned)i;
    if (o->ring->nodes)
        nodes_prefer(o->ring->nodes, p->now, o->ring->node_index);
    net_set_home(o, home);
    for (struct side *side = o->sides; side; side = side->next)
        peers_size_anew(side->peers, p->now);
}

void link_turn(struct overlay *o)
{
    struct pump *p = o->p;
    struct stream_event e;
    struct addr home;
    if (!o->ring->streams)
        return;
    if (mono_due(streams_deadline(o->ring->streams), p->now))
        streams_expire(o->ring->streams, p->now);
    while (streams_event(o->ring->streams, &e))
        take_event(o, &e);
    if (mono_due(transport_deadline(&o->ring->transport), p->now))
        transport_output(&o->ring->transport, p->now, &o->out);
    streams_dial(o->ring->streams, o->ring->transport.port);
    if (transport_decision(&o->ring->transport, &home))
        decided(o, &home);
    hang_up(o);
}

void link_traffic(const struct pump *p, uint64_t *bytes, uint64_t *packets_in)
{
    *bytes = *packets_in = 0;
    for (const struct overlay *o = p->overlays; o; o = o->next) {
        const struct udp_stats *u = udp_stats(o->udp);
        const struct streams_stats *t = overlay_by_tcp(o);
        *bytes += u->bytes_in + u->bytes_out + (t ? t->bytes_in + t->bytes_out : 0);
        *packets_in += u->packets_in + (t ? t->frames_in : 0);
    }
}
