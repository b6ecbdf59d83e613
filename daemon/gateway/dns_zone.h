/* dns_zone.h - the authoritative server of one zone: a question in, an answer out (RFC 1034, 1035, 2308, 6891, 8482). libldns reads and
 * builds the messages.
 *
 *     i3.example.org        SOA, NS
 *     foo.i3.example.org    A, AAAA with TTL 0: whoever asks again is told again   dns_zone_names.find()
 *     anything else below   NXDOMAIN, with the SOA for who keeps that in mind
 *     anything outside      REFUSED
 *
 * A question is answered in the letters in which it came (its case is the asker's proof that it was heard). Nothing is recursed for. Cookies and
 * other options of EDNS are not looked at. Bounds: a question of DNS_ZONE_QUERY_MAX bytes; an answer of DNS_ZONE_UDP_MAX by a
 * datagram, or less when the asker says so, else TC; DNS_ZONE_ADDRESSES of them. Pure, but for memory that libldns takes and gives back.
 */
#ifndef I3_DNS_ZONE_H
#define I3_DNS_ZONE_H

#include <stddef.h>

#include "include/addr.h"

enum { DNS_ZONE_QUERY_MAX = 4096, DNS_ZONE_UDP_MAX = 1232, DNS_ZONE_TCP_MAX = 4096, DNS_ZONE_ADDRESSES = 8, DNS_ZONE_NS_MAX = 4, DNS_ZONE_HOST_MAX = 16 };

enum { DNS_ZONE_NEGATIVE_TTL = 10, DNS_ZONE_TTL = 3600 };

struct dns_zone;

struct dns_zone_config {
    const char *zone, *mail; /* no dots at their ends; mail as a name: hostmaster.example.org */
    const char *ns[DNS_ZONE_NS_MAX];
    unsigned n_ns; /* at least 1 */
    uint32_t serial;
    struct addr host[DNS_ZONE_HOST_MAX]; /* addresses of those name servers that are below the zone */
    unsigned n_host;
};

/* NULL: out of memory, or a name that is none. */
struct dns_zone *dns_zone_new(const struct dns_zone_config *c);
void dns_zone_free(struct dns_zone *z);

enum dns_zone_found { DNS_ZONE_FOUND, DNS_ZONE_NO_NAME, DNS_ZONE_BUSY /* SERVFAIL: later it may be otherwise */ };

struct dns_zone_names {
    /* name: below the zone and without it, lower case. family 4, 6: *n addresses (0: there is none of that family); 0: it is asked only whether the
     * name is there, or something below it. */
    enum dns_zone_found (*find)(void *ctx, const char *name, uint8_t family, struct addr out[DNS_ZONE_ADDRESSES], unsigned *n);
    void *ctx;
};

struct dns_zone_outcome {
    uint8_t rcode;
    bool truncated;
};

/* The answer's length; 0: there is none, as it was no question. cap: what the way takes. */
size_t dns_zone_answer(const struct dns_zone *z, const struct dns_zone_names *names, const uint8_t *query, size_t len, bool tcp, uint8_t *out,
    size_t cap, struct dns_zone_outcome *what);
/* The shortest answer, with TC: never longer than the question. */
size_t dns_zone_slip(const uint8_t *query, size_t len, uint8_t *out, size_t cap);

#endif
