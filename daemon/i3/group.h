/* group.h - datagrams to all members of a multicast group, sealed: the sender's end and a member's (paper 2.2, DESIGN section 5).
 *
 * The group is an X25519 key. Its members hold the private half and a trigger each for the id prefix | ones, so that the node makes a
 * copy for every one of them. The sender needs the public half alone.
 *
 *   sender                                                            every member
 *     GROUP   to prefix | ones   ------------- copies by the node -------->  the header is known: opens
 *                                                                            it is new: who is it? may that one speak? then opens
 *
 * The body of a GROUP packet (PROTO_GROUP), which can be read by itself:
 *     0      1        2      4       36          84              108           116
 *   +------+--------+------+-------+-----------+---------------+-------------+------------+---------+
 *   | who  | cipher | 0 0  | e(32) | enc s(48) | enc time(24)  | counter(8)  | ciphertext | tag(16) |
 *   +------+--------+------+-------+-----------+---------------+-------------+------------+---------+
 *   |<------------------- the header of an epoch ------------->|
 *
 * The header is the one-way handshake X of Noise (revision 34), whose tokens "e, es, s, ss" are those of IK's first message (noise.h),
 * under the prologue "i3run group v1" || who || cipher, to the group's key; its payload is the time in microseconds since 1970. The
 * first key which it splits into seals the datagrams: the cipher with the counter as nonce, as in SEALED. `who` 1: the sender is a
 * member, and the key is HMAC-BLAKE2s(first key, BLAKE2s("i3run member v1" || X25519(group, group))) instead. A header serves for an
 * epoch of 120 s or 2^32 datagrams, all of which bear it: so that none depends on another which may be lost, at the price of 108
 * bytes. A member works it out once, at the price of two Diffie-Hellmans, and knows it again by its bytes.
 *
 * A member takes what comes from keys that may speak (the book's), and from members. It ignores its own. Nothing is answered.
 * What is opened is an IP packet; its addresses are not believed but replaced (pump/mcast.c).
 *
 * Replays: each epoch has a window of 8,192 datagrams. Of a sender the two newest epochs are known, and an older one is refused, as is
 * one whose time is more than an hour off from ours: so far may clocks differ, and so long may a recorded datagram be played to a
 * member that has been started anew.
 *
 * What it does not give: a member can make datagrams in any sender's name, since all members derive the same keys, and can go on to
 * read after it has left; whoever learns the group's key can read what was recorded. For better, talk one to one.
 *
 * Bounds: GROUP_SENDERS senders per group, the one longest unheard makes room; GROUP_TRIES_PER_S new headers a second are looked at, so that a
 * flood of forged ones costs a twentieth of a CPU; what is beyond is lost.
 */
#ifndef I3_GROUP_H
#define I3_GROUP_H

#include <sys/types.h>

#include "daemon/base/id.h"
#include "daemon/base/mono.h"
#include "daemon/i3/noise.h"

enum {
    GROUP_HEAD_LEN = 4 + NOISE_INIT_OVERHEAD + 8,
    GROUP_MIN_LEN = GROUP_HEAD_LEN + 8 + SEAL_TAG_LEN,
    GROUP_OVERHEAD = DATA_HEADER_LEN + GROUP_MIN_LEN,
    GROUP_SENDERS = 256,
    GROUP_TRIES_PER_S = 500,
    GROUP_TRIES_BURST = 250,
};

#define GROUP_EPOCH         (120 * USEC_PER_SEC)
#define GROUP_EPOCH_PACKETS (1ull << 32)
#define GROUP_CLOCKS_DIFFER (3600 * USEC_PER_SEC)

/* The id to which the group's triggers and packets go. */
void group_all_id(struct i3_id *out, const uint8_t group[KEY_LEN]);

/* ---- sending ---- */

struct group_tx;

/* Datagrams from the holder of `priv` to that group; group_priv: its private key, NULL when we are no member. accel: as for
 * seal_new_with(). NULL: out of memory. */
struct group_tx *group_tx_new(const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t group[KEY_LEN],
    const uint8_t *group_priv, enum peer_cipher cipher, const uint8_t seed[BLAKE2S_LEN], const void *accel);
void group_tx_free(struct group_tx *t);

/* Seals the packet given as n pieces into out, with the DATA header: GROUP_OVERHEAD + len bytes. That length, -ENOSPC, or -EKEYREJECTED (the
 * group's key is none). */
ssize_t group_seal(struct group_tx *t, mono_t now, uint64_t wall_us, const struct iovec *v, int n, uint8_t *out, size_t cap);

/* ---- receiving ---- */

struct group_rx;

struct group_rx_config {
    uint8_t priv[KEY_LEN], pub[KEY_LEN]; /* the group's */
    uint8_t self[KEY_LEN];               /* our own public key */
    const void *accel;
    bool (*known)(void *ctx, const uint8_t key[KEY_LEN]); /* may this key speak, though it may be no member? */
    void *ctx;
};

struct group_stats {
    uint64_t opened;
    uint64_t own;       /* copies of what we have sent ourselves */
    uint64_t strangers; /* neither known nor members */
    uint64_t forged, replays;
    uint64_t stale;     /* of an old epoch, or by a clock that is wrong */
    uint64_t skipped;   /* more new headers than we look at */
    unsigned senders;   /* known now */
};

struct group_rx *group_rx_new(const struct group_rx_config *c);
void group_rx_free(struct group_rx *r);

/* The body of a GROUP packet, opened in place: 0, the sender's key and where the packet is. -EBADMSG: not to be taken, and counted. */
int group_open(struct group_rx *r, mono_t now, uint64_t wall_us, uint8_t *body, size_t len, uint8_t sender[KEY_LEN], uint8_t **plain,
    size_t *plain_len);
/* Forgets a sender who may speak no more. */
void group_forget(struct group_rx *r, const uint8_t key[KEY_LEN]);
const struct group_stats *group_rx_stats(const struct group_rx *r);

#endif
