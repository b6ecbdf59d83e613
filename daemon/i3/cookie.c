#include "daemon/i3/cookie.h"

#include <string.h>

#define EACH_PRICE (USEC_PER_SEC / GATE_EACH_PER_S)

/* ---- secrets ---- */

static void make_secret(struct gate *g, uint64_t epoch)
{
    uint8_t key[BLAKE2S_LEN];
    hmac_blake2s(key, (struct bytes){g->seed, sizeof(g->seed)}, &(struct bytes){&epoch, sizeof(epoch)}, 1);
    hmac_init(&g->secret[epoch & 1], (struct bytes){key, sizeof(key)});
    crypto_wipe(key, sizeof(key));
}

void gate_init(struct gate *g, const uint8_t seed[BLAKE2S_LEN])
{
    *g = (struct gate){0};
    memcpy(g->seed, seed, BLAKE2S_LEN);
    g->epoch = 1; /* there is one before it */
    make_secret(g, 0);
    make_secret(g, 1);
    for (unsigned i = 0; i < GATE_SOURCES; i++)
        g->each[i].credit = GATE_EACH_BURST * EACH_PRICE;
}

static void turn_epoch(struct gate *g, mono_t now)
{
    uint64_t epoch = now.us / GATE_EPOCH + 1;
    if (epoch <= g->epoch)
        return;
    if (epoch > g->epoch + 1)
        make_secret(g, epoch - 1);
    make_secret(g, epoch);
    g->epoch = epoch;
}

static void make_cookie(const struct gate *g, uint64_t epoch, const uint8_t *prefix, uint8_t out[MAC_LEN])
{
    uint8_t mac[BLAKE2S_LEN];
    hmac_make(mac, &g->secret[epoch & 1], &(struct bytes){prefix, ID_PREFIX_LEN}, 1);
    memcpy(out, mac, MAC_LEN);
}

/* ---- load ---- */

static void turn_second(struct gate *g, mono_t now)
{
    uint64_t passed = mono_since(g->second, now);
    if (passed < USEC_PER_SEC)
        return;
    g->loaded = passed < 2 * USEC_PER_SEC && g->free > GATE_FREE_PER_S;
    g->second = now;
    g->free = 0;
}

bool gate_is_loaded(const struct gate *g, mono_t now)
{
    uint64_t passed = mono_since(g->second, now);
    return passed < 2 * USEC_PER_SEC && (g->free > GATE_FREE_PER_S || (g->loaded && passed < USEC_PER_SEC));
}

/* True: it bears a mac2 with a cookie of ours; `cookie` is the one it would get now. */
static bool is_shown(const struct gate *g, const uint8_t *init, uint8_t cookie[MAC_LEN])
{
    static const uint8_t none[MAC_LEN];
    uint8_t before[MAC_LEN];
    make_cookie(g, g->epoch, init_return(init), cookie);
    if (!memcmp(init_mac2(init), none, MAC_LEN))
        return false;
    if (init_has_mac2(init, cookie))
        return true;
    make_cookie(g, g->epoch - 1, init_return(init), before);
    return init_has_mac2(init, before);
}

enum gate_verdict gate_input(struct gate *g, mono_t now, const uint8_t init[INIT_LEN], uint8_t cookie[COOKIE_BODY_LEN])
{
    uint16_t place;
    turn_second(g, now);
    if (!gate_is_loaded(g, now) && ++g->free <= GATE_FREE_PER_S)
        return GATE_READ;
    if (!init_has_return(init)) {
        g->free++;
        return GATE_DROP;
    }
    turn_epoch(g, now);
    memcpy(cookie, init_mac1(init), MAC_LEN);
    if (!is_shown(g, init, cookie + MAC_LEN)) {
        g->free++;
        return GATE_ANSWER;
    }
    memcpy(&place, cookie + MAC_LEN, sizeof(place));
    return budget_take(&g->each[place % GATE_SOURCES], now, EACH_PRICE, GATE_EACH_BURST) ? GATE_READ : GATE_DROP;
}
