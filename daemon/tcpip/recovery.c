/* Loss: RACK's detection (RFC 8985), recovery with PRR (RFC 6937), time-outs (RFC 6298), tail loss probes, and taking
 * it back when it was none (Eifel, RFC 3522/4015). */
#include "daemon/tcpip/engine.h"

#include <errno.h>

#include "daemon/base/log.h"

enum { DUP_THRESHOLD = 3, PROBES_MAX = 4 };

static void phase_begin(struct conn *c, enum phase phase)
{
    c->phase = (uint8_t)phase;
    c->recovery_point = c->snd_nxt;
    c->undo_armed = c->undo_barred = false;
    c->prr_delivered = c->prr_out = 0;
    c->prr_flight = c->snd_nxt - c->snd_una;
    c->probe_end = 0;
}

/* All of a path go back to CUBIC together: what one of them found holds for the others, who would starve it else. */
static void all_back(struct tcpip *t, struct path *p, const struct cc_law *law)
{
    for (struct link *l = p->conns.next; l != &p->conns && p->company.paced; l = l->next) {
        struct conn *c = LIST_OWNER(l, struct conn, on_path);
        if (c->cc.law->paced && !c->choice.fixed)
            conn_law(t, c, law, true);
    }
}

static void change_law(struct tcpip *t, struct conn *c, const struct cc_law *law)
{
    if (!law || !c->sack_ok)
        return;
    log_debug("tcp slot=%u law=%s lost=%llu of %llu", c->ref.slot, law->name, (unsigned long long)c->lost,
        (unsigned long long)c->board.rate.delivered);
    c->path->company.lossy_until = law->paced ? t->now + LOSSY_US : 0;
    c->path->company.lossy_rto = c->rto.base < RTO_INITIAL ? c->rto.base : RTO_INITIAL;
    if (law->paced)
        conn_law(t, c, law, true);
    else
        all_back(t, c->path, law);
}

static void loss_event(struct tcpip *t, struct conn *c)
{
    bool starting = !c->cc.law->paced && c->cc.ssthresh == UINT64_MAX;
    c->cc.law->loss(&c->cc, t->now);
    change_law(t, c, choice_loss(&c->choice, c->cc.law, &c->path->company, t->now, c->board.rate.delivered, c->lost));
    c->start_again = starting && c->choice.unexplained && !c->started_again && !c->cc.law->paced;
    c->started_again |= c->start_again;
}

void recovery_enter(struct tcpip *t, struct conn *c)
{
    t->stats.fast_retransmits++;
    loss_event(t, c);
    phase_begin(c, PHASE_RECOVERY);
}

static void recovery_leave(struct conn *c)
{
    if (c->phase == PHASE_RECOVERY && !c->cc.law->paced)
        c->cc.cwnd = c->cc.ssthresh;
    if (c->phase == PHASE_RECOVERY && !c->cc.law->paced && c->start_again)
        c->cc.ssthresh = UINT64_MAX;
    c->start_again = false;
    c->phase = PHASE_OPEN;
    c->undo_armed = false;
}

/* How much later than the latest arrival a segment may still come without being held lost. */
static uint64_t reorder_window(const struct conn *c)
{
    bool losing = c->phase != PHASE_OPEN || c->board.bytes[RUN_SACKED] >= (uint64_t)DUP_THRESHOLD * c->mss;
    if (!c->rack.reordering && losing)
        return 0;
    if (c->rto.min_rtt == UINT32_MAX)
        return 0;
    return min64((uint64_t)c->rto.min_rtt / 4 * c->rack.steps, c->rto.srtt);
}

void recovery_detect(struct tcpip *t, struct conn *c)
{
    uint64_t next = UINT64_MAX, lost = 0;
    if (c->sack_ok)
        lost = scoreboard_detect(&c->board, &c->rack, t->now, reorder_window(c), &next);
    else if (c->dupacks >= DUP_THRESHOLD && c->phase == PHASE_OPEN)
        lost = scoreboard_lose(&c->board, c->snd_una, c->snd_una + c->mss);
    c->lost += lost;
    if (lost && c->phase == PHASE_OPEN)
        recovery_enter(t, c);
    if (next == UINT64_MAX)
        timer_clear(c, TIMER_REORDER);
    else
        timer_set(t, c, TIMER_REORDER, next);
}

