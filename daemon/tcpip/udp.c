#include "daemon/tcpip/udp.h"

static uint64_t pseudo_sum(const uint8_t *ip, uint16_t len)
{
    uint64_t addresses = ip[0] >> 4 == 6 ? ip_sum(ip + IP6_SRC, 2 * IP6_ADDRESS) : ip_sum(ip + 12, 8);
    return addresses + __builtin_bswap16(IP_UDP) + __builtin_bswap16(len);
}

void udp_build(uint8_t out[UDP_HEAD], const uint8_t *ip, uint16_t src_port, uint16_t dst_port, const void *data, size_t len)
{
    uint16_t total = (uint16_t)(UDP_HEAD + len);
    ip_store16(out, src_port);
    ip_store16(out + 2, dst_port);
    ip_store16(out + 4, total);
    ip_store16(out + 6, 0);
    ip_store_sum(out + 6, pseudo_sum(ip, total) + ip_sum(out, UDP_HEAD) + ip_sum(data, len));
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
    if (ip_load16(udp + 6) ? ip_fold(pseudo_sum(packet, total) + ip_sum(udp, total)) != 0xffff : ip->v6)
        return false;
    *out = (struct udp_datagram){.src_port = ip_load16(udp),
        .dst_port = ip_load16(udp + 2),
        .len = (uint16_t)(total - UDP_HEAD),
        .data = udp + UDP_HEAD};
    return out->src_port && out->dst_port;
}
