#include "daemon/tcpip/udp.h"

void udp_build(uint8_t out[UDP_HEAD], const struct udp_names *n, const void *data, size_t len)
{
    uint16_t total = (uint16_t)(UDP_HEAD + len);
    ip_store16(out, n->src_port);
    ip_store16(out + 2, n->dst_port);
    ip_store16(out + 4, total);
    ip_store16(out + 6, 0);
    ip_store_sum(out + 6, ip_pseudo_sum(n->src, n->dst, IP_UDP, total) + ip_sum(out, UDP_HEAD) + ip_sum(data, len));
    if (ip_load16(out + 6) == 0)
        ip_store16(out + 6, 0xffff); /* zero would say "no checksum" */
}

bool udp_parse(const uint8_t *packet, const struct ip_header *ip, struct udp_datagram *out)
{
    const uint8_t *udp = packet + ip->head_len;
    size_t have = (size_t)(ip->len - ip->head_len);
    if (have < UDP_HEAD)
        return false;
    uint16_t total = ip_load16(udp + 4);
    if (total < UDP_HEAD || total > have)
        return false;
    if (ip_load16(udp + 6) &&
        ip_fold(ip_pseudo_sum(ip->src, ip->dst, IP_UDP, total) + ip_sum(udp, total)) != 0xffff)
        return false;
    *out = (struct udp_datagram){.names = {ip->src, ip->dst, ip_load16(udp), ip_load16(udp + 2)},
        .data = udp + UDP_HEAD,
        .len = (uint16_t)(total - UDP_HEAD)};
    return out->names.dst_port != 0;
}

/* ---- ICMP errors ---- */

/* The header at `p` of a first fragment with at least 8 bytes behind it: its length, else 0. */
static size_t quotable(const uint8_t *p, size_t len)
{
    if (len < IP_HEAD + 8 || p[0] >> 4 != 4 || ip_load16(p + 6) & 0x1fff)
        return 0;
    size_t head = (size_t)(p[0] & 15) * 4;
    return head >= IP_HEAD && head + 8 <= len ? head : 0;
}

bool icmp_error_parse(const uint8_t *packet, const struct ip_header *ip, struct icmp_error *out)
{
    const uint8_t *icmp = packet + ip->head_len;
    size_t len = (size_t)(ip->len - ip->head_len);
    if (len < ICMP_ERROR_HEAD || (icmp[0] != 3 && icmp[0] != 4 && icmp[0] != 11 && icmp[0] != 12))
        return false;
    const uint8_t *quote = icmp + ICMP_ERROR_HEAD;
    size_t head = quotable(quote, len - ICMP_ERROR_HEAD);
    if (!head || ip_fold(ip_sum(icmp, len)) != 0xffff || (quote[9] != IP_TCP && quote[9] != IP_UDP))
        return false;
    *out = (struct icmp_error){.type = icmp[0],
        .code = icmp[1],
        .proto = quote[9],
        .mtu = ip_load16(icmp + 6),
        .src = ip_load32(quote + 12),
        .dst = ip_load32(quote + 16),
        .src_port = ip_load16(quote + head),
        .dst_port = ip_load16(quote + head + 2),
        .seq = quote[9] == IP_TCP ? ip_load32(quote + head + 4) : 0};
    return true;
}

size_t icmp_error_build(uint8_t out[ICMP_ERROR_MAX], uint8_t code, uint16_t id, const uint8_t *quoted, size_t len)
{
    size_t head = quotable(quoted, len);
    if (!head || (quoted[9] == IP_ICMP && quoted[head] != 8))
        return 0;
    if (len > ICMP_ERROR_MAX - IP_HEAD - ICMP_ERROR_HEAD)
        len = ICMP_ERROR_MAX - IP_HEAD - ICMP_ERROR_HEAD;
    size_t total = IP_HEAD + ICMP_ERROR_HEAD + len;
    uint8_t *icmp = out + IP_HEAD;
    ip_build(out, ip_load32(quoted + 16), ip_load32(quoted + 12), IP_ICMP, id, (uint16_t)total);
    memset(icmp, 0, ICMP_ERROR_HEAD);
    icmp[0] = ICMP_UNREACHABLE;
    icmp[1] = code;
    memcpy(icmp + ICMP_ERROR_HEAD, quoted, len);
    ip_store_sum(icmp + 2, ip_sum(icmp, ICMP_ERROR_HEAD + len));
    return total;
}
