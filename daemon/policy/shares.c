#include "daemon/policy/shares.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy/config.h"
#include "include/bytes.h"

enum { WORDS_MAX = 10, LINE_LEN_MAX = 512, TOKEN_STR = BASE32_LEN(TOKEN_LEN) };
#define CLOCK_SLACK (3600ull * 1000000) /* as much may a clock be set back for summer's end or by a time server */

struct list {
    void *v;
    unsigned n, cap;
};

struct shares {
    struct list shares, grants, invitations, received, formers;
};

static const char *const state_name[] = {
    [INVITATION_OPEN] = "open", [INVITATION_TAKEN] = "taken", [INVITATION_WITHDRAWN] = "withdrawn", [INVITATION_OVER] = "over"};
_Static_assert(ARRAY_LEN(state_name) == INVITATION_STATES, "name all");

/* ---- lists ---- */

static void *list_add(struct list *l, const void *item, size_t size, unsigned max)
{
    if (l->n == max)
        return NULL;
    if (l->n == l->cap) {
        unsigned cap = l->cap ? 2 * l->cap : 8;
        void *v = calloc(cap, size);
        if (!v)
            return NULL;
        if (l->n)
            memcpy(v, l->v, l->n * size);
        if (l->v)
            crypto_wipe(l->v, l->cap * size);
        free(l->v);
        l->v = v;
        l->cap = cap;
    }
    void *at = (char *)l->v + l->n++ * size;
    memcpy(at, item, size);
    return at;
}

static void list_cut(struct list *l, unsigned i, size_t size)
{
    char *at = (char *)l->v + i * size;
    memmove(at, at + size, (--l->n - i) * size);
}

static void list_free(struct list *l, size_t size)
{
    if (l->v)
        crypto_wipe(l->v, l->cap * size);
    free(l->v);
    *l = (struct list){0};
}

#define SHARE(s, i)      (&((struct share *)(s)->shares.v)[i])
#define GRANT(s, i)      (&((struct grant *)(s)->grants.v)[i])
#define INVITATION(s, i) (&((struct invitation *)(s)->invitations.v)[i])
#define RECEIVED(s, i)   (&((struct grant *)(s)->received.v)[i])
#define FORMER(s, i)     (&((struct former *)(s)->formers.v)[i])

static void clear(struct shares *s)
{
    list_free(&s->shares, sizeof(struct share));
    list_free(&s->grants, sizeof(struct grant));
    list_free(&s->invitations, sizeof(struct invitation));
    list_free(&s->received, sizeof(struct grant));
    list_free(&s->formers, sizeof(struct former));
}

struct shares *shares_new(void)
{
    return calloc(1, sizeof(struct shares));
}

void shares_free(struct shares *s)
{
    if (s)
        clear(s);
    free(s);
}

/* ---- shares and grants ---- */

const struct share *share_at(const struct shares *s, unsigned i)
{
    return i < s->shares.n ? SHARE(s, i) : NULL;
}

const struct share *share_find(const struct shares *s, uint8_t proto, uint16_t port)
{
    for (unsigned i = 0; i < s->shares.n; i++)
        if (SHARE(s, i)->proto == proto && SHARE(s, i)->port == port)
            return SHARE(s, i);
    return NULL;
}

int share_add(struct shares *s, uint8_t proto, uint16_t port, const struct addr *target)
{
    const struct share *there = share_find(s, proto, port);
    struct share new = {proto, port, *target};
    if (there)
        return addr_eq(&there->target, target) ? 0 : -EEXIST;
    if (s->shares.n == SHARES_MAX)
        return -ENOSPC;
    return list_add(&s->shares, &new, sizeof(new), SHARES_MAX) ? 0 : -ENOMEM;
}

static bool grant_is(const struct grant *g, uint8_t proto, uint16_t port, const uint8_t *key)
{
    return (!port || (g->proto == proto && g->port == port)) && (!key || !memcmp(g->key, key, KEY_LEN));
}

static unsigned cut_grants(struct list *l, uint8_t proto, uint16_t port, const uint8_t *key)
{
    unsigned n = l->n;
    for (unsigned i = l->n; i-- > 0;)
        if (grant_is(&((struct grant *)l->v)[i], proto, port, key))
            list_cut(l, i, sizeof(struct grant));
    return n - l->n;
}

static bool has_grant(const struct list *l, uint8_t proto, uint16_t port, const uint8_t *key)
{
    for (unsigned i = 0; i < l->n; i++)
        if (grant_is(&((const struct grant *)l->v)[i], proto, port, key))
            return true;
    return false;
}

