/* i3ctl_gateway.c - i3ctl gateway, in words. */
#include <stdio.h>
#include <string.h>

#include "tools/i3ctl_table.h"

static void show_users(const json_t *server)
{
    static const char *const head[] = {"USER", ">FLOWS", ">NAMES", ">OPENED", ">FAILED", ">REFUSED", ">UP", ">DOWN", ">IDLE"};
    static const char *const counts[] = {"flows", "names", "connections", "failed", "refused"};
    struct table t = {.head = head, .columns = 9};
    const json_t *users = json_object_get(server, "users"), *u;
    char text[PIECE];
    size_t i;
    json_array_foreach(users, i, u)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], *json_text(u, "name") ? json_text(u, "name") : json_text(u, "key"));
        for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
            snprintf(text, sizeof(text), "%lld", (long long)json_int(u, counts[j]));
            cell_set(row[1 + j], text);
        }
        cell_set(row[6], bytes_str(json_int(u, "bytes_up"), text));
        cell_set(row[7], bytes_str(json_int(u, "bytes_down"), text));
        cell_set(row[8], seconds_str(json_int(u, "seconds_since_used"), text));
    }
    table_print(&t);
    if (json_int(server, "users_total") > (long long)i)
        printf("and %lld more\n", (long long)json_int(server, "users_total") - (long long)i);
}

static void show_server(const json_t *server)
{
    const json_t *networks = json_object_get(server, "networks"), *n;
    size_t i;
    printf("This host is a gateway for %s, to", json_is_true(json_object_get(server, "anyone")) ? "anyone" : "those that i3.conf names");
    json_array_foreach(networks, i, n) printf("%s %s", i ? "," : "", json_string_value(n));
    printf(": %lld flows now, %lld at most.\n", (long long)json_int(server, "flows"), (long long)json_int(server, "connections_max"));
    if (!json_int(server, "users_total"))
        puts("Nobody has used it yet.");
    else
        show_users(server);
}

static void show_names(const json_t *doc)
{
    static const char *const head[] = {"NAME", "GATEWAY", "ADDRESS", "STATE"};
    struct table t = {.head = head, .columns = 4};
    const json_t *names = json_object_get(doc, "names"), *v;
    size_t i;
    json_array_foreach(names, i, v)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        const char *state = json_text(v, "state");
        cell_set(row[0], json_text(v, "name"));
        cell_set(row[1], *json_text(v, "gateway") ? json_text(v, "gateway") : json_text(v, "gateway_key"));
        cell_set(row[2], json_text(v, "address"));
        cell_set(row[3], strcmp(state, "refused") ? state : json_text(v, "words"));
    }
    table_print(&t);
    if (json_int(doc, "names_total") > (long long)i)
        printf("and %lld more\n", (long long)json_int(doc, "names_total") - (long long)i);
}

void show_gateway(const struct ctl *c, const json_t *doc)
{
    const json_t *server = json_object_get(doc, "server");
    (void)c;
    if (json_is_object(server))
        show_server(server);
    if (json_int(doc, "names_total"))
        show_names(doc);
    else if (!json_is_object(server))
        puts("No gateway: a rule with action = \"gateway\" sends names to one, a section gateway { } makes this host one (man i3.conf).");
}
