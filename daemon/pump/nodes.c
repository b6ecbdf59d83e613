/* pump/nodes.c - the nodes of an overlay: those which i3.conf names, else those of DATA/nodes, which i3ctl and invitations write
 * (policy/node_list.h). They may change while the daemon runs; a home node which stays in the list goes on being used, and what
 * connections there are go on in any case: sessions are bound to ids, not to nodes.
 */
#include "daemon/pump/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/io/files.h"

static const struct format nodes_format = {.kind = "nodes", .version = 1};

static void nodes_path(const struct pump *p, char *path, size_t cap)
{
    snprintf(path, cap, "%s/nodes", p->paths.data);
}

int nodes_load(struct pump *p, char *why, size_t whylen)
{
    char path[sizeof(p->paths.data) + 8], wrong[120];
    struct file_text t;
    unsigned line;
    nodes_path(p, path, sizeof(path));
    int err = file_load(path, &nodes_format, &t, why, whylen);
    if (err)
        return err == -ENOENT ? 0 : err;
    err = node_list_parse(&p->told, t.body, t.body_len, &line, wrong, sizeof(wrong));
    if (err)
        snprintf(why, whylen, "%s:%u: %s; correct it, or remove the file and say `i3ctl nodes add`", path, line + t.lines, wrong);
    file_text_free(&t);
    return err;
}

int nodes_store(struct pump *p, const struct node_list *l)
{
    char path[sizeof(p->paths.data) + 8];
    size_t len;
    char *text = node_list_format(l, &len);
    if (!text)
        return -ENOMEM;
    nodes_path(p, path, sizeof(path));
    int err = file_store(path, &nodes_format, text, len, true);
    free(text);
    return err;
}

/* ---- which ---- */

unsigned nodes_of(const struct pump *p, const char *name, const struct addr *config, unsigned n, struct addr out[CONFIG_NODES_MAX])
{
    if (!n)
        return node_list_of(&p->told, name, out);
    memcpy(out, config, n * sizeof(*config));
    return n;
}

static int nodes_apply(struct overlay *o)
{
    struct addr v[CONFIG_NODES_MAX];
    return o->ring->by_config ? 0 : overlay_set_nodes(o, v, node_list_of(&o->p->told, o->name, v));
}

int nodes_replace(struct overlay *o, const struct node_list *l)
{
    struct pump *p = o->p;
    int err = nodes_store(p, l);
    if (err)
        return err;
    p->told = *l;
    return nodes_apply(o);
}

int nodes_learned(struct overlay *o, const struct addr *addrs, unsigned n)
{
    struct pump *p = o->p;
    struct node_list *l = malloc(sizeof(*l));
    int err = l ? 0 : -ENOMEM;
    unsigned added = 0;
    if (l)
        *l = p->told;
    for (unsigned i = 0; !err && i < n; i++) {
        err = node_list_add(l, o->name, &addrs[i]);
        added += !err;
        err = err == -EEXIST || (err == -ENOSPC && added) ? 0 : err;
    }
    if (!err && added)
        err = nodes_replace(o, l);
    free(l);
    return err;
}

int overlay_nodes_save(struct pump *p, const struct addr *addrs, unsigned n)
{
    return nodes_learned(p->overlays, addrs, n);
}

/* ---- changing them ---- */

bool nodes_any(const struct overlay *o)
{
    return o->ring && o->ring->n_configured;
}

static bool same(const struct overlay *o, const struct addr *v, unsigned n)
{
    bool all = o->ring->n_configured == n;
    for (unsigned i = 0; all && i < n; i++)
        all = addr_eq(&o->ring->configured[i], &v[i]);
    return all;
}

/* The one in use stays in use if it is among them. */
static bool keep_home(struct overlay *o)
{
    struct addr home = addr_by(&o->ring->node_addr, ADDR_UDP);
    for (unsigned i = 0; o->ring->nodes && o->ring->node_addr.family && o->ring->node_addr.via == ADDR_UDP && i < o->ring->n_configured; i++) {
        if (!addr_eq(&o->ring->configured[i], &home))
            continue;
        o->ring->node_index = i;
        nodes_prefer(o->ring->nodes, o->p->now, i);
        return true;
    }
    return false;
}

int overlay_set_nodes(struct overlay *o, const struct addr *v, unsigned n)
{
    struct pump *p = o->p;
    struct nodes *fresh = NULL;
    uint8_t seed[BLAKE2S_LEN];
    if (same(o, v, n))
        return 0;
    drbg_draw(&p->random, seed, sizeof(seed));
    if (n && !(fresh = nodes_new(v, n, p->public_id.b, seed)))
        return -ENOMEM;
    if (n && o->ring->node) { /* it was for want of others */
        node_pump_stop(o->ring->node);
        o->ring->node = NULL;
        o->ring->node_addr.family = 0;
    }
    nodes_free(o->ring->nodes);
    o->ring->nodes = fresh;
    memcpy(o->ring->configured, v, n * sizeof(*v));
    o->ring->n_configured = n;
    int err = overlay_rebind(o);
    err = err ? err : sample_start(o);
    err = err ? err : link_set_nodes(o);
    if (!keep_home(o))
        net_leave_node(o);
    net_choose_node(o);
    move_begin(o);
    log_info("overlay name=%s nodes=%u", *o->name ? o->name : "(first)", n);
    return err;
}
