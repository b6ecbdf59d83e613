/* i3d.c - the per-user daemon: reads what it must know, starts the pump, waits for the end. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ensure.h"
#include "daemon/identity.h"
#include "daemon/io/files.h"
#include "daemon/io/log_file.h"
#include "daemon/io/process.h"
#include "daemon/paths.h"
#include "daemon/pump/pump.h"
#include "daemon/pump/reload.h"

enum { EX_CONFIG = 78, EX_USAGE = 2, EX_RUNNING = 75 };

struct options {
    struct pump_paths paths;
    bool ensure, background, check, config_given;
    int ready_fd;
};

struct daemon {
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    struct pump *pump;
};

static const char usage[] =
    "Usage: i3d [OPTION]...\n"
    "The i3 daemon of this user: holds its triggers, sessions and connections. i3run and i3ctl start it by themselves.\n"
    "\n"
    "  --config FILE    configuration (default $XDG_CONFIG_HOME/i3/i3.conf)\n"
    "  --data DIR       identity and address book (default $XDG_DATA_HOME/i3)\n"
    "  --runtime DIR    socket, pid file, log (default $XDG_RUNTIME_DIR/i3, else /tmp/i3-UID)\n"
    "  --ensure         make sure that the daemon is up and answers, then exit\n"
    "  --background     log to DIR/i3d.log instead of standard error\n"
    "  --check          read the configuration, say what is wrong with it, exit\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 ended in good order, 1 failed, 2 usage, 75 already running, 78 configuration refused.\n";

/* Absolute, since a background daemon works in /. */
static bool set_path(char *to, size_t cap, const char *from)
{
    char here[1024];
    if (from[0] == '/')
        return snprintf(to, cap, "%s", from) < (int)cap;
    return getcwd(here, sizeof(here)) && snprintf(to, cap, "%s/%s", here, from) < (int)cap;
}

static void parse_options(int argc, char **argv, struct options *o)
{
    enum { O_CONFIG = 256, O_DATA, O_RUNTIME, O_ENSURE, O_BACKGROUND, O_CHECK, O_READY, O_HELP, O_VERSION };
    static const struct option table[] = {{"config", 1, 0, O_CONFIG}, {"data", 1, 0, O_DATA},
        {"runtime", 1, 0, O_RUNTIME}, {"ensure", 0, 0, O_ENSURE}, {"background", 0, 0, O_BACKGROUND},
        {"check", 0, 0, O_CHECK}, {"ready-fd", 1, 0, O_READY}, {"help", 0, 0, O_HELP}, {"version", 0, 0, O_VERSION},
        {0}};
    bool ok = true;
    int c;
    o->ready_fd = -1;
    while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        switch (c) {
        case O_CONFIG:
            ok &= set_path(o->paths.config, sizeof(o->paths.config), optarg);
            o->config_given = true;
            break;
        case O_DATA:
            ok &= set_path(o->paths.data, sizeof(o->paths.data), optarg);
            break;
        case O_RUNTIME:
            ok &= set_path(o->paths.runtime, sizeof(o->paths.runtime), optarg);
            break;
        case O_ENSURE:
            o->ensure = true;
            break;
        case O_BACKGROUND:
            o->background = true;
            break;
        case O_CHECK:
            o->check = true;
            break;
        case O_READY:
            o->ready_fd = atoi(optarg);
            break;
        case 'h':
        case O_HELP:
            fputs(usage, stdout);
            exit(0);
        case O_VERSION:
            puts("i3d " I3_VERSION);
            exit(0);
        default:
            ok = false;
        }
    }
    if (!ok || optind < argc) {
        fprintf(stderr, "Try 'i3d --help'.\n");
        exit(EX_USAGE);
    }
    if (paths_default(&o->paths) < 0) {
        fprintf(stderr, "i3d: a path is too long\n");
        exit(EX_USAGE);
    }
}

