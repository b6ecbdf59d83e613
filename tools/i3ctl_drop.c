/* i3ctl_drop.c - i3ctl drop, undrop: who is dropped, in words. */
#include <stdio.h>
#include <string.h>

#include "tools/i3ctl_table.h"

static void how_long(const json_t *d, char out[CELL_MAX])
{
    char left[PIECE];
    const json_t *s = json_object_get(d, "seconds_left");
    if (json_is_integer(s))
        snprintf(out, CELL_MAX, "for %s more", seconds_str(json_integer_value(s), left));
    else
        snprintf(out, CELL_MAX, "until `i3ctl undrop`");
}

/* The rows, or nothing. */
bool show_dropped(const json_t *doc)
{
    static const char *const head[] = {"DROPPED", "WHY", "HOW LONG"};
    struct table t = {.head = head, .columns = 3};
    const json_t *list = json_object_get(doc, "dropped"), *d;
    size_t i;
    json_array_foreach(list, i, d)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], *json_text(d, "name") ? json_text(d, "name") : json_text(d, "key"));
        cell_set(row[1], !strcmp(json_text(d, "why"), "misuse") ? "it went on sending what it may not" : "you said so");
        how_long(d, row[2]);
    }
    table_print(&t);
    return i > 0;
}

void show_drop(const struct ctl *c, const json_t *doc)
{
    char how[CELL_MAX];
    if (c->argc) {
        how_long(doc, how);
        printf("%s is dropped %s: its connections are reset, and what it sends ends at the overlay node.\n", json_text(doc, "name"), how);
        printf("It stays in your book; `i3ctl undrop %s` lets it in again.\n", json_text(doc, "name"));
    } else if (!show_dropped(doc)) {
        puts("nobody is dropped: i3ctl drop NAME");
    }
}

void show_undrop(const struct ctl *c, const json_t *doc)
{
    (void)c;
    printf("%s is let in again.\n", json_text(doc, "undropped"));
}
