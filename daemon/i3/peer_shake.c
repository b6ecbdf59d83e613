/* Making keys: when a handshake starts, what repeats it, what ends it (rules in peer.h). */
#include "daemon/i3/peer_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/secret.h"

/* ---- starting and ending ---- */

static void want_at(struct peers *ps, struct peer *p, mono_t at)
{
    p->wanted = true;
    p->start = at;
    peer_arm(ps, p, at);
}

bool shake_may_start(const struct peers *ps)
{
    static const uint8_t none[MEMBER_LEN];
    return memcmp(ps->c.member, none, sizeof(none)) == 0;
}

void shake_want(struct peers *ps, struct peer *p, mono_t at)
{
    if (p->shake || p->wanted || p->barred || !shake_may_start(ps))
        return;
    if (p->last_start.us != MONO_NEVER.us && mono_since(p->last_start, at) < HANDSHAKE_PAUSE)
        at = mono_add(p->last_start, HANDSHAKE_PAUSE);
    want_at(ps, p, at);
}

static void shake_fail(struct peers *ps, struct peer *p, int err);

void peer_bar(struct peers *ps, struct peer *p, bool barred)
{
    if (p->barred == barred)
        return;
    p->barred = barred;
    if (!barred)
        return;
    bool waited = p->wanted || p->shake;
    shake_cancel(ps, p);
    peer_forget_sessions(ps, p);
    way_free(p);
    p->unanswered = p->probed = p->keepalive = MONO_NEVER;
    if (waited)
        peer_tell(ps, p, PEER_UNREACHABLE, EHOSTUNREACH);
}

void peer_has_no_way(struct peers *ps, struct peer *p)
{
    if (p->shake)
        shake_fail(ps, p, EHOSTUNREACH);
}

bool peer_is_barred(const struct peer *p)
{
    return p->barred;
}

/* Those who were asked already answer to an id with the old key, so they are asked anew. */
void peers_renew(struct peers *ps, mono_t now)
{
    for (struct peer *p = ps->by_key; p; p = p->by_key.next) {
        bool asks = p->shake != NULL;
        if (!asks && !p->current && !p->next)
            continue;
        if (asks)
            shake_cancel(ps, p);
        p->last_start = MONO_NEVER;
        shake_want(ps, p, now);
    }
}

unsigned peers_behind(const struct peers *ps, mono_t now)
{
    unsigned n = 0;
    for (const struct peer *p = ps->by_key; p; p = p->by_key.next) {
        const struct session *s = p->current;
        if (!s && !p->next)
            continue;
        bool new = s && !memcmp(s->local.b, ps->sessions.prefix, ID_PREFIX_LEN);
        n += !new || (!s->heard && mono_since(s->created, now) < TAKE_UP_PATIENCE);
    }
    return n;
}

static void shake_free(struct handshake *h)
{
    noise_wipe(&h->noise);
    secret_free(h);
}

void shake_cancel(struct peers *ps, struct peer *p)
{
    p->wanted = false;
    if (!p->shake)
        return;
    session_free(&ps->sessions, p->shake->session);
    shake_free(p->shake);
    p->shake = NULL;
}

static void shake_fail(struct peers *ps, struct peer *p, int err)
{
    char id[ID_STR];
    if (!ps->c.anonymous)
        log_info("peer id=%s handshake failed err=%d", id_short(&p->public_id, id), err);
    shake_cancel(ps, p);
    peer_tell(ps, p, PEER_UNREACHABLE, err);
}

static struct hello hello_of(
    const struct peers *ps, const struct peer *p, const struct session *s, unsigned ciphers)
{
    return (struct hello){
        .id = s->local,
        .own_address = ps->c.own_address,
        .your_address = p->local && !ps->c.anonymous ? p->local : p->address,
        .ciphers = (uint8_t)ciphers,
        .flags = (peer_wants_shortcut(ps, p) ? HELLO_SHORTCUT : 0) | (peer_wants_plain(ps, p) ? HELLO_PLAIN : 0),
        .mtu = (uint16_t)(ps->c.mtu - peer_via_len(p)),
        .recv_buffer = ps->c.recv_buffer,
    };
}

