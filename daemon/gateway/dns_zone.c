#include "daemon/gateway/dns_zone.h"

#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

enum { HEADER = 12, NAME_MAX_TEXT = 255, EDNS_OLDEST = 512 };

struct dns_zone {
    ldns_rdf *apex;
    ldns_rr *soa;
    ldns_rr_list *ns;
    struct addr host[DNS_ZONE_HOST_MAX];
    unsigned n_host;
};

/* ---- records ---- */

static ldns_rr *record(ldns_rdf *owner, ldns_rr_type type, uint32_t ttl)
{
    ldns_rr *rr = ldns_rr_new();
    if (!rr)
        return NULL;
    ldns_rr_set_owner(rr, ldns_rdf_clone(owner));
    ldns_rr_set_type(rr, type);
    ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, ttl);
    return rr;
}

static bool push(ldns_rr *rr, ldns_rdf *f)
{
    return f && ldns_rr_push_rdf(rr, f);
}

static ldns_rdf *name_of(const char *s)
{
    return ldns_dname_new_frm_str(s);
}

static ldns_rdf *int32_of(uint32_t v)
{
    return ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, v);
}

static ldns_rr *soa_new(ldns_rdf *apex, const struct dns_zone_config *c)
{
    static const uint32_t refresh = 3600, retry = 600, expire = 86400;
    ldns_rr *rr = record(apex, LDNS_RR_TYPE_SOA, DNS_ZONE_NEGATIVE_TTL);
    if (rr && push(rr, name_of(c->ns[0])) && push(rr, name_of(c->mail)) && push(rr, int32_of(c->serial)) && push(rr, int32_of(refresh)) &&
        push(rr, int32_of(retry)) && push(rr, int32_of(expire)) && push(rr, int32_of(DNS_ZONE_NEGATIVE_TTL)))
        return rr;
    ldns_rr_free(rr);
    return NULL;
}

static bool push_ns(ldns_rr_list *list, ldns_rdf *apex, const char *name)
{
    ldns_rr *rr = record(apex, LDNS_RR_TYPE_NS, DNS_ZONE_TTL);
    if (rr && push(rr, name_of(name)) && ldns_rr_list_push_rr(list, rr))
        return true;
    ldns_rr_free(rr);
    return false;
}

void dns_zone_free(struct dns_zone *z)
{
    if (!z)
        return;
    ldns_rdf_deep_free(z->apex);
    ldns_rr_free(z->soa);
    ldns_rr_list_deep_free(z->ns);
    free(z);
}

struct dns_zone *dns_zone_new(const struct dns_zone_config *c)
{
    struct dns_zone *z = calloc(1, sizeof(*z));
    if (!z)
        return NULL;
    z->apex = name_of(c->zone);
    z->ns = ldns_rr_list_new();
    z->soa = z->apex ? soa_new(z->apex, c) : NULL;
    bool ok = z->soa && z->ns;
    for (unsigned i = 0; ok && i < c->n_ns; i++)
        ok = push_ns(z->ns, z->apex, c->ns[i]);
    memcpy(z->host, c->host, sizeof(z->host));
    z->n_host = c->n_host;
    if (ok)
        return z;
    dns_zone_free(z);
    return NULL;
}

/* ---- answers ---- */

struct answer {
    const struct dns_zone *z;
    const struct dns_zone_names *names;
    ldns_rdf *qname;
    ldns_rr_type type;
    ldns_pkt *pkt;
};

/* The name's letters before the zone, lower case; false: it has bytes that no name of ours has. */
static bool bare_name(const struct answer *a, char out[NAME_MAX_TEXT + 1])
{
    const uint8_t *w = ldns_rdf_data(a->qname);
    size_t n = ldns_rdf_size(a->qname) - ldns_rdf_size(a->z->apex), len = 0;
    for (size_t at = 0; at < n;) {
        unsigned label = w[at++];
        if (len)
            out[len++] = '.';
        for (unsigned i = 0; i < label && at < n; i++, at++) {
            char c = (char)(w[at] >= 'A' && w[at] <= 'Z' ? w[at] + 32 : w[at]);
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
                return false;
            out[len++] = c;
        }
    }
    out[len] = '\0';
    return true;
}

static void push_address(struct answer *a, const struct addr *ip, uint32_t ttl)
{
    bool six = ip->family == 6;
    ldns_rr *rr = record(a->qname, six ? LDNS_RR_TYPE_AAAA : LDNS_RR_TYPE_A, ttl);
    if (rr && push(rr, ldns_rdf_new_frm_data(six ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A, six ? 16 : 4, ip->ip)) &&
        ldns_pkt_push_rr(a->pkt, LDNS_SECTION_ANSWER, rr))
        return;
    ldns_rr_free(rr);
}

