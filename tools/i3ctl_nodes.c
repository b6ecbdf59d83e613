/* i3ctl_nodes.c - i3ctl nodes: the overlay nodes that the daemon uses. A host's name is looked up here, since the daemon does not. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "include/addr.h"
#include "include/bytes.h"
#include "tools/i3ctl_table.h"

enum { WORDS_MAX = 3 + 16, PORT_LEN = 6 };

static void show_overlay(const json_t *o)
{
    static const char *const head[] = {"", "NODE", "STATE", ">RTT", "WHY"};
    struct table t = {.head = head, .columns = ARRAY_LEN(head)};
    const char *name = json_text(o, "name"), *source = json_text(o, "source");
    char rtt[PIECE];
    size_t i;
    json_t *n;
    const char *from = !strcmp(source, "config") ? "from i3.conf" : !strcmp(source, "file") ? "added by i3ctl nodes or an invitation" : "";
    printf("%s%s%s%s%s%s%s\n", ink(INK_HEAD), json_text(o, "suffix"), *name ? "  overlay " : "", name, ink(INK_END), *from ? "  " : "", from);
    json_array_foreach(json_object_get(o, "nodes"), i, n)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_is_true(json_object_get(n, "in_use")) ? "*" : "");
        cell_set(row[1], json_text(n, "address"));
        cell_set(row[2], json_text(n, "state"));
        cell_set(row[3], json_int(n, "rtt_us") ? micros_str(json_int(n, "rtt_us"), rtt) : "-");
        cell_set(row[4], json_text(n, "why"));
    }
    table_print(&t);
    if (i)
        return;
    if (!strcmp(json_text(o, "kind"), "mesh")) {
        printf("a mesh has no nodes: i3ctl mesh shows its members\n");
        return;
    }
    printf("no overlay node is configured%s\n", *name ? "" : ": only users of this very machine can be reached");
    printf("  -> i3ctl join CODE, with an invitation; or i3ctl nodes add%s%s HOST:PORT, where others of yours run i3node\n", *name ? " --overlay " : "",
        name);
}

static void show(const struct ctl *c, const json_t *doc)
{
    size_t i;
    json_t *o;
    (void)c;
    json_array_foreach(json_object_get(doc, "added"), i, o)
        printf("added %s\n", json_string_value(o));
    json_array_foreach(json_object_get(doc, "removed"), i, o)
        printf("removed %s\n", json_string_value(o));
    json_array_foreach(json_object_get(doc, "overlays"), i, o)
        show_overlay(o);
}

void show_nodes(const struct ctl *c, const json_t *doc)
{
    show(c, doc);
}

/* "HOST[:PORT]" with an address for the host, into out; what cannot be looked up stays as it is, and the daemon says so. */
static void look_up(const char *text, char out[ADDR_STR])
{
    char host[NI_MAXHOST];
    const char *colon = strchr(text, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (text[0] == '[' || (colon && strchr(colon + 1, ':')) || len >= sizeof(host) || (colon && strlen(colon) > PORT_LEN))
        return;
    memcpy(host, text, len);
    host[len] = '\0';
    if (getaddrinfo(host, colon ? colon + 1 : "5610", &hints, &found))
        return;
    struct addr a = addr_from_sockaddr(found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    addr_str(&a, out);
}

static int run(struct ctl *c, const char *what, const char *overlay)
{
    const char *words[WORDS_MAX] = {"nodes", what, c->option[CTL_OVERLAY] ? c->option[CTL_OVERLAY] : overlay};
    static char text[WORDS_MAX][ADDR_STR];
    size_t n = 3;
    for (int i = 0; i < c->argc && n < WORDS_MAX; i++, n++) {
        words[n] = c->argv[i];
        look_up(c->argv[i], text[n]);
        words[n] = *text[n] ? text[n] : words[n];
    }
    return daemon_words(c, words, n);
}

int run_nodes_list(struct ctl *c)
{
    return run(c, "list", "*");
}

int run_nodes_add(struct ctl *c)
{
    return run(c, "add", "");
}

int run_nodes_rm(struct ctl *c)
{
    return run(c, "rm", "");
}
