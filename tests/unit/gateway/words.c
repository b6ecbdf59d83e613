/* Words between a user's daemon and its gateway: golden bytes, truncation, what is refused. */
#include "daemon/gateway/words.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/lib/suite.h"

static const uint8_t ask_bytes[] = {0x19, 1, 0, 3, 0x01, 0x02, 0x03, 0x04, 10, 9, 8, 7, 0xfd, 0x69, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'a', '.', 'b'};
static const uint8_t answer_bytes[] = {0x19, 2, 6, 3, 0x01, 0x02, 0x03, 0x04, 10, 9, 8, 7, 0, 0, 1, 0x2c};
static const uint8_t unknown_bytes[] = {0x19, 3, 0, 0, 10, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
static const uint8_t refused_bytes[] = {0x19, 4, 9, 6, 10, 9, 8, 7, 0x01, 0xbb, 0x9c, 0x40};

START_TEST(words_have_the_bytes_that_the_drawing_shows)
{
    uint8_t out[GATE_WORD_MAX];
    struct gate_ask a = {.serial = 0x01020304, .ip = 0x0a090807, .name = "a.b"}, back;
    struct gate_answer w = {GATE_FORBIDDEN, GATE_HAS_4 | GATE_HAS_6, 0x01020304, 0x0a090807, 300}, w2;
    struct gate_unknown u = {.ip = 0x0a090807, .ip6 = {[15] = 1}}, u2;
    struct gate_refused r = {GATE_TIMED_OUT, 6, 0x0a090807, 443, 40000}, r2;
    memcpy(a.ip6, ask_bytes + 12, 16);
    ck_assert_uint_eq(gate_ask_encode(out, sizeof(out), &a), sizeof(ask_bytes));
    ck_assert_mem_eq(out, ask_bytes, sizeof(ask_bytes));
    ck_assert(!gate_ask_decode(out, sizeof(ask_bytes), &back) && back.serial == a.serial && back.ip == a.ip && !strcmp(back.name, "a.b"));
    ck_assert_mem_eq(back.ip6, a.ip6, 16);
    ck_assert_uint_eq(gate_answer_encode(out, sizeof(out), &w), sizeof(answer_bytes));
    ck_assert_mem_eq(out, answer_bytes, sizeof(answer_bytes));
    ck_assert(!gate_answer_decode(out, sizeof(answer_bytes), &w2) && w2.status == GATE_FORBIDDEN && w2.families == 3 && w2.ttl == 300 && w2.ip == w.ip);
    ck_assert_uint_eq(gate_unknown_encode(out, sizeof(out), &u), sizeof(unknown_bytes));
    ck_assert_mem_eq(out, unknown_bytes, sizeof(unknown_bytes));
    ck_assert(!gate_unknown_decode(out, sizeof(unknown_bytes), &u2) && u2.ip == u.ip && u2.ip6[15] == 1);
    ck_assert_uint_eq(gate_refused_encode(out, sizeof(out), &r), sizeof(refused_bytes));
    ck_assert_mem_eq(out, refused_bytes, sizeof(refused_bytes));
    ck_assert(!gate_refused_decode(out, sizeof(refused_bytes), &r2) && r2.why == GATE_TIMED_OUT && r2.port == 443 && r2.client_port == 40000);
    ck_assert_uint_lt(sizeof(answer_bytes), GATE_ASK_LEN + 1); /* no answer is longer than its question */
}
END_TEST

/* Whatever is cut off or hung on. */
START_TEST(no_other_length_is_a_word)
{
    uint8_t longer[64] = {0};
    struct gate_ask a;
    struct gate_answer w;
    struct gate_unknown u;
    struct gate_refused r;
    for (size_t n = 0; n < sizeof(ask_bytes); n++)
        ck_assert_int_eq(gate_ask_decode(ask_bytes, n, &a), -EBADMSG);
    for (size_t n = 0; n < sizeof(answer_bytes); n++)
        ck_assert_int_eq(gate_answer_decode(answer_bytes, n, &w), -EBADMSG);
    for (size_t n = 0; n < sizeof(unknown_bytes); n++)
        ck_assert_int_eq(gate_unknown_decode(unknown_bytes, n, &u), -EBADMSG);
    for (size_t n = 0; n < sizeof(refused_bytes); n++)
        ck_assert_int_eq(gate_refused_decode(refused_bytes, n, &r), -EBADMSG);
    memcpy(longer, ask_bytes, sizeof(ask_bytes));
    ck_assert_int_eq(gate_ask_decode(longer, sizeof(ask_bytes) + 1, &a), -EBADMSG);
    memcpy(longer, answer_bytes, sizeof(answer_bytes));
    ck_assert_int_eq(gate_answer_decode(longer, sizeof(answer_bytes) + 1, &w), -EBADMSG);
}
END_TEST

START_TEST(names_are_of_one_to_253_bytes_without_a_nul)
{
    uint8_t out[GATE_WORD_MAX + 8], bad[sizeof(ask_bytes)];
    struct gate_ask a = {.serial = 1, .ip = 2}, back;
    ck_assert_uint_eq(gate_ask_encode(out, sizeof(out), &a), 0);
    memset(a.name, 'x', GATE_NAME_MAX);
    size_t n = gate_ask_encode(out, sizeof(out), &a);
    ck_assert_uint_eq(n, GATE_WORD_MAX);
    ck_assert(!gate_ask_decode(out, n, &back) && !strcmp(back.name, a.name));
    ck_assert_uint_eq(gate_ask_encode(out, GATE_WORD_MAX - 1, &a), 0);
    memcpy(bad, ask_bytes, sizeof(bad));
    bad[29] = 0;
    ck_assert_int_eq(gate_ask_decode(bad, sizeof(bad), &back), -EBADMSG);
    memcpy(bad, ask_bytes, sizeof(bad));
    bad[3] = 0;
    ck_assert_int_eq(gate_ask_decode(bad, GATE_ASK_LEN, &back), -EBADMSG);
}
END_TEST

START_TEST(a_status_of_a_newer_gateway_is_a_failure)
{
    uint8_t bytes[sizeof(answer_bytes)];
    struct gate_answer w;
    memcpy(bytes, answer_bytes, sizeof(bytes));
    bytes[2] = 200;
    ck_assert(!gate_answer_decode(bytes, sizeof(bytes), &w) && w.status == GATE_FAILED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gateway/words");
    TCase *tc = tcase_create("words");
    tcase_add_test(tc, words_have_the_bytes_that_the_drawing_shows);
    tcase_add_test(tc, no_other_length_is_a_word);
    tcase_add_test(tc, names_are_of_one_to_253_bytes_without_a_nul);
    tcase_add_test(tc, a_status_of_a_newer_gateway_is_a_failure);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
