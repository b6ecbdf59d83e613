/* Which rule fits a name, and what that is worth. */
#include "daemon/policy/rules.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/policy/pattern.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static struct config config;
static struct rules *rules;

static void with(const char *text)
{
    static struct config_errors e;
    char err[600];
    int rc = config_parse(&config, text, strlen(text), &e);
    config_errors_text(&e, "f", err, sizeof(err));
    ck_assert_msg(rc == 0, "%s", err);
    rules = rules_new(&config);
    ck_assert_ptr_nonnull(rules);
}

static void without(void)
{
    rules_free(rules);
    config_free(&config);
    rules = NULL;
}

static const char *const example = "suffix = \".i3\"\n"
                                   "overlay work { suffix = \".corp\" }\n"
                                   "rule { suffix = \".secret.i3\" app = \"curl\" action = \"overlay\" }\n" /* 3 */
                                   "rule { suffix = \".secret.i3\" action = \"deny\" }\n"
                                   "rule { match = '^(git|hg)\\.example\\.org$' action = \"overlay\" }\n" /* 5 */
                                   "rule { match = \"TRACKER\" action = \"deny\" }\n"
                                   "rule { suffix = \".home.i3\" action = \"direct\" }\n" /* 7 */
                                   "rule { app = \"nosy\" action = \"deny\" }\n"
                                   "rule { suffix = \".x.i3\" action = \"gateway\" via = \"g\" }\n" /* 9 */
                                   "rule { suffix = \".y.i3\" action = \"overlay\" anonymity = yes }\n"
                                   "rule { suffix = \".z.i3\" action = \"overlay\" through = { \"b\" } }\n"; /* 11 */

static const struct {
    const char *name, *app;
    enum config_action action;
    unsigned line; /* 0: no rule */
} cases[] = {
    {"bob.i3", "curl", ACTION_OVERLAY, 0},
    {"bob.i3.", "curl", ACTION_OVERLAY, 0},
    {"BOB.I3", "curl", ACTION_OVERLAY, 0},
    {"bob.corp", "curl", ACTION_OVERLAY, 0},
    {"bob.example.org", "curl", ACTION_DIRECT, 0},
    {"i3", "curl", ACTION_DIRECT, 0},
    {"badi3", "curl", ACTION_DIRECT, 0},
    {"a.secret.i3", "curl", ACTION_OVERLAY, 3},
    {"A.Secret.I3.", "curl", ACTION_OVERLAY, 3},
    {"a.secret.i3", "Curl", ACTION_DENY, 4},
    {"a.secret.i3", "curl2", ACTION_DENY, 4},
    {"a.secret.i3", "", ACTION_DENY, 4},
    {"a.b.secret.i3", "wget", ACTION_DENY, 4},
    {"secret.i3", "wget", ACTION_OVERLAY, 0}, /* a suffix is behind something */
    {"topsecret.i3", "wget", ACTION_OVERLAY, 0},
    {"git.example.org", "", ACTION_OVERLAY, 5},
    {"HG.Example.Org.", "", ACTION_OVERLAY, 5},
    {"gitxexample.org", "", ACTION_DIRECT, 0},
    {"a.git.example.org", "", ACTION_DIRECT, 0},
    {"git.example.org\n", "", ACTION_DIRECT, 0}, /* $ is the very end */
    {"my.tracker.net", "", ACTION_DENY, 6},
    {"tracker.i3", "", ACTION_DENY, 6},
    {"pc.home.i3", "", ACTION_DIRECT, 7},
    {"bob.i3", "nosy", ACTION_DENY, 8},
    {"example.org", "nosy", ACTION_DENY, 8},
    {"", "nosy", ACTION_DENY, 8},
    {"", "curl", ACTION_OVERLAY, 0}, /* a host without a name: no rule about names is about it */
    {"a.x.i3", "", ACTION_GATEWAY, 9},
    {"a.y.i3", "", ACTION_OVERLAY, 10},
    {"a.z.i3", "", ACTION_OVERLAY, 11},
};

