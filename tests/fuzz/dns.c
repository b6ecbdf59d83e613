/* Any bytes at the stub: nothing is read or written outside, a reply is whole, repeats the id and never leaves a name of ours to a server.
 *
 * The first byte says whether the rest comes as it is, or with a question about an overlay name in front. */
#include "daemon/dns/stub.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool claims(void *ctx, const char *name)
{
    (void)ctx;
    return dns_name_in(name, "i3", true) || strchr(name, 'x');
}

static void find(void *ctx, const char *name, struct dns_facts *f)
{
    size_t n = strlen(name);
    (void)ctx;
    require(n && n <= DNS_NAME_MAX && claims(NULL, name));
    f->rcode = n % 3 == 2 ? DNS_NXDOMAIN : DNS_NOERROR;
    f->a = addr_v4(0x0a010203, 0);
    f->a6 = addr_v6((const uint8_t *)"\xfd\x69\x33\0\0\1\0\0\0\0\0\0\0\0\0\2", 0);
}

static bool is_virtual(void *ctx, const struct addr *a)
{
    (void)ctx;
    require(a->family == 4 || a->family == 6);
    return a->ip[0] == 10 || addr_has_prefix6(a);
}

static void reverse(void *ctx, const struct addr *a, struct dns_facts *f)
{
    (void)ctx;
    memcpy(f->ptr, "bob.i3", 7);
    f->rcode = a->ip[3] & 1 ? DNS_NXDOMAIN : DNS_NOERROR;
}

/* A reply is a message of its own: its questions and records end where it ends. */
static void whole(const uint8_t *msg, size_t len)
{
    struct reader r = reader_of(msg, len);
    struct dns_question q;
    (void)get_span(&r, 4);
    unsigned questions = get_u16(&r), records = get_u16(&r);
    records += get_u16(&r);
    records += get_u16(&r);
    require(msg[2] & 0x80 && questions <= 1 && records <= 4);
    while (questions--)
        dns_get_question(&r, msg, &q);
    while (records--) {
        dns_skip_name(&r);
        (void)get_span(&r, 8);
        (void)get_span(&r, get_u16(&r));
    }
    require(reader_done(&r));
}

static void one(const uint8_t *msg, size_t len)
{
    static const struct stub_names names = {"i3", claims, find, is_virtual, reverse, NULL};
    uint8_t *exact = malloc(len ? len : 1), *out = malloc(DNS_REPLY_MAX);
    memcpy(exact, msg, len);
    size_t n = stub_answer(&names, exact, len, out, DNS_REPLY_MAX);
    if (n) {
        require(n >= DNS_HEADER_LEN && n <= DNS_REPLY_MAX && !memcmp(out, exact, 2));
        whole(out, n);
    }
    stub_stream_is_dns(exact, len);
    for (size_t cap = n ? n - 1 : 0; cap > 0 && cap + 4 > n; cap--)
        require(!n || stub_answer(&names, exact, len, out, cap) == 0);
    free(out);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t made[DNS_QUERY_MAX + 512];
    if (size < 1 || size > 4096)
        return 0;
    one(data + 1, size - 1);
    if (!(data[0] & 1) || size > 512)
        return 0;
    size_t n = dns_put_query(made, 7, data[0] & 2 ? "Bob.i3" : "4.3.2.10.in-addr.arpa", DNS_IN, data[0] >> 2);
    memcpy(made + n, data + 1, size - 1);
    made[11] = size > 1 ? data[1] & 3 : 0;
    one(made, n + size - 1);
    return 0;
}
