#include "daemon/dns/stub.h"

static bool ours(void *ctx, const char *name)
{
    const struct stub_names *n = ctx;
    struct addr a;
    if (dns_zone_of(name, n->zones, false) || dns_name_in(name, DNS_CANARY, false) || n->claims(n->ctx, name))
        return true;
    return dns_parse_reverse(name, &a) && n->is_virtual(n->ctx, &a);
}

/* The network's labels and two of .arpa: 10.in-addr.arpa, and the 40 bits of ADDR_PREFIX6. */
static unsigned reverse_zone(const struct addr *a)
{
    return a->family == 6 ? 2 * ADDR_PREFIX6_LEN + 2 : 3;
}

static void look_up(const struct stub_names *n, const struct dns_question *q, struct dns_facts *f)
{
    struct addr a;
    if (dns_name_in(q->name, DNS_CANARY, false)) {
        f->rcode = DNS_NXDOMAIN;
        f->zone = dns_labels(DNS_CANARY);
    } else if ((f->zone = dns_zone_of(q->name, n->zones, true))) {
        if (!dns_zone_of(q->name, n->zones, false))
            n->find(n->ctx, q->name, f);
    } else if (dns_parse_reverse(q->name, &a) && n->is_virtual(n->ctx, &a)) {
        f->zone = reverse_zone(&a);
        n->reverse(n->ctx, &a, f);
    } else {
        n->find(n->ctx, q->name, f); /* a name beyond the suffix: its zone is itself */
    }
}

/* Not a question that has an answer, DNS_NOERROR: it is. */
static enum dns_rcode refusal(const uint8_t *msg, const struct dns_question *q, const struct dns_edns *e)
{
    if (msg[2] & DNS_OPCODE >> 8)
        return DNS_NOTIMP;
    if (e->present && e->version)
        return DNS_BADVERS;
    return q->type == DNS_AXFR || q->type == DNS_IXFR ? DNS_REFUSED : DNS_NOERROR;
}

size_t stub_answer(const struct stub_names *n, const uint8_t *msg, size_t len, uint8_t *out, size_t cap)
{
    struct dns_question q;
    struct dns_edns e;
    struct dns_facts f = {0};
    unsigned records;
    switch (dns_look(msg, len, n->zones, ours, (void *)n, &q)) {
    case DNS_THEIRS:
        return 0;
    case DNS_BAD:
        return dns_put_refusal(out, cap, msg, DNS_FORMERR);
    case DNS_OURS:
        break;
    }
    if (dns_get_edns(msg, len, &q, &e))
        return dns_put_refusal(out, cap, msg, msg[2] & DNS_OPCODE >> 8 ? DNS_NOTIMP : DNS_FORMERR);
    f.rcode = refusal(msg, &q, &e);
    if (f.rcode == DNS_NOERROR)
        look_up(n, &q, &f);
    return dns_put_reply(out, cap, msg, &q, &e, &f, &records);
}

bool stub_stream_is_dns(const uint8_t *bytes, size_t len)
{
    enum { LENGTH = 2, FLAGS = LENGTH + 2, COUNT = FLAGS + 2 };
    struct reader r = reader_of(bytes, len);
    uint16_t frame = get_u16(&r);
    if (len >= LENGTH && frame < DNS_HEADER_LEN)
        return false;
    (void)get_u16(&r);
    uint8_t flags = get_u8(&r);
    if (len > FLAGS && (flags & 0x80 || (flags >> 3 & 15) > 6)) /* a reply; opcodes end with 6 (RFC 8490) */
        return false;
    uint8_t more = get_u8(&r);
    if (len > FLAGS + 1 && more & 0x4f) /* no query has the bit that must be zero, or a code */
        return false;
    uint16_t questions = get_u16(&r);
    return len < COUNT + 2 || questions <= 16;
}
