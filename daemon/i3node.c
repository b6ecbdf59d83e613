/* i3node.c - an overlay node on a machine of its own; i3d embeds the same code (node_pump.h). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/io/clock.h"
#include "daemon/io/files.h"
#include "daemon/identity.h"
#include "daemon/io/log_file.h"
#include "daemon/node_pump.h"
#include "daemon/policy/config.h"

enum { SECRET_MIN = 16 };

struct options {
    struct addr listen;
    const char *pid_file, *port_file, *log, *secret_file, *state;
    bool background, ring;
    struct node_stream_config stream;
    struct ring_config ring_config;
};

static const char usage[] =
    "Usage: i3node [OPTION]...\n"
    "An i3 overlay node: stores triggers and forwards packets. Runs as an ordinary user.\n"
    "\n"
    "  --listen ADDR:PORT  UDP address (default 0.0.0.0:5610; port 0 picks a free one)\n"
    "  --tcp-port PORT     where hosts whose UDP is blocked find it as well, such as 443; may be given 3 times\n"
    "  --tcp-max NUMBER    how many such hosts at once (default 1024)\n"
    "  --no-tcp            none: only UDP (default: TCP at the port of UDP too)\n"
    "  --join ADDR:PORT    another node of the ring to be part of; may be given up to 8 times\n"
    "  --ring-secret FILE  what the ring's nodes have in common, a line of at least 16 characters; alone: a new ring\n"
    "  --advertise ADDR[:PORT]  where the other nodes reach this one, if not at the address of --listen\n"
    "  --state FOLDER      keeps the node's key, and so its place on the ring\n"
    "  --background        detach once the port is bound\n"
    "  --pid-file FILE     write the process id there\n"
    "  --port-file FILE    write the bound port there\n"
    "  --log FILE          instead of standard error\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 ended by SIGTERM or SIGINT, 1 failed, 2 usage.\n";

static void option_addr(struct addr *a, const char *name, uint16_t port)
{
    if (config_parse_addr(a, optarg, port) == 0)
        return;
    fprintf(stderr, "i3node: --%s %s: not ADDR:PORT\n", name, optarg);
    exit(2);
}

static long option_number(const char *name, long lo, long hi)
{
    char *end;
    long n = strtol(optarg, &end, 10);
    if (!*optarg || *end || n < lo || n > hi) {
        fprintf(stderr, "i3node: --%s %s: a number from %ld to %ld is expected\n", name, optarg, lo, hi);
        exit(2);
    }
    return n;
}

static void parse_options(int argc, char **argv, struct options *o)
{
    enum { O_LISTEN = 256, O_TCP_PORT, O_TCP_MAX, O_NO_TCP, O_JOIN, O_SECRET, O_ADVERTISE, O_STATE, O_BACKGROUND, O_PID, O_PORT, O_LOG, O_HELP, O_VERSION };
    static const struct option table[] = {{"listen", 1, 0, O_LISTEN}, {"tcp-port", 1, 0, O_TCP_PORT},
        {"tcp-max", 1, 0, O_TCP_MAX}, {"no-tcp", 0, 0, O_NO_TCP}, {"join", 1, 0, O_JOIN}, {"ring-secret", 1, 0, O_SECRET},
        {"advertise", 1, 0, O_ADVERTISE}, {"state", 1, 0, O_STATE}, {"background", 0, 0, O_BACKGROUND},
        {"pid-file", 1, 0, O_PID}, {"port-file", 1, 0, O_PORT}, {"log", 1, 0, O_LOG}, {"help", 0, 0, O_HELP},
        {"version", 0, 0, O_VERSION}, {0}};
    int c;
    bool ok = true;
    o->listen = addr_v4(INADDR_ANY, CONFIG_DEFAULT_PORT);
    streams_config_default(&o->stream.streams);
    while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        switch (c) {
        case O_LISTEN:
            option_addr(&o->listen, "listen", CONFIG_DEFAULT_PORT);
            break;
        case O_TCP_PORT:
            if (o->stream.ports == ARRAY_LEN(o->stream.port)) {
                fprintf(stderr, "i3node: --tcp-port: at most %zu ports\n", ARRAY_LEN(o->stream.port));
                exit(2);
            }
            o->stream.port[o->stream.ports++] = (uint16_t)option_number("tcp-port", 1, 65535);
            break;
        case O_TCP_MAX:
            o->stream.streams.max = (unsigned)option_number("tcp-max", 1, 100000);
            break;
        case O_NO_TCP:
            o->stream.off = true;
            break;
        case O_JOIN:
            o->ring = true;
            if (o->ring_config.n_seeds == RING_SEEDS) {
                fprintf(stderr, "i3node: --join: at most %d nodes\n", RING_SEEDS);
                exit(2);
            }
            option_addr(&o->ring_config.seeds[o->ring_config.n_seeds++], "join", CONFIG_DEFAULT_PORT);
            break;
        case O_SECRET:
            o->ring = true;
            o->secret_file = optarg;
            break;
        case O_ADVERTISE:
            o->ring = true;
            option_addr(&o->ring_config.self, "advertise", 0);
            break;
        case O_STATE:
            o->state = optarg;
            break;
        case O_BACKGROUND:
            o->background = true;
            break;
        case O_PID:
            o->pid_file = optarg;
            break;
        case O_PORT:
            o->port_file = optarg;
            break;
        case O_LOG:
            o->log = optarg;
            break;
        case 'h':
        case O_HELP:
            fputs(usage, stdout);
            exit(0);
        case O_VERSION:
            puts("i3node " I3_VERSION);
            exit(0);
        default:
            ok = false;
        }
    }
    if (!ok || optind < argc) {
        fprintf(stderr, "Try 'i3node --help'.\n");
        exit(2);
    }
}

/* The ring's secret: what the first line of the file hashes to. */
static int read_secret(const char *path, uint8_t secret[BLAKE2S_LEN])
{
    char *text;
    size_t len;
    int err = file_read(path, true, &text, &len);
    if (err == -EPERM)
        fprintf(stderr, "i3node: %s: must be yours and readable by you alone: chmod 600 '%s'\n", path, path);
    else if (err)
        fprintf(stderr, "i3node: %s: %s\n", path, strerror(-err));
    if (err)
        return err;
    size_t n = strcspn(text, "\n");
    struct bytes v[] = {{"i3run ring v1", 13}, {text, n}};
    blake2s(secret, v, 2);
    crypto_wipe(text, len);
    free(text);
    if (n >= SECRET_MIN)
        return 0;
    fprintf(stderr, "i3node: %s: the secret has to have at least %d characters\n", path, SECRET_MIN);
    return -EINVAL;
}

