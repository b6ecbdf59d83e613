#include "daemon/gateway/dns_limit.h"

#include <string.h>

void dns_limit_init(struct dns_limit *l, uint64_t seed)
{
    memset(l, 0, sizeof(*l));
    l->seed = seed;
}

/* FNV-1a over the network's bytes, from a secret start, stirred at the end. */
static uint32_t slot_of(const struct dns_limit *l, const struct addr *a)
{
    uint64_t h = l->seed ^ 0xcbf29ce484222325ull;
    unsigned n = a->family == 4 ? 3 : 7;
    h = (h ^ a->family) * 0x100000001b3ull;
    for (unsigned i = 0; i < n; i++)
        h = (h ^ a->ip[i]) * 0x100000001b3ull;
    h = (h ^ h >> 33 ^ l->seed << 7) * 0xff51afd7ed558ccdull;
    return (uint32_t)(h >> 33) % DNS_LIMIT_SLOTS;
}

enum dns_limit_verdict dns_limit_ask(struct dns_limit *l, mono_t now, const struct addr *source)
{
    struct dns_limit_slot *s = &l->slot[slot_of(l, source)];
    uint64_t passed = s->used ? mono_since(s->at, now) : DNS_LIMIT_BURST * 1000000ull;
    uint64_t tokens = s->tokens + (passed > DNS_LIMIT_BURST * 1000000ull ? DNS_LIMIT_BURST * 1000ull : passed * DNS_LIMIT_RATE / 1000);
    s->used = true;
    if (passed * DNS_LIMIT_RATE >= 1000) /* what is too short to count is counted with the next */
        s->at = now;
    s->tokens = (uint32_t)(tokens > DNS_LIMIT_BURST * 1000 ? DNS_LIMIT_BURST * 1000 : tokens);
    if (s->tokens >= 1000) {
        s->tokens -= 1000;
        return DNS_LIMIT_ANSWER;
    }
    s->slipped = !s->slipped;
    return s->slipped ? DNS_LIMIT_SLIP : DNS_LIMIT_DROP;
}
