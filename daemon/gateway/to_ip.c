#include "daemon/gateway/to_ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <utlist.h>

enum { UNKNOWN_BURST = 64, UNKNOWN_RATE = 64, ASK_BURST = 2000, ASK_RATE = 500 };

struct to_ip {
    struct gate_user *users, *order; /* hash, and by use */
    struct gate_name *ips, *ip6s;
    struct gate_record *records, *tokens, *idle;
    unsigned n_users, n_names, n_idle, flows;
    uint32_t token;
    struct gate_account gone; /* of users that were forgotten */
};

struct to_ip *to_ip_new(void)
{
    return calloc(1, sizeof(struct to_ip));
}

static void record_free(struct to_ip *t, struct gate_record *r)
{
    HASH_DELETE(by_name, t->records, r);
    if (r->asking)
        HASH_DELETE(by_token, t->tokens, r);
    free(r);
}

static void account_add(struct gate_account *sum, const struct gate_account *a)
{
    sum->names += a->names;
    sum->connections += a->connections;
    sum->failed += a->failed;
    sum->refused += a->refused;
    sum->ports += a->ports;
    sum->up += a->up;
    sum->down += a->down;
}

static void user_free(struct to_ip *t, struct gate_user *u)
{
    while (u->names)
        gate_name_remove(t, u->names);
    account_add(&t->gone, &u->account);
    HASH_DELETE(hh, t->users, u);
    DL_DELETE(t->order, u);
    t->n_users--;
    free(u);
}

void to_ip_free(struct to_ip *t)
{
    if (!t)
        return;
    while (t->order)
        user_free(t, t->order);
    struct gate_record *r, *next;
    HASH_ITER(by_name, t->records, r, next)
        record_free(t, r);
    free(t);
}

/* ---- users ---- */

struct gate_user *gate_user_find(const struct to_ip *t, const uint8_t key[KEY_LEN])
{
    struct gate_user *u;
    HASH_FIND(hh, t->users, key, KEY_LEN, u);
    return u;
}

static bool user_room(struct to_ip *t)
{
    struct gate_user *u;
    if (t->n_users < TO_IP_USERS)
        return true;
    DL_FOREACH(t->order, u)
        if (!u->flows) {
            bool held = false;
            for (const struct gate_name *m = u->names; m; m = m->next)
                held |= m->held != NULL;
            if (held)
                continue;
            user_free(t, u);
            return true;
        }
    return false;
}

struct gate_user *gate_user_get(struct to_ip *t, mono_t now, const uint8_t key[KEY_LEN], uint32_t host)
{
    struct gate_user *u = gate_user_find(t, key);
    if (!u) {
        if (!user_room(t) || !(u = calloc(1, sizeof(*u))))
            return NULL;
        memcpy(u->key, key, KEY_LEN);
        u->first = now;
        u->unknown_at = now;
        u->unknown = UNKNOWN_BURST;
        u->asks_at = now;
        u->asks = ASK_BURST;
        u->told_at = MONO_NEVER;
        HASH_ADD(hh, t->users, key, KEY_LEN, u);
        DL_APPEND(t->order, u);
        t->n_users++;
    }
    u->host = host;
    u->last = now;
    DL_DELETE(t->order, u);
    DL_APPEND(t->order, u);
    return u;
}

struct gate_user *gate_user_next(const struct to_ip *t, const struct gate_user *u)
{
    return u ? u->next : t->order;
}

unsigned gate_users(const struct to_ip *t)
{
    return t->n_users;
}

void to_ip_sum(const struct to_ip *t, struct gate_account *sum)
{
    *sum = t->gone;
    for (const struct gate_user *u = t->order; u; u = u->next)
        account_add(sum, &u->account);
}

bool gate_user_room(const struct to_ip *t, const struct gate_user *u, const struct config_gateway *c)
{
    return t->flows < c->connections && u->flows < c->per_user;
}