/* Its key names the node; one that is kept gives it the same place each time. */
static int prepare_ring(struct options *o)
{
    struct pump_identity id;
    char why[1200];
    struct ring_config *c = &o->ring_config;
    if (!o->secret_file) {
        fprintf(stderr, "i3node: a ring needs --ring-secret, the same at all of its nodes\n");
        return -EINVAL;
    }
    int err = read_secret(o->secret_file, c->secret);
    if (err)
        return err;
    if (!o->state) {
        uint8_t priv[KEY_LEN];
        entropy_fill(priv, sizeof(priv));
        x25519_public(c->key, priv);
        crypto_wipe(priv, sizeof(priv));
        return 0;
    }
    err = folder_private(o->state);
    if (err)
        snprintf(why, sizeof(why), "%s: %s", o->state, strerror(-err));
    else
        err = identity_load(&id, o->state, why, sizeof(why));
    if (err)
        fprintf(stderr, "i3node: %s\n", why);
    else
        memcpy(c->key, id.pub, KEY_LEN);
    return err;
}

static int write_number(const char *path, long number)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", number);
    int err = path ? file_write(path, text, (size_t)n, false) : 0;
    if (err)
        fprintf(stderr, "i3node: %s: %s\n", path, strerror(-err));
    return err;
}

/* The parent ends with the child's first word: 'k' when it is bound. */
static void detach(int *ready)
{
    int fd[2];
    char word = 'x';
    if (pipe(fd) < 0) {
        perror("i3node: pipe");
        exit(1);
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("i3node: fork");
        exit(1);
    }
    if (pid > 0) {
        close(fd[1]);
        exit(read(fd[0], &word, 1) == 1 && word == 'k' ? 0 : 1);
    }
    close(fd[0]);
    setsid();
    *ready = fd[1];
}

static void detached(int ready)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; null >= 0 && i < 3; i++)
        dup2(null, i);
    if (ready >= 0 && write(ready, "k", 1) < 0)
        log_debug("node parent gone");
    close(ready);
}

static void on_signal(uv_signal_t *s, int number)
{
    (void)number;
    uv_stop(s->loop);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    ring_config_default(&o.ring_config);
    struct node_pump *np;
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    char s[ADDR_STR];
    int ready = -1, err;
    parse_options(argc, argv, &o);
    signal(SIGPIPE, SIG_IGN);
    if (o.ring && prepare_ring(&o))
        return 1;
    if (o.background)
        detach(&ready);
    uv_loop_init(&loop);
    err = node_pump_start(&np, &loop, &o.listen, o.ring ? &o.ring_config : NULL);
    if (err == -EDESTADDRREQ) {
        fprintf(stderr, "i3node: --listen 0.0.0.0 does not say where the other nodes reach this one: add --advertise ADDR\n");
        return 2;
    }
    if (err) {
        fprintf(stderr, "i3node: cannot listen on %s: %s\n", addr_str(&o.listen, s), strerror(-err));
        return 1;
    }
    if (node_pump_listen(np, &loop, &o.stream)) {
        fprintf(stderr, "i3node: cannot listen for TCP as well\n");
        return 1;
    }
    if (o.log && (err = log_to_file(o.log)) < 0) {
        fprintf(stderr, "i3node: %s: %s\n", o.log, strerror(-err));
        return 1;
    }
    if (write_number(o.pid_file, getpid()) || write_number(o.port_file, node_pump_local(np)->port))
        return 1;
    uv_signal_init(&loop, &term);
    uv_signal_init(&loop, &interrupt);
    uv_signal_start(&term, on_signal, SIGTERM);
    uv_signal_start(&interrupt, on_signal, SIGINT);
    log_info("node started version=%s address=%s", I3_VERSION, addr_str(node_pump_local(np), s));
    if (o.background)
        detached(ready);
    uv_run(&loop, UV_RUN_DEFAULT);

    log_info("node stopping");
    node_pump_stop(np);
    uv_close((uv_handle_t *)&term, NULL);
    uv_close((uv_handle_t *)&interrupt, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (o.pid_file)
        unlink(o.pid_file);
    return 0;
}
