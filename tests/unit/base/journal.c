/* A journal that was cut or damaged anywhere gives a beginning of what was written. */
#include "daemon/base/journal.h"

#include <check.h>
#include <string.h>

#include "daemon/base/format.h"
#include "tests/lib/suite.h"

enum { RECORDS = 5, ROOM = 512 };

static const char head[] = "i3run test 1\n";
static uint8_t file[ROOM];
static size_t ends[RECORDS + 1], size;

static void setup(void)
{
    struct journal j;
    size = ends[0] = 0;
    journal_start(&j, head, sizeof(head) - 1);
    for (unsigned i = 0; i < RECORDS; i++) {
        uint8_t body[16];
        memset(body, 'a' + (int)i, sizeof(body));
        size += journal_put(&j, body, 1 + 3 * i, file + size);
        ends[i + 1] = size;
    }
}

/* How many records hold; each must be the one that was written there. */
static unsigned replay(const char *first, const uint8_t *data, size_t left)
{
    struct journal j;
    const uint8_t *body;
    size_t len, n;
    unsigned records = 0;
    journal_start(&j, first, strlen(first));
    for (; (n = journal_get(&j, data, left, &body, &len)); records++, data += n, left -= n) {
        ck_assert_uint_lt(records, RECORDS);
        ck_assert_uint_eq(len, 1 + 3 * records);
        for (size_t i = 0; i < len; i++)
            ck_assert_uint_eq(body[i], 'a' + records);
    }
    return records;
}

START_TEST(every_truncation_gives_the_whole_records_before_it)
{
    unsigned whole = 0;
    for (size_t len = 0; len <= size; len++) {
        whole += whole < RECORDS && len == ends[whole + 1];
        ck_assert_uint_eq(replay(head, file, len), whole);
    }
    ck_assert_uint_eq(whole, RECORDS);
}
END_TEST

START_TEST(every_flipped_bit_ends_it_at_its_record)
{
    unsigned record = 0;
    for (size_t i = 0; i < size; i++) {
        record += i == ends[record + 1];
        for (unsigned bit = 0; bit < 8; bit++) {
            file[i] ^= (uint8_t)(1 << bit);
            ck_assert_uint_eq(replay(head, file, size), record);
            file[i] ^= (uint8_t)(1 << bit);
        }
    }
}
END_TEST

START_TEST(records_hold_in_their_place_only)
{
    ck_assert_uint_eq(replay("i3run test 2\n", file, size), 0);
    ck_assert_uint_eq(replay(head, file + ends[1], size - ends[1]), 0);
    memset(file + ends[2], 0, size - ends[2]); /* as a file system leaves behind after a crash */
    ck_assert_uint_eq(replay(head, file, size), 2);
}
END_TEST

START_TEST(the_first_line_tells_the_version)
{
    static const struct {
        const char *text;
        bool bare;
        enum format_age age;
    } cases[] = {
        {"i3run book 2\nx", false, FORMAT_CURRENT}, {"i3run book 1\nx", false, FORMAT_OLD}, {"i3run book 3\n", true, FORMAT_NEWER},
        {"i3run book 99999999999999999999\n", true, FORMAT_NEWER}, {"i3run book 0\n", true, FORMAT_OTHER},
        {"i3run book 02\n", true, FORMAT_OTHER}, {"i3run book 2", true, FORMAT_OTHER}, {"i3run book \n", true, FORMAT_OTHER},
        {"i3run book 2 \n", true, FORMAT_OTHER}, {"i3run groups 2\n", true, FORMAT_OTHER}, {"bob KEY\n", true, FORMAT_OLD},
        {"bob KEY\n", false, FORMAT_OTHER}, {"", true, FORMAT_OLD}, {"", false, FORMAT_OTHER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct format f = {.kind = "book", .version = 2, .bare = cases[i].bare};
        unsigned version;
        size_t body;
        ck_assert_int_eq(format_read(&f, cases[i].text, strlen(cases[i].text), &version, &body), cases[i].age);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/journal");
    TCase *t = tcase_create("journal");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, every_truncation_gives_the_whole_records_before_it);
    tcase_add_test(t, every_flipped_bit_ends_it_at_its_record);
    tcase_add_test(t, records_hold_in_their_place_only);
    tcase_add_test(t, the_first_line_tells_the_version);
    suite_add_tcase(s, t);
    return suite_run(s);
}