static void push_soa(struct answer *a, ldns_pkt_section section)
{
    ldns_rr *rr = ldns_rr_clone(a->z->soa);
    if (!rr)
        return;
    if (section == LDNS_SECTION_ANSWER)
        ldns_rr_set_ttl(rr, DNS_ZONE_TTL);
    if (!ldns_pkt_push_rr(a->pkt, section, rr))
        ldns_rr_free(rr);
}

static void refuse(struct answer *a, ldns_pkt_rcode rcode)
{
    ldns_pkt_set_aa(a->pkt, rcode == LDNS_RCODE_NXDOMAIN || rcode == LDNS_RCODE_NOERROR);
    ldns_pkt_set_rcode(a->pkt, rcode);
}

/* To whoever asks for everything: something (RFC 8482). */
static void push_any(struct answer *a)
{
    ldns_rr *rr = record(a->qname, LDNS_RR_TYPE_HINFO, 0);
    if (rr && push(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, 8, "\7RFC8482")) && push(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, 1, "\0")) &&
        ldns_pkt_push_rr(a->pkt, LDNS_SECTION_ANSWER, rr))
        return;
    ldns_rr_free(rr);
}

/* The addresses of a name server that is below the zone; false: the name is none. */
static bool answer_host(struct answer *a, uint8_t family)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(a->z->ns); i++) {
        if (ldns_dname_compare(a->qname, ldns_rr_rdf(ldns_rr_list_rr(a->z->ns, i), 0)) != 0)
            continue;
        for (unsigned k = 0; k < a->z->n_host; k++)
            if (a->z->host[k].family == family)
                push_address(a, &a->z->host[k], DNS_ZONE_TTL);
        return true;
    }
    return false;
}

static void answer_apex(struct answer *a)
{
    if (a->type == LDNS_RR_TYPE_SOA)
        push_soa(a, LDNS_SECTION_ANSWER);
    else if (a->type == LDNS_RR_TYPE_ANY)
        push_any(a);
    for (size_t i = 0; a->type == LDNS_RR_TYPE_NS && i < ldns_rr_list_rr_count(a->z->ns); i++)
        ldns_pkt_push_rr(a->pkt, LDNS_SECTION_ANSWER, ldns_rr_clone(ldns_rr_list_rr(a->z->ns, i)));
}

static void answer_below(struct answer *a)
{
    char name[NAME_MAX_TEXT + 1];
    struct addr v[DNS_ZONE_ADDRESSES];
    uint8_t family = a->type == LDNS_RR_TYPE_A ? 4 : a->type == LDNS_RR_TYPE_AAAA ? 6 : 0;
    unsigned n = 0;
    enum dns_zone_found found = DNS_ZONE_NO_NAME;
    if (bare_name(a, name))
        found = a->names->find(a->names->ctx, name, family, v, &n);
    bool host = found == DNS_ZONE_NO_NAME && answer_host(a, family);
    if (found == DNS_ZONE_NO_NAME && !host)
        refuse(a, LDNS_RCODE_NXDOMAIN);
    else if (found == DNS_ZONE_BUSY)
        refuse(a, LDNS_RCODE_SERVFAIL);
    else if (a->type == LDNS_RR_TYPE_ANY)
        push_any(a);
    for (unsigned i = 0; found == DNS_ZONE_FOUND && i < n; i++)
        push_address(a, &v[i], 0);
}

static void answer_question(struct answer *a, const ldns_rr *q)
{
    if (ldns_rr_get_class(q) != LDNS_RR_CLASS_IN || a->type == LDNS_RR_TYPE_AXFR || a->type == LDNS_RR_TYPE_IXFR) {
        refuse(a, LDNS_RCODE_REFUSED);
        return;
    }
    bool apex = ldns_dname_compare(a->qname, a->z->apex) == 0;
    if (!apex && !ldns_dname_is_subdomain(a->qname, a->z->apex)) {
        refuse(a, LDNS_RCODE_REFUSED);
        return;
    }
    ldns_pkt_set_aa(a->pkt, true);
    if (apex)
        answer_apex(a);
    else
        answer_below(a);
    ldns_pkt_rcode rcode = ldns_pkt_get_rcode(a->pkt);
    if (!ldns_pkt_ancount(a->pkt) && (rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN))
        push_soa(a, LDNS_SECTION_AUTHORITY);
}

/* ---- messages ---- */

