#include "tools/i3ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"
#include "tools/i3ctl_table.h"

/* ---- pieces ---- */

int show_error(const struct ctl *c, int exit, const char *fmt, ...)
{
    char text[CTL_ERR_LEN * 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!c->json) {
        fprintf(stderr, "i3ctl: %s\n", text);
        return exit;
    }
    json_t *doc = json_pack("{s:s}", "error", text);
    show_json(doc, false);
    json_decref(doc);
    return exit;
}

void show_json(const json_t *doc, bool one_line)
{
    json_dumpf(doc, stdout, one_line ? JSON_COMPACT : JSON_INDENT(2));
    putchar('\n');
}

const char *json_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

int64_t json_int(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_real(v) ? (int64_t)json_real_value(v) : json_integer_value(v);
}

/* ---- identity and book ---- */

static void show_rest_of_id(const json_t *doc)
{
    printf("id       %s\naddress  %s\n         %s\n", json_text(doc, "id"), json_text(doc, "address"), json_text(doc, "address6"));
}

void show_id(const struct ctl *c, const json_t *doc)
{
    puts(json_text(doc, "key"));
    if (!c->quiet)
        show_rest_of_id(doc);
}

void show_init(const struct ctl *c, const json_t *doc)
{
    (void)c;
    puts(json_is_true(json_object_get(doc, "created")) ? "Your identity was made."
                                                       : "Your identity stands already.");
    printf("key      %s\n", json_text(doc, "key"));
    show_rest_of_id(doc);
    puts("\nGive the key to those you want to reach, enter theirs, and go:\n"
         "    i3ctl book add NAME KEY\n"
         "    i3run COMMAND     (NAME.i3 is a host name for it)");
}

static void show_entry(const char *what, const json_t *doc)
{
    printf("%s %s, %s, %s\n", what, json_text(doc, "name"), json_text(doc, "address"), json_text(doc, "address6"));
}

void show_book_add(const struct ctl *c, const json_t *doc)
{
    (void)c;
    show_entry(json_is_true(json_object_get(doc, "added")) ? "added" : "already there:", doc);
}

void show_book_rm(const struct ctl *c, const json_t *doc)
{
    const char *name = json_text(doc, "name");
    printf("removed %s\n", *name ? name : c->argv[0]);
}

/* As they stand in the book; nothing for most entries. */
static void entry_options(const json_t *e, char cell[CELL_MAX])
{
    const char *near = json_text(e, "near"), *via = json_text(e, "via");
    snprintf(cell, CELL_MAX, "%s%s%s%s%s%s", json_is_true(json_object_get(e, "multicast")) ? "multicast" : "", *near ? "near=" : "", near,
        *near && *via ? " " : "", *via ? "via=" : "", via);
}

void show_book_ls(const struct ctl *c, const json_t *doc)
{
    static const char *const head[] = {"NAME", "ADDRESS", "KEY", "IPV6 ADDRESS", "OPTIONS"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    (void)c;
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(doc, "entries"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(e, "name"));
        cell_set(row[1], json_text(e, "address"));
        cell_set(row[2], json_text(e, "key"));
        cell_set(row[3], json_text(e, "address6"));
        entry_options(e, row[4]);
    }
    if (!t.rows)
        puts("the book is empty: i3ctl book add NAME KEY");
    table_print(&t);
}

