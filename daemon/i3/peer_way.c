/* By which way packets go to a peer, and how large they may be: path.h and pmtu.h, their words sealed and sent. */
#include "daemon/i3/peer_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"

#define TALKED (600 * USEC_PER_SEC) /* before we fell asleep */

enum {
    PROBE_MAX = 9000, /* as the largest MTU of a config */
    WOKEN_MAX = 256,  /* peers that are called upon waking */
};

/* ---- the size ---- */

/* What both ends allow, less what the way takes. */
static uint16_t size_max(const struct peer *p)
{
    return p->mtu > p->extra ? (uint16_t)(p->mtu - p->extra) : p->mtu;
}

static void size_start(struct peers *ps, struct peer *p, bool direct, mono_t now, uint32_t rtt_us)
{
    if (ps->c.probe_mtu)
        pmtu_start_in(&p->pmtu[direct], now, size_max(p), p->extra, rtt_us, (uint32_t)drbg_u64(&ps->drbg));
}

void peers_size_anew(struct peers *ps, mono_t now)
{
    for (struct peer *p = ps->by_key; p; p = p->by_key.next) {
        if (!p->pmtu[0].max)
            continue;
        size_start(ps, p, false, now, 0);
        peer_arm(ps, p, way_deadline(p));
    }
}

uint16_t way_mtu(const struct peer *p)
{
    const struct pmtu *m = &p->pmtu[way_is_direct(p)];
    return m->max && m->mtu < size_max(p) ? m->mtu : size_max(p);
}

static void tell_mtu(struct peers *ps, struct peer *p)
{
    char id[ID_STR];
    uint16_t mtu = way_mtu(p);
    if (mtu == p->told_mtu || !p->told_mtu)
        return;
    log_info("peer id=%s mtu=%u %s", id_short(&p->public_id, id), mtu,
        ps->c.by_id ? (p->extra ? "detour" : "direct") : way_is_direct(p) ? "direct" : "relayed");
    p->told_mtu = mtu;
    if (!p->has_event)
        peer_tell(ps, p, PEER_MTU, 0);
}

static void size_run(struct peers *ps, struct peer *p, struct session *s, bool direct, mono_t now, struct outbox *out)
{
    uint8_t msg[PROBE_MAX];
    uint32_t id;
    uint16_t size;
    const struct addr *at = direct ? path_address(p->path) : peer_first_node(ps, p, &s->remote);
    for (unsigned i = 0; i < 2 && (size = pmtu_output(&p->pmtu[direct], now, &id)); i++) {
        size_t len = probe_encode(msg, sizeof(msg), INNER_PROBE, size, id);
        unsigned before = out->n;
        if (len)
            peer_send_word(ps, p, s, at, now, msg, len, out);
        if (out->n > before)
            outbox_alone(out);
    }
}

/* ---- the way ---- */

void way_consent(struct peers *ps, struct peer *p, bool theirs, mono_t now)
{
    p->refuses_shortcut = !theirs;
    if (!peer_wants_shortcut(ps, p) || !theirs)
        way_free(p);
    else if (!p->path && (p->path = malloc(sizeof(*p->path))))
        path_init(p->path, now, &ps->drbg);
}

void way_free(struct peer *p)
{
    free(p->path);
    p->path = NULL;
}

void way_up(struct peers *ps, struct peer *p, mono_t now)
{
    if (p->pmtu[0].max != size_max(p))
        size_start(ps, p, false, now, p->rtt_us);
    if (way_is_direct(p) && p->pmtu[1].max != size_max(p))
        size_start(ps, p, true, now, p->rtt_us);
    if (p->path && !way_is_direct(p))
        path_renew(p->path, now);
    p->told_mtu = way_mtu(p); /* by PEER_UP */
    peer_arm(ps, p, way_deadline(p));
}

/* The way in use may be another one now. */
static void look(struct peers *ps, struct peer *p, mono_t now)
{
    struct addr at = way_is_direct(p) ? *path_address(p->path) : (struct addr){0};
    char id[ID_STR], s[ADDR_STR];
    if (!addr_eq(&at, &p->straight)) {
        p->straight = at;
        if (at.family) {
            uint32_t rtt = p->path->c[p->path->active].rtt_us;
            log_info("peer id=%s shortcut address=%s rtt=%u", id_short(&p->public_id, id), addr_str(&at, s), rtt);
            size_start(ps, p, true, now, rtt);
        } else {
            char why[PATH_WORDS];
            way_relayed_why(ps, p, now, why);
            log_info("peer id=%s relayed: %s", id_short(&p->public_id, id), why);
        }
    }
    tell_mtu(ps, p);
}

void way_run(struct peers *ps, struct peer *p, mono_t now, struct outbox *out)
{
    struct session *s = peer_sending_key(p, now);
    uint8_t msg[INNER_MAX];
    struct addr to;
    size_t len;
    if (!s)
        return;
    for (unsigned i = 0; p->path && i < PATH_OUTPUT_MAX; i++) {
        len = path_output(p->path, now, &ps->own, &ps->drbg, &to, msg);
        if (!len)
            break;
        peer_send_word(ps, p, s, to.family ? &to : peer_first_node(ps, p, &s->remote), now, msg, len, out);
    }
    look(ps, p, now);
    size_run(ps, p, s, false, now, out);
    if (way_is_direct(p))
        size_run(ps, p, s, true, now, out);
    tell_mtu(ps, p);
    peer_arm(ps, p, way_deadline(p));
}

