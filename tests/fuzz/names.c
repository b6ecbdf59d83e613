/* What comes from others about names: DNS replies (naming/txtname.h), and questions and answers of the overlay (naming/hashname.h). The
 * first byte says which. */
#include "daemon/naming/hashname.h"
#include "daemon/naming/txtname.h"

#include <errno.h>
#include <stdlib.h>

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_dns(const uint8_t *p, size_t len)
{
    struct txtname t = {0};
    const char *why;
    uint32_t ttl;
    int err = txtname_read(p, len, &t, &ttl, &why);
    require((err == -EBADMSG) == (why != NULL) && t.n_nodes <= TXTNAME_NODES);
    if (txtname_parse((const char *)p, len, &t, &why) == 0)
        for (unsigned i = 0; i < t.n_nodes; i++)
            require(strlen(t.node[i]) > 0 && strlen(t.node[i]) <= TXTNAME_NODE_LEN);
}

static void as_hash(const uint8_t *p, size_t len)
{
    struct hashname_question q, asked = {.nonce = {1}};
    struct hashname h;
    uint8_t key[KEY_LEN], priv[KEY_LEN] = {5}, again[HASHNAME_QUESTION];
    hashname_of(&h, "box.i3");
    if (hashname_read_question(&h, p, len, &q) == 0) {
        hashname_ask(&h, &q, again);
        require(len == sizeof(again) && !memcmp(again, p, len));
    }
    if (hashname_nonce(p, len))
        memcpy(asked.nonce, hashname_nonce(p, len), HASHNAME_NONCE);
    x25519_public(asked.fresh, priv);
    hashname_read_answer(&h, &asked, priv, p, len, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    (data[0] & 7 ? as_dns : as_hash)(data + 1, size - 1);
    return 0;
}