/* The ACK of what was sent again echoes a timestamp from before: the first copy had arrived. */
static bool recovery_spurious(const struct conn *c, const struct segment *s, const struct delivery *d)
{
    return c->phase != PHASE_OPEN && c->undo_armed && !c->undo_barred && d->acked_retx && s->has_stamps && c->stamps &&
           (int32_t)(s->ts_ecr - c->undo_stamp) < 0;
}

static void recovery_undo(struct conn *c)
{
    c->cc.law->undo(&c->cc);
    if (!c->cc.law->paced) /* where losses are the rule, one that was none does not vouch for the others */
        scoreboard_unlose(&c->board);
    c->phase = PHASE_OPEN;
    c->undo_armed = false;
    c->rto.backoff = 0;
    c->rack.reordering = true;
    if (c->rack.steps < 16)
        c->rack.steps++;
}

/* RFC 6937: for each byte that arrives, ssthresh / flight bytes go out; what was lost beyond that is made up slowly. */
static void prr_ack(struct conn *c, uint64_t delivered)
{
    uint64_t pipe = scoreboard_pipe(&c->board), ssthresh = c->cc.ssthresh, out;
    pipe -= min64(pipe, c->dup_bytes);
    c->prr_delivered += delivered;
    if (pipe > ssthresh) {
        uint64_t share = (c->prr_delivered * ssthresh + c->prr_flight - 1) / (c->prr_flight ? c->prr_flight : 1);
        out = share > c->prr_out ? share - c->prr_out : 0;
    } else {
        uint64_t owed = c->prr_delivered > c->prr_out ? c->prr_delivered - c->prr_out : 0;
        out = min64(ssthresh - pipe, max64(owed, delivered) + c->mss);
    }
    if (!c->prr_out && out < c->mss)
        out = c->mss; /* the fast retransmit itself */
    c->cc.cwnd = pipe + out;
}

/* A probe went out and everything up to it has arrived: when it was a copy that nobody reports as superfluous,
 * it has repaired a loss, which counts as one (RFC 8985 7.4.2). */
static void probe_ack(struct tcpip *t, struct conn *c, bool dsack)
{
    if (!c->probe_end)
        return;
    if (dsack) {
        c->probe_end = 0;
    } else if (c->snd_una >= c->probe_end) {
        if (c->probe_was_copy && c->phase == PHASE_OPEN) {
            loss_event(t, c);
            c->cc.cwnd = min64(c->cc.cwnd, c->cc.ssthresh);
        }
        c->probe_end = 0;
    }
}

static void paced_ack(struct tcpip *t, struct conn *c, const struct delivery *d, struct cc_ack *a)
{
    if (a->delivered)
        c->probes = 0;
    a->rate_limited = d->limited;
    a->total = c->board.rate.delivered;
    a->prior = d->prior;
    a->lost = c->lost;
    a->pipe = scoreboard_pipe(&c->board);
    a->rttvar = c->rto.rttvar;
    a->floor = choice_floor(&c->choice);
    a->probed_at = c->path->company.probed_at;
    if (a->delivered)
        c->cc.law->ack(&c->cc, a);
    c->path->company.probed_at = max64(c->path->company.probed_at, c->cc.probe_at);
    change_law(t, c, choice_ack(&c->choice, &c->cc, t->now, a->total, a->lost));
}

static void law_ack(struct tcpip *t, struct conn *c, const struct delivery *d, uint64_t delivered, uint32_t rtt)
{
    uint64_t rate = scoreboard_rate(&c->board, d, c->rto.min_rtt); /* whoever asks: what the next sample needs is noted there */
    struct cc_ack a = {.rate = rate, .now = t->now, .delivered = delivered, .snd_una = c->snd_una, .snd_nxt = c->snd_nxt, .rtt = rtt,
        .srtt = c->rto.srtt, .min_rtt = c->rto.min_rtt, .limited = c->limited || c->phase == PHASE_LOSS};
    if (c->cc.law->paced)
        paced_ack(t, c, d, &a);
    else if (delivered)
        c->cc.law->ack(&c->cc, &a);
}

