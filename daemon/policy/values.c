#include "daemon/policy/values.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "daemon/base/id.h"
#include "daemon/base/log.h"
#include "daemon/policy/pattern.h"
#include "include/bytes.h"

enum { NETWORK_BITS_MIN = 8, NETWORK_BITS_MAX = 24, SHOWN = 60 /* of a wrong value */ };

#define FIELD(type, to, o) ((type *)(void *)((char *)(to) + (o)->offset))

/* What is expected, and what stands there instead. */
static int refuse(char *why, size_t cap, const char *expected, const char *value)
{
    if (!*value)
        snprintf(why, cap, "%s is expected, but there is nothing between the quotes", expected);
    else
        snprintf(why, cap, "%s is expected, not '%.*s%s'", expected, SHOWN, value, strlen(value) > SHOWN ? "..." : "");
    return -EINVAL;
}

static int full(char *why, size_t cap, unsigned max, const char *what)
{
    snprintf(why, cap, "there are more than %u %s", max, what);
    return -EINVAL;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* ---- numbers and words ---- */

/* Decimal digits only, at most max; -1 when it is not so. */
static long digits_parse(const char *s, size_t len, long max)
{
    long v = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || v > max / 10)
            return -1;
        v = v * 10 + (s[i] - '0');
        if (v > max)
            return -1;
    }
    return len ? v : -1;
}

static int number(const struct config_option *o, const char *value, long *v, char *why, size_t cap)
{
    char expected[64];
    *v = digits_parse(value, strlen(value), o->max);
    if (*v >= o->min)
        return 0;
    snprintf(expected, sizeof(expected), "a number from %ld to %ld", o->min, o->max);
    return refuse(why, cap, expected, value);
}

int value_unsigned(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    long v;
    int err = number(o, value, &v, why, cap);
    if (!err)
        *FIELD(uint32_t, to, o) = (uint32_t)v;
    return err;
}

static_assert(sizeof(unsigned) == sizeof(uint32_t), "mtu is read as a uint32_t");

int value_size(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    long v;
    int err = number(o, value, &v, why, cap);
    if (!err)
        *FIELD(uint64_t, to, o) = (uint64_t)v;
    return err;
}

static int word_find(const char *const *names, unsigned n, const char *value)
{
    for (unsigned i = 0; i < n; i++) {
        size_t k = 0;
        while (names[i][k] && lower(value[k]) == names[i][k])
            k++;
        if (!names[i][k] && !value[k])
            return (int)i;
    }
    return -EINVAL;
}

/* 0 or 1, or -EINVAL. */
static int truth(const char *value, char *why, size_t cap)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true"};
    int i = word_find(words, ARRAY_LEN(words), value);
    return i < 0 ? refuse(why, cap, "yes or no", value) : i & 1;
}

int value_bool(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    int v = truth(value, why, cap);
    if (v >= 0)
        *FIELD(bool, to, o) = v;
    return v < 0 ? v : 0;
}

int value_choice(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    int v = truth(value, why, cap);
    if (v >= 0)
        *FIELD(enum config_choice, to, o) = v ? CHOICE_YES : CHOICE_NO;
    return v < 0 ? v : 0;
}

int value_log(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    static const char *const words[] = {[LOG_LVL_ERROR] = "error", [LOG_LVL_WARN] = "warn", [LOG_LVL_INFO] = "info", [LOG_LVL_DEBUG] = "debug"};
    int v = word_find(words, ARRAY_LEN(words), value);
    if (v < 0)
        return refuse(why, cap, "one of error, warn, info, debug", value);
    *FIELD(int, to, o) = v;
    return 0;
}

int value_transport(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    static const char *const words[] = {[CONFIG_AUTO] = "auto", [CONFIG_UDP] = "udp", [CONFIG_TCP] = "tcp"};
    int v = word_find(words, ARRAY_LEN(words), value);
    if (v < 0)
        return refuse(why, cap, "one of auto, udp, tcp", value);
    *FIELD(enum config_transport, to, o) = (enum config_transport)v;
    return 0;
}

