/* pump/overlay_kind.h - what an overlay can be made of: one struct of functions for each kind (paper section 3: "multiple overlays").
 *
 *   names, sessions, TCP/IP engine, rules, screens          know struct overlay, and call what is here
 *     |
 *     |  resolve a name      named              is there anybody to ask but the book?
 *     |  set up state        open .. close      rooms and sockets; announce, withdraw, stands: by which ids we are to be found
 *     |  send and receive    way                the address that a packet for an id is pushed for
 *     |                      send, receive      between the outbox and the sockets; output, deadline, turn: what is due
 *     v
 *   kind i3    pump/ring.c, link.c, nodes.c ..  a ring of nodes: triggers, owners, home node, shortcuts, TCP where UDP is blocked
 *   kind mesh  pump/mesh.c over daemon/mesh/    no nodes: the members' addresses stand in the book; the best of the direct way and
 *                                               one detour, as probes find it
 *
 * What the two have in common is above the line: an id is 32 bytes whose first half comes from a key, a peer is a key of the book, and
 * what is sealed for it (i3/peer.h) is a DATA packet for an id. A member that is NULL is nothing to that kind.
 */
#ifndef I3_OVERLAY_KIND_H
#define I3_OVERLAY_KIND_H

#include <stdbool.h>

#include "daemon/base/id.h"
#include "daemon/base/mono.h"
#include "include/addr.h"

struct overlay;
struct side;
struct peer_info;
struct report_overlay;
struct streams_stats;

/* What i3.conf says of one. */
struct overlay_plan {
    const char *name, *suffix;
    const struct overlay_kind *kind;
    const struct addr *nodes; /* i3 */
    unsigned n_nodes;
    bool by_config;           /* they stand in i3.conf */
    struct addr bind;         /* mesh */
    struct anon *anon;        /* an instance for a program (anon.h) */
    bool relay;
};

struct overlay_kind {
    const char *name;  /* as i3.conf has it */
    bool named;        /* others than the book may know a name: hash, DNS; invitations and groups live there */
    bool shortcuts;    /* peers look for them (i3/path.h) */
    bool by_id;        /* peers push for ADDR_ID */
    uint8_t headroom;  /* bytes left free before each sealed packet, for send() */

    /* ---- state ---- */
    int (*open)(struct overlay *o, const struct overlay_plan *c, char *why, size_t whylen); /* before there are sides */
    int (*up)(struct overlay *o);    /* the user's own side is there */
    int (*change)(struct overlay *o, const struct overlay_plan *c, char *why, size_t whylen);
    void (*begin)(struct overlay *o); /* all of the daemon is there */
    void (*leave)(struct overlay *o); /* others are told, if there is anybody to tell */
    void (*close)(struct overlay *o); /* also after half an open() */
    int (*side_up)(struct side *s);   /* it has peers */
    void (*side_down)(struct side *s);
    void (*rekeyed)(struct overlay *o);                                                        /* the user's key is another one */
    unsigned (*replaced)(struct overlay *o, const struct i3_id *now, struct i3_id *old);       /* sample_replaced() */
    void (*renewed)(struct overlay *o); /* the configuration was read again */
    void (*people)(struct overlay *o); /* the book, or who may talk to us, has changed */

    /* ---- ids of ours ---- */
    int (*announce)(struct overlay *o, const struct i3_id *id, unsigned bits, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN],
        unsigned flags);
    void (*withdraw)(struct overlay *o, const struct i3_id *id, unsigned bits);
    bool (*stands)(const struct overlay *o, const struct i3_id *id);
    bool (*ready)(const struct overlay *o); /* all of them do */

    /* ---- packets ---- */
    const struct addr *(*way)(struct overlay *o, const struct i3_id *id); /* of family 0: none now */
    bool (*receive)(struct overlay *o); /* a batch; true: there may be more */
    bool (*pending)(const struct overlay *o);
    void (*send)(struct overlay *o);    /* what is in the outbox, if anything */
    bool (*full)(const struct overlay *o);
    const struct streams_stats *(*by_tcp)(const struct overlay *o); /* or NULL */
    void (*heard)(struct overlay *o, const struct addr *from); /* a genuine packet for a program came */
    void (*sent)(struct overlay *o);    /* one went, by no shortcut */

    /* ---- time ---- */
    void (*turn)(struct overlay *o);
    void (*output)(struct overlay *o);  /* pushes what is due, but for what peers say */
    void (*output_last)(struct overlay *o); /* the same, after peers have had their say */
    mono_t (*deadline)(const struct overlay *o);
    void (*doubt)(struct overlay *o);   /* answers of peers are missed */

    /* ---- the host ---- */
    void (*look)(struct overlay *o, bool anyway); /* where are we? */
    void (*moved)(struct overlay *o);   /* what was asked was asked elsewhere, or long ago */
    void (*addresses)(struct overlay *o); /* of the machine have changed */

    /* ---- looking in ---- */
    void (*describe)(struct overlay *o, struct report_overlay *out);
    const char *(*path)(struct overlay *o, const struct peer_info *info, char *out); /* REPORT_PATH bytes */
    const char *(*silence)(struct overlay *o, const uint8_t key[KEY_LEN]); /* why nobody answers, if that is its doing; or NULL */
};

extern const struct overlay_kind overlay_kind_i3, overlay_kind_mesh, overlay_kind_hidden /* i3, for an anonymous program */;

#endif
