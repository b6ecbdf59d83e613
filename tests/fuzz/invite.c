/* Codes, the messages by which they are taken up, announcements of keys, and the file of shares, whatever somebody makes of them. The first
 * byte says which. */
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/invite.h"
#include "daemon/i3/rotation.h"
#include "daemon/policy/shares.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* What is read is written the same way, and read again. */
static void code(const char *text)
{
    struct invite i, again;
    char out[INVITE_STR];
    if (invite_parse(text, &i))
        return;
    require(i.n <= INVITE_NODES);
    invite_format(&i, out);
    require(strlen(out) < INVITE_STR && invite_parse(out, &again) == 0 && !memcmp(&i, &again, sizeof(i)));
}

/* Anything, and a genuine JOIN or JOINED with bytes of it changed: nothing but the genuine ones gets through. */
static void messages(const uint8_t *data, size_t size)
{
    static uint8_t priv[KEY_LEN] = {1, 2}, pub[KEY_LEN], e_priv[KEY_LEN] = {3, 4}, join[JOIN_LEN];
    static struct invite inv = {.token = {5, 6}};
    static struct noise began;
    struct noise n;
    struct joined j;
    char name[INVITE_NAME_MAX + 1];
    enum join_refusal why;
    uint8_t msg[JOIN_LEN], refusal[REFUSAL_LEN];
    if (!pub[0] && !pub[1]) {
        struct i3_id id;
        x25519_public(pub, priv);
        id_of_key(&id, pub, NULL);
        memcpy(inv.prefix, id.b, ID_PREFIX_LEN);
        require(join_write(&began, &inv, e_priv, priv, pub, "name", join) == 0);
    }
    require(!join_is_for(inv.token, PROTO_JOIN, data, size) || !memcmp(data, join, JOIN_LEN));
    require(!join_is_for(inv.token, PROTO_JOINED, data, size));
    require(refusal_read(inv.token, join, data, size, &why) != 0);
    if (size >= JOIN_LEN) { /* behind the mac, as if it had held */
        join_read(&n, inv.token, priv, pub, data, name);
        n = began;
        require(joined_read(&n, &inv, data, &j) != 0);
    }
    memcpy(msg, join, sizeof(msg));
    refusal_write(inv.token, join, JOIN_OVER, refusal);
    for (size_t i = 0; i + 1 < size && i < 16; i += 2) {
        msg[data[i] % JOIN_LEN] ^= data[i + 1];
        refusal[data[i] % REFUSAL_LEN] ^= data[i + 1];
    }
    require(join_is_for(inv.token, PROTO_JOIN, msg, sizeof(msg)) == !memcmp(msg, join, sizeof(msg)));
    require(refusal_read(inv.token, join, refusal, sizeof(refusal), &why) || why == JOIN_OVER);
}

static void words(const uint8_t *data, size_t size)
{
    struct inner_rotate m;
    uint8_t out[INNER_ROTATE_LEN];
    uint64_t token;
    if (rotate_decode(data, size, &m) == 0)
        require(rotate_encode(out, sizeof(out), &m) == size && !memcmp(out, data, size));
    if (token_decode(data, size, INNER_ROTATED, &token) == 0)
        require(token_encode(out, sizeof(out), INNER_ROTATED, token) == size && !memcmp(out, data, size));
}

static void file(const char *text, size_t len)
{
    struct shares *a = shares_new(), *b = shares_new();
    unsigned line;
    char err[200];
    size_t n, m;
    if (shares_parse(a, text, len, &line, err, sizeof(err)) == 0) {
        char *first = shares_format(a, &n), *second;
        require(shares_parse(b, first, n, &line, err, sizeof(err)) == 0);
        second = shares_format(b, &m);
        require(n == m && !memcmp(first, second, n));
        const struct grant *g = grant_at(b, 0);
        uint8_t key[KEY_LEN], new[KEY_LEN] = {9};
        if (g) {
            memcpy(key, g->key, KEY_LEN);
            shares_rekey(b, key, new, 1);
            require(!share_grants(b, key) && share_grants(b, new));
        }
        shares_expire(b, 1ull << 60);
        free(first);
        free(second);
        first = shares_format(b, &n);
        require(shares_parse(a, first, n, &line, err, sizeof(err)) == 0); /* what is left is a file as well */
        free(first);
    } else {
        require(line > 0 && *err);
    }
    shares_free(a);
    shares_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] & 3) {
    case 0:
        code(text);
        break;
    case 1:
        messages(data + 1, size - 1);
        break;
    case 2:
        words(data + 1, size - 1);
        break;
    default:
        file(text, size - 1);
        break;
    }
    free(text);
    return 0;
}
