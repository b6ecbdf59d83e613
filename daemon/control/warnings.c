#include "daemon/control/warnings.h"

#include <stdarg.h>
#include <stdio.h>

#include "daemon/control/json.h"
#include "daemon/control/overlay_report.h"

enum { TEXT_MAX = 400, JUST_STARTED_US = 3000000 };

static void warn(json_t *list, const char *code, const char *fix, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void warn(json_t *list, const char *code, const char *fix, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_t *o = json_object();
    set_text(o, "code", code);
    set_text(o, "text", text);
    set_text(o, "fix", fix);
    json_array_append_new(list, o);
}

static void about_node(json_t *list, const struct report_view *v)
{
    struct addr plain = addr_by(&v->node, ADDR_UDP);
    char a[ADDR_STR];
    if (!triggers_all_standing(v->triggers) && mono_since(v->started, v->now) > JUST_STARTED_US)
        warn(list, "offline", "see that this machine is online; i3ctl doctor tries every node",
            "the overlay node %s does not answer: nobody can reach you", addr_str(&plain, a));
    else if (v->transport_why && !strcmp(v->transport, "tcp"))
        warn(list, "udp_blocked", "let UDP to that node pass the firewall; until then all works, but slower",
            "the overlay node is reached by TCP: %s", v->transport_why);
    if (!v->nodes)
        warn(list, "no_node", "i3ctl join CODE, with an invitation; or i3ctl nodes add HOST:PORT, where others of yours run i3node",
            "no overlay node is configured: only users of this very machine can be reached");
}

/* The overlays behind the first. */
static void about_overlay(json_t *list, const struct report_overlay *o, bool just_started)
{
    char fix[160], a[ADDR_STR];
    struct addr plain = addr_by(&o->node, ADDR_UDP);
    if (o->mesh) {
        if (!o->mesh->members) {
            snprintf(fix, sizeof(fix), "i3ctl book add NAME%s KEY --at ADDRESS:PORT", o->suffix);
            warn(list, "mesh_empty", fix, "the book has nobody for the overlay %s, which is a mesh", o->name);
        } else if (!just_started && !o->mesh->up) {
            snprintf(fix, sizeof(fix), "i3ctl mesh; or see that this machine is online");
            warn(list, "mesh_offline", fix, "no member of the overlay %s answers: names that end with %s cannot be reached", o->name, o->suffix);
        }
    } else if (!o->nodes) {
        snprintf(fix, sizeof(fix), "i3ctl nodes add --overlay %s HOST:PORT", o->name);
        warn(list, "overlay_no_node", fix, "the overlay %s has no node: names that end with %s cannot be reached", o->name, o->suffix);
    } else if (!just_started && !triggers_all_standing(o->triggers)) {
        snprintf(fix, sizeof(fix), "i3ctl nodes list --overlay %s; or see that this machine is online", o->name);
        warn(list, "overlay_offline", fix, "the node %s of the overlay %s does not answer: names that end with %s cannot be reached, nor you by them",
            addr_str(&plain, a), o->name, o->suffix);
    }
}

json_t *warnings_array(const struct report_view *v)
{
    json_t *list = json_array();
    if (v->config_wrong)
        warn(list, "config_refused", "correct that line, then i3ctl reload", "i3.conf as it is now is not in force: %s", v->config_wrong);
    if (v->portal_wrong)
        warn(list, "portal_shut", "see i3ctl portal; ports below 1024 need a redirect, addresses must be this machine's; then i3ctl reload",
            "the portal does not listen everywhere: %s", v->portal_wrong);
    if (v->state_wrong)
        warn(list, "state_not_saved", "make room on that disk; it is tried again by itself", "what is learned cannot be kept: %s",
            v->state_wrong);
    if (!v->keys_locked)
        warn(list, "keys_not_locked", "allow more: LimitMEMLOCK= of i3d.service, or 'memlock' in /etc/security/limits.conf; encrypted swap, or none, "
            "does as well", "not all keys can be kept out of the swap");
    about_node(list, v);
    for (unsigned i = 1; i < v->n_overlays; i++)
        about_overlay(list, &v->overlays[i], mono_since(v->started, v->now) <= JUST_STARTED_US);
    return list;
}
