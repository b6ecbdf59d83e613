/* ring_call.c - questions under way: who was asked what, when it is asked again, and when its silence means death. */
#include "daemon/node/ring_inside.h"

uint64_t call_rto(struct ring *r, const struct ring_contact *to)
{
    const struct known *k = ring_known(r, to);
    if (!k || !k->srtt)
        return RTO_FIRST_US;
    uint64_t rto = k->srtt + 4ull * k->rttvar;
    return rto < RTO_MIN_US ? RTO_MIN_US : rto > RTO_MAX_US ? RTO_MAX_US : rto;
}

/* RFC 6298, section 2; a question that was repeated tells nothing (Karn). */
void call_measured(struct ring *r, mono_t now, const struct call *c)
{
    struct known *k = ring_known(r, &c->to);
    uint32_t rtt = (uint32_t)mono_since(c->sent, now) | 1;
    if (c->tries != 1 || !k)
        return;
    if (!k->srtt) {
        k->srtt = rtt;
        k->rttvar = rtt / 2;
        return;
    }
    uint32_t off = rtt > k->srtt ? rtt - k->srtt : k->srtt - rtt;
    k->rttvar += (off >> 2) - (k->rttvar >> 2);
    k->srtt += (rtt >> 3) - (k->srtt >> 3);
}

struct call *call_new(struct ring *r, mono_t now, enum call_kind kind, const struct ring_contact *to)
{
    for (unsigned i = 0; i < RING_CALLS; i++) {
        struct call *c = &r->call[i];
        if (c->kind != CALL_FREE)
            continue;
        *c = (struct call){.kind = kind, .nonce = drbg_u64(&r->rng), .sent = now};
        if (to)
            c->to = *to;
        r->stats.asked++;
        return c;
    }
    return NULL;
}

void call_end(struct call *c)
{
    c->kind = CALL_FREE;
}

void calls_forget(struct ring *r, enum call_kind kind)
{
    for (unsigned i = 0; i < RING_CALLS; i++)
        if (r->call[i].kind == kind)
            call_end(&r->call[i]);
}

struct call *call_find(struct ring *r, uint64_t nonce)
{
    for (unsigned i = 0; i < RING_CALLS; i++)
        if (r->call[i].kind != CALL_FREE && r->call[i].nonce == nonce)
            return &r->call[i];
    return NULL;
}

static void ask(struct ring *r, mono_t now, struct call *c, struct outbox *out)
{
    struct ring_message m = {.type = RING_ASK, .nonce = c->nonce};
    if (c->kind == CALL_SUCCESSOR)
        m.flags = RING_NOTIFY;
    if (c->kind == CALL_BEFORE)
        m.flags = RING_OFFER;
    c->tries++;
    c->due = mono_add(now, call_rto(r, &c->to));
    r->calls_at = mono_min(r->calls_at, c->due);
    ring_send(r, &c->to, &m, out);
}

bool call_ask(struct ring *r, mono_t now, enum call_kind kind, const struct ring_contact *to, struct outbox *out)
{
    for (unsigned i = 0; i < RING_CALLS; i++) {
        const struct call *c = &r->call[i];
        bool asks = c->kind >= CALL_SUCCESSOR && c->kind <= CALL_WALK;
        if (asks && contact_is(&c->to, to) && (c->kind == kind || kind == CALL_ALIVE))
            return false;
    }
    struct call *c = call_new(r, now, kind, to);
    if (c)
        ask(r, now, c, out);
    return c;
}

/* Others are preferred until it is heard again. */
void call_suspect(struct ring *r, const struct ring_contact *c)
{
    struct known *k = ring_known(r, c);
    if (k)
        k->suspect = true;
    cache_drop(r, c);
}

/* A successor may have died, and who stands behind it may have died with it: so that one death is not noticed after the other. */
static void ask_behind(struct ring *r, mono_t now, const struct ring_contact *suspect, struct outbox *out)
{
    for (unsigned i = 0; i + 1 < RING_SUCCESSORS; i++)
        if (contact_is(&r->successor[i].c, suspect) && r->successor[i + 1].c.addr.family)
            call_ask(r, now, CALL_ALIVE, &r->successor[i + 1].c, out);
}

static void silent(struct ring *r, mono_t now, struct call *c, struct outbox *out)
{
    switch (c->kind) {
    case CALL_FREE:
        break;
    case CALL_SUCCESSOR:
    case CALL_NEARER:
    case CALL_NOTIFIER:
    case CALL_BEFORE:
    case CALL_ALIVE:
        if (c->tries < ASK_TRIES) {
            call_suspect(r, &c->to);
            ask(r, now, c, out);
            ask_behind(r, now, &c->to, out);
            break;
        }
        r->stats.silent++;
        call_end(c);
        ring_bury(r, now, &c->to);
        break;
    case CALL_WALK:
        if (c->tries < ASK_TRIES) {
            ask(r, now, c, out);
            break;
        }
        r->stats.silent++;
        call_end(c);
        walk_on_silence(r, now, &c->to, out);
        break;
    case CALL_HOP:
        r->stats.silent++;
        find_hop_silent(r, now, c, out);
        break;
    case CALL_FIND:
        find_again(r, now, c, out);
        break;
    }
}

void calls_expire(struct ring *r, mono_t now, struct outbox *out)
{
    if (!mono_due(r->calls_at, now))
        return;
    for (unsigned i = 0; i < RING_CALLS; i++)
        if (r->call[i].kind != CALL_FREE && mono_due(r->call[i].due, now))
            silent(r, now, &r->call[i], out);
    r->calls_at = MONO_NEVER;
    for (unsigned i = 0; i < RING_CALLS; i++)
        if (r->call[i].kind != CALL_FREE)
            r->calls_at = mono_min(r->calls_at, r->call[i].due);
}