int share_remove(struct shares *s, uint8_t proto, uint16_t port)
{
    const struct share *there = share_find(s, proto, port);
    if (!there)
        return -ENOENT;
    unsigned at = (unsigned)(there - SHARE(s, 0));
    cut_grants(&s->grants, proto, port, NULL);
    for (unsigned i = 0; i < s->invitations.n; i++)
        if (INVITATION(s, i)->state == INVITATION_OPEN && INVITATION(s, i)->proto == proto && INVITATION(s, i)->port == port)
            INVITATION(s, i)->state = INVITATION_WITHDRAWN;
    list_cut(&s->shares, at, sizeof(struct share));
    return 0;
}

const struct grant *grant_at(const struct shares *s, unsigned i)
{
    return i < s->grants.n ? GRANT(s, i) : NULL;
}

int share_grant(struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN])
{
    struct grant g = {proto, port, {0}};
    unsigned n = 0;
    if (!share_find(s, proto, port))
        return -ENOENT;
    if (share_granted(s, proto, port, key))
        return 0;
    for (unsigned i = 0; i < s->grants.n; i++)
        n += grant_is(GRANT(s, i), proto, port, NULL);
    if (n == ACCESS_KEYS || s->grants.n == GRANTS_MAX)
        return -ENOSPC;
    memcpy(g.key, key, KEY_LEN);
    return list_add(&s->grants, &g, sizeof(g), GRANTS_MAX) ? 0 : -ENOMEM;
}

bool share_granted(const struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN])
{
    return has_grant(&s->grants, proto, port, key);
}

unsigned share_grants(const struct shares *s, const uint8_t key[KEY_LEN])
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->grants.n; i++)
        n += grant_is(GRANT(s, i), 0, 0, key);
    return n;
}

static bool is_awaited(const struct shares *s, const struct share *sh)
{
    for (unsigned i = 0; i < s->invitations.n; i++) {
        const struct invitation *v = INVITATION(s, i);
        if (v->state == INVITATION_OPEN && v->proto == sh->proto && v->port == sh->port)
            return true;
    }
    return has_grant(&s->grants, sh->proto, sh->port, NULL);
}

static bool drop_idle(struct shares *s)
{
    unsigned n = s->shares.n;
    for (unsigned i = s->shares.n; i-- > 0;)
        if (!is_awaited(s, SHARE(s, i)))
            list_cut(&s->shares, i, sizeof(struct share));
    return n != s->shares.n;
}

unsigned share_revoke(struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN])
{
    unsigned n = cut_grants(&s->grants, proto, port, key);
    drop_idle(s);
    return n;
}

/* ---- invitations ---- */

struct invitation *invitation_at(struct shares *s, unsigned i)
{
    return i < s->invitations.n ? INVITATION(s, i) : NULL;
}

struct invitation *invitation_by_tag(struct shares *s, const uint8_t tag[TOKEN_TAG_LEN])
{
    for (unsigned i = 0; i < s->invitations.n; i++)
        if (!memcmp(INVITATION(s, i)->tag, tag, TOKEN_TAG_LEN))
            return INVITATION(s, i);
    return NULL;
}

int invitation_add(struct shares *s, const struct invitation *v)
{
    unsigned i = 0;
    if (s->invitations.n == INVITATIONS_MAX) {
        while (i < s->invitations.n && INVITATION(s, i)->state == INVITATION_OPEN)
            i++;
        if (i == s->invitations.n)
            return -ENOSPC;
        list_cut(&s->invitations, i, sizeof(*v));
    }
    return list_add(&s->invitations, v, sizeof(*v), INVITATIONS_MAX) ? 0 : -ENOMEM;
}

enum invitation_state invitation_state(const struct invitation *v, uint64_t wall)
{
    bool over = wall >= v->until || wall + CLOCK_SLACK < v->made;
    return v->state == INVITATION_OPEN && over ? INVITATION_OVER : v->state;
}

const char *invitation_state_name(enum invitation_state s)
{
    return state_name[s];
}

unsigned invitation_withdraw(struct shares *s, uint8_t proto, uint16_t port, uint64_t wall)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->invitations.n; i++) {
        struct invitation *v = INVITATION(s, i);
        if (invitation_state(v, wall) != INVITATION_OPEN || (port && (v->proto != proto || v->port != port)))
            continue;
        v->state = INVITATION_WITHDRAWN;
        n++;
    }
    return n;
}

/* ---- what others share with us ---- */

const struct grant *received_at(const struct shares *s, unsigned i)
{
    return i < s->received.n ? RECEIVED(s, i) : NULL;
}

