/* A journal in a file: cut at any byte it is a beginning of what it was, and goes on from there; a disk that is full costs nothing. */
#include "daemon/io/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { RECORDS = 5, BODY = 20 };

static const struct format format = {.kind = "test", .version = 3, .secret = true};
static char folder[] = "/tmp/i3journal.XXXXXX", path[64];

static void setup(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/journal", folder);
}

static void teardown(void)
{
    char other[80];
    unlink(path);
    snprintf(other, sizeof(other), "%s.tmp", path);
    unlink(other);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else is left */
}

/* What has been read: the numbers of the records. */
struct seen {
    unsigned n;
    uint8_t number[4 * RECORDS];
};

static void see(void *ctx, const uint8_t *body, size_t len)
{
    struct seen *s = ctx;
    ck_assert_uint_eq(len, BODY);
    ck_assert_uint_lt(s->n, sizeof(s->number));
    s->number[s->n++] = body[0];
}

static struct journal_file *open_it(struct seen *s, struct journal_found *found)
{
    struct journal_file *j;
    char why[300] = "";
    *s = (struct seen){0};
    ck_assert_msg(journal_open(&j, path, &format, see, s, found, why, sizeof(why)) == 0, "%s", why);
    return j;
}

static void append(struct journal_file *j, uint8_t number)
{
    uint8_t body[BODY];
    memset(body, number, sizeof(body));
    journal_append(j, body, sizeof(body));
}

static size_t write_records(void)
{
    struct seen s;
    struct journal_found found;
    struct journal_file *j = open_it(&s, &found);
    for (unsigned i = 0; i < RECORDS; i++) {
        append(j, (uint8_t)i);
        ck_assert_int_eq(journal_commit(j), 0);
    }
    size_t size = journal_size(j);
    journal_close(j);
    return size;
}

static void check_beginning(const struct seen *s, unsigned n)
{
    ck_assert_uint_eq(s->n, n);
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(s->number[i], i);
}

START_TEST(cut_at_any_byte_it_is_a_beginning_and_goes_on)
{
    struct seen s;
    struct journal_found found;
    size_t size = write_records(), head = size - RECORDS * (2 + 8 + BODY), before = 0;
    for (size_t cut = 0; cut <= size; cut++) {
        unlink(path);
        write_records();
        ck_assert_int_eq(truncate(path, (off_t)cut), 0);
        struct journal_file *j = open_it(&s, &found);
        unsigned whole = cut < head ? 0 : (unsigned)((cut - head) / (2 + 8 + BODY));
        check_beginning(&s, whole);
        ck_assert_int_eq(journal_failed(j), 0);
        append(j, (uint8_t)whole);
        ck_assert_int_eq(journal_commit(j), 0);
        journal_close(j);
        j = open_it(&s, &found);
        check_beginning(&s, whole + 1);
        ck_assert_uint_eq(found.torn, 0);
        journal_close(j);
        before += whole;
    }
    ck_assert_uint_gt(before, 0);
}
END_TEST

static void limit_files(rlim_t size)
{
    struct rlimit r;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &r);
    r.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void put_three(void *ctx, struct journal_file *j)
{
    (void)ctx;
    for (unsigned i = 0; i < 3; i++)
        append(j, (uint8_t)i);
}

START_TEST(without_room_what_stands_there_stays)
{
    struct seen s;
    struct journal_found found;
    size_t size = write_records();
    for (size_t room = 0; room < 2 + 8 + BODY; room++) { /* how much of the next record fits */
        struct journal_file *j = open_it(&s, &found);
        limit_files(size + room);
        append(j, RECORDS);
        ck_assert_int_lt(journal_commit(j), 0);
        ck_assert_int_lt(journal_failed(j), 0);
        append(j, RECORDS);
        ck_assert_int_lt(journal_commit(j), 0); /* as long as it has not been written anew */
        limit_files(10);
        ck_assert_int_lt(journal_rewrite(j, put_three, NULL), 0);
        limit_files(RLIM_INFINITY);
        journal_close(j);
        j = open_it(&s, &found);
        check_beginning(&s, RECORDS);
        ck_assert_uint_eq(found.torn, 0);
        journal_close(j);
    }
}
END_TEST

START_TEST(with_room_again_it_is_written_anew)
{
    struct seen s;
    struct journal_found found;
    size_t size = write_records();
    struct journal_file *j = open_it(&s, &found);
    limit_files(size);
    append(j, RECORDS);
    ck_assert_int_lt(journal_commit(j), 0);
    limit_files(RLIM_INFINITY);
    ck_assert_int_eq(journal_rewrite(j, put_three, NULL), 0);
    ck_assert_int_eq(journal_failed(j), 0);
    append(j, 3);
    ck_assert_int_eq(journal_commit(j), 0);
    journal_close(j);
    j = open_it(&s, &found);
    check_beginning(&s, 4);
    journal_close(j);
}
END_TEST

START_TEST(a_file_of_another_version_is_left_as_it_is)
{
    static const char *const text[] = {"i3run test 4\nwhatever", "i3run other 3\n", "\177ELF", "i3run test x\n"};
    for (unsigned i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        struct journal_file *j;
        struct journal_found found;
        struct seen s = {0};
        char why[300] = "", is[64] = "";
        FILE *f = fopen(path, "w");
        fputs(text[i], f);
        fclose(f);
        chmod(path, 0600);
        ck_assert_int_eq(journal_open(&j, path, &format, see, &s, &found, why, sizeof(why)), -EPROTO);
        ck_assert_ptr_nonnull(strstr(why, path));
        f = fopen(path, "r");
        is[fread(is, 1, sizeof(is) - 1, f)] = '\0';
        fclose(f);
        ck_assert_str_eq(is, text[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal file");
    TCase *t = tcase_create("file");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, cut_at_any_byte_it_is_a_beginning_and_goes_on);
    tcase_add_test(t, without_room_what_stands_there_stays);
    tcase_add_test(t, with_room_again_it_is_written_anew);
    tcase_add_test(t, a_file_of_another_version_is_left_as_it_is);
    suite_add_tcase(s, t);
    return suite_run(s);
}
