#include "daemon/tcpip/ip6.h"

bool ip6_parse(const uint8_t *packet, size_t len, struct ip_header *h)
{
    if (len < IP6_HEAD || packet[0] >> 4 != 6)
        return false;
    size_t total = IP6_HEAD + (size_t)ip_load16(packet + 4);
    if (total > len || total > UINT16_MAX)
        return false;
    h->v6 = true;
    h->ecn = ip_ecn(packet);
    h->head_len = IP6_HEAD;
    h->len = (uint16_t)total;
    h->proto = packet[6];
    h->ttl = packet[7];
    return true;
}

bool ip6_is_from_to(const uint8_t *packet, size_t len, const uint8_t src[IP6_ADDRESS], const uint8_t dst[IP6_ADDRESS])
{
    return len >= IP6_HEAD && packet[0] >> 4 == 6 && memcmp(packet + IP6_SRC, src, IP6_ADDRESS) == 0 &&
           memcmp(packet + IP6_DST, dst, IP6_ADDRESS) == 0;
}

void ip6_template(uint8_t out[IP6_HEAD], const uint8_t src[IP6_ADDRESS], const uint8_t dst[IP6_ADDRESS], uint32_t label)
{
    ip_store32(out, 6u << 28 | (label & 0xfffff));
    ip_store32(out + 4, 0);
    memcpy(out + IP6_SRC, src, IP6_ADDRESS);
    memcpy(out + IP6_DST, dst, IP6_ADDRESS);
}

void ip6_template_back(uint8_t out[IP6_HEAD], const uint8_t *header)
{
    ip6_template(out, header + IP6_DST, header + IP6_SRC, 0);
}

void ip6_build(uint8_t *out, const uint8_t *template, uint8_t next, uint16_t len)
{
    memcpy(out, template, IP6_HEAD);
    ip_store16(out + 4, len);
    out[6] = next;
    out[7] = IP_DEFAULT_TTL;
}
