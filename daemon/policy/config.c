#include "daemon/policy/config.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/policy/strip.h"
#include "include/bytes.h"

/* libconfuse tells errors to a function which gets nothing but the cfg_t. The title of the root section, a
 * string that nobody else uses, is lent to it to put down the first of them: "LINE: option: what is wrong".
 */
enum { TITLE_LEN = 400 };

enum {
    MTU_MIN = 576,
    MTU_MAX = 9000,
    BUFFER_MIN = 16 * 1024,
    BUFFER_MAX = 1 << 30,
    MEMORY_MIN = 1 << 20,
    CONNECTIONS_MAX = 1000000,
    NETWORK_BITS_MIN = 8,
    NETWORK_BITS_MAX = 24,
};

#define MEMORY_MAX (1l << 40)

static const char *const level_name[] = {
    [LOG_LVL_ERROR] = "error",
    [LOG_LVL_WARN] = "warn",
    [LOG_LVL_INFO] = "info",
    [LOG_LVL_DEBUG] = "debug",
};

static const char *const transport_name[] = {[CONFIG_AUTO] = "auto", [CONFIG_UDP] = "udp", [CONFIG_TCP] = "tcp"};

void config_default(struct config *c)
{
    *c = (struct config){
        .network = 0x0a000000,
        .network_bits = 8,
        .suffix = ".i3",
        .mtu = 1400,
        .bind = {.family = 4},
        .send_buffer = 33554432,
        .recv_buffer = 33554432,
        .memory = 268435456,
        .connections = 10000,
        .shortcut = true,
        .ecn = true,
        .encrypt = true,
        .waypoint = false,
        .log_level = LOG_LVL_INFO,
    };
}

/* ---- values ---- */

/* Decimal digits only, at most max; -1 when it is not so. */
static long digits_parse(const char *s, size_t len, long max)
{
    long v = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = v * 10 + (s[i] - '0');
        if (v > max)
            return -1;
    }
    return len ? v : -1;
}

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
    long number = port ? digits_parse(port, strlen(port), 65535) : default_port ? default_port : -1;
    if (number < 0)
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
    a->port = (uint16_t)number;
    return 0;
}

static int network_parse(const char *s, uint32_t *network, unsigned *bits)
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

/* ".label.label", lower-cased into out. */
static int suffix_parse(const char *s, char out[64])
{
    size_t label = 0, i = 0;
    if (*s != '.' || strlen(s) > 63)
        return -EINVAL;
    for (; s[i]; i++) {
        char c = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '.' ? i && !label : !ok)
            return -EINVAL;
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[i] = '\0';
    return label ? 0 : -EINVAL;
}

static int level_parse(const char *s)
{
    for (unsigned i = 0; i < ARRAY_LEN(level_name); i++)
        if (!strcmp(s, level_name[i]))
            return (int)i;
    return -EINVAL;
}

static int transport_parse(const char *s)
{
    for (unsigned i = 0; i < ARRAY_LEN(transport_name); i++)
        if (!strcmp(s, transport_name[i]))
            return (int)i;
    return -EINVAL;
}

/* ---- errors ---- */

static void title_set(cfg_t *cfg, const char *option, const char *what)
{
    if (cfg->title && !cfg->title[0])
        snprintf(cfg->title, TITLE_LEN, "%d: %s: %s", cfg->line, option, what);
}

/* libconfuse's own messages name the option in quotes, somewhere: put it in front. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char text[256], option[64] = "syntax";
    vsnprintf(text, sizeof(text), fmt, ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32)
            *c = ' ';
    char *quote = strstr(text, "option '");
    char *end = quote ? strchr(quote + 8, '\'') : NULL;
    if (end && (size_t)(end - quote) - 8 < sizeof(option)) {
        memcpy(option, quote + 8, (size_t)(end - quote) - 8);
        option[end - quote - 8] = '\0';
        memmove(quote + 6, end + 1, strlen(end + 1) + 1);
    }
    title_set(cfg, option, text);
}

static int refuse(cfg_t *cfg, cfg_opt_t *opt, const char *what)
{
    title_set(cfg, opt->name, what);
    return -1;
}

/* ---- checks, run as each value is read, so that the line is known ---- */

static int check_node(cfg_t *cfg, cfg_opt_t *opt)
{
    struct addr a;
    unsigned n = cfg_opt_size(opt);
    if (!n)
        return 0;
    if (n > CONFIG_NODES_MAX)
        return refuse(cfg, opt, "at most 16 nodes");
    if (config_parse_addr(&a, cfg_opt_getnstr(opt, n - 1), CONFIG_DEFAULT_PORT) || !a.port)
        return refuse(
            cfg, opt, "an address is expected, like \"203.0.113.7:5610\" or \"[2001:db8::7]:5610\"");
    return 0;
}

static int check_network(cfg_t *cfg, cfg_opt_t *opt)
{
    uint32_t network;
    unsigned bits;
    if (network_parse(cfg_opt_getstr(opt), &network, &bits))
        return refuse(cfg, opt, "a network of length 8 to 24 is expected, like \"10.0.0.0/8\"");
    return 0;
}

static int check_suffix(cfg_t *cfg, cfg_opt_t *opt)
{
    char suffix[64];
    if (suffix_parse(cfg_opt_getstr(opt), suffix))
        return refuse(cfg, opt, "a dot and a name are expected, like \".i3\"");
    return 0;
}

static int check_bind(cfg_t *cfg, cfg_opt_t *opt)
{
    struct addr a;
    if (config_parse_addr(&a, cfg_opt_getstr(opt), 0))
        return refuse(cfg, opt, "an address with a port is expected, like \"0.0.0.0:0\"");
    return 0;
}