static void take_hello(struct peers *ps, struct peer *p, const struct hello *h, mono_t now)
{
    p->mtu = (uint16_t)(ps->c.mtu - peer_via_len(p));
    if (h->mtu && h->mtu < p->mtu)
        p->mtu = h->mtu;
    p->recv_buffer = h->recv_buffer;
    if (h->own_address)
        p->address = h->own_address;
    if (h->your_address)
        p->we_are = h->your_address;
    /* another key for its private ids: most likely it was started anew, and where it was is nobody */
    if (p->current && memcmp(p->current->remote.b, h->id.b, ID_PREFIX_LEN)) {
        way_free(p);
        p->anew = true;
    }
    way_consent(ps, p, h->flags & HELLO_SHORTCUT, now);
}

/* Said by both inside the handshake, which nobody else can change. */
static bool plain_agreed(const struct peers *ps, const struct peer *p, const struct hello *theirs)
{
    return peer_wants_plain(ps, p) && theirs->flags & HELLO_PLAIN;
}

static void shake_start(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us)
{
    uint8_t e_priv[KEY_LEN];
    struct handshake *h = secret_new(sizeof(*h));
    p->wanted = false;
    p->last_start = now;
    p->shake = h;
    if (!h || !(h->session = session_new(&ps->sessions, p, &ps->drbg))) {
        shake_fail(ps, p, ENOMEM);
        return;
    }
    struct hello hello = hello_of(ps, p, h->session, ps->c.ciphers);
    p->our_time = hello.time = wall_us > p->our_time ? wall_us : p->our_time + 1;
    drbg_draw(&ps->drbg, e_priv, sizeof(e_priv));
    handshake_start(&h->noise, ps->c.priv, ps->c.pub, p->key);
    int err = init_write(&h->noise, e_priv, &hello, h->init);
    crypto_wipe(e_priv, sizeof(e_priv));
    h->init_len = INIT_LEN + (err ? 0 : init_write_boxes(&h->noise, &p->boxes, h->init + INIT_LEN));
    if (err) {
        shake_fail(ps, p, EHOSTUNREACH);
        return;
    }
    h->first = h->due = now;
}

/* ---- time ---- */

mono_t shake_deadline(const struct peer *p)
{
    if (p->shake)
        return mono_min(p->shake->due, mono_add(p->shake->first, HANDSHAKE_LIFE));
    return p->wanted ? p->start : MONO_NEVER;
}

/* Where an INIT goes: to the member that we have talked with; if that does not answer, to all. */
static void init_target(const struct peer *p, mono_t now, struct i3_id *to)
{
    const struct handshake *h = p->shake;
    bool stands = (p->current || p->next) && !p->suspect;
    unsigned alone = peer_is_group(p) && stands ? 2 : 1;
    bool all = h->tries >= alone && (!stands || mono_since(h->first, now) > 2ull * p->rtt_us);
    *to = p->public_id;
    if (all)
        memset(to->b + ID_PREFIX_LEN, 0xff, ID_LEN - ID_PREFIX_LEN);
    else
        memcpy(to->b + ID_PREFIX_LEN, peer_is_group(p) ? p->member : p->ask, MEMBER_LEN);
}

static void send_init(struct peers *ps, struct peer *p, mono_t now, struct outbox *out)
{
    struct handshake *h = p->shake;
    struct i3_id to;
    bool shown = !mono_due(p->cookie_until, now);
    init_target(p, now, &to);
    init_set_return(h->init, shown || h->tries ? &h->session->local : NULL, shown ? p->cookie : NULL);
    peer_push_shake(ps, p, &to, PROTO_HANDSHAKE_INIT, h->init, h->init_len, h->tries > 0, out);
    ps->unanswered += h->tries > 0;
    uint64_t pause = h->tries < 3 ? HANDSHAKE_REPEAT << h->tries : HANDSHAKE_REPEAT_MAX;
    h->tries++;
    h->last = now;
    h->due = mono_add(now, pause - pause / 10 + drbg_u64(&ps->drbg) % (pause / 5));
}