void gate_flow_begin(struct to_ip *t, struct gate_name *m, mono_t now)
{
    t->flows++;
    m->flows++;
    m->user->flows++;
    m->user->last = now;
    gate_name_touch(m, now);
}

void gate_flow_end(struct to_ip *t, struct gate_name *m)
{
    t->flows--;
    m->flows--;
    m->user->flows--;
}

unsigned gate_flows(const struct to_ip *t)
{
    return t->flows;
}

static bool take(double *left, mono_t *at, mono_t now, double burst, double rate)
{
    *left += (double)mono_since(*at, now) * rate / (double)USEC_PER_SEC;
    *left = *left > burst ? burst : *left;
    *at = now;
    if (*left < 1)
        return false;
    *left -= 1;
    return true;
}

bool gate_user_may_hear(struct gate_user *u, mono_t now)
{
    return take(&u->unknown, &u->unknown_at, now, UNKNOWN_BURST, UNKNOWN_RATE);
}

bool gate_user_may_ask(struct gate_user *u, mono_t now)
{
    return take(&u->asks, &u->asks_at, now, ASK_BURST, ASK_RATE);
}

/* ---- records ---- */

/* Lower case, without a dot at the end, into zeroed room. False: no name that a DNS could be asked for, nor an address. */
static bool plain_name(const char *name, char out[GATE_NAME_MAX + 1])
{
    size_t n = strlen(name), label = 0;
    memset(out, 0, GATE_NAME_MAX + 1);
    n -= n && name[n - 1] == '.';
    if (!n || n > GATE_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c >= 127 || c == '\\' || (c == '.' && !label))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return true;
}

bool gate_literal(const char *name, struct addr *out)
{
    char colons[INET6_ADDRSTRLEN];
    size_t n = strlen(name);
    *out = (struct addr){0};
    if (inet_pton(AF_INET, name, out->ip) == 1)
        out->family = 4;
    else if (inet_pton(AF_INET6, name, out->ip) == 1)
        out->family = 6;
    if (out->family || n >= sizeof(colons))
        return out->family;
    for (size_t i = 0; i <= n; i++) /* one without a dash has been looked at */
        colons[i] = name[i] == '-' ? ':' : name[i];
    if (inet_pton(AF_INET6, colons, out->ip) == 1)
        out->family = 6;
    return out->family;
}

static struct gate_record *record_get(struct to_ip *t, const char *name)
{
    char plain[GATE_NAME_MAX + 1];
    struct gate_record *r;
    if (!plain_name(name, plain))
        return NULL;
    HASH_FIND(by_name, t->records, plain, strlen(plain), r);
    if (r || !(r = calloc(1, sizeof(*r))))
        return r;
    memcpy(r->name, plain, sizeof(plain));
    r->until = MONO_NEVER;
    HASH_ADD_KEYPTR(by_name, t->records, r->name, strlen(r->name), r);
    if (gate_literal(r->name, &r->addr[0])) {
        r->answered = true;
        r->n = 1;
        r->ttl = (uint32_t)(RECORD_LIFE_MAX / USEC_PER_SEC);
    }
    DL_APPEND(t->idle, r);
    t->n_idle++;
    return r;
}

static void record_use(struct to_ip *t, struct gate_record *r, struct gate_name *m)
{
    if (!r->names) {
        DL_DELETE(t->idle, r);
        t->n_idle--;
    }
    DL_APPEND2(r->names, m, r_prev, r_next);
    m->record = r;
}

static void record_leave(struct to_ip *t, struct gate_name *m)
{
    struct gate_record *r = m->record, *old;
    DL_DELETE2(r->names, m, r_prev, r_next);
    m->record = NULL;
    if (r->names)
        return;
    DL_APPEND(t->idle, r);
    t->n_idle++;
    while (t->n_idle > TO_IP_RECORDS) {
        old = t->idle;
        DL_DELETE(t->idle, old);
        t->n_idle--;
        record_free(t, old);
    }
}

bool gate_record_stale(const struct gate_record *r, mono_t now)
{
    return !r->answered || (r->until.us != MONO_NEVER.us && mono_due(r->until, now));
}

