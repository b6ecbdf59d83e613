/* i3node.c - an overlay node on a machine of its own; i3d embeds the same code (node_pump.h). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/io/clock.h"
#include "daemon/io/files.h"
#include "daemon/identity.h"
#include "daemon/io/log_file.h"
#include "daemon/node_control.h"
#include "daemon/node_options.h"
#include "daemon/node_pump.h"

enum { SECRET_MIN = 16 };

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
static int prepare_ring(struct node_options *o)
{
    struct pump_identity id;
    char why[1200];
    struct ring_config *c = &o->ring_config;
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

/* ---- the running node ---- */

struct service {
    struct node_options o;
    uv_loop_t loop;
    uv_signal_t term, interrupt, hangup;
    struct node_pump *pump;
    struct node_control *control; /* NULL: none */
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

static int start_control(struct service *s)
{
    char why[300];
    struct node_control_config c = {.loop = &s->loop, .pump = s->pump, .path = s->o.control, .started = s->started};
    int err = s->o.no_control ? 0 : node_control_start(&s->control, &c, why, sizeof(why));
    if (err && s->o.control)
        fprintf(stderr, "i3node: --control %s\n", why);
    else if (err)
        log_warn("control socket missing why=%s", why);
    return s->o.control ? err : 0;
}

/* The node on its port. An exit status. */
static int start_node(struct service *s)
{
    char text[ADDR_STR];
    int err = node_pump_start(&s->pump, &s->loop, &s->o.listen, s->o.ring ? &s->o.ring_config : NULL);
    if (err == -EDESTADDRREQ) {
        fprintf(stderr, "i3node: --listen 0.0.0.0 does not say where the other nodes reach this one: add --advertise ADDR\n");
        return 2;
    }
    if (err)
        fprintf(stderr, "i3node: cannot listen on %s: %s\n", addr_str(&s->o.listen, text), strerror(-err));
    else if ((err = node_pump_listen(s->pump, &s->loop, &s->o.stream)) < 0)
        fprintf(stderr, "i3node: --tcp-port: cannot listen there: %s\n", strerror(-err));
    return err ? 1 : 0;
}

static int start(struct service *s)
{
    char text[ADDR_STR];
    const struct node_options *o = &s->o;
    uv_loop_init(&s->loop);
    s->started = mono_now();
    int err = o->log ? log_to_file(o->log) : 0;
    if (err) {
        fprintf(stderr, "i3node: %s: %s\n", o->log, strerror(-err));
        return 1;
    }
    int status = start_node(s);
    if (status)
        return status;
    if (start_control(s) || write_number(o->pid_file, getpid()) || write_number(o->port_file, node_pump_local(s->pump)->port))
        return 1;
    uv_signal_init(&s->loop, &s->term);
    uv_signal_init(&s->loop, &s->interrupt);
    uv_signal_init(&s->loop, &s->hangup);
    uv_signal_start(&s->term, on_end, SIGTERM);
    uv_signal_start(&s->interrupt, on_end, SIGINT);
    uv_signal_start(&s->hangup, on_hangup, SIGHUP);
    log_info("node started version=%s address=%s control=%s", I3_VERSION, addr_str(node_pump_local(s->pump), text),
        s->control ? node_control_path(s->control) : "none");
    return 0;
}

static void stop(struct service *s)
{
    log_info("node stopping");
    node_control_stop(s->control);
    node_pump_stop(s->pump);
    uv_close((uv_handle_t *)&s->term, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->hangup, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    if (s->o.pid_file)
        unlink(s->o.pid_file);
}

int main(int argc, char **argv)
{
    struct service s = {.ready = -1};
    node_options_parse(argc, argv, &s.o);
    log_set_level(s.o.log_level);
    log_set_format(s.o.log_format);
    signal(SIGPIPE, SIG_IGN);
    if (s.o.ring && prepare_ring(&s.o))
        return 1;
    if (s.o.background)
        detach(&s.ready);
    int status = start(&s);
    if (status)
        return status;
    if (s.o.background)
        detached(s.ready);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    stop(&s);
    return 0;
}