int received_add(struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN])
{
    struct grant g = {proto, port, {0}};
    memcpy(g.key, key, KEY_LEN);
    if (has_grant(&s->received, proto, port, key))
        return 0;
    if (s->received.n == RECEIVED_MAX)
        list_cut(&s->received, 0, sizeof(g));
    return list_add(&s->received, &g, sizeof(g), RECEIVED_MAX) ? 0 : -ENOMEM;
}

bool received_from(const struct shares *s, const uint8_t key[KEY_LEN])
{
    return has_grant(&s->received, 0, 0, key);
}

unsigned received_forget(struct shares *s, const uint8_t key[KEY_LEN])
{
    return cut_grants(&s->received, 0, 0, key);
}

/* ---- keys that have changed ---- */

const struct former *former_at(const struct shares *s, unsigned i)
{
    return i < s->formers.n ? FORMER(s, i) : NULL;
}

const struct former *former_find(const struct shares *s, const uint8_t old[KEY_LEN])
{
    for (unsigned i = 0; i < s->formers.n; i++)
        if (!memcmp(FORMER(s, i)->old, old, KEY_LEN))
            return FORMER(s, i);
    return NULL;
}

const struct former *former_of(const struct shares *s, const uint8_t new[KEY_LEN])
{
    for (unsigned i = s->formers.n; i-- > 0;)
        if (!memcmp(FORMER(s, i)->new, new, KEY_LEN))
            return FORMER(s, i);
    return NULL;
}

static void rekey_grants(struct list *l, const uint8_t *old, const uint8_t *new)
{
    for (unsigned i = l->n; i-- > 0;) {
        struct grant *g = &((struct grant *)l->v)[i];
        if (memcmp(g->key, old, KEY_LEN))
            continue;
        if (has_grant(l, g->proto, g->port, new))
            list_cut(l, i, sizeof(*g));
        else
            memcpy(g->key, new, KEY_LEN);
    }
}

int shares_rekey(struct shares *s, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN], uint64_t wall)
{
    struct former f = {.since = wall};
    memcpy(f.old, old, KEY_LEN);
    memcpy(f.new, new, KEY_LEN);
    for (unsigned i = s->formers.n; i-- > 0;) {
        struct former *before = FORMER(s, i);
        if (!memcmp(before->new, old, KEY_LEN)) /* the one before the old one leads to the new one as well */
            memcpy(before->new, new, KEY_LEN);
        if (!memcmp(before->old, old, KEY_LEN) || !memcmp(before->old, before->new, KEY_LEN))
            list_cut(&s->formers, i, sizeof(f));
    }
    if (s->formers.n == FORMERS_MAX)
        list_cut(&s->formers, 0, sizeof(f));
    if (!list_add(&s->formers, &f, sizeof(f), FORMERS_MAX))
        return -ENOMEM;
    rekey_grants(&s->grants, old, new);
    rekey_grants(&s->received, old, new);
    for (unsigned i = 0; i < s->invitations.n; i++)
        if (INVITATION(s, i)->state == INVITATION_TAKEN && !memcmp(INVITATION(s, i)->key, old, KEY_LEN))
            memcpy(INVITATION(s, i)->key, new, KEY_LEN);
    return 0;
}

void former_forget(struct shares *s, const uint8_t key[KEY_LEN])
{
    for (unsigned i = s->formers.n; i-- > 0;)
        if (!memcmp(FORMER(s, i)->old, key, KEY_LEN) || !memcmp(FORMER(s, i)->new, key, KEY_LEN))
            list_cut(&s->formers, i, sizeof(struct former));
}

/* ---- time ---- */

bool shares_expire(struct shares *s, uint64_t wall)
{
    bool any = false;
    for (unsigned i = s->invitations.n; i-- > 0;) {
        struct invitation *v = INVITATION(s, i);
        if (invitation_state(v, wall) == INVITATION_OVER && v->state == INVITATION_OPEN) {
            v->state = INVITATION_OVER;
            any = true;
        }
        if (wall < v->until + SHARES_REMEMBER && wall + CLOCK_SLACK >= v->made)
            continue;
        list_cut(&s->invitations, i, sizeof(*v));
        any = true;
    }
    for (unsigned i = s->formers.n; i-- > 0;)
        if (wall >= FORMER(s, i)->since + SHARES_FORMER) {
            list_cut(&s->formers, i, sizeof(struct former));
            any = true;
        }
    return drop_idle(s) || any;
}

/* ---- text ---- */

struct text {
    char *at;
    size_t len, cap;
    bool failed;
};