void shake_expire(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us, struct outbox *out)
{
    if (p->wanted && !p->shake && mono_due(p->start, now))
        shake_start(ps, p, now, wall_us);
    if (!p->shake)
        return;
    if (mono_since(p->shake->first, now) >= HANDSHAKE_LIFE)
        shake_fail(ps, p, ETIMEDOUT);
    else if (mono_due(p->shake->due, now))
        send_init(ps, p, now, out);
}

void shake_not_present(struct peers *ps, struct peer *p, mono_t now, const struct wire_not_present *np)
{
    struct handshake *h = p->shake;
    if (!h || !h->tries || memcmp(h->init, np->echo, sizeof(np->echo)) != 0 || h->not_present_try == h->tries)
        return;
    h->not_present_try = h->tries; /* one count per INIT sent */
    if (++h->not_present < 2 || mono_since(h->first, now) < ABSENT_PATIENCE)
        return;
    if (!h->saw_theirs) {
        shake_fail(ps, p, EHOSTUNREACH);
        return;
    }
    /* It is there after all, only its trigger is not: give way to the INIT which it repeats. */
    shake_cancel(ps, p);
    want_at(ps, p, mono_add(now, PATIENCE_MIN));
}

/* ---- at the responder ---- */

#define LOAD_TOLD_EVERY (60 * USEC_PER_SEC)

static void tell_load(struct peers *ps, mono_t now)
{
    if (ps->told_load && mono_since(ps->load_told_at, now) < LOAD_TOLD_EVERY)
        return;
    ps->told_load = true;
    ps->load_told_at = now;
    log_warn("handshakes too many per_s=%u: strangers are asked for a cookie inits=%llu read=%llu", GATE_FREE_PER_S,
        (unsigned long long)ps->load.inits, (unsigned long long)ps->load.read);
}

/* By our node, whoever it is for: what is known of owners is for ids that we want to talk to. False: no room. */
static bool push_cookie(struct peers *ps, const uint8_t *init, const uint8_t cookie[COOKIE_BODY_LEN], struct outbox *out)
{
    struct i3_id to;
    uint8_t *p = ps->node.family ? outbox_alloc(out, DATA_HEADER_LEN + COOKIE_BODY_LEN) : NULL;
    if (!p)
        return false;
    memcpy(to.b, init_return(init), ID_LEN);
    data_header_to(p, &to, PROTO_COOKIE);
    memcpy(p + DATA_HEADER_LEN, cookie, COOKIE_BODY_LEN);
    return outbox_push(out, &ps->node, p, DATA_HEADER_LEN + COOKIE_BODY_LEN);
}

/* May this INIT have a Diffie-Hellman? */
static enum gate_verdict afford(struct peers *ps, mono_t now, const uint8_t *init, struct outbox *out)
{
    uint8_t cookie[COOKIE_BODY_LEN];
    enum gate_verdict v = gate_input(&ps->gate, now, init, cookie);
    ps->load.inits++;
    if (gate_is_loaded(&ps->gate, now))
        tell_load(ps, now);
    if (v == GATE_ANSWER && !push_cookie(ps, init, cookie, out))
        v = GATE_DROP;
    if (v == GATE_READ && !budget_take(&ps->handshakes, now, HANDSHAKE_PRICE, HANDSHAKES_BURST))
        v = GATE_DROP;
    ps->load.cookies += v == GATE_ANSWER;
    ps->load.read += v == GATE_READ;
    ps->load.dropped += v == GATE_DROP;
    return v;
}