START_TEST(the_first_rule_that_fits_decides)
{
    with(example);
    struct verdict v = rules_decide(rules, cases[_i].name, cases[_i].app);
    ck_assert_msg(v.action == cases[_i].action, "%s: %s", cases[_i].name, action_name(v.action));
    ck_assert_uint_eq(v.rule ? v.rule->line : 0, cases[_i].line);
    ck_assert(!v.undecided);
    without();
}
END_TEST

START_TEST(what_this_version_lacks_is_said)
{
    static const struct {
        const char *name, *missing;
    } v[] = {{"a.x.i3", NULL}, {"a.y.i3", NULL}, {"a.z.i3", NULL}, {"bob.i3", NULL}, {"a.secret.i3", NULL}};
    const char *missing;
    with(example);
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        struct verdict d = rules_decide(rules, v[i].name, "curl");
        ck_assert(verdict_works(&d, &missing) == !v[i].missing);
        ck_assert_pstr_eq(missing, v[i].missing);
    }
    without();
}
END_TEST

START_TEST(names_that_are_too_long_are_denied)
{
    char name[400];
    with("rule { match = \".\" action = \"overlay\" }");
    memset(name, 'a', sizeof(name));
    name[RULES_NAME_MAX] = '\0';
    ck_assert_int_eq(rules_decide(rules, name, "").action, ACTION_OVERLAY);
    name[RULES_NAME_MAX] = '.';
    name[RULES_NAME_MAX + 1] = '\0'; /* a dot at the end is no part of it */
    ck_assert_int_eq(rules_decide(rules, name, "").action, ACTION_OVERLAY);
    name[RULES_NAME_MAX] = 'a';
    ck_assert_int_eq(rules_decide(rules, name, "").action, ACTION_DENY);
    without();
}
END_TEST

START_TEST(a_pattern_without_end_is_given_up_and_denies)
{
    char name[64];
    with("rule { match = '^(a+)+$' action = \"overlay\" }\nrule { match = \".\" action = \"direct\" }");
    memset(name, 'a', 40);
    strcpy(name + 40, "b");
    struct verdict v = rules_decide(rules, name, "");
    ck_assert_int_eq(v.action, ACTION_DENY);
    ck_assert(v.undecided);
    ck_assert_uint_eq(v.rule->line, 1);
    v = rules_decide(rules, "aaa", "");
    ck_assert(v.action == ACTION_OVERLAY && !v.undecided);
    v = rules_decide(rules, "b", "");
    ck_assert(v.action == ACTION_DIRECT && v.rule->line == 2);
    without();
}
END_TEST

START_TEST(recursion_is_bounded)
{
    size_t at;
    char wrong[100], name[250];
    struct pattern *p = pattern_new("^(a(?1)?b?)*$", &at, wrong, sizeof(wrong));
    ck_assert_msg(p, "%s", wrong);
    memset(name, 'a', sizeof(name));
    name[249] = 'c';
    ck_assert_int_eq(pattern_match(p, name, sizeof(name)), -EOVERFLOW);
    ck_assert_int_eq(pattern_match(p, "ab", 2), 1);
    pattern_free(p);
}
END_TEST

