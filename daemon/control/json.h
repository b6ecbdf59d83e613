/* json.h - the members that both reports, the daemon's and the node's, are made of. Nobody else includes this. */
#ifndef I3_CONTROL_JSON_H
#define I3_CONTROL_JSON_H

#include <jansson.h>

#include "include/addr.h"

/* The text, the caller's to free, and the end of `o`; NULL when out of memory. */
static inline char *finish(json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(o);
    return text;
}

static inline void set(json_t *o, const char *name, json_t *value)
{
    json_object_set_new(o, name, value);
}

static inline void set_text(json_t *o, const char *name, const char *value)
{
    set(o, name, value ? json_string(value) : json_null());
}

struct report_view;
json_t *dropped_array(const struct report_view *v); /* drop_report.c */
json_t *open_ports_array(const struct report_view *v); /* access_report.c */
/* How many are friends, or guests, of this user. */
unsigned report_people_known(const struct report_view *v, bool guests);

static inline void set_addr(json_t *o, const char *name, const struct addr *a)
{
    char s[ADDR_STR];
    set_text(o, name, a && a->family ? addr_str(a, s) : NULL);
}

#endif