uint32_t gate_record_ask(struct to_ip *t, struct gate_record *r)
{
    if (r->asking)
        return r->token;
    r->asking = true;
    r->token = ++t->token;
    HASH_ADD(by_token, t->tokens, token, sizeof(r->token), r);
    return r->token;
}

struct gate_record *gate_record_asked(const struct to_ip *t, uint32_t token)
{
    struct gate_record *r;
    HASH_FIND(by_token, t->tokens, &token, sizeof(token), r);
    return r;
}

static uint64_t life(enum gate_status status, uint32_t ttl)
{
    uint64_t us = (uint64_t)ttl * USEC_PER_SEC;
    if (status == GATE_OK)
        return us < RECORD_LIFE_MIN ? RECORD_LIFE_MIN : us > RECORD_LIFE_MAX ? RECORD_LIFE_MAX : us;
    if (status == GATE_NO_NAME || status == GATE_NO_ADDRESS)
        return us < RECORD_LIFE_MIN ? RECORD_LIFE_MIN : us > RECORD_LIFE_NONE ? RECORD_LIFE_NONE : us;
    return RECORD_LIFE_BAD;
}

void gate_record_answer(struct to_ip *t, mono_t now, struct gate_record *r, enum gate_status status, const struct addr *v, unsigned n, uint32_t ttl)
{
    if (r->asking)
        HASH_DELETE(by_token, t->tokens, r);
    r->asking = false;
    r->until = mono_add(now, life(status, ttl));
    if (status == GATE_LATER && r->answered && r->status == GATE_OK)
        return; /* the old ones serve on */
    r->answered = true;
    r->status = status;
    r->n = n < TO_IP_ADDRS ? n : TO_IP_ADDRS;
    for (unsigned i = 0; i < r->n; i++) {
        r->addr[i] = v[i];
        r->addr[i].port = 0;
    }
}

void gate_records_doubt(struct to_ip *t)
{
    struct gate_record *r, *next;
    HASH_ITER(by_name, t->records, r, next)
    {
        if (r->asking)
            HASH_DELETE(by_token, t->tokens, r);
        r->asking = false;
        if (r->until.us != MONO_NEVER.us)
            r->until = (mono_t){0};
    }
}

uint32_t gate_record_ttl(const struct gate_record *r, mono_t now)
{
    if (r->until.us == MONO_NEVER.us)
        return (uint32_t)(RECORD_LIFE_MAX / USEC_PER_SEC);
    return mono_due(r->until, now) ? 0 : (uint32_t)(mono_since(now, r->until) / USEC_PER_SEC);
}

/* ---- names ---- */

struct gate_name *gate_name_find(const struct to_ip *t, uint32_t host, uint32_t ip)
{
    struct gate_name_key key = {host, ip};
    struct gate_name *m;
    HASH_FIND(by_ip, t->ips, &key, sizeof(key), m);
    return m;
}

struct gate_name *gate_name_find6(const struct to_ip *t, uint32_t host, const uint8_t ip6[16])
{
    struct gate_name_key6 key = {.host = host};
    struct gate_name *m;
    memcpy(key.ip6, ip6, sizeof(key.ip6));
    HASH_FIND(by_ip6, t->ip6s, &key, sizeof(key), m);
    return m;
}

void gate_name_touch(struct gate_name *m, mono_t now)
{
    m->used = now;
    DL_DELETE(m->user->names, m);
    DL_APPEND(m->user->names, m);
}

void gate_name_remove(struct to_ip *t, struct gate_name *m)
{
    record_leave(t, m);
    HASH_DELETE(by_ip, t->ips, m);
    HASH_DELETE(by_ip6, t->ip6s, m);
    DL_DELETE(m->user->names, m);
    m->user->n_names--;
    t->n_names--;
    free(m);
}

