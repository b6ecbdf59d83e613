/* i3ctl_anonymous.c - i3ctl anonymous: which programs are, in words. */
#include <stdio.h>

#include "tools/i3ctl_table.h"

void show_anonymous(const struct ctl *c, const json_t *doc)
{
    static const char *const head[] = {"PROGRAM", "WHAT", "ADDRESS", "NODE", "HOSTS", "SINCE"};
    struct table t = {.head = head, .columns = 6};
    const json_t *a;
    size_t i;
    (void)c;
    json_array_foreach(json_object_get(doc, "anonymous"), i, a)
    {
        char(*row)[CELL_MAX] = table_row(&t), since[PIECE];
        cell_set(row[0], json_text(a, "program"));
        cell_set(row[1], json_is_true(json_object_get(a, "everything")) ? "everything" : "as rules say");
        cell_set(row[2], json_text(a, "address"));
        cell_set(row[3], json_is_true(json_object_get(a, "ready")) ? json_text(a, "node") : "none answers yet");
        snprintf(row[4], CELL_MAX, "%d", (int)json_int(a, "hosts"));
        snprintf(row[5], CELL_MAX, "%s ago", seconds_str((json_int_t)json_real_value(json_object_get(a, "since_s")), since));
    }
    if (t.rows)
        table_print(&t);
    else
        puts("no program is anonymous now: i3run --anonymous COMMAND");
}
