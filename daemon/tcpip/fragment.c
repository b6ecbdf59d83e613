#include "daemon/tcpip/fragment.h"

#include <stdlib.h>

enum { UNITS = 8192, BODY_MAX = 65535 - IP_HEAD, MORE = 0x2000, OFFSET = 0x1fff };

/* A datagram in pieces. Which of its 8-byte units are there is a bit each. */
struct pieces {
    uint32_t src, dst;
    uint16_t id;
    uint8_t proto;
    uint32_t total; /* of the body, 0: not known yet */
    uint32_t end;   /* of what is there */
    uint32_t units; /* which are there */
    mono_t until;
    uint64_t have[UNITS / 64];
    uint8_t *packet; /* room for the largest; the pages that are not written cost nothing */
};

struct reassembly {
    unsigned n; /* oldest first */
    struct pieces *v[REASSEMBLY_MAX];
    struct pieces *done; /* given out last */
    struct reassembly_stats stats;
};

struct reassembly *reassembly_new(void)
{
    return calloc(1, sizeof(struct reassembly));
}

static void pieces_free(struct pieces *p)
{
    if (p)
        free(p->packet);
    free(p);
}

void reassembly_free(struct reassembly *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->n; i++)
        pieces_free(r->v[i]);
    pieces_free(r->done);
    free(r);
}

static struct pieces *take_out(struct reassembly *r, unsigned i)
{
    struct pieces *p = r->v[i];
    r->n--;
    memmove(&r->v[i], &r->v[i + 1], (r->n - i) * sizeof(r->v[0]));
    return p;
}

/* The oldest of that source when it has its share, else the oldest of all. */
static void make_room(struct reassembly *r, uint32_t src)
{
    unsigned of_source = 0, oldest = r->n;
    for (unsigned i = r->n; i-- > 0;) {
        if (r->v[i]->src == src) {
            of_source++;
            oldest = i;
        }
    }
    if (of_source < REASSEMBLY_SOURCE) {
        if (r->n < REASSEMBLY_MAX)
            return;
        oldest = 0;
    }
    pieces_free(take_out(r, oldest));
    r->stats.evicted++;
}

/* Index of the datagram that the fragment belongs to, made if need be; r->n: out of memory. */
static unsigned find(struct reassembly *r, mono_t now, const uint8_t *packet)
{
    uint32_t src = ip_load32(packet + 12), dst = ip_load32(packet + 16);
    uint16_t id = ip_load16(packet + 4);
    for (unsigned i = 0; i < r->n; i++) {
        const struct pieces *p = r->v[i];
        if (p->src == src && p->dst == dst && p->id == id && p->proto == packet[9])
            return i;
    }
    make_room(r, src);
    struct pieces *p = calloc(1, sizeof(*p));
    if (p)
        p->packet = malloc(IP_HEAD + BODY_MAX);
    if (!p || !p->packet) {
        pieces_free(p);
        return r->n;
    }
    p->src = src;
    p->dst = dst;
    p->id = id;
    p->proto = packet[9];
    p->until = mono_add(now, REASSEMBLY_US);
    r->v[r->n] = p;
    return r->n++;
}

/* How many of the units from `first` to before `end` are there. */
static uint32_t count_units(const struct pieces *p, uint32_t first, uint32_t end)
{
    uint32_t n = 0;
    for (uint32_t i = first; i < end; i++)
        n += p->have[i / 64] >> (i % 64) & 1;
    return n;
}

/* False: it contradicts what is there. */
static bool pieces_add(struct pieces *p, uint32_t at, const uint8_t *body, uint32_t len, bool more)
{
    uint32_t first = at / 8, end = (at + len + 7) / 8, there = count_units(p, first, end);
    if (!more && ((p->total && p->total != at + len) || p->end > at + len))
        return false;
    if (more && p->total && at + len > p->total)
        return false;
    if (there == end - first)
        return more || p->total; /* nothing new; an end that was no end before contradicts */
    if (there)
        return false;
    memcpy(p->packet + IP_HEAD + at, body, len);
    for (uint32_t i = first; i < end; i++)
        p->have[i / 64] |= 1ull << (i % 64);
    p->units += end - first;
    if (at + len > p->end)
        p->end = at + len;
    if (!more)
        p->total = at + len;
    return true;
}

static bool sane(const uint8_t *packet, size_t len, uint32_t *head, uint32_t *at, uint32_t *body, bool *more)
{
    uint16_t flags = ip_load16(packet + 6);
    *head = (packet[0] & 15u) * 4;
    uint32_t total = ip_load16(packet + 2);
    if (*head < IP_HEAD || total <= *head || total > len || ip_fold(ip_sum(packet, *head)) != 0xffff)
        return false;
    *at = (flags & OFFSET) * 8u;
    *body = total - *head;
    *more = flags & MORE;
    return !(*more && *body % 8) && *at + *body <= BODY_MAX;
}

const uint8_t *reassembly_add(struct reassembly *r, mono_t now, const uint8_t *packet, size_t len, size_t *whole)
{
    uint32_t head, at, body;
    bool more;
    r->stats.fragments++;
    pieces_free(r->done);
    r->done = NULL;
    if (!ip_is_fragment(packet, len) || !sane(packet, len, &head, &at, &body, &more)) {
        r->stats.bad++;
        return NULL;
    }
    unsigned i = find(r, now, packet);
    if (i == r->n)
        return NULL;
    struct pieces *p = r->v[i];
    if (!pieces_add(p, at, packet + head, body, more)) {
        pieces_free(take_out(r, i));
        r->stats.bad++;
        return NULL;
    }
    if (!p->total || p->units != (p->total + 7) / 8)
        return NULL;
    r->done = take_out(r, i);
    r->stats.whole++;
    *whole = IP_HEAD + p->total;
    ip_build(p->packet, p->src, p->dst, p->proto, p->id, (uint16_t)*whole);
    return p->packet;
}

void reassembly_expire(struct reassembly *r, mono_t now)
{
    while (r->n && mono_due(r->v[0]->until, now)) {
        pieces_free(take_out(r, 0));
        r->stats.expired++;
    }
}

mono_t reassembly_deadline(const struct reassembly *r)
{
    return r->n ? r->v[0]->until : MONO_NEVER;
}

const struct reassembly_stats *reassembly_stats(const struct reassembly *r)
{
    return &r->stats;
}

void fragment_build(uint8_t out[IP_HEAD], uint32_t src, uint32_t dst, uint8_t proto, uint16_t id, uint16_t offset, uint16_t body,
    bool more)
{
    ip_build(out, src, dst, proto, id, (uint16_t)(IP_HEAD + body));
    ip_store16(out + 6, (uint16_t)(offset / 8 | (more ? MORE : 0)));
    ip_store16(out + 10, 0);
    ip_store_sum(out + 10, ip_sum(out, IP_HEAD));
}
