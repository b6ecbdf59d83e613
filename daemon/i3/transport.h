/* transport.h - how the nodes are reached: by UDP, or by TCP where that is blocked (DESIGN 6, paper 5.1). A state machine without I/O;
 * connections are made by whoever sends what is pushed for an address with ADDR_TCP (daemon/io/stream.h).
 *
 *        something was sent, half a second passed,                0.8 s later a node has answered by TCP, and in
 *        and no node has been heard by UDP                         0.4 s more none by UDP
 *   UDP --------------------------------------------> UDP, asking -----------------------------------> TCP
 *    ^ <----------- any answer by UDP ---------------------+                                            |
 *    +---------------- a PONG by UDP: asked for every minute, when addresses have changed, and ---------+
 *                      when the connection was lost
 *
 * Asking: PINGs by UDP to all configured nodes; after 0.4 s by TCP as well, to the present node at its own port and at
 * TRANSPORT_PORT (which strict firewalls let pass), and 0.4 s later to the others. So one dead node is not taken for a firewall, and the
 * way in use is never left before another one works. A connection that ends is asked for again at once; what the triggers do about
 * it is triggers_renew_at().
 *
 * Bounds: TRANSPORT_NODES nodes, two PINGs for each four times a second, from the fifth second on once a second, from the thirtieth on
 * every five. Back to TCP within two minutes of leaving it: UDP is tried half as often, every 16 minutes at least.
 */
#ifndef I3_TRANSPORT_H
#define I3_TRANSPORT_H

#include "daemon/base/crypto.h"
#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "include/wire.h"

enum { TRANSPORT_NODES = 16, TRANSPORT_PORT = 443 };

enum transport_mode { TRANSPORT_AUTO, TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_MODES };

struct transport {
    enum transport_mode mode;
    struct addr node[TRANSPORT_NODES]; /* as configured */
    unsigned n;
    struct drbg drbg;

    struct addr home;  /* as in use */
    bool tcp;          /* so are all nodes */
    uint16_t port;     /* of TCP, 0: as UDP's */
    mono_t heard;      /* by UDP */
    mono_t used;       /* the last packet that was sent by a node */

    mono_t asking;     /* since when, MONO_NEVER: all is well */
    mono_t ask_at;
    unsigned asked;
    uint8_t nonce[NONCE_LEN];
    struct addr answered; /* by TCP, since we ask; family 0: nobody */
    mono_t answered_at;

    mono_t udp_at;     /* on TCP: when UDP is tried */
    unsigned udp_tries;
    uint64_t udp_pause;
    mono_t left_tcp;   /* us 0: never */

    bool decided;
    struct addr decision;
};

/* Of `nodes` the first TRANSPORT_NODES count; none: always UDP. */
void transport_init(struct transport *t, mono_t now, enum transport_mode mode, const struct addr *nodes, unsigned n,
    const uint8_t seed[BLAKE2S_LEN]);

/* How a node is reached now. */
struct addr transport_way(const struct transport *t, const struct addr *node);
/* Which of the configured nodes that is, by whatever way and port; -1: none. */
int transport_index(const struct transport *t, const struct addr *at);
/* This one is used from now on. */
void transport_home(struct transport *t, mono_t now, const struct addr *home);
/* True, once: another one shall be. */
bool transport_decision(struct transport *t, struct addr *home);

/* A packet goes to a node: an answer may be expected. */
static inline void transport_used(struct transport *t, mono_t now)
{
    t->used = now;
}

/* A node has said something that we believe. */
static inline void transport_heard(struct transport *t, mono_t now, const struct addr *from)
{
    if (from->via != ADDR_UDP)
        return;
    t->heard = now;
    if (!t->tcp)
        t->asking = MONO_NEVER;
}

/* Answers of peers are missed: theirs, or is it us? */
void transport_doubt(struct transport *t, mono_t now);
/* A PONG; -EPROTO: not to us. */
int transport_input(struct transport *t, mono_t now, const struct addr *from, const uint8_t *p, size_t len);
/* The addresses of the machine have changed: it may be in another network. */
void transport_moved(struct transport *t, mono_t now);
/* A connection to that address has ended, or could not be had. */
void transport_lost(struct transport *t, mono_t now, const struct addr *at);

void transport_output(struct transport *t, mono_t now, struct outbox *out);
mono_t transport_deadline(const struct transport *t);

/* "udp", "tcp"; and why, NULL: no word is needed. */
const char *transport_name(const struct transport *t);
const char *transport_why(const struct transport *t);

#endif