int value_action(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    static const char *const words[] = {
        [ACTION_OVERLAY] = "overlay", [ACTION_GATEWAY] = "gateway", [ACTION_DIRECT] = "direct", [ACTION_DENY] = "deny"};
    static_assert(ARRAY_LEN(words) == CONFIG_ACTIONS, "name all");
    int v = word_find(words, ARRAY_LEN(words), value);
    if (v < 0)
        return refuse(why, cap, "one of overlay, gateway, direct, deny", value);
    *FIELD(enum config_action, to, o) = (enum config_action)v;
    return 0;
}

int value_proto(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    static const char *const words[] = {"tcp", "udp"};
    int v = word_find(words, ARRAY_LEN(words), value);
    if (v < 0)
        return refuse(why, cap, "tcp or udp", value);
    *FIELD(uint8_t, to, o) = v ? IPPROTO_UDP : IPPROTO_TCP;
    return 0;
}

int value_resolve(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    static const char *const words[] = {[RESOLVE_BOOK] = "book", [RESOLVE_HASH] = "hash", [RESOLVE_DNS] = "dns"};
    static_assert(ARRAY_LEN(words) == CONFIG_RESOLVERS, "name all");
    struct config_resolve *r = FIELD(struct config_resolve, to, o);
    int v = word_find(words, ARRAY_LEN(words), value);
    if (v < 0)
        return refuse(why, cap, "book, hash or dns", value);
    for (unsigned i = 0; i < r->n; i++)
        if (r->by[i] == (enum config_resolver)v) {
            snprintf(why, cap, "'%s' is there twice", words[v]);
            return -EINVAL;
        }
    r->by[r->n++] = (enum config_resolver)v;
    return 0;
}

/* ---- addresses ---- */

/* Where the host part ends and the port (or NULL) begins; false when the brackets are not right. */
static bool addr_split(const char *s, const char **host, size_t *host_len, const char **port)
{
    const char *end;
    if (*s == '[') {
        end = strchr(s, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
        *host = s + 1;
        *host_len = (size_t)(end - s) - 1;
        *port = end[1] ? end + 2 : NULL;
        return true;
    }
    end = strchr(s, ':');
    *host = s;
    *host_len = end ? (size_t)(end - s) : strlen(s);
    *port = end ? end + 1 : NULL;
    return true;
}

int config_parse_addr(struct addr *a, const char *s, uint16_t default_port)
{
    const char *host, *port;
    size_t len;
    char buf[INET6_ADDRSTRLEN];
    if (!addr_split(s, &host, &len, &port) || len >= sizeof(buf))
        return -EINVAL;
    memcpy(buf, host, len);
    buf[len] = '\0';
    long v = port ? digits_parse(port, strlen(port), 65535) : default_port ? default_port : -1;
    if (v < 0)
        return -EINVAL;

    if (*s == '[') {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        if (inet_pton(AF_INET6, buf, &in6.sin6_addr) != 1)
            return -EINVAL;
        *a = addr_from_sockaddr(&in6, sizeof(in6));
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET};
        if (inet_pton(AF_INET, buf, &in.sin_addr) != 1)
            return -EINVAL;
        *a = addr_from_sockaddr(&in, sizeof(in));
    }
    a->port = (uint16_t)v;
    return 0;
}

int value_addr(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    if (config_parse_addr(FIELD(struct addr, to, o), value, 0))
        return refuse(why, cap, "an address with a port, like \"0.0.0.0:0\" or \"[::]:0\",", value);
    return 0;
}

int value_dns_server(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct addr *a = FIELD(struct addr, to, o);
    if (!*value) {
        *a = (struct addr){0};
        return 0;
    }
    if (config_parse_addr(a, value, 53) || !a->port || addr_is_any(a))
        return refuse(why, cap, "the address of a DNS server, like \"192.0.2.53\" or \"[2001:db8::53]:5353\", or \"\"", value);
    return 0;
}

