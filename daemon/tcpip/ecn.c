/* Explicit congestion notification (RFC 3168): a router that would have to drop marks instead, the receiver tells of it with
 * ECE until it hears CWR, and the sender slows down as for a loss, once per round trip.
 *
 * Only new data says ECT(0); what is sent again, and whatever carries none, does not. The first data that is acknowledged must be such
 * as went out ECT: if it had to be sent again first, this path (or one of the hops of the tunnel) drops ECT, and the connection goes on
 * without. A SYN that nobody answers goes without ECN the third time.
 */
#include "daemon/tcpip/engine.h"

bool ecn_offered(const struct tcpip *t, const struct conn *c)
{
    return t->cfg.ecn && c->retries < ECN_SYN_TRIES && c->path->ect_lost < ECT_LOST_MAX;
}

/* A SYN asks with both flags; its answer has ECE alone, since one that throws back whatever it gets would have both. */
void ecn_agree(const struct tcpip *t, struct conn *c, const struct segment *syn)
{
    uint8_t want = syn->flags & TH_ACK ? TH_ECE : TH_ECE | TH_CWR;
    c->ecn = ecn_offered(t, c) && (syn->flags & (TH_ECE | TH_CWR)) == want;
}

void ecn_arrival(struct tcpip *t, struct conn *c, const struct segment *s)
{
    if (!c->ecn)
        return;
    if (s->len && s->flags & TH_CWR)
        c->ece_owed = false;
    if (s->ecn == ECN_CE && s->len) {
        t->stats.ecn_marked++;
        if (!c->ece_owed)
            receive_ack_within(t, c, 0);
        c->ece_owed = true;
    }
}

/* Whether ECT gets through: the first data that is acknowledged tells. */
static void prove(struct conn *c, const struct delivery *d)
{
    if (c->ect_proven || c->ect_off || !(d->acked + d->sacked))
        return;
    if (d->first_sent) {
        c->ect_proven = true;
        c->path->ect_lost = 0;
    } else {
        c->ect_off = true;
        c->path->ect_lost += c->path->ect_lost < ECT_LOST_MAX;
    }
}

void ecn_ack(struct tcpip *t, struct conn *c, const struct segment *s, const struct delivery *d)
{
    if (!c->ecn)
        return;
    prove(c, d);
    if (!(s->flags & TH_ECE) || c->snd_una < c->ecn_point)
        return;
    c->ecn_point = c->snd_nxt;
    c->cwr_due = true;
    c->path->company.full_at = t->now; /* losses near it are no others */
    if (c->phase != PHASE_OPEN && !c->cc.law->paced)
        return; /* it has slowed down already */
    t->stats.ecn_cuts++;
    c->cc.law->mark(&c->cc, t->now);
}
