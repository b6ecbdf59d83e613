#include "daemon/control/mesh_report.h"

#include "daemon/control/json.h"

static json_t *one_spot(const struct mesh_spot_info *s)
{
    json_t *o = json_object();
    set_addr(o, "address", &s->addr);
    set(o, "told", json_boolean(s->told));
    set(o, "up", json_boolean(s->up));
    set(o, "in_use", json_boolean(s->in_use));
    set(o, "rtt_us", s->rtt_us ? json_integer(s->rtt_us) : json_null());
    set(o, "loss_permille", s->heard ? json_integer(s->loss) : json_null());
    set(o, "heard_ms", s->heard ? json_integer((json_int_t)(s->heard_us / USEC_PER_MSEC)) : json_null());
    return o;
}

static json_t *one_member(const struct mesh_info *i, mesh_name_fn *fn, void *ctx)
{
    static const char *const path[] = {[MESH_NONE] = "none", [MESH_DIRECT] = "direct", [MESH_DETOUR] = "via"};
    json_t *o = json_object(), *spots = json_array();
    char key[KEY_STR_LEN + 1];
    key_format(i->key, key);
    set_text(o, "name", fn(ctx, i->key));
    set_text(o, "key", key);
    set_text(o, "path", path[i->kind]);
    set_text(o, "via", i->kind == MESH_DETOUR ? fn(ctx, i->by) : NULL);
    set(o, "rtt_us", i->kind != MESH_NONE ? json_integer(i->rtt_us) : json_null());
    set(o, "loss_permille", i->kind != MESH_NONE ? json_integer(i->loss) : json_null());
    set(o, "since_ms", json_integer((json_int_t)(i->since_us / USEC_PER_MSEC)));
    set(o, "changes", json_integer((json_int_t)i->changes));
    for (unsigned k = 0; k < i->n_spots; k++)
        json_array_append_new(spots, one_spot(&i->spot[k]));
    set(o, "addresses", spots);
    return o;
}

json_t *report_mesh_overlay(struct mesh *m, const char *name, const char *suffix, const char *bind, mono_t now, mesh_name_fn *fn, void *ctx)
{
    json_t *o = json_object(), *members = json_array();
    const struct mesh_stats *s = mesh_stats(m);
    struct mesh_info i;
    for (unsigned k = 0; mesh_info(m, now, k, &i); k++)
        json_array_append_new(members, one_member(&i, fn, ctx));
    set_text(o, "name", name);
    set_text(o, "suffix", suffix);
    set_text(o, "bind", bind);
    set(o, "members", members);
    set(o, "relayed", json_integer((json_int_t)s->relayed));
    set(o, "strangers", json_integer((json_int_t)s->strangers));
    set(o, "forged", json_integer((json_int_t)s->forged));
    set(o, "replayed", json_integer((json_int_t)s->replayed));
    return o;
}

char *report_mesh(json_t *list)
{
    json_t *o = json_object();
    set(o, "meshes", list);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}
