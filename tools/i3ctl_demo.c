#include "tools/i3ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "include/bytes.h"

/*      DIR/.i3demo                 marker: what `demo down` may remove
 *      DIR/ring/{pid,port,log}     the overlay node
 *      DIR/USER/config/i3/i3.conf  one user of the overlay, for each of world_user[]
 *      DIR/USER/{data,run}/i3/
 *      DIR/USER.env                makes a shell that user
 */

enum { STAND_TIMEOUT_MS = 15000, POLL_MS = 20, STR_MAX = 80 };

struct demo_user {
    const char *name;
    char key[STR_MAX], address[STR_MAX];
    bool stands;
};

struct demo {
    char world[PATH_MAX], bin[PATH_MAX];
    int port;
    struct demo_user user[WORLD_USERS];
    char err[CTL_ERR_LEN];
};

static int fail(struct demo *d, int err, const char *what)
{
    snprintf(d->err, sizeof(d->err), "%.400s: %s", what, strerror(-err));
    return err;
}

static int make_folders(struct demo *d, const char *const *names, size_t n)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < n; i++) {
        world_path(path, sizeof(path), d->world, "%s", names[i]);
        if (mkdir(path, 0700) < 0)
            return fail(d, -errno, path);
    }
    return 0;
}

/* ---- the ring ---- */

static int ring_port(struct demo *d)
{
    char path[PATH_MAX], text[16] = "";
    world_path(path, sizeof(path), d->world, "ring/port");
    FILE *f = fopen(path, "re");
    if (!f)
        return fail(d, -errno, path);
    char *line = fgets(text, sizeof(text), f);
    fclose(f);
    d->port = line ? atoi(line) : 0;
    return d->port > 0 && d->port < 65536 ? 0 : fail(d, -EBADMSG, path);
}

static int ring_start(struct demo *d)
{
    char prog[PATH_MAX + 8], pid[PATH_MAX], port[PATH_MAX], log[PATH_MAX], control[PATH_MAX], err[CTL_ERR_LEN];
    int rc = make_folders(d, (const char *[]){"ring"}, 1);
    if (rc)
        return rc;
    snprintf(prog, sizeof(prog), "%s/i3node", d->bin);
    world_path(pid, sizeof(pid), d->world, "ring/pid");
    world_path(port, sizeof(port), d->world, "ring/port");
    world_path(log, sizeof(log), d->world, "ring/log");
    world_path(control, sizeof(control), d->world, "ring/node.sock");
    rc = link_run(prog,
        (char *[]){prog, "--background", "--listen", "127.0.0.1:0", "--pid-file", pid, "--port-file", port,
            "--log", log, "--control", control, NULL},
        NULL, err);
    if (rc < 0)
        return fail(d, rc, prog);
    if (rc) {
        snprintf(
            d->err, sizeof(d->err), "the overlay node did not start: %.400s", *err ? err : "it said nothing");
        return -ECHILD;
    }
    return ring_port(d);
}

/* ---- users ---- */

static int user_files(struct demo *d, const char *user)
{
    static const char *const parts[] = {"", "/config", "/config/i3", "/data", "/data/i3", "/run", "/run/i3"};
    char path[PATH_MAX], name[ARRAY_LEN(parts)][STR_MAX];
    const char *names[ARRAY_LEN(parts)];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        snprintf(name[i], sizeof(name[i]), "%s%s", user, parts[i]);
        names[i] = name[i];
    }
    int rc = make_folders(d, names, ARRAY_LEN(names));
    if (rc)
        return rc;
    world_path(path, sizeof(path), d->world, "%s/config/i3/i3.conf", user);
    rc = world_write(
        path, "# %s of a demo world: see i3ctl(1)\nnodes = { \"127.0.0.1:%d\" }\n", user, d->port);
    return rc ? fail(d, rc, path) : 0;
}

/* A path in single quotes for sh, with its own quotes escaped. */
static void quote(const char *s, char *out, size_t cap)
{
    struct writer w = writer_of(out, cap - 1);
    put_u8(&w, '\'');
    for (; *s; s++)
        put_bytes(&w, *s == '\'' ? "'\\''" : s, *s == '\'' ? 4 : 1);
    put_u8(&w, '\'');
    *w.at = '\0';
}

