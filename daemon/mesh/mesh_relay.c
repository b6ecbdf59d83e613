/* Packets on a detour: made, handed on, taken (mesh.h). */
#include "daemon/mesh/mesh_inside.h"

#include <string.h>

static size_t covered(uint8_t ad[MESH_HEAD_SIGNED + 4 + MESH_COVERS], const uint8_t *head, const uint8_t *packet, size_t len)
{
    struct writer w = writer_of(ad, MESH_HEAD_SIGNED + 4 + MESH_COVERS);
    size_t n = len < MESH_COVERS ? len : MESH_COVERS;
    put_bytes(&w, head, MESH_HEAD_SIGNED);
    put_u32(&w, (uint32_t)len);
    put_bytes(&w, packet, n);
    return writer_len(&w);
}

/* The head before packet, signed for the next one. */
static void sign(struct member *next, const struct mesh_relay *v, uint8_t *packet, size_t len)
{
    uint8_t ad[MESH_HEAD_SIGNED + 4 + MESH_COVERS], *head = packet - MESH_HEAD;
    mesh_relay_encode(head, v);
    seal_encrypt(next->tx, v->counter, ad, covered(ad, head, packet, len), NULL, 0, head + MESH_HEAD_SIGNED);
}

void mesh_wrap(struct mesh *m, const uint8_t prefix[ID_PREFIX_LEN], uint8_t *packet, size_t len)
{
    struct member *b = m->last && !memcmp(m->last->prefix, prefix, ID_PREFIX_LEN) ? m->last : member_by(m, prefix);
    struct member *next = b && b->kind == MESH_DETOUR ? m->v[b->by] : NULL;
    if (!next || !next->knows)
        return;
    struct mesh_relay v = {.hop = 1, .counter = next->counter++};
    memcpy(v.by, m->prefix, MESH_ID);
    memcpy(v.to, prefix, ID_PREFIX_LEN);
    memcpy(v.from, m->prefix, ID_PREFIX_LEN);
    sign(next, &v, packet, len);
    m->stats.detours_out++;
}

/* Only straight, and only to a member: so a packet has two hops at most, whatever the tables say. */
static void hand_on(struct mesh *m, mono_t now, struct member *by, const struct mesh_relay *v, uint8_t ecn, uint8_t *data, size_t len,
    struct outbox *out)
{
    struct member *to = member_by(m, v->to);
    bool ours = !memcmp(v->from, by->prefix, ID_PREFIX_LEN) && to && to != by && !memcmp(to->prefix, v->to, ID_PREFIX_LEN);
    if (!m->c.relay || !ours || to->best < 0 || !to->knows ||
        !budget_take(&by->relayed, now, USEC_PER_SEC / MESH_RELAYED, MESH_RELAYED_BURST)) {
        m->stats.relay_refused++;
        if (ours)
            link_changed(m, now, to->best < 0); /* it does not know yet */
        return;
    }
    struct mesh_relay next = *v;
    next.hop = 2;
    next.counter = to->counter++;
    memcpy(next.by, m->prefix, MESH_ID);
    sign(to, &next, data + MESH_HEAD, len - MESH_HEAD);
    if (outbox_push(out, &to->spot[to->best].addr, data, len))
        outbox_set_ecn(out, ecn);
    m->stats.relayed++;
}

static enum mesh_verdict relay_input(struct mesh *m, mono_t now, uint8_t ecn, uint8_t *data, size_t len, struct outbox *out, const uint8_t **who,
    uint8_t **packet, size_t *packet_len)
{
    struct mesh_relay v;
    uint8_t ad[MESH_HEAD_SIGNED + 4 + MESH_COVERS], tag[MAC_LEN];
    struct member *by = mesh_relay_decode(data, len, &v) ? NULL : member_by(m, v.by);
    if (!by || !by->rx) {
        m->stats.strangers++;
        return MESH_DROP;
    }
    if (!replay_is_new(&by->replay, v.counter)) {
        m->stats.replayed++;
        return MESH_DROP;
    }
    memcpy(tag, v.tag, MAC_LEN);
    if (seal_decrypt(by->rx, v.counter, ad, covered(ad, data, v.packet, v.packet_len), tag, MAC_LEN)) {
        m->stats.forged++;
        return MESH_DROP;
    }
    replay_mark(&by->replay, v.counter);
    if (v.hop == 1) {
        hand_on(m, now, by, &v, ecn, data, len, out);
        return MESH_TAKEN;
    }
    const struct member *from = memcmp(v.to, m->prefix, ID_PREFIX_LEN) ? NULL : member_by(m, v.from);
    if (!from || memcmp(from->prefix, v.from, ID_PREFIX_LEN)) {
        m->stats.strangers++;
        return MESH_DROP;
    }
    m->stats.detours_in++;
    *who = from->key;
    *packet = data + MESH_HEAD;
    *packet_len = len - MESH_HEAD;
    return MESH_DATA;
}

bool mesh_is_for(const struct mesh *m, const uint8_t *data, size_t len)
{
    /* a packet to a relay names its destination, not the relay; only the key of the signature tells */
    unsigned type = mesh_type(data, len);
    return type == MESH_RELAY || (type && len >= 12 + MESH_ID && !memcmp(data + 12, m->prefix, MESH_ID));
}

enum mesh_verdict mesh_input(struct mesh *m, mono_t now, const struct addr *from, uint8_t ecn, uint8_t *data, size_t len, struct outbox *out,
    const uint8_t **who, uint8_t **packet, size_t *packet_len)
{
    switch (mesh_type(data, len)) {
    case MESH_PROBE:
        probe_input(m, now, from, data, len, out);
        return MESH_TAKEN;
    case MESH_VECTOR:
        vector_input(m, now, data, len);
        return MESH_TAKEN;
    case MESH_RELAY:
        return relay_input(m, now, ecn, data, len, out, who, packet, packet_len);
    }
    m->stats.strangers++;
    return MESH_DROP;
}
