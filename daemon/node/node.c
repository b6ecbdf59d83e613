#include "daemon/node/node.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/crypto.h"
#include "daemon/node/inside.h"
#include "daemon/node/ring_walk.h"

void node_config_default(struct node_config *c)
{
    *c = (struct node_config){
        .workers = 1,
        .triggers_max = 1 << 21,
        .fanout_max = 64,
        .stack_max = 4,
        .lifetime_s = 30,
        .epoch_s = 120,
        .errors_per_s = 10000,
        .proofs_per_s = UINT32_MAX,
        .proofs_busy_per_s = 5000,
        .lookups_per_s = 5000,
    };
}

/* ---- epochs ---- */

static void epoch_draw(struct node *n)
{
    struct epoch *e = &n->epoch;
    uint8_t next = (uint8_t)(e->number + 1);
    crypto_wipe(&n->previous, sizeof(n->previous));
    n->previous = *e;
    *e = (struct epoch){.valid = true, .number = next};
    uint8_t secret[BLAKE2S_LEN];
    drbg_draw(&n->rng, secret, sizeof(secret));
    hmac_init(&e->cookie, (struct bytes){secret, sizeof(secret)});
    crypto_wipe(secret, sizeof(secret));
    drbg_draw(&n->rng, e->priv, sizeof(e->priv));
    x25519_public(e->pub, e->priv);
}

/* After a long silence both epochs are of the past. */
static void epoch_turn(struct node *n, mono_t now)
{
    uint64_t life = n->config.epoch_s * USEC_PER_SEC;
    if (!mono_due(n->epoch_end, now))
        return;
    if (mono_since(n->epoch_end, now) >= life)
        epoch_draw(n);
    epoch_draw(n);
    n->epoch_end = mono_add(now, life);
}

const struct epoch *node_epoch(const struct node *n, uint8_t number)
{
    if (n->epoch.number == number)
        return &n->epoch;
    return n->previous.valid && n->previous.number == number ? &n->previous : NULL;
}

/* ---- life ---- */

static void config_clamp(struct node_config *c)
{
    if (c->fanout_max > OUTBOX_HEADROOM / 2)
        c->fanout_max = OUTBOX_HEADROOM / 2;
    if (!c->fanout_max)
        c->fanout_max = 1;
    if (c->stack_max > STACK_MAX)
        c->stack_max = STACK_MAX;
    if (c->lifetime_s > UINT16_MAX)
        c->lifetime_s = UINT16_MAX; /* as ACK's field */
    if (!c->workers)
        c->workers = 1;
    if (c->workers > NODE_WORKERS_MAX)
        c->workers = NODE_WORKERS_MAX;
}

struct node *node_new(const struct node_config *c, mono_t now)
{
    struct node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->config = *c;
    config_clamp(&n->config);
    drbg_init(&n->rng, c->seed);
    crypto_wipe(n->config.seed, sizeof(n->config.seed));
    struct store_config sc = {
        .triggers_max = n->config.triggers_max,
        .source_max = n->config.triggers_per_source,
        .same_max = n->config.fanout_max,
        .life_us = n->config.lifetime_s * USEC_PER_SEC,
    };
    drbg_draw(&n->rng, sc.secret, sizeof(sc.secret));
    n->store = store_new(&sc);
    if (!n->store || workers_new(n, now) || rates_init(&n->sources, c->rate_per_source, RATE_SOURCES, true) ||
        rates_init(&n->targets, c->rate_per_trigger, n->config.triggers_max + 1, false)) {
        node_free(n);
        return NULL;
    }
    epoch_draw(n);
    n->epoch_end = mono_add(now, n->config.epoch_s * USEC_PER_SEC);
    limit_init(&n->lookups, now, n->config.lookups_per_s);
    return n;
}

void node_free(struct node *n)
{
    if (!n)
        return;
    workers_free(n);
    rates_fini(&n->sources);
    rates_fini(&n->targets);
    store_free(n->store);
    cluster_free(n->cluster);
    crypto_wipe(n, sizeof(*n));
    free(n);
}

mono_t node_deadline(const struct node *n)
{
    return mono_min(store_deadline(n->store), cluster_deadline(n->cluster));
}

void node_expire(struct node *n, mono_t now)
{
    epoch_turn(n, now);
    n->stats.expired += store_expire(n->store, now);
}

bool node_is_due(const struct node *n, mono_t now)
{
    return mono_due(n->epoch_end, now) || mono_due(node_deadline(n), now);
}

void node_run(struct node *n, mono_t now, struct outbox *out)
{
    node_expire(n, now);
    cluster_run(n, now, out);
}

int node_join(struct node *n, mono_t now, const struct ring_config *c)
{
    n->cluster = cluster_new(c, now);
    return n->cluster ? 0 : -ENOMEM;
}

bool node_leave(struct node *n, mono_t now, struct outbox *out)
{
    return cluster_leave(n, now, out);
}

bool node_lingers(const struct node *n)
{
    return n->cluster && ring_has_left(cluster_ring(n->cluster));
}

const struct ring *node_ring(const struct node *n)
{
    return cluster_ring(n->cluster);
}

int node_walk(struct node *n, mono_t now, struct outbox *out)
{
    return n->cluster ? ring_walk_start(cluster_members(n->cluster), now, out) : -ENOTCONN;
}

int64_t node_trace(struct node *n, mono_t now, const struct i3_id *id, struct outbox *out)
{
    return n->cluster ? ring_trace_start(cluster_members(n->cluster), now, ring_pos_of(id->b), out) : -ENOTCONN;
}
