/* dns.h - DNS messages as far as we answer them (RFC 1035, EDNS of RFC 6891): questions about overlay names and virtual addresses,
 * read and answered alike by the library (shim/hooks/resolver.c) and by the daemon's stub (daemon/dns/stub.h).
 *
 *   NAME.i3                A, AAAA, ANY   anything else: the name exists and has no such data (NODATA)
 *   D.C.B.A.in-addr.arpa   PTR            of a virtual address; ... .ip6.arpa likewise
 *
 * Time to live 0, since a mapping is the daemon's to change. An answer without records has the SOA of its zone: the suffix, or the
 * network of the address. It is no server: one question, no zone, no cache. The longest reply (a PTR of 253 bytes, or both
 * addresses) stays below 700 bytes, the question's own 260 included: DNS_REPLY_MAX.
 *
 *     0      2      4     6     8     10    12
 *   +------+------+-----+-----+-----+-----+----------- ...
 *   |  id  | flags|  qd |  an |  ns |  ar | questions, then records
 *   +------+------+-----+-----+-----+-----+----------- ...
 *
 * Names as text have no dot at the end and keep their case. A byte in a label which no overlay name has (a dot, NUL, ...) is
 * shown as '?', so that such a name is found nowhere and yet ends as it does.
 */
#ifndef I3_DNS_H
#define I3_DNS_H

#include "include/addr.h"
#include "include/bytes.h"

enum {
    DNS_PORT = 53,
    DNS_HEADER_LEN = 12,
    DNS_NAME_MAX = 253, /* as text */
    DNS_LABEL_MAX = 63,
    DNS_REPLY_MAX = 768,
    DNS_QUERY_MAX = DNS_HEADER_LEN + DNS_NAME_MAX + 2 + 4, /* of dns_put_query() */
    DNS_EDNS_SIZE = 1232,                                  /* what we say that we take */
    DNS_EDNS_OLD = 512,
};

enum dns_type { DNS_A = 1, DNS_SOA = 6, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_IXFR = 251, DNS_AXFR = 252, DNS_ANY = 255 };
enum dns_class { DNS_IN = 1, DNS_CLASS_ANY = 255 };
enum dns_rcode {
    DNS_NOERROR,
    DNS_FORMERR,
    DNS_SERVFAIL,
    DNS_NXDOMAIN,
    DNS_NOTIMP,
    DNS_REFUSED,
    DNS_BADVERS = 16,
};
enum dns_flags {
    DNS_QR = 0x8000,
    DNS_OPCODE = 0x7800,
    DNS_AA = 0x0400,
    DNS_RD = 0x0100,
    DNS_RA = 0x0080,
    DNS_CD = 0x0010,
    DNS_DO = 0x8000, /* of an OPT record */
};

/* Browsers ask for it before they turn DNS over HTTPS on by themselves; where it does not exist they leave it off, and so keep
 * asking the system, and thus us. */
#define DNS_CANARY "use-application-dns.net"

struct dns_question {
    char name[DNS_NAME_MAX + 1];
    unsigned labels;
    uint16_t type, class;
    size_t end; /* of the question, from the beginning of the message */
};

struct dns_edns {
    bool present, dnssec_ok;
    uint8_t version;
};

/* What there is to say about a name. */
struct dns_facts {
    enum dns_rcode rcode;
    struct addr a, a6;           /* none: no such record */
    char ptr[DNS_NAME_MAX + 1];  /* "": likewise */
    unsigned zone;               /* so many of the name's last labels are the zone, 0: all of them */
};

/* ---- names ---- */

static inline char dns_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* `name` is `zone`, or (if `below`) lies in it; no dots at the ends. */
static inline bool dns_name_in(const char *name, const char *zone, bool below)
{
    size_t n = strlen(name), z = strlen(zone);
    if (n < z || (n > z && (!below || name[n - z - 1] != '.')))
        return false;
    for (size_t i = 0; i < z; i++)
        if (dns_lower(name[n - z + i]) != dns_lower(zone[i]))
            return false;
    return true;
}

/* ---- zones: the suffixes of all overlays in one string, "i3 work.i3 corp", without dots at their ends ---- */

enum { DNS_ZONES_MAX = 8 * 64 };

/* The next zone of the list into `zone`; false: there is none. */
static inline bool dns_zone_next(const char **zones, char zone[DNS_NAME_MAX + 1])
{
    size_t n = 0;
    while (**zones == ' ')
        ++*zones;
    for (; **zones && **zones != ' ' && n < DNS_NAME_MAX; ++*zones)
        zone[n++] = **zones;
    zone[n] = '\0';
    return n;
}

