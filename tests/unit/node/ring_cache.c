/* A node between two others that are played here: what it learns of owners farther off, from whom, and for how long it believes it. */
#include <check.h>
#include <stdlib.h>

#include "daemon/node/ring.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

static const uint8_t secret[BLAKE2S_LEN] = {3}, no_secret[BLAKE2S_LEN] = {4};

static struct ring *ring;
static struct outbox out;
static mono_t now;
/* Round the ring: us, next, far, behind, us. Only `far` never speaks unless asked about. */
static struct ring_contact next, far, behind;
static bool far_answers;
static struct ring_message found; /* what an answer to the last FIND has to be */

static struct ring_contact contact(uint8_t n)
{
    struct i3_id id;
    struct ring_contact c = {.addr = addr_v4(0xc0000200u + n, 5610)};
    memset(c.key, n, KEY_LEN);
    id_of_key(&id, c.key, NULL);
    c.pos = ring_pos_of(id.b);
    return c;
}

static void say(const struct ring_contact *from, const struct addr *address, struct ring_message m, const uint8_t *with)
{
    uint8_t p[RING_MAX_LEN];
    struct bytes payload;
    m.sender = *from;
    m.to = ring_self(ring)->pos;
    size_t len = ring_encode(p, sizeof(p), &m, with);
    ck_assert_uint_gt(len, 0);
    ring_input(ring, now, address, p, len, &payload, &out);
}

static const struct ring_contact *at(const struct addr *a)
{
    return addr_eq(a, &next.addr) ? &next : addr_eq(a, &far.addr) ? &far : addr_eq(a, &behind.addr) ? &behind : NULL;
}

static void answer(const struct ring_contact *who, const struct ring_message *m)
{
    struct ring_message taken = {.type = RING_TAKEN, .nonce = m->nonce}, state = {.type = RING_STATE, .nonce = m->nonce};
    if (m->type == RING_FIND) {
        found = (struct ring_message){.type = RING_FOUND, .hops = 2, .nonce = m->origin_nonce, .from = next.pos};
        say(who, &who->addr, taken, secret);
    }
    if (m->type == RING_ASK && (who != &far || far_answers)) {
        if (who == &next)
            state.n = 1, state.successor[0] = behind, state.predecessor = *ring_self(ring);
        say(who, &who->addr, state, secret);
    }
}

/* Everybody does what is to be done now. */
static void settle(void)
{
    static struct outbox sent;
    if (mono_due(ring_deadline(ring), now))
        ring_expire(ring, now, &out);
    while (out.n) {
        sent = out;
        for (unsigned i = 0; i < sent.n; i++) /* its arena has moved with it */
            sent.v[i].data = sent.arena + (out.v[i].data - out.arena);
        outbox_clear(&out);
        for (unsigned i = 0; i < sent.n; i++) {
            struct ring_message m;
            const struct ring_contact *who = at(&sent.v[i].to);
            if (who && ring_decode(sent.v[i].data, sent.v[i].len, &m, secret) == 0)
                answer(who, &m);
        }
    }
}

static void pass(uint64_t us)
{
    for (uint64_t t = 0; t < us; t += 10 * MS) {
        now = mono_add(now, 10 * MS);
        settle();
    }
}

static bool is_between(const struct ring_contact *a, const struct ring_contact *x, const struct ring_contact *b)
{
    return ring_between(a->pos, x->pos, b->pos);
}

static void setup(void)
{
    struct ring_config c;
    ring_config_default(&c);
    struct ring_contact self = contact(1);
    memcpy(c.key, self.key, KEY_LEN);
    memcpy(c.secret, secret, sizeof(secret));
    c.self = self.addr;
    now = (mono_t){SEC};
    ring = ring_new(&c, now);
    far_answers = true;
    outbox_clear(&out);
    for (uint8_t n = 2;; n = (uint8_t)(n + 3)) { /* three in this order */
        next = contact(n), far = contact((uint8_t)(n + 1)), behind = contact((uint8_t)(n + 2));
        if (is_between(&self, &next, &far) && is_between(&far, &behind, &self))
            break;
    }
    say(&next, &next.addr, (struct ring_message){.type = RING_ASK, .nonce = 1, .flags = RING_NOTIFY}, secret);
    settle();
    say(&behind, &behind.addr, (struct ring_message){.type = RING_ASK, .nonce = 2, .flags = RING_NOTIFY}, secret);
    settle();
    ck_assert(ring_successor(ring, 0)->pos == next.pos && ring_predecessor(ring)->pos == behind.pos);
}

static void teardown(void)
{
    ring_free(ring);
}

