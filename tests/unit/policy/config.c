/* What i3.conf may say, and how errors are told. */
#include "daemon/policy/config.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/policy/schema.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"
#include <errno.h>

static int parse(struct config *c, const char *text, char err[300])
{
    struct config_errors e;
    int rc = config_parse(c, text, strlen(text), &e);
    config_errors_text(&e, "/x/i3.conf", err, 300);
    return rc;
}

START_TEST(empty_text_gives_the_defaults)
{
    struct config c, d;
    char err[300];
    memset(&c, 0x55, sizeof(c));
    memset(&d, 0x55, sizeof(d));
    config_default(&d);
    ck_assert_msg(parse(&c, "", err) == 0, "%s", err);
    ck_assert_uint_eq(c.n_nodes, 0);
    ck_assert_uint_eq(c.network, 0x0a000000);
    ck_assert_uint_eq(c.network_bits, 8);
    ck_assert_str_eq(c.suffix, ".i3");
    ck_assert_uint_eq(c.mtu, 1400);
    ck_assert_uint_eq(c.bind.family, 4);
    ck_assert_uint_eq(c.bind.port, 0);
    ck_assert_uint_eq(c.send_buffer, 33554432);
    ck_assert_uint_eq(c.recv_buffer, 33554432);
    ck_assert_uint_eq(c.connections, 10000);
    ck_assert_uint_eq(c.memory, 268435456);
    ck_assert(c.shortcut && c.encrypt && c.ecn && !c.waypoint && c.transport == CONFIG_AUTO);
    ck_assert_int_eq(c.log_level, LOG_LVL_INFO);
    /* what the parser has as defaults and config_default() are the same */
    ck_assert(d.n_nodes == c.n_nodes && d.network == c.network && d.network_bits == c.network_bits &&
              d.mtu == c.mtu);
    ck_assert(
        d.send_buffer == c.send_buffer && d.recv_buffer == c.recv_buffer && d.connections == c.connections);
    ck_assert(d.shortcut == c.shortcut && d.encrypt == c.encrypt && d.transport == c.transport);
    ck_assert(addr_eq(&d.bind, &c.bind) && !strcmp(d.suffix, c.suffix) && d.log_level == c.log_level);
}
END_TEST

START_TEST(takes_every_option)
{
    struct config c;
    char err[300], s[ADDR_STR];
    ck_assert_msg(parse(&c,
                      "# a node of ours\n"
                      "nodes = { \"203.0.113.7:5611\", // first\n"
                      "   # second\n"
                      "   '[2001:db8::7]' }\n"
                      "network = \"172.16.0.0/12\"   /* not\n ours */ suffix = .Home.Lan\n"
                      "mtu=9000\n"
                      "bind = \"[::1]:99\"\n"
                      "send-buffer = 65536\n"
                      "recv-buffer = 131072\n"
                      "connections = 7\n"
                      "memory = 2000000\n"
                      "shortcut = no\n"
                      "transport = \"tcp\"\n"
                      "encrypt = off\n"
                      "waypoint = on\n"
                      "ecn = no\n"
                      "log = debug",
                      err) == 0,
        "%s", err);
    ck_assert_uint_eq(c.n_nodes, 2);
    ck_assert_str_eq(addr_str(&c.nodes[0], s), "203.0.113.7:5611");
    ck_assert_str_eq(addr_str(&c.nodes[1], s), "[2001:db8::7]:5610");
    ck_assert_uint_eq(c.network, 0xac100000);
    ck_assert_uint_eq(c.network_bits, 12);
    ck_assert_str_eq(c.suffix, ".home.lan");
    ck_assert_uint_eq(c.mtu, 9000);
    ck_assert_str_eq(addr_str(&c.bind, s), "[::1]:99");
    ck_assert_uint_eq(c.send_buffer, 65536);
    ck_assert_uint_eq(c.recv_buffer, 131072);
    ck_assert_uint_eq(c.connections, 7);
    ck_assert_uint_eq(c.memory, 2000000);
    ck_assert(!c.shortcut && !c.encrypt && !c.ecn && c.waypoint && c.transport == CONFIG_TCP);
    ck_assert_int_eq(c.log_level, LOG_LVL_DEBUG);
}
END_TEST