void recovery_ack(struct tcpip *t, struct conn *c, const struct segment *s, const struct delivery *d, uint32_t rtt,
    bool dsack)
{
    uint64_t delivered = d->acked + d->sacked;
    if (!c->sack_ok && c->dupacks)
        delivered += c->mss;
    if (recovery_spurious(c, s, d))
        recovery_undo(c);
    probe_ack(t, c, dsack);
    if (c->phase != PHASE_OPEN && c->snd_una >= c->recovery_point)
        recovery_leave(c);
    else if (c->phase == PHASE_RECOVERY && !c->sack_ok && d->acked) /* RFC 6582: a partial ACK shows the next hole */
        scoreboard_lose(&c->board, c->snd_una, c->snd_una + c->mss);
    if (rtt) {
        choice_rtt(&c->choice, t->now, rtt);
        path_rtt(c->path, t->now, rtt);
    }
    recovery_detect(t, c);
    if (c->phase == PHASE_RECOVERY && !c->cc.law->paced)
        prr_ack(c, delivered);
    else
        law_ack(t, c, d, delivered, rtt);
    if (!c->cc.law->paced && c->rto.min_rtt != UINT32_MAX && c->rto.min_rtt >= PACED_RTT_US)
        cc_pace(&c->cc, c->snd_nxt - c->snd_una, c->rto.srtt, c->rto.min_rtt);
    else if (!c->cc.law->paced)
        c->cc.pacing = 0;
}

/* ---- timers ---- */

enum { THIN_SEGMENTS = 4, THIN_RETRIES = 6 };

/* A peer that has shut its window on what is in flight, and says so, is not gone: our copies serve as probes. */
static bool shut_but_alive(const struct tcpip *t, const struct conn *c)
{
    return conn_synced(c) && !c->snd_wnd && !c->orphan && t->now - c->last_in < 2ull * RTO_MAX;
}

static bool too_many(const struct tcpip *t, const struct conn *c)
{
    int more = c->rto.base < RTO_INITIAL ? LOSSY_RETRIES : 0;
    if (shut_but_alive(t, c))
        return false;
    if (c->state == ST_SYN_SENT)
        return c->retries > SYN_RETRIES + more;
    if (c->state == ST_SYN_RCVD)
        return c->retries > SYN_ACK_RETRIES + more;
    if (c->orphan)
        return c->retries > ORPHAN_RETRIES;
    return c->retries > DATA_RETRIES && t->now - c->last_in >= t->cfg.patience_us;
}

/* Everything in flight counts as lost, and goes again from one segment on. The window is cut once per event: not when
 * the same data times out again, nor when a recovery ends in a time-out; that one is not taken back either. */
static void enter_loss(struct tcpip *t, struct conn *c)
{
    bool fresh = c->phase == PHASE_OPEN || c->snd_una >= c->recovery_point;
    if (fresh && c->snd_wnd) /* a shut window drops what is in flight, too, and that says nothing of the path */
        loss_event(t, c);
    if (fresh || c->phase == PHASE_RECOVERY)
        phase_begin(c, PHASE_LOSS);
    c->undo_barred |= !fresh && !c->undo_armed;
    c->cc.cwnd = c->cc.law->paced ? CC_INITIAL_SEGMENTS * (uint64_t)c->mss : c->mss;
    if (c->board.n && c->board.v[c->board.head].state == RUN_SACKED)
        scoreboard_forget_sacks(&c->board); /* RFC 2018 8: the receiver has reneged */
    scoreboard_lose(&c->board, c->snd_una, c->snd_nxt);
    c->dupacks = 0;
    c->dup_bytes = 0;
    timer_clear(c, TIMER_REORDER);
    conn_show_flight(t, c);
}

void recovery_timeout(struct tcpip *t, struct conn *c)
{
    t->stats.timeouts++;
    c->retries += c->retries < UINT8_MAX;
    if (too_many(t, c)) {
        if (conn_synced(c))
            conn_reset(t, c, conn_timeout_error(c));
        else
            conn_fail(t, c, ETIMEDOUT);
        return;
    }
    /* So few in flight that their loss says little of congestion: the first time-outs do not back off, or a path that loses
     * one packet in five would be silent for most of the time. */
    uint64_t flight = c->snd_nxt - c->snd_una - c->board.bytes[RUN_SACKED];
    bool thin = conn_synced(c) && c->retries <= THIN_RETRIES && flight <= THIN_SEGMENTS * (uint64_t)c->mss;
    bool early = !conn_synced(c) && c->retries <= SYN_LINEAR;
    c->rto.backoff += !thin && !early && c->rto.backoff < 16;
    if (conn_synced(c)) {
        enter_loss(t, c);
    } else {
        c->syn_due = true;
        t->stats.retransmits++;
    }
    conn_activate(t, c);
    c->rexmit = REXMIT_RTO;
    timer_set(t, c, TIMER_REXMIT, t->now + rto_value(&c->rto));
}

