/* Keys in TXT records: what is taken, what is passed over, what is wrong; and DNS replies around them. */
#include "daemon/naming/txtname.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static char key_a[KEY_STR_LEN + 1], key_b[KEY_STR_LEN + 1];

static void setup(void)
{
    uint8_t key[KEY_LEN];
    memset(key, 0x21, sizeof(key));
    key_format(key, key_a);
    memset(key, 0x22, sizeof(key));
    key_format(key, key_b);
}

/* $A and $B in a text stand for keys. */
static size_t text_of(const char *pattern, char *out, size_t cap)
{
    size_t n = 0;
    for (; *pattern && n + KEY_STR_LEN < cap; pattern++) {
        if (*pattern == '$') {
            memcpy(out + n, *++pattern == 'A' ? key_a : key_b, KEY_STR_LEN);
            n += KEY_STR_LEN;
        } else {
            out[n++] = *pattern;
        }
    }
    return n;
}

static const struct {
    const char *text;
    int err;
    unsigned nodes;
} texts[] = {
    {"i3=1 key=$A", 0, 0},
    {"i3=1 key=$A node=203.0.113.7:5610", 0, 1},
    {"i3=1 node=a node=b node=c node=d node=e key=$A", 0, 4},
    {"i3=1  key=$A ", 0, 0},
    {"i3=1 later=1 key=$A alone", 0, 0},
    {"v=spf1 -all", -ENOENT, 0},
    {"", -ENOENT, 0},
    {"i3", -ENOENT, 0},
    {"I3=1 key=$A", -ENOENT, 0},
    {" i3=1 key=$A", -ENOENT, 0},
    {"i3=", -EBADMSG, 0},
    {"i3=1", -EBADMSG, 0},
    {"i3=1key=$A", -EBADMSG, 0},
    {"i3=2 key=$A", -EBADMSG, 0},
    {"i3=10 key=$A", -EBADMSG, 0},
    {"i3=1 key=", -EBADMSG, 0},
    {"i3=1 key=abc", -EBADMSG, 0},
    {"i3=1 key=$Aa", -EBADMSG, 0},
    {"i3=1 key=$A key=$A", -EBADMSG, 0},
    {"i3=1 Key=$A", -EBADMSG, 0},
    {"i3=1 key=1111111111111111111111111111111111111111111111111111", -EBADMSG, 0},
    {"i3=1 key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EBADMSG, 0}, /* a weak point */
    {"i3=1 key=$A node=", -EBADMSG, 0},
    {"i3=1 key=$A node=0123456789012345678901234567890123456789012345678901234567890123", -EBADMSG, 0},
};

START_TEST(a_record_says_a_key)
{
    char text[600];
    struct txtname t;
    const char *why;
    size_t n = text_of(texts[_i].text, text, sizeof(text));
    ck_assert_int_eq(txtname_parse(text, n, &t, &why), texts[_i].err);
    ck_assert_msg((texts[_i].err == -EBADMSG) == (why != NULL), "%s", texts[_i].text);
    if (!texts[_i].err)
        ck_assert_uint_eq(t.n_nodes, texts[_i].nodes);
    if (!texts[_i].err)
        ck_assert_int_eq(t.key[0], 0x21);
}
END_TEST

/* A reply with these TXT records; "@" in front of one: it is a CNAME. Strings of `piece` bytes. */
static size_t reply_of(const char *const *records, unsigned ttl, size_t piece, uint8_t *out, size_t cap)
{
    struct writer w = writer_of(out, cap);
    uint16_t count = 0;
    while (records[count])
        count++;
    put_u16(&w, 7);
    put_u16(&w, 0x8180);
    put_u16(&w, 1);
    put_u16(&w, count);
    put_u32(&w, 0);
    put_bytes(&w, "\3_i3\3box\2i3", 12);
    put_u16(&w, 16);
    put_u16(&w, 1);
    for (unsigned i = 0; i < count; i++) {
        char text[600];
        bool alias = records[i][0] == '@';
        size_t n = text_of(records[i] + alias, text, sizeof(text)), strings = alias ? 0 : (n + piece - 1) / piece;
        put_u16(&w, 0xc00c);
        put_u16(&w, alias ? 5 : 16);
        put_u16(&w, 1);
        put_u32(&w, ttl + i);
        put_u16(&w, (uint16_t)(alias ? 2 : n + strings));
        if (alias)
            put_u16(&w, 0xc00c);
        for (size_t at = 0; !alias && at < n; at += piece) {
            put_u8(&w, (uint8_t)(n - at < piece ? n - at : piece));
            put_bytes(&w, text + at, n - at < piece ? n - at : piece);
        }
    }
    ck_assert(writer_ok(&w));
    return writer_len(&w);
}

static const struct {
    const char *records[4];
    int err;
} replies[] = {
    {{"i3=1 key=$A"}, 0},
    {{"v=spf1 -all", "i3=1 key=$A"}, 0},
    {{"@", "i3=1 key=$A"}, 0},
    {{"i3=1 key=$A", "i3=1 key=$A"}, 0},
    {{"i3=1 key=$A", "i3=1 key=$B"}, -EBADMSG},
    {{"i3=1 key=$A", "i3=2 key=$A"}, -EBADMSG},
    {{"i3=1 nokey"}, -EBADMSG},
    {{"v=spf1 -all"}, -ENOENT},
    {{"@"}, -ENOENT},
    {{NULL}, -ENOENT},
};

START_TEST(a_reply_has_one_key_or_none)
{
    uint8_t msg[2048];
    struct txtname t;
    const char *why;
    uint32_t ttl;
    for (size_t piece = 1; piece <= 255; piece += 50) {
        size_t n = reply_of(replies[_i].records, 30, piece, msg, sizeof(msg));
        ck_assert_int_eq(txtname_read(msg, n, &t, &ttl, &why), replies[_i].err);
        ck_assert((replies[_i].err == -EBADMSG) == (why != NULL));
        if (!replies[_i].err)
            ck_assert_uint_eq(ttl, 30);
    }
}
END_TEST

START_TEST(what_is_cut_is_malformed)
{
    uint8_t msg[512];
    struct txtname t;
    const char *why;
    uint32_t ttl;
    size_t n = reply_of((const char *const[]){"i3=1 key=$A", NULL}, 30, 255, msg, sizeof(msg));
    for (size_t cut = 0; cut < n; cut++)
        ck_assert_int_eq(txtname_read(msg, cut, &t, &ttl, &why), -EBADMSG);
    msg[2] &= 0x7f; /* a question */
    ck_assert_int_eq(txtname_read(msg, n, &t, &ttl, &why), -EBADMSG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("naming/txtname");
    TCase *c = tcase_create("txtname");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, a_record_says_a_key, 0, ARRAY_LEN(texts));
    tcase_add_loop_test(c, a_reply_has_one_key_or_none, 0, ARRAY_LEN(replies));
    tcase_add_test(c, what_is_cut_is_malformed);
    suite_add_tcase(s, c);
    return suite_run(s);
}
