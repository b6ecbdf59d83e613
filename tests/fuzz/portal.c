/* Any bytes at the portal: HTTP heads, bodies and answers, ClientHellos, DNS questions. The first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "daemon/gateway/dns_zone.h"
#include "daemon/gateway/http_gate.h"
#include "daemon/gateway/tls_sni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static enum dns_zone_found find(void *ctx, const char *name, uint8_t family, struct addr out[DNS_ZONE_ADDRESSES], unsigned *n)
{
    (void)ctx;
    require(strlen(name) && strlen(name) < 256);
    *n = family ? strlen(name) % DNS_ZONE_ADDRESSES : 0;
    for (unsigned i = 0; i < *n; i++)
        out[i] = (struct addr){.family = family};
    return strlen(name) % 3;
}

static void dns(const uint8_t *data, size_t size, bool tcp)
{
    static const struct dns_zone_names names = {find, NULL};
    static struct dns_zone *z;
    struct dns_zone_config c = {.zone = "z", .mail = "m", .ns = {"n.z"}, .n_ns = 1, .host = {addr_v4(1, 0)}, .n_host = 1};
    uint8_t out[DNS_ZONE_TCP_MAX];
    struct dns_zone_outcome what;
    z = z ? z : dns_zone_new(&c);
    size_t n = dns_zone_answer(z, &names, data, size, tcp, out, tcp ? sizeof(out) : DNS_ZONE_UDP_MAX, &what);
    require(n <= (tcp ? DNS_ZONE_TCP_MAX : DNS_ZONE_UDP_MAX));
    require(!n || (n >= 12 && !memcmp(out, data, 2) && out[2] & 0x80 && !(out[3] & 0x80)));
    n = dns_zone_slip(data, size, out, sizeof(out));
    require(n <= size);
}

/* The same talk in two ways of cutting it up: what has passed must be the same. */
static size_t talk(const uint8_t *data, size_t size, size_t piece, int *state)
{
    struct http_gate g;
    struct http_head first = {.host = "a"};
    size_t passed = 0, have = 0;
    http_gate_init(&g, &first);
    while (have < size && g.state != GATE_SHUT) {
        have = have + piece < size ? have + piece : size;
        for (size_t n = 1; n;) {
            n = http_gate_admit(&g, (const char *)data + passed, have - passed);
            require(n <= have - passed);
            passed += n;
        }
    }
    *state = g.state == GATE_SHUT ? g.status : 0;
    return passed;
}

static void http(const uint8_t *data, size_t size)
{
    struct http_head h;
    int one, other;
    int err = http_request_parse((const char *)data, size, &h);
    require(err || (h.len && h.len <= size && h.host[0]));
    size_t a = talk(data, size, size ? size : 1, &one), b = talk(data, size, 1 + size % 7, &other);
    require(one == other && (a == b || one == 400)); /* of a body that is nonsense, what came before it was known to be may have passed */
}

static void answers(const uint8_t *data, size_t size)
{
    struct http_answer a = {0};
    bool done;
    for (size_t at = 0; at < size && a.state < ANSWER_OPAQUE;) {
        size_t n = http_answer_eat(&a, data[at] % 3, data[at] & 1, (const char *)data + at, size - at, &done);
        require(n && n <= size - at);
        at += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[TLS_NAME_MAX + 1];
    if (size < 1 || size > 8192)
        return 0;
    uint8_t *exact = malloc(size);
    memcpy(exact, data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        http(exact, size - 1);
        break;
    case 1:
        answers(exact, size - 1);
        break;
    case 2:
        if (!tls_sni(exact, size - 1, name))
            require(name[0] && strlen(name) <= TLS_NAME_MAX);
        break;
    default:
        dns(exact, size - 1, data[0] % 5 == 4);
        break;
    }
    free(exact);
    return 0;
}
