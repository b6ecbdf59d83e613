/* Where a gateway may go (daemon/policy/networks.h). */
#include "daemon/policy/networks.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/lib/suite.h"

START_TEST(ranges_are_read_and_written)
{
    static const struct {
        const char *text, *again; /* NULL: as it is */
        int err;
    } v[] = {
        {"10.20.0.0/16", NULL, 0}, {"192.168.7.5", "192.168.7.5/32", 0}, {"0.0.0.0/0:80", NULL, 0}, {"1.2.3.4:443", "1.2.3.4/32:443", 0},
        {"10.9.0.0/24:8000-8999", NULL, 0}, {"2001:db8::/32", NULL, 0}, {"[2001:db8::]/32:443", NULL, 0}, {"::1", "::1/128", 0},
        {"[::1]:80", "[::1]/128:80", 0}, {"[::1]", "::1/128", 0}, {"::/0", NULL, 0}, {"10.20.0.1/16", NULL, -ERANGE},
        {"2001:db8::1/32", NULL, -ERANGE}, {"", NULL, -EINVAL}, {"intranet", NULL, -EINVAL}, {"10.0.0.0/33", NULL, -EINVAL}, {"10.0.0.0/", NULL, -EINVAL},
        {"10.0.0.0/8:", NULL, -EINVAL}, {"10.0.0.0/8:0", NULL, -EINVAL}, {"10.0.0.0/8:65536", NULL, -EINVAL}, {"10.0.0.0/8:9-8", NULL, -EINVAL},
        {"10.0.0.0/8x", NULL, -EINVAL}, {"[10.0.0.0]/8", NULL, -EINVAL}, {"[::1", NULL, -EINVAL}, {"10.0.0/8", NULL, -EINVAL}, {"/8", NULL, -EINVAL},
        {"10.0.0.0/-1", NULL, -EINVAL}, {"10.0.0.0/8:80-", NULL, -EINVAL}, {":80", NULL, -EINVAL}, {"::/129", NULL, -EINVAL}};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct network n;
        char text[NETWORK_STR];
        ck_assert_msg(network_parse(&n, v[i].text) == v[i].err, "%s", v[i].text);
        if (!v[i].err)
            ck_assert_str_eq(network_text(&n, text), v[i].again ? v[i].again : v[i].text);
    }
}
END_TEST

static struct addr address(const char *text, uint16_t port)
{
    struct addr a = {.port = port};
    a.family = inet_pton(AF_INET, text, a.ip) == 1 ? 4 : inet_pton(AF_INET6, text, a.ip) == 1 ? 6 : 0;
    ck_assert_msg(a.family, "%s", text);
    return a;
}

START_TEST(addresses_are_allowed_as_they_are_listed_and_reserved_ones_by_themselves_only)
{
    static const struct {
        const char *list[3], *to;
        uint16_t port;
        bool yes, reserved;
    } v[] = {
        {{"0.0.0.0/0"}, "93.184.216.34", 80, true, false},
        {{"0.0.0.0/0:80"}, "93.184.216.34", 443, false, false},
        {{"0.0.0.0/0:80"}, "93.184.216.34", 0, true, false},
        {{"0.0.0.0/0:80-90"}, "93.184.216.34", 90, true, false},
        {{"0.0.0.0/0:80-90"}, "93.184.216.34", 91, false, false},
        {{"0.0.0.0/0"}, "127.0.0.1", 80, false, true}, /* names which point home */
        {{"0.0.0.0/0"}, "192.168.1.1", 80, false, true},
        {{"0.0.0.0/0"}, "10.1.2.3", 80, false, true},
        {{"0.0.0.0/0"}, "172.31.2.3", 80, false, true},
        {{"0.0.0.0/0"}, "172.32.2.3", 80, true, false},
        {{"0.0.0.0/0"}, "169.254.169.254", 80, false, true}, /* a cloud's secrets */
        {{"0.0.0.0/0"}, "100.64.0.1", 80, false, true},
        {{"0.0.0.0/0"}, "0.0.0.0", 80, false, true},
        {{"0.0.0.0/0"}, "255.255.255.255", 80, false, true},
        {{"0.0.0.0/0"}, "224.0.0.1", 80, false, true},
        {{"0.0.0.0/0", "192.168.0.0/16"}, "192.168.1.1", 80, true, false},
        {{"192.168.1.0/24"}, "192.168.2.1", 80, false, false},
        {{"127.0.0.1:631"}, "127.0.0.1", 631, true, false},
        {{"127.0.0.1:631"}, "127.0.0.1", 22, false, false},
        {{"128.0.0.0/1"}, "192.168.1.1", 80, false, true},
        {{"192.0.0.0/8"}, "192.168.1.1", 80, false, true},
        {{"10.0.0.0/8"}, "10.64.0.9", 80, false, true}, /* the virtual network, see below */
        {{"10.64.0.0/16"}, "10.64.0.9", 80, true, false},
        {{"0.0.0.0/0"}, "::ffff:127.0.0.1", 80, false, true},
        {{"::/0"}, "::ffff:93.184.216.34", 80, false, false}, /* it is IPv4's */
        {{"0.0.0.0/0"}, "::ffff:93.184.216.34", 80, true, false},
        {{"::/0"}, "2001:db8::1", 80, true, false},
        {{"::/0"}, "::1", 80, false, true},
        {{"::/0"}, "fe80::1", 80, false, true},
        {{"::/0"}, "fd00::1", 80, false, true},
        {{"::/0"}, "fd69:3300::1", 80, false, true},
        {{"::/0"}, "ff02::1", 80, false, true},
        {{"::/0"}, "64:ff9b::7f00:1", 80, false, true},
        {{"::/0"}, "2002:7f00:1::", 80, false, true},
        {{"::/0"}, "::127.0.0.1", 80, false, true},
        {{"fd00::/8"}, "fd00::1", 80, true, false},
        {{"::1"}, "::1", 80, true, false},
        {{NULL}, "93.184.216.34", 80, false, false}};
    struct network own;
    ck_assert(!network_parse(&own, "10.64.0.0/12"));
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct network list[3];
        unsigned n = 0;
        bool reserved;
        for (; n < 3 && v[i].list[n]; n++)
            ck_assert(!network_parse(&list[n], v[i].list[n]));
        struct addr a = address(v[i].to, v[i].port);
        ck_assert_msg(networks_allow(list, n, &own, &a, &reserved) == v[i].yes, "%s %s", v[i].list[0], v[i].to);
        ck_assert_msg(reserved == v[i].reserved, "%s %s", v[i].list[0], v[i].to);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/networks");
    TCase *tc = tcase_create("networks");
    tcase_add_test(tc, ranges_are_read_and_written);
    tcase_add_test(tc, addresses_are_allowed_as_they_are_listed_and_reserved_ones_by_themselves_only);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