static inline unsigned dns_labels(const char *name)
{
    unsigned n = *name != 0;
    for (; *name; name++)
        n += *name == '.';
    return n;
}

/* How many labels the longest of the zones has which `name` is, or (if `below`) lies in; 0: it is in none. */
static inline unsigned dns_zone_of(const char *name, const char *zones, bool below)
{
    char zone[DNS_NAME_MAX + 1];
    unsigned best = 0;
    while (dns_zone_next(&zones, zone)) {
        unsigned n = dns_labels(zone);
        if (n > best && dns_name_in(name, zone, below))
            best = n;
    }
    return best;
}

/* Uncompressed, as names of questions are. */
static inline void dns_get_name(struct reader *r, char out[DNS_NAME_MAX + 1], unsigned *labels)
{
    size_t n = 0;
    *labels = 0;
    for (uint8_t len; (len = get_u8(r)) != 0; ++*labels) {
        const uint8_t *p = len <= DNS_LABEL_MAX ? get_span(r, len) : NULL;
        if (!p || n + (n > 0) + len > DNS_NAME_MAX) {
            r->failed = true;
            break;
        }
        if (n)
            out[n++] = '.';
        for (; len; len--, p++)
            out[n++] = (char)(*p > ' ' && *p < 127 && *p != '.' ? *p : '?');
    }
    out[n] = '\0';
}

/* A dot at the end may be there. */
static inline void dns_put_name(struct writer *w, const char *name)
{
    while (*name) {
        size_t n = 0;
        while (name[n] && name[n] != '.')
            n++;
        if (n < 1 || n > DNS_LABEL_MAX)
            w->failed = true;
        put_u8(w, (uint8_t)n);
        put_bytes(w, name, n);
        name += n + (name[n] == '.');
    }
    put_u8(w, 0);
}

/* Past a name in a record, compressed or not. */
static inline void dns_skip_name(struct reader *r)
{
    uint8_t len;
    while ((len = get_u8(r)) != 0 && len < 0xc0)
        if (len > DNS_LABEL_MAX || !get_span(r, len))
            r->failed = true;
    if (len >= 0xc0)
        (void)get_u8(r);
}

