/* What the address book keeps, finds and refuses. */
#include "daemon/naming/book.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static struct book *book;

static void setup(void)
{
    book = book_new();
    ck_assert_ptr_nonnull(book);
}

static void teardown(void)
{
    book_free(book);
}

static void key_of(uint8_t key[KEY_LEN], unsigned n)
{
    blake2s(key, &(struct bytes){&n, sizeof(n)}, 1);
}

static const char *key_text(unsigned n)
{
    static char text[KEY_STR_LEN + 1];
    uint8_t key[KEY_LEN];
    key_of(key, n);
    key_format(key, text);
    return text;
}

static int parse(const char *text, unsigned *line, char err[200])
{
    return book_parse(book, text, strlen(text), line, err, 200);
}

static void expect_format(const char *text)
{
    size_t len;
    char *out = book_format(book, &len);
    ck_assert_str_eq(out, text);
    ck_assert_uint_eq(len, strlen(text));
    free(out);
}

START_TEST(finds_what_was_added_whatever_the_case)
{
    uint8_t key[KEY_LEN];
    key_of(key, 1);
    ck_assert_int_eq(book_add(book, "Home.Bob", key), 0);
    ck_assert_str_eq(book_find(book, "hOME.bOB")->name, "home.bob");
    ck_assert_mem_eq(book_find(book, "home.bob")->key, key, KEY_LEN);
    ck_assert_str_eq(book_find_key(book, key)->name, "home.bob");
    ck_assert_ptr_null(book_find(book, "home"));
    ck_assert_ptr_null(book_find(book, "home.bob.i3"));
    ck_assert_ptr_null(book_find(book, ""));
    key_of(key, 2);
    ck_assert_ptr_null(book_find_key(book, key));
}
END_TEST

START_TEST(refuses_another_key_under_a_name_and_bears_the_same)
{
    uint8_t key[KEY_LEN], other[KEY_LEN];
    key_of(key, 1);
    key_of(other, 2);
    ck_assert_int_eq(book_add(book, "bob", key), 0);
    ck_assert_int_eq(book_add(book, "BOB", key), 0);
    ck_assert_int_eq(book_add(book, "bob", other), -EEXIST);
    ck_assert_uint_eq(book_count(book), 1);
    ck_assert_mem_eq(book_find(book, "bob")->key, key, KEY_LEN);
}
END_TEST

