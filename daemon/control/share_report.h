/* share_report.h - what the verbs about sharing and keys show, as JSON; see report.h. */
#ifndef I3_CONTROL_SHARE_REPORT_H
#define I3_CONTROL_SHARE_REPORT_H

#include "daemon/control/report.h"
#include "daemon/policy/shares.h"

enum { REPORT_PORTS_MAX = 32, REPORT_PEERS_PART = 60 /* rows of a reply */ };

/* A new invitation, or a port opened to a key at once. */
struct report_share {
    uint8_t proto;
    uint16_t port;
    struct addr target;
    const char *code, *tag, *name, *as, *service; /* NULL: none */
    uint64_t seconds; /* it is good for */
    const uint8_t *key;
    bool local_only; /* no node is known that others can reach */
    uint32_t address;
};

/* What a key may reach, or offers. */
struct report_port {
    uint8_t proto;
    uint16_t port;
    bool by_config; /* an expose section of i3.conf, no share */
};

struct report_person {
    const char *name; /* NULL: has none */
    const uint8_t *key;
    uint32_t address;
    const char *role; /* "friend", "guest" */
    const char *state, *path;
    bool heard;
    uint64_t heard_us; /* ago */
    unsigned n_reach, n_offers;
    struct report_port reach[REPORT_PORTS_MAX], offers[REPORT_PORTS_MAX]; /* the first of them */
    const struct former *former; /* NULL: no other key was known */
    int told; /* our own new key: 1 knows it, 0 not yet; -1: we have no new one */
};

char *report_share_new(const struct report_share *r);
/* An invitation is open no more. name: of who has taken it, or "". */
char *report_share_end(const char *state, const char *name, const char *fingerprint, uint8_t proto, uint16_t port);
/* name_of: of a key, into a static place; NULL: none. tag: of an invitation, in hex. */
char *report_shares(struct shares *s, uint64_t wall, const char *(*name_of)(void *ctx, const uint8_t *key), void *ctx);
char *report_unshared(unsigned ports, unsigned keys, unsigned invitations, unsigned cut, const char *still);
char *report_joined(const char *name, const uint8_t *key, uint32_t address, uint8_t proto, uint16_t port, const char *service, bool added,
    bool learned);
/* rows of a part of the list; own: our key; strangers: how many have a session, as anyone may if `open`. */
char *report_people(const struct report_person *rows, unsigned n, const uint8_t *own, unsigned strangers, bool open);
char *report_rotated(const uint8_t *old, const uint8_t *new, unsigned peers, uint64_t seconds);

#endif
