/* Sessions between daemons over bad networks, in virtual time. */
#include "tests/sim/world.h"

#include <errno.h>
#include <string.h>

static bool both_stand(struct world *w)
{
    return world_info(w, 0, 1).standing && world_info(w, 1, 0).standing;
}

/* Packets arrive both ways; numbers from `first`. */
static void assert_talk(struct world *w, uint64_t first)
{
    uint64_t a = w->host[0].got, b = w->host[1].got;
    ck_assert_int_gt(world_packet(w, 0, 1, first, 100), 0);
    world_run(w, 2 * w->delay + w->jitter);
    ck_assert_uint_eq(w->host[1].got, b + 1);
    ck_assert_int_gt(world_packet(w, 1, 0, first + 1, 1400), 0);
    world_run(w, 2 * w->delay + w->jitter);
    ck_assert_uint_eq(w->host[0].got, a + 1);
    ck_assert_uint_eq(w->host[0].last_len, 1400);
    for (size_t i = 8; i < 1400; i++)
        ck_assert_uint_eq(w->host[0].last[i], (uint8_t)(first + 1 + i));
}

START_TEST(two_meet_and_talk)
{
    struct world *w = world_new(2, 1);
    world_open(w, 0, 1);
    world_run(w, 100 * MS);
    ck_assert(both_stand(w));
    ck_assert_uint_eq(w->host[0].ups, 1);
    ck_assert_uint_eq(w->host[1].ups, 1);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], 1);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_RESPONSE], 1);
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1);
    assert_talk(w, 0);
    struct peer_info i = world_info(w, 0, 1);
    ck_assert_uint_eq(i.handshake_rtt_us, 10 * MS);
    ck_assert_uint_eq(i.address, w->host[1].c.own_address);
    ck_assert_uint_eq(i.we_are, w->host[0].c.own_address);
    ck_assert_int_eq(i.cipher, CIPHER_AES256GCM);
    ck_assert_uint_eq(i.mtu, 1400);
    ck_assert_uint_eq(i.recv_buffer, 1 << 20);
    ck_assert_uint_eq(i.handshakes, 1);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/sessions");
    TCase *t = tcase_create("sessions");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_meet_and_talk);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
