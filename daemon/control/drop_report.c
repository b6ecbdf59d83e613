/* drop_report.c - who is dropped, as JSON: the list `dropped` of i3ctl status, and what i3ctl drop answers. */
#include "daemon/control/json.h"
#include "daemon/control/report.h"

static json_t *drop_object(const struct report_view *v, const struct drop *d)
{
    json_t *o = json_object();
    char key[KEY_STR_LEN + 1];
    const struct book_entry *e = book_find_key(v->book, d->key);
    key_format(d->key, key);
    set_text(o, "name", e ? e->name : NULL);
    set_text(o, "key", key);
    set_text(o, "why", drop_why_name(d->why));
    set(o, "seconds_left", d->until_s ? json_integer((json_int_t)(d->until_s > v->wall_s ? d->until_s - v->wall_s : 0)) : json_null());
    return o;
}

json_t *dropped_array(const struct report_view *v)
{
    json_t *a = json_array();
    for (unsigned i = 0; v->drops && i < v->drops->n && i < REPORT_ROWS_MAX; i++)
        json_array_append_new(a, drop_object(v, &v->drops->v[i]));
    return a;
}

char *report_dropped(const struct report_view *v, const uint8_t *key)
{
    const struct drop *d = key ? drops_find(v->drops, key) : NULL;
    json_t *o = d ? drop_object(v, d) : json_object();
    if (!key)
        set(o, "dropped", dropped_array(v));
    return finish(o);
}
