/* ICMP errors about TCP: what RFC 1122 4.2.3.9 wants, within the bounds of RFC 5927, as Linux has it.
 *
 * An error counts only for a segment which is in flight now. A connection that is being opened ends with it; an established one
 * remembers it until something is acknowledged, and names it when it gives up; "too big" makes segments smaller, and what did not
 * fit goes again when its time is out.
 */
#include "daemon/tcpip/engine.h"

#include <errno.h>

#include "daemon/tcpip/icmp_error.h"

enum { MTU_LEAST = 552 }; /* what is said to be smaller is an attack, or a path that nobody has */

static void too_big(struct tcpip *t, struct conn *c, uint16_t mtu)
{
    struct path *p = c->path;
    uint16_t now = p->mtu && p->mtu < t->cfg.mtu ? p->mtu : t->cfg.mtu;
    if (mtu < MTU_LEAST)
        mtu = MTU_LEAST;
    if (mtu >= now)
        return;
    p->mtu = mtu;
    for (struct link *l = p->conns.next; l != &p->conns; l = l->next)
        conn_set_mss(t, LIST_OWNER(l, struct conn, on_path));
}

bool icmp_error_input(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip)
{
    struct icmp_error e;
    if (!icmp_error_parse(packet, ip, &e) || e.proto != IP_TCP)
        return false;
    struct tuple who = {ip->dst, ip->src, e.local_port, e.remote_port, ip->v6};
    struct conn *c = table_find(t, &who);
    uint64_t seq = c ? seq_near(c->snd_una, e.seq) : 0;
    if (!c || c->state == ST_LISTEN || c->state == ST_CLOSED || seq < c->snd_una || seq >= c->snd_nxt) {
        t->stats.in_no_conn++;
        return true;
    }
    if (e.err == EMSGSIZE && e.mtu)
        too_big(t, c, e.mtu);
    else if (!conn_synced(c))
        conn_fail(t, c, e.err);
    else
        c->soft_err = (uint16_t)e.err;
    return true;
}