static void probed(struct peers *ps, struct peer *p, mono_t now, const struct addr *from, const uint8_t *msg, size_t len,
    struct outbox *out)
{
    struct session *s = peer_sending_key(p, now);
    uint8_t answer[INNER_PROBE_LEN];
    uint16_t size;
    uint32_t id;
    if (!s || probe_decode(msg, len, INNER_PROBE, &size, &id))
        return;
    probe_encode(answer, sizeof(answer), INNER_PROBE_ACK, size, id);
    peer_send_word(ps, p, s, from ? from : peer_first_node(ps, p, &s->remote), now, answer, sizeof(answer), out);
}

static void answered(struct peer *p, mono_t now, const uint8_t *msg, size_t len)
{
    uint16_t size;
    uint32_t id;
    if (probe_decode(msg, len, INNER_PROBE_ACK, &size, &id))
        return;
    for (unsigned i = 0; i < 2; i++) /* ids are random at the start: it is of one of both at most */
        pmtu_input(&p->pmtu[i], now, size, id);
}

void way_input(struct peers *ps, struct peer *p, mono_t now, const struct addr *from, const uint8_t *msg, size_t len,
    struct outbox *out)
{
    unsigned kind = inner_kind(msg, len);
    if (kind == INNER_PROBE)
        probed(ps, p, now, from, msg, len, out);
    else if (kind == INNER_PROBE_ACK)
        answered(p, now, msg, len);
    else if (p->path)
        path_input(p->path, now, &ps->own, &ps->drbg, from, msg, len);
    way_run(ps, p, now, out);
}

mono_t way_deadline(const struct peer *p)
{
    mono_t at = p->path ? path_deadline(p->path) : MONO_NEVER;
    at = mono_min(at, pmtu_deadline(&p->pmtu[0]));
    return way_is_direct(p) ? mono_min(at, pmtu_deadline(&p->pmtu[1])) : at;
}

void peer_way_changed(struct peers *ps, struct peer *p, mono_t now, uint16_t extra)
{
    p->extra = extra;
    if (p->pmtu[0].max)
        size_start(ps, p, false, now, p->rtt_us);
    tell_mtu(ps, p);
    if (p->shake)
        p->shake->due = now;
    if (p->shake || p->current || p->next)
        peer_arm(ps, p, now);
}

/* ---- what the machine tells ---- */

void peers_set_own(struct peers *ps, mono_t now, const struct path_own *own)
{
    ps->own = *own;
    for (struct peer *p = ps->by_key; p; p = p->by_key.next)
        if (p->path && path_moved(p->path, now))
            peer_arm(ps, p, now);
}

void peers_uprooted(struct peers *ps, mono_t now)
{
    for (struct peer *p = ps->by_key; p; p = p->by_key.next) {
        p->unanswered = p->probed = MONO_NEVER; /* that was elsewhere */
        p->suspect = false;
        if (p->path && path_uprooted(p->path, now, &ps->drbg))
            peer_arm(ps, p, now);
        if (p->path)
            look(ps, p, now);
    }
}

void peers_woke(struct peers *ps, mono_t asleep, mono_t now)
{
    unsigned n = 0;
    for (struct peer *p = ps->by_key; p && n < WOKEN_MAX; p = p->by_key.next) {
        const struct session *s = p->current ? p->current : p->next;
        if (!s || mono_since(p->last_received, asleep) > TALKED)
            continue;
        shake_want(ps, p, now);
        n++;
    }
}

void peers_send_failed(struct peers *ps, mono_t now, const struct addr *to)
{
    for (struct peer *p = ps->by_key; p; p = p->by_key.next) {
        if (!p->path)
            continue;
        path_fail(p->path, now, to);
        look(ps, p, now);
    }
}

void peers_too_big(struct peers *ps, mono_t now, const struct addr *to, size_t len)
{
    uint16_t size = len > PEER_SEAL_OVERHEAD && len < UINT16_MAX ? (uint16_t)(len - PEER_SEAL_OVERHEAD) : 0;
    for (struct peer *p = ps->by_key; p; p = p->by_key.next) {
        bool direct = way_is_direct(p) && addr_eq(to, path_address(p->path));
        const struct session *s = p->current ? p->current : p->next;
        if (!direct && !addr_eq(to, peer_first_node(ps, p, s ? &s->remote : &p->public_id)))
            continue;
        pmtu_too_big(&p->pmtu[direct], now, size > peer_via_len(p) ? (uint16_t)(size - peer_via_len(p)) : 0);
        tell_mtu(ps, p);
        if (p->current || p->next)
            peer_arm(ps, p, way_deadline(p));
    }
}

void way_relayed_why(const struct peers *ps, const struct peer *p, mono_t now, char out[PATH_WORDS])
{
    if (p->path && peer_wants_shortcut(ps, p))
        path_words(p->path, now, ps->own.nat, out);
    else
        snprintf(out, PATH_WORDS, "%s", p->boxes.n ? "it goes through middle-boxes" : p->n_via ? "it goes by others, as the book says" : !peer_wants_shortcut(ps, p) ? "shortcut = no" : p->refuses_shortcut ? "the peer wants no shortcut" : "no session yet");
}
