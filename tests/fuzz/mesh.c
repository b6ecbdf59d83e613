/* A member of a mesh against whatever the network brings: the input is a list of steps, each a genuine datagram of another member, of
 * now or of before, changed in places or cut, or rubbish; from its address or another one; and time goes by. What was not made by the
 * other member moves nothing: no packet is taken, no address is believed, and no answer is longer than what asked for it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/mesh/mesh.h"
#include "daemon/mesh/mesh_wire.h"
#include "include/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT = 16, LARGEST = 1600 };

static struct {
    struct mesh *m[3];
    uint8_t prefix[3][ID_PREFIX_LEN];
    struct addr at[4];
    mono_t now;
    struct outbox out;
    uint8_t kept[KEPT][LARGEST];
    size_t len[KEPT];
    unsigned n;
} w;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void begin(void)
{
    static uint8_t priv[3][KEY_LEN], pub[3][KEY_LEN];
    outbox_clear(&w.out);
    w.n = 0;
    w.now = (mono_t){USEC_PER_SEC};
    for (unsigned i = 0; i < 4; i++)
        w.at[i] = addr_v4(0xc0000201 + i, 5700);
    for (unsigned i = 0; i < 3; i++) {
        struct i3_id id;
        struct mesh_config c = {.relay = true, .seed = {(uint8_t)i}};
        memset(priv[i], 9 + (int)i, KEY_LEN);
        x25519_public(pub[i], priv[i]);
        memcpy(c.priv, priv[i], KEY_LEN);
        memcpy(c.pub, pub[i], KEY_LEN);
        id_of_key(&id, pub[i], NULL);
        memcpy(w.prefix[i], id.b, ID_PREFIX_LEN);
        w.m[i] = mesh_new(&c);
    }
    for (unsigned i = 0; i < 3; i++) {
        mesh_begin(w.m[i]);
        for (unsigned k = 0; k < 3; k++)
            if (k != i)
                mesh_member(w.m[i], w.now, pub[k], &w.at[k], 1);
        mesh_end(w.m[i], w.now);
    }
}

/* One step of the others' lives; what they send to the first is kept, and may be given to it. */
static void live(void)
{
    for (unsigned i = 0; i < 3; i++) {
        static struct outbox sent;
        outbox_clear(&sent);
        outbox_clear(&w.out);
        mesh_output(w.m[i], w.now, &sent);
        for (unsigned k = 0; k < sent.n; k++) {
            static uint8_t copy[LARGEST];
            const struct dgram *d = &sent.v[k];
            unsigned to = 0;
            while (to < 3 && !addr_eq(&w.at[to], &d->to))
                to++;
            if (to == 3 || d->len > LARGEST)
                continue;
            if (!to) {
                memcpy(w.kept[w.n % KEPT], d->data, d->len);
                w.len[w.n++ % KEPT] = d->len;
            }
            memcpy(copy, d->data, d->len);
            const uint8_t *who;
            uint8_t *packet;
            size_t len;
            mesh_input(w.m[to], w.now, &w.at[i], 0, copy, d->len, &w.out, &who, &packet, &len);
        }
    }
    outbox_clear(&w.out);
}

static void throw_at(struct reader *r)
{
    static uint8_t copy[LARGEST];
    unsigned which = get_u8(r), from = get_u8(r), changes = get_u8(r) % 5;
    size_t len = w.n ? w.len[which % (w.n < KEPT ? w.n : KEPT)] : 0;
    if (which >= 200 || !len) {
        len = get_u8(r);
        len = len < reader_left(r) ? len : reader_left(r);
        const uint8_t *raw = get_span(r, len);
        if (raw && len)
            memcpy(copy, raw, len);
        if (len > 1 && which & 1)
            copy[0] = wire_first(WIRE_MESH);
    } else {
        memcpy(copy, w.kept[which % (w.n < KEPT ? w.n : KEPT)], len);
        if (from & 0x40)
            len -= len > get_u8(r) ? 1 : 0;
    }
    for (unsigned i = 0; i < changes && len; i++)
        copy[get_u16(r) % len] = get_u8(r);
    const uint8_t *who;
    uint8_t *packet;
    size_t plen, said = 0;
    outbox_clear(&w.out);
    enum mesh_verdict v = mesh_input(w.m[0], w.now, &w.at[from % 4], 0, copy, len, &w.out, &who, &packet, &plen);
    require(v != MESH_DATA); /* nobody has sent the first a packet by a relay */
    for (unsigned i = 0; i < w.out.n; i++)
        said += w.out.v[i].len;
    require(said <= len);
    require(!mesh_at(w.m[0], &w.at[3])); /* where nobody is */
    outbox_clear(&w.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    begin();
    live();
    while (reader_ok(&r) && reader_left(&r)) {
        unsigned step = get_u8(&r);
        if (step < 64) {
            w.now = mono_add(w.now, (uint64_t)step * 20000);
            live();
        } else {
            throw_at(&r);
        }
    }
    for (unsigned i = 0; i < 3; i++)
        mesh_free(w.m[i]);
    return 0;
}
