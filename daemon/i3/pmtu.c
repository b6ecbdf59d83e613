#include "daemon/i3/pmtu.h"

#define GAP           (50 * USEC_PER_MSEC) /* and two round trips */
#define GAP_MAX       (500 * USEC_PER_MSEC) /* what is answered later counts all the same */
#define CONFIRM_PAUSE (1 * USEC_PER_SEC)
#define RAISE_PAUSE   (600 * USEC_PER_SEC)
#define RTT_GUESS     100000u

enum { IDS_MAX = 64 }; /* answers to older probes mean nothing */

static void rest(struct pmtu *m, mono_t now)
{
    m->state = PMTU_IDLE;
    m->probe = 0;
    m->base_due = false;
    m->due = MONO_NEVER;
    m->attention = mono_add(now, CONFIRM_PAUSE);
}

static void probe(struct pmtu *m, mono_t now, enum pmtu_state state, uint16_t size)
{
    m->state = state;
    m->probe = size;
    m->tries = 0;
    m->base_due = m->base_ok = false;
    m->due = now;
    m->attention = MONO_NEVER;
}

void pmtu_start(struct pmtu *m, mono_t now, uint16_t max, uint32_t rtt_us, uint32_t id)
{
    pmtu_start_in(m, now, max, 0, rtt_us, id);
}

void pmtu_start_in(struct pmtu *m, mono_t now, uint16_t max, uint16_t extra, uint32_t rtt_us, uint32_t id)
{
    uint16_t mtu = max < PMTU_USUAL ? max : PMTU_USUAL;
    *m = (struct pmtu){.max = max, .base = (uint16_t)(PMTU_BASE - extra), .mtu = mtu, .bad = (uint16_t)(max + 1), .first = id, .next = id,
        .rtt_us = rtt_us && rtt_us < RTT_GUESS ? rtt_us : RTT_GUESS, .raise_at = MONO_NEVER};
    if (max <= m->base + PMTU_GRAIN) {
        rest(m, now);
        m->attention = MONO_NEVER; /* there is nothing to find */
    } else {
        probe(m, now, PMTU_CONFIRM, mtu);
    }
}

/* The next size between what is known to work and what is not; the largest first when nothing speaks against it. */
static void search(struct pmtu *m, mono_t now)
{
    if (m->bad <= m->good + PMTU_GRAIN || m->good == m->max) {
        rest(m, now);
        m->searched = true;
        m->raise_at = mono_add(now, RAISE_PAUSE);
        return;
    }
    probe(m, now, PMTU_SEARCH, m->bad > m->max ? m->max : (uint16_t)((m->good + m->bad) / 2));
}

static void fall_back(struct pmtu *m, mono_t now, uint16_t bad)
{
    m->bad = bad;
    m->good = m->base;
    m->mtu = m->base;
    m->searched = false;
    search(m, now);
}

static unsigned tries_of(const struct pmtu *m)
{
    return m->probe > PMTU_USUAL && m->state == PMTU_SEARCH ? 2 : PMTU_TRIES;
}

static uint64_t gap(const struct pmtu *m)
{
    uint64_t us = (GAP + 2 * (uint64_t)m->rtt_us) << (m->tries == tries_of(m));
    return us < GAP_MAX ? us : GAP_MAX;
}

/* All tries of this size are over. */
static void failed(struct pmtu *m, mono_t now)
{
    if (m->state == PMTU_SEARCH) {
        m->bad = m->probe;
        search(m, now);
    } else if (m->base_ok) {
        fall_back(m, now, m->probe);
    } else {
        rest(m, now); /* dead, or dumb */
    }
}

uint16_t pmtu_output(struct pmtu *m, mono_t now, uint32_t *id)
{
    if (!mono_due(m->due, now))
        return 0;
    if (!m->base_due && m->tries == tries_of(m))
        failed(m, now);
    if (!mono_due(m->due, now))
        return 0;
    *id = m->next++;
    m->sent = now;
    if (m->base_due) {
        m->base_due = false;
        m->due = mono_add(now, gap(m));
        return m->base;
    }
    m->tries++;
    m->base_due = m->state == PMTU_CONFIRM && !m->base_ok && m->tries > (m->good > 0);
    if (!m->base_due)
        m->due = mono_add(now, gap(m));
    return m->probe;
}

mono_t pmtu_deadline(const struct pmtu *m)
{
    return m->max ? m->due : MONO_NEVER;
}

void pmtu_input(struct pmtu *m, mono_t now, uint16_t size, uint32_t id)
{
    uint32_t back = m->next - id;
    if (!m->max || back == 0 || back > IDS_MAX || back > m->next - m->first || size > m->max)
        return;
    if (back == 1) {
        uint64_t us = mono_since(m->sent, now) < GAP_MAX ? mono_since(m->sent, now) : GAP_MAX;
        m->rtt_us = (uint32_t)(us < m->rtt_us ? us : m->rtt_us + (us - m->rtt_us) / 4);
    }
    m->base_ok |= size == m->base;
    if (size <= m->base)
        return;
    if (size > m->good)
        m->good = size;
    if (m->good >= m->bad) /* it was lost for another reason, or late */
        m->bad = (uint16_t)(m->max + 1);
    if (m->good > m->mtu)
        m->mtu = m->good;
    if (!m->probe || size < m->probe)
        return;
    if (m->state == PMTU_SEARCH || !m->searched)
        search(m, now);
    else
        rest(m, now);
}

void pmtu_too_big(struct pmtu *m, mono_t now, uint16_t size)
{
    if (!m->max || size <= m->base || size >= m->bad)
        return;
    if (size <= m->mtu)
        fall_back(m, now, size);
    else if (m->state == PMTU_SEARCH && size == m->probe) {
        m->bad = size;
        search(m, now);
    }
}

void pmtu_attend(struct pmtu *m, mono_t now)
{
    if (m->state != PMTU_IDLE)
        return;
    if (mono_due(m->raise_at, now) && m->mtu < m->max) {
        m->raise_at = MONO_NEVER;
        m->bad = (uint16_t)(m->max + 1);
        search(m, now);
    } else if (m->mtu > m->base) {
        probe(m, now, PMTU_CONFIRM, m->mtu);
    } else {
        m->attention = m->raise_at;
    }
}
