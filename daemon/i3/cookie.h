/* cookie.h - whose INIT is worth a Diffie-Hellman while too many come (peer.h draws INIT; WireGuard's mac2, made to fit i3).
 *
 * Whoever knows our key can make INITs with a good mac1, as fast as he can send, and each would cost us 50 us. So while more than
 * GATE_FREE_PER_S come, one is read only from a sender who has shown that what is sent to him reaches him, and of each such only so many.
 *
 * What is a sender, here? Not the UDP source: that is the node which keeps our trigger, the same for everybody. Not the id that the RESPONSE
 * goes to: that is encrypted, and reading it is what we want to spare. So an INIT that is sent again bears the id in the clear ("return"),
 * and the cookie is bound to its prefix: i3 delivers to that prefix only to who has proven the key of its trigger. A first INIT bears none,
 * as nobody on the way need learn the id without need.
 *
 *     A                                        B, under load
 *       INIT       no return, no mac2   ---->  dropped: a MAC
 *       (0.25 s)
 *       INIT       return, no mac2      ---->  a MAC, and one for the answer; nothing is kept
 *                  to `return`          <----  COOKIE, by B's node
 *       INIT       return, mac2         ---->  two MACs, the budget of that prefix, then as always
 *
 *   COOKIE (PROTO 10)   mac1 of the INIT (16) | cookie (16)                  69 bytes with its header, for an INIT of 261
 *     cookie   first 16 of HMAC-BLAKE2s(secret of this epoch, prefix of return)
 *     mac2     first 16 of HMAC-BLAKE2s(cookie, all of INIT before it)
 *
 * One answer for one request, a quarter as long, and it goes where the sender of an INIT could have sent it himself: nothing is gained by
 * giving somebody else's id. A COOKIE is believed when it repeats the mac1 of an INIT that runs, which only those on the way have seen.
 * They see the cookie too; it opens nothing but this gate, for that prefix, whose budget is shared.
 *
 * A secret holds for an epoch of 120 s, and the one before counts too; the sender keeps a cookie for 120 s, and its INITs bear mac2 from the
 * first on then. Members of a group have different secrets; who is not under load does not look at mac2.
 *
 * Load: more than GATE_FREE_PER_S INITs with a good mac1 and no good mac2 in this second or the last one. It ends with the flood.
 *
 * Bounds: GATE_SOURCES budgets, which prefixes share by a keyed hash (part of the cookie, so that none can choose whose); GATE_EACH_PER_S INITs of
 * each. No state for anybody else.
 */
#ifndef I3_COOKIE_H
#define I3_COOKIE_H

#include "daemon/base/budget.h"
#include "daemon/i3/handshake.h"

#define GATE_EPOCH (120 * USEC_PER_SEC)

enum {
    GATE_FREE_PER_S = 500,
    GATE_SOURCES = 1024,
    GATE_EACH_PER_S = 20,
    GATE_EACH_BURST = 20,
};

struct gate {
    uint8_t seed[BLAKE2S_LEN];
    struct hmac secret[2]; /* by the parity of the epoch */
    uint64_t epoch;
    mono_t second; /* when it began */
    unsigned free; /* INITs in it, without mac2 */
    bool loaded;   /* the last one had too many */
    struct budget each[GATE_SOURCES];
};

enum gate_verdict { GATE_READ, GATE_ANSWER, GATE_DROP };

void gate_init(struct gate *g, const uint8_t seed[BLAKE2S_LEN]);
/* Of an INIT with a good mac1. ANSWER: `cookie` is to be sent to init_return(). */
enum gate_verdict gate_input(struct gate *g, mono_t now, const uint8_t init[INIT_LEN], uint8_t cookie[COOKIE_BODY_LEN]);
/* Do INITs without mac2 wait at present? */
bool gate_is_loaded(const struct gate *g, mono_t now);

#endif
