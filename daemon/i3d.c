/* i3d.c - the per-user daemon: reads what it must know, starts the pump, waits for the end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ensure.h"
#include "daemon/host_options.h"
#include "daemon/host_sandbox.h"
#include "daemon/identity.h"
#include "daemon/io/exe.h"
#include "daemon/io/files.h"
#include "daemon/io/log_file.h"
#include "daemon/io/notify.h"
#include "daemon/io/passed.h"
#include "daemon/io/process.h"
#include "daemon/io/sandbox.h"
#include "daemon/io/secret.h"
#include "daemon/keeper.h"
#include "daemon/pump/pump.h"
#include "daemon/pump/reload.h"

enum { EX_CONFIG = 78 };

struct daemon {
    uv_loop_t loop;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t watchdog;
    struct pump *pump;
};

/* Folders, the lock which makes us the only one, the identity. */
static int prepare(const struct host_options *o, struct pump_identity *id, char *why, size_t whylen)
{
    const char *folder[] = {o->paths.data, o->paths.runtime};
    for (int i = 0; i < 2; i++) {
        int err = folder_private(folder[i]);
        if (err) {
            snprintf(why, whylen, "%s: %s", folder[i], err == -EPERM ? "is not a folder of your own" : strerror(-err));
            return 1;
        }
    }
    int lock = o->kept ? KEEPER_LOCK_FD : host_lock(&o->paths, false, why, whylen); /* held until we end */
    if (lock < 0)
        return lock == -EWOULDBLOCK ? EX_RUNNING : 1;
    if (o->kept) {
        fcntl(lock, F_SETFD, FD_CLOEXEC);
        file_lock_sign(lock);
    }
    for (int i = 0; i < 2; i++)
        folder_sweep(folder[i]);
    return identity_load(id, o->paths.data, why, whylen) ? 1 : 0;
}

static void stop(void *ctx)
{
    struct daemon *d = ctx;
    if (!d->pump)
        return;
    log_info("daemon stopping");
    notify_send("STOPPING=1");
    process_heed_no_end();
    pump_stop(d->pump);
    d->pump = NULL;
    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    uv_close((uv_handle_t *)&d->hangup, NULL);
    uv_close((uv_handle_t *)&d->watchdog, NULL);
}

static void on_signal(uv_signal_t *s, int number)
{
    (void)number;
    stop(s->data);
}

static void on_hangup(uv_signal_t *s, int number)
{
    struct daemon *d = s->data;
    (void)number;
    if (!d->pump)
        return;
    notify_reloading();
    pump_reload(d->pump);
    notify_send("READY=1");
}

/* Stopping from within a request: the turn ends first. */
static void stop_later(void *ctx)
{
    (void)ctx;
    raise(SIGTERM);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_send("WATCHDOG=1");
}

/* ---- start ---- */

/* No dumps, and no tracing but by root, of a process with keys; as many fds as we may have. The helper has none, and is forked first. */
static void harden(char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a disk quota is an error like others */
    signal(SIGHUP, SIG_IGN);
    process_keep_private();
    secret_openssl();
    int err = exe_start(argv);
    if (err)
        log_warn("helper for program names missing err=%d: rules with 'app' match nothing in the sandbox", err);
    process_raise_fds();
    notify_open();
}

/* The socket, where systemd or the keeper has it. */
static int take_socket(struct host_options *o, char *why, size_t whylen)
{
    char name[64];
    int fd = passed_socket(name, why, whylen);
    if (fd < 0)
        return 1;
    o->paths.socket = fd;
    o->paths.socket_stays = fd && strcmp(name, KEEPER_SOCKET);
    return 0;
}

/* Where lines go; those of libraries, and of what sees only standard error, too. */
static int open_log(const struct host_options *o, const struct config *c, char *why, size_t whylen)
{
    char path[sizeof(o->paths.runtime) + 16];
    log_set_level((enum log_level)(o->log_level >= 0 ? o->log_level : c->log_level));
    log_set_format(o->background && o->log_format == LOG_FORMAT_JOURNAL ? LOG_FORMAT_TEXT : o->log_format);
    snprintf(path, sizeof(path), "%s/i3d.log", o->paths.runtime);
    int err = o->background ? log_to_file(path) : 0;
    if (err)
        snprintf(why, whylen, "%s: %s", path, strerror(-err));
    return err ? 1 : 0;
}

/* All but the loop; an exit status. What comes to be after host_sandbox_files() has to be in its lists. */
static int start(struct daemon *d, struct host_options *o, char *why, size_t whylen)
{
    struct config config;
    struct pump_identity id = {0};
    int status = reload_read(o->paths.config, &config, why, whylen) ? EX_CONFIG : 0;
    status = status ? status : take_socket(o, why, whylen);
    status = status ? status : prepare(o, &id, why, whylen);
    status = status ? status : open_log(o, &config, why, whylen);
    if (status)
        return status;
    if (!o->no_sandbox)
        host_sandbox_files(&o->paths, &config);
    else
        process_watch();
    uv_loop_init(&d->loop);
    uv_signal_init(&d->loop, &d->term);
    uv_signal_init(&d->loop, &d->interrupt);
    uv_signal_init(&d->loop, &d->hangup);
    uv_timer_init(&d->loop, &d->watchdog);
    d->term.data = d->interrupt.data = d->hangup.data = d;
    int err = pump_start(&d->pump, &d->loop, &config, &o->paths, &id, stop_later, d, why, whylen);
    crypto_wipe(&id, sizeof(id));
    if (err)
        return 1;
    uv_signal_start(&d->term, on_signal, SIGTERM);
    uv_signal_start(&d->interrupt, on_signal, SIGINT);
    uv_signal_start(&d->hangup, on_hangup, SIGHUP);
    if (notify_watchdog_ms())
        uv_timer_start(&d->watchdog, on_watchdog, 0, notify_watchdog_ms());
    if (!o->no_sandbox)
        host_sandbox_calls();
    return 0;
}

static int run(struct host_options *o, char **argv, char *why, size_t whylen)
{
    static struct daemon d;
    char lock[sizeof(o->paths.runtime) + 16];
    harden(argv);
    int status = start(&d, o, why, whylen);
    if (status)
        return status;
    log_info("daemon started version=%s pid=%d config=%s sandbox=%s", I3_VERSION, (int)getpid(), o->paths.config, sandbox_text());
    ensure_report(o->ready_fd, NULL);
    notify_send("READY=1");
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    exe_stop();
    snprintf(lock, sizeof(lock), "%s/i3d.pid", o->paths.runtime);
    /* the file stays, it is the lock; its pid is ours no more */
    return truncate(lock, 0) < 0 && errno != ENOENT;
}

/* --check: 0 or 78. */
static int check(const struct host_options *o, char *why, size_t whylen)
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
    static struct host_options o;
    static char why[RELOAD_WHY] = "";
    int status;
    umask(077);
    host_options_parse(argc, argv, &o);
    if (o.check) {
        status = check(&o, why, sizeof(why));
    } else if (o.ensure) {
        return ensure_daemon(&o, argv[0]);
    } else if (o.keep) {
        return keeper_run(&o, argv);
    } else {
        status = run(&o, argv, why, sizeof(why));
    }
    if (status) {
        ensure_report(o.ready_fd, why);
        if (o.ready_fd < 0)
            ensure_tell(why);
    }
    return status;
}