/* A zone of the DNS, "i3.example.org"; "": none. */
int value_zone(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    char *out = FIELD(char, to, o);
    const char *s = value + (*value == '.');
    size_t n = strlen(s), label = 0;
    n -= n && s[n - 1] == '.';
    bool ok = (n && n <= CONFIG_ZONE_MAX) || !*value;
    for (size_t i = 0; ok && i < n; i++) {
        char c = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
        label = c == '.' ? 0 : label + 1;
        ok = c == '.' ? i && s[i - 1] != '.' : ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') && label <= 63;
        out[i] = c;
    }
    if (!ok)
        return refuse(why, cap, "a zone of the DNS, like \"i3.example.org\",", value);
    out[n] = '\0';
    return 0;
}

static int node_append(struct addr *nodes, unsigned *n, const char *value, char *why, size_t cap)
{
    struct addr a;
    if (config_parse_addr(&a, value, CONFIG_DEFAULT_PORT) || !a.port || addr_is_any(&a))
        return refuse(why, cap, "an address, like \"203.0.113.7:5610\" or \"[2001:db8::7]:5610\",", value);
    for (unsigned i = 0; i < *n; i++)
        if (addr_eq(&a, &nodes[i])) {
            snprintf(why, cap, "%.*s is there twice", SHOWN, value);
            return -EINVAL;
        }
    if (*n == CONFIG_NODES_MAX)
        return full(why, cap, CONFIG_NODES_MAX, "nodes");
    nodes[(*n)++] = a;
    return 0;
}

int value_node(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config *c = to;
    (void)o;
    return node_append(c->nodes, &c->n_nodes, value, why, cap);
}

int value_overlay_node(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_overlay *v = to;
    (void)o;
    return node_append(v->nodes, &v->n_nodes, value, why, cap);
}

static int pool_network_parse(const char *s, uint32_t *network, unsigned *bits)
{
    char buf[INET_ADDRSTRLEN];
    uint8_t ip[4];
    const char *slash = strchr(s, '/');
    if (!slash || (size_t)(slash - s) >= sizeof(buf))
        return -EINVAL;
    memcpy(buf, s, (size_t)(slash - s));
    buf[slash - s] = '\0';
    long n = digits_parse(slash + 1, strlen(slash + 1), 32);
    if (inet_pton(AF_INET, buf, ip) != 1 || n < NETWORK_BITS_MIN || n > NETWORK_BITS_MAX)
        return -EINVAL;
    *network = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
    *bits = (unsigned)n;
    return *network & (0xffffffffu >> n) ? -EINVAL : 0;
}

int value_network(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config *c = to;
    (void)o;
    if (pool_network_parse(value, &c->network, &c->network_bits))
        return refuse(why, cap, "a network of length 8 to 24, like \"10.0.0.0/8\",", value);
    return 0;
}

int value_port(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    long v = digits_parse(value, strlen(value), 65535);
    if (v < 1)
        return refuse(why, cap, "a port from 1 to 65535", value);
    *FIELD(uint16_t, to, o) = (uint16_t)v;
    return 0;
}

int value_target(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct addr a;
    if (config_parse_addr(&a, value, 0) || !a.port || addr_is_any(&a))
        return refuse(why, cap, "the server's address with its port, like \"127.0.0.1:22\",", value);
    *FIELD(struct addr, to, o) = a;
    return 0;
}

/* ---- the portal ---- */

/* Without a port, that of the row (`min`). */
int value_listen(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_listen *l = FIELD(struct config_listen, to, o);
    struct addr a;
    if (config_parse_addr(&a, value, (uint16_t)o->min))
        return refuse(why, cap, "an address of this machine with a port, like \"0.0.0.0:8080\" or \"[::]:8080\",", value);
    for (unsigned i = 0; i < l->n; i++)
        if (addr_eq(&a, &l->v[i]) && a.port) {
            snprintf(why, cap, "%.*s is there twice", SHOWN, value);
            return -EINVAL;
        }
    if (l->n == CONFIG_PORTAL_LISTEN_MAX)
        return full(why, cap, CONFIG_PORTAL_LISTEN_MAX, "addresses");
    l->v[l->n++] = a;
    return 0;
}

int value_ns(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_portal *p = to;
    struct config_option one = *o;
    if (p->n_ns == CONFIG_PORTAL_NS_MAX)
        return full(why, cap, CONFIG_PORTAL_NS_MAX, "name servers");
    one.offset = offsetof(struct config_portal, ns) + p->n_ns * sizeof(p->ns[0]);
    if (!*value || value_zone(&one, to, value, why, cap))
        return refuse(why, cap, "the name of a name server, like \"ns1.example.org\",", value);
    p->n_ns++;
    return 0;
}

