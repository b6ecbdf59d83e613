#include "daemon/middlebox/show.h"

#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

enum {
    IP4_LEN = 20, IP6_LEN = 40, V4_SRC = 12, V6_SRC = 8, PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_FRAGMENT = 44, PROTO_ICMP6 = 58,
    FIRST_HOST = 0x0a400000, /* 10.64.0.0, and up to the end of 10.0.0.0/8 */
    HOSTS_WRAP = 0x00bffff0,
};

struct who {
    uint32_t serial;
    uint8_t v6, zero[3];
    uint8_t addr[16]; /* zeros: the anonymous one */
};

struct host {
    struct who who;
    uint32_t number;
    struct host *newer, *older;
    UT_hash_handle hh;
};

struct shows {
    struct host *by_who, *newest, *oldest;
    uint32_t number;
};

struct shows *shows_new(void)
{
    return calloc(1, sizeof(struct shows));
}

static void unlink_host(struct shows *t, struct host *h)
{
    *(h->newer ? &h->newer->older : &t->newest) = h->older;
    *(h->older ? &h->older->newer : &t->oldest) = h->newer;
}

static void link_newest(struct shows *t, struct host *h)
{
    h->newer = NULL;
    h->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = h;
    t->newest = h;
}

static void host_remove(struct shows *t, struct host *h)
{
    HASH_DELETE(hh, t->by_who, h);
    unlink_host(t, h);
    free(h);
}

void shows_free(struct shows *t)
{
    while (t && t->newest)
        host_remove(t, t->newest);
    free(t);
}

void shows_forget(struct shows *t, uint32_t serial)
{
    for (struct host *h = t->newest, *next; h; h = next) {
        next = h->older;
        if (h->who.serial == serial)
            host_remove(t, h);
    }
}

/* addr NULL: the route's anonymous end. */
static struct host *host_of(struct shows *t, uint32_t serial, bool v6, const uint8_t *addr)
{
    struct who who = {.serial = serial, .v6 = v6};
    struct host *h;
    if (addr)
        memcpy(who.addr, addr, v6 ? 16 : 4);
    HASH_FIND(hh, t->by_who, &who, sizeof(who), h);
    if (h) {
        unlink_host(t, h);
        link_newest(t, h);
        return h;
    }
    if (HASH_COUNT(t->by_who) >= SHOW_HOSTS)
        host_remove(t, t->oldest);
    if (!(h = calloc(1, sizeof(*h))))
        return NULL;
    h->who = who;
    h->number = 1 + t->number++ % HOSTS_WRAP;
    HASH_ADD(hh, t->by_who, who, sizeof(h->who), h);
    link_newest(t, h);
    return h;
}

/* ---- checksums: sums in memory order, as everywhere (RFC 1071) ---- */

