/* Words about middle-boxes: as they are drawn, byte for byte; cut short, too long, or with bits which nobody uses they are refused. */
#include "daemon/middlebox/word.h"

#include <check.h>
#include <stdlib.h>

#include "tests/lib/suite.h"

static const uint8_t token[] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct box_word sample(unsigned kind)
{
    struct box_word w = {.kind = (enum box_kind)kind, .num = 0x8123};
    memset(w.key, 0x4b, sizeof(w.key));
    memcpy(w.token, token, sizeof(token));
    switch (kind) {
    case BOX_OPEN:
        w.flags = BOX_ANONYMOUS | BOX_PROVEN;
        w.n = 2;
        w.mtu = 1396;
        memset(w.mac, 0x4d, sizeof(w.mac));
        for (unsigned i = 0; i < 2; i++) {
            memset(w.rest[i].key, 0x61 + (int)i, KEY_LEN);
            memset(w.rest[i].member, 0x31 + (int)i, MEMBER_LEN);
        }
        break;
    case BOX_OPENED:
    case BOX_MTU:
        w.mtu = 1200;
        break;
    case BOX_CLOSE:
        w.why = BOX_LOOP;
        w.hops = 1;
        break;
    case BOX_IMPOSE:
        w.num = 0;
        w.n = 2;
        memset(w.keys[0], 0x61, KEY_LEN);
        memset(w.keys[1], 0x62, KEY_LEN);
        break;
    case BOX_ALERT:
        w.time = 0x0102030405060708;
        strcpy(w.text, "a worm");
        break;
    }
    return w;
}

/* What is not said of itself by an X is as in the drawing: kA is 32 times the letter A, mA 8 times, and so on. */
static const struct {
    unsigned kind;
    const char *bytes;
} golden[] = {
    {BOX_OPEN, "1b 01 81 23 t 03 02 05 74 K M16 a m1 b m2"},
    {BOX_OPENED, "1b 02 81 23 04 b0 00 00"},
    {BOX_MTU, "1b 03 81 23 04 b0 00 00"},
    {BOX_CLOSE, "1b 04 81 23 02 01 00 00"},
    {BOX_MEMBER, "1b 05 81 23 t K"},
    {BOX_INTRODUCE, "1b 06 81 23 t K"},
    {BOX_IMPOSE, "1b 07 02 00 a b"},
    {BOX_ALERT, "1b 08 81 23 t K 61 20 77 6f 72 6d"},
    {BOX_ASK, "1b 09 81 23 00 00 00 00"},
};

static size_t spelt(const char *s, uint8_t *out)
{
    size_t n = 0;
    while (*s) {
        char *end;
        if (*s == ' ') {
            s++;
        } else if (!strncmp(s, "t", 1)) {
            memcpy(out + n, token, 8), n += 8, s++;
        } else if (!strncmp(s, "M16", 3)) {
            memset(out + n, 'M', 16), n += 16, s += 3;
        } else if (*s == 'K') {
            memset(out + n, 'K', 32), n += 32, s++;
        } else if ((s[0] == 'a' || s[0] == 'b') && (s[1] == ' ' || !s[1])) {
            memset(out + n, s[0], 32), n += 32, s++;
        } else if (*s == 'm') {
            memset(out + n, s[1], 8), n += 8, s += 2;
        } else {
            out[n++] = (uint8_t)strtoul(s, &end, 16), s = end;
        }
    }
    return n;
}

START_TEST(words_are_as_drawn)
{
    struct box_word w = sample(golden[_i].kind), back;
    uint8_t got[BOX_WORD_MAX], want[BOX_WORD_MAX];
    size_t n = spelt(golden[_i].bytes, want);
    ck_assert_uint_eq(box_word_encode(got, sizeof(got), &w), n);
    ck_assert_mem_eq(got, want, n);
    ck_assert(!box_word_decode(want, n, &back));
    ck_assert_uint_eq(box_word_encode(got, sizeof(got), &back), n);
    ck_assert_mem_eq(got, want, n);
}
END_TEST

