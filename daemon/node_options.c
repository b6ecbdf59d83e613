#include "daemon/node_options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/node/rate.h"
#include "daemon/node/store.h"
#include "daemon/policy/config.h"

enum { RATE_MIN = 10, RATE_MAX = RATE_PER_SECOND_MAX, SOURCE_TRIGGERS_MAX = 100000000 };
#define MEMORY_MIN (16ull << 20)
#define MEMORY_MAX (1ull << 40)

static const char usage[] =
    "usage: i3node [OPTION]...\n"
    "An i3 overlay node: stores triggers and forwards packets. Runs as an ordinary user.\n"
    "\n"
    "  --listen ADDR:PORT       UDP address (default 0.0.0.0:5610; port 0 picks a free one)\n"
    "  --tcp-port PORT          hosts whose UDP is blocked come by TCP to this port as well, such as 443; up to 3 times\n"
    "  --tcp-max N              how many of them at once (default 1024)\n"
    "  --no-tcp                 none of them (default: TCP at the address of --listen)\n"
    "  --join ADDR:PORT         another node of the ring to be part of; may be given up to 8 times\n"
    "  --ring-secret FILE       what the ring's nodes have in common, a line of at least 16 characters; alone: a new ring\n"
    "  --advertise ADDR[:PORT]  where the other nodes reach this one, if not at the address of --listen\n"
    "  --state FOLDER           keeps the node's key, and so its place on the ring\n"
    "\n"
    "  --control FILE|no        the socket at which i3ctl reaches it (default node-PORT.sock in $XDG_RUNTIME_DIR/i3)\n"
    "  --metrics [ADDR:]PORT    counters for Prometheus at http://ADDR:PORT/metrics (ADDR: 127.0.0.1)\n"
    "  --log FILE               instead of standard error; opened anew at SIGHUP\n"
    "  --log-format FORMAT      text (default), json (one object a line), journal (for systemd)\n"
    "  --log-level LEVEL        error, warn, info (default) or debug\n"
    "\n"
    "  --memory SIZE            how much it may take, as 512M or 2G; beyond that new triggers are refused\n"
    "  --workers N              threads, 1 to 64; 0: as many as there are cores (default 1: see i3node(1))\n"
    "  --rate-per-source N      packets a second of one IPv4 address or IPv6 /64 (default: no limit)\n"
    "  --rate-per-trigger N     packets a second to one trigger (default: no limit)\n"
    "  --triggers-per-source N  triggers of one source (default: as many as are free)\n"
    "  --no-sandbox             do without seccomp and Landlock\n"
    "\n"
    "  --background             detach once the port is bound\n"
    "  --pid-file FILE          write the process id there\n"
    "  --port-file FILE         write the bound port there\n"
    "  --check                  look at the options and the files they name, start nothing\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 ended by SIGTERM or SIGINT, 1 failed, 2 usage.\n";

struct setting {
    const char *name;
    bool has_value;
    void (*take)(struct node_options *o, const char *name, const char *value);
};

static void refuse(const char *name, const char *value, const char *why)
{
    fprintf(stderr, "i3node: --%s %s: %s\n", name, value, why);
    exit(2);
}

/* ---- values ---- */

static void take_addr(struct addr *a, const char *name, const char *value, uint16_t port)
{
    if (config_parse_addr(a, value, port))
        refuse(name, value, "not ADDR:PORT, as in 203.0.113.7:5610 or [2001:db8::7]:5610");
}

static uint32_t take_number(const char *name, const char *value, uint32_t min, uint32_t max)
{
    char *end, why[80];
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (*value >= '0' && *value <= '9' && !*end && !errno && v >= min && v <= max)
        return (uint32_t)v;
    snprintf(why, sizeof(why), "not a whole number between %u and %u", min, max);
    refuse(name, value, why);
    return 0;
}

static unsigned take_word(const char *name, const char *value, const char *const *word, unsigned n, const char *why)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(value, word[i]))
            return i;
    refuse(name, value, why);
    return 0;
}

