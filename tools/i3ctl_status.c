/* i3ctl_status.c - i3ctl status. The first lines answer what somebody asks who has not looked at this before: am I online, who am I,
 * what can others reach here; then what is wrong and what to do; then tables. What only few need is left to -v. */
#include <stdio.h>
#include <string.h>

#include "include/bytes.h"
#include "tools/i3ctl_table.h"

/* Before each line's text. */
#define LABEL "%-11s"

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

/* ---- the first lines ---- */

/* The round trip to the node: as it is watched, else that of the last exchange about a trigger. */
static int64_t node_rtt(const json_t *doc)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(doc, "nodes"), i, e)
        if (json_is_true(json_object_get(e, "in_use")) && json_int(e, "rtt_us"))
            return json_int(e, "rtt_us");
    return json_int(json_array_get(json_object_get(doc, "triggers"), 0), "rtt_us");
}

static void status_online(const json_t *doc)
{
    enum { JUST_STARTED_S = 3 };
    static const struct {
        const char *kind, *words;
    } nat[] = {{"none", ", so no NAT is between"}, {"cone", ", behind a NAT that lets shortcuts through"},
        {"symmetric", ", behind a symmetric NAT, where shortcuts are hard to make"}};
    char buf[PIECE];
    const json_t *node = json_object_get(doc, "node");
    const char *seen = json_text(node, "seen_address"), *tcp_why = json_text(node, "transport_why");
    bool online = json_is_true(json_object_get(node, "reachable")), inside = !json_array_size(json_object_get(doc, "nodes"));
    int64_t rtt = node_rtt(doc), ago = json_int(node, "answered_ms_ago");
    if (inside) {
        printf(LABEL "%swithin this machine only%s: no overlay node is configured\n", "online", ink(INK_WARN), ink(INK_END));
        return;
    }
    if (!online && json_int(doc, "uptime_s") < JUST_STARTED_S) {
        printf(LABEL "%snot yet%s, overlay node %s was asked just now\n", "online", ink(INK_WARN), ink(INK_END), json_text(node, "address"));
        return;
    }
    printf(LABEL "%s%s%s", "online", ink(online ? INK_GOOD : INK_BAD), online ? "yes" : "NO", ink(INK_END));
    printf(", %s overlay node %s", online ? "by" : "not even by", json_text(node, "address"));
    if (!strcmp(json_text(node, "transport"), "tcp"))
        printf(", by TCP%s%s", *tcp_why ? ": " : "", tcp_why);
    if (online && rtt)
        printf(", %s away", micros_str(rtt, buf));
    if (!online && json_is_number(json_object_get(node, "answered_ms_ago")))
        printf(", which answered %s ago", micros_str(ago * 1000 + 1, buf));
    if (*seen) {
        printf("\n" LABEL "it sees you as %s", "", seen);
        for (size_t i = 0; i < ARRAY_LEN(nat); i++)
            if (!strcmp(json_text(node, "nat"), nat[i].kind))
                fputs(nat[i].words, stdout);
    }
    putchar('\n');
}

/* "2 friends": the book without guests, groups and oneself. */
static const char *friends_str(const json_t *doc, char buf[PIECE])
{
    int n = (int)json_int(doc, "friends");
    if (n == 1)
        return strcpy(buf, "your one friend");
    snprintf(buf, PIECE, "your %d friends", n);
    return buf;
}

/* Servers under i3run, which friends reach, and ports that are open to those named alone. */
static void status_reachable(const json_t *doc)
{
    const json_t *list = json_object_get(doc, "listeners"), *ports = json_object_get(doc, "open_ports");
    size_t i, k, n = json_array_size(list);
    json_t *e, *who;
    char friends[PIECE];
    printf(LABEL, "reachable");
    if (!n && !json_array_size(ports))
        printf("nothing here: `i3ctl share PORT` opens a port to one person; `i3run SERVER` starts a server for all friends");
    json_array_foreach(list, i, e)
        printf("%s%s port %d%s", i ? ", " : "", json_text(e, "proto"), (int)json_int(e, "port"),
            json_is_true(json_object_get(e, "overlay_only")) ? " (overlay only)" : "");
    if (n)
        printf(", by %s", json_int(doc, "friends") ? friends_str(doc, friends) : "nobody yet: you have no friends in your book");
    json_array_foreach(ports, i, e)
    {
        printf(i || n ? "\n" LABEL : "%s", "");
        printf("%s port %d, by ", json_text(e, "proto"), (int)json_int(e, "port"));
        json_array_foreach(json_object_get(e, "to"), k, who)
            printf("%s%s", k ? ", " : "", json_string_value(who));
        printf("%s (%s)", k ? "" : "nobody yet", !strcmp(json_text(e, "by"), "share") ? "i3ctl share" : "exposed in i3.conf");
    }
    putchar('\n');
}