START_TEST(judges_names)
{
    char label63[64], label64[65], name253[254], name254[255];
    memset(label63, 'a', 63), label63[63] = '\0';
    memset(label64, 'a', 64), label64[64] = '\0';
    for (int i = 0; i < 254; i++)
        name254[i] = i % 50 == 49 ? '.' : 'x';
    name254[254] = '\0';
    memcpy(name253, name254, 253);
    name253[253] = '\0';
    const struct {
        const char *name;
        bool valid;
    } v[] = {
        {"a", true},
        {"A-1_b", true},
        {"a.b.c", true},
        {"-", true},
        {label63, true},
        {name253, true},
        {"", false},
        {".", false},
        {"a.", false},
        {".a", false},
        {"a..b", false},
        {"a b", false},
        {"a#", false},
        {"b\xc3\xb6", false},
        {label64, false},
        {name254, false},
        {"a/b", false},
        {"a\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        ck_assert_msg(book_name_valid(v[i].name) == v[i].valid, "%s", v[i].name);
    uint8_t key[KEY_LEN] = {0};
    ck_assert_int_eq(book_add(book, "a..b", key), -EINVAL);
}
END_TEST

START_TEST(format_gives_back_what_was_parsed)
{
    char text[1000], err[200];
    unsigned line;
    snprintf(text, sizeof(text), "# friends\n\n  bob\t%s   # met in Oslo\n#tail\n\t\nEve %s\n   # \xff end\n",
        key_text(1), "");
    snprintf(text + strlen(text) - strlen("\n   # \xff end\n"), 200, "%s\r\n   # \xff end\n", key_text(2));
    ck_assert_msg(parse(text, &line, err) == 0, "%u: %s", line, err);
    ck_assert_uint_eq(book_count(book), 2);
    ck_assert_str_eq(book_at(book, 0)->name, "bob");
    ck_assert_str_eq(book_at(book, 1)->name, "eve");
    ck_assert_ptr_null(book_at(book, 2));
    expect_format(text);

    /* an entry added later comes after all, one removed takes its comment with it, the rest stays */
    uint8_t key[KEY_LEN];
    key_of(key, 3);
    ck_assert_int_eq(book_add(book, "Zoe", key), 0);
    ck_assert_int_eq(book_remove(book, "BOB"), 0);
    ck_assert_int_eq(book_remove(book, "bob"), -ENOENT);
    char want[1000];
    int n = snprintf(want, sizeof(want), "# friends\n\n#tail\n\t\nEve %s\r\n   # \xff end\n", key_text(2));
    snprintf(want + n, sizeof(want) - (size_t)n, "zoe %s\n", key_text(3));
    expect_format(want);
}
END_TEST

START_TEST(last_line_needs_no_newline_and_gets_one)
{
    char err[200];
    unsigned line;
    ck_assert_int_eq(parse("# a", &line, err), 0);
    expect_format("# a\n");
    ck_assert_int_eq(parse("", &line, err), 0);
    expect_format("");
}
END_TEST

START_TEST(names_the_line_of_what_is_wrong_and_keeps_the_old_book)
{
    char good[200], text[1500], err[200], longline[1200];
    unsigned line;
    snprintf(good, sizeof(good), "bob %s\n", key_text(1));
    memset(longline, '#', sizeof(longline));
    longline[sizeof(longline) - 1] = '\0';
    const struct {
        const char *before, *name, *key, *after, *err;
        unsigned line;
    } v[] = {
        {"", "b b", "", "\n", "no key", 1}, {"# c\n\n", "x", "", "", "key of 52", 3},
        {"", "a..b", NULL, "\n", "no name", 1}, {"a %\n", "b", NULL, " comment\n", "only a comment", 2},
        {"a %\nb %\n", "A", NULL, "\n", "earlier line", 3}, {"a %\n", "b", "not-a-key", "\n", "no key", 2},
        {"", longline, "", "\n", "too long", 1},
        {"", "b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "\n", "no key",
            1}, /* the last 4 bits */
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        ck_assert_int_eq(parse(good, &line, err), 0);
        size_t n = 0;
        for (const char *c = v[i].before; *c; c++)
            n += (size_t)snprintf(
                text + n, sizeof(text) - n, *c == '%' ? "%s" : "%.1s", *c == '%' ? key_text(7) : c);
        snprintf(
            text + n, sizeof(text) - n, "%s %s%s", v[i].name, v[i].key ? v[i].key : key_text(9), v[i].after);
        ck_assert_msg(parse(text, &line, err) == -EINVAL, "%s", text);
        ck_assert_msg(line == v[i].line && strstr(err, v[i].err), "%s: %u: %s", text, line, err);
        expect_format(good);
    }
    ck_assert_int_eq(book_parse(book, "#\0\n", 3, &line, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "NUL"));
}
END_TEST

START_TEST(first_entry_of_a_key_wins_and_the_next_takes_over)
{
    uint8_t key[KEY_LEN];
    key_of(key, 1);
    ck_assert_int_eq(book_add(book, "one", key), 0);
    ck_assert_int_eq(book_add(book, "two", key), 0);
    ck_assert_str_eq(book_find_key(book, key)->name, "one");
    ck_assert_int_eq(book_remove(book, "one"), 0);
    ck_assert_str_eq(book_find_key(book, key)->name, "two");
    ck_assert_int_eq(book_remove(book, "two"), 0);
    ck_assert_ptr_null(book_find_key(book, key));
}
END_TEST

START_TEST(options_stand_behind_the_key)
{
    static const struct {
        const char *options;
        const char *wrong; /* a part of the sentence; NULL: none */
        bool multicast;
        const char *near, *via;
    } cases[] = {
        {"", NULL, false, NULL, NULL},
        {"multicast", NULL, true, NULL, NULL},
        {"near=eu/berlin # there", NULL, false, "eu/berlin", NULL},
        {"via=box", NULL, false, NULL, "box"},
        {"via=a,b.c,d near=eu", NULL, false, "eu", "a,b.c,d"},
        {"via=a,b,c,d", "one to three", false, NULL, NULL},
        {"via=", "one to three", false, NULL, NULL},
        {"via=a,", "one to three", false, NULL, NULL},
        {"via=,a", "one to three", false, NULL, NULL},
        {"via=a,-,/", "one to three", false, NULL, NULL},
        {"via=a via=b", "one to three", false, NULL, NULL},
        {"near=", "a place", false, NULL, NULL},
        {"near=a/b/c", "a place", false, NULL, NULL},
        {"near=eu near=us", "a place", false, NULL, NULL},
        {"multicast near=eu", "neither", false, NULL, NULL},
        {"via=box multicast", "neither", false, NULL, NULL},
        {"anycast", "only a comment", false, NULL, NULL},
        {"Multicast", "only a comment", false, NULL, NULL},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200], err[200] = "";
        unsigned line;
        snprintf(text, sizeof(text), "a %s %s\n", key_text(1), cases[i].options);
        int bad = parse(text, &line, err);
        ck_assert_msg(!bad == !cases[i].wrong, "%s: %s", cases[i].options, err);
        if (bad) {
            ck_assert_msg(strstr(err, cases[i].wrong) != NULL, "%s: %s", cases[i].options, err);
            continue;
        }
        const struct book_entry *e = book_find(book, "a");
        ck_assert_uint_eq(e->multicast, cases[i].multicast);
        ck_assert_pstr_eq(e->near, cases[i].near);
        ck_assert_pstr_eq(e->via, cases[i].via);
        expect_format(text);
    }
}
END_TEST

static const struct {
    const char *at;
    unsigned n; /* 0: refused */
    uint8_t family;
    uint16_t port;
} places[] = {
    {"203.0.113.9:5700", 1, 4, 5700},
    {"203.0.113.9", 1, 4, BOOK_AT_PORT},
    {"[2001:db8::1]:80", 1, 6, 80},
    {"[2001:db8::1]", 1, 6, BOOK_AT_PORT},
    {"2001:db8::1", 1, 6, BOOK_AT_PORT},
    {"203.0.113.9:5700,[2001:db8::1]:5700", 2, 4, 5700},
    {"1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5,6.6.6.6", 6, 4, BOOK_AT_PORT},
    {"1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5,6.6.6.6,7.7.7.7", 0, 0, 0},
    {"", 0, 0, 0},
    {"1.1.1.1,", 0, 0, 0},
    {",1.1.1.1", 0, 0, 0},
    {"1.1.1.1:0", 0, 0, 0},
    {"1.1.1.1:65536", 0, 0, 0},
    {"1.1.1.1:4x", 0, 0, 0},
    {"1.1.1.1:", 0, 0, 0},
    {"0.0.0.0:5", 0, 0, 0},
    {"224.0.0.1:5", 0, 0, 0},
    {"[2001:db8::1", 0, 0, 0},
    {"[2001:db8::1]5", 0, 0, 0},
    {"host.example:5", 0, 0, 0},
    {"[ff02::1]:5", 0, 0, 0},
    {"[::]:5", 0, 0, 0},
};

START_TEST(addresses_stand_behind_the_key)
{
    char text[300], err[200] = "";
    unsigned line;
    struct addr v[BOOK_AT_MAX];
    snprintf(text, sizeof(text), "a %s at=%s\n", key_text(1), places[_i].at);
    int bad = parse(text, &line, err);
    ck_assert_msg(!bad == !!places[_i].n, "%s: %s", places[_i].at, err);
    if (bad)
        return;
    ck_assert_uint_eq(book_at_addresses(book_find(book, "a")->at, v), places[_i].n);
    ck_assert_uint_eq(v[0].family, places[_i].family);
    ck_assert_uint_eq(v[0].port, places[_i].port);
    expect_format(text);
}
END_TEST

START_TEST(a_host_moves)
{
    static const struct book_options here = {.at = "1.1.1.1"}, there = {.at = "2.2.2.2:9", .near = NULL}, other = {.at = "1.1.1.1", .near = "eu"};
    uint8_t key[KEY_LEN];
    char text[200];
    key_of(key, 1);
    ck_assert_int_eq(book_add_with(book, "a", key, &here), 0);
    ck_assert_int_eq(book_add_with(book, "a", key, &there), -EEXIST);
    ck_assert_int_eq(book_move_entry(book, "a", key, &other), -EEXIST);
    ck_assert_int_eq(book_move_entry(book, "a", key, &there), 0);
    snprintf(text, sizeof(text), "a %s at=2.2.2.2:9\n", key_text(1));
    expect_format(text);
    ck_assert_int_eq(book_move_entry(book, "nobody", key, &there), -EEXIST);
}
END_TEST

START_TEST(options_are_added_and_compared)
{
    static const struct book_options both = {.near = "eu", .via = "b,c"}, group = {.multicast = true}, wrong[] = {
        {.multicast = true, .near = "eu"}, {.multicast = true, .via = "b"}, {.near = "a/b/c"}, {.via = "a,,b"}};
    uint8_t key[KEY_LEN];
    char text[200], name[BOOK_NAME_MAX + 1];
    key_of(key, 1);
    ck_assert_int_eq(book_add_with(book, "A", key, &both), 0);
    ck_assert_int_eq(book_add_with(book, "a", key, &both), 0);
    ck_assert_int_eq(book_add_with(book, "a", key, &group), -EEXIST);
    ck_assert_int_eq(book_add(book, "a", key), -EEXIST);
    ck_assert_int_eq(book_add_with(book, "m", key, &group), 0);
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        ck_assert_int_eq(book_add_with(book, "w", key, &wrong[i]), -EINVAL);
    snprintf(text, sizeof(text), "a %s near=eu via=b,c\nm %s multicast\n", key_text(1), key_text(1));
    expect_format(text);
    const char *at = book_find(book, "a")->via;
    ck_assert(book_via_next(&at, name) && !strcmp(name, "b"));
    ck_assert(book_via_next(&at, name) && !strcmp(name, "c"));
    ck_assert(!book_via_next(&at, name));
    ck_assert_int_eq(book_remove(book, "a"), 0);
    ck_assert(book_find_key(book, key)->multicast);
}
END_TEST

START_TEST(a_guest_stays_one_until_the_key_is_a_friends)
{
    uint8_t key[KEY_LEN];
    char text[600];
    key_of(key, 1);
    struct book_options guest = {.guest = true}, group = {.guest = true, .multicast = true};
    ck_assert_int_eq(book_add_with(book, "a", key, &guest), 0);
    ck_assert_int_eq(book_add_with(book, "a", key, &guest), 0);
    ck_assert_int_eq(book_add_with(book, "m", key, &group), -EINVAL);
    ck_assert(book_find_key(book, key)->guest);
    /* another name for the same key, without being a guest: that is what the key is known by */
    ck_assert_int_eq(book_add(book, "b", key), 0);
    ck_assert_str_eq(book_find_key(book, key)->name, "b");
    ck_assert_int_eq(book_remove(book, "b"), 0);
    ck_assert_str_eq(book_find_key(book, key)->name, "a");
    ck_assert(book_befriend(book, key));
    ck_assert(!book_befriend(book, key));
    ck_assert(!book_find(book, "a")->guest);
    snprintf(text, sizeof(text), "a %s\n", key_text(1));
    expect_format(text);
}
END_TEST

START_TEST(what_was_learned_says_how_until_the_key_is_a_friends)
{
    uint8_t key[KEY_LEN];
    char text[600], err[200];
    unsigned line;
    key_of(key, 1);
    struct book_options hash = {.guest = true, .learned = "hash"}, friend = {.learned = "hash"}, odd = {.guest = true, .learned = "rumour"};
    ck_assert_int_eq(book_add_with(book, "a", key, &friend), -EINVAL);
    ck_assert_int_eq(book_add_with(book, "a", key, &odd), -EINVAL);
    ck_assert_int_eq(book_add_with(book, "a", key, &hash), 0);
    ck_assert_int_eq(book_add_with(book, "a", key, &hash), 0);
    ck_assert_str_eq(book_find(book, "a")->learned, "hash");
    snprintf(text, sizeof(text), "a %s guest learned=hash\n", key_text(1));
    expect_format(text);
    snprintf(text, sizeof(text), "a %s learned=dns guest # who\n", key_text(1));
    ck_assert_int_eq(book_parse(book, text, strlen(text), &line, err, sizeof(err)), 0);
    ck_assert_str_eq(book_find(book, "a")->learned, "dns");
    ck_assert(book_befriend(book, key));
    ck_assert_ptr_null(book_find(book, "a")->learned);
    snprintf(text, sizeof(text), "a %s # who\n", key_text(1));
    expect_format(text);
    snprintf(text, sizeof(text), "a %s learned=dns\n", key_text(1));
    ck_assert_int_eq(book_parse(book, text, strlen(text), &line, err, sizeof(err)), -EINVAL);
}
END_TEST

START_TEST(what_changes_in_a_line_leaves_the_rest_of_it)
{
    uint8_t old[KEY_LEN], new[KEY_LEN];
    char text[1200], k1[KEY_STR_LEN + 1], k2[KEY_STR_LEN + 1], k3[KEY_STR_LEN + 1], err[200];
    unsigned line;
    key_of(old, 1);
    key_of(new, 2);
    strcpy(k1, key_text(1)), strcpy(k2, key_text(2)), strcpy(k3, key_text(3));
    snprintf(text, sizeof(text), "# mine\n  a \t%s guest near=eu #guest of b\nx %s guest\nb %s near=eu  guest via=x # old\nc %s # guest\n", k1, k3, k1, k1);
    ck_assert_msg(!parse(text, &line, err), "%s", err);
    ck_assert_uint_eq(book_rekey(book, old, new), 3);
    ck_assert_uint_eq(book_rekey(book, old, new), 0);
    ck_assert_ptr_null(book_find_key(book, old));
    ck_assert_str_eq(book_find_key(book, new)->name, "c"); /* no guest's */
    ck_assert(book_befriend(book, new));
    snprintf(text, sizeof(text), "# mine\n  a \t%s near=eu #guest of b\nx %s guest\nb %s near=eu via=x # old\nc %s # guest\n", k2, k3, k2, k2);
    expect_format(text);
    ck_assert(book_find(book, "x")->guest && !book_find(book, "b")->guest);
}
END_TEST

START_TEST(finds_a_name_that_is_free)
{
    static const struct {
        const char *wanted, *got;
    } cases[] = {{"Bob", "bob-3"}, {"carol", "carol"}, {"x.bob", "x.bob-2"},
        {"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-2"}};
    uint8_t key[KEY_LEN];
    char name[BOOK_NAME_MAX + 1];
    key_of(key, 1);
    book_add(book, "bob", key);
    book_add(book, "bob-2", key);
    book_add(book, "x.bob", key);
    book_add(book, cases[3].wanted, key);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(book_free_name(book, cases[i].wanted, name), 0);
        ck_assert_str_eq(name, cases[i].got);
        ck_assert(book_name_valid(name));
    }
    ck_assert_int_eq(book_free_name(book, "not one", name), -EINVAL);
}
END_TEST