/* "4.3.2.10." and the like: n numbers of base 10 (4 of them) or single hex digits (32), the last one first. */
static inline bool dns_address_labels(const char *s, int n, uint8_t *out)
{
    for (int i = n - 1; i >= 0; i--) {
        unsigned v = 0, digits = 0, base = n == 4 ? 10 : 16;
        for (; *s && *s != '.'; s++, digits++) {
            unsigned c = (unsigned char)*s, d = c - '0' < 10 ? c - '0' : base == 16 && (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 99;
            if (d >= base || digits == (base == 10 ? 3 : 1))
                return false;
            v = v * base + d;
        }
        if (!digits || v > 255 || *s++ != '.')
            return false;
        out[i] = (uint8_t)v;
    }
    return true;
}

/* The address which a name under .arpa stands for. */
static inline bool dns_parse_reverse(const char *name, struct addr *a)
{
    static const char tail4[] = "in-addr.arpa", tail6[] = "ip6.arpa";
    uint8_t part[32];
    char labels[65] = "";
    size_t len = strlen(name), n = len - (sizeof(tail4) - 1);
    memset(a, 0, sizeof(*a));
    if (len < 128 && dns_name_in(name, tail4, true) && n < 17) {
        memcpy(labels, name, n);
        a->family = 4;
        return dns_address_labels(labels, 4, part) && memcpy(a->ip, part, 4);
    }
    if (len != 64 + sizeof(tail6) - 1 || !dns_name_in(name, tail6, true))
        return false;
    memcpy(labels, name, 64);
    if (!dns_address_labels(labels, 32, part))
        return false;
    a->family = 6;
    for (int i = 0; i < 16; i++)
        a->ip[i] = (uint8_t)(part[2 * i] << 4 | part[2 * i + 1]);
    return true;
}

/* ---- questions ---- */

static inline void dns_get_question(struct reader *r, const uint8_t *msg, struct dns_question *q)
{
    dns_get_name(r, q->name, &q->labels);
    q->type = get_u16(r);
    q->class = get_u16(r);
    q->end = r->failed ? 0 : (size_t)(r->at - msg);
}

enum dns_look { DNS_THEIRS /* none of our affair */, DNS_OURS, DNS_BAD /* ours, and not to be understood */ };

/* The bytes of a name stand somewhere in the message. */
static inline bool dns_mentions_one(const uint8_t *msg, size_t len, const char *zone)
{
    uint8_t wire[DNS_NAME_MAX + 2];
    struct writer w = writer_of(wire, sizeof(wire));
    dns_put_name(&w, zone);
    size_t n = writer_len(&w) - 1; /* the end of the name may be what is missing */
    for (size_t at = 0; writer_ok(&w) && at + n <= len; at++) {
        size_t i = 0;
        while (i < n && dns_lower((char)msg[at + i]) == dns_lower((char)wire[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

/* Those of one of the zones. */
static inline bool dns_mentions(const uint8_t *msg, size_t len, const char *zones)
{
    char zone[DNS_NAME_MAX + 1];
    bool found = false;
    while (!found && dns_zone_next(&zones, zone))
        found = dns_mentions_one(msg, len, zone);
    return found;
}

/* Whose a message on its way to a DNS server is. OURS: its one question is in *q, and `ours` has said yes to the name. BAD: a
 * question of ours beside others, or one which cannot be read, and one of the zones is in it: it must not leave the host either. */
static inline enum dns_look dns_look(const uint8_t *msg, size_t len, const char *zones, bool (*ours)(void *ctx, const char *name), void *ctx,
    struct dns_question *q)
{
    struct reader r = reader_of(msg, len);
    (void)get_u16(&r);
    uint16_t flags = get_u16(&r), n = get_u16(&r);
    (void)get_span(&r, 6);
    if (r.failed || flags & DNS_QR)
        return DNS_THEIRS;
    for (unsigned i = 0; i < n; i++) {
        dns_get_question(&r, msg, q);
        if (r.failed)
            return dns_mentions(msg + DNS_HEADER_LEN, len - DNS_HEADER_LEN, zones) ? DNS_BAD : DNS_THEIRS;
        if (ours(ctx, q->name))
            return n == 1 ? DNS_OURS : DNS_BAD;
    }
    return DNS_THEIRS;
}

/* What follows the question: records which are of no interest but for EDNS. 0 or -1. */
static inline int dns_get_edns(const uint8_t *msg, size_t len, const struct dns_question *q, struct dns_edns *e)
{
    struct reader r = reader_of(msg, len);
    (void)get_span(&r, 6);
    unsigned records = get_u16(&r);
    records += get_u16(&r);
    records += get_u16(&r);
    memset(e, 0, sizeof(*e));
    (void)get_span(&r, q->end - DNS_HEADER_LEN);
    for (; records && !r.failed; records--) {
        bool root = reader_left(&r) && !*r.at;
        dns_skip_name(&r);
        uint16_t type = get_u16(&r);
        (void)get_u16(&r);
        uint32_t ttl = get_u32(&r);
        (void)get_span(&r, get_u16(&r));
        if (r.failed || type != DNS_OPT)
            continue;
        if (e->present || !root)
            return -1;
        *e = (struct dns_edns){true, (ttl & DNS_DO) != 0, (uint8_t)(ttl >> 16)};
    }
    return r.failed ? -1 : 0;
}

/* A query for one name. Returns its length, 0 when that is no name. */
static inline size_t dns_put_query(uint8_t out[DNS_QUERY_MAX], uint16_t id, const char *name, uint16_t class, uint16_t type)
{
    struct writer w = writer_of(out, DNS_QUERY_MAX);
    put_u16(&w, id);
    put_u16(&w, DNS_RD);
    put_u16(&w, 1);
    put_zeros(&w, 6);
    dns_put_name(&w, name);
    put_u16(&w, type);
    put_u16(&w, class);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

/* ---- answers ---- */

/* Its owner is the question's name; data is what `a` or `ptr` hold. */
static inline void dns_put_record(struct writer *w, enum dns_type type, const void *data, size_t len)
{
    enum { NAME_AT_12 = 0xc000 | DNS_HEADER_LEN };
    put_u16(w, NAME_AT_12);
    put_u16(w, (uint16_t)type);
    put_u16(w, DNS_IN);
    put_u32(w, 0); /* time to live */
    put_u16(w, (uint16_t)len);
    put_bytes(w, data, len);
}

static inline unsigned dns_put_records(struct writer *w, const struct dns_question *q, const struct dns_facts *f)
{
    bool in = q->class == DNS_IN || q->class == DNS_CLASS_ANY, any = q->type == DNS_ANY;
    uint8_t name[DNS_NAME_MAX + 2];
    struct writer n = writer_of(name, sizeof(name));
    unsigned records = 0;
    if (in && f->a.family && (any || q->type == DNS_A)) {
        dns_put_record(w, DNS_A, f->a.ip, 4);
        records++;
    }
    if (in && f->a6.family && (any || q->type == DNS_AAAA)) {
        dns_put_record(w, DNS_AAAA, f->a6.ip, 16);
        records++;
    }
    if (in && f->ptr[0] && (any || q->type == DNS_PTR)) {
        dns_put_name(&n, f->ptr);
        dns_put_record(w, DNS_PTR, name, writer_len(&n));
        records++;
    }
    w->failed |= n.failed;
    return records;
}

/* As in RFC 6303 for zones that nobody delegates; names point into the question. */
static inline void dns_put_soa(struct writer *w, const uint8_t *msg, const struct dns_question *q, unsigned zone)
{
    static const uint8_t tail[] = "\6nobody\7invalid\0\0\0\0\1\0\0\16\20\0\0\4\260\0\11\72\200\0\0\0"; /* 1 3600 1200 604800 0 */
    uint16_t at = DNS_HEADER_LEN;
    for (unsigned skip = zone && zone < q->labels ? q->labels - zone : 0; skip; skip--)
        at = (uint16_t)(at + msg[at] + 1);
    put_u16(w, 0xc000 | at);
    put_u16(w, DNS_SOA);
    put_u16(w, DNS_IN);
    put_u32(w, 0);
    put_u16(w, 2 + sizeof(tail));
    put_u16(w, 0xc000 | at);
    put_bytes(w, tail, sizeof(tail));
}

static inline void dns_put_edns(struct writer *w, const struct dns_edns *e, enum dns_rcode rcode)
{
    put_u8(w, 0);
    put_u16(w, DNS_OPT);
    put_u16(w, DNS_EDNS_SIZE);
    put_u8(w, (uint8_t)(rcode >> 4));
    put_u8(w, 0); /* version */
    put_u16(w, e->dnssec_ok ? DNS_DO : 0);
    put_u16(w, 0);
}

static inline void dns_put_header(struct writer *w, const uint8_t *msg, enum dns_rcode rcode, unsigned qd, unsigned an, unsigned ns,
    unsigned ar)
{
    uint16_t asked = (uint16_t)(msg[2] << 8 | msg[3]);
    put_bytes(w, msg, 2);
    put_u16(w, (uint16_t)(DNS_QR | DNS_AA | DNS_RA | (asked & (DNS_OPCODE | DNS_RD | DNS_CD)) | ((unsigned)rcode & 15)));
    put_u16(w, (uint16_t)qd);
    put_u16(w, (uint16_t)an);
    put_u16(w, (uint16_t)ns);
    put_u16(w, (uint16_t)ar);
}

/* The reply to the question *q of `msg`, which is repeated as it stands there. Returns its length, 0 when `cap` is too small; *records:
 * how many it has that answer. */
static inline size_t dns_put_reply(uint8_t *out, size_t cap, const uint8_t *msg, const struct dns_question *q, const struct dns_edns *e,
    const struct dns_facts *f, unsigned *records)
{
    uint8_t data[DNS_REPLY_MAX];
    struct writer d = writer_of(data, sizeof(data)), w = writer_of(out, cap);
    *records = f->rcode == DNS_NOERROR ? dns_put_records(&d, q, f) : 0;
    bool soa = !*records && (f->rcode == DNS_NOERROR || f->rcode == DNS_NXDOMAIN);
    if (soa)
        dns_put_soa(&d, msg, q, f->zone);
    if (e->present)
        dns_put_edns(&d, e, f->rcode);
    dns_put_header(&w, msg, f->rcode, 1, *records, soa, e->present);
    put_bytes(&w, msg + DNS_HEADER_LEN, q->end - DNS_HEADER_LEN);
    put_bytes(&w, data, writer_len(&d));
    return writer_ok(&w) && writer_ok(&d) ? writer_len(&w) : 0;
}

/* To a message which cannot be understood: its header. */
static inline size_t dns_put_refusal(uint8_t *out, size_t cap, const uint8_t *msg, enum dns_rcode rcode)
{
    struct writer w = writer_of(out, cap);
    dns_put_header(&w, msg, rcode, 0, 0, 0, 0);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

#endif
