/* A member of a ring against a world that knows the ring's secret and says what it likes: each step is a message made of the input's
 * bytes (the mac is put right), or time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/node/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[BLAKE2S_LEN] = {7};

/* The bytes as a message from one of four nodes, to us, with a mac. */
static size_t make(uint8_t *p, const uint8_t *bytes, size_t n, const struct addr *from)
{
    uint8_t mac[BLAKE2S_LEN];
    memcpy(p, bytes, n);
    p[0] = WIRE_VERSION << 4 | WIRE_RING;
    if (n > 28) {
        memset(p + 12, 0, ID_PREFIX_LEN);
        struct writer w = writer_of(p + 28, n - 28);
        put_addr(&w, from);
    }
    hmac_blake2s(mac, (struct bytes){secret, sizeof(secret)}, &(struct bytes){p, n}, 1);
    memcpy(p + n, mac, MAC_LEN);
    return n + MAC_LEN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_config nc;
    struct ring_config rc;
    mono_t now = {USEC_PER_SEC};
    struct outbox *out = calloc(1, sizeof(*out));
    node_config_default(&nc);
    nc.triggers_max = 64;
    ring_config_default(&rc);
    memcpy(rc.secret, secret, sizeof(secret));
    rc.self = addr_v4(0x7f000001, 5610);
    rc.n_seeds = 1;
    rc.seeds[0] = addr_v4(0x7f000002, 5610);
    struct node *n = node_new(&nc, now);
    if (!out || !n || node_join(n, now, &rc))
        abort();
    while (size >= 3) {
        struct addr from = addr_v4(0x7f000002u + (data[0] & 3), 5610);
        size_t len = data[2];
        now = mono_add(now, (uint64_t)data[1] * 10000);
        bool raw = data[0] & 0x80;
        data += 3, size -= 3;
        len = len * 4 < size ? len * 4 : size;
        uint8_t p[2048];
        if (len) {
            size_t made = len;
            if (raw)
                memcpy(p, data, len);
            else
                made = make(p, data, len, &from);
            node_input(n, now, &from, p, made, out);
        }
        node_run(n, now, out);
        outbox_clear(out);
        data += len, size -= len;
    }
    node_free(n);
    free(out);
    return 0;
}