struct peers_load peers_load(const struct peers *ps, mono_t now)
{
    struct peers_load load = ps->load;
    load.now = gate_is_loaded(&ps->gate, now);
    return load;
}

static void push_response(struct peers *ps, struct session *s, mono_t now, struct outbox *out)
{
    peer_push_shake(ps, s->peer, &s->remote, PROTO_HANDSHAKE_RESPONSE, s->response, RESPONSE_LEN, true, out);
    s->response_sent = now;
}

/* Both have asked at once: true when ours stands and theirs is not to be answered. */
static bool ours_wins(struct peers *ps, struct peer *p, mono_t now)
{
    struct handshake *h = p->shake;
    if (!h || !h->tries)
        return false;
    if (memcmp(ps->c.pub, p->key, KEY_LEN) > 0)
        return false;
    if (mono_since(h->first, now) >= TIE_BREAK)
        return false; /* ours has not got through for long: answer, and keep it going all the same */
    h->saw_theirs = true;
    if (h->tries == 1) { /* it is there, so if ours is not answered soon, it was lost */
        h->due = mono_min(h->due, mono_add(h->last, TIE_REPEAT));
        peer_arm(ps, p, h->due);
    }
    return true;
}

/* The private id and the key, and its RESPONSE. */
static enum peer_verdict answer_init(struct peers *ps, struct peer *p, struct noise *n,
    const struct hello *theirs, mono_t now, struct outbox *out)
{
    uint8_t e_priv[KEY_LEN];
    unsigned common = theirs->ciphers & ps->c.ciphers;
    struct session *s = session_new(&ps->sessions, p, &ps->drbg);
    if (!s)
        return PEER_DROP;
    struct hello mine = hello_of(ps, p, s, common & -common);
    memcpy(mine.member, ps->c.member, MEMBER_LEN);
    drbg_draw(&ps->drbg, e_priv, sizeof(e_priv));
    int err = response_write(n, e_priv, &mine, s->response);
    crypto_wipe(e_priv, sizeof(e_priv));
    if (err) {
        session_free(&ps->sessions, s);
        return PEER_DROP;
    }
    session_free(&ps->sessions, p->next);
    p->next = s;
    p->their_answered = true;
    take_hello(ps, p, theirs, now);
    session_set_keys(&ps->sessions, s, n, false, mine.ciphers, plain_agreed(ps, p, theirs), &theirs->id, now);
    push_response(ps, s, now, out);
    peer_arm(ps, p, mono_add(now, SESSION_LIFE));
    return PEER_CONTROL;
}

static enum peer_verdict genuine_init(struct peers *ps, struct peer *p, struct noise *n,
    const struct hello *theirs, const struct peer_boxes *boxes, const uint8_t *mac1, mono_t now, struct outbox *out)
{
    bool again = memcmp(p->their_mac1, mac1, MAC_LEN) == 0;
    if (theirs->time < p->their_time || (theirs->time == p->their_time && !again)) {
        p->replays++;
        return PEER_DROP;
    }
    p->their_time = theirs->time;
    memcpy(p->their_mac1, mac1, MAC_LEN);
    p->their_answered = false;
    if (ours_wins(ps, p, now))
        return PEER_CONTROL;
    if (ps->c.boxes)
        ps->c.boxes(ps->c.ctx, p, boxes);
    bool ours_stays = p->shake && memcmp(ps->c.pub, p->key, KEY_LEN) < 0;
    bool waiting = p->wanted || (p->shake && !ours_stays);
    enum peer_verdict verdict = answer_init(ps, p, n, theirs, now, out);
    if (verdict == PEER_DROP || ours_stays || !waiting)
        return verdict;
    /* Whoever waits for our own handshake gets this key instead, or ours is tried again. */
    shake_cancel(ps, p);
    want_at(ps, p, mono_add(now, PATIENCE_MIN));
    return verdict;
}

