/* i3ctl_box.c - i3ctl box, i3ctl alerts: middle-boxes, in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/i3ctl_table.h"

static int64_t count(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void cell_count(char cell[CELL_MAX], int64_t n)
{
    snprintf(cell, CELL_MAX, "%" PRId64, n);
}

static bool show_ways(const json_t *doc)
{
    static const char *const head[] = {"TO", "THROUGH", "STATE", ">MTU", "AS SAID BY"};
    struct table t = {.head = head, .columns = 5};
    const json_t *w, *b;
    size_t i, j;
    json_array_foreach(json_object_get(doc, "ways"), i, w)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        size_t at = 0;
        cell_set(row[0], json_text(w, "to"));
        json_array_foreach(json_object_get(w, "boxes"), j, b)
            at += (size_t)snprintf(row[1] + at, CELL_MAX - at, "%s%.70s", j ? ", " : "", json_string_value(b));
        snprintf(row[2], CELL_MAX, "%s%s%s", json_text(w, "state"), *json_text(w, "why") ? ": " : "", json_text(w, "why"));
        if (count(w, "mtu"))
            cell_count(row[3], count(w, "mtu"));
        else
            cell_set(row[3], "-");
        cell_set(row[4], json_text(w, "said_by"));
    }
    table_print(&t);
    return i > 0;
}

static void show_routes(const json_t *doc)
{
    static const char *const head[] = {"FROM", "TO", "NEXT", "STATE", ">PACKETS IN", ">OUT", ">DROPPED", ">IDLE"};
    struct table t = {.head = head, .columns = 8};
    char piece[PIECE];
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(doc, "routes"), i, r)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(r, "from"));
        cell_set(row[1], json_text(r, "to"));
        cell_set(row[2], json_text(r, "next"));
        snprintf(row[3], CELL_MAX, "%s%s", json_is_true(json_object_get(r, "open")) ? "open" : "opening",
            json_is_true(json_object_get(r, "anonymous")) ? ", anonymous" : "");
        cell_count(row[4], count(r, "packets_in"));
        cell_count(row[5], count(r, "packets_out"));
        cell_count(row[6], count(r, "dropped"));
        cell_set(row[7], seconds_str(count(r, "idle_s"), piece));
    }
    if (i)
        puts("");
    table_print(&t);
}

static void show_taps(const json_t *doc)
{
    static const char *const head[] = {"TAP", "STATE", ">WRITTEN", ">DROPPED"};
    struct table t = {.head = head, .columns = 4};
    const json_t *o;
    size_t i;
    json_array_foreach(json_object_get(doc, "taps"), i, o)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(o, "where"));
        cell_set(row[1], json_text(o, "state"));
        cell_count(row[2], count(o, "written"));
        cell_count(row[3], count(o, "dropped"));
    }
    if (i)
        puts("");
    table_print(&t);
}

void show_box(const struct ctl *c, const json_t *doc)
{
    const json_t *v = json_object_get(doc, "verdicts"), *n = json_object_get(doc, "counters");
    bool is_box = json_is_true(json_object_get(doc, "is_box"));
    (void)c;
    if (is_box)
        printf("This host is a middle-box: %" PRId64 " packets passed, %" PRId64 " dropped, %" PRId64 " %s.\n", count(n, "packets"), count(n, "dropped"),
            count(doc, "routes_now"), count(doc, "routes_now") == 1 ? "route" : "routes");
    if (count(n, "bypassed"))
        printf("%" PRId64 " packets were refused, as they bypassed the boxes.\n", count(n, "bypassed"));
    if (!show_ways(doc) && !is_box)
        puts("no packets go through middle-boxes: `through` in a rule, or `require_through`, in i3.conf(5)");
    show_routes(doc);
    show_taps(doc);
    if (json_is_object(v))
        printf("\nverdicts at %s: %" PRId64 " programs, %s; %" PRId64 " packets wait; asked %" PRId64 ", forwarded %" PRId64 ", dropped %" PRId64
               ", without an answer %" PRId64 "\n",
            json_text(v, "socket"), count(v, "programs"), json_is_true(json_object_get(v, "inline")) ? "one decides" : "none decides", count(v, "waiting"),
            count(v, "asked"), count(v, "forwarded"), count(v, "dropped"), count(v, "unanswered"));
}

void show_alerts(const struct ctl *c, const json_t *doc)
{
    static const char *const head[] = {"WHEN", "BOX", "ABOUT", "WHAT"};
    struct table t = {.head = head, .columns = 4};
    const json_t *a;
    size_t i;
    (void)c;
    json_array_foreach(json_object_get(doc, "alerts"), i, a)
    {
        char (*row)[CELL_MAX] = table_row(&t);
        time_t when = (time_t)(count(a, "time_us") / 1000000);
        struct tm tm;
        localtime_r(&when, &tm);
        strftime(row[0], CELL_MAX, "%Y-%m-%d %H:%M:%S", &tm);
        cell_set(row[1], json_text(a, "box"));
        cell_set(row[2], json_text(a, "about"));
        cell_set(row[3], json_text(a, "text"));
    }
    if (!i)
        puts("no middle-box has reported anything");
    table_print(&t);
}