static void file_named(const char *name, const char *value)
{
    if (!*value)
        refuse(name, "''", "a file name is missing");
}

/* ---- options ---- */

static void o_listen(struct node_options *o, const char *name, const char *value)
{
    take_addr(&o->listen, name, value, CONFIG_DEFAULT_PORT);
}

static void o_tcp_port(struct node_options *o, const char *name, const char *value)
{
    if (o->stream.ports == ARRAY_LEN(o->stream.port))
        refuse(name, value, "more than 3 are not used");
    o->stream.port[o->stream.ports++] = (uint16_t)take_number(name, value, 1, 65535);
}

static void o_tcp_max(struct node_options *o, const char *name, const char *value)
{
    unsigned n = take_number(name, value, 1, 100000);
    o->stream.streams.max = n;
    o->stream.streams.per_source = n / 4 > 32 ? n / 4 : 32;
}

static void o_no_tcp(struct node_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->stream.off = true;
}

static void o_join(struct node_options *o, const char *name, const char *value)
{
    o->ring = true;
    if (o->ring_config.n_seeds == RING_SEEDS)
        refuse(name, value, "more than 8 are not used");
    struct addr *seed = &o->ring_config.seeds[o->ring_config.n_seeds++];
    take_addr(seed, name, value, CONFIG_DEFAULT_PORT);
    if (!seed->port)
        refuse(name, value, "port 0 is nowhere");
}

static void o_secret(struct node_options *o, const char *name, const char *value)
{
    file_named(name, value);
    o->ring = true;
    o->secret_file = value;
}

static void o_advertise(struct node_options *o, const char *name, const char *value)
{
    o->ring = true;
    if (config_parse_addr(&o->ring_config.self, value, 0)) {
        take_addr(&o->ring_config.self, name, value, CONFIG_DEFAULT_PORT);
        o->ring_config.self.port = 0; /* that of --listen */
    }
}

static void o_state(struct node_options *o, const char *name, const char *value)
{
    file_named(name, value);
    o->state = value;
}

static void o_control(struct node_options *o, const char *name, const char *value)
{
    file_named(name, value);
    o->no_control = !strcmp(value, "no");
    o->control = o->no_control ? NULL : value;
    if (o->control && *o->control != '/')
        refuse(name, value, "not 'no' and not a path that begins with /");
}

/* A port alone is one of this machine. */
static void o_metrics(struct node_options *o, const char *name, const char *value)
{
    bool port_only = strspn(value, "0123456789") == strlen(value);
    if (port_only)
        o->metrics = addr_v4(INADDR_LOOPBACK, (uint16_t)take_number(name, value, 0, 65535));
    else
        take_addr(&o->metrics, name, value, 0);
}

static void o_log(struct node_options *o, const char *name, const char *value)
{
    file_named(name, value);
    o->log = value;
}

static void o_log_format(struct node_options *o, const char *name, const char *value)
{
    static const char *const word[] = {"text", "json", "journal"};
    o->log_format = (enum log_format)take_word(name, value, word, ARRAY_LEN(word), "not text, json or journal");
}

static void o_log_level(struct node_options *o, const char *name, const char *value)
{
    static const char *const word[] = {"error", "warn", "info", "debug"};
    o->log_level = (enum log_level)take_word(name, value, word, ARRAY_LEN(word), "not error, warn, info or debug");
}

