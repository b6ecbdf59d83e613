/* i3ctl_mesh.c - i3ctl mesh: a mesh as a table. */
#include <stdio.h>
#include <string.h>

#include "include/bytes.h"
#include "tools/i3ctl_table.h"

static void path_words(const json_t *m, char cell[CELL_MAX])
{
    const char *path = json_text(m, "path"), *via = json_text(m, "via");
    if (!strcmp(path, "via"))
        snprintf(cell, CELL_MAX, "via %s", *via ? via : "?");
    else
        cell_set(cell, path);
}

static void loss_words(const json_t *o, char cell[CELL_MAX])
{
    const json_t *v = json_object_get(o, "loss_permille");
    if (json_is_integer(v))
        snprintf(cell, CELL_MAX, "%.1f %%", (double)json_integer_value(v) / 10);
    else
        cell_set(cell, "-");
}

/* The member's first row says how it is reached, the others are its further addresses. */
static void member_rows(struct table *t, const json_t *m)
{
    const json_t *spots = json_object_get(m, "addresses");
    size_t n = json_array_size(spots);
    char rtt[PIECE];
    for (size_t i = 0; i < n || !i; i++) {
        const json_t *s = json_array_get(spots, i);
        char(*row)[CELL_MAX] = table_row(t);
        cell_set(row[0], i ? "" : json_text(m, "name"));
        if (!i)
            path_words(m, row[1]);
        micros_str(i || !json_is_integer(json_object_get(m, "rtt_us")) ? 0 : json_int(m, "rtt_us"), rtt);
        cell_set(row[2], i ? "" : rtt);
        cell_set(row[3], json_is_true(json_object_get(s, "in_use")) ? "*" : "");
        cell_set(row[4], s ? json_text(s, "address") : "no address is known");
        cell_set(row[5], !s ? "" : json_is_true(json_object_get(s, "up")) ? "up" : "no answer");
        micros_str(s && json_is_true(json_object_get(s, "up")) ? json_int(s, "rtt_us") : 0, rtt);
        cell_set(row[6], s ? rtt : "");
        loss_words(s, row[7]);
    }
}

static void show_one(const json_t *o)
{
    static const char *const head[] = {"NAME", "PATH", ">RTT", "", "ADDRESS", "STATE", ">RTT", ">LOSS"};
    struct table t = {.head = head, .columns = ARRAY_LEN(head)};
    const json_t *members = json_object_get(o, "members"), *m;
    size_t i;
    printf("%s%s%s  overlay %s  at %s\n", ink(INK_HEAD), json_text(o, "suffix"), ink(INK_END), json_text(o, "name"), json_text(o, "bind"));
    json_array_foreach(members, i, m)
        member_rows(&t, m);
    table_print(&t);
    if (!json_array_size(members))
        printf("it has no members yet\n  -> i3ctl book add NAME%s KEY --at ADDRESS:PORT, and the same with your key over there\n", json_text(o, "suffix"));
}

void show_mesh(const struct ctl *c, const json_t *doc)
{
    size_t i;
    json_t *o;
    (void)c;
    json_array_foreach(json_object_get(doc, "meshes"), i, o)
        show_one(o);
}