static int user_env_file(struct demo *d, const char *user)
{
    char path[PATH_MAX], world[4 * PATH_MAX], bin[4 * PATH_MAX];
    quote(d->world, world, sizeof(world));
    quote(d->bin, bin, sizeof(bin));
    world_path(path, sizeof(path), d->world, "%s.env", user);
    int rc = world_write(path,
        "# makes a shell %s of the demo world in this folder\n"
        "export XDG_CONFIG_HOME=%s/%s/config\n"
        "export XDG_DATA_HOME=%s/%s/data\n"
        "export XDG_RUNTIME_DIR=%s/%s/run\n"
        "unset I3_SOCK\n"
        "case ${PATH-} in %s:*) ;; *) export PATH=%s:\"${PATH:-/usr/bin:/bin}\" ;; esac\n",
        user, world, user, world, user, world, user, bin, bin);
    return rc ? fail(d, rc, path) : 0;
}

static int user_daemon(struct demo *d, const char *user)
{
    char err[CTL_ERR_LEN];
    char **env = world_env(d->world, user);
    if (!env)
        return fail(d, -ENOMEM, user);
    int rc = link_ensure(env, err);
    world_env_free(env);
    if (rc)
        snprintf(d->err, sizeof(d->err), "%s's daemon: %.400s", user, err);
    return rc;
}

/* One request to a user's daemon; the document is the caller's. NULL with d->err set. */
static json_t *user_ask(struct demo *d, const char *user, const char *const *words, size_t n)
{
    char path[PATH_MAX];
    struct link_reply r;
    world_path(path, sizeof(path), d->world, "%s/run/i3/i3d.sock", user);
    int fd = link_open(path), rc = fd;
    if (fd >= 0) {
        rc = link_call(fd, words, n, &r);
        close(fd);
    }
    if (rc < 0) {
        snprintf(d->err, sizeof(d->err), "%s's daemon does not answer: %s", user, strerror(-rc));
        return NULL;
    }
    if (r.exit) {
        snprintf(d->err, sizeof(d->err), "%s's daemon: %.400s", user, json_text(r.doc, "error"));
        json_decref(r.doc);
        return NULL;
    }
    return r.doc;
}

static int user_identity(struct demo *d, struct demo_user *u)
{
    json_t *doc = user_ask(d, u->name, (const char *[]){"id"}, 1);
    if (!doc)
        return -EIO;
    snprintf(u->key, sizeof(u->key), "%s", json_text(doc, "key"));
    snprintf(u->address, sizeof(u->address), "%s", json_text(doc, "address"));
    json_decref(doc);
    return 0;
}

static int user_book(struct demo *d, const struct demo_user *u)
{
    for (size_t i = 0; i < WORLD_USERS; i++) {
        json_t *doc =
            user_ask(d, u->name, (const char *[]){"book", "add", d->user[i].name, d->user[i].key}, 4);
        if (!doc)
            return -EIO;
        json_decref(doc);
    }
    return 0;
}

static int users_stand(struct demo *d)
{
    int64_t until = clock_ms() + STAND_TIMEOUT_MS;
    for (size_t i = 0; i < WORLD_USERS;) {
        struct demo_user *u = &d->user[i];
        json_t *doc = user_ask(d, u->name, (const char *[]){"status"}, 1);
        if (!doc)
            return -EIO;
        u->stands = status_triggers_stand(doc);
        json_decref(doc);
        if (u->stands) {
            i++;
            continue;
        }
        if (clock_ms() > until) {
            snprintf(d->err, sizeof(d->err),
                "%s's triggers do not stand after %d s: the node at 127.0.0.1:%d does not answer", u->name,
                STAND_TIMEOUT_MS / 1000, d->port);
            return -ETIMEDOUT;
        }
        if (world_interrupted())
            return fail(d, -EINTR, "demo up");
        (void)poll(NULL, 0, POLL_MS);
    }
    return 0;
}

/* ---- up ---- */

static int build(struct demo *d)
{
    int rc = ring_start(d);
    for (size_t i = 0; !rc && i < WORLD_USERS; i++) {
        rc = user_files(d, d->user[i].name);
        if (!rc)
            rc = user_daemon(d, d->user[i].name);
        if (!rc)
            rc = user_identity(d, &d->user[i]);
        if (!rc && world_interrupted())
            rc = fail(d, -EINTR, "demo up");
    }
    for (size_t i = 0; !rc && i < WORLD_USERS; i++)
        rc = user_book(d, &d->user[i]);
    for (size_t i = 0; !rc && i < WORLD_USERS; i++)
        rc = user_env_file(d, d->user[i].name);
    return rc ? rc : users_stand(d);
}

