#include "daemon/tcpip/fragment.h"

#include <stdlib.h>

enum { UNITS = 8192, BODY_MAX = 65535 - IP6_HEAD, BODY_MAX4 = 65535 - IP_HEAD, MORE = 0x2000, OFFSET = 0x1fff };

/* What names the datagram that a piece is of. */
struct name {
    uint8_t addresses[2 * IP6_ADDRESS]; /* the rest zeros in IPv4 */
    uint32_t id;
    uint8_t version, proto, zeros[2];
};

/* A piece as its header has it. */
struct piece {
    struct name name;
    const uint8_t *body;
    uint32_t at, len;
    bool more;
};

/* A datagram in pieces. Which of its 8-byte units are there is a bit each. */
struct pieces {
    struct name name;
    uint32_t total; /* of the body, 0: not known yet */
    uint32_t end;   /* of what is there */
    uint32_t units; /* which are there */
    mono_t until;
    uint64_t have[UNITS / 64];
    uint8_t *body; /* behind room for a header, and room for the largest; pages that are not written cost nothing */
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
    if (p && p->body)
        free(p->body - IP6_HEAD);
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
static void make_room(struct reassembly *r, const struct name *name)
{
    unsigned of_source = 0, oldest = r->n;
    for (unsigned i = r->n; i-- > 0;) {
        if (r->v[i]->name.version == name->version && !memcmp(r->v[i]->name.addresses, name->addresses, IP6_ADDRESS)) {
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

/* Index of the datagram that the piece belongs to, made if need be; r->n: out of memory. */
static unsigned find(struct reassembly *r, mono_t now, const struct name *name)
{
    for (unsigned i = 0; i < r->n; i++)
        if (!memcmp(&r->v[i]->name, name, sizeof(*name)))
            return i;
    make_room(r, name);
    struct pieces *p = calloc(1, sizeof(*p));
    uint8_t *room = p ? malloc(IP6_HEAD + BODY_MAX4) : NULL;
    if (!room) {
        free(p);
        return r->n;
    }
    p->name = *name;
    p->body = room + IP6_HEAD;
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
static bool pieces_add(struct pieces *p, const struct piece *f)
{
    uint32_t at = f->at, len = f->len;
    bool more = f->more;
    uint32_t first = at / 8, end = (at + len + 7) / 8, there = count_units(p, first, end);
    if (!more && ((p->total && p->total != at + len) || p->end > at + len))
        return false;
    if (more && p->total && at + len > p->total)
        return false;
    if (there == end - first)
        return more || p->total; /* nothing new; an end that was no end before contradicts */
    if (there)
        return false;
    memcpy(p->body + at, f->body, len);
    for (uint32_t i = first; i < end; i++)
        p->have[i / 64] |= 1ull << (i % 64);
    p->units += end - first;
    if (at + len > p->end)
        p->end = at + len;
    if (!more)
        p->total = at + len;
    return true;
}

static bool read4(const uint8_t *packet, size_t len, struct piece *f)
{
    uint32_t head = (packet[0] & 15u) * 4, total = ip_load16(packet + 2);
    uint16_t flags = ip_load16(packet + 6);
    if (head < IP_HEAD || total <= head || total > len || ip_fold(ip_sum(packet, head)) != 0xffff)
        return false;
    memcpy(f->name.addresses, packet + 12, 4);
    memcpy(f->name.addresses + IP6_ADDRESS, packet + 16, 4);
    f->name.id = ip_load16(packet + 4);
    f->name.proto = packet[9];
    f->at = (flags & OFFSET) * 8u;
    f->more = flags & MORE;
    f->body = packet + head;
    f->len = total - head;
    return f->at + f->len <= BODY_MAX4;
}

static bool read6(const uint8_t *packet, size_t len, struct piece *f)
{
    const uint8_t *own = packet + IP6_HEAD;
    uint32_t total = ip_load16(packet + 4);
    if (total <= FRAGMENT_HEAD6 || IP6_HEAD + total > len)
        return false;
    memcpy(f->name.addresses, packet + IP6_SRC, 2 * IP6_ADDRESS);
    f->name.id = ip_load32(own + 4);
    f->name.proto = own[0];
    f->at = ip_load16(own + 2) & 0xfff8u;
    f->more = own[3] & 1;
    f->body = own + FRAGMENT_HEAD6;
    f->len = total - FRAGMENT_HEAD6;
    return f->at + f->len <= BODY_MAX;
}

static bool read_piece(const uint8_t *packet, size_t len, struct piece *f)
{
    memset(f, 0, sizeof(*f));
    if (!ip_is_fragment(packet, len))
        return false;
    f->name.version = packet[0] >> 4;
    return (f->name.version == 6 ? read6 : read4)(packet, len, f) && !(f->more && f->len % 8);
}

/* The header before a body which is complete. */
static const uint8_t *finish(struct pieces *p, size_t *whole)
{
    const struct name *n = &p->name;
    uint8_t template[IP6_HEAD];
    if (n->version == 6) {
        ip6_template(template, n->addresses, n->addresses + IP6_ADDRESS, 0);
        ip6_build(p->body - IP6_HEAD, template, n->proto, (uint16_t)p->total);
        *whole = IP6_HEAD + p->total;
    } else {
        *whole = IP_HEAD + p->total;
        ip_build(p->body - IP_HEAD, ip_load32(n->addresses), ip_load32(n->addresses + IP6_ADDRESS), n->proto, (uint16_t)n->id,
            (uint16_t)*whole);
    }
    return p->body - (*whole - p->total);
}

const uint8_t *reassembly_add(struct reassembly *r, mono_t now, const uint8_t *packet, size_t len, size_t *whole)
{
    struct piece f;
    r->stats.fragments++;
    pieces_free(r->done);
    r->done = NULL;
    if (!read_piece(packet, len, &f)) {
        r->stats.bad++;
        return NULL;
    }
    unsigned i = find(r, now, &f.name);
    if (i == r->n)
        return NULL;
    struct pieces *p = r->v[i];
    if (!pieces_add(p, &f)) {
        pieces_free(take_out(r, i));
        r->stats.bad++;
        return NULL;
    }
    if (!p->total || p->units != (p->total + 7) / 8)
        return NULL;
    r->done = take_out(r, i);
    r->stats.whole++;
    return finish(p, whole);
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

size_t fragment_build(uint8_t out[FRAGMENT_HEADS_MAX], const uint8_t *whole, uint16_t id, uint16_t offset, uint16_t body, bool more)
{
    if (whole[0] >> 4 == 6) {
        uint8_t *own = out + IP6_HEAD;
        ip6_build(out, whole, IP6_FRAGMENT, (uint16_t)(FRAGMENT_HEAD6 + body));
        ip_store32(own, (uint32_t)whole[6] << 24 | offset | (more ? 1 : 0));
        ip_store32(own + 4, id);
        return IP6_HEAD + FRAGMENT_HEAD6;
    }
    ip_build(out, ip_load32(whole + 12), ip_load32(whole + 16), whole[9], id, (uint16_t)(IP_HEAD + body));
    ip_store16(out + 6, (uint16_t)(offset / 8 | (more ? MORE : 0)));
    ip_store16(out + 10, 0);
    ip_store_sum(out + 10, ip_sum(out, IP_HEAD));
    return IP_HEAD;
}
