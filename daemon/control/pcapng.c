#include "daemon/control/pcapng.h"

#include <string.h>

#include "include/bytes.h"

/* Options of the section and of the interface, which nobody reads here. */
enum { OPT_END = 0, SECTION_APPLICATION = 4, INTERFACE_NAME = 2, INTERFACE_DESCRIPTION = 3, NAME_END = 0 };

static struct writer block_begin(uint8_t *out, size_t cap, uint32_t type)
{
    struct writer w = writer_of(out, cap);
    put_u32(&w, type);
    put_u32(&w, 0);
    return w;
}

/* The length is known now, and stands at both ends. */
static size_t block_end(struct writer *w)
{
    uint32_t total = (uint32_t)writer_len(w) + 4;
    put_u32(w, total);
    if (!writer_ok(w))
        return 0;
    struct writer head = writer_of(w->start + 4, 4);
    put_u32(&head, total);
    return total;
}

static void put_padding(struct writer *w, size_t len)
{
    put_zeros(w, (4 - len % 4) % 4);
}

static void put_option(struct writer *w, unsigned code, const void *value, size_t len)
{
    put_u16(w, (uint16_t)code);
    put_u16(w, (uint16_t)len);
    put_bytes(w, value, len);
    put_padding(w, len);
}

/* An option is at most 65535 bytes long; nobody here is. */
static void put_text(struct writer *w, unsigned code, const char *text)
{
    put_option(w, code, text, strlen(text));
}

static void put_option_end(struct writer *w)
{
    put_u16(w, OPT_END);
    put_u16(w, 0);
}

static void put_number(struct writer *w, unsigned code, uint64_t value)
{
    put_u16(w, (uint16_t)code);
    put_u16(w, 8);
    put_u64(w, value); /* of a time: the upper half, then the lower */
}

size_t pcapng_section(uint8_t *out, size_t cap, const char *application)
{
    struct writer w = block_begin(out, cap, PCAPNG_SECTION);
    put_u32(&w, PCAPNG_MAGIC);
    put_u16(&w, 1);
    put_u16(&w, 0);
    put_u64(&w, UINT64_MAX); /* its length: not known */
    put_text(&w, SECTION_APPLICATION, application);
    put_option_end(&w);
    return block_end(&w);
}

size_t pcapng_interface(uint8_t *out, size_t cap, const char *name, const char *description, uint32_t snaplen)
{
    struct writer w = block_begin(out, cap, PCAPNG_INTERFACE);
    put_u16(&w, PCAPNG_LINKTYPE_RAW);
    put_u16(&w, 0);
    put_u32(&w, snaplen);
    put_text(&w, INTERFACE_NAME, name);
    put_text(&w, INTERFACE_DESCRIPTION, description);
    put_option_end(&w);
    return block_end(&w);
}

static void put_name(struct writer *w, unsigned type, const void *ip, size_t ip_len, const char *name)
{
    size_t len = ip_len + strlen(name) + 1;
    put_u16(w, (uint16_t)type);
    put_u16(w, (uint16_t)len);
    put_bytes(w, ip, ip_len);
    put_bytes(w, name, strlen(name) + 1);
    put_padding(w, len);
}

size_t pcapng_names(uint8_t *out, size_t cap, uint32_t ip4, const uint8_t *ip6, const char *name)
{
    struct writer w = block_begin(out, cap, PCAPNG_NAMES);
    const uint8_t ip[4] = {(uint8_t)(ip4 >> 24), (uint8_t)(ip4 >> 16), (uint8_t)(ip4 >> 8), (uint8_t)ip4};
    put_name(&w, PCAPNG_NAME_IP4, ip, sizeof(ip), name);
    if (ip6)
        put_name(&w, PCAPNG_NAME_IP6, ip6, 16, name);
    put_u16(&w, NAME_END);
    put_u16(&w, 0);
    return block_end(&w);
}

size_t pcapng_packet(uint8_t *out, size_t cap, const struct pcapng_packet *p, const struct iovec *v, int n)
{
    struct writer w = block_begin(out, cap, PCAPNG_PACKET);
    uint32_t keep = p->len < p->snaplen ? p->len : p->snaplen, left = keep;
    put_u32(&w, 0); /* of the one interface */
    put_u64(&w, p->time_us);
    put_u32(&w, keep);
    put_u32(&w, p->len);
    for (int i = 0; i < n && left; i++) {
        uint32_t piece = v[i].iov_len < left ? (uint32_t)v[i].iov_len : left;
        put_bytes(&w, v[i].iov_base, piece);
        left -= piece;
    }
    put_padding(&w, keep);
    const uint8_t flags[4] = {0, 0, 0, (uint8_t)p->direction};
    put_option(&w, PCAPNG_PACKET_FLAGS, flags, sizeof(flags));
    if (p->lost)
        put_number(&w, PCAPNG_PACKET_LOST, p->lost);
    put_option_end(&w);
    return left ? 0 : block_end(&w);
}

size_t pcapng_statistics(uint8_t *out, size_t cap, uint64_t begun_us, uint64_t ended_us, uint64_t received, uint64_t lost)
{
    struct writer w = block_begin(out, cap, PCAPNG_STATISTICS);
    put_u32(&w, 0); /* of the one interface */
    put_u64(&w, ended_us);
    put_number(&w, PCAPNG_STATS_BEGUN, begun_us);
    put_number(&w, PCAPNG_STATS_ENDED, ended_us);
    put_number(&w, PCAPNG_STATS_RECEIVED, received);
    put_number(&w, PCAPNG_STATS_LOST, lost);
    put_option_end(&w);
    return block_end(&w);
}
