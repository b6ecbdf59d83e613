/* pump/gate_control.c - i3ctl gateway: both ends of it. Each call also asks the gateways that rules name whether they would have us: an ASK with no address
 * is answered, and changes nothing there. The answer is there when it is called again. */
#include "daemon/control/gateway_report.h"
#include "daemon/pump/control.h"
#include "daemon/pump/gateway.h"

static struct gate_probe *probe_of(struct gateway *g, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < GATE_PROBES; i++)
        if (!memcmp(g->probes[i].key, key, KEY_LEN))
            return &g->probes[i];
    struct gate_probe *b = &g->probes[g->next_probe++ % GATE_PROBES];
    *b = (struct gate_probe){0};
    memcpy(b->key, key, KEY_LEN);
    return b;
}

void gate_probe_answer(struct pump *p, const uint8_t key[KEY_LEN], enum gate_status status)
{
    for (unsigned i = 0; i < GATE_PROBES; i++) {
        struct gate_probe *b = &p->gateway->probes[i];
        if (memcmp(b->key, key, KEY_LEN) != 0)
            continue;
        b->answers = true;
        b->allowed = status != GATE_NOT_ALLOWED;
        b->at = p->now;
    }
}

static void put_question(struct pump *p, struct side *s, struct peer *peer)
{
    uint8_t msg[GATE_WORD_MAX];
    size_t n = gate_ask_encode(msg, sizeof(msg), &(struct gate_ask){.name = "."});
    if (outbox_is_tight(&s->o->out))
        net_flush(s->o);
    peer_say(s->peers, peer, p->now, msg, n, &s->o->out);
}

static void look_at(struct pump *p, const char *via, struct report_via *out)
{
    const struct book_entry *e = book_find(p->book, via);
    const struct group *group = e ? NULL : groups_find(p->groups, via);
    e = group ? &group->entry : e;
    *out = (struct report_via){.name = via, .in_book = e && !e->multicast};
    if (!out->in_book || !names_address(p, e->key, 0))
        return;
    struct side *s = overlay_of_key(p, e->key)->sides;
    struct peer *peer = peer_by_key(s->peers, e->key);
    struct gate_probe *b = probe_of(p->gateway, e->key);
    out->session = peer && peer_is_standing(peer);
    out->answers = b->answers && mono_since(b->at, p->now) < GATE_PROBE_HOLDS;
    out->allowed = b->allowed;
    if (out->session)
        put_question(p, s, peer);
}

static void look_at_all(struct pump *p, struct report_gateway *r)
{
    for (unsigned i = 0; i < p->config.n_rules && r->n_used < REPORT_GATEWAYS_MAX; i++) {
        const char *via = p->config.rules[i].via;
        unsigned j = 0;
        while (j < r->n_used && strcmp(r->used[j].name, via) != 0)
            j++;
        if (p->config.rules[i].action == ACTION_GATEWAY && j == r->n_used)
            look_at(p, via, &r->used[r->n_used++]);
    }
}

void verb_gateway(struct control_call *k)
{
    struct pump *p = k->p;
    struct gateway *g = p->gateway;
    const struct gate_conn *c;
    struct report_gateway r = {.book = p->book, .now = p->now, .config = gateway_config(p), .to = g->to, .vias = g->vias, .refused = g->refused};
    TAILQ_FOREACH(c, &g->conns, all)
        r.tcp++;
    r.udp_ports = gate_udp_ports(p);
    r.anyone = access_use(p->access, ACCESS_GATEWAY)->anyone;
    look_at_all(p, &r);
    control_done(k, report_gateway(&r));
}
