#include "daemon/gateway/vias.h"

#include <string.h>

#include <utlist.h>

#include "daemon/base/crypto.h"

#define ASK_FIRST_US (150 * USEC_PER_MSEC) /* doubled each time */
#define ASK_LAST_US  (2 * USEC_PER_SEC)

struct vias {
    struct via *names, *hosts; /* hashes */
    struct via *order, *asking;
    unsigned n;
    uint32_t serial;
};

struct vias *vias_new(void)
{
    return calloc(1, sizeof(struct vias));
}

void vias_free(struct vias *t)
{
    while (t && t->order)
        via_remove(t, t->order);
    free(t);
}

static bool key_make(struct via_key *k, const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full)
{
    size_t n = strlen(full);
    memset(k, 0, sizeof(*k));
    if (!n || n > GATE_NAME_MAX)
        return false;
    memcpy(k->gateway, gateway, KEY_LEN);
    k->side = mark;
    for (size_t i = 0; i < n; i++)
        k->full[i] = (char)(full[i] >= 'A' && full[i] <= 'Z' ? full[i] + 32 : full[i]);
    return true;
}

struct via *via_find(const struct vias *t, const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full)
{
    struct via_key k;
    struct via *v = NULL;
    if (key_make(&k, gateway, mark, full))
        HASH_FIND(by_name, t->names, &k, sizeof(k), v);
    return v;
}

struct via *via_by_host(const struct vias *t, uint32_t host)
{
    struct via *v;
    HASH_FIND(by_host, t->hosts, &host, sizeof(host), v);
    return v;
}

void via_pseudo(uint8_t out[KEY_LEN], const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full)
{
    static const char label[] = "i3run gateway name v1";
    uint8_t side[4] = {(uint8_t)(mark >> 24), (uint8_t)(mark >> 16), (uint8_t)(mark >> 8), (uint8_t)mark};
    struct via_key k;
    if (!key_make(&k, gateway, mark, full))
        memset(&k, 0, sizeof(k));
    struct bytes v[] = {{(const uint8_t *)label, sizeof(label) - 1}, {gateway, KEY_LEN}, {side, sizeof(side)}, {(const uint8_t *)k.full, strlen(k.full)}};
    blake2s(out, v, sizeof(v) / sizeof(v[0]));
}

/* One of those longest unused, so that another has room. */
static bool make_room(struct vias *t, bool (*busy)(void *ctx, const struct via *v), void (*gone)(void *ctx, struct via *v), void *ctx)
{
    unsigned looked = 0;
    struct via *v;
    if (t->n < VIAS_MAX)
        return true;
    DL_FOREACH(t->order, v) {
        if (looked++ == VIA_BUSY_LOOKS)
            break;
        if (v->state == VIA_ASKING || (busy && busy(ctx, v)))
            continue;
        if (gone)
            gone(ctx, v);
        via_remove(t, v);
        return true;
    }
    return false;
}

struct via *via_add(struct vias *t, const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full, const char *name,
    bool (*busy)(void *ctx, const struct via *v), void (*gone)(void *ctx, struct via *v), void *ctx)
{
    struct via_key k;
    if (!key_make(&k, gateway, mark, full) || !*name || strlen(name) > GATE_NAME_MAX || !make_room(t, busy, gone, ctx))
        return NULL;
    struct via *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    memcpy(&v->key, &k, sizeof(k)); /* with what is between the fields */
    strcpy(v->name, name);
    v->due = v->give_up = v->until = v->used = v->refused_told = MONO_NEVER;
    via_pseudo(v->pseudo, gateway, mark, full);
    HASH_ADD(by_name, t->names, key, sizeof(v->key), v);
    DL_APPEND(t->order, v);
    t->n++;
    return v;
}

void via_place(struct vias *t, struct via *v, uint32_t host, const uint8_t ip6[16])
{
    if (v->host)
        HASH_DELETE(by_host, t->hosts, v);
    v->host = host;
    memcpy(v->ip6, ip6, sizeof(v->ip6));
    if (host)
        HASH_ADD(by_host, t->hosts, host, sizeof(v->host), v);
}

static void leave_asking(struct vias *t, struct via *v)
{
    if (v->state == VIA_ASKING)
        DL_DELETE2(t->asking, v, ask_prev, ask_next);
}

void via_remove(struct vias *t, struct via *v)
{
    leave_asking(t, v);
    HASH_DELETE(by_name, t->names, v);
    if (v->host)
        HASH_DELETE(by_host, t->hosts, v);
    DL_DELETE(t->order, v);
    t->n--;
    free(v);
}

void via_touch(struct vias *t, struct via *v, mono_t now)
{
    v->used = now;
    DL_DELETE(t->order, v);
    DL_APPEND(t->order, v);
}

void via_ask(struct vias *t, struct via *v, mono_t now, uint64_t patience_us)
{
    if (v->state != VIA_ASKING)
        DL_APPEND2(t->asking, v, ask_prev, ask_next);
    v->state = VIA_ASKING;
    v->serial = ++t->serial;
    v->tries = 0;
    v->due = now;
    v->give_up = mono_add(now, patience_us);
}

void via_sent(struct via *v, mono_t now)
{
    uint64_t wait = v->tries < 8 ? ASK_FIRST_US << v->tries : ASK_LAST_US;
    v->tries++;
    v->due = mono_min(mono_add(now, wait < ASK_LAST_US ? wait : ASK_LAST_US), v->give_up);
}

void via_answered(struct vias *t, struct via *v, mono_t now, enum gate_status status, uint8_t families, uint64_t life_us)
{
    leave_asking(t, v);
    v->state = VIA_KNOWN;
    v->answered = true;
    v->status = status;
    v->families = families;
    v->until = mono_add(now, life_us);
    v->due = v->give_up = MONO_NEVER;
}

struct via *via_asking(const struct vias *t, const struct via *v)
{
    return v ? v->ask_next : t->asking;
}

mono_t vias_deadline(const struct vias *t)
{
    mono_t at = MONO_NEVER;
    for (const struct via *v = t->asking; v; v = v->ask_next)
        at = mono_min(at, v->due);
    return at;
}

struct via *via_next(const struct vias *t, const struct via *v)
{
    return v ? v->next : t->order;
}

unsigned vias_count(const struct vias *t)
{
    return t->n;
}