bool show_groups(const json_t *doc)
{
    static const char *const head[] = {"NAME", "KIND", "ADDRESS", "MEMBER", "PLACE", "STATE", ">SESSIONS", ">IN", ">OUT", ">DROPPED"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(doc, "groups"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        bool multicast = !strcmp(json_text(e, "kind"), "multicast");
        cell_set(row[0], json_text(e, "name"));
        cell_set(row[1], json_text(e, "kind"));
        cell_set(row[2], json_text(e, "address"));
        cell_set(row[3], multicast ? "" : json_text(e, "member"));
        cell_set(row[4], json_text(e, "place"));
        cell_set(row[5], json_is_true(json_object_get(e, "standing")) ? "standing" : "NOT STANDING");
        snprintf(row[6], CELL_MAX, multicast ? "-" : "%d", (int)json_int(e, "sessions"));
        snprintf(row[7], CELL_MAX, multicast ? "%lld" : "-", (long long)json_int(e, "datagrams_in"));
        snprintf(row[8], CELL_MAX, multicast ? "%lld" : "-", (long long)json_int(e, "datagrams_out"));
        snprintf(row[9], CELL_MAX, multicast ? "%lld" : "-", (long long)json_int(e, "datagrams_dropped"));
    }
    bool some = t.rows;
    table_print(&t);
    return some;
}

static void status_groups(const json_t *doc)
{
    size_t n = json_array_size(json_object_get(doc, "groups"));
    if (!n)
        return;
    printf("\ngroups     %zu\n", n);
    show_groups(doc);
}

/* ---- ping and stop ---- */

void show_ping(const struct ctl *c, const json_t *doc)
{
    char a[PIECE], b[PIECE], d[PIECE];
    const char *name = c->argv[0];
    if (json_object_get(doc, "sent")) {
        printf("%s (%s): %d sent, %d answered", name, json_text(doc, "address"), (int)json_int(doc, "sent"),
            (int)json_int(doc, "received"));
        if (json_int(doc, "received"))
            printf("; min %s, mean %s, max %s", micros_str(json_int(doc, "min_us"), a),
                micros_str(json_int(doc, "avg_us"), b), micros_str(json_int(doc, "max_us"), d));
        if (*json_text(doc, "path"))
            printf("; path: %s", json_text(doc, "path"));
        if (*json_text(doc, "member"))
            printf("; member %s", json_text(doc, "member"));
        putchar('\n');
    } else if (*json_text(doc, "error")) {
        printf("%s: %d: %s\n", name, (int)json_int(doc, "seq"), json_text(doc, "error"));
    } else {
        printf("%s: %d: %s\n", name, (int)json_int(doc, "seq"), micros_str(json_int(doc, "rtt_us"), a));
    }
}

void show_stop(const struct ctl *c, const json_t *doc)
{
    (void)c;
    (void)doc;
    puts("stopping");
}

/* ---- status ---- */

bool status_triggers_stand(const json_t *status)
{
    const json_t *list = json_object_get(status, "triggers");
    size_t i;
    json_t *e;
    json_array_foreach(list, i, e)
    {
        const char *state = json_text(e, "state");
        if (strcasecmp(state, "standing") && strcasecmp(state, "refreshing"))
            return false;
    }
    return json_array_size(list) > 0;
}

static void status_head(const json_t *doc)
{
    char up[PIECE], ago[PIECE];
    const json_t *node = json_object_get(doc, "node");
    printf("daemon     i3d %s, pid %d, up %s\n", json_text(doc, "version"), (int)json_int(doc, "pid"),
        seconds_str(json_int(doc, "uptime_s"), up));
    printf("key        %s\n", json_text(doc, "key"));
    printf("address    %s, %s\n", json_text(doc, "address"), json_text(doc, "address6"));
    printf("node       %s%s", json_text(node, "address"),
        json_is_true(json_object_get(node, "embedded")) ? " (inside)" : "");
    if (!strcmp(json_text(node, "transport"), "tcp"))
        printf(" by TCP: %s", json_text(node, "transport_why"));
    if (!json_is_true(json_object_get(node, "reachable")))
        printf(", DOES NOT ANSWER");
    if (json_is_number(json_object_get(node, "answered_ms_ago")))
        printf(", answered %s ago", micros_str(json_int(node, "answered_ms_ago") * 1000 + 1, ago));
    if (*json_text(node, "seen_address"))
        printf(", sees us as %s", json_text(node, "seen_address"));
    printf("\nconfig     %s\ndata       %s\nsocket     %s, udp %s\n", json_text(doc, "config"),
        json_text(doc, "data"), json_text(doc, "socket"), json_text(doc, "udp"));
}

/* Where there is something to choose. */
static void status_nodes(const json_t *doc)
{
    static const char *const head[] = {"NODE", "STATE", ">RTT", "", "WHY"};
    const json_t *list = json_object_get(doc, "nodes");
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    if (json_array_size(list) < 2)
        return;
    json_array_foreach(list, i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(e, "address"));
        cell_set(row[1], json_text(e, "state"));
        cell_set(row[2], json_is_number(json_object_get(e, "rtt_us")) ? micros_str(json_int(e, "rtt_us"), buf) : "-");
        cell_set(row[3], json_is_true(json_object_get(e, "in_use")) ? "in use" : "");
        cell_set(row[4], json_text(e, "why"));
    }
    printf("\nnodes      %zu\n", t.rows);
    table_print(&t);
}