static void status_head(const json_t *doc)
{
    char up[PIECE];
    status_online(doc);
    const char *name = json_text(doc, "name"); /* that which the user's own book has */
    printf(LABEL "%s%s%s, %s\n", "you", name, *name ? ", " : "", json_text(doc, "address"), json_text(doc, "address6"));
    printf(LABEL "%s\n", "your key", json_text(doc, "key"));
    status_reachable(doc);
    const json_t *counters = json_object_get(doc, "counters");
    if (json_int(counters, "gateway_serves"))
        printf(LABEL "for others: %lld users so far, %lld flows now (i3ctl gateway)\n", "gateway", (long long)json_int(counters, "gateway_users"),
            (long long)json_int(counters, "gateway_flows"));
    if (json_int(counters, "gateway_names"))
        printf(LABEL "%lld names of yours lead through gateways (i3ctl gateway)\n", json_int(counters, "gateway_serves") ? "" : "gateway",
            (long long)json_int(counters, "gateway_names"));
    printf(LABEL "i3d %s, pid %d, up %s\n", "daemon", json_text(doc, "version"), (int)json_int(doc, "pid"),
        seconds_str(json_int(doc, "uptime_s"), up));
}

static void status_files(const json_t *doc)
{
    const char *sandbox = json_text(doc, "sandbox");
    printf(LABEL "%s\n" LABEL "%s\n" LABEL "%s, udp %s\n", "config", json_text(doc, "config"), "data", json_text(doc, "data"), "socket",
        json_text(doc, "socket"), json_text(doc, "udp"));
    printf(LABEL "%s\n", "sandbox", *sandbox ? sandbox : "none");
}

static void status_warnings(const json_t *doc)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(doc, "warnings"), i, e)
        {
        printf("\n%swarning%s    ", ink(INK_WARN), ink(INK_END));
        text_wrapped(stdout, json_text(e, "text"), 11, 11, out_width());
        printf(LABEL "-> ", "");
        text_wrapped(stdout, json_text(e, "fix"), 14, 14, out_width());
    }
}

/* ---- tables ---- */

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

/* Where there are several. */
static void status_overlays(const json_t *doc)
{
    static const char *const head[] = {"NAMES", "STATE", "NODE", ">KNOWN", ">SESSIONS"};
    const json_t *list = json_object_get(doc, "overlays");
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    if (json_array_size(list) < 2)
        return;
    json_array_foreach(list, i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        bool online = json_is_true(json_object_get(e, "reachable"));
        snprintf(row[0], CELL_MAX, "NAME%.250s", json_text(e, "suffix"));
        bool mesh = !strcmp(json_text(e, "kind"), "mesh");
        cell_set(row[1], !online ? "NOT ONLINE" : mesh ? "mesh" : json_array_size(json_object_get(e, "nodes")) ? "online" : "this machine only");
        cell_set(row[2], json_text(e, "node"));
        if (mesh)
            snprintf(row[2], CELL_MAX, "%d of %d members", (int)json_int(e, "members_up"), (int)json_int(e, "members"));
        snprintf(row[3], CELL_MAX, "%d", (int)json_int(e, "names"));
        snprintf(row[4], CELL_MAX, "%d", (int)json_int(e, "sessions"));
    }
    printf("\noverlays   %zu\n", t.rows);
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
    printf("\ntriggers   %zu, your entries in the overlay%s\n", t.rows, status_triggers_stand(doc) ? ": all standing" : ": NOT STANDING");
    table_print(&t);
}

static void peer_name_cell(char cell[CELL_MAX], const json_t *peer)
{
    if (*json_text(peer, "name"))
        cell_set(cell, json_text(peer, "name"));
    else
        snprintf(cell, CELL_MAX, "%.8s...", json_text(peer, "key"));
}

static const char *peer_state(const json_t *peer)
{
    const char *state = json_text(peer, "state");
    return !strcmp(state, "standing") ? "connected" : !strcmp(state, "handshake") ? "calling" : state;
}

/* Of the way in use, when that is measured. */
static int64_t peer_rtt(const json_t *peer)
{
    return json_is_number(json_object_get(peer, "shortcut_rtt_us")) ? json_int(peer, "shortcut_rtt_us") : json_int(peer, "rtt_us");
}

