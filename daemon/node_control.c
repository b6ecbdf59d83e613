#include "daemon/node_control.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/io/clock.h"
#include "daemon/io/files.h"
#include "daemon/io/ipc_server.h"

enum { ARGS_MAX = 4, POLL_MS = 10, SAME_PORT_MAX = 9, FOLDER_MAX = 96, PATH_ROOM = 192, METRICS_MAX = 64 * 1024 };

/* A request whose answer takes time: that of the walk under way, or of a look-up. */
struct waiter {
    struct ipc_client *client; /* NULL: free */
    uint32_t serial;
    uint64_t token; /* 0: the walk */
    struct i3_id id;
    bool sending;
    unsigned at; /* rows sent */
};

struct node_control {
    struct node_control_config c;
    struct fdset *set;
    struct ipc_server *server;
    uv_timer_t *timer;
    int lock;
    char lock_path[PATH_ROOM], path[PATH_ROOM];
    struct waiter waiter[CONTROL_WAITERS];
};

struct call {
    struct node_control *nc;
    struct ipc_client *client;
    uint32_t serial;
    int argc;
    char *argv[ARGS_MAX];
};

/* ---- replies ---- */

static void reply(struct ipc_client *c, uint32_t serial, bool more, uint8_t status, char *json)
{
    static const char too_large[] = "{\"error\":\"the answer is too large or memory is short\"}";
    uint8_t out[IPC_CONTROL_MAX];
    struct writer w = writer_of(out, sizeof(out));
    bool fits = json && strlen(json) <= IPC_TEXT_MAX;
    const char *text = fits ? json : too_large;
    ipc_put_header(&w, IPC_CONTROL | IPC_REPLY, serial);
    put_u8(&w, more && fits);
    put_u8(&w, fits ? status : 1);
    put_zeros(&w, 2);
    put_bytes(&w, text, strlen(text));
    ipc_send(c, out, writer_len(&w), -1);
    free(json);
}