static int check_log(cfg_t *cfg, cfg_opt_t *opt)
{
    if (level_parse(cfg_opt_getstr(opt)) < 0)
        return refuse(cfg, opt, "one of error, warn, info, debug is expected");
    return 0;
}

static int check_transport(cfg_t *cfg, cfg_opt_t *opt)
{
    if (transport_parse(cfg_opt_getstr(opt)) < 0)
        return refuse(cfg, opt, "one of auto, udp, tcp is expected");
    return 0;
}

static int check_range(cfg_t *cfg, cfg_opt_t *opt, long lo, long hi)
{
    char what[64];
    long v = cfg_opt_getnint(opt, 0);
    if (v >= lo && v <= hi)
        return 0;
    snprintf(what, sizeof(what), "a number from %ld to %ld is expected", lo, hi);
    return refuse(cfg, opt, what);
}

static int check_mtu(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, MTU_MIN, MTU_MAX);
}

static int check_buffer(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, BUFFER_MIN, BUFFER_MAX);
}

static int check_memory(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, MEMORY_MIN, MEMORY_MAX);
}

static int check_connections(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 1, CONNECTIONS_MAX);
}

/* ---- the whole ---- */

/* Every value was checked when it was read. */
static void config_take(struct config *c, cfg_t *cfg)
{
    config_default(c);
    c->n_nodes = cfg_size(cfg, "nodes");
    for (unsigned i = 0; i < c->n_nodes; i++)
        config_parse_addr(&c->nodes[i], cfg_getnstr(cfg, "nodes", i), CONFIG_DEFAULT_PORT);
    network_parse(cfg_getstr(cfg, "network"), &c->network, &c->network_bits);
    suffix_parse(cfg_getstr(cfg, "suffix"), c->suffix);
    c->mtu = (unsigned)cfg_getint(cfg, "mtu");
    config_parse_addr(&c->bind, cfg_getstr(cfg, "bind"), 0);
    c->send_buffer = (uint32_t)cfg_getint(cfg, "send-buffer");
    c->recv_buffer = (uint32_t)cfg_getint(cfg, "recv-buffer");
    c->memory = (uint64_t)cfg_getint(cfg, "memory");
    c->connections = (uint32_t)cfg_getint(cfg, "connections");
    c->shortcut = cfg_getbool(cfg, "shortcut");
    c->ecn = cfg_getbool(cfg, "ecn");
    c->encrypt = cfg_getbool(cfg, "encrypt");
    c->waypoint = cfg_getbool(cfg, "waypoint");
    c->transport = (enum config_transport)transport_parse(cfg_getstr(cfg, "transport"));
    c->log_level = level_parse(cfg_getstr(cfg, "log"));
}

/* Parses the stripped text; what is wrong goes to title ("LINE: option: what"), which stays the caller's. */
static int parse_stripped(struct config *c, const char *text, char *title)
{
    cfg_opt_t opts[] = {
        CFG_STR_LIST("nodes", "{}", CFGF_NONE),
        CFG_STR("network", "10.0.0.0/8", CFGF_NONE),
        CFG_STR("suffix", ".i3", CFGF_NONE),
        CFG_INT("mtu", 1400, CFGF_NONE),
        CFG_STR("bind", "0.0.0.0:0", CFGF_NONE),
        CFG_INT("send-buffer", 33554432, CFGF_NONE),
        CFG_INT("recv-buffer", 33554432, CFGF_NONE),
        CFG_INT("memory", 268435456, CFGF_NONE),
        CFG_INT("connections", 10000, CFGF_NONE),
        CFG_BOOL("shortcut", cfg_true, CFGF_NONE),
        CFG_BOOL("ecn", cfg_true, CFGF_NONE),
        CFG_BOOL("encrypt", cfg_true, CFGF_NONE),
        CFG_BOOL("waypoint", cfg_false, CFGF_NONE),
        CFG_STR("transport", "auto", CFGF_NONE),
        CFG_STR("log", "info", CFGF_NONE),
        CFG_END(),
    };
    static const struct {
        const char *name;
        cfg_validate_callback_t check;
    } checks[] = {
        {"nodes", check_node},
        {"network", check_network},
        {"suffix", check_suffix},
        {"mtu", check_mtu},
        {"bind", check_bind},
        {"send-buffer", check_buffer},
        {"recv-buffer", check_buffer},
        {"memory", check_memory},
        {"connections", check_connections},
        {"transport", check_transport},
        {"log", check_log},
    };
    cfg_t *cfg = cfg_init(opts, CFGF_NONE);
    if (!cfg)
        return -ENOMEM;
    cfg->title = title;
    cfg_set_error_function(cfg, on_error);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        cfg_set_validate_func(cfg, checks[i].name, checks[i].check);

    int rc = cfg_parse_buf(cfg, text);
    if (rc == CFG_SUCCESS)
        config_take(c, cfg);
    cfg->title = NULL;
    cfg_free(cfg);
    return rc == CFG_SUCCESS ? 0 : -EINVAL;
}

int config_parse(struct config *c, const char *text, const char *filename, char *err, size_t errlen)
{
    char title[TITLE_LEN] = "";
    const char *wrong;
    unsigned line;
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    if (!copy) {
        snprintf(err, errlen, "%s:1: file: out of memory", filename);
        return -EINVAL;
    }
    memcpy(copy, text, len + 1);
    int rc = config_strip(copy, &line, &wrong);
    if (rc)
        snprintf(title, sizeof(title), "%u: syntax: %s", line, wrong);
    else
        rc = parse_stripped(c, copy, title);
    if (rc)
        snprintf(err, errlen, "%s:%s", filename, title[0] ? title : "1: file: it cannot be parsed");
    free(copy);
    return rc ? -EINVAL : 0;
}
