#include "tools/i3ctl_packet.h"

#include <stdio.h>
#include <string.h>

#include "include/bytes.h"

enum { ICMP = 1, TCP = 6, UDP = 17, FRAGMENT6 = 44, ICMP6 = 58 };

static void tcp(struct reader r, size_t payload, struct packet_line *out)
{
    static const char letter[] = "FSRPAUEW"; /* from bit 0 on */
    static const char order[] = {1, 0, 2, 3, 5, 6, 7, 4}; /* SYN first, ACK last, as people write them */
    char flags[16], ack[24] = "";
    size_t n = 0;
    out->src_port = get_u16(&r);
    out->dst_port = get_u16(&r);
    uint32_t seq = get_u32(&r), acked = get_u32(&r);
    uint16_t bits = get_u16(&r), window = get_u16(&r);
    size_t head = (size_t)(bits >> 12) * 4;
    if (!reader_ok(&r))
        return;
    out->ports = true;
    for (size_t i = 0; i < sizeof(order); i++)
        if (bits >> order[i] & 1)
            flags[n++] = order[i] == 4 ? '.' : letter[(size_t)order[i]];
    flags[n] = '\0';
    if (bits & 16)
        snprintf(ack, sizeof(ack), " ack %u", acked);
    snprintf(out->info, sizeof(out->info), "[%s] seq %u%s win %u length %zu", flags, seq, ack, window, payload > head ? payload - head : 0);
}

static void udp(struct reader r, struct packet_line *out)
{
    out->src_port = get_u16(&r);
    out->dst_port = get_u16(&r);
    uint16_t len = get_u16(&r);
    if (!reader_ok(&r))
        return;
    out->ports = true;
    snprintf(out->info, sizeof(out->info), "length %d", len < 8 ? 0 : len - 8);
}

static void icmp(struct reader r, bool v6, struct packet_line *out)
{
    static const struct {
        uint8_t type4, type6;
        const char *name;
    } kind[] = {{8, 128, "echo request"}, {0, 129, "echo reply"}, {3, 1, "unreachable"}, {11, 3, "time exceeded"}, {255, 2, "too big"}};
    uint8_t type = get_u8(&r), code = get_u8(&r);
    get_u16(&r);
    uint16_t id = get_u16(&r), seq = get_u16(&r);
    if (!reader_ok(&r))
        return;
    for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
        if ((v6 ? kind[i].type6 : kind[i].type4) != type)
            continue;
        if (i < 2)
            snprintf(out->info, sizeof(out->info), "%s id %u seq %u", kind[i].name, id, seq);
        else
            snprintf(out->info, sizeof(out->info), "%s code %u", kind[i].name, code);
        return;
    }
    snprintf(out->info, sizeof(out->info), "type %u code %u", type, code);
}

static void upper(unsigned proto, struct reader r, size_t payload, bool first, struct packet_line *out)
{
    static const struct {
        unsigned number;
        const char *name;
    } names[] = {{ICMP, "ICMP"}, {TCP, "TCP"}, {UDP, "UDP"}, {ICMP6, "ICMP"}};
    snprintf(out->proto, sizeof(out->proto), "proto %u", proto);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].number == proto)
            snprintf(out->proto, sizeof(out->proto), "%s", names[i].name);
    snprintf(out->info, sizeof(out->info), "length %zu", payload);
    if (!first)
        snprintf(out->info, sizeof(out->info), "fragment length %zu", payload);
    else if (proto == TCP)
        tcp(r, payload, out);
    else if (proto == UDP)
        udp(r, out);
    else if (proto == ICMP || proto == ICMP6)
        icmp(r, proto == ICMP6, out);
}

static void ip4(struct reader r, struct packet_line *out)
{
    struct reader whole = r;
    size_t head = (size_t)(get_u8(&r) & 15) * 4;
    get_u8(&r);
    size_t total = get_u16(&r);
    get_u16(&r);
    uint16_t fragment = get_u16(&r);
    get_u8(&r);
    uint8_t proto = get_u8(&r);
    get_u16(&r);
    get_bytes(&r, out->src, 4);
    get_bytes(&r, out->dst, 4);
    if (!reader_ok(&r) || head < 20 || total < head)
        return;
    get_span(&whole, head);
    out->family = 4;
    upper(proto, whole, total - head, !(fragment & 0x1fff), out);
}

static void ip6(struct reader r, struct packet_line *out)
{
    get_u32(&r);
    size_t payload = get_u16(&r);
    uint8_t proto = get_u8(&r);
    get_u8(&r);
    get_bytes(&r, out->src, 16);
    get_bytes(&r, out->dst, 16);
    if (!reader_ok(&r))
        return;
    bool first = true;
    if (proto == FRAGMENT6) {
        proto = get_u8(&r);
        get_u8(&r);
        first = !(get_u16(&r) >> 3);
        get_u32(&r);
        payload = payload > 8 ? payload - 8 : 0;
    }
    out->family = 6;
    upper(proto, r, payload, first, out);
}

void packet_read(const uint8_t *p, size_t len, struct packet_line *out)
{
    memset(out, 0, sizeof(*out));
    unsigned version = len ? p[0] >> 4 : 0;
    if (version == 4)
        ip4(reader_of(p, len), out);
    else if (version == 6)
        ip6(reader_of(p, len), out);
    if (!out->family)
        snprintf(out->info, sizeof(out->info), "not understood, length %zu", len);
}