static void o_memory(struct node_options *o, const char *name, const char *value)
{
    static const char unit[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    const char *u = *end ? strchr(unit, *end) : NULL;
    unsigned shift = u ? 10 * (unsigned)(u - unit + 1) : 0;
    if (*value < '0' || *value > '9' || errno || (*end && (!u || end[1])) || v > MEMORY_MAX >> shift || v << shift < MEMORY_MIN)
        refuse(name, value, "not a size between 16M and 1T, as 512M or 2G");
    o->memory = v << shift;
}

static void o_rate_source(struct node_options *o, const char *name, const char *value)
{
    o->rate_per_source = take_number(name, value, RATE_MIN, RATE_MAX);
}

static void o_rate_trigger(struct node_options *o, const char *name, const char *value)
{
    o->rate_per_trigger = take_number(name, value, RATE_MIN, RATE_MAX);
}

static void o_triggers_source(struct node_options *o, const char *name, const char *value)
{
    o->triggers_per_source = take_number(name, value, 1, SOURCE_TRIGGERS_MAX);
}

static void o_workers(struct node_options *o, const char *name, const char *value)
{
    cpu_set_t cores;
    o->workers = take_number(name, value, 0, NODE_WORKERS_MAX);
    if (o->workers)
        return;
    int n = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
    o->workers = n > NODE_WORKERS_MAX ? NODE_WORKERS_MAX : (unsigned)n;
}

static void o_no_sandbox(struct node_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->no_sandbox = true;
}

static void o_background(struct node_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->background = true;
}

static void o_pid_file(struct node_options *o, const char *name, const char *value)
{
    file_named(name, value);
    o->pid_file = value;
}

static void o_port_file(struct node_options *o, const char *name, const char *value)
{
    file_named(name, value);
    o->port_file = value;
}

static void o_check(struct node_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->check = true;
}

static void o_help(struct node_options *o, const char *name, const char *value)
{
    (void)o, (void)name, (void)value;
    fputs(usage, stdout);
    exit(0);
}

static void o_version(struct node_options *o, const char *name, const char *value)
{
    (void)o, (void)name, (void)value;
    puts("i3node " I3_VERSION);
    exit(0);
}

static const struct setting settings[] = {
    {"listen", true, o_listen},
    {"tcp-port", true, o_tcp_port},
    {"tcp-max", true, o_tcp_max},
    {"no-tcp", false, o_no_tcp},
    {"join", true, o_join},
    {"ring-secret", true, o_secret},
    {"advertise", true, o_advertise},
    {"state", true, o_state},
    {"control", true, o_control},
    {"metrics", true, o_metrics},
    {"log", true, o_log},
    {"log-format", true, o_log_format},
    {"log-level", true, o_log_level},
    {"memory", true, o_memory},
    {"rate-per-source", true, o_rate_source},
    {"rate-per-trigger", true, o_rate_trigger},
    {"triggers-per-source", true, o_triggers_source},
    {"workers", true, o_workers},
    {"no-sandbox", false, o_no_sandbox},
    {"background", false, o_background},
    {"pid-file", true, o_pid_file},
    {"port-file", true, o_port_file},
    {"check", false, o_check},
    {"help", false, o_help},
    {"version", false, o_version},
};

/* ---- systemd ---- */

/* The unit gives a secret or, where there is none, the word. */
static bool is_secret(const char *path)
{
    char text[5] = "";
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, 4, f) : 0;
    if (f)
        fclose(f);
    return n == 4 && strcmp(text, "none");
}

static void take_environment(struct node_options *o)
{
    static char secret[PATH_MAX], state[PATH_MAX];
    const char *credentials = getenv("CREDENTIALS_DIRECTORY"), *folder = getenv("STATE_DIRECTORY");
    if (!o->secret_file && credentials && snprintf(secret, sizeof(secret), "%s/ring-secret", credentials) < PATH_MAX &&
        is_secret(secret)) {
        o->secret_file = secret;
        o->ring = o->credential = true;
    }
    if (!o->state && folder && !strchr(folder, ':') && realpath(folder, state)) /* a link, for a user that comes and goes */
        o->state = state;
}