int value_waypoint(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_portal *p = to;
    struct addr a = {0};
    (void)o;
    a.family = inet_pton(AF_INET, value, a.ip) == 1 ? 4 : inet_pton(AF_INET6, value, a.ip) == 1 ? 6 : 0;
    if (!a.family || addr_is_any(&a) || addr_is_group(&a))
        return refuse(why, cap, "an address of this machine without a port, like \"203.0.113.7\",", value);
    for (unsigned i = 0; i < p->n_waypoints; i++)
        if (addr_eq(&a, &p->waypoints[i])) {
            snprintf(why, cap, "%.*s is there twice", SHOWN, value);
            return -EINVAL;
        }
    if (p->n_waypoints == CONFIG_WAYPOINTS_MAX)
        return full(why, cap, CONFIG_WAYPOINTS_MAX, "waypoints");
    p->waypoints[p->n_waypoints++] = a;
    return 0;
}

int value_ports(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_ports *p = FIELD(struct config_ports, to, o);
    long v = digits_parse(value, strlen(value), 65535);
    if (v < 1)
        return refuse(why, cap, "a port from 1 to 65535", value);
    for (unsigned i = 0; i < p->n; i++)
        if (p->v[i] == v) {
            snprintf(why, cap, "%ld is there twice", v);
            return -EINVAL;
        }
    if (p->n == CONFIG_PORTS_MAX)
        return full(why, cap, CONFIG_PORTS_MAX, "ports");
    p->v[p->n++] = (uint16_t)v;
    return 0;
}

/* "a.b.c.d/bits", "x::y/bits"; without bits one address. What is beyond the bits must be 0: who writes otherwise means something else. */
static bool range_parse(struct config_range *r, const char *value)
{
    char ip[64];
    const char *slash = strchr(value, '/');
    size_t n = slash ? (size_t)(slash - value) : strlen(value);
    if (n >= sizeof(ip))
        return false;
    memcpy(ip, value, n);
    ip[n] = '\0';
    r->family = inet_pton(AF_INET, ip, r->ip) == 1 ? 4 : inet_pton(AF_INET6, ip, r->ip) == 1 ? 6 : 0;
    long most = r->family == 4 ? 32 : 128, bits = slash ? digits_parse(slash + 1, strlen(slash + 1), most) : most;
    r->bits = (uint8_t)bits;
    for (long i = bits; i >= 0 && i < most; i++)
        if (r->ip[i / 8] & 0x80 >> i % 8)
            return false;
    return r->family && bits >= 0;
}

int value_from(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_publish *p = to;
    struct config_range r = {0};
    (void)o;
    if (!range_parse(&r, value))
        return refuse(why, cap, "a range of addresses, like \"198.51.100.0/24\" or \"2001:db8::/32\",", value);
    if (p->n_from == CONFIG_FROM_MAX)
        return full(why, cap, CONFIG_FROM_MAX, "ranges");
    p->from[p->n_from++] = r;
    return 0;
}

/* ---- names ---- */

/* ".label.label", lower-cased into out. */
static int suffix_parse(const char *s, char out[64])
{
    size_t label = 0, i = 0;
    if (*s != '.' || strlen(s) > 63)
        return -EINVAL;
    for (; s[i]; i++) {
        char c = lower(s[i]);
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '.' ? i && !label : !ok)
            return -EINVAL;
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[i] = '\0';
    return label ? 0 : -EINVAL;
}

int value_suffix(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    if (suffix_parse(value, FIELD(char, to, o)))
        return refuse(why, cap, "a dot and a name, like \".i3\",", value);
    return 0;
}

int value_rule_suffix(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    if (suffix_parse(value, FIELD(char, to, o)))
        return refuse(why, cap, "a dot and how names end, like \".i3\" or \".example.org\",", value);
    return 0;
}

