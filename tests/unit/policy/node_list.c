/* DATA/nodes: what is read comes back; what is wrong is refused with its line. */
#include "daemon/policy/node_list.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static struct node_list list;

static int parse(const char *text, unsigned *line)
{
    char why[120] = "";
    int err = node_list_parse(&list, text, strlen(text), line, why, sizeof(why));
    ck_assert(!err == !*why);
    return err;
}

START_TEST(what_is_read_comes_back)
{
    static const char text[] = "203.0.113.7:5610\n[2001:db8::7]:1 work\n198.51.100.2:99 work\n203.0.113.7:5610 other\n";
    struct addr v[CONFIG_NODES_MAX];
    unsigned line;
    size_t len;
    ck_assert_int_eq(parse(text, &line), 0);
    char *again = node_list_format(&list, &len);
    ck_assert_str_eq(again, text);
    ck_assert_uint_eq(len, strlen(text));
    free(again);
    ck_assert_uint_eq(node_list_of(&list, "", v), 1);
    ck_assert_uint_eq(node_list_of(&list, "nobody", v), 0);
    ck_assert_uint_eq(node_list_of(&list, "work", v), 2);
    ck_assert(v[0].family == 6 && v[1].port == 99);
    ck_assert_int_eq(node_list_remove(&list, "", &v[1]), -ENOENT);
    ck_assert_int_eq(node_list_remove(&list, "work", &v[0]), 0);
    ck_assert_uint_eq(node_list_of(&list, "work", v), 1);
    ck_assert(v[0].port == 99);
}
END_TEST

static const struct {
    const char *text;
    unsigned line;
} wrong[] = {
    {"203.0.113.7\n", 1},
    {"203.0.113.7:0\n", 1},
    {"0.0.0.0:5610\n", 1},
    {"224.0.0.1:5610\n", 1},
    {"host:5610\n", 1},
    {"203.0.113.7:5610\n203.0.113.7:5610\n", 2},
    {"203.0.113.7:5610\n\n203.0.113.8:5610 a b\n", 3},
    {"203.0.113.7:5610 a/b\n", 1},
    {"203.0.113.7:5610 0123456789012345678901234567890123456789012345678901234567890123\n", 1},
    {" 203.0.113.7:5610\n", 1},
};

START_TEST(a_wrong_line_is_told)
{
    unsigned line;
    ck_assert_int_eq(parse(wrong[_i].text, &line), -EINVAL);
    ck_assert_uint_eq(line, wrong[_i].line);
    ck_assert_uint_eq(list.n, 0);
}
END_TEST

START_TEST(is_bounded)
{
    char name[8];
    list.n = 0;
    for (unsigned i = 0; i <= CONFIG_NODES_MAX; i++) {
        struct addr a = addr_v4(0xc0000200 + i, 1);
        ck_assert_int_eq(node_list_add(&list, "", &a), i < CONFIG_NODES_MAX ? 0 : -ENOSPC);
    }
    for (unsigned i = CONFIG_NODES_MAX; i <= NODE_LIST_MAX; i++) {
        struct addr a = addr_v4(0xc0000200, 1);
        snprintf(name, sizeof(name), "o%u", i);
        ck_assert_int_eq(node_list_add(&list, name, &a), i < NODE_LIST_MAX ? 0 : -ENOSPC);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/node_list");
    TCase *c = tcase_create("node_list");
    tcase_add_test(c, what_is_read_comes_back);
    tcase_add_loop_test(c, a_wrong_line_is_told, 0, ARRAY_LEN(wrong));
    tcase_add_test(c, is_bounded);
    suite_add_tcase(s, c);
    return suite_run(s);
}
