/* i3node.c - an overlay node on a machine of its own; i3d embeds the same code (node_pump.h). */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/io/clock.h"
#include "daemon/io/files.h"
#include "daemon/identity.h"
#include "daemon/io/log_file.h"
#include "daemon/io/notify.h"
#include "daemon/io/process.h"
#include "daemon/io/sandbox.h"
#include "daemon/node_control.h"
#include "daemon/node_options.h"
#include "daemon/pump/node_pump.h"
#include "daemon/node_watch.h"

enum { SECRET_MIN = 16 };

/* The ring's secret: what the first line of the file hashes to. */
static int read_secret(const char *path, bool guarded, uint8_t secret[BLAKE2S_LEN])
{
    char *text;
    size_t len;
    int err = file_read(path, !guarded, &text, &len);
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
static int prepare_ring(struct node_options *o)
{
    struct pump_identity id;
    char why[1200];
    struct ring_config *c = &o->ring_config;
    int err = read_secret(o->secret_file, o->credential, c->secret);
    if (err)
        return err;
    if (o->check)
        return 0; /* a key is made at the start only */
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

static void detached(int ready, int null)
{
    for (int i = 0; null >= 0 && i < 3; i++)
        dup3(null, i, 0); /* the sandbox knows no dup2() */
    if (ready >= 0 && write(ready, "k", 1) < 0)
        log_debug("node parent gone");
    close(ready);
}

/* ---- the running node ---- */

struct service {
    struct node_options o;
    uv_loop_t loop;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t watchdog;
    struct node_config config;
    struct node_pump *pump;
    struct node_control *control; /* NULL: none */
    struct http *http;            /* NULL: none */
    struct node_watch watch;
    mono_t started;
    int ready; /* the parent waits here; -1 */
};

static void on_end(uv_signal_t *s, int number)
{
    (void)number;
    uv_stop(s->loop);
}

static void on_hangup(uv_signal_t *s, int number)
{
    (void)s, (void)number;
    int err = log_reopen();
    if (err)
        log_error("log cannot be opened anew err=%d", err);
    else
        log_info("log opened anew");
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_send("WATCHDOG=1");
}

/* ---- the sandbox ---- */

/* The folder of a file that will be written; NULL for none. `room` holds it. */
static const char *folder_of(const char *file, char room[PATH_MAX])
{
    if (!file || strlen(file) >= PATH_MAX)
        return NULL;
    strcpy(room, file);
    return dirname(room);
}

/* Before anything is heard from the network, and before there are threads. */
static int close_files(const struct service *s)
{
    static char room[4][PATH_MAX];
    const struct node_options *o = &s->o;
    const char *folder[SANDBOX_FOLDERS] = {
        folder_of(o->log, room[0]), folder_of(o->pid_file, room[1]), folder_of(o->port_file, room[2])};
    if (o->control)
        folder[3] = folder_of(o->control, room[3]);
    else if (!o->no_control && !node_control_folder(room[3], sizeof(room[3])))
        folder[3] = room[3];
    int err = sandbox_files(folder);
    if (err == -ENOSYS || err == -EOPNOTSUPP)
        log_warn("sandbox without Landlock: this kernel has none");
    else if (err)
        fprintf(stderr, "i3node: Landlock: %s (--no-sandbox does without)\n", strerror(-err));
    return err == -ENOSYS || err == -EOPNOTSUPP ? 0 : err;
}

static int close_calls(void)
{
    int err = sandbox_calls();
    if (err == -ENOSYS || err == -EINVAL)
        log_warn("sandbox without seccomp: this kernel has none err=%d", err);
    else if (err)
        fprintf(stderr, "i3node: seccomp: %s (--no-sandbox does without)\n", strerror(-err));
    return err == -ENOSYS || err == -EINVAL ? 0 : err;
}

/* What libraries read when they are used first, they read now. */
static void warm_up(void)
{
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    entropy_fill(priv, sizeof(priv));
    x25519_public(pub, priv);
    crypto_wipe(priv, sizeof(priv));
    process_watch();
    notify_open();
}

/* ---- start and end ---- */

static int start_control(struct service *s)
{
    char why[300];
    struct node_control_config c = {.loop = &s->loop,
        .pump = s->pump,
        .path = s->o.control,
        .started = s->started,
        .sandbox = sandbox_text,
        .metrics = node_watch_page,
        .ctx = &s->watch};
    int err = s->o.no_control ? 0 : node_control_start(&s->control, &c, why, sizeof(why));
    if (err && s->o.control)
        fprintf(stderr, "i3node: --control %s\n", why);
    else if (err)
        log_warn("control socket missing why=%s", why);
    return s->o.control ? err : 0;
}

/* The node on its port. */
static int start_node(struct service *s)
{
    char text[ADDR_STR];
    int err = node_pump_start(&s->pump, &s->loop, &s->o.listen, &s->config, s->o.ring ? &s->o.ring_config : NULL);
    if (err == -ENOMEM)
        fprintf(stderr, "i3node: not enough memory for %u triggers: --memory takes less\n", s->config.triggers_max);
    else if (err)
        fprintf(stderr, "i3node: cannot listen on %s: %s\n", addr_str(&s->o.listen, text), strerror(-err));
    else if ((err = node_pump_listen(s->pump, &s->loop, &s->o.stream)) < 0)
        fprintf(stderr, "i3node: --tcp-port: cannot listen there: %s\n", strerror(-err));
    return err;
}

static int start_watch(struct service *s)
{
    char text[ADDR_STR];
    int err = s->o.metrics.family ? http_start(&s->http, &s->loop, &s->o.metrics, node_watch_page, &s->watch) : 0;
    if (err)
        fprintf(stderr, "i3node: --metrics %s: %s\n", addr_str(&s->o.metrics, text), strerror(-err));
    s->watch = (struct node_watch){
        .pump = s->pump, .http = s->http, .memory_max = s->o.memory, .triggers_max = s->config.triggers_max};
    if (!err)
        node_watch_start(&s->watch, &s->loop);
    return err;
}

static void start_signals(struct service *s)
{
    uv_signal_init(&s->loop, &s->term);
    uv_signal_init(&s->loop, &s->interrupt);
    uv_signal_init(&s->loop, &s->hangup);
    uv_signal_start(&s->term, on_end, SIGTERM);
    uv_signal_start(&s->interrupt, on_end, SIGINT);
    uv_signal_start(&s->hangup, on_hangup, SIGHUP);
    uv_timer_init(&s->loop, &s->watchdog);
    if (notify_watchdog_ms())
        uv_timer_start(&s->watchdog, on_watchdog, 0, notify_watchdog_ms());
}

static void say_started(const struct service *s)
{
    char at[ADDR_STR], metrics[ADDR_STR] = "none";
    if (s->http)
        addr_str(http_local(s->http), metrics);
    log_info("node started version=%s address=%s control=%s metrics=%s triggers_max=%u sandbox=%s", I3_VERSION,
        addr_str(node_pump_local(s->pump), at), s->control ? node_control_path(s->control) : "none", metrics, s->config.triggers_max,
        sandbox_text());
}

/* An exit status. What comes to be in the sandbox has to be in its lists. */
static int start(struct service *s)
{
    const struct node_options *o = &s->o;
    uv_loop_init(&s->loop);
    s->started = mono_now();
    int err = o->log ? log_to_file(o->log) : 0;
    if (err) {
        fprintf(stderr, "i3node: %s: %s\n", o->log, strerror(-err));
        return 1;
    }
    warm_up();
    if (!o->no_sandbox && close_files(s))
        return 1;
    if (start_node(s) || start_watch(s) || start_control(s) || write_number(o->pid_file, getpid()) ||
        write_number(o->port_file, node_pump_local(s->pump)->port))
        return 1;
    start_signals(s);
    if (!o->no_sandbox && close_calls())
        return 1;
    say_started(s);
    notify_send("READY=1");
    return 0;
}

static void on_lingered(uv_timer_t *t)
{
    uv_stop(t->loop);
}

/* Who has not noticed yet that it leaves the ring is served a little longer; a second signal ends that. */
static void linger(struct service *s)
{
    uv_timer_stop(&s->watchdog);
    uv_timer_start(&s->watchdog, on_lingered, NODE_LINGER / USEC_PER_MSEC, 0);
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

static void stop(struct service *s)
{
    log_info("node stopping");
    notify_send("STOPPING=1");
    if (node_pump_leave(s->pump))
        linger(s);
    process_heed_no_end();
    node_control_stop(s->control);
    http_stop(s->http);
    node_watch_stop(&s->watch);
    node_pump_stop(s->pump);
    uv_close((uv_handle_t *)&s->term, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->hangup, NULL);
    uv_close((uv_handle_t *)&s->watchdog, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    if (s->o.pid_file)
        unlink(s->o.pid_file);
}

int main(int argc, char **argv)
{
    static struct service s = {.ready = -1};
    node_options_parse(argc, argv, &s.o);
    node_options_limits(&s.o, &s.config);
    log_set_level(s.o.log_level);
    log_set_format(s.o.log_format);
    signal(SIGPIPE, SIG_IGN);
    process_raise_fds();
    if (s.o.ring && prepare_ring(&s.o))
        return 1;
    if (s.o.check) {
        puts("i3node: the options are right");
        return 0;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (s.o.background)
        detach(&s.ready);
    int status = start(&s);
    if (status)
        return status;
    if (s.o.background)
        detached(s.ready, null);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    stop(&s);
    return 0;
}