START_TEST(words_that_are_cut_or_longer_are_refused)
{
    struct box_word w = sample(golden[_i].kind), back;
    uint8_t got[BOX_WORD_MAX + 300];
    size_t n = box_word_encode(got, sizeof(got), &w), least = golden[_i].kind == BOX_ALERT ? 45 : n;
    for (size_t len = 0; len < least; len++) {
        ck_assert_msg(box_word_decode(got, len, &back), "%zu bytes of %zu", len, n);
        ck_assert_msg(!box_word_encode(got + 300, len, &w), "%zu bytes of room", len);
    }
    box_word_encode(got, sizeof(got), &w);
    got[n] = 'x';
    ck_assert(golden[_i].kind == BOX_ALERT ? !box_word_decode(got, n + 1, &back) : box_word_decode(got, n + 1, &back) != 0);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    struct box_word w, back;
    uint8_t p[BOX_WORD_MAX + 300] = {0};
    static const struct {
        unsigned kind, at;
        uint8_t is;
    } bad[] = {{BOX_OPEN, 13, 4}, {BOX_OPEN, 0, 0x1c}, {BOX_OPENED, 7, 1}, {BOX_CLOSE, 6, 1}, {BOX_ASK, 4, 1}, {BOX_IMPOSE, 2, 9}, {BOX_IMPOSE, 2, 0},
        {BOX_IMPOSE, 3, 1}, {BOX_MTU, 1, 0}, {BOX_MTU, 1, 10}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        w = sample(bad[i].kind);
        size_t n = box_word_encode(p, sizeof(p), &w);
        p[bad[i].at] = bad[i].is;
        ck_assert_msg(box_word_decode(p, n, &back), "case %zu", i);
    }
    w = sample(BOX_OPEN);
    w.num = 0;
    size_t n = box_word_encode(p, sizeof(p), &w);
    ck_assert(box_word_decode(p, n, &back)); /* 0 is no route */
    w = sample(BOX_ALERT);
    n = box_word_encode(p, sizeof(p), &w);
    ck_assert(box_word_decode(p, 44 + BOX_ALERT_TEXT + 1, &back));
    ck_assert(!box_word_decode(p, 44 + BOX_ALERT_TEXT, &back));
    memcpy(p + 44, "\x1b[2J\n", 5);
    ck_assert(!box_word_decode(p, n, &back));
    ck_assert_str_eq(back.text, "?[2J?m"); /* nothing that moves a cursor */
}
END_TEST

START_TEST(a_proof_holds_for_one_member_one_end_and_one_way)
{
    uint8_t group[KEY_LEN] = {0, 1}, end[KEY_LEN] = {0, 2}, other[KEY_LEN] = {0, 3}, group_pub[KEY_LEN], end_pub[KEY_LEN], other_pub[KEY_LEN];
    uint8_t made[BOX_PROOF_LEN], checked[BOX_PROOF_LEN], member[KEY_LEN] = {9}, token2[8] = {9};
    x25519_public(group_pub, group);
    x25519_public(end_pub, end);
    x25519_public(other_pub, other);
    ck_assert(box_proof(made, group, end_pub, token, member));
    ck_assert(box_proof(checked, end, group_pub, token, member));
    ck_assert_mem_eq(made, checked, sizeof(made));
    ck_assert(box_proof(checked, end, other_pub, token, member)); /* another group */
    ck_assert_mem_ne(made, checked, sizeof(made));
    ck_assert(box_proof(checked, end, group_pub, token2, member));
    ck_assert_mem_ne(made, checked, sizeof(made));
    member[31] = 1;
    ck_assert(box_proof(checked, end, group_pub, token, member));
    ck_assert_mem_ne(made, checked, sizeof(made));
    memset(end_pub, 0, sizeof(end_pub));
    ck_assert(!box_proof(made, group, end_pub, token, member));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("middlebox/word");
    TCase *t = tcase_create("words");
    int n = (int)(sizeof(golden) / sizeof(golden[0]));
    tcase_add_loop_test(t, words_are_as_drawn, 0, n);
    tcase_add_loop_test(t, words_that_are_cut_or_longer_are_refused, 0, n);
    tcase_add_test(t, what_cannot_be_is_refused);
    tcase_add_test(t, a_proof_holds_for_one_member_one_end_and_one_way);
    suite_add_tcase(s, t);
    return suite_run(s);
}