START_TEST(is_bounded)
{
    char name[20];
    uint8_t key[KEY_LEN] = {0};
    for (unsigned i = 0; i < BOOK_MAX; i++) {
        memcpy(key, &i, sizeof(i));
        snprintf(name, sizeof(name), "n%u", i);
        ck_assert_int_eq(book_add(book, name, key), 0);
    }
    ck_assert_int_eq(book_add(book, "more", key), -ENOSPC);
    ck_assert_int_eq(book_remove(book, "n77"), 0);
    ck_assert_int_eq(book_add(book, "more", key), 0);
    ck_assert_str_eq(book_at(book, BOOK_MAX - 1)->name, "more");
    ck_assert_str_eq(book_at(book, 77)->name, "n78");
    unsigned line;
    char err[200], *comments = malloc(2 * (BOOK_LINES_MAX + 1));
    for (size_t i = 0; i < BOOK_LINES_MAX + 1; i++)
        memcpy(comments + 2 * i, "#\n", 2);
    ck_assert_int_eq(book_parse(book, comments, 2 * (BOOK_LINES_MAX + 1), &line, err, sizeof(err)), -EINVAL);
    ck_assert_int_eq(book_parse(book, comments, 2 * BOOK_LINES_MAX, &line, err, sizeof(err)), 0);
    free(comments);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("naming/book");
    TCase *tc = tcase_create("book");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, finds_what_was_added_whatever_the_case);
    tcase_add_test(tc, refuses_another_key_under_a_name_and_bears_the_same);
    tcase_add_test(tc, judges_names);
    tcase_add_test(tc, format_gives_back_what_was_parsed);
    tcase_add_test(tc, last_line_needs_no_newline_and_gets_one);
    tcase_add_test(tc, names_the_line_of_what_is_wrong_and_keeps_the_old_book);
    tcase_add_test(tc, first_entry_of_a_key_wins_and_the_next_takes_over);
    tcase_add_test(tc, options_stand_behind_the_key);
    tcase_add_loop_test(tc, addresses_stand_behind_the_key, 0, (int)ARRAY_LEN(places));
    tcase_add_test(tc, a_host_moves);
    tcase_add_test(tc, options_are_added_and_compared);
    tcase_add_test(tc, what_was_learned_says_how_until_the_key_is_a_friends);
    tcase_add_test(tc, a_guest_stays_one_until_the_key_is_a_friends);
    tcase_add_test(tc, what_changes_in_a_line_leaves_the_rest_of_it);
    tcase_add_test(tc, finds_a_name_that_is_free);
    tcase_add_test(tc, is_bounded);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