/* What only makes sense together. */
static void check_together(const struct node_options *o)
{
    if (o->ring && !o->secret_file) {
        fprintf(stderr, "i3node: a ring needs --ring-secret, the same at all of its nodes\n");
        exit(2);
    }
    if (o->stream.off && o->stream.ports) {
        fprintf(stderr, "i3node: --no-tcp and --tcp-port do not go together\n");
        exit(2);
    }
    if (o->ring && !o->ring_config.self.family && addr_is_any(&o->listen)) {
        char s[ADDR_STR];
        fprintf(stderr, "i3node: --listen %s does not say where the other nodes reach this one: add --advertise ADDR\n",
            addr_str(&o->listen, s));
        exit(2);
    }
    if (o->background && !o->log && o->log_format == LOG_FORMAT_JOURNAL) {
        fprintf(stderr, "i3node: --log-format journal goes to standard error, which --background closes\n");
        exit(2);
    }
}

void node_options_parse(int argc, char **argv, struct node_options *o)
{
    struct option table[ARRAY_LEN(settings) + 1] = {{0}};
    int c;
    for (unsigned i = 0; i < ARRAY_LEN(settings); i++)
        table[i] = (struct option){settings[i].name, settings[i].has_value, NULL, (int)(256 + i)};
    *o = (struct node_options){.listen = addr_v4(INADDR_ANY, CONFIG_DEFAULT_PORT), .log_level = LOG_LVL_INFO, .workers = 1};
    ring_config_default(&o->ring_config);
    streams_config_default(&o->stream.streams);
    while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (c == 'h')
            o_help(o, NULL, NULL);
        if (c == '?') {
            fprintf(stderr, "Try 'i3node --help'.\n");
            exit(2);
        }
        settings[c - 256].take(o, settings[c - 256].name, optarg);
    }
    if (optind < argc) {
        fprintf(stderr, "i3node: %s: it takes options only\nTry 'i3node --help'.\n", argv[optind]);
        exit(2);
    }
    take_environment(o);
    check_together(o);
}

/* ---- limits ---- */

/* The process itself, its sockets' buffers and its tables, before the first trigger; an idle TCP connection. */
#define MEMORY_BASE (8ull << 20)
#define MEMORY_CONNECTION 512ull
#define MEMORY_WORKER (3ull << 20)

/* What waits for TCP connections may take an eighth of the memory; all of it that they may take. */
static uint64_t limit_tcp(struct node_options *o)
{
    struct streams_config *s = &o->stream.streams;
    uint64_t share = o->memory / 8;
    if (o->stream.off)
        return 0;
    if (s->memory_max > share)
        s->memory_max = (uint32_t)share;
    if (s->queue_max > share / 8)
        s->queue_max = (uint32_t)(share / 8);
    return s->memory_max + s->max * MEMORY_CONNECTION;
}

/* As many triggers as the rest of the memory holds. */
static void limit_triggers(struct node_options *o, struct node_config *c)
{
    uint32_t low = 0, high = STORE_TRIGGERS_MAX;
    uint64_t fixed = MEMORY_BASE + limit_tcp(o) + o->workers * MEMORY_WORKER + rates_memory(o->rate_per_source, RATE_SOURCES, true), budget = o->memory > fixed ? o->memory - fixed : 0;
    while (low < high) {
        uint32_t mid = low + (high - low + 1) / 2;
        if (store_memory(mid) + rates_memory(o->rate_per_trigger, mid + 1, false) <= budget)
            low = mid;
        else
            high = mid - 1;
    }
    if (!low) {
        fprintf(stderr, "i3node: --memory: %u workers, %u TCP connections and the tables of rates alone take %lluM\n", o->workers,
            o->stream.off ? 0 : o->stream.streams.max, (unsigned long long)(fixed >> 20));
        exit(2);
    }
    c->triggers_max = low;
}

void node_options_limits(struct node_options *o, struct node_config *c)
{
    node_config_default(c);
    if (o->memory)
        limit_triggers(o, c);
    c->triggers_per_source = o->triggers_per_source;
    c->workers = o->workers;
    c->rate_per_source = o->rate_per_source;
    c->rate_per_trigger = o->rate_per_trigger;
}
