/* vias.h - the user's end of a gateway: which names lead through which one, and by what addresses programs know them (gateway/to_ip.h has
 * the picture).
 *
 * A via is a name as a program has asked for it, at one gateway, for one side of ours (the key by which the gateway knows us). Its key in
 * naming/pool is no key of anybody: BLAKE2s("i3run gateway name v1", the gateway's key, the side's mark, name). So the same name behind two
 * gateways has two addresses, and two networks behind gateways may use the same real ones: programs never see those.
 *
 *   NEW --ask--> ASKING --answer--> KNOWN   (the answer holds `until`; then it is asked for again, and what is open goes on)
 *                   ^                  |
 *                   +-- the gateway has forgotten it, or is another one (`registered` is false) --+
 *
 * Bound: VIAS_MAX; the one longest unused that is not busy gives way.
 */
#ifndef I3_GATEWAY_VIAS_H
#define I3_GATEWAY_VIAS_H

#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "daemon/base/id.h"
#include "daemon/base/mono.h"
#include "daemon/gateway/words.h"

enum { VIAS_MAX = 16384, VIA_BUSY_LOOKS = 64 };

enum via_state { VIA_NEW, VIA_ASKING, VIA_KNOWN, VIA_STATES };

struct via_key {
    uint8_t gateway[KEY_LEN];
    uint32_t side; /* 0: the user's own */
    char full[GATE_NAME_MAX + 1]; /* zeros behind it */
};

struct via {
    struct via_key key;            /* full: as programs ask for it, lower case */
    uint8_t pseudo[KEY_LEN];       /* in the pool */
    char name[GATE_NAME_MAX + 1];  /* as the gateway is asked for it */
    uint32_t host;                 /* virtual addresses */
    uint8_t ip6[16];
    void *side; /* the caller's */

    enum via_state state;
    bool registered; /* the gateway knows where packets to it are to go */
    bool answered;   /* there is a `status` */
    enum gate_status status;
    uint8_t families;
    uint32_t serial; /* of the question under way */
    unsigned tries;
    mono_t due, give_up; /* ASKING: the next question; when nobody is there */
    mono_t until;        /* the answer holds */
    mono_t used, refused_told;

    UT_hash_handle by_name, by_host;
    struct via *prev, *next;          /* by use, the longest unused first */
    struct via *ask_prev, *ask_next;  /* those which are ASKING */
};

struct vias;

struct vias *vias_new(void);
void vias_free(struct vias *t);

/* mark: of the side, 0 for the user's own. NULL: it is not there. */
struct via *via_find(const struct vias *t, const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full);
struct via *via_by_host(const struct vias *t, uint32_t host);
/* A new one without addresses. busy: may not give way. NULL: no room, or a name too long. *gone, if not NULL: one that is about to be freed. */
struct via *via_add(struct vias *t, const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full, const char *name,
    bool (*busy)(void *ctx, const struct via *v), void (*gone)(void *ctx, struct via *v), void *ctx);
void via_place(struct vias *t, struct via *v, uint32_t host, const uint8_t ip6[16]);
void via_remove(struct vias *t, struct via *v);
void via_touch(struct vias *t, struct via *v, mono_t now);

/* What the key in the pool is. */
void via_pseudo(uint8_t out[KEY_LEN], const uint8_t gateway[KEY_LEN], uint32_t mark, const char *full);

/* A question is under way from now on, the first of it due at once. */
void via_ask(struct vias *t, struct via *v, mono_t now, uint64_t patience_us);
/* It was sent once more: when the next is due. */
void via_sent(struct via *v, mono_t now);
/* There is an answer, or none will come. */
void via_answered(struct vias *t, struct via *v, mono_t now, enum gate_status status, uint8_t families, uint64_t life_us);
/* The first of those which are ASKING, and the next; NULL at the end. */
struct via *via_asking(const struct vias *t, const struct via *v);
mono_t vias_deadline(const struct vias *t);
/* By use; NULL starts and ends. */
struct via *via_next(const struct vias *t, const struct via *v);
unsigned vias_count(const struct vias *t);

#endif
