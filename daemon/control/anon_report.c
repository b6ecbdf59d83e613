/* anon_report.c - anonymous programs, as i3ctl shows them to their user. */
#include "daemon/control/anon_report.h"

#include <arpa/inet.h>

#include "daemon/control/json.h"

/* Without a port. */
static void set_ip(json_t *o, const char *name, const struct addr *a)
{
    char s[INET6_ADDRSTRLEN];
    set_text(o, name, inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, s, sizeof(s)));
}

static json_t *object(const struct report_anonymous *r)
{
    json_t *o = json_object();
    set(o, "program", json_string(r->program));
    set(o, "suffix", json_string(r->suffix));
    set_addr(o, "node", &r->node);
    set_ip(o, "address", &r->address);
    set_ip(o, "address6", &r->address6);
    set(o, "since_s", json_real((double)r->since_us / 1e6));
    set(o, "everything", json_boolean(r->all));
    set(o, "ready", json_boolean(r->ready));
    set(o, "connections_to_daemon", json_integer(r->processes));
    set(o, "hosts", json_integer(r->hosts));
    return o;
}

char *report_anonymous(const struct report_anonymous *rows, unsigned n, unsigned most)
{
    json_t *o = json_object(), *list = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(list, object(&rows[i]));
    set(o, "anonymous", list);
    set(o, "most", json_integer(most));
    return finish(o);
}
