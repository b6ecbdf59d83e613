/* What i3.conf may say, and how errors are told. */
#include "daemon/policy/config.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/base/log.h"
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
    tcase_add_test(tc, nodes_are_bounded);
    tcase_add_test(tc, parses_addresses);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