/* If it has timed out already: that was no congestion, and what went again was too large as well. */
void recovery_narrowed(struct tcpip *t, struct conn *c)
{
    if (!conn_synced(c) || !c->retries || c->rexmit != REXMIT_RTO || c->snd_una == c->snd_nxt)
        return;
    scoreboard_lose(&c->board, c->snd_una, c->snd_nxt);
    conn_show_flight(t, c);
    c->rto.backoff = 0;
    conn_activate(t, c);
    timer_set(t, c, TIMER_REXMIT, t->now + rto_value(&c->rto));
}

/* Where many are lost the last copy of the first hole may be, too, and nothing behind it is left to show that. */
static void probe_hole(struct tcpip *t, struct conn *c)
{
    scoreboard_lose(&c->board, c->snd_una, min64(c->snd_una + c->mss, c->snd_nxt));
    conn_show_flight(t, c);
    c->force_one = true;
    conn_activate(t, c);
}

/* RFC 8985 7.3: new data if there is any, or the last segment again. */
void recovery_probe(struct tcpip *t, struct conn *c)
{
    if (c->cc.law->paced && c->snd_una < c->snd_nxt) {
        c->probes++;
        recovery_arm(t, c);
        if (c->phase != PHASE_OPEN || c->probes > 1) {
            probe_hole(t, c);
            return;
        }
    } else {
        c->rexmit = REXMIT_RTO;
        timer_set(t, c, TIMER_REXMIT, t->now + rto_value(&c->rto));
    }
    if (c->snd_una == c->snd_nxt || c->phase != PHASE_OPEN)
        return;
    bool fresh = c->snd_nxt < c->snd_end && c->snd_una + c->snd_wnd >= min64(c->snd_nxt + c->mss, c->snd_end);
    c->probe_was_copy = !fresh;
    c->probe_end = fresh ? min64(c->snd_nxt + c->mss, c->snd_end) : c->snd_nxt;
    if (!fresh) {
        uint64_t from = c->snd_nxt - min64(c->mss, c->snd_nxt - c->snd_una);
        scoreboard_lose(&c->board, from, c->snd_nxt);
    }
    c->force_one = true;
    conn_activate(t, c);
}

/* A paced connection may ask several times, ever more rarely, and during recovery as well. */
static bool may_probe(const struct conn *c)
{
    if (!conn_synced(c) || !c->sack_ok || !c->rto.srtt)
        return false;
    return c->cc.law->paced ? c->probes < PROBES_MAX : c->phase == PHASE_OPEN && !c->probe_end && !c->board.bytes[RUN_LOST];
}

/* For whatever is in flight now: a probe if one is allowed, else the time-out. */
void recovery_arm(struct tcpip *t, struct conn *c)
{
    if (c->snd_una == c->snd_nxt) {
        timer_clear(c, TIMER_REXMIT);
        return;
    }
    uint64_t wait = rto_value(&c->rto);
    c->rexmit = REXMIT_RTO;
    if (may_probe(c)) {
        bool alone = c->snd_nxt - c->snd_una <= c->mss && !c->probes;
        uint64_t probe = 2ull * c->rto.srtt + (alone ? 60000 : 2000); /* alone, its ACK may be a delayed one */
        probe <<= c->probes;
        if (probe < wait) {
            wait = probe;
            c->rexmit = REXMIT_PROBE;
        }
    }
    timer_set(t, c, TIMER_REXMIT, t->now + wait);
}

/* RFC 9293 3.8.6.1: the window is shut and nothing is in flight: ask, ever more rarely. */
void recovery_arm_persist(struct tcpip *t, struct conn *c)
{
    uint64_t wait = (uint64_t)c->rto.base << (c->persist_backoff > 16 ? 16 : c->persist_backoff);
    c->rexmit = REXMIT_PERSIST;
    timer_set(t, c, TIMER_REXMIT, t->now + min64(wait, RTO_MAX));
}
