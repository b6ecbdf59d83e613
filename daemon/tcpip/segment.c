#include "daemon/tcpip/segment.h"

#include "include/bytes.h"

enum { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WSCALE = 3, OPT_SACK_OK = 4, OPT_SACK = 5, OPT_STAMPS = 8 };

static void parse_sacks(const uint8_t *p, size_t len, struct segment *s)
{
    for (size_t i = 0; i + 8 <= len && s->sacks < TCP_SACK_MAX; i += 8)
        s->sack[s->sacks++] = (struct sack_block){ip_load32(p + i), ip_load32(p + i + 4)};
}

static void parse_option(uint8_t kind, const uint8_t *p, size_t len, struct segment *s)
{
    bool syn = s->flags & TH_SYN;
    if (kind == OPT_STAMPS && len == 8) {
        s->has_stamps = true;
        s->ts_val = ip_load32(p);
        s->ts_ecr = ip_load32(p + 4);
    } else if (kind == OPT_SACK) {
        parse_sacks(p, len, s);
    } else if (syn && kind == OPT_MSS && len == 2) {
        s->mss = ip_load16(p);
    } else if (syn && kind == OPT_WSCALE && len == 1) {
        s->has_wscale = true;
        s->wscale = p[0] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : p[0];
    } else if (syn && kind == OPT_SACK_OK && len == 0) {
        s->sack_ok = true;
    }
}

/* Unknown options are skipped; a length that does not fit ends the list. */
static void parse_options(const uint8_t *p, size_t len, struct segment *s)
{
    static const uint8_t usual[4] = {OPT_NOP, OPT_NOP, OPT_STAMPS, 10};
    if (len == TCP_STAMPS && memcmp(p, usual, 4) == 0) {
        parse_option(OPT_STAMPS, p + 4, 8, s);
        return;
    }
    while (len > 0 && p[0] != OPT_END) {
        size_t step = 1;
        if (p[0] != OPT_NOP) {
            if (len < 2 || p[1] < 2 || p[1] > len)
                return;
            step = p[1];
            parse_option(p[0], p + 2, step - 2, s);
        }
        p += step;
        len -= step;
    }
}

bool segment_parse(const uint8_t *packet, const struct ip_header *ip, struct segment *s)
{
    const uint8_t *tcp = packet + ip->head_len;
    uint32_t len = (uint32_t)(ip->len - ip->head_len);
    if (len < TCP_HEAD)
        return false;
    uint32_t head = (uint32_t)(tcp[12] >> 4) * 4;
    if (head < TCP_HEAD || head > len)
        return false;
    uint64_t pseudo = ip->v6 ? ip6_pseudo_sum(packet, IP_TCP, (uint16_t)len)
                             : ip_sum(packet + 12, 8) + __builtin_bswap16(IP_TCP) + __builtin_bswap16((uint16_t)len);
    if (ip_fold(ip_sum_long(tcp, len) + pseudo) != 0xffff)
        return false;
    s->src = ip->src;
    s->dst = ip->dst;
    s->ip6 = ip->v6 ? packet : NULL;
    s->src_port = ip_load16(tcp);
    s->dst_port = ip_load16(tcp + 2);
    s->seq = ip_load32(tcp + 4);
    s->ack = ip_load32(tcp + 8);
    s->flags = tcp[13];
    s->ecn = ip->ecn;
    s->window = ip_load16(tcp + 14);
    s->data = tcp + head;
    s->len = len - head;
    s->has_stamps = s->has_wscale = s->sack_ok = false;
    s->mss = 0;
    s->sacks = 0;
    if (head > TCP_HEAD)
        parse_options(tcp + TCP_HEAD, head - TCP_HEAD, s);
    return true;
}

static void put_options(struct writer *w, const struct segment *s)
{
    if (s->mss) {
        put_u16(w, OPT_MSS << 8 | 4);
        put_u16(w, s->mss);
    }
    if (s->has_wscale) {
        put_u32(w, OPT_NOP << 24 | OPT_WSCALE << 16 | 3 << 8 | s->wscale);
    }
    if (s->sack_ok)
        put_u32(w, OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK_OK << 8 | 2);
    if (s->has_stamps) {
        put_u32(w, OPT_NOP << 24 | OPT_NOP << 16 | OPT_STAMPS << 8 | 10);
        put_u32(w, s->ts_val);
        put_u32(w, s->ts_ecr);
    }
    if (s->sacks) {
        put_u32(w, OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK << 8 | (2 + 8 * (uint32_t)s->sacks));
        for (int i = 0; i < s->sacks; i++) {
            put_u32(w, s->sack[i].start);
            put_u32(w, s->sack[i].end);
        }
    }
}

size_t segment_build(uint8_t *out, const struct segment *s, uint16_t ip_id, uint64_t body)
{
    uint8_t *tcp = out + (s->ip6 ? IP6_HEAD : IP_HEAD);
    struct writer w = writer_of(tcp, 60);
    put_u16(&w, s->src_port);
    put_u16(&w, s->dst_port);
    put_u32(&w, s->seq);
    put_u32(&w, s->ack);
    put_u8(&w, 0);
    put_u8(&w, s->flags);
    put_u16(&w, s->window);
    put_u32(&w, 0);
    put_options(&w, s);
    size_t head = writer_len(&w);
    tcp[12] = (uint8_t)(head / 4 << 4);
    uint16_t len = (uint16_t)(head + s->len);
    uint64_t sum = ip_sum(tcp, head) + body;
    if (s->ip6) {
        ip6_build(out, s->ip6, IP_TCP, len);
        ip_store_sum(tcp + 16, sum + ip6_pseudo_sum(s->ip6, IP_TCP, len));
        return IP6_HEAD + head;
    }
    ip_build(out, s->src, s->dst, IP_TCP, ip_id, (uint16_t)(IP_HEAD + len));
    ip_store_sum(tcp + 16, sum + ip_pseudo_sum(s->src, s->dst, IP_TCP, len));
    return IP_HEAD + head;
}
