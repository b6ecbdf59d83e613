/* ICMP echo (RFC 792, and 4443 for IPv6): answered, and asked. Errors: icmp_tcp.c. */
#include "daemon/tcpip/engine.h"

#include <errno.h>
#include <stdlib.h>

enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8, ICMP_HEAD = 8, ICMP6_ECHO = 128, ICMP6_ECHO_REPLY = 129 };

/* The echo request turned round. */
static void icmp_reply(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip)
{
    const uint8_t *icmp = packet + ip->head_len;
    size_t len = (size_t)(ip->len - ip->head_len), body_len = len - ICMP_HEAD;
    uint8_t *body = body_len ? malloc(body_len) : NULL;
    if (body_len && !body)
        return;
    if (body)
        memcpy(body, icmp + ICMP_HEAD, body_len);
    uint8_t head[IP6_HEAD + ICMP_HEAD], back[IP6_HEAD];
    uint8_t *out = head + (ip->v6 ? IP6_HEAD : IP_HEAD);
    uint64_t sum = ip_sum(icmp + ICMP_HEAD, body_len);
    if (ip->v6) {
        ip6_template_back(back, packet);
        ip6_build(head, back, IP6_ICMP, (uint16_t)len);
        sum += ip6_pseudo_sum(head, IP6_ICMP, (uint16_t)len);
    } else {
        ip_build(head, ip->dst, ip->src, IP_ICMP, (uint16_t)engine_random(t), (uint16_t)(IP_HEAD + len));
    }
    memcpy(out, icmp, ICMP_HEAD);
    out[0] = ip->v6 ? ICMP6_ECHO_REPLY : ICMP_ECHO_REPLY;
    ip_store16(out + 2, 0);
    ip_store_sum(out + 2, ip_sum(out, ICMP_HEAD) + sum);
    output_raw(t, ip->dst, ip->src, head, (size_t)(out - head) + ICMP_HEAD, body, body_len);
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
        icmp_reply(t, packet, ip);
    else if (icmp[0] == ICMP_ECHO_REPLY && icmp[1] == 0)
        event_echo(t, ip, ip_load16(icmp + 4), ip_load16(icmp + 6));
    else
        icmp_error_input(t, packet, ip);
}

void icmp6_input(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip)
{
    const uint8_t *icmp = packet + ip->head_len;
    size_t len = (size_t)(ip->len - ip->head_len);
    if (len < ICMP_HEAD || ip_fold(ip_sum(icmp, len) + ip6_pseudo_sum(packet, IP6_ICMP, (uint16_t)len)) != 0xffff) {
        t->stats.in_bad++;
        return;
    }
    if (icmp[0] == ICMP6_ECHO && icmp[1] == 0)
        icmp_reply(t, packet, ip);
    else if (icmp[0] == ICMP6_ECHO_REPLY && icmp[1] == 0)
        event_echo(t, ip, ip_load16(icmp + 4), ip_load16(icmp + 6));
    else
        icmp_error_input(t, packet, ip);
}

static void put_echo(uint8_t *out, uint8_t type, uint16_t ident, uint16_t sequence, uint64_t pseudo)
{
    ip_store32(out, (uint32_t)type << 24);
    ip_store16(out + 4, ident);
    ip_store16(out + 6, sequence);
    ip_store_sum(out + 2, ip_sum(out, ICMP_HEAD) + pseudo);
}

int tcpip_ping(struct tcpip *t, mono_t now, uint32_t local, uint32_t remote, uint16_t ident, uint16_t sequence)
{
    conn_now(t, now);
    if (t->raw_n == RAW_MAX)
        return -ENOBUFS;
    uint8_t head[IP_HEAD + ICMP_HEAD];
    ip_build(head, local, remote, IP_ICMP, (uint16_t)engine_random(t), sizeof(head));
    put_echo(head + IP_HEAD, ICMP_ECHO, ident, sequence, 0);
    output_raw(t, local, remote, head, sizeof(head), NULL, 0);
    return 0;
}

int tcpip_ping6(struct tcpip *t, mono_t now, uint32_t local, const uint8_t local6[16], uint32_t remote,
    const uint8_t remote6[16], uint16_t ident, uint16_t sequence)
{
    conn_now(t, now);
    if (t->raw_n == RAW_MAX)
        return -ENOBUFS;
    uint8_t head[IP6_HEAD + ICMP_HEAD], template[IP6_HEAD];
    ip6_template(template, local6, remote6, 0);
    ip6_build(head, template, IP6_ICMP, ICMP_HEAD);
    put_echo(head + IP6_HEAD, ICMP6_ECHO, ident, sequence, ip6_pseudo_sum(head, IP6_ICMP, ICMP_HEAD));
    output_raw(t, local, remote, head, sizeof(head), NULL, 0);
    return 0;
}
