/* anon.h - programs that are anonymous (paper 6.3, DESIGN section 10).
 *
 *   i3run --anonymous CMD     --> token --> struct anon_program --> an overlay of its own for each ring whose names it uses
 *   rule { anonymity = yes }       |
 *   anonymity = on                 in the environment of the program and its children; each of their connections to the daemon begins with it
 *
 * What a ring's overlay is to the user, such an instance is to one program: a socket, triggers, a side with sessions. Nothing in it is the
 * user's, and nothing is shared by two of them:
 *
 *   identity, session key      fresh; there is no trigger for the public id, and nobody can begin a session
 *   virtual address            what the fresh key hashes to, never written down
 *   node                       drawn from those of the ring that answer; everything goes by it, so that no other node has both ends
 *   trigger                    at whatever node owns an id that nobody has chosen; refreshed at times of its own, with wide jitter
 *   handshake                  says the same of all anonymous programs: no shortcut, both ciphers, 1280 bytes, a receive buffer as
 *                              everybody has, a clock that is none, addresses of the default network
 *   ways                       no shortcut is offered or taken, no address of ours told, no size probed
 *   coming in                  only what began on our side
 *
 * It is there as long as a process has the connection which i3run has left open for the program and its children, or one of its own.
 *
 * It does not end with a sign: when the last process has gone and the last connection, refreshing ceases after a time which is drawn, and the
 * socket goes when the trigger has expired. A program that says its token again after that gets a new instance; so does one whose
 * daemon was started anew.
 *
 * While a request of such a program runs, p->by is the program. side_towards() is how everybody who makes a connection for somebody finds
 * the side by which it goes.
 *
 * Bounds: ANON_MAX programs and instances; beyond them a program gets nothing.
 */
#ifndef I3_PUMP_ANON_H
#define I3_PUMP_ANON_H

#include "daemon/pump/impl.h"

enum { ANON_MAX = 64, ANON_HIDDEN = 4 * ANON_MAX /* those that fade among them */, ANON_PROGRAMS = 4096, ANON_NAME_MAX = 63 };

/* Nothing larger than that is sent, and no peer is told more of us. */
enum { ANON_MTU = 1280, ANON_RECV_BUFFER = 400 << 10 };

struct anon_program;

int anon_start(struct pump *p);
void anon_stop(struct pump *p);

/* The client is of the program with that token. all: everything that it does is anonymous. 0, -ENOSPC, -ENETUNREACH (no ring, or no socket),
 * -EINVAL (it is another's already). */
int anon_client_is(struct pump *p, struct ipc_client *c, const struct ipc_program *ask);
void anon_client_gone(struct pump *p, struct ipc_client *c);
/* Of which program the client is; NULL: it has not said so. */
struct anon_program *anon_of_client(struct ipc_client *c);
bool anon_is_all(const struct anon_program *a);

/* May whoever asks just now use that side: his own, or his user's? */
bool anon_may_use(const struct pump *p, const struct side *s);
/* The program's instance for that ring, made if need be; NULL: there are too many. */
struct overlay *anon_overlay(struct anon_program *a, struct overlay *ring);

mono_t anon_deadline(const struct pump *p);
void anon_turn(struct pump *p);
/* The ring goes. */
void anon_forget_ring(struct pump *p, const struct overlay *ring);
/* This host is elsewhere, or was asleep: each instance notices it at a time of its own. */
void anon_moved(struct pump *p);
/* Its node is silent: another one. */
void anon_choose_node(struct overlay *o);

unsigned anon_count(const struct pump *p);
/* For i3ctl: the i-th instance, false past the end. */
struct report_anonymous;
bool anon_report(const struct pump *p, unsigned i, struct report_anonymous *out);

#endif
