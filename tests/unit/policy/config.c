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
START_TEST(a_portal_and_what_it_publishes)
{
    struct config c;
    char err[300];
    int rc = parse(&c,
        "portal { zone = \"I3.Example.org.\"  ns = { \"ns1.example.org\", \"ns2.example.org\" }  mail = \"h.example.org\"  dns = { \"0.0.0.0\", \"[::]:5353\" }\n"
        "waypoints = { \"203.0.113.7\", \"2001:db8::7\" }  http = { \"0.0.0.0:8080\" }  tls = \"[::1]\"  ports = { 22, 25 }  per-source = 9 }\n"
        "publish Foo { to = \"Foo.i3\"  ports = { 80, 22 }  from = { \"198.51.100.0/22\", \"2001:db8::/33\", \"192.0.2.1\" } }\n"
        "publish www.foo { to = \"foo.i3\" }\n", err);
    ck_assert_msg(!rc, "%s", err);
    const struct config_portal *p = c.portals;
    ck_assert(c.n_portals == 1 && !strcmp(p->zone, "i3.example.org") && p->n_ns == 2 && !strcmp(p->ns[1], "ns2.example.org"));
    ck_assert(p->dns.n == 2 && p->dns.v[0].port == 53 && p->dns.v[1].port == 5353 && p->http.n == 1 && p->http.v[0].port == 8080);
    ck_assert(p->tls.n == 1 && p->tls.v[0].port == 443 && p->tls.v[0].family == 6 && p->n_waypoints == 2 && p->waypoints[1].family == 6);
    ck_assert(p->ports.n == 2 && p->ports.v[1] == 25 && p->connections == 4096 && p->per_source == 9);
    const struct config_publish *e = c.publishes;
    ck_assert(c.n_publishes == 2 && !strcmp(e[0].name, "foo") && !strcmp(e[0].to, "foo.i3") && e[0].ports.n == 2 && e[0].n_from == 3);
    ck_assert(!strcmp(e[1].name, "www.foo") && e[1].ports.n == 2 && e[1].ports.v[1] == 443 && !e[1].n_from);
    static const struct {
        const char *ip;
        bool in;
    } from[] = {{"198.51.100.0", true}, {"198.51.103.255", true}, {"198.51.104.0", false}, {"198.51.99.255", false}, {"192.0.2.1", true},
        {"192.0.2.2", false}, {"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false}, {"::198.51.100.0", false}};
    for (unsigned i = 0; i < ARRAY_LEN(from); i++) {
        struct addr a = {.family = strchr(from[i].ip, ':') ? 6 : 4};
        inet_pton(a.family == 6 ? AF_INET6 : AF_INET, from[i].ip, a.ip);
        ck_assert_msg(config_from_has(e[0].from, e[0].n_from, &a) == from[i].in, "%s", from[i].ip);
        ck_assert(config_from_has(e[1].from, e[1].n_from, &a));
    }
    config_free(&c);
}
END_TEST

static const struct {
    const char *text, *err;
} wrong[] = {
    {"portal { }", "1: zone: it is missing"},
    {"portal { zone = z }", "1: portal: it opens nothing"},
    {"portal { zone = \"a..b\" }", "1: zone: a zone of the DNS"},
    {"portal { zone = z  dns = \"0.0.0.0:53\" }", "1: waypoints: it is missing"},
    {"portal { zone = z\nports = { 22 }  waypoints = 192.0.2.1 }", "1: dns: it is missing"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nports = { 22, 22 } }", "2: ports: 22 is there twice"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nports = { 0 } }", "2: ports: a port from 1 to 65535"},
    {"portal { zone = \"z.org\"  dns = \"0.0.0.0:53\" \nwaypoints = { \"192.0.2.1:80\" } }", "2: waypoints: an address of this machine without a port"},
    {"portal { zone = \"z.org\"  dns = \"0.0.0.0:53\" \nwaypoints = { \"0.0.0.0\" } }", "2: waypoints: an address"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nhttp = { \"0.0.0.0:80\", \"0.0.0.0:80\" } }", "2: http: 0.0.0.0:80 is there twice"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nhttp = \"example.org:80\" }", "2: http: an address of this machine with a port"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nhttp = \"0.0.0.0:8080\"  ports = 8080 }", "2: http: port 8080 is in 'ports' as well"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nns = { \"\" } }", "2: ns: the name of a name server"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" \nconnections = 0 }", "2: connections: a number from 1"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\nportal { zone = y  http = \"0.0.0.0:80\" }", "2: portal: there are more than 1 of these"},
    {"publish foo { to = \"foo.i3\" }", "1: publish: there is no section portal"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish foo { }", "2: to: it is missing"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish \"a_b..c\" { to = x }", "2: publish: 'a_b..c' cannot be a name"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish foo { to = x  ports = { } }", "2: ports: it names no port"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish foo { to = x  from = { } }", "2: from: it names nobody"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish foo { to = x  from = { \"10.0.0.1/8\" } }", "2: from: a range of addresses"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish foo { to = x  from = { \"::/129\" } }", "2: from: a range of addresses"},
    {"portal { zone = \"z.org\"  waypoints = 192.0.2.1  dns = \"0.0.0.0:53\" }\npublish foo { to = x }\npublish FOO { to = y }", "3: publish: 'foo' is published in line 2 already"},
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
    tcase_add_test(tc, a_portal_and_what_it_publishes);
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
