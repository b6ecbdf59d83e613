/* handshake.h - the two messages that make a key, as bytes (drawn in peer.h). No state, no timers: those are in peer_shake.c. */
#ifndef I3_HANDSHAKE_H
#define I3_HANDSHAKE_H

#include "daemon/base/id.h"
#include "daemon/i3/noise.h"

enum {
    INIT_PAYLOAD_LEN = 64,
    RESPONSE_PAYLOAD_LEN = 56,
    INIT_NOISE_LEN = NOISE_INIT_OVERHEAD + INIT_PAYLOAD_LEN,
    INIT_LEN = INIT_NOISE_LEN + MAC_LEN + ID_LEN + MAC_LEN,
    COOKIE_BODY_LEN = 2 * MAC_LEN,
    RESPONSE_LEN = NOISE_RESPONSE_OVERHEAD + RESPONSE_PAYLOAD_LEN,
    BOXES_MAX = 3,
    BOXES_TOKEN_LEN = 8,
    MEMBER_LEN = 8, /* the part of an id's suffix that tells members of a group apart; the rest is zeros */
};

/* The middle-boxes between two ends, in the order in which the packets of whoever names them pass (middlebox/route.h). An INIT that names
 * some goes by them, and has behind its INIT_LEN bytes
 *     0      1               4             12
 *   +------+---------------+-------------+----------------------------------+----------+
 *   | n    | 0 0 0         | token (8)   | n of: key (32) member (8)        | tag (16) |   sealed, n: 1 to BOXES_MAX
 *   +------+---------------+-------------+----------------------------------+----------+
 * where mac1 and mac2 do not reach, but the handshake's hash does. member: of an anycast box, or zeros. */
struct peer_box {
    uint8_t key[KEY_LEN], member[MEMBER_LEN];
};

struct peer_boxes {
    unsigned n; /* 0: there are none */
    uint8_t token[BOXES_TOKEN_LEN];
    struct peer_box box[BOXES_MAX];
};

enum {
    BOXES_HEAD_LEN = 4 + BOXES_TOKEN_LEN,
    BOXES_EACH_LEN = KEY_LEN + MEMBER_LEN,
    INIT_MORE_MAX = BOXES_HEAD_LEN + BOXES_MAX * BOXES_EACH_LEN + SEAL_TAG_LEN,
    INIT_MAX = INIT_LEN + INIT_MORE_MAX,
};

/* Flags. Unknown ones are not looked at. */
enum {
    HELLO_SHORTCUT = 1, /* would take shortcuts, and tell its addresses to the peer (path.h) */
    HELLO_PLAIN = 2,    /* would not encrypt IP packets (PROTO_PLAIN in peer.h) */
};

/* What either side says of itself. */
struct hello {
    uint64_t time;        /* INIT only: microseconds since 1970 */
    struct i3_id id;      /* the private id to answer to */
    uint32_t own_address; /* virtual, host order; 0: not said */
    uint32_t your_address;
    uint8_t ciphers; /* INIT: mask of what is offered; RESPONSE: the one chosen */
    uint8_t flags;   /* HELLO_... */
    uint16_t mtu;
    uint32_t recv_buffer;
    uint8_t member[MEMBER_LEN]; /* RESPONSE only: which member of a group it is; zeros: its key is its own */
};

/* The key of mac1 for whoever has this public key. */
void mac1_key(uint8_t out[BLAKE2S_LEN], const uint8_t pub[KEY_LEN]);

/* A fresh noise state for this handshake; rs NULL at the responder. */
void handshake_start(
    struct noise *n, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t *rs);

/* Writes INIT_LEN bytes. 0 or -EKEYREJECTED. */
int init_write(struct noise *n, const uint8_t e_priv[KEY_LEN], const struct hello *h, uint8_t out[INIT_LEN]);
/* What follows it: how many bytes that is, 0 where there are no boxes. */
size_t init_write_boxes(struct noise *n, const struct peer_boxes *b, uint8_t out[INIT_MORE_MAX]);
/* An INIT may have that length. */
bool init_len_is_good(size_t len);
/* After init_read(), of an INIT of len bytes. 0 or -EBADMSG; b->n is 0 where there are no boxes. */
int init_read_boxes(struct noise *n, const uint8_t *p, size_t len, struct peer_boxes *b);
/* The cheap test, before anything is computed in earnest: length and mac1. */
bool init_is_for(const uint8_t key[BLAKE2S_LEN], const uint8_t *p, size_t len);
/* mac1 of an INIT, which names its bytes. */
static inline const uint8_t *init_mac1(const uint8_t *p)
{
    return p + INIT_NOISE_LEN;
}
/* Its last part, which differs where it is sent again (cookie.h): to which id it may be answered in the clear, NULL: none (zeros); and mac2
 * under `cookie`, NULL: none (zeros). */
void init_set_return(uint8_t p[INIT_LEN], const struct i3_id *id, const uint8_t *cookie);
static inline const uint8_t *init_return(const uint8_t *p)
{
    return p + INIT_NOISE_LEN + MAC_LEN;
}
static inline const uint8_t *init_mac2(const uint8_t *p)
{
    return init_return(p) + ID_LEN;
}
bool init_has_return(const uint8_t p[INIT_LEN]);
bool init_has_mac2(const uint8_t p[INIT_LEN], const uint8_t cookie[MAC_LEN]);

/* After noise_read_init_key() said who it is. 0 or -EBADMSG. */
int init_read(struct noise *n, const uint8_t p[INIT_LEN], struct hello *h);

/* Writes RESPONSE_LEN bytes. 0 or -EKEYREJECTED. */
int response_write(
    struct noise *n, const uint8_t e_priv[KEY_LEN], const struct hello *h, uint8_t out[RESPONSE_LEN]);
/* 0 or -EBADMSG; then n is of no use. */
int response_read(struct noise *n, const uint8_t *p, size_t len, struct hello *h);

#endif