static void peer_path_cell(char cell[CELL_MAX], const json_t *peer)
{
    const char *shortcut = json_text(peer, "shortcut");
    if (*shortcut)
        snprintf(cell, CELL_MAX, "shortcut to %s", shortcut);
    else
        cell_set(cell, json_text(peer, "path"));
}

static void status_peers(const json_t *doc)
{
    static const char *const head[] = {"NAME", "ADDRESS", "STATE", ">RTT", ">IN", ">OUT", ">IDLE", "HOW"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    json_array_foreach(json_object_get(doc, "peers"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        peer_name_cell(row[0], e);
        cell_set(row[1], json_text(e, "address"));
        cell_set(row[2], peer_state(e));
        cell_set(row[3], micros_str(peer_rtt(e), buf));
        cell_set(row[4], bytes_str(json_int(e, "bytes_in"), buf));
        cell_set(row[5], bytes_str(json_int(e, "bytes_out"), buf));
        cell_set(row[6], seconds_or_dash(e, "idle_s", buf));
        peer_path_cell(row[7], e);
    }
    int friends = (int)json_int(doc, "friends"), guests = (int)json_int(doc, "guests");
    if (!friends && !guests && !t.rows)
        puts("\npeers      you know nobody yet. There: i3ctl share PORT; here: i3ctl join CODE, which it prints. Or: i3ctl book add NAME KEY");
    else if (guests)
        printf("\npeers      %zu seen lately, of %d friend%s and %d guest%s\n", t.rows, friends, friends == 1 ? "" : "s", guests, guests == 1 ? "" : "s");
    else
        printf("\npeers      %zu seen lately, of %d friend%s\n", t.rows, friends, friends == 1 ? "" : "s");
    table_print(&t);
}

/* What sessions are made of. */
static void status_sessions(const json_t *doc)
{
    static const char *const head[] = {"NAME", "CIPHER", ">MTU", ">AGE", ">HANDSHAKES", ">REPLAYS", ">FORGED", "MEMBER"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    json_array_foreach(json_object_get(doc, "peers"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        peer_name_cell(row[0], e);
        cell_set(row[1], json_text(e, "cipher"));
        snprintf(row[2], CELL_MAX, "%d", (int)json_int(e, "mtu"));
        cell_set(row[3], seconds_or_dash(e, "age_s", buf));
        snprintf(row[4], CELL_MAX, "%d", (int)json_int(e, "handshakes"));
        snprintf(row[5], CELL_MAX, "%lld", (long long)json_int(e, "replays"));
        snprintf(row[6], CELL_MAX, "%lld", (long long)json_int(e, "forged"));
        cell_set(row[7], json_text(e, "member"));
    }
    if (t.rows)
        printf("\nsessions\n");
    table_print(&t);
}

static void status_groups(const json_t *doc)
{
    size_t n = json_array_size(json_object_get(doc, "groups"));
    if (!n)
        return;
    printf("\ngroups     %zu\n", n);
    show_groups(doc);
}

static void status_connections(const json_t *doc)
{
    static const char *const head[] = {"NAME", "LOCAL", "REMOTE", "STATE", "ROLE", ">IN", ">OUT", ">RTT", ">REPEATED"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    char buf[PIECE];
    json_array_foreach(json_object_get(doc, "connections"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], json_text(e, "name"));
        cell_set(row[1], json_text(e, "local"));
        cell_set(row[2], json_text(e, "remote"));
        cell_set(row[3], json_text(e, "state"));
        cell_set(row[4], json_text(e, "role"));
        cell_set(row[5], bytes_str(json_int(e, "bytes_in"), buf));
        cell_set(row[6], bytes_str(json_int(e, "bytes_out"), buf));
        cell_set(row[7], micros_str(json_int(e, "srtt_us"), buf));
        snprintf(row[8], CELL_MAX, "%d", (int)json_int(e, "retransmits"));
    }
    int64_t total = json_int(doc, "connections_total");
    if (!total && !t.rows)
        return;
    printf("\nconnections %lld", (long long)(total > (int64_t)t.rows ? total : (int64_t)t.rows));
    if (total > (int64_t)t.rows)
        printf(", the first %zu:", t.rows);
    putchar('\n');
    table_print(&t);
}

void show_status(const struct ctl *c, const json_t *doc)
{
    status_head(doc);
    if (c->verbose)
        status_files(doc);
    status_warnings(doc);
    status_overlays(doc);
    status_nodes(doc);
    status_peers(doc);
    if (json_array_size(json_object_get(doc, "dropped"))) {
        putchar('\n');
        show_dropped(doc);
    }
    status_groups(doc);
    status_connections(doc);
    if (c->verbose) {
        status_sessions(doc);
        status_triggers(doc);
        status_private_ids(doc);
    }
}
