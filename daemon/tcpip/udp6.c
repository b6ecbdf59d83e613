#include "daemon/tcpip/udp6.h"

#include "daemon/tcpip/fragment.h"

void udp6_build(uint8_t out[UDP_HEAD], const uint8_t *template, uint16_t src_port, uint16_t dst_port, const void *data, size_t len)
{
    uint16_t total = (uint16_t)(UDP_HEAD + len);
    ip_store16(out, src_port);
    ip_store16(out + 2, dst_port);
    ip_store16(out + 4, total);
    ip_store16(out + 6, 0);
    ip_store_sum(out + 6, ip6_pseudo_sum(template, IP_UDP, total) + ip_sum(out, UDP_HEAD) + ip_sum(data, len));
    if (ip_load16(out + 6) == 0)
        ip_store16(out + 6, 0xffff);
}

bool udp6_parse(const uint8_t *header, const uint8_t *udp, size_t have, struct udp_datagram *out)
{
    if (have < UDP_HEAD)
        return false;
    uint16_t total = ip_load16(udp + 4);
    if (total < UDP_HEAD || total > have || ip_load16(udp + 6) == 0)
        return false;
    if (ip_fold(ip6_pseudo_sum(header, IP_UDP, total) + ip_sum(udp, total)) != 0xffff)
        return false;
    out->names.src_port = ip_load16(udp);
    out->names.dst_port = ip_load16(udp + 2);
    out->data = udp + UDP_HEAD;
    out->len = (uint16_t)(total - UDP_HEAD);
    return out->names.dst_port != 0;
}

/* ---- fragments ---- */

enum { MORE = 1 };

void fragment6_build(uint8_t out[FRAGMENT6_HEADS], const uint8_t *template, uint8_t proto, uint32_t id, uint16_t offset,
    uint16_t body, bool more)
{
    uint8_t *f = out + IP6_HEAD;
    ip6_build(out, template, IP6_FRAGMENT, (uint16_t)(8 + body));
    f[0] = proto;
    f[1] = 0;
    ip_store16(f + 2, (uint16_t)(offset | (more ? MORE : 0)));
    ip_store32(f + 4, id);
}

size_t fragment6_as4(uint8_t *out, size_t cap, const uint8_t *packet, const struct ip_header *ip)
{
    const uint8_t *f = packet + IP6_HEAD;
    if (ip->len <= FRAGMENT6_HEADS || f[0] != IP_UDP)
        return 0;
    size_t body = (size_t)(ip->len - FRAGMENT6_HEADS);
    uint16_t where = ip_load16(f + 2), id = (uint16_t)ip_load32(f + 4);
    if (IP_HEAD + body > cap)
        return 0;
    fragment_build(out, ip->src, ip->dst, FRAGMENT6_PROTO, id, where & 0xfff8, (uint16_t)body, where & MORE);
    memcpy(out + IP_HEAD, packet + FRAGMENT6_HEADS, body);
    return IP_HEAD + body;
}

/* ---- ICMPv6 ---- */

bool icmp6_error_parse(const uint8_t *packet, const struct ip_header *ip, struct icmp_error *out)
{
    const uint8_t *icmp = packet + IP6_HEAD, *quote = icmp + ICMP_ERROR_HEAD;
    size_t len = (size_t)(ip->len - IP6_HEAD);
    if (len < ICMP_ERROR_HEAD + UDP6_HEADS || icmp[0] != ICMP6_UNREACHABLE || icmp[1] != ICMP6_UNREACHABLE_PORT)
        return false;
    if (ip_fold(ip_sum(icmp, len) + ip6_pseudo_sum(packet, IP6_ICMP, (uint16_t)len)) != 0xffff)
        return false;
    if (!ip6_is_from_to(quote, UDP6_HEADS, packet + IP6_DST, packet + IP6_SRC) || quote[6] != IP_UDP)
        return false;
    *out = (struct icmp_error){.type = ICMP_UNREACHABLE,
        .code = ICMP_UNREACHABLE_PORT,
        .proto = IP_UDP,
        .src = ip->dst,
        .dst = ip->src,
        .src_port = ip_load16(quote + IP6_HEAD),
        .dst_port = ip_load16(quote + IP6_HEAD + 2)};
    return true;
}

size_t icmp6_error_build(uint8_t out[ICMP6_ERROR_MAX], const uint8_t *quoted, size_t len)
{
    uint8_t back[IP6_HEAD], *icmp = out + IP6_HEAD;
    if (len < UDP6_HEADS)
        return 0;
    if (len > ICMP6_ERROR_MAX - IP6_HEAD - ICMP_ERROR_HEAD)
        len = ICMP6_ERROR_MAX - IP6_HEAD - ICMP_ERROR_HEAD;
    size_t total = ICMP_ERROR_HEAD + len;
    ip6_template_back(back, quoted);
    ip6_build(out, back, IP6_ICMP, (uint16_t)total);
    memset(icmp, 0, ICMP_ERROR_HEAD);
    icmp[0] = ICMP6_UNREACHABLE;
    icmp[1] = ICMP6_UNREACHABLE_PORT;
    memcpy(icmp + ICMP_ERROR_HEAD, quoted, len);
    ip_store_sum(icmp + 2, ip_sum(icmp, total) + ip6_pseudo_sum(out, IP6_ICMP, (uint16_t)total));
    return IP6_HEAD + total;
}