static const struct ring_contact *way(void)
{
    const struct ring_contact *c = ring_next(ring, now, far.pos - 5, &out);
    settle();
    return c;
}

static void look_up(void)
{
    ring_learn(ring, now, far.pos - 5, &out);
    settle();
    ck_assert_uint_eq(found.type, RING_FOUND);
}

static void learn(void)
{
    look_up();
    say(&far, &far.addr, found, secret);
    ck_assert(ring_knows(ring, now, far.pos));
}

START_TEST(what_lies_in_a_found_owners_range_goes_straight_there)
{
    ck_assert(way()->pos == next.pos);
    ck_assert(!ring_knows(ring, now, far.pos));
    learn();
    ck_assert(way()->pos == far.pos);
    ck_assert(ring_knows(ring, now, next.pos + 1));
    ck_assert(!ring_knows(ring, now, far.pos + 1)); /* the next one's */
}
END_TEST

START_TEST(answers_of_strangers_and_to_other_questions_teach_nothing)
{
    look_up();
    struct ring_contact mallory = contact(200);
    struct ring_message wrong = found, aside = found;
    wrong.nonce++;
    aside.from = far.pos - 3; /* a range in which the target does not lie */
    say(&mallory, &mallory.addr, found, no_secret);
    say(&far, &far.addr, found, no_secret);
    say(&far, &far.addr, wrong, secret);
    say(&far, &mallory.addr, found, secret); /* copied, and sent from elsewhere */
    ck_assert(!ring_knows(ring, now, far.pos));
    say(&far, &far.addr, aside, secret);
    ck_assert(!ring_knows(ring, now, far.pos));
    ck_assert(way()->pos == next.pos);
    look_up();
    say(&far, &far.addr, found, secret);
    ck_assert(way()->pos == far.pos);
    say(&mallory, &mallory.addr, found, secret); /* once */
    ck_assert(way()->pos == far.pos);
}
END_TEST

START_TEST(an_owner_is_believed_for_thirty_seconds)
{
    learn();
    for (unsigned s = 0; s < 29; s++) {
        pass(SEC);
        ck_assert(way()->pos == far.pos);
        ck_assert(ring_knows(ring, now, far.pos) == (s < 19)); /* in time to learn it anew */
    }
    pass(1100 * MS);
    ck_assert(!ring_knows(ring, now, far.pos));
    ck_assert(way()->pos == next.pos);
}
END_TEST

START_TEST(an_owner_that_falls_silent_is_left_at_once)
{
    learn();
    for (unsigned i = 0; i < 20; i++) {
        pass(50 * MS);
        ck_assert(way()->pos == far.pos);
    }
    far_answers = false;
    uint64_t took = 0;
    for (; way()->pos == far.pos; took += 10 * MS)
        pass(10 * MS);
    ck_assert_msg(took <= 320 * MS, "%llu ms", (unsigned long long)(took / MS));
}
END_TEST

START_TEST(an_owner_nobody_sends_to_is_not_asked)
{
    struct ring_stats before, after;
    learn();
    far_answers = false;
    ring_stats(ring, &before);
    pass(5 * SEC);
    ring_stats(ring, &after);
    ck_assert(ring_knows(ring, now, far.pos));
    ck_assert_uint_eq(after.silent, before.silent);
}
END_TEST

START_TEST(what_is_learned_is_bounded)
{
    struct ring_stats s;
    for (unsigned i = 0; i < 3 * RING_CACHE; i++) {
        struct ring_contact c = {.addr = addr_v4(0xc6336400u + i, 5610)};
        struct i3_id id;
        memcpy(c.key, &i, sizeof(i));
        id_of_key(&id, c.key, NULL);
        c.pos = ring_pos_of(id.b);
        if (ring_owns(ring, c.pos))
            continue;
        ring_learn(ring, now, c.pos, &out);
        settle();
        found.from = c.pos - 1;
        say(&c, &c.addr, found, secret);
        ck_assert(ring_knows(ring, now, c.pos));
        pass(10 * MS);
    }
    ring_stats(ring, &s);
    ck_assert_uint_eq(s.cached, RING_CACHE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node/ring_cache");
    TCase *t = tcase_create("ring_cache");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_lies_in_a_found_owners_range_goes_straight_there);
    tcase_add_test(t, answers_of_strangers_and_to_other_questions_teach_nothing);
    tcase_add_test(t, an_owner_is_believed_for_thirty_seconds);
    tcase_add_test(t, an_owner_that_falls_silent_is_left_at_once);
    tcase_add_test(t, an_owner_nobody_sends_to_is_not_asked);
    tcase_add_test(t, what_is_learned_is_bounded);
    suite_add_tcase(s, t);
    return suite_run(s);
}
