#include "daemon/policy/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/bytes.h"

static const struct network special[] = {
    {4, 8, {0}, 0, 0},
    {4, 8, {10}, 0, 0},
    {4, 10, {100, 64}, 0, 0},
    {4, 8, {127}, 0, 0},
    {4, 16, {169, 254}, 0, 0},
    {4, 12, {172, 16}, 0, 0},
    {4, 16, {192, 168}, 0, 0},
    {4, 15, {198, 18}, 0, 0},
    {4, 4, {224}, 0, 0},
    {4, 4, {240}, 0, 0},
    {6, 96, {0}, 0, 0}, /* ::, ::1, and IPv4 in an old disguise */
    {6, 96, {0, 0x64, 0xff, 0x9b}, 0, 0}, /* NAT64: any IPv4 address may be meant */
    {6, 48, {0, 0x64, 0xff, 0x9b, 0, 1}, 0, 0},
    {6, 16, {0x20, 0x02}, 0, 0}, /* 6to4: as well */
    {6, 7, {0xfc}, 0, 0},
    {6, 10, {0xfe, 0x80}, 0, 0},
    {6, 10, {0xfe, 0xc0}, 0, 0},
    {6, 8, {0xff}, 0, 0},
};

/* ---- text ---- */

/* Decimal digits only, at most max; -1 when it is not so. */
static long number(const char *s, size_t len, long max)
{
    long v = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || (v = v * 10 + (s[i] - '0')) > max)
            return -1;
    }
    return len ? v : -1;
}

static int parse_ports(struct network *n, const char *s)
{
    const char *dash = strchr(s, '-');
    long lo = number(s, dash ? (size_t)(dash - s) : strlen(s), 65535), hi = dash ? number(dash + 1, strlen(dash + 1), 65535) : lo;
    if (lo < 1 || hi < lo)
        return -EINVAL;
    n->port_lo = (uint16_t)lo;
    n->port_hi = (uint16_t)hi;
    return 0;
}

/* True: nothing is set beyond the first `bits`. */
static bool is_clean(const uint8_t *ip, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        if (ip[i / 8] >> (7 - i % 8) & 1)
            return false;
    return true;
}

int network_parse(struct network *n, const char *text)
{
    char host[64];
    bool bracket = *text == '[';
    const char *from = bracket ? text + 1 : text;
    const char *end = bracket ? strchr(text, ']') : strpbrk(text, "/");
    if (!end && !bracket) /* no length: an IPv4 address with a port, or an address */
        end = strchr(text, ':') && !strchr(strchr(text, ':') + 1, ':') ? strchr(text, ':') : text + strlen(text);
    if (!end || (size_t)(end - from) >= sizeof(host))
        return -EINVAL;
    memset(n, 0, sizeof(*n));
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    n->family = !bracket && inet_pton(AF_INET, host, n->ip) == 1 ? 4 : inet_pton(AF_INET6, host, n->ip) == 1 ? 6 : 0;
    if (!n->family)
        return -EINVAL;
    unsigned most = n->family == 4 ? 32 : 128;
    n->bits = (uint8_t)most;
    end += bracket;
    if (*end == '/') {
        size_t digits = 0;
        while (end[1 + digits] >= '0' && end[1 + digits] <= '9')
            digits++;
        long bits = number(end + 1, digits, (long)most);
        if (bits < 0)
            return -EINVAL;
        n->bits = (uint8_t)bits;
        end += 1 + digits;
    }
    if (*end == ':' ? parse_ports(n, end + 1) : *end)
        return -EINVAL;
    return is_clean(n->ip, n->bits) ? 0 : -ERANGE;
}

const char *network_text(const struct network *n, char out[NETWORK_STR])
{
    char ip[INET6_ADDRSTRLEN], ports[13] = "";
    bool bracket = n->family == 6 && n->port_lo;
    inet_ntop(n->family == 4 ? AF_INET : AF_INET6, n->ip, ip, sizeof(ip));
    if (n->port_lo && n->port_hi != n->port_lo)
        snprintf(ports, sizeof(ports), ":%u-%u", n->port_lo, n->port_hi);
    else if (n->port_lo)
        snprintf(ports, sizeof(ports), ":%u", n->port_lo);
    snprintf(out, NETWORK_STR, "%s%s%s/%u%s", bracket ? "[" : "", ip, bracket ? "]" : "", n->bits, ports);
    return out;
}

/* ---- the question ---- */

static bool covers(const struct network *n, uint8_t family, const uint8_t *ip)
{
    if (n->family != family)
        return false;
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->ip, ip, whole) != 0)
        return false;
    return !rest || !((n->ip[whole] ^ ip[whole]) >> (8 - rest));
}

static bool within(const struct network *n, const struct network *range)
{
    return n->bits >= range->bits && covers(range, n->family, n->ip);
}

/* Whoever lists it means this range. */
static bool means(const struct network *n, const struct network *own, uint8_t family, const uint8_t *ip, bool *reserved)
{
    for (unsigned i = 0; i < ARRAY_LEN(special); i++)
        if (covers(&special[i], family, ip) && !within(n, &special[i])) {
            *reserved = true;
            return false;
        }
    if (own && own->bits && covers(own, family, ip) && !within(n, own)) {
        *reserved = true;
        return false;
    }
    return true;
}

bool networks_allow(const struct network *v, unsigned n, const struct network *own, const struct addr *a, bool *reserved)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_mapped = a->family == 6 && !memcmp(a->ip, mapped, sizeof(mapped)), range = false, yes = false;
    uint8_t family = is_mapped ? 4 : a->family;
    const uint8_t *ip = is_mapped ? a->ip + 12 : a->ip;
    for (unsigned i = 0; i < n && !yes; i++) {
        bool port = !v[i].port_lo || !a->port || (a->port >= v[i].port_lo && a->port <= v[i].port_hi);
        yes = port && covers(&v[i], family, ip) && means(&v[i], own, family, ip, &range);
    }
    if (reserved)
        *reserved = !yes && range;
    return yes;
}
