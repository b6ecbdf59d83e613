/* addr.h - an IP address with a port, of either family, comparable byte by byte.
 *
 * `ip` holds an IPv4 address in its first 4 bytes (the rest zero) or an IPv6 address in 16, in
 * network order. `port` is in host order. A zeroed struct addr is "no address".
 *
 * `via` ADDR_TCP: the far end of a TCP connection, where frames go and never a datagram (daemon/io/stream.h). Known to this process
 * alone and never on the wire: a room keeps and compares it with the rest, and only io/ looks at it to send.
 *
 * `via` ADDR_ID: no place, but the first half of an id, in `ip`: whoever empties the outbox knows the way to it when it is sent
 * (pump/mesh.c).
 */
#ifndef I3_ADDR_H
#define I3_ADDR_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum addr_via { ADDR_UDP, ADDR_TCP, ADDR_ID };

struct addr {
    uint8_t family; /* 0: none, 4 or 6 */
    uint8_t via;    /* enum addr_via */
    uint16_t port;
    uint8_t ip[16];
};

enum { ADDR_STR = 64 };

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* An IPv4 address; `ip` in host order (10.0.0.1 is 0x0a000001). */
static inline struct addr addr_v4(uint32_t ip, uint16_t port)
{
    struct addr a = {.family = 4, .port = port};
    a.ip[0] = (uint8_t)(ip >> 24);
    a.ip[1] = (uint8_t)(ip >> 16);
    a.ip[2] = (uint8_t)(ip >> 8);
    a.ip[3] = (uint8_t)ip;
    return a;
}

/* The IPv4 address in host order, 0 when `a` is none. */
static inline uint32_t addr_ip4(const struct addr *a)
{
    return a->family != 4 ? 0
                          : (uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 | a->ip[3];
}

/* Every virtual IPv6 address begins with these 40 bits: fd69:3300::/40, "i3" among the unique local addresses (RFC 4193). */
#define ADDR_PREFIX6 "\xfd\x69\x33\x00\x00"
enum { ADDR_PREFIX6_LEN = 5 };

static inline bool addr_has_prefix6(const struct addr *a)
{
    return a->family == 6 && memcmp(a->ip, ADDR_PREFIX6, ADDR_PREFIX6_LEN) == 0;
}

/* ADDR_ID of the 16 bytes at prefix. */
static inline struct addr addr_of_id(const uint8_t prefix[16])
{
    struct addr a = {.family = 6, .via = ADDR_ID};
    memcpy(a.ip, prefix, sizeof(a.ip));
    return a;
}

/* 0.0.0.0 or ::, whatever the port; "no address" as well. */
static inline bool addr_is_any(const struct addr *a)
{
    static const uint8_t any[16];
    return memcmp(a->ip, any, sizeof(any)) == 0;
}

static inline bool addr_is_loopback(const struct addr *a)
{
    return a->family == 6 ? memcmp(a->ip, &in6addr_loopback, sizeof(a->ip)) == 0 : a->ip[0] == 127;
}

/* Multicast, and of IPv4 what is kept back (class E) or broadcast as well. */
static inline bool addr_is_group(const struct addr *a)
{
    return a->family == 6 ? a->ip[0] == 0xff : a->ip[0] >= 224;
}

static inline struct addr addr_v6(const uint8_t ip[16], uint16_t port)
{
    struct addr a = {.family = 6, .port = port};
    memcpy(a.ip, ip, 16);
    return a;
}

/* A link-local IPv6 address means nothing without its interface (sin6_scope_id), which stands in bytes of it that are zero on the wire
 * (RFC 4291, 2.5.6: fe80::/10 and 54 zeros). */
static inline bool addr_is_link_local(const struct addr *a)
{
    return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static inline uint32_t addr_scope(const struct addr *a)
{
    return !addr_is_link_local(a) ? 0 : (uint32_t)a->ip[4] << 24 | (uint32_t)a->ip[5] << 16 | (uint32_t)a->ip[6] << 8 | a->ip[7];
}

static inline void addr_set_scope(struct addr *a, uint32_t scope)
{
    for (int i = 0; addr_is_link_local(a) && i < 4; i++)
        a->ip[4 + i] = (uint8_t)(scope >> (24 - 8 * i));
}

/* From a socket address; IPv4-mapped IPv6 becomes plain IPv4. None when it is neither or cut short. */
static inline struct addr addr_from_sockaddr(const void *sa, size_t len)
{
    struct addr a = {0};
    const struct sockaddr_in *in = sa;
    const struct sockaddr_in6 *in6 = sa;
    if (len >= sizeof(*in) && in->sin_family == AF_INET) {
        a.family = 4;
        a.port = ntohs(in->sin_port);
        memcpy(a.ip, &in->sin_addr, 4);
    } else if (len >= sizeof(*in6) && in6->sin6_family == AF_INET6) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        bool is4 = memcmp(&in6->sin6_addr, mapped, sizeof(mapped)) == 0;
        a.family = is4 ? 4 : 6;
        a.port = ntohs(in6->sin6_port);
        memcpy(a.ip, (const uint8_t *)&in6->sin6_addr + (is4 ? 12 : 0), is4 ? 4 : 16);
        if (in6->sin6_scope_id)
            addr_set_scope(&a, in6->sin6_scope_id);
    }
    return a;
}

/* The same for datagrams, or for a connection. */
static inline struct addr addr_by(const struct addr *a, enum addr_via via)
{
    struct addr b = *a;
    b.via = via;
    return b;
}

/* To a socket address; returns its length, 0 for none and for one of a connection, where no datagram may go. */
static inline socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof(*ss));
    if (a->via != ADDR_UDP)
        return 0;
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ss;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof(*in);
    }
    if (a->family == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        memcpy(&in6->sin6_addr, a->ip, 16);
        in6->sin6_scope_id = addr_scope(a);
        if (in6->sin6_scope_id)
            memset(in6->sin6_addr.s6_addr + 4, 0, 4);
        return sizeof(*in6);
    }
    return 0;
}

/* "10.1.2.3:80", "[::1]:80" or "none", with "/tcp" behind it for a connection, into buf; returns buf. */
static inline const char *addr_str(const struct addr *a, char buf[ADDR_STR])
{
    const char *via = a->via == ADDR_TCP ? "/tcp" : "";
    if (a->family == 4) {
        snprintf(buf, ADDR_STR, "%u.%u.%u.%u:%u%s", a->ip[0], a->ip[1], a->ip[2], a->ip[3], a->port, via);
    } else if (a->family == 6) {
        char ip[INET6_ADDRSTRLEN] = "";
        inet_ntop(AF_INET6, a->ip, ip, sizeof(ip));
        snprintf(buf, ADDR_STR, "[%s]:%u%s", ip, a->port, via);
    } else {
        snprintf(buf, ADDR_STR, "none");
    }
    return buf;
}

#endif
