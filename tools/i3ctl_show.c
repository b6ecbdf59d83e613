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
    show_error_json(text, NULL, exit);
    return exit;
}

/* Where the verb gives one object a line, the error is a line as well. */
void show_error_json(const char *text, const char *usage, int exit)
{
    json_t *doc = json_pack("{s:s s:i}", "error", text, "exit", exit);
    if (usage)
        json_object_set_new(doc, "usage", json_sprintf("i3ctl %s", usage));
    show_json(doc, true);
    json_decref(doc);
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
    printf("fingerprint  %s\nid           %s\naddress      %s\n             %s\n", json_text(doc, "fingerprint"), json_text(doc, "id"),
        json_text(doc, "address"), json_text(doc, "address6"));
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
    printf("key          %s\n", json_text(doc, "key"));
    show_rest_of_id(doc);
    puts("\nWhat next?\n"
         "  reach another machine   type there: i3ctl share 22     and here: i3ctl join CODE, which it prints\n"
         "  let somebody in here    type here:  i3ctl share PORT   and there: i3ctl join CODE\n"
         "  or exchange keys        i3ctl book add NAME KEY        both of you, with the other one's key\n"
         "  then use it             i3run ssh NAME.i3              or any other program");
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
    const char *near = json_text(e, "near"), *via = json_text(e, "via"), *at = json_text(e, "at");
    const char *learned = json_text(e, "learned"), *how = !strcmp(learned, "dns") ? "learned from the DNS" : *learned ? "learned by hash" : "";
    snprintf(cell, CELL_MAX, "%s%s%s%s%s%s%s%s%s%s", json_is_true(json_object_get(e, "multicast")) ? "multicast" : "", *near ? "near=" : "", near,
        *near && *via ? " " : "", *via ? "via=" : "", via,
        *at && (*near || *via) ? " " : "", *at ? "at=" : "", at, how);
}

void show_book_claim(const struct ctl *c, const json_t *doc)
{
    const char *name = json_text(doc, "claimed");
    (void)c;
    if (*name)
        printf("%s is claimed: who asks for it is told your key\n", name);
    else
        printf("%s is claimed no more\n", json_text(doc, "unclaimed"));
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
        puts("your book is empty. i3ctl join CODE takes up what somebody shares with you; i3ctl book add NAME KEY enters a key");
    table_print(&t);
    json_array_foreach(json_object_get(doc, "claims"), i, e)
        printf("%s is claimed by you, for those who look names up by hash\n", json_string_value(e));
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

/* ---- stop ---- */

void show_stop(const struct ctl *c, const json_t *doc)
{
    (void)c;
    (void)doc;
    puts("i3d has ended");
}