static char *one_text(const char *name, const char *value)
{
    json_t *o = json_object();
    json_object_set_new(o, name, json_string(value));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static void fail(struct call *k, const char *sentence)
{
    reply(k->client, k->serial, false, 1, one_text("error", sentence));
}

static struct node_view view_of(const struct node_control *nc)
{
    return (struct node_view){
        .node = node_pump_node(nc->c.pump),
        .address = *node_pump_local(nc->c.pump),
        .version = I3_VERSION,
        .sandbox = nc->c.sandbox ? nc->c.sandbox() : NULL,
        .pid = (uint32_t)getpid(),
        .uptime_s = mono_since(nc->c.started, mono_now()) / USEC_PER_SEC,
    };
}

/* ---- what takes time ---- */

static void on_poll(uv_timer_t *timer);

static struct waiter *waiter_new(struct call *k)
{
    struct node_control *nc = k->nc;
    for (unsigned i = 0; i < CONTROL_WAITERS; i++) {
        if (nc->waiter[i].client)
            continue;
        nc->waiter[i] = (struct waiter){.client = k->client, .serial = k->serial};
        uv_timer_start(nc->timer, on_poll, 0, POLL_MS);
        return &nc->waiter[i];
    }
    fail(k, "too many questions at once");
    return NULL;
}

/* One part of the map: a reader that is slow gets the next one a little later. */
static void poll_map(struct waiter *x, const struct node *n, const struct node_view *v)
{
    struct walk_view w = node_ring(n) ? ring_walk_view(node_ring(n)) : (struct walk_view){0};
    if (w.running && !x->sending)
        return;
    x->sending = true;
    struct ipc_client *client = x->client;
    char *json = report_ring(v, &x->at);
    bool more = x->at < w.n;
    if (!more)
        x->client = NULL;
    reply(client, x->serial, more, !report_ring_complete(v), json);
}

static void poll_trace(struct waiter *x, const struct node *n, const struct node_view *v)
{
    const struct trace *t = node_ring(n) ? ring_trace_get(node_ring(n), x->token) : NULL;
    if (t && t->state == TRACE_OPEN)
        return;
    struct ipc_client *client = x->client;
    x->client = NULL;
    if (t)
        reply(client, x->serial, false, t->state != TRACE_FOUND, report_trace(v, &x->id, t));
    else
        reply(client, x->serial, false, 1, one_text("error", "the question was forgotten: too many at once"));
}

static void poll_all(void *ctx, struct node *n, mono_t now, struct outbox *out)
{
    struct node_control *nc = ctx;
    struct node_view v = view_of(nc);
    bool waiting = false;
    (void)now, (void)out;
    for (unsigned i = 0; i < CONTROL_WAITERS; i++) {
        struct waiter *x = &nc->waiter[i];
        if (x->client && x->token)
            poll_trace(x, n, &v);
        else if (x->client)
            poll_map(x, n, &v);
        waiting |= x->client != NULL;
    }
    if (!waiting)
        uv_timer_stop(nc->timer);
}

static void on_poll(uv_timer_t *timer)
{
    struct node_control *nc = timer->data;
    node_pump_with(nc->c.pump, poll_all, nc);
}

/* ---- verbs ---- */

static void start_walk(void *ctx, struct node *n, mono_t now, struct outbox *out)
{
    *(int *)ctx = node_walk(n, now, out);
}

/* A map is sent from one walk: who asks while another map is being sent waits no longer than that. */
static bool map_is_sent(const struct node_control *nc)
{
    for (unsigned i = 0; i < CONTROL_WAITERS; i++)
        if (nc->waiter[i].client && nc->waiter[i].sending)
            return true;
    return false;
}

static void verb_ring(struct call *k)
{
    int err = 0;
    if (!map_is_sent(k->nc))
        node_pump_with(k->nc->c.pump, start_walk, &err);
    if (err == -ENOMEM)
        fail(k, "out of memory");
    else
        waiter_new(k); /* of the walk that was under way, if one was */
}

struct trace_call {
    const struct i3_id *id;
    int64_t token;
};

static void start_trace(void *ctx, struct node *n, mono_t now, struct outbox *out)
{
    struct trace_call *t = ctx;
    t->token = node_trace(n, now, t->id, out);
}

/* 32 or 64 hex digits, or a key: its public id. */
static bool id_parse(const char *s, struct i3_id *id)
{
    uint8_t key[KEY_LEN];
    size_t len = strlen(s);
    memset(id, 0, sizeof(*id));
    if (!key_parse(s, key)) {
        id_of_key(id, key, NULL);
        return true;
    }
    for (size_t i = 0; i < len / 2 && i < ID_LEN; i++) {
        unsigned v;
        if (strspn(s + 2 * i, "0123456789abcdefABCDEF") < 2 || sscanf(s + 2 * i, "%2x", &v) != 1)
            return false;
        id->b[i] = (uint8_t)v;
    }
    return len == 2 * ID_PREFIX_LEN || len == 2 * ID_LEN;
}

static void verb_trace(struct call *k)
{
    struct i3_id id;
    struct trace_call t = {.id = &id};
    if (k->argc != 2 || !id_parse(k->argv[1], &id)) {
        fail(k, "that is no id: 64 hex digits (or their first 32), or a key of 52 letters and digits");
        return;
    }
    node_pump_with(k->nc->c.pump, start_trace, &t);
    if (t.token == -ENOTCONN) {
        struct node_view v = view_of(k->nc);
        reply(k->client, k->serial, false, 0, report_trace(&v, &id, NULL));
    } else if (t.token < 0) {
        fail(k, t.token == -EAGAIN ? "the node has too many questions under way, or is looking for its ring" : "out of memory");
    } else {
        struct waiter *x = waiter_new(k);
        if (x) {
            x->token = (uint64_t)t.token;
            x->id = id;
        }
    }
}

static void verb_metrics(struct call *k)
{
    char text[METRICS_MAX];
    size_t len = k->nc->c.metrics ? k->nc->c.metrics(k->nc->c.ctx, text, sizeof(text) - 1) : 0;
    text[len] = '\0';
    reply(k->client, k->serial, false, 0, one_text("text", text));
}

static const struct {
    const char *name;
    void (*run)(struct call *);
} verbs[] = {
    {"ring", verb_ring},
    {"trace", verb_trace},
    {"metrics", verb_metrics},
};

/* Verb and arguments, each ended by NUL. */
static void on_control(struct call *k, const uint8_t *data, size_t len)
{
    char text[IPC_MAX_LEN];
    size_t at = 0;
    if (!len || len > sizeof(text) || data[len - 1]) {
        fail(k, "malformed request");
        return;
    }
    memcpy(text, data, len);
    while (at < len && k->argc < ARGS_MAX) {
        k->argv[k->argc++] = text + at;
        at += strlen(text + at) + 1;
    }
    for (size_t i = 0; at == len && i < ARRAY_LEN(verbs); i++) {
        if (!strcmp(k->argv[0], verbs[i].name)) {
            verbs[i].run(k);
            return;
        }
    }
    fail(k, "i3node does not know that verb");
}

/* ---- the socket ---- */

static void on_record(void *ctx, struct ipc_client *c, const uint8_t *p, size_t len)
{
    struct reader r = reader_of(p, len);
    struct ipc_header h;
    ipc_get_header(&r, &h);
    if (r.failed || h.type != IPC_CONTROL)
        return; /* not one of ours: no answer */
    struct call k = {.nc = ctx, .client = c, .serial = h.serial};
    size_t rest = reader_left(&r);
    on_control(&k, get_span(&r, rest), rest);
}

static void on_gone(void *ctx, struct ipc_client *c)
{
    struct node_control *nc = ctx;
    for (unsigned i = 0; i < CONTROL_WAITERS; i++)
        if (nc->waiter[i].client == c)
            nc->waiter[i].client = NULL;
}

static bool after_turn(void *ctx)
{
    (void)ctx;
    return false;
}

int node_control_folder(char *out, size_t cap)
{
    const char *system = getenv("RUNTIME_DIRECTORY"), *user = getenv("XDG_RUNTIME_DIR");
    int n;
    if (system && *system == '/')
        n = snprintf(out, cap, "%.*s", (int)strcspn(system, ":"), system);
    else if (user && *user == '/')
        n = snprintf(out, cap, "%s/i3", user);
    else
        n = snprintf(out, cap, "/tmp/i3-%u", (unsigned)geteuid());
    return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : folder_private(out);
}

/* The file that is locked is still the one of that name. */
static bool is_there(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* What a node that was killed has left: its lock can be had. */
static void sweep(const char *folder)
{
    char lock[PATH_ROOM], sock[PATH_ROOM];
    const struct dirent *e;
    DIR *d = opendir(folder);
    while (d && (e = readdir(d))) {
        size_t len = strlen(e->d_name);
        if (len < 10 || len > 32 || strncmp(e->d_name, "node-", 5) || strcmp(e->d_name + len - 5, ".lock"))
            continue;
        snprintf(lock, sizeof(lock), "%s/%s", folder, e->d_name);
        snprintf(sock, sizeof(sock), "%.*s.sock", (int)strlen(lock) - 5, lock);
        int fd = file_lock(lock, false);
        if (fd < 0)
            continue;
        if (is_there(fd, lock))
            unlink(sock), unlink(lock);
        close(fd);
    }
    if (d)
        closedir(d);
}

/* A name of its own in the folder; the lock is held as long as the node lives. */
static int claim_name(struct node_control *nc, const char *folder)
{
    unsigned port = node_pump_local(nc->c.pump)->port;
    for (int i = 1; i <= SAME_PORT_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), i == 1 ? "node-%u" : "node-%u-%d", port, i);
        snprintf(nc->path, sizeof(nc->path), "%s/%s.sock", folder, name);
        snprintf(nc->lock_path, sizeof(nc->lock_path), "%s/%s.lock", folder, name);
        nc->lock = file_lock(nc->lock_path, false);
        while (nc->lock >= 0 && !is_there(nc->lock, nc->lock_path)) { /* swept away in between */
            close(nc->lock);
            nc->lock = file_lock(nc->lock_path, false);
        }
        if (nc->lock != -EWOULDBLOCK)
            break;
    }
    return nc->lock < 0 ? nc->lock : 0;
}

