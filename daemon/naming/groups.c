#include "daemon/naming/groups.h"
#include "daemon/base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"

static const char file_head[] = "i3run groups 1\n";

struct groups {
    struct group *v[GROUPS_MAX];
    unsigned n;
};

struct groups *groups_new(void)
{
    return calloc(1, sizeof(struct groups));
}

static void group_free(struct group *g)
{
    crypto_wipe(g, sizeof(*g));
    secret_free(g);
}

static void clear(struct groups *gs)
{
    while (gs->n)
        group_free(gs->v[--gs->n]);
}

void groups_free(struct groups *gs)
{
    if (gs)
        clear(gs);
    free(gs);
}

/* ---- kinds and places ---- */

static const char *const kind_name[] = {[GROUP_ANYCAST] = "anycast", [GROUP_MULTICAST] = "multicast"};
_Static_assert(ARRAY_LEN(kind_name) == GROUP_KINDS, "name all");

const char *group_kind_name(enum group_kind k)
{
    return kind_name[k];
}

bool group_kind_parse(const char *s, enum group_kind *out)
{
    for (unsigned i = 0; i < GROUP_KINDS; i++) {
        if (!strcmp(s, kind_name[i])) {
            *out = (enum group_kind)i;
            return true;
        }
    }
    return false;
}

/* One label, in lower case; returns its length, 0: it is none. */
static size_t label_fold(const char *s, char out[PLACE_MAX + 1])
{
    size_t n = 0;
    for (; s[n] && s[n] != '/'; n++) {
        char c = s[n];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return 0;
        out[n] = (char)(upper ? c + 32 : c);
    }
    return n;
}

size_t place_bytes(const char *place, uint8_t out[GROUP_MEMBER_LEN])
{
    char label[PLACE_MAX + 1];
    uint8_t hash[BLAKE2S_LEN];
    size_t done = 0;
    if (strlen(place) > PLACE_MAX)
        return 0;
    for (unsigned i = 0; i < PLACE_LABELS_MAX; i++) {
        size_t n = label_fold(place, label);
        if (!n)
            return 0;
        blake2s(hash, (struct bytes[]){{"i3run place v1", 14}, {label, n}}, 2);
        memcpy(out + done, hash, PLACE_LABEL_LEN);
        done += PLACE_LABEL_LEN;
        place += n;
        if (!*place)
            return done;
        place++;
    }
    return 0;
}

/* ---- one group ---- */

static bool all_are(const uint8_t *p, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != value)
            return false;
    return true;
}

/* Zeros say that there is no group, and ones are the suffix of all. */
static void member_fix(uint8_t member[GROUP_MEMBER_LEN])
{
    if (all_are(member, GROUP_MEMBER_LEN, 0) || all_are(member, GROUP_MEMBER_LEN, 0xff))
        member[GROUP_MEMBER_LEN - 1] = 0x5a;
}

static int fill(struct group *g, const char *name, enum group_kind kind, const uint8_t priv[KEY_LEN], const char *place)
{
    memset(g, 0, sizeof(*g));
    if (book_name_fold(g->entry.name, name) || strlen(place) > PLACE_MAX)
        return -EINVAL;
    g->entry.multicast = kind == GROUP_MULTICAST;
    g->kind = kind;
    memcpy(g->priv, priv, KEY_LEN);
    x25519_public(g->entry.key, priv);
    snprintf(g->place, sizeof(g->place), "%s", place);
    return 0;
}

int group_make(struct group *out, const char *name, enum group_kind kind, const uint8_t priv[KEY_LEN], const char *place,
    const uint8_t random[GROUP_MEMBER_LEN])
{
    uint8_t at[GROUP_MEMBER_LEN];
    size_t n = *place ? place_bytes(place, at) : 0;
    if ((*place && !n) || fill(out, name, kind, priv, place))
        return -EINVAL;
    memcpy(out->member, random, GROUP_MEMBER_LEN);
    memcpy(out->member, at, n);
    member_fix(out->member);
    return 0;
}

/* ---- the table ---- */

const struct group *groups_find(const struct groups *gs, const char *name)
{
    char folded[BOOK_NAME_MAX + 1];
    if (book_name_fold(folded, name))
        return NULL;
    for (unsigned i = 0; i < gs->n; i++)
        if (!strcmp(gs->v[i]->entry.name, folded))
            return gs->v[i];
    return NULL;
}

const struct group *groups_by_key(const struct groups *gs, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < gs->n; i++)
        if (!memcmp(gs->v[i]->entry.key, key, KEY_LEN))
            return gs->v[i];
    return NULL;
}

const struct group *groups_at(const struct groups *gs, unsigned i)
{
    return i < gs->n ? gs->v[i] : NULL;
}

