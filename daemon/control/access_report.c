/* access_report.c - who may reach what here, as JSON: the members `friends`, `guests` and `open_ports` of i3ctl status. */
#include "daemon/control/json.h"
#include "daemon/control/report.h"

static const struct book_entry *by_key(const struct report_view *v, const uint8_t *key)
{
    return v->book ? book_find_key(v->book, key) : NULL;
}

/* Names, or keys where the book has none. */
static json_t *people(const struct report_view *v, const struct door *d)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < d->who.n_keys && i < REPORT_ROWS_MAX; i++) {
        char key[KEY_STR_LEN + 1];
        const struct book_entry *e = by_key(v, d->who.keys[i]);
        json_array_append_new(a, json_string(e ? e->name : (key_format(d->who.keys[i], key), key)));
    }
    return a;
}

json_t *open_ports_array(const struct report_view *v)
{
    static const char *const source[ACCESS_SOURCES] = {[ACCESS_EXPOSE] = "expose", [ACCESS_SHARE] = "share"};
    json_t *a = json_array();
    const struct door *d;
    for (unsigned i = 0; v->access && (d = access_at(v->access, i)) && i < REPORT_ROWS_MAX; i++) {
        json_t *o = json_object();
        set_text(o, "proto", d->proto == IPPROTO_UDP ? "udp" : "tcp");
        set(o, "port", json_integer(d->port));
        set_text(o, "by", source[d->source]);
        set_text(o, "label", *d->label ? d->label : NULL);
        set_addr(o, "target", &d->target);
        set(o, "to", people(v, d));
        json_array_append_new(a, o);
    }
    return a;
}

/* The user's own key, which many have in their book, is nobody else's; a multicast group is no person, and a name that was found by hash
 * or DNS is nobody who may come in. */
unsigned report_people_known(const struct report_view *v, bool guests)
{
    unsigned n = 0;
    for (size_t i = 0; i < book_count(v->book); i++) {
        const struct book_entry *e = book_at(v->book, i);
        n += e->guest == guests && !e->multicast && !e->learned && memcmp(e->key, v->key, KEY_LEN) != 0;
    }
    return n;
}