/* As the operator says; never instead of another kind of file, or of a socket that is in use. */
static int claim_path(struct node_control *nc, char *why, size_t whylen)
{
    struct stat st;
    int n = snprintf(nc->lock_path, sizeof(nc->lock_path), "%s.lock", nc->c.path);
    if (n >= (int)sizeof(nc->lock_path))
        return -ENAMETOOLONG;
    memcpy(nc->path, nc->c.path, (size_t)n - 4);
    nc->path[n - 5] = '\0';
    if (lstat(nc->path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return -EEXIST;
    nc->lock = file_lock(nc->lock_path, false);
    if (nc->lock == -EWOULDBLOCK)
        snprintf(why, whylen, "%s: another node uses it", nc->path);
    return nc->lock < 0 ? nc->lock : 0;
}

static int claim(struct node_control *nc, char *why, size_t whylen)
{
    char folder[FOLDER_MAX];
    nc->lock = -1;
    if (nc->c.path)
        return claim_path(nc, why, whylen);
    int err = node_control_folder(folder, sizeof(folder));
    if (err == -EPERM)
        snprintf(why, whylen, "%s is not a folder of your own", folder);
    if (err)
        return err;
    sweep(folder);
    return claim_name(nc, folder);
}

int node_control_start(struct node_control **out, const struct node_control_config *c, char *why, size_t whylen)
{
    struct node_control *nc = calloc(1, sizeof(*nc));
    why[0] = '\0';
    if (!nc)
        return -ENOMEM;
    nc->c = *c;
    int err = claim(nc, why, whylen);
    if (err)
        goto err_free;
    err = -ENOMEM;
    nc->timer = calloc(1, sizeof(*nc->timer));
    nc->set = nc->timer ? fdset_new(c->loop, after_turn, nc) : NULL;
    if (!nc->set)
        goto err_lock;
    err = ipc_server_open(&nc->server, nc->set, nc->path, 0, false, on_record, on_gone, nc);
    if (err)
        goto err_set;
    ipc_server_admit_root(nc->server);
    uv_timer_init(c->loop, nc->timer);
    nc->timer->data = nc;
    *out = nc;
    return 0;

err_set:
    fdset_free(nc->set);
err_lock:
    if (nc->lock >= 0)
        unlink(nc->lock_path), close(nc->lock);
err_free:
    if (!why[0])
        snprintf(why, whylen, "%s: %s", nc->path, strerror(-err));
    free(nc->timer);
    free(nc);
    return err;
}

static void free_handle(uv_handle_t *h)
{
    free(h);
}

void node_control_stop(struct node_control *nc)
{
    if (!nc)
        return;
    ipc_server_close(nc->server);
    fdset_free(nc->set);
    uv_close((uv_handle_t *)nc->timer, free_handle);
    if (nc->lock >= 0)
        unlink(nc->lock_path), close(nc->lock);
    free(nc);
}

const char *node_control_path(const struct node_control *nc)
{
    return nc->path;
}
