/* trigger_inside.h - what trigger.c, trigger_send.c and trigger_answer.c share. Nobody else includes this. */
#ifndef I3_TRIGGER_INSIDE_H
#define I3_TRIGGER_INSIDE_H

#include "daemon/base/log.h"
#include "daemon/i3/deadline.h"
#include "daemon/i3/trigger.h"

enum { SLOT_BITS = 16, TRIGGER_WATCHED = 4 };

/* The nonce of an INSERT and the seq of a PROVE or REFRESH are tokens of ours which the answer repeats: the lower
 * SLOT_BITS bits say which trigger it is about, the upper ones are random, or count from a random start. */
struct trigger {
    enum trigger_state state;
    struct deadline due;
    uint16_t slot;

    struct i3_id id;
    uint16_t plen;
    uint8_t flags, n;
    struct i3_id *stack;
    uint8_t priv[KEY_LEN], pub[KEY_LEN];

    uint64_t nonce; /* of the INSERT */
    struct wire_challenge challenge;
    struct proof_key key;     /* from PROVEN on */
    uint64_t seq;             /* last sent */
    uint64_t round_seq;       /* first of this round */
    unsigned tries;           /* sent in this round */
    mono_t round_start, sent; /* first and last of this round */
    uint64_t pause;           /* before the next repetition */
    uint64_t penalty;         /* before it is asked for again after a refusal */

    mono_t expiry;
    struct addr seen, seen_by; /* our address in the last ACK, and whose that was */
    struct addr owner; /* the node which keeps it, family 0: the first one */
    unsigned owners;   /* named one after the other */
    uint64_t refreshes, inserts;
    uint32_t rtt_us;
    int last_refusal;
};

/* A node by which packets come. */
struct watched {
    struct addr at; /* family 0: free */
    mono_t used, heard, pinged, waiting; /* waiting: since when for a PONG, MONO_NEVER: not */
    uint64_t patience;
    uint8_t nonce[NONCE_LEN];
};

/* A removal on its way. */
struct leaving {
    uint8_t packet[REFRESH_LEN];
    uint64_t seq;
    struct addr at; /* family 0: free */
    unsigned tries;
    mono_t due;
};

struct triggers {
    struct trigger *slot[TRIGGERS_MAX];
    unsigned n, used; /* triggers; slots below `used` may be taken */
    struct deadlines due;
    struct drbg drbg;
    bool private;
    struct addr node, seen;
    mono_t last_answer, last_suspicion, last_doubt;
    mono_t doubt_at;      /* MONO_NEVER: there is none */
    uint64_t doubt_pause; /* after the last one */
    mono_t forgotten_at;  /* when a NAT was last found to have forgotten us between two refreshes; us 0: never */
    unsigned forgotten;   /* how often in a row */
    unsigned hurry;       /* refreshes come so many times twice as often */
    struct watched watched[TRIGGER_WATCHED];
    mono_t delivered; /* when one was last looked for */
    struct leaving leaving[TRIGGERS_LEAVING];
    unsigned leaving_next;
};

/* The one setter. */
void trigger_set_state(struct triggers *ts, struct trigger *t, enum trigger_state state, mono_t due);
/* us +- 10 % */
uint64_t trigger_jittered(struct triggers *ts, uint64_t us);
/* 250 ms, doubling to 4 s */
uint64_t trigger_next_pause(uint64_t pause);
uint64_t trigger_token(struct triggers *ts, const struct trigger *t);

static inline struct trigger *trigger_by_token(const struct triggers *ts, uint64_t token)
{
    unsigned slot = token & ((1u << SLOT_BITS) - 1);
    return slot < ts->used ? ts->slot[slot] : NULL;
}

/* Where it is kept, or asked for. */
static inline const struct addr *trigger_node(const struct triggers *ts, const struct trigger *t)
{
    return t->owner.family ? &t->owner : &ts->node;
}

/* trigger_doubt.c */
/* One trigger was lost, or we have moved: the others probably share its fate, so they are asked about now rather than at half of
 * their life. Not those which a node saw where it saw `safe` (or NULL). */
void triggers_suspect(struct triggers *ts, mono_t now, const struct trigger *safe);
/* t was acknowledged by that node, which has seen us there; and the others? */
void trigger_seen(struct triggers *ts, mono_t now, struct trigger *t, const struct addr *node, const struct addr *seen);
/* What is doubted and due becomes due. */
void triggers_ask_doubted(struct triggers *ts, mono_t now);

/* trigger_watch.c */
void triggers_watch(struct triggers *ts, mono_t now, struct outbox *out);
mono_t triggers_watch_deadline(const struct triggers *ts);
int trigger_input_pong(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len);

/* trigger_send.c */
/* It is no longer wanted: the node is told, if it may hold it, until it answers or was told often enough. */
void trigger_leave(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out);
/* An answer to that. */
bool trigger_left(struct triggers *ts, const struct addr *from, uint64_t seq);
void triggers_withdraw(struct triggers *ts, struct outbox *out);

#endif
