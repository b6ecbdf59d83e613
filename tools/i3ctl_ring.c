/* i3ctl_ring.c - overlay nodes of this machine: where their control sockets are, and what they say of their ring. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tools/i3ctl_table.h"

enum { NODES_MAX = 16, NODE_PATH = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* Sockets at which a node answers. */
struct nodes {
    char path[NODES_MAX][NODE_PATH];
    unsigned n;
    bool denied; /* there is one that belongs to somebody else */
};

/* ---- which node ---- */

static void look_in(struct nodes *all, const char *folder, const char *pattern)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    all->denied |= !d && errno == EACCES;
    while (d && (e = readdir(d)) && all->n < NODES_MAX) {
        size_t len = strlen(e->d_name);
        if (strncmp(e->d_name, "node-", 5) || len < 10 || strcmp(e->d_name + len - 5, ".sock"))
            continue;
        /* node-PORT.sock or node-PORT-2.sock */
        size_t digits = strspn(e->d_name + 5, "0123456789");
        if (*pattern && (strlen(pattern) != digits || strncmp(pattern, e->d_name + 5, digits)))
            continue;
        if (snprintf(all->path[all->n], NODE_PATH, "%s/%s", folder, e->d_name) >= NODE_PATH)
            continue;
        int fd = link_open_node(all->path[all->n]);
        all->denied |= fd == -EACCES || fd == -EPERM;
        if (fd < 0)
            continue; /* nobody is there any more */
        close(fd);
        all->n++;
    }
    if (d)
        closedir(d);
}

/* port: only nodes on it; "": any. */
static void find_nodes(struct nodes *all, const char *port)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    char own[NODE_PATH];
    memset(all, 0, sizeof(*all));
    int n = run && *run ? snprintf(own, sizeof(own), "%s/i3", run) : snprintf(own, sizeof(own), "/tmp/i3-%u", (unsigned)geteuid());
    if (n < NODE_PATH)
        look_in(all, own, port);
    look_in(all, "/run/i3node", port);
}

/* The address under which the ring knows the node at that socket. */
static bool is_at(const char *path, const char *address)
{
    struct link_reply r = {0};
    int fd = link_open_node(path);
    bool same = fd >= 0 && !link_call(fd, (const char *[]){"ring"}, 1, &r) && !strcmp(json_text(r.doc, "address"), address);
    json_decref(r.doc);
    if (fd >= 0)
        close(fd);
    return same;
}

/* The sockets from which one has to be chosen. */
static void narrow(struct nodes *all, const char *address)
{
    for (unsigned i = 0; all->n > 1 && i < all->n; i++) {
        if (!is_at(all->path[i], address))
            continue;
        memmove(all->path[0], all->path[i], NODE_PATH);
        all->n = 1;
    }
}

static int several(const struct ctl *c, const struct nodes *all)
{
    char list[CTL_ERR_LEN] = "";
    for (unsigned i = 0; i < all->n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", all->path[i]);
    }
    return show_error(c, CTL_USAGE, "%u nodes run here: choose one with --node, of %s", all->n, list);
}

/* The fd of the chosen node; -1: the error is shown and *exit set; -2: none runs, and none was named. */
static int open_node(const struct ctl *c, int *exit)
{
    struct nodes all;
    const char *colon = c->option[CTL_NODE] ? strrchr(c->option[CTL_NODE], ':') : NULL, *path = c->option[CTL_NODE];
    *exit = CTL_NO_DAEMON;
    if (!c->option[CTL_NODE] || !strchr(c->option[CTL_NODE], '/')) {
        find_nodes(&all, c->option[CTL_NODE] ? colon ? colon + 1 : c->option[CTL_NODE] : "");
        if (colon && colon != c->option[CTL_NODE])
            narrow(&all, c->option[CTL_NODE]);
        if (all.n > 1)
            *exit = several(c, &all);
        else if (!all.n && c->option[CTL_NODE])
            show_error(c, CTL_NO_DAEMON,
                "no node of this machine%s listens on %s; another machine's is asked there, by its own operator",
                all.denied ? " that you may ask" : "", c->option[CTL_NODE]);
        if (all.n != 1)
            return !all.n && !c->option[CTL_NODE] ? -2 : -1;
        path = all.path[0];
    }
    int fd = link_open_node(path);
    if (fd < 0)
        show_error(c, CTL_NO_DAEMON, "cannot reach the node at %s: %s", path,
            fd == -EPERM ? "that socket belongs to another user" : strerror(-fd));
    return fd < 0 ? -1 : fd;
}

int ring_run(struct ctl *c)
{
    int exit, fd = open_node(c, &exit);
    bool host = fd == -2;
    if (host)
        fd = ctl_open_daemon(c, &exit);
    if (fd < 0)
        return exit;
    const char *words[] = {host || !c->argc ? "ring" : "trace", c->argc ? c->argv[0] : NULL};
    exit = ctl_ask(c, fd, words, c->argc ? 2 : 1);
    close(fd);
    return exit;
}

/* The daemon's own, or with --node a node's. */
int metrics_run(struct ctl *c)
{
    const char *node = c->option[CTL_NODE];
    if (!node)
        return daemon_words(c, (const char *[]){"metrics"}, 1);
    if (!*node)
        c->option[CTL_NODE] = NULL;
    int exit, fd = open_node(c, &exit);
    if (fd == -2)
        return show_error(c, CTL_NO_DAEMON, "no overlay node runs on this machine");
    if (fd < 0)
        return exit;
    exit = ctl_ask(c, fd, (const char *[]){"metrics"}, 1);
    close(fd);
    return exit;
}