/* Folders, the lock which makes us the only one, the identity. */
static int prepare(const struct options *o, struct pump_identity *id, char *why, size_t whylen)
{
    char path[sizeof(o->paths.runtime) + 16];
    const char *folder[] = {o->paths.data, o->paths.runtime};
    for (int i = 0; i < 2; i++) {
        int err = folder_private(folder[i]);
        if (err) {
            snprintf(why, whylen, "%s: %s", folder[i], err == -EPERM ? "is not a folder of your own" : strerror(-err));
            return 1;
        }
    }
    snprintf(path, sizeof(path), "%s/i3d.pid", o->paths.runtime);
    int lock = file_lock(path, false); /* held until we end */
    if (lock < 0) {
        snprintf(why, whylen, "%s: %s", path,
            lock == -EWOULDBLOCK ? "another i3d of this user is running" : strerror(-lock));
        return lock == -EWOULDBLOCK ? EX_RUNNING : 1;
    }
    return identity_load(id, o->paths.data, why, whylen) ? 1 : 0;
}

static void stop(void *ctx)
{
    struct daemon *d = ctx;
    if (!d->pump)
        return;
    log_info("daemon stopping");
    process_heed_no_end();
    pump_stop(d->pump);
    d->pump = NULL;
    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
}

static void on_signal(uv_signal_t *s, int number)
{
    (void)number;
    stop(s->data);
}

/* Stopping from within a request: the turn ends first. */
static void stop_later(void *ctx)
{
    (void)ctx;
    raise(SIGTERM);
}

/* No dumps and no tracing of a process with keys; as many fds as we may have. */
static void harden(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0);
    process_raise_fds();
}

static int run(struct options *o, char *why, size_t whylen)
{
    struct daemon d = {0};
    struct config config;
    struct pump_identity id = {0};
    char log[sizeof(o->paths.runtime) + 16];
    int status = reload_read(o->paths.config, &config, why, whylen) ? EX_CONFIG : 0;
    if (!status)
        status = prepare(o, &id, why, whylen);
    if (status)
        return status;
    log_set_level((enum log_level)config.log_level);
    snprintf(log, sizeof(log), "%s/i3d.log", o->paths.runtime);
    int err = o->background ? log_to_file(log) : 0;
    if (err) {
        snprintf(why, whylen, "%s: %s", log, strerror(-err));
        return 1;
    }
    harden();
    uv_loop_init(&d.loop);
    uv_signal_init(&d.loop, &d.term);
    uv_signal_init(&d.loop, &d.interrupt);
    d.term.data = d.interrupt.data = &d;
    if (pump_start(&d.pump, &d.loop, &config, &o->paths, &id, stop_later, &d, why, whylen) < 0)
        return 1;
    crypto_wipe(&id, sizeof(id));
    uv_signal_start(&d.term, on_signal, SIGTERM);
    uv_signal_start(&d.interrupt, on_signal, SIGINT);
    log_info("daemon started version=%s pid=%d config=%s", I3_VERSION, (int)getpid(), o->paths.config);
    ensure_report(o->ready_fd, NULL);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    snprintf(log, sizeof(log), "%s/i3d.pid", o->paths.runtime);
    /* the file stays, it is the lock; its pid is ours no more */
    return truncate(log, 0) < 0 && errno != ENOENT;
}

/* --check: 0 or 78. */
static int check(const struct options *o, char *why, size_t whylen)
{
    struct config c;
    if (o->config_given && access(o->paths.config, F_OK) < 0 && errno == ENOENT) {
        snprintf(why, whylen, "%s:1: file: there is no such file", o->paths.config);
        return EX_CONFIG;
    }
    if (reload_read(o->paths.config, &c, why, whylen))
        return EX_CONFIG;
    if (access(o->paths.config, F_OK) < 0)
        printf("%s: there is no such file, so the defaults hold\n", o->paths.config);
    else
        printf("%s: fine; rules: %u, overlays: %u, exposed ports: %u\n", o->paths.config, c.n_rules, c.n_overlays + 1, c.n_exposes);
    config_free(&c);
    return 0;
}

int main(int argc, char **argv)
{
    static struct options o;
    static char why[RELOAD_WHY] = "";
    int status;
    umask(077);
    parse_options(argc, argv, &o);
    if (o.check) {
        status = check(&o, why, sizeof(why));
    } else if (o.ensure) {
        return ensure_daemon(&o.paths, argv[0]);
    } else {
        status = run(&o, why, sizeof(why));
    }
    if (status) {
        ensure_report(o.ready_fd, why);
        if (o.ready_fd < 0)
            ensure_tell(why);
    }
    return status;
}