/* INIT: from whom, at the price of one Diffie-Hellman; strangers end here and leave no trace. */
enum peer_verdict shake_input_init(
    struct peers *ps, mono_t now, const struct wire_data *d, struct outbox *out, struct peer **who)
{
    struct noise n;
    struct hello theirs;
    struct peer_boxes boxes;
    enum peer_verdict verdict = PEER_DROP;
    if (d->n != 1 || memcmp(d->ids, ps->public_id.b, ID_PREFIX_LEN) != 0 ||
        !init_is_for(ps->mac1_key, d->payload, d->payload_len))
        return PEER_DROP;
    enum gate_verdict gate = afford(ps, now, d->payload, out);
    if (gate != GATE_READ)
        return gate == GATE_ANSWER ? PEER_CONTROL : PEER_DROP;
    const uint8_t *mac1 = init_mac1(d->payload);
    handshake_start(&n, ps->c.priv, ps->c.pub, NULL);
    if (noise_read_init_key(&n, d->payload, INIT_NOISE_LEN) || !ps->c.known(ps->c.ctx, n.rs))
        goto out;
    struct peer *p = peer_by_key(ps, n.rs);
    if (p && p->their_answered && memcmp(p->their_mac1, mac1, MAC_LEN) == 0) {
        /* answered already: the same RESPONSE until the key is in use, silence from then on */
        if (p->next && p->next->response_asked++ < RESPONSE_ASKED_MAX) {
            push_response(ps, p->next, now, out);
            *who = p;
            verdict = PEER_CONTROL;
        }
        goto out;
    }
    if (init_read(&n, d->payload, &theirs) || init_read_boxes(&n, d->payload, d->payload_len, &boxes) || !(theirs.ciphers & ps->c.ciphers))
        goto out;
    if (!p && !(p = ps->c.meet ? ps->c.meet(ps->c.ctx, n.rs) : peer_get(ps, n.rs, 0)))
        goto out;
    *who = p;
    verdict = genuine_init(ps, p, &n, &theirs, &boxes, mac1, now, out);
out:
    noise_wipe(&n);
    return verdict;
}

void shake_confirmed(struct peers *ps, struct peer *p, mono_t now)
{
    shake_cancel(ps, p);
    p->handshakes++;
    peer_tell(ps, p, PEER_UP, 0);
    way_up(ps, p, now);
}

/* ---- at the initiator ---- */

