/* Who may have how much of the memory that all connections share: the rule stands in tcpip.h. */
#include "daemon/tcpip/engine.h"

/* What is left of `max` when each connection has had its least. */
static uint64_t memory_free(const struct tcpip *t, uint64_t conns, uint64_t max)
{
    uint64_t taken = t->memory + conns * (2 * RING_LEAST);
    return taken < max ? max - taken : 0;
}

bool memory_admits(struct tcpip *t)
{
    if (memory_free(t, t->conns + 1ull, t->cfg.memory_max) >= sizeof(struct conn))
        return true;
    t->stats.refused_memory++;
    return false;
}

/* One host's connections may have half of it all, so that whoever opens many, and reads none, takes from itself. */
static uint64_t peer_free(const struct tcpip *t, const struct path *p)
{
    uint64_t most = t->cfg.memory_max / 2;
    return !p ? UINT64_MAX : p->held < most ? most - p->held : 0;
}

uint64_t memory_share(const struct tcpip *t, const struct path *p)
{
    uint64_t max = t->cfg.memory_max / 8 * 7, left = memory_free(t, t->conns, max);
    return max64(RING_LEAST, min64(peer_free(t, p), left / 2 * (left >> 10) / (max >> 10)));
}

/* A ring that is larger than it could be made now gives back what it does not use. */
void memory_fit(struct tcpip *t, struct conn *c, struct ring *r, uint64_t from, uint64_t to)
{
    if (r->cap > memory_share(t, c->path))
        ring_fit(r, from, to, &t->memory);
    memory_count(c);
}

void memory_count(struct conn *c)
{
    uint64_t now = c->tx.cap + c->rx.cap;
    if (!c->path)
        return;
    c->path->held += now - c->counted;
    c->counted = now;
}
