/* Peers who are members of groups, and being one: signs of life, and saying good-bye (rules in peer.h). Which member an INIT goes to,
 * and whose answer counts, is in peer_shake.c. */
#include "daemon/i3/peer_state.h"

#include <string.h>

void peer_set_near(struct peer *p, const uint8_t *suffix, size_t n)
{
    memcpy(p->ask, suffix, n < sizeof(p->ask) ? n : sizeof(p->ask));
}

bool peer_is_group(const struct peer *p)
{
    static const uint8_t none[MEMBER_LEN];
    return memcmp(p->member, none, sizeof(none)) != 0;
}

/* ---- signs of life ---- */

/* When a member of a group that was asked for a sign of life is left. */
mono_t member_due(const struct peer *p)
{
    uint64_t patience = 2ull * p->rtt_us > MEMBER_PATIENCE ? 2ull * p->rtt_us : MEMBER_PATIENCE;
    return mono_add(p->probed, patience);
}

/* Is the member there? Whoever has the session answers a PROBE of any size. */
void member_ask(struct peers *ps, struct peer *p, mono_t now, struct outbox *out)
{
    uint8_t msg[INNER_PROBE_LEN];
    struct session *s = peer_sending_key(p, now);
    size_t len = probe_encode(msg, sizeof(msg), INNER_PROBE, INNER_PROBE_LEN, (uint32_t)drbg_u64(&ps->drbg));
    if (!s)
        return;
    peer_send_word(ps, p, s, peer_destination(ps, p), now, msg, len, out);
    p->probed = now;
}

void member_suspect(struct peers *ps, struct peer *p, mono_t now)
{
    p->probed = MONO_NEVER;
    p->suspect = true;
    shake_want(ps, p, now);
}

/* ---- leaving ---- */

void peer_forget_sessions(struct peers *ps, struct peer *p)
{
    struct session **const all[] = {&p->current, &p->previous, &p->next};
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        session_free(&ps->sessions, *all[i]);
        *all[i] = NULL;
    }
}

bool peers_leave(struct peers *ps, mono_t now, struct outbox *out)
{
    uint8_t msg[INNER_BYE_LEN];
    size_t len = bye_encode(msg, sizeof(msg));
    unsigned n = 0;
    for (struct peer *p = ps->by_key; p && n < OUTPUT_MAX; p = p->by_key.next) {
        struct session *s = peer_sending_key(p, now);
        if (!s)
            continue;
        peer_send_word(ps, p, s, peer_destination(ps, p), now, msg, len, out);
        peer_forget_sessions(ps, p);
        n++;
    }
    return n == OUTPUT_MAX;
}

void member_left(struct peers *ps, struct peer *p, mono_t now)
{
    peer_forget_sessions(ps, p);
    way_free(p);
    shake_want(ps, p, now);
}
