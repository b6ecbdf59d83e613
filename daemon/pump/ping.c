/* pump/ping.c - i3ctl ping: ICMP echo through the session, one a second, every answer told as it comes. */
#include "daemon/pump/impl.h"

#include <stdio.h>

#include "daemon/control/report.h"

enum { PING_INTERVAL_US = 1000000, PING_TIMEOUT_US = 5000000 };

int ping_start(struct pump *p, struct ipc_client *c, uint32_t serial, const char *name, uint32_t remote, bool v6,
    unsigned count)
{
    for (unsigned i = 0; i < PUMP_PINGS_MAX; i++) {
        struct ping *g = &p->pings[i];
        if (g->client)
            continue;
        *g = (struct ping){.client = c, .serial = serial, .remote = remote, .v6 = v6, .wanted = count, .next = p->now, .min_us = UINT64_MAX};
        g->ident = (uint16_t)(i + 1);
        snprintf(g->name, sizeof(g->name), "%s", name);
        return 0;
    }
    return -ENOSPC;
}

static void ping_end(struct pump *p, struct ping *g)
{
    char path[REPORT_PATH] = "";
    struct side *s;
    struct peer *peer;
    struct peer_info info;
    bool known = overlay_route_own(p, g->remote, &s, &peer);
    if (known) {
        peer_info(s->peers, peer, p->now, &info);
        overlay_path(s->o, &info, path);
    }
    uint64_t avg = g->received ? g->sum_us / g->received : 0;
    struct addr address = names_host_address(p, g->remote, g->v6 ? 6 : 4, 0);
    char *json = report_ping_end(g->name, &address, g->sent, g->received, g->received ? g->min_us : 0, avg, g->max_us, path, known ? info.member : NULL, known ? s->o->name : NULL);
    control_reply(g->client, g->serial, false, g->received ? 0 : 1, json);
    g->client = NULL;
}

static void ping_told(struct pump *p, struct ping *g, char *json)
{
    g->waiting = false;
    control_reply(g->client, g->serial, true, 0, json);
    if (g->sent == g->wanted)
        ping_end(p, g);
    else
        g->next = mono_add(g->sent_at, PING_INTERVAL_US);
}

void ping_reply(struct pump *p, const struct tcpip_event *e)
{
    struct ping *g = e->ident >= 1 && e->ident <= PUMP_PINGS_MAX ? &p->pings[e->ident - 1] : NULL;
    if (!g || !g->client || !g->waiting || g->sequence != e->sequence || g->remote != e->remote || g->v6 != e->v6)
        return;
    uint64_t rtt = mono_since(g->sent_at, p->now);
    g->received++;
    g->sum_us += rtt;
    g->min_us = rtt < g->min_us ? rtt : g->min_us;
    g->max_us = rtt > g->max_us ? rtt : g->max_us;
    ping_told(p, g, report_ping(g->sent, rtt, NULL));
}

static void ping_send(struct pump *p, struct ping *g)
{
    g->sequence++;
    g->sent++;
    g->sent_at = p->now;
    g->waiting = true;
    g->next = mono_add(p->now, PING_TIMEOUT_US);
    struct addr to = names_host_address(p, g->remote, g->v6 ? 6 : 4, 0);
    if (to.family == 6)
        tcpip_ping6(p->tcpip, p->now, p->own, p->own6, g->remote, to.ip, g->ident, g->sequence);
    else if (to.family == 4)
        tcpip_ping(p->tcpip, p->now, p->own, g->remote, g->ident, g->sequence);
}

static const char *silence(struct pump *p, const struct ping *g)
{
    struct side *s;
    struct peer *peer;
    struct peer_info info;
    if (!overlay_route_own(p, g->remote, &s, &peer))
        return "no answer";
    const char *why = overlay_silence(s->o, peer_key(peer));
    if (why)
        return why;
    peer_info(s->peers, peer, p->now, &info);
    return info.standing ? "no answer" : "no session: the peer is not there, or does not have our key in its book";
}

void ping_expire(struct pump *p)
{
    for (unsigned i = 0; i < PUMP_PINGS_MAX; i++) {
        struct ping *g = &p->pings[i];
        if (!g->client || !mono_due(g->next, p->now))
            continue;
        if (g->waiting)
            ping_told(p, g, report_ping(g->sent, 0, silence(p, g)));
        if (g->client && !g->waiting && mono_due(g->next, p->now))
            ping_send(p, g);
    }
}

void ping_finish(struct pump *p, const struct ipc_client *c)
{
    for (unsigned i = 0; i < PUMP_PINGS_MAX; i++)
        if (p->pings[i].client == c)
            ping_end(p, &p->pings[i]);
}

mono_t ping_deadline(const struct pump *p)
{
    mono_t at = MONO_NEVER;
    for (unsigned i = 0; i < PUMP_PINGS_MAX; i++)
        if (p->pings[i].client)
            at = mono_min(at, p->pings[i].next);
    return at;
}

void ping_client_gone(struct pump *p, struct ipc_client *c)
{
    for (unsigned i = 0; i < PUMP_PINGS_MAX; i++)
        if (p->pings[i].client == c)
            p->pings[i].client = NULL;
}