START_TEST(every_name_is_asked_for_only_where_rules_want_it)
{
    static const struct {
        const char *text;
        bool every;
    } v[] = {
        {"", false},
        {"rule { suffix = \".i3\" action = \"deny\" }", false},
        {"rule { suffix = \".a.i3\" app = \"b\" action = \"overlay\" shortcut = no }", false},
        {"rule { suffix = \".i3\" action = \"direct\" }", true},
        {"rule { suffix = \".corp\" action = \"overlay\" }", true},
        {"rule { suffix = \".badi3\" action = \"deny\" }", true},
        {"rule { match = \"i3$\" action = \"deny\" }", true},
        {"rule { app = \"curl\" action = \"deny\" }", true},
        {"overlay w { suffix = \".w.i3\" }", false},
        {"overlay w { suffix = \".corp\" }", true},
        {"suffix = \".home\"", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        with(v[i].text);
        ck_assert_msg(rules_want_every_name(rules, ".i3") == v[i].every, "%s", v[i].text);
        without();
    }
}
END_TEST

START_TEST(sessions_are_as_the_strictest_rule_wants_them)
{
    static const struct {
        const char *text;
        enum config_choice shortcut, encrypt;
    } v[] = {
        {"", CHOICE_UNSET, CHOICE_UNSET},
        {"rule { suffix = \".i3\" action = \"overlay\" shortcut = no }", CHOICE_NO, CHOICE_UNSET},
        {"rule { suffix = \".i3\" action = \"overlay\" encrypt = no }", CHOICE_UNSET, CHOICE_NO},
        {"rule { suffix = \".i3\" action = \"overlay\" encrypt = no }\nrule { suffix = \".i3\" action = \"overlay\" encrypt = yes }", CHOICE_UNSET,
            CHOICE_NO},
        {"rule { suffix = \".i3\" app = \"a\" action = \"overlay\" encrypt = yes }\nrule { suffix = \".i3\" action = \"overlay\" encrypt = no }",
            CHOICE_UNSET, CHOICE_YES},
        {"rule { suffix = \".i3\" app = \"a\" action = \"overlay\" encrypt = no }\nrule { suffix = \".i3\" action = \"overlay\" encrypt = yes }",
            CHOICE_UNSET, CHOICE_YES},
        {"rule { suffix = \".i3\" app = \"a\" action = \"overlay\" shortcut = yes }\nrule { suffix = \".i3\" action = \"overlay\" shortcut = no }",
            CHOICE_NO, CHOICE_UNSET},
        {"rule { suffix = \".i3\" app = \"a\" action = \"overlay\" shortcut = no }\nrule { suffix = \".i3\" action = \"overlay\" shortcut = yes }",
            CHOICE_NO, CHOICE_UNSET},
        {"rule { suffix = \".else.i3\" action = \"overlay\" shortcut = no }", CHOICE_UNSET, CHOICE_UNSET},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        enum config_choice shortcut, encrypt;
        with(v[i].text);
        rules_wishes(rules, "Bob.i3", &shortcut, &encrypt);
        ck_assert_msg(shortcut == v[i].shortcut && encrypt == v[i].encrypt, "%s: %d %d", v[i].text, shortcut, encrypt);
        without();
    }
}
END_TEST

START_TEST(rules_for_some_programs_are_found)
{
    with(example);
    const struct config_rule *r = rules_for_some(rules, "a.secret.i3", NULL);
    ck_assert_uint_eq(r->line, 3);
    r = rules_for_some(rules, "a.secret.i3", r);
    ck_assert_uint_eq(r->line, 4);
    r = rules_for_some(rules, "a.secret.i3", r);
    ck_assert_uint_eq(r->line, 8);
    ck_assert_ptr_null(rules_for_some(rules, "a.secret.i3", r));
    ck_assert(rules_know_apps(rules) && !rules_want_shortcuts(rules));
    without();
    with("rule { suffix = \".i3\" action = \"overlay\" shortcut = yes }");
    ck_assert(!rules_know_apps(rules) && rules_want_shortcuts(rules));
    without();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/rules");
    TCase *tc = tcase_create("rules");
    tcase_add_loop_test(tc, the_first_rule_that_fits_decides, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(tc, what_this_version_lacks_is_said);
    tcase_add_test(tc, names_that_are_too_long_are_denied);
    tcase_add_test(tc, a_pattern_without_end_is_given_up_and_denies);
    tcase_add_test(tc, recursion_is_bounded);
    tcase_add_test(tc, every_name_is_asked_for_only_where_rules_want_it);
    tcase_add_test(tc, sessions_are_as_the_strictest_rule_wants_them);
    tcase_add_test(tc, rules_for_some_programs_are_found);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
