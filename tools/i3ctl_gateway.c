/* i3ctl_gateway.c - i3ctl gateway, in words. */
#include <stdio.h>
#include <string.h>

#include <time.h>
#include <unistd.h>

#include "tools/i3ctl_doctor.h"
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

/* ---- doctor ---- */

enum { TRIES = 12, TRY_MS = 250 };

static bool all_answer(const json_t *doc)
{
    const json_t *list = json_object_get(doc, "gateways"), *g;
    size_t i;
    json_array_foreach(list, i, g) if (json_is_true(json_object_get(g, "in_book")) && !json_is_true(json_object_get(g, "answers"))) return false;
    return true;
}

/* They are asked by the question itself; what they say is there the next time. NULL: the daemon does not answer. */
static json_t *ask_gateways(void)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    json_t *doc = NULL;
    for (int i = 0; i < TRIES && !(doc && all_answer(doc)); i++) {
        struct link_reply r;
        int fd = link_path(path) ? -1 : link_open(path);
        if (i)
            nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000L}, NULL);
        if (fd < 0)
            break;
        int failed = link_call(fd, (const char *[]){"gateway"}, 1, &r);
        close(fd);
        if (failed)
            break;
        json_decref(doc);
        doc = r.doc;
    }
    return doc;
}

void doctor_gateways(struct doctor *d)
{
    json_t *doc = ask_gateways();
    const json_t *list = json_object_get(doc, "gateways"), *g;
    size_t i;
    json_array_foreach(list, i, g)
    {
        const char *name = json_text(g, "name");
        if (!json_is_true(json_object_get(g, "in_book")))
            doctor_say(d, "gateway", FINDING_FAIL, "i3ctl book add NAME KEY, with the gateway's key; or correct `via` in i3.conf",
                "%s is not in your address book", name);
        else if (!json_is_true(json_object_get(g, "session")))
            doctor_say(d, "gateway", FINDING_FAIL, "is its machine on, and its daemon running? Does it have you in `allow`?", "%s does not answer", name);
        else if (!json_is_true(json_object_get(g, "answers")))
            doctor_say(d, "gateway", FINDING_WARN, "its i3d may be too old to be a gateway", "%s is there, and says nothing about being a gateway", name);
        else if (!json_is_true(json_object_get(g, "allowed")))
            doctor_say(d, "gateway", FINDING_FAIL, "its owner has to name you in `allow` of the section gateway: your key is what `i3ctl id` prints",
                "%s does not let you use it as a gateway", name);
        else
            doctor_say(d, "gateway", FINDING_OK, NULL, "%s answers, and lets you through", name);
    }
    json_decref(doc);
}
