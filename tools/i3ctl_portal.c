/* i3ctl_portal.c - i3ctl portal: what is published, and who is led where, in words. */
#include <stdio.h>
#include <string.h>

#include "tools/i3ctl_table.h"

static void joined(const json_t *list, const char *none, char out[CELL_MAX])
{
    size_t i, n = 0;
    const json_t *e;
    snprintf(out, CELL_MAX, "%s", json_array_size(list) ? "" : none);
    json_array_foreach(list, i, e)
    {
        int k = json_is_string(e) ? snprintf(out + n, CELL_MAX - n, "%s%s", i ? ", " : "", json_string_value(e))
                                  : snprintf(out + n, CELL_MAX - n, "%s%lld", i ? ", " : "", (long long)json_integer_value(e));
        if (k < 0 || (size_t)k >= CELL_MAX - n)
            return;
        n += (size_t)k;
    }
}

static void show_listeners(const json_t *doc)
{
    size_t i;
    const json_t *l;
    json_array_foreach(json_object_get(doc, "listeners"), i, l)
    {
        int err = (int)json_int(l, "errno");
        printf("%-8s %s/%s%s%s\n", json_text(l, "kind"), json_text(l, "address"), json_text(l, "proto"), err ? ": NOT LISTENING, " : "",
            err ? strerror(err) : "");
    }
}

static void show_names(const json_t *doc)
{
    static const char *const head[] = {"NAME", "LEADS TO", "PORTS", "FROM", ">CONNECTIONS"};
    struct table t = {.head = head, .columns = 5};
    size_t i;
    const json_t *e;
    json_array_foreach(json_object_get(doc, "names"), i, e)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(e, "name"));
        cell_set(row[1], json_text(e, "to"));
        joined(json_object_get(e, "ports"), "", row[2]);
        joined(json_object_get(e, "from"), "everywhere", row[3]);
        snprintf(row[4], CELL_MAX, "%lld", (long long)json_int(e, "connections"));
    }
    if (!t.rows)
        puts("nothing is published: publish NAME { to = \"NAME.i3\" } in i3.conf");
    table_print(&t);
}

static void show_bound(const json_t *doc)
{
    static const char *const head[] = {"BOUND", "AT", "TO", ">CONNECTIONS", ">IDLE"};
    struct table t = {.head = head, .columns = 5};
    size_t i;
    const json_t *e;
    json_array_foreach(json_object_get(doc, "bound"), i, e)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(e, "source"));
        cell_set(row[1], json_text(e, "waypoint"));
        cell_set(row[2], json_text(e, "name"));
        snprintf(row[3], CELL_MAX, "%lld", (long long)json_int(e, "connections"));
        snprintf(row[4], CELL_MAX, "%lld s", (long long)json_int(e, "idle_s"));
    }
    if (t.rows)
        puts("");
    table_print(&t);
}

void show_portal(const struct ctl *c, const json_t *doc)
{
    const char *key;
    json_t *v;
    bool any = false;
    (void)c;
    printf("zone     %s\n", json_text(doc, "zone"));
    show_listeners(doc);
    puts("");
    show_names(doc);
    show_bound(doc);
    json_object_foreach(json_object_get(doc, "counters"), key, v)
    {
        if (!json_integer_value(v))
            continue;
        printf("%s%s %lld", any ? ", " : "\n", key, (long long)json_integer_value(v));
        any = true;
    }
    if (any)
        puts("");
}