static void show_world(const struct ctl *c, const struct demo *d)
{
    if (c->json) {
        json_t *users = json_array();
        for (size_t i = 0; i < WORLD_USERS; i++)
            json_array_append_new(
                users, json_pack("{s:s, s:s?, s:s?, s:b}", "name", d->user[i].name, "key",
                           *d->user[i].key ? d->user[i].key : NULL, "address", *d->user[i].address ? d->user[i].address : NULL, "standing",
                           (int)d->user[i].stands));
        json_t *doc = json_pack("{s:s, s:i, s:o}", "dir", d->world, "port", d->port, "users", users);
        show_json(doc, false);
        json_decref(doc);
        return;
    }
    printf("world  %s\nring   127.0.0.1:%d\n", d->world, d->port);
    for (size_t i = 0; i < WORLD_USERS; i++)
        printf("%-6s %s.i3, %s%s\n", d->user[i].name, d->user[i].name,
            *d->user[i].address ? d->user[i].address : "DOWN",
            d->user[i].stands || !*d->user[i].address ? "" : ", NOT REACHABLE");
}

/* What to type next, in a form that a shell takes as it is. */
static void show_hints(const struct demo *d)
{
    char quoted[4 * PATH_MAX];
    const char *dir = d->world;
    if (dir[strspn(dir, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%")]) {
        quote(dir, quoted, sizeof(quoted));
        dir = quoted;
    }
    printf("\nIn one shell:\n    . %s/bob.env\n    i3run python3 -m http.server 8000\nIn another one:\n    . %s/alice.env\n"
           "    i3run curl http://bob.i3:8000/\nTo end it all:\n    i3ctl demo down %s\n",
        dir, dir, dir);
}

static void demo_init(struct demo *d)
{
    memset(d, 0, sizeof(*d));
    for (size_t i = 0; i < WORLD_USERS; i++)
        d->user[i].name = world_user[i];
}

int demo_up(struct ctl *c)
{
    struct demo d;
    bool made;
    demo_init(&d);
    int rc = link_bin_dir(d.bin);
    if (rc)
        return show_error(c, CTL_FAILED, "cannot tell where i3ctl is: %s", strerror(-rc));
    if (world_create(c->argc ? c->argv[0] : NULL, d.world, &made, d.err))
        return show_error(c, CTL_FAILED, "%s", d.err);
    world_catch_signals();
    if (build(&d)) {
        int left = world_end(d.world);
        if (!left)
            (void)world_remove(d.world, made);
        return show_error(
            c, CTL_FAILED, "%s%s", d.err, left ? " (and its processes could not be ended)" : "");
    }
    show_world(c, &d);
    if (!c->json)
        show_hints(&d);
    return CTL_OK;
}

/* ---- down, status ---- */

int demo_down(struct ctl *c)
{
    char world[PATH_MAX], err[CTL_ERR_LEN];
    if (world_open(c->argv[0], world, err))
        return show_error(c, CTL_FAILED, "%s", err);
    int left = world_end(world);
    if (left)
        return show_error(
            c, CTL_FAILED, "%d processes of %s would not end; its files are left in place", left, world);
    int rc = world_remove(world, true);
    if (rc)
        return show_error(c, CTL_FAILED, "cannot remove %s: %s", world, strerror(-rc));
    if (c->json)
        puts("{\"removed\":true}");
    return CTL_OK;
}

int demo_status(struct ctl *c)
{
    struct demo d;
    bool well = true;
    demo_init(&d);
    if (world_open(c->argv[0], d.world, d.err))
        return show_error(c, CTL_FAILED, "%s", d.err);
    if (ring_port(&d))
        well = false;
    for (size_t i = 0; i < WORLD_USERS; i++) {
        struct demo_user *u = &d.user[i];
        json_t *doc = user_identity(&d, u) ? NULL : user_ask(&d, u->name, (const char *[]){"status"}, 1);
        u->stands = doc && status_triggers_stand(doc);
        well = well && u->stands;
        json_decref(doc);
    }
    show_world(c, &d);
    return well ? CTL_OK : CTL_NO_DAEMON;
}
