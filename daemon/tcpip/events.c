/* What the owner is told: one queue of connections, each with the set of what it has to say. */
#include "daemon/tcpip/engine.h"

void event_raise(struct tcpip *t, struct conn *c, enum tcpip_event_kind kind)
{
    if (c->orphan)
        return;
    c->events |= 1u << kind;
    list_add(&t->events, &c->on_events);
}

void event_drop(struct conn *c)
{
    c->events = 0;
    list_remove(&c->on_events);
}

void event_echo(struct tcpip *t, const struct ip_header *ip, uint16_t ident, uint16_t sequence)
{
    if (t->echo_n == ECHO_MAX)
        return;
    t->echo[(t->echo_first + t->echo_n++) % ECHO_MAX] = (struct tcpip_event){.kind = TCPIP_ECHO_REPLY,
        .v6 = ip->v6, .local = ip->dst, .remote = ip->src, .ident = ident, .sequence = sequence};
}

/* What was raised may have settled itself since: the owner looked without being told. */
static bool event_holds(const struct conn *c, enum tcpip_event_kind kind)
{
    if (kind == TCPIP_READABLE)
        return c->rd < c->in_end || (c->fin_rcvd && !c->eof_seen);
    if (kind == TCPIP_WRITABLE)
        return c->state != ST_CLOSED && !c->fin_queued;
    return true;
}

static void event_fill(const struct conn *c, enum tcpip_event_kind kind, struct tcpip_event *out)
{
    *out = (struct tcpip_event){.kind = kind, .ref = c->ref, .user = c->user,
        .err = kind == TCPIP_FAILED ? c->err : 0, .v6 = c->who.v6, .local = c->who.local, .remote = c->who.remote,
        .local_port = c->who.local_port, .remote_port = c->who.remote_port};
}

/* In the order of the enum, so that CONNECTED comes before READABLE and the end comes last. */
static bool event_of(struct tcpip *t, struct conn *c, struct tcpip_event *out)
{
    for (enum tcpip_event_kind kind = TCPIP_INCOMING; kind <= TCPIP_CLOSED; kind++) {
        if (!(c->events & 1u << kind))
            continue;
        c->events &= ~(1u << kind);
        if (!event_holds(c, kind))
            continue;
        event_fill(c, kind, out);
        if (kind == TCPIP_INCOMING)
            c->announced = true;
        if (kind == TCPIP_FAILED || kind == TCPIP_CLOSED) {
            event_drop(c);
            receive_release(t, c);
            table_free(t, c);
        } else if (!c->events) {
            list_remove(&c->on_events);
        }
        return true;
    }
    list_remove(&c->on_events);
    return false;
}

bool tcpip_event(struct tcpip *t, struct tcpip_event *out)
{
    if (t->echo_n) {
        *out = t->echo[t->echo_first];
        t->echo_first = (t->echo_first + 1) % ECHO_MAX;
        t->echo_n--;
        return true;
    }
    for (struct link *l; (l = list_first(&t->events));) {
        if (event_of(t, LIST_OWNER(l, struct conn, on_events), out))
            return true;
    }
    return false;
}