static uint32_t sum_of(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    return len & 1 ? sum + (uint32_t)(p[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* RFC 1624: what the checksum covers went from `old` to `new`. */
static void mend(uint8_t *at, uint16_t old, uint16_t new)
{
    uint32_t sum = (uint16_t)~(at[0] << 8 | at[1]);
    sum += (uint16_t)~old + (uint32_t)new;
    uint16_t v = (uint16_t)~fold(sum);
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* ---- addresses ---- */

static bool rename_host(struct shows *t, uint32_t serial, bool v6, bool anonymous, uint8_t *at)
{
    const struct host *h = host_of(t, serial, v6, anonymous ? NULL : at);
    if (!h)
        return false;
    uint32_t ip = v6 ? h->number : FIRST_HOST + h->number;
    if (v6)
        memcpy(at, (const uint8_t[12]){0xfd, 0x69, 0x33, 0x74}, 12);
    for (unsigned i = 0; i < 4; i++)
        at[(v6 ? 12 : 0) + i] = (uint8_t)(ip >> (24 - 8 * i));
    return true;
}

/* Where the upper layer's checksum is, which covers the addresses; 0: there is none. */
static size_t upper_sum(uint8_t proto, const uint8_t *body, size_t len)
{
    if (proto == PROTO_TCP && len >= 20)
        return 16;
    if (proto == PROTO_UDP && len >= 8 && (body[6] || body[7]))
        return 6;
    return proto == PROTO_ICMP6 && len >= 4 ? 2 : 0;
}

struct layout {
    bool v6, later; /* not the first fragment */
    bool whole;     /* no fragment at all */
    uint8_t proto;
    size_t head, addrs, addr_len, len;
};

/* cut: only its beginning is there. */
static bool lay_out(const uint8_t *p, size_t len, bool cut, struct layout *l)
{
    *l = (struct layout){.v6 = len && p[0] >> 4 == 6, .whole = true};
    if (l->v6 ? len < IP6_LEN : len < IP4_LEN || p[0] >> 4 != 4)
        return false;
    l->head = l->v6 ? IP6_LEN : (p[0] & 15u) * 4;
    l->addrs = l->v6 ? V6_SRC : V4_SRC;
    l->addr_len = l->v6 ? 16 : 4;
    l->len = l->v6 ? IP6_LEN + (size_t)(p[4] << 8 | p[5]) : (size_t)(p[2] << 8 | p[3]);
    l->proto = l->v6 ? p[6] : p[9];
    if (!l->v6) {
        l->later = p[6] & 0x1f || p[7];
        l->whole = !l->later && !(p[6] & 0x20);
    } else if (l->proto == PROTO_FRAGMENT && len >= IP6_LEN + 8) {
        l->later = p[42] || p[43] & 0xf8;
        l->whole = false;
        l->proto = p[40];
        l->head += 8;
    }
    if (cut && l->len > len)
        l->len = len;
    return l->head >= IP4_LEN && l->head <= l->len && l->len <= len;
}

static bool is_error(const struct layout *l, uint8_t type)
{
    return l->v6 ? l->proto == PROTO_ICMP6 && type < 128 : l->proto == PROTO_ICMP && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

static bool synthesise(struct shows *t, uint32_t serial, enum show_anonymous anonymous, uint8_t *p, size_t len, bool quoted);

/* An error quotes the packet that it is about, which went the other way, mostly cut: with the same names. */
static bool synthesise_error(struct shows *t, uint32_t serial, enum show_anonymous anonymous, const struct layout *l, uint8_t *p)
{
    static const enum show_anonymous turned[] = {[SHOW_NOBODY] = SHOW_NOBODY, [SHOW_SENDER] = SHOW_RECEIVER, [SHOW_RECEIVER] = SHOW_SENDER};
    uint8_t *icmp = p + l->head;
    size_t len = l->len - l->head;
    uint16_t before = fold(sum_of(icmp + 8, len - 8));
    if (!synthesise(t, serial, turned[anonymous], icmp + 8, len - 8, true))
        return false;
    mend(icmp + 2, before, fold(sum_of(icmp + 8, len - 8)));
    return true;
}

static bool synthesise(struct shows *t, uint32_t serial, enum show_anonymous anonymous, uint8_t *p, size_t len, bool quoted)
{
    struct layout l;
    if (!lay_out(p, len, quoted, &l))
        return false;
    uint16_t old = fold(sum_of(p + l.addrs, 2 * l.addr_len));
    if (!rename_host(t, serial, l.v6, anonymous == SHOW_SENDER, p + l.addrs) ||
        !rename_host(t, serial, l.v6, anonymous == SHOW_RECEIVER, p + l.addrs + l.addr_len))
        return false;
    uint16_t new = fold(sum_of(p + l.addrs, 2 * l.addr_len));
    if (!l.v6)
        mend(p + 10, old, new);
    if (l.later)
        return true;
    size_t body = l.len - l.head, at = upper_sum(l.proto, p + l.head, body);
    if (at)
        mend(p + l.head + at, old, new);
    if (!quoted && l.whole && body > 8 && is_error(&l, p[l.head]))
        return synthesise_error(t, serial, anonymous, &l, p);
    return true;
}

bool show_synthesised(struct shows *t, uint32_t serial, enum show_anonymous anonymous, uint8_t *packet, size_t len)
{
    return synthesise(t, serial, anonymous, packet, len, false);
}

/* ---- flows ---- */

bool flow_of(uint32_t serial, const uint8_t *packet, size_t len, struct flow_key *out)
{
    struct layout l;
    if (!lay_out(packet, len, false, &l))
        return false;
    *out = (struct flow_key){.serial = serial, .proto = l.proto, .v6 = l.v6};
    memcpy(out->addr[0], packet + l.addrs, l.addr_len);
    memcpy(out->addr[1], packet + l.addrs + l.addr_len, l.addr_len);
    if (l.whole && (l.proto == PROTO_TCP || l.proto == PROTO_UDP) && l.len - l.head >= 4)
        for (unsigned i = 0; i < 2; i++)
            out->port[i] = (uint16_t)(packet[l.head + 2 * i] << 8 | packet[l.head + 2 * i + 1]);
    int order = memcmp(out->addr[0], out->addr[1], 16);
    if (order > 0 || (!order && out->port[0] > out->port[1])) {
        uint8_t a[16];
        uint16_t port = out->port[0];
        memcpy(a, out->addr[0], 16);
        memcpy(out->addr[0], out->addr[1], 16);
        memcpy(out->addr[1], a, 16);
        out->port[0] = out->port[1];
        out->port[1] = port;
    }
    return true;
}
