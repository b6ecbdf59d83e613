#include "daemon/naming/mappings.h"

#include "include/bytes.h"

void mapping_put(const struct pool_entry *e, mono_t now, uint64_t wall, uint8_t out[MAPPING_LEN])
{
    struct writer w = writer_of(out, MAPPING_LEN);
    bool always = e->due.us == MONO_NEVER.us;
    put_bytes(&w, e->key, KEY_LEN);
    put_u32(&w, e->ip);
    put_u64(&w, always ? UINT64_MAX : wall + mono_since(now, e->due) + MAPPING_STEP);
}

bool mapping_take(struct pool *p, const uint8_t *body, size_t len, mono_t now, uint64_t wall)
{
    struct reader r = reader_of(body, len);
    const uint8_t *key = get_span(&r, KEY_LEN);
    uint32_t ip = get_u32(&r);
    uint64_t until = get_u64(&r), left = until > wall ? until - wall : 0;
    if (!reader_done(&r))
        return false;
    return pool_restore(p, key, ip, mono_add(now, left < POOL_LIFE ? left : POOL_LIFE)) == 0;
}
