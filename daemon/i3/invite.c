#include "daemon/i3/invite.h"

#include <errno.h>
#include <string.h>

#include "include/bytes.h"

enum { VERSION = 1, CHECK_LEN = 2, GROUP = 6, NODE4_LEN = 6, NODE6_LEN = 18, NODES_OF_A_KIND = 3 };

#define LABEL(s)                                                                                             \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }

/* ---- the code ---- */

static void put_check(const uint8_t *p, size_t len, uint8_t check[CHECK_LEN])
{
    uint8_t hash[BLAKE2S_LEN];
    blake2s(hash, (struct bytes[]){LABEL("i3run invite v1"), {p, len}}, 2);
    memcpy(check, hash, CHECK_LEN);
}

static void put_nodes(struct writer *w, const struct invite *i, uint8_t family)
{
    for (unsigned k = 0; k < i->n; k++) {
        if (i->nodes[k].family != family)
            continue;
        put_bytes(w, i->nodes[k].ip, family == 6 ? 16 : 4);
        put_u16(w, i->nodes[k].port);
    }
}

static unsigned count_nodes(const struct invite *i, uint8_t family)
{
    unsigned n = 0;
    for (unsigned k = 0; k < i->n; k++)
        n += i->nodes[k].family == family;
    return n;
}

void invite_format(const struct invite *i, char out[INVITE_STR])
{
    uint8_t bytes[INVITE_BYTES_MAX], check[CHECK_LEN];
    char digits[BASE32_LEN(INVITE_BYTES_MAX) + 1];
    struct writer w = writer_of(bytes, sizeof(bytes));
    put_u8(&w, (uint8_t)(VERSION << 4 | count_nodes(i, 4) << 2 | count_nodes(i, 6)));
    put_bytes(&w, i->token, INVITE_TOKEN_LEN);
    put_bytes(&w, i->prefix, ID_PREFIX_LEN);
    put_nodes(&w, i, 4);
    put_nodes(&w, i, 6);
    put_check(bytes, writer_len(&w), check);
    put_bytes(&w, check, CHECK_LEN);
    base32_encode(bytes, writer_len(&w), digits);
    size_t at = 0;
    for (size_t k = 0; digits[k]; k++) {
        if (k && k % GROUP == 0)
            out[at++] = '-';
        out[at++] = digits[k];
    }
    out[at] = '\0';
    crypto_wipe(bytes, sizeof(bytes));
    crypto_wipe(digits, sizeof(digits));
}

