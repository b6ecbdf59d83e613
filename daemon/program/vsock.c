#include "daemon/program/vsock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "include/bytes.h"

enum { CHUNK = 256, SLOT_BITS = 24 };

/* A slot is used again as late as possible, so that the end of its last user can still be asked for. */
struct slot {
    struct vsock v;
    uint32_t next_free;
    uint64_t last_handle;
    int last_err;
};

struct vsocks {
    uint32_t max, made, count;
    struct slot **chunks;
    uint32_t free_first, free_last; /* FIFO of slots, index + 1, 0: empty */
    struct vsock *first;
    struct vsock *mirrors;
};

static const char *const state_name[] = {"free", "connecting", "open"};
static_assert(ARRAY_LEN(state_name) == VSOCK_STATES, "name all");

const char *vsock_state_name(enum vsock_state state)
{
    return state_name[state];
}

struct vsocks *vsocks_new(uint32_t max)
{
    struct vsocks *vs = calloc(1, sizeof(*vs));
    if (!vs)
        return NULL;
    vs->max = max < 1u << SLOT_BITS ? max : 1u << SLOT_BITS;
    vs->chunks = calloc(vs->max / CHUNK + 1, sizeof(*vs->chunks));
    if (!vs->chunks) {
        free(vs);
        return NULL;
    }
    return vs;
}

void vsocks_free(struct vsocks *vs)
{
    if (!vs)
        return;
    HASH_CLEAR(by_mirror, vs->mirrors);
    for (uint32_t i = 0; i * CHUNK < vs->made; i++)
        free(vs->chunks[i]);
    free(vs->chunks);
    free(vs);
}

static struct slot *slot_at(const struct vsocks *vs, uint32_t i)
{
    return &vs->chunks[i / CHUNK][i % CHUNK];
}

/* Makes a chunk while there is room for one: freed slots then rest longer. */
static struct slot *slot_take(struct vsocks *vs)
{
    if (vs->made < vs->max && (!vs->free_first || vs->made < CHUNK)) {
        if (vs->made % CHUNK == 0 && !(vs->chunks[vs->made / CHUNK] = calloc(CHUNK, sizeof(struct slot))))
            return NULL;
        struct slot *s = slot_at(vs, vs->made);
        s->v.slot = vs->made++;
        return s;
    }
    if (!vs->free_first)
        return NULL;
    struct slot *s = slot_at(vs, vs->free_first - 1);
    vs->free_first = s->next_free;
    if (!vs->free_first)
        vs->free_last = 0;
    return s;
}

static void slot_give(struct vsocks *vs, struct slot *s)
{
    s->next_free = 0;
    if (vs->free_last)
        slot_at(vs, vs->free_last - 1)->next_free = s->v.slot + 1;
    else
        vs->free_first = s->v.slot + 1;
    vs->free_last = s->v.slot + 1;
}

struct vsock *vsock_new(struct vsocks *vs, enum vsock_role role, uint64_t random)
{
    struct slot *s = vs->count < vs->max ? slot_take(vs) : NULL;
    if (!s)
        return NULL;
    uint32_t slot = s->v.slot;
    s->v = (struct vsock){.role = role, .state = VSOCK_CONNECTING, .slot = slot, .handle = random << SLOT_BITS | slot};
    s->v.next = vs->first;
    if (vs->first)
        vs->first->prev = &s->v;
    vs->first = &s->v;
    vs->count++;
    return &s->v;
}

void vsock_free(struct vsocks *vs, struct vsock *v, int err)
{
    struct slot *s = slot_at(vs, v->slot);
    if (v->mirror.peer.family)
        HASH_DELETE(by_mirror, vs->mirrors, v);
    if (v->prev)
        v->prev->next = v->next;
    else
        vs->first = v->next;
    if (v->next)
        v->next->prev = v->prev;
    s->last_handle = v->handle;
    s->last_err = err;
    v->state = VSOCK_FREE;
    vs->count--;
    slot_give(vs, s);
}

void vsock_set_state(struct vsock *v, enum vsock_state state)
{
    log_debug("vsock handle=%016llx state=%s was=%s", (unsigned long long)v->handle, state_name[state],
        state_name[v->state]);
    v->state = state;
}

static struct slot *slot_of_handle(const struct vsocks *vs, uint64_t handle)
{
    uint32_t i = (uint32_t)(handle & ((1u << SLOT_BITS) - 1));
    return i < vs->made ? slot_at(vs, i) : NULL;
}

struct vsock *vsock_by_handle(const struct vsocks *vs, uint64_t handle)
{
    struct slot *s = slot_of_handle(vs, handle);
    return s && s->v.state != VSOCK_FREE && s->v.handle == handle ? &s->v : NULL;
}

int vsock_error(const struct vsocks *vs, uint64_t handle)
{
    const struct slot *s = slot_of_handle(vs, handle);
    return s && s->last_handle == handle ? s->last_err : 0;
}

int vsock_set_mirror(struct vsocks *vs, struct vsock *v, const struct addr *peer, const struct addr *own)
{
    if (vsock_by_mirror(vs, peer, own))
        return -EEXIST;
    v->mirror.peer = *peer;
    v->mirror.own = *own;
    HASH_ADD(by_mirror, vs->mirrors, mirror, sizeof(v->mirror), v);
    return 0;
}

struct vsock *vsock_by_mirror(const struct vsocks *vs, const struct addr *peer, const struct addr *own)
{
    struct addr key[2] = {*peer, *own};
    struct vsock *v;
    HASH_FIND(by_mirror, vs->mirrors, key, sizeof(key), v);
    return v;
}

struct vsock *vsock_next(const struct vsocks *vs, const struct vsock *v)
{
    return v ? v->next : vs->first;
}

uint32_t vsocks_count(const struct vsocks *vs)
{
    return vs->count;
}