/* The user's own longest unused gives way. */
static bool name_room(struct to_ip *t, struct gate_user *u, void (*gone)(void *ctx, struct gate_name *m), void *ctx)
{
    if (u->n_names < TO_IP_NAMES && t->n_names < TO_IP_NAMES_ALL)
        return true;
    for (struct gate_name *m = u->names; m; m = m->next)
        if (!m->flows && !m->held) {
            gone(ctx, m);
            gate_name_remove(t, m);
            return true;
        }
    return false;
}

int gate_name_put(struct to_ip *t, mono_t now, struct gate_user *u, void *side, const struct gate_ask *ask, void (*gone)(void *ctx, struct gate_name *m),
    void *ctx, struct gate_name **out)
{
    struct gate_record *r = record_get(t, ask->name);
    struct gate_name *old = gate_name_find(t, u->host, ask->ip), *old6 = gate_name_find6(t, u->host, ask->ip6);
    if (!r)
        return -EINVAL;
    if (old && old == old6 && old->record == r && old->side == side) {
        gate_name_touch(old, now);
        *out = old;
        return 0;
    }
    if (old6 && old6 != old) {
        gone(ctx, old6);
        gate_name_remove(t, old6);
    }
    if (old) {
        gone(ctx, old);
        gate_name_remove(t, old);
    }
    r = record_get(t, ask->name); /* with the old ones it may have gone */
    struct gate_name *m = r && name_room(t, u, gone, ctx) ? calloc(1, sizeof(*m)) : NULL;
    if (!m)
        return -ENOSPC;
    m->key = (struct gate_name_key){u->host, ask->ip};
    m->key6.host = u->host;
    memcpy(m->key6.ip6, ask->ip6, sizeof(ask->ip6));
    m->user = u;
    m->side = side;
    m->used = now;
    r = record_get(t, ask->name);
    if (!r) {
        free(m);
        return -ENOSPC;
    }
    record_use(t, r, m);
    HASH_ADD(by_ip, t->ips, key, sizeof(m->key), m);
    HASH_ADD(by_ip6, t->ip6s, key6, sizeof(m->key6), m);
    DL_APPEND(u->names, m);
    u->n_names++;
    t->n_names++;
    *out = m;
    return 0;
}

/* ---- may it? ---- */

bool gate_name_permitted(const struct config_gateway *c, const char *name)
{
    struct addr unused;
    size_t len = strlen(name);
    if (!c->n_names || gate_literal(name, &unused))
        return true;
    for (unsigned i = 0; i < c->n_names; i++) {
        size_t n = strlen(c->names[i]);
        if ((len > n && !memcmp(name + len - n, c->names[i], n)) || !strcmp(name, c->names[i] + 1))
            return true;
    }
    return false;
}

unsigned gate_addresses(const struct config_gateway *c, const struct network *own, const struct gate_record *r, uint16_t port, uint8_t first,
    struct addr out[TO_IP_ADDRS], bool *reserved)
{
    unsigned n = 0;
    *reserved = false;
    if (!gate_name_permitted(c, r->name))
        return 0;
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < r->n; i++) {
            struct addr a = r->addr[i];
            bool range = false;
            a.port = port;
            if ((a.family == first) != (pass == 0))
                continue;
            if (networks_allow(c->networks, c->n_networks, own, &a, &range))
                out[n++] = a;
            *reserved |= range;
        }
    return n;
}

enum gate_status gate_name_status(const struct config_gateway *c, const struct network *own, const struct gate_name *m, uint8_t *families)
{
    struct addr v[TO_IP_ADDRS];
    bool reserved;
    *families = 0;
    if (!gate_name_permitted(c, m->record->name))
        return GATE_FORBIDDEN;
    if (m->record->status != GATE_OK)
        return m->record->status;
    unsigned n = gate_addresses(c, own, m->record, 0, 4, v, &reserved);
    for (unsigned i = 0; i < n; i++)
        *families |= v[i].family == 4 ? GATE_HAS_4 : GATE_HAS_6;
    return n ? GATE_OK : GATE_FORBIDDEN;
}
