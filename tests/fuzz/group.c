/* A member of a multicast group against whatever the network brings: the input is a list of steps, each a datagram of a sender that is
 * known, changed in places, or rubbish. What was not sealed so, or came before, is never opened. The rest of the input is read as a
 * file of groups and as a group's secret. */
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/group.h"
#include "daemon/naming/groups.h"
#include "include/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT = 16, TEXT = 40 };

static struct {
    bool made;
    uint8_t priv[2][KEY_LEN], pub[2][KEY_LEN]; /* the group's, the sender's */
    uint8_t packet[KEPT][GROUP_MIN_LEN + TEXT];
    struct group_rx *rx; /* to whom all of them are new */
} fixed;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool known(void *ctx, const uint8_t key[KEY_LEN])
{
    (void)ctx;
    return !memcmp(key, fixed.pub[1], KEY_LEN);
}

static struct group_rx *rx_new(void)
{
    struct group_rx_config c = {.known = known};
    memcpy(c.priv, fixed.priv[0], KEY_LEN);
    memcpy(c.pub, fixed.pub[0], KEY_LEN);
    return group_rx_new(&c);
}

static void fixed_init(void)
{
    uint8_t out[GROUP_OVERHEAD + TEXT], text[TEXT], seed[32] = {1};
    for (unsigned i = 0; i < 2; i++) {
        memset(fixed.priv[i], 0x11 * (int)(i + 1), KEY_LEN);
        x25519_public(fixed.pub[i], fixed.priv[i]);
    }
    struct group_tx *tx = group_tx_new(fixed.priv[1], fixed.pub[1], fixed.pub[0], NULL, CIPHER_AES256GCM, seed, NULL);
    for (unsigned i = 0; i < KEPT; i++) {
        memset(text, (int)i, sizeof(text));
        require(group_seal(tx, (mono_t){1}, 1000, &(struct iovec){text, TEXT}, 1, out, sizeof(out)) == sizeof(out));
        memcpy(fixed.packet[i], out + DATA_HEADER_LEN, sizeof(fixed.packet[i]));
    }
    group_tx_free(tx);
    fixed.made = true;
}

/* A copy of its own, so that a read too far is seen. */
static int deliver(struct group_rx *rx, mono_t now, const uint8_t *body, size_t len, uint8_t *which)
{
    uint8_t *copy = malloc(len ? len : 1), sender[KEY_LEN], *plain;
    size_t n;
    if (len)
        memcpy(copy, body, len);
    int err = group_open(rx, now, 1000, copy, len, sender, &plain, &n);
    if (!err) {
        require(!memcmp(sender, fixed.pub[1], KEY_LEN) && n == TEXT && plain >= copy && plain + n + SEAL_TAG_LEN == copy + len);
        *which = plain[0];
    }
    free(copy);
    return err;
}

static void packets(struct reader *r)
{
    struct group_rx *rx = rx_new();
    bool seen[KEPT] = {false};
    mono_t now = {1};
    for (unsigned steps = get_u8(r) % 32; steps; steps--) {
        uint8_t body[GROUP_MIN_LEN + TEXT], which = get_u8(r), flip = get_u8(r), at = get_u8(r), got = KEPT;
        size_t len = sizeof(body);
        if (r->failed)
            break;
        memcpy(body, fixed.packet[which % KEPT], sizeof(body));
        body[at % sizeof(body)] ^= flip;
        if (which & 64)
            len = at % sizeof(body);
        now.us += USEC_PER_SEC;
        int err = deliver(rx, now, body, len, &got);
        bool whole = !flip && len == sizeof(body);
        require(err ? !whole || seen[which % KEPT] : whole && !seen[which % KEPT] && got == which % KEPT);
        seen[which % KEPT] |= !err;
    }
    size_t left = reader_left(r);
    uint8_t got;
    require(deliver(rx, now, r->at, left, &got) || left == GROUP_MIN_LEN + TEXT);
    group_rx_free(rx);
}

static void texts(const uint8_t *data, size_t size)
{
    struct groups *a = groups_new(), *b = groups_new();
    uint8_t priv[KEY_LEN];
    enum group_kind kind;
    unsigned line;
    size_t len;
    char *text = malloc(size + 1), again[GROUP_SECRET_MAX];
    memcpy(text, data, size);
    text[size] = '\0';
    if (!group_secret_parse(text, &kind, priv)) {
        struct group g = {.kind = kind};
        memcpy(g.priv, priv, KEY_LEN);
        group_secret_format(&g, again);
        require(strlen(again) <= size);
    }
    if (!groups_parse(a, text, size, &line)) {
        char *out = groups_format(a, &len);
        require(!groups_parse(b, out, len, &line));
        for (unsigned i = 0; groups_at(a, i) || groups_at(b, i); i++)
            require(!memcmp(groups_at(a, i), groups_at(b, i), sizeof(struct group)));
        free(out);
    } else {
        require(line >= 1 && !groups_at(a, 0));
    }
    free(text);
    groups_free(a);
    groups_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!fixed.made)
        fixed_init();
    struct reader r = reader_of(data, size);
    if (get_u8(&r) & 1)
        packets(&r);
    else if (!r.failed)
        texts(r.at, reader_left(&r));
    return 0;
}
