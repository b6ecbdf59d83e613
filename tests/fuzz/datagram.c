/* Packets about datagrams: UDP, ICMP errors, fragments, of both IP versions.
 *
 * The input is a list of packets: flags, length (2 bytes), bytes. Flags: 1: the IP header, and 2: the checksum behind it are made
 * right, since random ones would die at the first check; the rest is time that passes. What is accepted must keep its promises.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/icmp_error.h"
#include "daemon/tcpip/udp.h"

enum { A = 0x0a000001, B = 0x0a000002, PIECE_MAX = 2000 };

/* Reads every byte that it is said to have. */
static void touch(const uint8_t *p, size_t len)
{
    static volatile uint8_t sink;
    for (size_t i = 0; i < len; i++)
        sink ^= p[i];
}

static bool parse(const uint8_t *packet, size_t len, struct ip_header *ip)
{
    *ip = (struct ip_header){.src = B, .dst = A};
    return len && packet[0] >> 4 == 6 ? ip6_parse(packet, len, ip) : ip_parse(packet, len, ip);
}

static void one(const uint8_t *packet, size_t len)
{
    struct ip_header ip, back;
    struct udp_datagram d;
    struct icmp_error e;
    uint8_t out[ICMP_ERROR_MAX];
    if (!parse(packet, len, &ip))
        return;
    if (ip.proto == IP_UDP && udp_parse(packet, &ip, &d)) {
        if (d.data < packet || d.data + d.len > packet + ip.len)
            abort();
        touch(d.data, d.len);
        /* nobody is there: the error must be one about this very datagram */
        size_t n = icmp_error_build(out, 1, packet, ip.len);
        if (n && (!parse(out, n, &back) || !icmp_error_parse(out, &back, &e) || e.proto != IP_UDP || e.local_port != d.src_port))
            abort();
    }
    if (icmp_error_parse(packet, &ip, &e) && (!e.err || (e.proto != IP_TCP && e.proto != IP_UDP)))
        abort();
    touch(out, icmp_error_build(out, 1, packet, len));
}

static void mend(uint8_t *packet, size_t len, unsigned flags)
{
    bool v6 = packet[0] >> 4 == 6;
    size_t head = v6 ? IP6_HEAD : (size_t)(packet[0] & 15) * 4;
    if (len < head + 8 || head < IP_HEAD)
        return;
    if (flags & 1 && v6)
        ip_store16(packet + 4, (uint16_t)(len - IP6_HEAD));
    if (flags & 2) {
        uint8_t proto = v6 ? packet[6] : packet[9];
        size_t at = proto == IP_UDP ? 6 : 2;
        uint64_t pseudo = v6 ? ip_sum(packet + IP6_SRC, 32) : ip_sum(packet + 12, 8);
        pseudo += __builtin_bswap16(proto) + (uint64_t)__builtin_bswap16((uint16_t)(len - head));
        if (proto == IP_UDP)
            ip_store16(packet + head + 4, (uint16_t)(len - head));
        ip_store16(packet + head + at, 0);
        ip_store_sum(packet + head + at, ip_sum(packet + head, len - head) + (proto == IP_ICMP ? 0 : pseudo));
    }
    if (flags & 1 && !v6) {
        ip_store16(packet + 2, (uint16_t)len);
        ip_store16(packet + 10, 0);
        ip_store_sum(packet + 10, ip_sum(packet, head));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reassembly *r = reassembly_new();
    uint64_t now = 1;
    while (size >= 3) {
        unsigned flags = data[0];
        size_t len = (size_t)(data[1] << 8 | data[2]) % PIECE_MAX, whole;
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        uint8_t *packet = malloc(len ? len : 1);
        memcpy(packet, data, len);
        if (len)
            mend(packet, len, flags);
        one(packet, len);
        now += (uint64_t)(flags >> 2) * 500000;
        reassembly_expire(r, (mono_t){now});
        const uint8_t *p = reassembly_add(r, (mono_t){now}, packet, len, &whole);
        if (p) {
            touch(p, whole);
            if (ip_is_fragment(p, whole) && p[0] >> 4 == 4)
                abort();
            one(p, whole);
        }
        if (reassembly_deadline(r).us != UINT64_MAX && reassembly_deadline(r).us <= now)
            abort();
        free(packet);
        data += len;
        size -= len;
    }
    reassembly_free(r);
    return 0;
}
