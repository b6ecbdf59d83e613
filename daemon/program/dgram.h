/* dgram.h - what the daemon knows of UDP: the sockets of local programs, and the mirrors of virtual peers.
 *
 *     program's socket               mirror of 10.a.b.c:port          peer
 *     127.0.0.1:P  ---- loopback ---> 127.a.b.c:Q  --- overlay --->  10.a.b.c:port
 *
 *   usock    a UDP socket of this user which the overlay may reach at port P of the user's virtual address: one that its
 *            program has bound ("server"), or which has sent to a virtual peer.
 *   mirror   a socket of the daemon that stands for one virtual peer towards all local programs: they send to it, and what
 *            the peer sends comes from it.
 *
 * Pure: sockets, and asking the kernel who owns what, are the pump's. Bounds: USOCKS_MAX and MIRRORS_MAX; when there is no
 * room the least recently used goes, of mirrors first one that no program is connected to. Of those that no program has asked for, one address of a peer
 * may have as many as are left for others, but always MIRRORS_LEAST; then the first of its own goes. Idle rule: a mirror goes after
 * MIRROR_IDLE_US; one to which a program has connected a socket, which would not ask again, is looked at every MIRROR_ASKED_US; a usock goes after USOCK_IDLE_US if it is no server (it comes back with the next datagram it sends).
 */
#ifndef I3_DGRAM_H
#define I3_DGRAM_H

#include <stdlib.h>

#ifndef uthash_fatal
#define uthash_fatal(msg) abort()
#endif
#include <uthash.h>

#include "daemon/base/mono.h"
#include "include/addr.h"

enum { USOCKS_MAX = 16384, MIRRORS_MAX = 4096, MIRRORS_LEAST = 16 };
#define MIRROR_IDLE_US (300 * USEC_PER_SEC)
#define MIRROR_ASKED_US (7200 * USEC_PER_SEC)
#define USOCK_IDLE_US (300 * USEC_PER_SEC)

struct usock {
    struct addr at;   /* where the kernel has it bound; to mirrors, one bound to all addresses speaks from loopback */
    struct addr asked; /* where its program and the overlay believe it to be (ipc.h, LISTEN): mostly the same */
    uint8_t flags;     /* enum ipc_listen_flag */
    struct addr peer; /* the mirror it has last spoken to, as bound; none */
    uint64_t cookie;
    bool server;
    mono_t used;
    mono_t verified; /* when it was last seen to be this user's */
    uint32_t budget;   /* pump/deliver.c: bytes of its buffer that may still be filled */
    bool budget_known;
    void *backlog;     /* what waits for room there */
    struct usock *chain;      /* the same port of `asked` */
    struct usock *real_chain; /* ... of `at` */
    struct usock *older, *newer;
};

struct mirror {
    struct addr virt; /* the peer */
    struct addr real; /* where its socket is bound */
    uint32_t host;    /* the peer's handle, its IPv4 address */
    uint32_t own;     /* the address of ours that the peer has last spoken to, and is answered from */
    void *io;         /* the pump's */
    bool asked;
    bool ready;       /* it may have datagrams for us */
    mono_t used;
    struct crowd *crowd; /* those of this peer that nobody has asked for; NULL: it is none of them */
    UT_hash_handle by_virt, by_real;
    struct mirror *older, *newer;
};

struct dgrams;

/* gone: called before a usock is freed. */
struct dgrams *dgrams_new(void (*gone)(void *ctx, struct usock *u), void *ctx);
/* The mirrors must be gone. */
void dgrams_free(struct dgrams *d);

/* The one with that cookie bound to that port, made if need be; the same address with another cookie is another socket. NULL: out of
 * memory. */
struct usock *usock_add(struct dgrams *d, mono_t now, const struct addr *at, uint64_t cookie, bool server);
/* It is at that address for the overlay. */
void usock_ask(struct dgrams *d, struct usock *u, const struct addr *asked, uint8_t flags);
/* The kernel would not have both: addresses that overlap, not shared by SO_REUSEPORT or SO_REUSEADDR. */
bool usock_conflicts(const struct usock *u, const struct addr *asked, uint8_t flags);
/* The socket with that cookie bound to that port, NULL: not known. */
struct usock *usock_by_cookie(const struct dgrams *d, uint16_t port, uint64_t cookie);
/* The one which speaks from there, NULL: none is known. */
struct usock *usock_find(const struct dgrams *d, const struct addr *from);
/* Which socket a datagram to own is for, an address with port: one that asked for that very address before one on loopback or all
 * addresses, and that before any other; equals share by `hash` (of the sender). NULL: none. */
struct usock *usock_for(const struct dgrams *d, const struct addr *own, uint32_t hash);
/* It can be reached over that family; where. */
bool usock_takes(const struct usock *u, uint8_t family);
struct addr usock_address(const struct usock *u, uint8_t family);
void usock_touch(struct dgrams *d, struct usock *u, mono_t now);
void usock_free(struct dgrams *d, struct usock *u);
/* No server any more (it has connected itself to one peer): it stays while it is used. */
void usock_demote(struct dgrams *d, struct usock *u);
/* The most recently used of all that are no servers, and the next older one; the least recently looked at server. NULL: none. */
struct usock *usock_newest(const struct dgrams *d);
struct usock *usock_server(const struct dgrams *d);
/* Iteration over all that asked for a port: NULL starts. */
struct usock *usock_on_port(const struct dgrams *d, uint16_t port, const struct usock *u);
/* Iteration over all: NULL starts. */
struct usock *usock_next(const struct dgrams *d, const struct usock *u);
unsigned usocks_count(const struct dgrams *d);

/* NULL: there are MIRRORS_MAX, make room first; or out of memory. */
struct mirror *mirror_new(struct dgrams *d, mono_t now, const struct addr *virt, const struct addr *real, bool asked);
struct mirror *mirror_find(const struct dgrams *d, const struct addr *virt);
struct mirror *mirror_find_real(const struct dgrams *d, const struct addr *real);
void mirror_touch(struct dgrams *d, struct mirror *m, mono_t now);
/* A program has asked for it: it stays longer. */
void mirror_ask(struct dgrams *d, struct mirror *m, mono_t now);
void mirror_free(struct dgrams *d, struct mirror *m);
/* Which should make room: the least recently used, first of those nobody asked for. NULL: there are none. */
struct mirror *mirror_oldest(const struct dgrams *d);
/* That peer has its share: as much as is left of `max`. */
bool mirrors_of_enough(const struct dgrams *d, const struct addr *virt, unsigned max);
/* The least recently used of that peer's which nobody has asked for, among the oldest of all; NULL: none is there. */
struct mirror *mirror_oldest_of(const struct dgrams *d, const struct addr *virt);
/* Those that programs have asked for: NULL starts. */
struct mirror *mirror_next_asked(const struct dgrams *d, const struct mirror *m);
unsigned mirrors_count(const struct dgrams *d);

/* One that has been idle for its time, or NULL. */
struct mirror *mirror_expired(const struct dgrams *d, mono_t now);
/* Drops usocks that have been idle for their time. */
void usocks_expire(struct dgrams *d, mono_t now);
/* When to look again; MONO_NEVER: nothing is kept. */
mono_t dgrams_deadline(const struct dgrams *d);

#endif