int groups_add(struct groups *gs, const struct group *g)
{
    if (groups_find(gs, g->entry.name) || groups_by_key(gs, g->entry.key))
        return -EEXIST;
    if (gs->n == GROUPS_MAX)
        return -ENOSPC;
    struct group *copy = secret_new(sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    *copy = *g;
    gs->v[gs->n++] = copy;
    return 0;
}

void groups_remove(struct groups *gs, const struct group *g)
{
    unsigned i = 0;
    while (i < gs->n && gs->v[i] != g)
        i++;
    if (i == gs->n)
        return;
    group_free(gs->v[i]);
    memmove(gs->v + i, gs->v + i + 1, (--gs->n - i) * sizeof(gs->v[0]));
}

/* ---- texts ---- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int member_parse(const char *s, uint8_t out[GROUP_MEMBER_LEN])
{
    if (strlen(s) != 2 * GROUP_MEMBER_LEN)
        return -EINVAL;
    for (unsigned i = 0; i < GROUP_MEMBER_LEN; i++) {
        int hi = hex_value(s[2 * i]), lo = hex_value(s[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return -EINVAL;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return all_are(out, GROUP_MEMBER_LEN, 0) || all_are(out, GROUP_MEMBER_LEN, 0xff) ? -EINVAL : 0;
}

static int line_parse(const char *line, struct group *g)
{
    char name[BOOK_NAME_MAX + 1], kind_word[16], key[KEY_STR_LEN + 1], member[2 * GROUP_MEMBER_LEN + 1], place[PLACE_MAX + 1] = "";
    uint8_t priv[KEY_LEN], at[GROUP_MEMBER_LEN];
    enum group_kind kind;
    int end = 0, more = 0;
    if (sscanf(line, "%253s %15s %52s %16s%n %63s%n", name, kind_word, key, member, &end, place, &more) < 4)
        return -EINVAL;
    if (line[more ? more : end] || !group_kind_parse(kind_word, &kind) || key_decode(key, priv) || (*place && !place_bytes(place, at)))
        return -EINVAL;
    int err = fill(g, name, kind, priv, place);
    crypto_wipe(priv, sizeof(priv));
    crypto_wipe(key, sizeof(key));
    return err ? err : member_parse(member, g->member);
}

int groups_parse(struct groups *gs, const char *text, size_t len, unsigned *line)
{
    enum { LINE = BOOK_NAME_MAX + PLACE_MAX + GROUP_SECRET_MAX + 32 };
    struct groups fresh = {.n = 0};
    char copy[LINE];
    const char *at = text + sizeof(file_head) - 1, *end = text + len;
    int err = len >= sizeof(file_head) - 1 && !memcmp(text, file_head, sizeof(file_head) - 1) ? 0 : -EINVAL;
    *line = 1;
    while (!err && at < end) {
        struct group g;
        ++*line;
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((nl ? nl : end) - at);
        if (n >= sizeof(copy) || memchr(at, 0, n)) {
            err = -EINVAL;
            break;
        }
        memcpy(copy, at, n);
        copy[n] = '\0';
        err = line_parse(copy, &g);
        if (!err)
            err = groups_add(&fresh, &g);
        crypto_wipe(&g, sizeof(g));
        at = nl ? nl + 1 : end;
    }
    crypto_wipe(copy, sizeof(copy));
    if (err) {
        clear(&fresh);
        return -EINVAL;
    }
    *line = 0;
    clear(gs);
    *gs = fresh;
    return 0;
}

static const char *member_format(const uint8_t member[GROUP_MEMBER_LEN], char out[2 * GROUP_MEMBER_LEN + 1])
{
    static const char digit[] = "0123456789abcdef";
    for (unsigned i = 0; i < GROUP_MEMBER_LEN; i++) {
        out[2 * i] = digit[member[i] >> 4];
        out[2 * i + 1] = digit[member[i] & 15];
    }
    out[2 * GROUP_MEMBER_LEN] = '\0';
    return out;
}

char *groups_format(const struct groups *gs, size_t *len)
{
    size_t cap = sizeof(file_head), at = sizeof(file_head) - 1;
    char key[KEY_STR_LEN + 1], member[2 * GROUP_MEMBER_LEN + 1];
    for (unsigned i = 0; i < gs->n; i++)
        cap += strlen(gs->v[i]->entry.name) + strlen(gs->v[i]->place) + GROUP_SECRET_MAX + 32;
    char *out = malloc(cap);
    if (!out)
        return NULL;
    memcpy(out, file_head, sizeof(file_head));
    for (unsigned i = 0; i < gs->n; i++) {
        const struct group *g = gs->v[i];
        key_format(g->priv, key);
        at += (size_t)snprintf(out + at, cap - at, "%s %s %s %s%s%s\n", g->entry.name, kind_name[g->kind], key,
            member_format(g->member, member), *g->place ? " " : "", g->place);
    }
    crypto_wipe(key, sizeof(key));
    *len = at;
    return out;
}

void group_secret_format(const struct group *g, char out[GROUP_SECRET_MAX])
{
    char key[KEY_STR_LEN + 1];
    key_format(g->priv, key);
    snprintf(out, GROUP_SECRET_MAX, "i3run group 1 %s %s", kind_name[g->kind], key);
    crypto_wipe(key, sizeof(key));
}

int group_secret_parse(const char *text, enum group_kind *kind, uint8_t priv[KEY_LEN])
{
    char word[16], key[KEY_STR_LEN + 1];
    int end = 0;
    bool read = sscanf(text, " i3run group 1 %15s %52s %n", word, key, &end) == 2 && end && !text[end];
    int err = read && group_kind_parse(word, kind) && !key_decode(key, priv) ? 0 : -EINVAL;
    crypto_wipe(key, sizeof(key));
    return err;
}