static void note_rtt(struct peer *p, mono_t now)
{
    uint64_t us = mono_since(p->shake->last, now);
    if (p->shake->tries == 1 || !p->rtt_us)
        p->rtt_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* True: another member of the group has answered than the last time, who is gone with all that it knew. */
static bool take_member(struct peers *ps, struct peer *p, const uint8_t member[MEMBER_LEN])
{
    bool moved = peer_is_group(p) && memcmp(p->member, member, MEMBER_LEN);
    memcpy(p->member, member, MEMBER_LEN);
    if (!moved)
        return false;
    session_free(&ps->sessions, p->current);
    session_free(&ps->sessions, p->next);
    p->current = p->next = NULL;
    way_free(p);
    p->pmtu[0] = p->pmtu[1] = (struct pmtu){0};
    return true;
}

/* Another member has answered than the one with which a session stands: that may have been cut off for a while, as everybody was, so
 * it has the first word. True: not yet, and the INIT is repeated soon. */
static bool wait_for_old(struct peers *ps, struct peer *p, const uint8_t member[MEMBER_LEN], mono_t now)
{
    struct handshake *h = p->shake;
    if (!p->current || !peer_is_group(p) || !memcmp(p->member, member, MEMBER_LEN))
        return false;
    if (h->other_at.us && mono_since(h->other_at, now) >= MEMBER_CHANCE)
        return false;
    if (!h->other_at.us) {
        h->other_at = now;
        h->due = mono_min(h->due, mono_add(now, MEMBER_CHANCE));
        peer_arm(ps, p, h->due);
    }
    return true;
}

/* RESPONSE to the INIT that runs. */
static enum peer_verdict answered(
    struct peers *ps, struct peer *p, mono_t now, const struct wire_data *d, struct outbox *out)
{
    struct hello theirs;
    struct session *s = p->shake->session;
    struct noise n = p->shake->noise; /* a copy: a forged one must not spoil it */
    if (d->payload_len != RESPONSE_LEN || p->shake->forged > RESPONSES_FORGED_MAX ||
        response_read(&n, d->payload, d->payload_len, &theirs) || !(theirs.ciphers & ps->c.ciphers) ||
        theirs.ciphers & (theirs.ciphers - 1)) {
        noise_wipe(&n);
        p->forged++;
        p->shake->forged++;
        return PEER_DROP;
    }
    if (wait_for_old(ps, p, theirs.member, now)) {
        noise_wipe(&n);
        return PEER_CONTROL;
    }
    note_rtt(p, now);
    bool moved = take_member(ps, p, theirs.member);
    take_hello(ps, p, &theirs, now);
    p->by_boxes = p->shake->init_len > INIT_LEN;
    session_set_keys(&ps->sessions, s, &n, true, theirs.ciphers, plain_agreed(ps, p, &theirs), &theirs.id, now);
    memcpy(s->response, d->payload, RESPONSE_LEN);
    shake_free(p->shake);
    p->shake = NULL;
    p->wanted = false;
    session_free(&ps->sessions, p->previous);
    p->previous = p->current;
    p->current = s;
    p->handshakes++;
    peer_heard(p, now);
    peer_tell(ps, p, PEER_UP, 0);
    p->event.moved |= moved;
    way_up(ps, p, now);
    peer_arm(ps, p, mono_add(now, SESSION_LIFE));
    peer_send_empty(ps, p, s, now, out); /* so that the peer knows the key works */
    return PEER_CONTROL;
}

enum peer_verdict shake_input_response(
    struct peers *ps, mono_t now, const struct wire_data *d, struct outbox *out, struct peer **who)
{
    struct session *s = d->n == 1 ? session_find(&ps->sessions, d->ids) : NULL;
    if (!s)
        return PEER_DROP;
    struct peer *p = s->peer;
    enum peer_verdict verdict = PEER_DROP;
    if (p->shake && p->shake->session == s) {
        verdict = answered(ps, p, now, d, out);
    } else if (s->initiator && !s->heard && s->response_repeats < CONFIRMS_MAX && session_may_send(s, now) &&
               d->payload_len == RESPONSE_LEN && memcmp(s->response, d->payload, RESPONSE_LEN) == 0) {
        s->response_repeats++; /* the confirmation seems to be lost */
        peer_send_empty(ps, p, s, now, out);
        verdict = PEER_CONTROL;
    }
    if (verdict == PEER_CONTROL)
        *who = p;
    return verdict;
}

enum peer_verdict shake_input_cookie(struct peers *ps, mono_t now, const struct wire_data *d, struct peer **who)
{
    struct session *s = d->n == 1 && d->payload_len == COOKIE_BODY_LEN ? session_find(&ps->sessions, d->ids) : NULL;
    struct handshake *h = s ? s->peer->shake : NULL;
    if (!h || h->session != s || !h->tries || !crypto_equal(d->payload, init_mac1(h->init), MAC_LEN))
        return PEER_DROP;
    struct peer *p = *who = s->peer;
    memcpy(p->cookie, d->payload + MAC_LEN, MAC_LEN);
    p->cookie_until = mono_add(now, GATE_EPOCH);
    ps->load.cookies_taken++;
    if (h->cookies++ < COOKIES_TAKEN_MAX) {
        h->due = now;
        peer_arm(ps, p, now);
    }
    return PEER_CONTROL;
}