int value_name(const char *s, char out[CONFIG_NAME_MAX + 1])
{
    size_t label = 0, i = 0;
    if (strlen(s) > CONFIG_NAME_MAX)
        return -EINVAL;
    for (; s[i]; i++) {
        char c = lower(s[i]);
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '.' ? !label : !ok)
            return -EINVAL;
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[i] = '\0';
    return label ? 0 : -EINVAL;
}

int value_via(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    if (value_name(value, FIELD(char, to, o)))
        return refuse(why, cap, "the gateway's name in your address book", value);
    return 0;
}

/* One more for a list of names, none of them twice. */
static int name_append(char list[][CONFIG_NAME_MAX + 1], unsigned *n, unsigned max, const char *what, const char *value, char *why, size_t cap)
{
    char name[CONFIG_NAME_MAX + 1];
    if (value_name(value, name))
        return refuse(why, cap, what, value);
    for (unsigned i = 0; i < *n; i++)
        if (!strcmp(list[i], name)) {
            snprintf(why, cap, "%s is there twice", name);
            return -EINVAL;
        }
    if (*n == max)
        return full(why, cap, max, "names");
    strcpy(list[(*n)++], name);
    return 0;
}

int value_through(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_rule *r = to;
    (void)o;
    return name_append(r->through, &r->n_through, CONFIG_THROUGH_MAX, "a name of your address book", value, why, cap);
}

/* 52 letters and digits without a dot are a key: nobody calls a friend so. */
static bool looks_like_key(const char *s)
{
    return strlen(s) == KEY_STR_LEN && !strpbrk(s, ".-_");
}

/* One more of those who may: a name of the book, or a key. */
static int who_append(char list[][CONFIG_NAME_MAX + 1], unsigned *n, unsigned max, const char *what, const char *value, char *why, size_t cap)
{
    uint8_t key[KEY_LEN];
    if (looks_like_key(value) && key_parse(value, key)) {
        snprintf(why, cap, "this is the length of a key, and is none: there must be a typing error in it");
        return -EINVAL;
    }
    return name_append(list, n, max, what, value, why, cap);
}

int value_allow(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_expose *e = to;
    (void)o;
    return who_append(e->allow, &e->n_allow, CONFIG_ALLOW_MAX, "a name of your address book, or a key as 'i3ctl id' prints it,", value, why, cap);
}

/* ---- the gateway ---- */

int value_allow_any(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_gateway *g = to;
    (void)o;
    return who_append(g->allow, &g->n_allow, CONFIG_USERS_MAX, "a name of your address book, or a key as 'i3ctl id' prints it, or \"anyone\",", value, why, cap);
}

int value_network_range(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_gateway *g = to;
    struct network n;
    int err = network_parse(&n, value);
    (void)o;
    if (err == -ERANGE) {
        snprintf(why, cap, "'%.*s' has bits beyond its length: write the network's own address, as in \"10.20.0.0/16\"", SHOWN, value);
        return -EINVAL;
    }
    if (err)
        return refuse(why, cap, "a range of addresses, like \"10.20.0.0/16\", \"0.0.0.0/0:80\" or \"[2001:db8::]/32:443\",", value);
    if (g->n_networks == CONFIG_NETWORKS_MAX)
        return full(why, cap, CONFIG_NETWORKS_MAX, "ranges");
    g->networks[g->n_networks++] = n;
    return 0;
}

int value_names(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_gateway *g = to;
    char suffix[64];
    (void)o;
    if (suffix_parse(value, suffix))
        return refuse(why, cap, "a dot and how names end, like \".intra.example\",", value);
    if (g->n_names == CONFIG_ZONES_MAX)
        return full(why, cap, CONFIG_ZONES_MAX, "suffixes");
    memcpy(g->names[g->n_names++], suffix, sizeof(suffix));
    return 0;
}

int value_require(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_require *r = FIELD(struct config_require, to, o);
    return who_append(r->by, &r->n, CONFIG_REQUIRE_MAX, "a name of your address book, or a key as 'i3ctl id' prints it,", value, why, cap);
}

int value_alerts(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    return value_name(value, FIELD(char, to, o)) ? refuse(why, cap, "\"me\", or a name of your address book", value) : 0;
}

