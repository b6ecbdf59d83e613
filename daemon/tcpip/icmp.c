/* ICMP echo (RFC 792): answered, and asked. */
#include "daemon/tcpip/engine.h"

#include <errno.h>
#include <stdlib.h>

enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8, ICMP_HEAD = 8 };

static void icmp_reply(struct tcpip *t, const uint8_t *icmp, size_t len, const struct ip_header *ip)
{
    size_t body_len = len - ICMP_HEAD;
    uint8_t *body = body_len ? malloc(body_len) : NULL;
    if (body_len && !body)
        return;
    if (body)
        memcpy(body, icmp + ICMP_HEAD, body_len);
    uint8_t head[IP_HEAD + ICMP_HEAD];
    ip_build(head, ip->dst, ip->src, IP_ICMP, (uint16_t)engine_random(t), (uint16_t)(sizeof(head) + body_len));
    uint8_t *out = head + IP_HEAD;
    memcpy(out, icmp, ICMP_HEAD);
    out[0] = ICMP_ECHO_REPLY;
    ip_store16(out + 2, 0);
    ip_store_sum(out + 2, ip_sum(out, ICMP_HEAD) + ip_sum(icmp + ICMP_HEAD, body_len));
    output_raw(t, ip->dst, ip->src, head, sizeof(head), body, body_len);
}

void icmp_input(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip)
{
    const uint8_t *icmp = packet + ip->head_len;
    size_t len = (size_t)(ip->len - ip->head_len);
    if (len < ICMP_HEAD || ip_fold(ip_sum(icmp, len)) != 0xffff) {
        t->stats.in_bad++;
        return;
    }
    if (icmp[0] == ICMP_ECHO && icmp[1] == 0)
        icmp_reply(t, icmp, len, ip);
    else if (icmp[0] == ICMP_ECHO_REPLY && icmp[1] == 0)
        event_echo(t, ip->dst, ip->src, ip_load16(icmp + 4), ip_load16(icmp + 6));
}

int tcpip_ping(struct tcpip *t, mono_t now, uint32_t local, uint32_t remote, uint16_t ident, uint16_t sequence)
{
    conn_now(t, now);
    if (t->raw_n == RAW_MAX)
        return -ENOBUFS;
    uint8_t head[IP_HEAD + ICMP_HEAD];
    ip_build(head, local, remote, IP_ICMP, (uint16_t)engine_random(t), sizeof(head));
    uint8_t *out = head + IP_HEAD;
    ip_store32(out, ICMP_ECHO << 24);
    ip_store16(out + 4, ident);
    ip_store16(out + 6, sequence);
    ip_store_sum(out + 2, ip_sum(out, ICMP_HEAD));
    output_raw(t, local, remote, head, sizeof(head), NULL, 0);
    return 0;
}
