#include "daemon/tcpip/icmp_error.h"

#include <errno.h>

enum {
    UNREACHABLE = 3,
    PORT = 3,
    FRAGMENT = 4,
    EXCEEDED = 11,
    PARAMETER = 12,
    ECHO = 8,
    UNREACHABLE6 = 1,
    PORT6 = 4,
    TOO_BIG6 = 2,
    EXCEEDED6 = 3,
    PARAMETER6 = 4,
    INFORMATIONAL6 = 128,
};

/* By code of "unreachable". */
static const int err4[] = {ENETUNREACH, EHOSTUNREACH, ENOPROTOOPT, ECONNREFUSED, EMSGSIZE, EOPNOTSUPP, ENETUNREACH, EHOSTDOWN,
    ENONET, ENETUNREACH, EHOSTUNREACH, ENETUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH};
static const int err6[] = {ENETUNREACH, EACCES, EHOSTUNREACH, EHOSTUNREACH, ECONNREFUSED, EACCES, EACCES};

static int error4(const uint8_t *icmp, uint16_t *mtu)
{
    if (icmp[0] == UNREACHABLE && icmp[1] == FRAGMENT)
        *mtu = ip_load16(icmp + 6);
    if (icmp[0] == UNREACHABLE)
        return icmp[1] < sizeof(err4) / sizeof(err4[0]) ? err4[icmp[1]] : 0;
    return icmp[0] == EXCEEDED ? EHOSTUNREACH : icmp[0] == PARAMETER ? EPROTO : 0;
}

static int error6(const uint8_t *icmp, uint16_t *mtu)
{
    if (icmp[0] == TOO_BIG6) {
        *mtu = ip_load32(icmp + 4) < UINT16_MAX ? (uint16_t)ip_load32(icmp + 4) : UINT16_MAX;
        return EMSGSIZE;
    }
    if (icmp[0] == UNREACHABLE6)
        return icmp[1] < sizeof(err6) / sizeof(err6[0]) ? err6[icmp[1]] : 0;
    return icmp[0] == EXCEEDED6 ? EHOSTUNREACH : icmp[0] == PARAMETER6 ? EPROTO : 0;
}

/* The header at `p` of a whole packet or first fragment with at least 8 bytes behind it: its length, else 0. */
static size_t quotable(const uint8_t *p, size_t len)
{
    if (len >= IP6_HEAD + 8 && p[0] >> 4 == 6)
        return IP6_HEAD;
    if (len < IP_HEAD + 8 || p[0] >> 4 != 4 || ip_load16(p + 6) & 0x1fff)
        return 0;
    size_t head = (size_t)(p[0] & 15) * 4;
    return head >= IP_HEAD && head + 8 <= len ? head : 0;
}

/* The packet quoted went the other way. */
static bool is_ours(const uint8_t *packet, const uint8_t *quote, bool v6)
{
    size_t at = v6 ? IP6_SRC : 12, n = v6 ? IP6_ADDRESS : 4;
    return quote[0] >> 4 == packet[0] >> 4 && !memcmp(quote + at, packet + at + n, n) && !memcmp(quote + at + n, packet + at, n);
}

bool icmp_error_parse(const uint8_t *packet, const struct ip_header *ip, struct icmp_error *out)
{
    const uint8_t *icmp = packet + ip->head_len, *quote = icmp + ICMP_ERROR_HEAD;
    size_t len = (size_t)(ip->len - ip->head_len);
    if (len < ICMP_ERROR_HEAD)
        return false;
    size_t head = quotable(quote, len - ICMP_ERROR_HEAD);
    uint64_t pseudo = ip->v6 ? ip6_pseudo_sum(packet, IP6_ICMP, (uint16_t)len) : 0;
    if (!head || !is_ours(packet, quote, ip->v6) || ip_fold(ip_sum(icmp, len) + pseudo) != 0xffff)
        return false;
    *out = (struct icmp_error){.proto = ip->v6 ? quote[6] : quote[9],
        .local_port = ip_load16(quote + head),
        .remote_port = ip_load16(quote + head + 2)};
    out->err = ip->v6 ? error6(icmp, &out->mtu) : error4(icmp, &out->mtu);
    out->seq = out->proto == IP_TCP ? ip_load32(quote + head + 4) : 0;
    return out->err && (out->proto == IP_TCP || out->proto == IP_UDP);
}

/* The code of "unreachable" that says so. */
static uint8_t code_of(int err, bool v6)
{
    enum { NET = 0, HOST = 1, PROHIBITED = 13, NET6 = 0, PROHIBITED6 = 1, ADDRESS6 = 3 };
    switch (err) {
    case ENETUNREACH:
        return v6 ? NET6 : NET;
    case EHOSTUNREACH:
        return v6 ? ADDRESS6 : HOST;
    case EACCES:
        return v6 ? PROHIBITED6 : PROHIBITED;
    default:
        return v6 ? PORT6 : PORT;
    }
}

size_t icmp_error_build(uint8_t out[ICMP_ERROR_MAX], uint16_t id, const uint8_t *quoted, size_t len)
{
    return icmp_error_build_as(out, id, quoted, len, ECONNREFUSED);
}

size_t icmp_error_build_as(uint8_t out[ICMP_ERROR_MAX], uint16_t id, const uint8_t *quoted, size_t len, int err)
{
    size_t head = quotable(quoted, len);
    bool v6 = head && quoted[0] >> 4 == 6;
    size_t own = v6 ? IP6_HEAD : IP_HEAD;
    if (!head || (v6 ? quoted[6] == IP6_ICMP && quoted[head] < INFORMATIONAL6 : quoted[9] == IP_ICMP && quoted[head] != ECHO))
        return 0;
    if (len > ICMP_ERROR_MAX - own - ICMP_ERROR_HEAD)
        len = ICMP_ERROR_MAX - own - ICMP_ERROR_HEAD;
    size_t total = ICMP_ERROR_HEAD + len;
    uint8_t *icmp = out + own;
    uint64_t pseudo = 0;
    if (v6) {
        uint8_t back[IP6_HEAD];
        ip6_template_back(back, quoted);
        ip6_build(out, back, IP6_ICMP, (uint16_t)total);
        pseudo = ip6_pseudo_sum(out, IP6_ICMP, (uint16_t)total);
    } else {
        ip_build(out, ip_load32(quoted + 16), ip_load32(quoted + 12), IP_ICMP, id, (uint16_t)(own + total));
    }
    memset(icmp, 0, ICMP_ERROR_HEAD);
    icmp[0] = v6 ? UNREACHABLE6 : UNREACHABLE;
    icmp[1] = code_of(err, v6);
    memcpy(icmp + ICMP_ERROR_HEAD, quoted, len);
    ip_store_sum(icmp + 2, ip_sum(icmp, total) + pseudo);
    return own + total;
}