static void status_private_ids(const json_t *doc)
{
    const json_t *p = json_object_get(doc, "private_ids");
    char now[PIECE], first[PIECE];
    if (json_int(p, "rtt_us") && json_int(p, "keys") > 4) /* there was a choice */
        printf("\nprivate ids %s away, of %d keys looked at; the first was %s\n", micros_str(json_int(p, "rtt_us"), now),
            (int)json_int(p, "keys") + 1, micros_str(json_int(p, "first_rtt_us"), first));
}

static void status_triggers(const json_t *doc)
{
    static const char *const head[] = {"ID", ">BITS", "STATE", ">EXPIRES", ">REFRESHES", ">RTT", "NODE"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    json_array_foreach(json_object_get(doc, "triggers"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        snprintf(row[0], CELL_MAX, "%.16s", json_text(e, "id"));
        snprintf(row[1], CELL_MAX, "%d", (int)json_int(e, "plen"));
        cell_set(row[2], json_text(e, "state"));
        cell_set(row[3], seconds_or_dash(e, "expires_s", buf));
        snprintf(row[4], CELL_MAX, "%d", (int)json_int(e, "refreshes"));
        cell_set(row[5], micros_str(json_int(e, "rtt_us"), buf));
        cell_set(row[6], json_text(e, "node"));
    }
    printf("\ntriggers   %zu%s\n", t.rows, status_triggers_stand(doc) ? ", all standing" : ", NOT STANDING");
    table_print(&t);
}

static void status_peers(const json_t *doc)
{
    static const char *const head[] = {
        "NAME", "ADDRESS", "STATE", "PATH", "CIPHER", ">RTT", ">IN", ">OUT", ">IDLE"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    json_array_foreach(json_object_get(doc, "peers"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        if (*json_text(e, "name"))
            cell_set(row[0], json_text(e, "name"));
        else
            snprintf(row[0], CELL_MAX, "%.8s...", json_text(e, "key"));
        cell_set(row[1], json_text(e, "address"));
        cell_set(row[2], json_text(e, "state"));
        cell_set(row[3], json_text(e, "path"));
        cell_set(row[4], json_text(e, "cipher"));
        cell_set(row[5], micros_str(json_int(e, "rtt_us"), buf));
        cell_set(row[6], bytes_str(json_int(e, "bytes_in"), buf));
        cell_set(row[7], bytes_str(json_int(e, "bytes_out"), buf));
        cell_set(row[8], seconds_or_dash(e, "idle_s", buf));
    }
    printf("\npeers      %zu\n", t.rows);
    table_print(&t);
}

static void status_connections(const json_t *doc)
{
    static const char *const head[] = {
        "LOCAL", "REMOTE", "NAME", "STATE", "ROLE", ">IN", ">OUT", ">RTT", ">REPEATED"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    json_array_foreach(json_object_get(doc, "connections"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(e, "local"));
        cell_set(row[1], json_text(e, "remote"));
        cell_set(row[2], json_text(e, "name"));
        cell_set(row[3], json_text(e, "state"));
        cell_set(row[4], json_text(e, "role"));
        cell_set(row[5], bytes_str(json_int(e, "bytes_in"), buf));
        cell_set(row[6], bytes_str(json_int(e, "bytes_out"), buf));
        cell_set(row[7], micros_str(json_int(e, "srtt_us"), buf));
        snprintf(row[8], CELL_MAX, "%d", (int)json_int(e, "retransmits"));
    }
    int64_t total = json_int(doc, "connections_total");
    printf("\nconnections %lld", (long long)(total > (int64_t)t.rows ? total : (int64_t)t.rows));
    if (total > (int64_t)t.rows)
        printf(", the first %zu:", t.rows);
    putchar('\n');
    table_print(&t);
}

static void status_listeners(const json_t *doc)
{
    size_t i;
    json_t *e;
    if (json_array_size(json_object_get(doc, "listeners")) == 0)
        return;
    printf("\nlisteners ");
    json_array_foreach(json_object_get(doc, "listeners"), i, e)
        printf(" %s:%d%s", json_text(e, "proto"), (int)json_int(e, "port"),
            json_is_true(json_object_get(e, "overlay_only")) ? " (overlay only)" : "");
    putchar('\n');
}

void show_status(const struct ctl *c, const json_t *doc)
{
    (void)c;
    status_head(doc);
    status_nodes(doc);
    status_private_ids(doc);
    status_triggers(doc);
    status_peers(doc);
    status_groups(doc);
    status_listeners(doc);
    status_connections(doc);
}