static uint16_t field(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* What can be said to a question that cannot be read. */
static size_t bare_answer(const uint8_t *query, uint8_t rcode, uint8_t flags, uint8_t *out, size_t cap)
{
    if (cap < HEADER)
        return 0;
    memset(out, 0, HEADER);
    memcpy(out, query, 2);
    out[2] = (uint8_t)(0x80 | (query[2] & 0x79) | flags); /* QR; opcode and RD as they came */
    out[3] = rcode;
    return HEADER;
}

size_t dns_zone_slip(const uint8_t *query, size_t len, uint8_t *out, size_t cap)
{
    if (len < HEADER || query[2] & 0x80)
        return 0;
    return bare_answer(query, 0, 2, out, cap);
}

static size_t write_out(const ldns_pkt *pkt, uint8_t *out, size_t cap)
{
    uint8_t *wire = NULL;
    size_t n = 0;
    if (ldns_pkt2wire(&wire, pkt, &n) != LDNS_STATUS_OK || n > cap)
        n = 0;
    if (n)
        memcpy(out, wire, n);
    free(wire);
    return n;
}

static void drop_all(ldns_pkt *pkt)
{
    ldns_rr *rr;
    while ((rr = ldns_rr_list_pop_rr(ldns_pkt_answer(pkt))))
        ldns_rr_free(rr);
    while ((rr = ldns_rr_list_pop_rr(ldns_pkt_authority(pkt))))
        ldns_rr_free(rr);
    ldns_pkt_set_ancount(pkt, 0);
    ldns_pkt_set_nscount(pkt, 0);
}

/* The room that the asker has. */
static size_t room_of(const ldns_pkt *query, bool tcp, size_t cap)
{
    size_t says = ldns_pkt_edns(query) ? ldns_pkt_edns_udp_size(query) : 0;
    size_t room = tcp ? DNS_ZONE_TCP_MAX : says < EDNS_OLDEST ? EDNS_OLDEST : says > DNS_ZONE_UDP_MAX ? DNS_ZONE_UDP_MAX : says;
    return room < cap ? room : cap;
}

static size_t answer_read(const struct dns_zone *z, const struct dns_zone_names *names, const ldns_pkt *query, bool tcp, uint8_t *out, size_t cap,
    struct dns_zone_outcome *what)
{
    ldns_rr *q = ldns_rr_list_rr(ldns_pkt_question(query), 0);
    struct answer a = {z, names, ldns_rr_owner(q), ldns_rr_get_type(q), ldns_pkt_new()};
    ldns_rr *copy = ldns_rr_clone(q);
    if (!a.pkt || !copy || !ldns_pkt_push_rr(a.pkt, LDNS_SECTION_QUESTION, copy)) {
        ldns_rr_free(copy);
        ldns_pkt_free(a.pkt);
        return 0;
    }
    ldns_pkt_set_id(a.pkt, ldns_pkt_id(query));
    ldns_pkt_set_qr(a.pkt, true);
    ldns_pkt_set_rd(a.pkt, ldns_pkt_rd(query));
    bool newer = ldns_pkt_edns(query) && ldns_pkt_edns_version(query);
    if (ldns_pkt_edns(query))
        ldns_pkt_set_edns_udp_size(a.pkt, DNS_ZONE_UDP_MAX);
    if (newer) /* BADVERS: 16 */
        ldns_pkt_set_edns_extended_rcode(a.pkt, 1);
    else
        answer_question(&a, q);
    size_t room = room_of(query, tcp, cap), n = write_out(a.pkt, out, room);
    what->rcode = newer ? 16 : (uint8_t)ldns_pkt_get_rcode(a.pkt);
    what->truncated = !n;
    if (!n) {
        drop_all(a.pkt);
        ldns_pkt_set_tc(a.pkt, true);
        n = write_out(a.pkt, out, room);
    }
    ldns_pkt_free(a.pkt);
    return n;
}

size_t dns_zone_answer(const struct dns_zone *z, const struct dns_zone_names *names, const uint8_t *query, size_t len, bool tcp, uint8_t *out,
    size_t cap, struct dns_zone_outcome *what)
{
    ldns_pkt *pkt = NULL;
    size_t n;
    *what = (struct dns_zone_outcome){0};
    if (len < HEADER || len > DNS_ZONE_QUERY_MAX || query[2] & 0x80)
        return 0;
    unsigned opcode = query[2] >> 3 & 15;
    if (opcode || field(query + 4) != 1 || field(query + 6) || field(query + 8) || field(query + 10) > 2) {
        what->rcode = opcode ? LDNS_RCODE_NOTIMPL : LDNS_RCODE_FORMERR;
        return bare_answer(query, what->rcode, 0, out, cap);
    }
    if (ldns_wire2pkt(&pkt, query, len) != LDNS_STATUS_OK || ldns_pkt_qdcount(pkt) != 1 || !ldns_rr_list_rr(ldns_pkt_question(pkt), 0)) {
        what->rcode = LDNS_RCODE_FORMERR;
        n = bare_answer(query, LDNS_RCODE_FORMERR, 0, out, cap);
    } else {
        n = answer_read(z, names, pkt, tcp, out, cap, what);
    }
    ldns_pkt_free(pkt);
    return n;
}