/* Text, and how the error begins after the file's name. */
static const struct {
    const char *text, *err;
} wrong[] = {
    {"mtu = 575", "1: mtu: a number from 576 to 9000"},
    {"\n\nmtu = 9001\n", "3: mtu: a number from 576 to 9000"},
    {"# c\n# d\n\nmtu = 1\n", "4: mtu: "},
    {"/* a\n b */ mtu = 1\n", "2: mtu: "},
    {"mtu = 99999999999999999999", "1: mtu: a number"},
    {"mtu = 9223372036854775807", "1: mtu: a number"},
    {"mtu = 0x578", "1: mtu: a number"},
    {"mtu = abc", "1: mtu: a number from 576 to 9000 is expected, not 'abc'"},
    {"mtu = -1400", "1: mtu: a number"},
    {"mtu 1400", "1: mtu: '=' and a value are missing"},
    {"mtu += 1", "1: mtu: "},
    {"mtu = 1400\nmut = 1400", "2: mut: no such option; did you mean 'mtu'?"},
    {"section { }", "1: section: no such section"},
    {"include(\"/etc/passwd\")", "1: include: no such option"},
    {"send-buffer = 16383", "1: send-buffer: a number from 16384 to 1073741824"},
    {"recv-buffer = 1073741825", "1: recv-buffer: a number from 16384 to 1073741824"},
    {"memory = 1048575", "1: memory: a number from 1048576 to 1099511627776"},
    {"shortcut = perhaps", "1: shortcut: "},
    {"transport = \"carrier pigeon\"", "1: transport: one of auto, udp, tcp is expected"},
    {"encrypt = 2", "1: encrypt: "},
    {"connections = 0", "1: connections: a number from 1 to 1000000"},
    {"connections = 1000001", "1: connections: "},
    {"network = \"10.0.0.0\"", "1: network: "},
    {"network = \"10.0.0.0/7\"", "1: network: "},
    {"network = \"10.0.0.0/25\"", "1: network: "},
    {"network = \"10.0.0.1/8\"", "1: network: "},
    {"network = \"10.0.0/8\"", "1: network: "},
    {"network = \"10.0.0.0/ 8\"", "1: network: "},
    {"network = \"fd00::/8\"", "1: network: "},
    {"suffix = \"i3\"", "1: suffix: "},
    {"suffix = \".\"", "1: suffix: "},
    {"suffix = \"\"", "1: suffix: "},
    {"suffix = \".a..b\"", "1: suffix: "},
    {"suffix = \".a.\"", "1: suffix: "},
    {"suffix = \".a b\"", "1: suffix: "},
    {"suffix = \".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "1: suffix: "},
    {"bind = \"0.0.0.0\"", "1: bind: "},
    {"bind = \"0.0.0.0:65536\"", "1: bind: "},
    {"bind = \"localhost:1\"", "1: bind: "},
    {"nodes = { \"1.2.3.4:5\",\n\"example.org\" }", "2: nodes: an address, like "},
    {"nodes = { \"1.2.3.4:0\" }", "1: nodes: "},
    {"nodes = { \"1.2.3.4\",\n", "1: nodes: this list is not closed"},
    {"nodes={a,b", "1: nodes: this list is not closed"},
    {"log = verbose", "1: log: one of error, warn, info, debug"},
    {"log = \"info", "1: syntax: this string is not closed"},
    {"log = \"in\nfo\"", "1: syntax: this string is not closed"},
    {"\nlog = 'info\\", "2: syntax: this string is not closed"},
    {"log = \"\\400\"", "1: log: one of"},
    {"log = \"${HOME}\"", "1: syntax: the environment"},
    {"log = ${HOME}", "1: syntax: the environment"},
    {"mtu = 1400\n/* no end\n\n", "2: syntax: this comment is not closed"},
    {"/* a\n\n */\nlog = \"x", "4: syntax: this string"},
    {"mtu = \a1400", "1: syntax: there is a control character"},
    {"mtu = 1400 }", "1: syntax: nothing is open that this '}' could close"},
    {"mtu =", "1: mtu: a value is missing"},
};

START_TEST(names_file_line_and_option)
{
    struct config c, before;
    char err[300], want[200];
    memset(&c, 0x55, sizeof(c));
    before = c;
    ck_assert_int_eq(parse(&c, wrong[_i].text, err), -EINVAL);
    snprintf(want, sizeof(want), "/x/i3.conf:%s", wrong[_i].err);
    ck_assert_msg(!strncmp(err, want, strlen(want)), "<%s> gives <%s>", wrong[_i].text, err);
    ck_assert_mem_eq(&c, &before, sizeof(c)); /* filled only on success */
    /* and nothing of it is left for the next one */
    ck_assert_msg(parse(&c, "log = \"warn\"\nmtu = 1300", err) == 0, "%s", err);
    ck_assert_uint_eq(c.mtu, 1300);
    ck_assert_int_eq(parse(&c, "\nmtu = 1", err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, ":2: mtu: "));
}
END_TEST

START_TEST(takes_sections)
{
    static const char text[] = "resolve = { \"dns\", book }\n"
                               "overlay work {\n    suffix = \".Work.I3\"\n    nodes = { 203.0.113.9 }\n    nodes += { \"[2001:db8::9]:77\" }\n}\n"
                               "rule { match = \"^a\\.b\\\"c$\" app = 'my \\app' action = gateway via = Gate encrypt = no }\n"
                               "/* nine */\n"
                               "rule {\n    suffix = .x action = overlay shortcut = no encrypt = yes anonymity = no through = { A, b } }\n"
                               "expose dns { port = 53 proto = udp target = \"[::1]:5353\"\n"
                               "    allow = { \"Bob\", \"eve.home\" } } expose ssh { port = 22 allow = bob }\n";
    struct config c;
    char err[300], s[ADDR_STR];
    ck_assert_msg(parse(&c, text, err) == 0, "%s", err);
    ck_assert(c.resolve.n == 2 && c.resolve.by[0] == RESOLVE_DNS && c.resolve.by[1] == RESOLVE_BOOK);
    ck_assert(c.n_overlays == 1 && c.n_rules == 2 && c.n_exposes == 2);
    ck_assert(c.overlays[0].line == 2 && c.overlays[0].n_nodes == 2);
    ck_assert_str_eq(c.overlays[0].name, "work");
    ck_assert_str_eq(c.overlays[0].suffix, ".work.i3");
    ck_assert_str_eq(addr_str(&c.overlays[0].nodes[0], s), "203.0.113.9:5610");
    ck_assert_str_eq(addr_str(&c.overlays[0].nodes[1], s), "[2001:db8::9]:77");
    const struct config_rule *r = &c.rules[0];
    ck_assert(r->line == 7 && r->action == ACTION_GATEWAY && r->shortcut == CHOICE_UNSET && r->encrypt == CHOICE_NO && !r->n_through);
    ck_assert_str_eq(r->match, "^a\\.b\"c$"); /* a backslash stays, but before a quote */
    ck_assert_str_eq(r->app, "my \\app");
    ck_assert_str_eq(r->via, "gate");
    r = &c.rules[1];
    ck_assert(r->line == 9 && r->action == ACTION_OVERLAY && r->shortcut == CHOICE_NO && r->encrypt == CHOICE_YES && r->n_through == 2);
    ck_assert_str_eq(r->through[0], "a");
    const struct config_expose *e = &c.exposes[0];
    ck_assert(e->line == 11 && e->port == 53 && e->proto == 17 && e->n_allow == 2);
    ck_assert_str_eq(addr_str(&e->target, s), "[::1]:5353");
    ck_assert_str_eq(e->allow[0], "bob");
    ck_assert_str_eq(e->allow[1], "eve.home");
    e = &c.exposes[1];
    ck_assert(e->line == 12 && e->port == 22 && e->proto == 6 && e->n_allow == 1);
    ck_assert_str_eq(addr_str(&e->target, s), "127.0.0.1:22");
    config_free(&c);
    ck_assert(!c.rules && !c.n_rules);
}
END_TEST

START_TEST(tells_all_errors_in_the_order_of_lines)
{
    static struct config_errors e;
    static char text[4000];
    char out[600];
    struct config c;
    strcpy(text, "rule { suffix = \".a\" }\nmtu = 1\nrule { acton = deny }\nlog = x\n");
    ck_assert_int_eq(config_parse(&c, text, strlen(text), &e), -EINVAL);
    config_errors_text(&e, "f", out, sizeof(out));
    ck_assert_str_eq(out, "f:1: action: it is missing: action = \"overlay\", \"gateway\", \"direct\" or \"deny\"\n"
                          "f:2: mtu: a number from 576 to 9000 is expected, not '1'\n"
                          "f:3: acton: no such option in a section 'rule'; did you mean 'action'?\n"
                          "f:4: log: one of error, warn, info, debug is expected, not 'x'");
    text[0] = '\0';
    for (int i = 0; i < CONFIG_ERRORS_MAX + 3; i++)
        strcat(text, "mut = 1\n");
    strcat(text, "mtu = 1\n");
    ck_assert_int_eq(config_parse(&c, text, strlen(text), &e), -EINVAL);
    ck_assert_uint_eq(e.n, CONFIG_ERRORS_MAX + 4);
    ck_assert_uint_eq(e.at[CONFIG_ERRORS_MAX - 1].line, CONFIG_ERRORS_MAX);
    config_errors_text(&e, "f", out, sizeof(out)); /* whole lines only */
    ck_assert(out[strlen(out) - 1] == '?');
    for (size_t cap = 1; cap < sizeof(out); cap++) {
        config_errors_text(&e, "f", out, cap);
        ck_assert_uint_lt(strlen(out), cap);
    }
}
END_TEST

START_TEST(what_has_changed_is_found)
{
    struct config a, b;
    char err[300], names[200] = "";
    parse(&a, "mtu = 1400\nlog = info\nnodes = { 192.0.2.1 }", err);
    parse(&b, "mtu = 1300\nlog = debug\nnodes = { 192.0.2.1, 192.0.2.2 }\nresolve = { dns }", err);
    for (const struct config_option *o = NULL; (o = config_differ(&a, &b, o));)
        strcat(strcat(names, o->name), o->restart ? "! " : " ");
    ck_assert_str_eq(names, "nodes resolve mtu! log ");
    ck_assert_ptr_null(config_differ(&a, &a, NULL));
    parse(&b, "# nothing else\n\nnodes = 192.0.2.1\nmtu='1400'", err);
    ck_assert_ptr_null(config_differ(&a, &b, NULL));
}
END_TEST

START_TEST(nodes_are_bounded)
{
    struct config c;
    char err[300], text[1000] = "nodes = { ";
    for (int i = 0; i < CONFIG_NODES_MAX; i++)
        sprintf(text + strlen(text), "%s1.2.3.%d", i ? ", " : "", i);
    size_t n = strlen(text);
    strcpy(text + n, " }");
    ck_assert_msg(parse(&c, text, err) == 0, "%s", err);
    ck_assert_uint_eq(c.n_nodes, CONFIG_NODES_MAX);
    strcpy(text + n, ", 9.9.9.9 }");
    ck_assert_int_eq(parse(&c, text, err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "nodes: there are more than 16 nodes"));
}
END_TEST

START_TEST(parses_addresses)
{
    static const struct {
        const char *s;
        uint16_t port;
        const char *want; /* NULL: refused */
    } v[] = {
        {"1.2.3.4:5", 0, "1.2.3.4:5"},
        {"1.2.3.4:65535", 0, "1.2.3.4:65535"},
        {"1.2.3.4", 77, "1.2.3.4:77"},
        {"[::1]:5", 0, "[::1]:5"},
        {"[::1]", 77, "[::1]:77"},
        {"[::ffff:1.2.3.4]:5", 0, "1.2.3.4:5"},
        {"0.0.0.0:0", 0, "0.0.0.0:0"},
        {"1.2.3.4", 0, NULL},
        {"1.2.3.4:", 77, NULL},
        {"1.2.3.4:65536", 0, NULL},
        {"1.2.3.4:+5", 0, NULL},
        {"1.2.3.4: 5", 0, NULL},
        {"1.2.3.4:5x", 0, NULL},
        {"1.2.3:5", 0, NULL},
        {"1.2.3.256:5", 0, NULL},
        {"::1", 77, NULL},
        {"[::1", 77, NULL},
        {"[::1]5", 77, NULL},
        {"[1.2.3.4]:5", 0, NULL},
        {"[]:5", 0, NULL},
        {"", 77, NULL},
        {":5", 0, NULL},
        {"[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:5", 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        struct addr a;
        char s[ADDR_STR];
        memset(&a, 0x55, sizeof(a));
        int rc = config_parse_addr(&a, v[i].s, v[i].port);
        ck_assert_msg(rc == (v[i].want ? 0 : -EINVAL), "%s", v[i].s);
        if (v[i].want)
            ck_assert_str_eq(addr_str(&a, s), v[i].want);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/config");
    TCase *tc = tcase_create("config");
    tcase_add_test(tc, empty_text_gives_the_defaults);
    tcase_add_test(tc, takes_every_option);
    tcase_add_loop_test(tc, names_file_line_and_option, 0, (int)ARRAY_LEN(wrong));
    tcase_add_test(tc, takes_sections);
    tcase_add_test(tc, tells_all_errors_in_the_order_of_lines);
    tcase_add_test(tc, what_has_changed_is_found);
    tcase_add_test(tc, nodes_are_bounded);
    tcase_add_test(tc, parses_addresses);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
