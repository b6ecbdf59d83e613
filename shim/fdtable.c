#include "shim/fdtable.h"

#include "shim/conn.h"

/* A sequence lock: odd while being written. */
static struct slot {
    uint32_t seq;
    struct fd_entry entry;
} slots[FDTABLE_SIZE];

bool fdtable_used(int fd)
{
    return fd >= 0 && __atomic_load_n(&slots[(unsigned)fd % FDTABLE_SIZE].seq, __ATOMIC_RELAXED) != 0;
}

bool fdtable_may_be(int fd, enum fd_kind kind)
{
    return fdtable_used(fd) && __atomic_load_n(&slots[(unsigned)fd % FDTABLE_SIZE].entry.kind, __ATOMIC_RELAXED) == kind;
}

bool fdtable_get(int fd, uint64_t cookie, struct fd_entry *out)
{
    struct slot *s = &slots[(unsigned)fd % FDTABLE_SIZE];
    uint32_t before = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
    if (fd < 0 || !cookie || before == 0 || before & 1)
        return false;
    memcpy(out, &s->entry, sizeof(*out));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&s->seq, __ATOMIC_RELAXED) == before && out->cookie == cookie && out->kind != FD_NONE;
}

void fdtable_put(int fd, const struct fd_entry *e)
{
    struct slot *s = &slots[(unsigned)fd % FDTABLE_SIZE];
    uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_RELAXED);
    if (fd < 0 || !e->cookie || seq & 1 || !conn_owner())
        return;
    if (!__atomic_compare_exchange_n(&s->seq, &seq, seq + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    memcpy(&s->entry, e, sizeof(*e));
    __atomic_store_n(&s->seq, seq + 2, __ATOMIC_RELEASE);
}
