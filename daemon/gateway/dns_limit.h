/* dns_limit.h - how many answers one network gets: a DNS server is asked by datagrams, whose source may be a lie, and shall not be what floods
 * the one who is lied about.
 *
 * A bucket per network (/24 of IPv4, /56 of IPv6) holds DNS_LIMIT_BURST answers and fills by DNS_LIMIT_RATE a second. When it is empty every
 * second question gets an answer that is as short as a question, with TC: who really asks comes again by TCP, where no source can be a lie.
 * The others get nothing. Pure. Bound: DNS_LIMIT_SLOTS; two networks that share a slot (seeded) share what it has.
 */
#ifndef I3_DNS_LIMIT_H
#define I3_DNS_LIMIT_H

#include "daemon/base/mono.h"
#include "include/addr.h"

enum { DNS_LIMIT_SLOTS = 4096, DNS_LIMIT_RATE = 50, DNS_LIMIT_BURST = 100 };

enum dns_limit_verdict { DNS_LIMIT_ANSWER, DNS_LIMIT_SLIP, DNS_LIMIT_DROP };

struct dns_limit {
    uint64_t seed;
    struct dns_limit_slot {
        mono_t at;
        uint32_t tokens; /* in thousandths */
        bool used, slipped;
    } slot[DNS_LIMIT_SLOTS];
};

void dns_limit_init(struct dns_limit *l, uint64_t seed);
enum dns_limit_verdict dns_limit_ask(struct dns_limit *l, mono_t now, const struct addr *source);

#endif