int value_box_allow(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_middlebox *m = to;
    (void)o;
    return who_append(m->allow, &m->n_allow, CONFIG_ALLOW_MAX, "a name of your address book, or a key as 'i3ctl id' prints it,", value, why, cap);
}

int value_box_next(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_middlebox *m = to;
    (void)o;
    return who_append(m->next, &m->n_next, CONFIG_ALLOW_MAX, "a name of your address book, or a key as 'i3ctl id' prints it,", value, why, cap);
}

/* One of two words: 0 or 1, less: neither. */
static int either(const char *value, const char *no, const char *yes)
{
    return !strcmp(value, no) ? 0 : !strcmp(value, yes) ? 1 : -1;
}

int value_box_addresses(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    int v = either(value, "original", "synthesised");
    if (v < 0)
        return refuse(why, cap, "\"original\" or \"synthesised\"", value);
    *FIELD(bool, to, o) = v;
    return 0;
}

int value_fail(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    int v = either(value, "closed", "open");
    if (v < 0)
        return refuse(why, cap, "\"closed\" or \"open\"", value);
    *FIELD(bool, to, o) = v;
    return 0;
}

/* The path of something in a folder: absolute, no folder itself. */
static bool is_path(const char *s)
{
    size_t n = strlen(s);
    return *s == '/' && n > 1 && s[n - 1] != '/' && !strstr(s, "/../") && n < 108; /* as a socket's may be */
}

int value_path(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    if (!is_path(value))
        return refuse(why, cap, "a path from / on, of up to 107 bytes,", value);
    strcpy(FIELD(char, to, o), value);
    return 0;
}

static bool is_device(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++) {
        char c = lower(s[n]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return n && n < 16;
}

int value_tap(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    struct config_middlebox *m = to;
    bool fifo = !strncmp(value, "fifo:", 5), file = !strncmp(value, "file:", 5), tun = !strncmp(value, "tun:", 4);
    (void)o;
    if (tun ? !is_device(value + 4) : !(fifo || file) || !is_path(value + 5))
        return refuse(why, cap, "\"tun:DEVICE\", \"fifo:/PATH\" or \"file:/PATH\"", value);
    for (unsigned i = 0; i < m->n_taps; i++)
        if (!strcmp(m->tap[i], value)) {
            snprintf(why, cap, "%s is there twice", value);
            return -EINVAL;
        }
    if (m->n_taps == CONFIG_TAPS_MAX)
        return full(why, cap, CONFIG_TAPS_MAX, "taps");
    strcpy(m->tap[m->n_taps++], value);
    return 0;
}

int value_match(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    size_t at;
    char wrong[160];
    if (!*value)
        return refuse(why, cap, "a pattern, like '^git\\.'", value);
    if (strlen(value) > CONFIG_MATCH_MAX) {
        snprintf(why, cap, "the pattern is longer than %d characters", CONFIG_MATCH_MAX);
        return -EINVAL;
    }
    struct pattern *p = pattern_new(value, &at, wrong, sizeof(wrong));
    if (!p) {
        snprintf(why, cap, "%s, at offset %zu of the pattern", wrong, at);
        return -EINVAL;
    }
    pattern_free(p);
    strcpy(FIELD(char, to, o), value);
    return 0;
}

int value_app(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    bool ok = *value && strlen(value) <= CONFIG_APP_MAX && !strchr(value, '/') && strcmp(value, ".") && strcmp(value, "..");
    for (const char *c = value; *c; c++)
        ok &= (unsigned char)*c >= 32 && *c != 127;
    if (!ok)
        return refuse(why, cap, "the file name of a program, without its folder, like \"firefox\",", value);
    strcpy(FIELD(char, to, o), value);
    return 0;
}

int value_kind(const struct config_option *o, void *to, const char *value, char *why, size_t cap)
{
    static const char *const words[] = {[KIND_I3] = "i3", [KIND_MESH] = "mesh"};
    static_assert(ARRAY_LEN(words) == CONFIG_KINDS, "name all");
    int v = word_find(words, ARRAY_LEN(words), value);
    if (v < 0)
        return refuse(why, cap, "one of i3, mesh", value);
    *FIELD(enum config_kind, to, o) = (enum config_kind)v;
    return 0;
}
