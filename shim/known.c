#include "shim/known.h"

#include "shim/sys.h"

struct entry {
    int64_t until; /* milliseconds */
    struct addr a, a6;
    char name[IPC_NAME_MAX + 1];
};

/* `version` is odd while the entry is written: a reader then has nothing, another writer goes away. */
static struct slot {
    uint32_t version;
    struct entry e;
} slots[KNOWN_MAX];

static struct slot *slot_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return &slots[h % KNOWN_MAX];
}

bool known_get(const char *name, struct addr *a, struct addr *a6)
{
    struct slot *s = slot_of(name);
    uint32_t version = __atomic_load_n(&s->version, __ATOMIC_ACQUIRE);
    struct entry e = s->e;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (version & 1 || version != __atomic_load_n(&s->version, __ATOMIC_RELAXED))
        return false;
    if (e.until <= sys_millis() || strcmp(e.name, name) != 0)
        return false;
    *a = e.a;
    *a6 = e.a6;
    return true;
}

void known_put(const char *name, const struct addr *a, const struct addr *a6)
{
    struct slot *s = slot_of(name);
    uint32_t version = __atomic_load_n(&s->version, __ATOMIC_RELAXED);
    if (strlen(name) > IPC_NAME_MAX || version & 1 ||
        !__atomic_compare_exchange_n(&s->version, &version, version + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    s->e.until = sys_millis() + KNOWN_LIFE_MS;
    s->e.a = *a;
    s->e.a6 = *a6;
    memcpy(s->e.name, name, strlen(name) + 1);
    __atomic_store_n(&s->version, version + 2, __ATOMIC_RELEASE);
}