static void add(struct text *t, const char *line)
{
    size_t n = strlen(line);
    if (t->len + n + 1 > t->cap) {
        size_t cap = 2 * (t->cap + n) + 256;
        char *at = t->failed ? NULL : malloc(cap);
        if (!at) {
            t->failed = true;
            return;
        }
        if (t->at) {
            memcpy(at, t->at, t->len);
            crypto_wipe(t->at, t->cap);
        }
        free(t->at);
        t->at = at;
        t->cap = cap;
    }
    memcpy(t->at + t->len, line, n + 1);
    t->len += n;
}

static const char *proto_name(uint8_t proto)
{
    return proto == IPPROTO_UDP ? "udp" : "tcp";
}

static void format_grant(struct text *t, const char *word, const struct grant *g)
{
    char line[LINE_LEN_MAX], key[KEY_STR_LEN + 1];
    key_format(g->key, key);
    snprintf(line, sizeof(line), "%s %s %u %s\n", word, proto_name(g->proto), g->port, key);
    add(t, line);
}

static void format_invitation(struct text *t, const struct invitation *v)
{
    char line[LINE_LEN_MAX], token[TOKEN_STR + 1], key[KEY_STR_LEN + 1] = "-";
    base32_encode(v->token, TOKEN_LEN, token);
    if (v->state == INVITATION_TAKEN)
        key_format(v->key, key);
    snprintf(line, sizeof(line), "invite %s %s %u %llu %llu %s %s %s %s\n", token, proto_name(v->proto), v->port, (unsigned long long)v->made,
        (unsigned long long)v->until, state_name[v->state], *v->name ? v->name : "-", *v->as ? v->as : "-", key);
    add(t, line);
    crypto_wipe(line, sizeof(line));
    crypto_wipe(token, sizeof(token));
}

char *shares_format(const struct shares *s, size_t *len)
{
    struct text t = {0};
    char line[LINE_LEN_MAX], a[KEY_STR_LEN + 1], b[KEY_STR_LEN + 1], target[ADDR_STR];
    add(&t, "");
    for (unsigned i = 0; i < s->shares.n; i++) {
        const struct share *sh = SHARE(s, i);
        snprintf(line, sizeof(line), "share %s %u %s\n", proto_name(sh->proto), sh->port, addr_str(&sh->target, target));
        add(&t, line);
    }
    for (unsigned i = 0; i < s->grants.n; i++)
        format_grant(&t, "grant", GRANT(s, i));
    for (unsigned i = 0; i < s->invitations.n; i++)
        format_invitation(&t, INVITATION(s, i));
    for (unsigned i = 0; i < s->received.n; i++)
        format_grant(&t, "from", RECEIVED(s, i));
    for (unsigned i = 0; i < s->formers.n; i++) {
        key_format(FORMER(s, i)->old, a);
        key_format(FORMER(s, i)->new, b);
        snprintf(line, sizeof(line), "former %s %s %llu\n", a, b, (unsigned long long)FORMER(s, i)->since);
        add(&t, line);
    }
    if (t.failed) {
        if (t.at)
            crypto_wipe(t.at, t.cap);
        free(t.at);
        return NULL;
    }
    *len = t.len;
    return t.at;
}

static const char *take_port(char **w, uint8_t *proto, uint16_t *port)
{
    unsigned n;
    char end;
    *proto = !strcmp(w[0], "udp") ? IPPROTO_UDP : IPPROTO_TCP;
    if (strcmp(w[0], proto_name(*proto)))
        return "the protocol is tcp or udp";
    if (strlen(w[1]) > 5 || sscanf(w[1], "%u%c", &n, &end) != 1 || w[1][0] == '-' || !n || n > 65535)
        return "a port is a number from 1 to 65535";
    *port = (uint16_t)n;
    return NULL;
}

static const char *take_number(const char *w, uint64_t *out)
{
    unsigned long long v;
    char end;
    if (w[0] < '0' || w[0] > '9' || strlen(w) > 19 || sscanf(w, "%llu%c", &v, &end) != 1 || v > INT64_MAX)
        return "a time is a number";
    *out = v;
    return NULL;
}

static const char *take_label(const char *w, char out[SHARE_NAME_MAX + 1])
{
    size_t n = strlen(w);
    *out = '\0';
    if (!strcmp(w, "-"))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!((w[i] >= 'a' && w[i] <= 'z') || (w[i] >= '0' && w[i] <= '9') || w[i] == '-' || w[i] == '_') || i == SHARE_NAME_MAX)
            return "that is no name";
    memcpy(out, w, n + 1);
    return NULL;
}

static const char *no_room(int err)
{
    return err == -ENOMEM ? "memory is short" : err ? "that cannot be: too many, or for a port that is not shared, or another target" : NULL;
}