static bool is_between(char c)
{
    return c == '-' || c == '.' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The digits alone. Their number, -EINVAL for what can be none, -EMSGSIZE: too many. */
static int take_digits(const char *text, char *out, size_t cap)
{
    static const char typed[] = "018", meant[] = "olb";
    size_t n = 0;
    for (; *text; text++) {
        const char *odd = strchr(typed, *text);
        char c = odd ? meant[odd - typed] : *text;
        if (is_between(c))
            continue;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7')))
            return -EINVAL;
        if (n + 1 >= cap)
            return -EMSGSIZE;
        out[n++] = c;
    }
    out[n] = '\0';
    return (int)n;
}

static void get_nodes(struct reader *r, struct invite *i, unsigned n, uint8_t family)
{
    for (unsigned k = 0; k < n; k++) {
        struct addr *a = &i->nodes[i->n++];
        *a = (struct addr){.family = family};
        get_bytes(r, a->ip, family == 6 ? 16 : 4);
        a->port = get_u16(r);
        r->failed |= !a->port || addr_is_any(a) || addr_is_group(a);
    }
}

static int read_code(const uint8_t *p, size_t len, struct invite *out)
{
    struct reader r = reader_of(p, len);
    uint8_t header = get_u8(&r);
    unsigned n4 = header >> 2 & 3, n6 = header & 3;
    memset(out, 0, sizeof(*out));
    if (header >> 4 != VERSION)
        return -EPROTONOSUPPORT;
    if (n4 + n6 > INVITE_NODES)
        return -EBADMSG;
    get_bytes(&r, out->token, INVITE_TOKEN_LEN);
    get_bytes(&r, out->prefix, ID_PREFIX_LEN);
    get_nodes(&r, out, n4, 4);
    get_nodes(&r, out, n6, 6);
    return reader_done(&r) ? 0 : -EBADMSG;
}

/* A code of the wrong length has lost characters; one of a right length, whose check is wrong, has wrong ones. */
int invite_parse(const char *text, struct invite *out)
{
    char digits[BASE32_LEN(INVITE_BYTES_MAX) + 2];
    uint8_t bytes[INVITE_BYTES_MAX], check[CHECK_LEN];
    int n = take_digits(text, digits, sizeof(digits));
    if (n < 0)
        return n;
    size_t len = (size_t)n * 5 / 8, tail = len - INVITE_BYTES_MIN;
    if (len < INVITE_BYTES_MIN || len > INVITE_BYTES_MAX || BASE32_LEN(len) != (size_t)n || tail % NODE4_LEN)
        return -EMSGSIZE;
    if (base32_decode(digits, bytes, len))
        return -EBADMSG;
    put_check(bytes, len - CHECK_LEN, check);
    int err = memcmp(check, bytes + len - CHECK_LEN, CHECK_LEN) ? -EBADMSG : read_code(bytes, len - CHECK_LEN, out);
    crypto_wipe(bytes, sizeof(bytes));
    crypto_wipe(digits, sizeof(digits));
    return err;
}

/* ---- the messages ---- */

void invite_tag(uint8_t out[INVITE_TAG_LEN], const uint8_t token[INVITE_TOKEN_LEN])
{
    uint8_t hash[BLAKE2S_LEN];
    blake2s(hash, (struct bytes[]){LABEL("i3run join tag v1"), {token, INVITE_TOKEN_LEN}}, 2);
    memcpy(out, hash, INVITE_TAG_LEN);
}

static void make_mac(uint8_t out[MAC_LEN], const uint8_t token[INVITE_TOKEN_LEN], enum wire_proto proto, const uint8_t *p, size_t len)
{
    uint8_t key[BLAKE2S_LEN], mac[BLAKE2S_LEN], kind = (uint8_t)proto;
    blake2s(key, (struct bytes[]){LABEL("i3run join mac v1"), {token, INVITE_TOKEN_LEN}}, 2);
    hmac_blake2s(mac, (struct bytes){key, sizeof(key)}, (struct bytes[]){{&kind, 1}, {p, len}}, 2);
    memcpy(out, mac, MAC_LEN);
    crypto_wipe(key, sizeof(key));
}

static void start(struct noise *n, const uint8_t token[INVITE_TOKEN_LEN], const uint8_t prefix[ID_PREFIX_LEN], const uint8_t priv[KEY_LEN],
    const uint8_t pub[KEY_LEN])
{
    static const char prologue[] = "i3run join v1";
    uint8_t psk[BLAKE2S_LEN];
    blake2s(psk, (struct bytes[]){LABEL("i3run join psk v1"), {token, INVITE_TOKEN_LEN}, {prefix, ID_PREFIX_LEN}}, 3);
    noise_ix_start(n, prologue, sizeof(prologue) - 1, psk, priv, pub);
    crypto_wipe(psk, sizeof(psk));
}

static bool name_is_label(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (!((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '-' || s[n] == '_') || n == INVITE_NAME_MAX)
            return false;
    return n > 0;
}

static int put_payload(uint8_t payload[INVITE_PAYLOAD], const struct joined *j)
{
    struct writer w = writer_of(payload, INVITE_PAYLOAD);
    size_t len = strnlen(j->name, sizeof(j->name));
    if (len > INVITE_NAME_MAX || !name_is_label(j->name))
        return -EINVAL;
    put_u8(&w, j->proto);
    put_u16(&w, j->port);
    put_u8(&w, (uint8_t)len);
    put_bytes(&w, j->name, len);
    put_zeros(&w, INVITE_NAME_MAX - len);
    return 0;
}

static int get_payload(const uint8_t payload[INVITE_PAYLOAD], struct joined *j)
{
    struct reader r = reader_of(payload, INVITE_PAYLOAD);
    memset(j, 0, sizeof(*j));
    j->proto = get_u8(&r);
    j->port = get_u16(&r);
    size_t len = get_u8(&r);
    if (len > INVITE_NAME_MAX)
        return -EBADMSG;
    get_bytes(&r, j->name, len);
    while (reader_left(&r))
        r.failed |= get_u8(&r) != 0;
    return !r.failed && strlen(j->name) == len && name_is_label(j->name) ? 0 : -EBADMSG;
}

int join_write(struct noise *n, const struct invite *i, const uint8_t e_priv[KEY_LEN], const uint8_t priv[KEY_LEN],
    const uint8_t pub[KEY_LEN], const char *name, uint8_t out[JOIN_LEN])
{
    uint8_t payload[INVITE_PAYLOAD];
    struct joined j = {0};
    size_t len = strnlen(name, sizeof(j.name));
    if (len == sizeof(j.name))
        return -EINVAL;
    memcpy(j.name, name, len);
    if (put_payload(payload, &j))
        return -EINVAL;
    invite_tag(out, i->token);
    start(n, i->token, i->prefix, priv, pub);
    noise_ix_write_first(n, e_priv, payload, sizeof(payload), out + INVITE_TAG_LEN);
    make_mac(out + JOIN_LEN - MAC_LEN, i->token, PROTO_JOIN, out, JOIN_LEN - MAC_LEN);
    return 0;
}

bool join_is_for(const uint8_t token[INVITE_TOKEN_LEN], enum wire_proto proto, const uint8_t *p, size_t len)
{
    uint8_t tag[INVITE_TAG_LEN], mac[MAC_LEN];
    if (len != (proto == PROTO_JOIN ? JOIN_LEN : JOINED_LEN))
        return false;
    invite_tag(tag, token);
    if (memcmp(tag, p, sizeof(tag)))
        return false;
    make_mac(mac, token, proto, p, len - MAC_LEN);
    return crypto_equal(mac, p + len - MAC_LEN, MAC_LEN);
}

int join_read(struct noise *n, const uint8_t token[INVITE_TOKEN_LEN], const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN],
    const uint8_t p[JOIN_LEN], char name[INVITE_NAME_MAX + 1])
{
    uint8_t payload[INVITE_PAYLOAD];
    struct i3_id id;
    struct joined j;
    id_of_key(&id, pub, NULL);
    start(n, token, id.b, priv, pub);
    int err = noise_ix_read_first(n, p + INVITE_TAG_LEN, JOIN_LEN - INVITE_TAG_LEN - MAC_LEN, payload);
    if (err || get_payload(payload, &j) || j.proto || j.port)
        return -EBADMSG;
    memcpy(name, j.name, sizeof(j.name));
    return 0;
}

int joined_write(struct noise *n, const uint8_t token[INVITE_TOKEN_LEN], const uint8_t e_priv[KEY_LEN], const struct joined *j,
    uint8_t out[JOINED_LEN])
{
    uint8_t payload[INVITE_PAYLOAD];
    if (put_payload(payload, j))
        return -EINVAL;
    invite_tag(out, token);
    int err = noise_ix_write_second(n, e_priv, payload, sizeof(payload), out + INVITE_TAG_LEN);
    if (!err)
        make_mac(out + JOINED_LEN - MAC_LEN, token, PROTO_JOINED, out, JOINED_LEN - MAC_LEN);
    return err;
}

int joined_read(struct noise *n, const struct invite *i, const uint8_t p[JOINED_LEN], struct joined *j)
{
    uint8_t payload[INVITE_PAYLOAD];
    struct i3_id id;
    int err = noise_ix_read_second(n, p + INVITE_TAG_LEN, JOINED_LEN - INVITE_TAG_LEN - MAC_LEN, payload);
    if (err || get_payload(payload, j) || !j->port || (j->proto != IPPROTO_TCP && j->proto != IPPROTO_UDP))
        return -EBADMSG;
    id_of_key(&id, n->rs, NULL);
    return memcmp(id.b, i->prefix, ID_PREFIX_LEN) ? -EBADMSG : 0;
}

static void refusal_mac(const uint8_t token[INVITE_TOKEN_LEN], const uint8_t join[JOIN_LEN], const uint8_t head[INVITE_TAG_LEN + 8],
    uint8_t mac[MAC_LEN])
{
    uint8_t what[INVITE_TAG_LEN + 8 + MAC_LEN];
    memcpy(what, head, INVITE_TAG_LEN + 8);
    memcpy(what + INVITE_TAG_LEN + 8, join + JOIN_LEN - MAC_LEN, MAC_LEN);
    make_mac(mac, token, PROTO_JOINED, what, sizeof(what));
}

void refusal_write(const uint8_t token[INVITE_TOKEN_LEN], const uint8_t join[JOIN_LEN], enum join_refusal why, uint8_t out[REFUSAL_LEN])
{
    memset(out, 0, REFUSAL_LEN);
    invite_tag(out, token);
    out[INVITE_TAG_LEN] = (uint8_t)why;
    refusal_mac(token, join, out, out + REFUSAL_LEN - MAC_LEN);
}

int refusal_read(const uint8_t token[INVITE_TOKEN_LEN], const uint8_t join[JOIN_LEN], const uint8_t *p, size_t len, enum join_refusal *why)
{
    uint8_t mine[REFUSAL_LEN];
    if (len != REFUSAL_LEN || !p[INVITE_TAG_LEN] || p[INVITE_TAG_LEN] >= JOIN_REFUSALS)
        return -EBADMSG;
    *why = (enum join_refusal)p[INVITE_TAG_LEN];
    refusal_write(token, join, *why, mine);
    return crypto_equal(mine, p, REFUSAL_LEN) ? 0 : -EBADMSG;
}