/* ---- what is shown ---- */

void show_metrics(const struct ctl *c, const json_t *doc)
{
    (void)c;
    fputs(json_text(doc, "text"), stdout);
}

/* Enough of a position to tell nodes apart. */
static void position_cell(char cell[CELL_MAX], const json_t *o, const char *key)
{
    snprintf(cell, CELL_MAX, "%.12s", *json_text(o, key) ? json_text(o, key) : "-");
}

static void number_cell(char cell[CELL_MAX], const json_t *o, const char *key)
{
    if (json_is_integer(json_object_get(o, key)))
        snprintf(cell, CELL_MAX, "%lld", (long long)json_int(o, key));
    else
        cell_set(cell, "");
}

static void show_contacts(const char *what, const json_t *list, const char *from)
{
    size_t i;
    const json_t *e;
    json_array_foreach(list, i, e)
    {
        printf("%-12s %.12s  %s", i ? "" : what, json_text(e, "position"), json_text(e, "address"));
        if (from)
            printf("  (owns %.12s)", json_text(e, from));
        putchar('\n');
    }
}

static void show_map(const json_t *doc)
{
    static const char *const head[] = {"POSITION", "ADDRESS", ">SHARE", ">HOPS", ">RTT", ">TRIGGERS", "STATE"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    char buf[PIECE];
    size_t i;
    const json_t *e;
    json_array_foreach(json_object_get(doc, "nodes"), i, e)
    {
        const json_t *share = json_object_get(e, "share_percent");
        char(*row)[CELL_MAX] = table_row(&t);
        position_cell(row[0], e, "position");
        cell_set(row[1], json_text(e, "address"));
        if (json_is_number(share))
            snprintf(row[2], CELL_MAX, "%.2f %%", json_number_value(share));
        else
            cell_set(row[2], "");
        number_cell(row[3], e, "hops");
        cell_set(row[4], micros_str(json_int(e, "rtt_us"), buf));
        number_cell(row[5], e, "triggers");
        snprintf(row[6], CELL_MAX, "%s%s", json_text(e, "state"),
            json_is_false(json_object_get(e, "agrees")) ? ", sees other neighbours" : "");
    }
    table_print(&t);
}

static void show_node_ring(const json_t *doc)
{
    char up[PIECE], took[PIECE];
    printf("node         %s, i3node %s, pid %d, up %s\n", json_text(doc, "address"), json_text(doc, "version"),
        (int)json_int(doc, "pid"), seconds_str(json_int(doc, "uptime_s"), up));
    if (json_is_true(json_object_get(doc, "alone"))) {
        puts("ring         none: it is alone and owns every id");
        show_map(doc);
        return;
    }
    const json_t *predecessor = json_object_get(doc, "predecessor");
    printf("position     %s\n", json_text(doc, "position"));
    printf("predecessor  %.12s  %s\n", *json_text(predecessor, "position") ? json_text(predecessor, "position") : "none",
        json_text(predecessor, "address"));
    show_contacts("successors", json_object_get(doc, "successors"), NULL);
    show_contacts("fingers", json_object_get(doc, "fingers"), "from");
    printf("\nring         %d nodes, %d answered, in %s\n", (int)json_int(doc, "nodes_total"), (int)json_int(doc, "nodes_answered"),
        micros_str(json_int(doc, "took_us"), took));
    show_map(doc);
    if (!json_is_true(json_object_get(doc, "complete")))
        printf("\nThe map may be INCOMPLETE: %s.\n", json_text(doc, "incomplete_why"));
}

/* What a host knows of its ring. */
static void show_host_ring(const json_t *doc)
{
    static const char *const head[] = {"TRIGGER", "STATE", "OWNER", ">RTT"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    const json_t *home = json_object_get(doc, "home"), *e;
    char buf[PIECE];
    size_t i;
    printf("home node    %s%s\n", json_text(home, "address"),
        json_is_true(json_object_get(home, "embedded")) ? " (inside your daemon: a ring of one)" : "");
    json_array_foreach(json_object_get(doc, "triggers"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        snprintf(row[0], CELL_MAX, "%.16s", json_text(e, "id"));
        cell_set(row[1], json_text(e, "state"));
        cell_set(row[2], json_text(e, "owner"));
        cell_set(row[3], micros_str(json_int(e, "rtt_us"), buf));
    }
    printf("\ntriggers     %zu, kept by\n", t.rows);
    table_print(&t);
    puts("\nA host knows no more than that; the whole map is for a node's operator: i3ctl ring --node NODE.");
}

static void show_trace(const json_t *doc)
{
    char took[PIECE];
    const json_t *owner = json_object_get(doc, "owner");
    printf("id           %s\n", json_text(doc, "id"));
    if (!json_is_true(json_object_get(doc, "found"))) {
        puts("owner        not found: nobody has answered");
        return;
    }
    printf("owner        %s%s%.12s\n", json_text(owner, "address"), *json_text(owner, "position") ? "  " : "",
        json_text(owner, "position"));
    printf("hops         %d from %s", (int)json_int(doc, "hops"), json_text(doc, "address"));
    if (json_int(doc, "took_us"))
        printf(", in %s", micros_str(json_int(doc, "took_us"), took));
    putchar('\n');
}

void show_ring(const struct ctl *c, const json_t *doc)
{
    if (c->argc)
        show_trace(doc);
    else if (!strcmp(json_text(doc, "kind"), "host"))
        show_host_ring(doc);
    else
        show_node_ring(doc);
}