static const char *on_share(struct shares *s, char **w)
{
    struct share sh = {0};
    const char *wrong = take_port(w, &sh.proto, &sh.port);
    if (!wrong && (config_parse_addr(&sh.target, w[2], 0) || !sh.target.port))
        wrong = "a target is ADDRESS:PORT";
    return wrong ? wrong : no_room(share_add(s, sh.proto, sh.port, &sh.target));
}

static const char *on_grant(struct shares *s, char **w)
{
    struct grant g;
    const char *wrong = take_port(w, &g.proto, &g.port);
    if (!wrong && key_parse(w[2], g.key))
        wrong = "that is not a key";
    return wrong ? wrong : no_room(share_grant(s, g.proto, g.port, g.key));
}

static const char *on_from(struct shares *s, char **w)
{
    struct grant g;
    const char *wrong = take_port(w, &g.proto, &g.port);
    if (!wrong && key_parse(w[2], g.key))
        wrong = "that is not a key";
    if (!wrong && s->received.n == RECEIVED_MAX)
        wrong = "too many";
    return wrong ? wrong : no_room(received_add(s, g.proto, g.port, g.key));
}

static const char *on_invite(struct shares *s, char **w)
{
    struct invitation v = {.state = INVITATION_STATES};
    const char *wrong = take_port(w + 1, &v.proto, &v.port);
    if (strlen(w[0]) != TOKEN_STR || base32_decode(w[0], v.token, TOKEN_LEN))
        wrong = "that is no token";
    for (unsigned i = 0; i < INVITATION_STATES; i++)
        if (!strcmp(w[5], state_name[i]))
            v.state = (enum invitation_state)i;
    if (v.state == INVITATION_STATES)
        wrong = "an invitation is open, taken, withdrawn or over";
    wrong = wrong ? wrong : take_number(w[3], &v.made);
    wrong = wrong ? wrong : take_number(w[4], &v.until);
    wrong = wrong ? wrong : take_label(w[6], v.name);
    wrong = wrong ? wrong : take_label(w[7], v.as);
    if (!wrong && (v.state == INVITATION_TAKEN ? key_parse(w[8], v.key) != 0 : strcmp(w[8], "-") != 0))
        wrong = "that is not a key";
    if (!wrong && s->invitations.n == INVITATIONS_MAX)
        wrong = "too many";
    if (!wrong && v.state == INVITATION_OPEN && !share_find(s, v.proto, v.port))
        wrong = "that port is not shared";
    return wrong ? wrong : no_room(invitation_add(s, &v));
}

static const char *on_former(struct shares *s, char **w)
{
    struct former f;
    const char *wrong = key_parse(w[0], f.old) || key_parse(w[1], f.new) ? "that is not a key" : take_number(w[2], &f.since);
    if (!wrong && s->formers.n == FORMERS_MAX)
        wrong = "too many";
    return wrong ? wrong : list_add(&s->formers, &f, sizeof(f), FORMERS_MAX) ? NULL : "memory is short";
}

/* One line, which is cut into words. NULL, or what is wrong. */
static const char *take_line(struct shares *s, char *line)
{
    static const struct {
        const char *word;
        unsigned words;
        const char *(*take)(struct shares *, char **);
    } kinds[] = {{"share", 4, on_share}, {"grant", 4, on_grant}, {"invite", 10, on_invite}, {"from", 4, on_from}, {"former", 4, on_former}};
    char *w[WORDS_MAX + 1];
    unsigned n = 0;
    for (char *at = line; at && n <= WORDS_MAX; n++) {
        w[n] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(w[0], kinds[i].word))
            return n == kinds[i].words ? kinds[i].take(s, w + 1) : "there are words too few or too many";
    return "a line begins with share, grant, invite, from or former";
}

int shares_parse(struct shares *s, const char *text, size_t len, unsigned *line, char *err, size_t errlen)
{
    struct shares new = {0};
    char buf[LINE_LEN_MAX];
    const char *wrong = NULL;
    *line = 0;
    for (size_t at = 0; at < len && !wrong;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        ++*line;
        if (n >= sizeof(buf) || memchr(text + at, '\0', n)) {
            wrong = "the line is too long, or no text";
            break;
        }
        memcpy(buf, text + at, n);
        buf[n] = '\0';
        wrong = n ? take_line(&new, buf) : NULL;
        at += n + 1;
    }
    crypto_wipe(buf, sizeof(buf));
    if (wrong) {
        snprintf(err, errlen, "%s", wrong);
        clear(&new);
        return -EINVAL;
    }
    clear(s);
    *s = new;
    return 0;
}
