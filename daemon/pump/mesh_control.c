/* pump/mesh_control.c - i3ctl mesh: the members of meshes, where they are, and by which way packets go to them. */
#include "daemon/control/mesh_report.h"
#include "daemon/pump/control.h"
#include "daemon/pump/mesh.h"

struct names {
    struct overlay *o;
    char full[IPC_NAME_MAX + 1];
};

static const char *name_of(void *ctx, const uint8_t key[KEY_LEN])
{
    struct names *n = ctx;
    const struct book_entry *e = twin_entry_in(n->o->p, n->o, key);
    if (e)
        overlay_of_entry(n->o->p, e->name, n->full);
    return e ? n->full : NULL;
}

void verb_mesh(struct control_call *k)
{
    struct pump *p = k->p;
    const char *only = k->argc > 1 ? k->argv[1] : NULL;
    char name[ADDR_STR];
    bool any = false, found = false;
    json_t *list = json_array();
    for (struct overlay *o = p->overlays; o; o = o->next) {
        found |= only && !strcmp(o->name, only);
        if (!mesh_of(o) || (only && strcmp(o->name, only)))
            continue;
        struct names n = {.o = o};
        any = true;
        json_array_append_new(list, report_mesh_overlay(mesh_of(o), o->name, o->suffix, o->udp ? addr_str(udp_local(o->udp), name) : NULL, p->now, name_of, &n));
    }
    if (!any) {
        json_decref(list);
        control_fail(k, only && found ? report_error("the overlay %s is not of kind mesh", only) : only ? report_error("there is no overlay %s", only)
            : report_error("there is no mesh: overlay NAME { kind = \"mesh\"  suffix = \".NAME\" } in i3.conf makes one"));
        return;
    }
    control_done(k, report_mesh(list));
}
