/* to_ip.h - an i3-to-IP gateway (paper 4.4.1, 6.2; DESIGN section 10): the tables of a daemon which opens connections to real hosts for those
 * whom `allow` of its section gateway names.
 *
 *   program           user's daemon                        gateway's daemon                        real network
 *   getaddrinfo(N) -> a via: 10.v.v.v, fd69:..  --ASK-->   a name of the user's: (user, 10.v.v.v) -> N
 *                                               <-ANSWER-- a record: N -> real addresses ------------> DNS (c-ares)
 *   connect(10.v.v.v) --- IP packets to 10.v.v.v, as they are ---> the engine ends them there:
 *                                                          connection (user, 10.v.v.v) -----------> socket to a real address
 *   sendto(10.v.v.v)  --- IP packets --------------------> port of the NAT in user space ----------> socket
 *
 * Real addresses never leave the gateway, and virtual ones are the user's own choice: each user has a table to itself, and so has each
 * gateway at the user. (So neither FTP nor SIP needs a helper when they are passive: the addresses in the talk are not used.)
 *
 * Names are asked for again when their time is over; what is open goes on. Where the DNS does not answer then, the old addresses serve on.
 *
 * Who may go where is asked each time with the configuration as it is now: for names `names`, for addresses `networks` (policy/networks.h),
 * after the DNS has answered, and again for each connection's port. A word or a packet of anybody who is not a user finds nothing.
 *
 * Bounds: TO_IP_USERS users (the one unused longest without connections gives way), TO_IP_NAMES names of a user and TO_IP_NAMES_ALL of all (the
 * user's own longest unused gives way), TO_IP_RECORDS records which nobody's name refers to, TO_IP_ADDRS addresses of a record; connections as i3.conf says.
 */
#ifndef I3_GATEWAY_TO_IP_H
#define I3_GATEWAY_TO_IP_H

#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "daemon/base/id.h"
#include "daemon/base/mono.h"
#include "daemon/gateway/words.h"
#include "daemon/policy/config.h"

enum { TO_IP_USERS = 4096, TO_IP_NAMES = 4096, TO_IP_NAMES_ALL = 65536, TO_IP_RECORDS = 4096, TO_IP_ADDRS = 16 };

/* How long what the DNS says is believed, whatever it says. */
#define RECORD_LIFE_MIN  (1 * USEC_PER_SEC)
#define RECORD_LIFE_MAX  (3600 * USEC_PER_SEC)
#define RECORD_LIFE_NONE (30 * USEC_PER_SEC) /* that there is no such name; at most */
#define RECORD_LIFE_BAD  (2 * USEC_PER_SEC)  /* that its DNS has not answered */

struct gate_user;
struct gate_name;

/* What the DNS says of a name. Shared by all users. */
struct gate_record {
    char name[GATE_NAME_MAX + 1]; /* lower case, no dot at the end; zeros behind it */
    bool asking;                  /* the DNS is being asked */
    bool answered;                /* `status` and `addr` are there */
    enum gate_status status;
    unsigned n;
    struct addr addr[TO_IP_ADDRS]; /* port 0 */
    uint32_t ttl;                  /* seconds, as of the answer */
    mono_t until;                  /* it holds */
    uint32_t token;
    struct gate_name *names; /* that refer to it */
    struct gate_record *prev, *next; /* those without, the longest unused first */
    UT_hash_handle by_name, by_token;
};

struct gate_name_key {
    uint32_t host, ip; /* the user's virtual address here, and what it calls the name */
};

struct gate_name_key6 {
    uint32_t host;
    uint8_t ip6[16];
};

struct gate_name {
    struct gate_name_key key;
    struct gate_name_key6 key6;
    struct gate_user *user;
    void *side; /* the caller's: at which key of ours it was asked for */
    struct gate_record *record;
    bool owes; /* an answer to the question `serial` */
    uint32_t serial;
    unsigned flows;   /* open, or being opened */
    void *held;       /* the caller's: connections that wait for the record */
    mono_t used;
    struct gate_name *prev, *next;         /* of the user, the longest unused first */
    struct gate_name *r_prev, *r_next;     /* of the record */
    UT_hash_handle by_ip, by_ip6;
};

struct gate_account {
    uint64_t names;       /* questions that were answered with an address */
    uint64_t connections; /* TCP, opened to the end */
    uint64_t failed;      /* TCP, that the other end or the network has refused */
    uint64_t refused;     /* flows and names that the gateway has refused */
    uint64_t ports;       /* of UDP */
    uint64_t up, down;    /* bytes, without headers */
};

struct gate_user {
    uint8_t key[KEY_LEN];
    uint32_t host;
    bool allowed; /* the caller's: it may use the gateway */
    unsigned n_names, flows;
    mono_t first, last;
    struct gate_account account;
    double unknown, asks; /* words UNKNOWN that may be said now; questions that may come */
    mono_t unknown_at, asks_at, told_at;
    struct gate_name *names;
    struct gate_user *prev, *next; /* the longest unused first */
    UT_hash_handle hh;
};

struct to_ip;

struct to_ip *to_ip_new(void);
void to_ip_free(struct to_ip *t);

/* ---- users ---- */

/* NULL: there is no such user (yet). */
struct gate_user *gate_user_find(const struct to_ip *t, const uint8_t key[KEY_LEN]);
/* Made if need be; NULL: there are too many, all with connections. */
struct gate_user *gate_user_get(struct to_ip *t, mono_t now, const uint8_t key[KEY_LEN], uint32_t host);
struct gate_user *gate_user_next(const struct to_ip *t, const struct gate_user *u);
unsigned gate_users(const struct to_ip *t);
/* All users' together. */
void to_ip_sum(const struct to_ip *t, struct gate_account *sum);
/* May it have one more flow? */
bool gate_user_room(const struct to_ip *t, const struct gate_user *u, const struct config_gateway *c);
/* One more flow by that name, or one less. */
void gate_flow_begin(struct to_ip *t, struct gate_name *m, mono_t now);
void gate_flow_end(struct to_ip *t, struct gate_name *m);
unsigned gate_flows(const struct to_ip *t);
/* UNKNOWN may be said to it once more: a few a second. */
bool gate_user_may_hear(struct gate_user *u, mono_t now);

/* It asks for a name: no more than hundreds a second for long, which the DNS has to bear. */
bool gate_user_may_ask(struct gate_user *u, mono_t now);

/* ---- names ---- */

/* The user calls `name` so from now on. 0 with *out, whose record may have to be asked for; or -EINVAL: that is no name; -ENOSPC: too many. What had
 * those addresses before goes: *gone is called for it, and for one that gives way. */
int gate_name_put(struct to_ip *t, mono_t now, struct gate_user *u, void *side, const struct gate_ask *ask, void (*gone)(void *ctx, struct gate_name *m),
    void *ctx, struct gate_name **out);
struct gate_name *gate_name_find(const struct to_ip *t, uint32_t host, uint32_t ip);
struct gate_name *gate_name_find6(const struct to_ip *t, uint32_t host, const uint8_t ip6[16]);
void gate_name_touch(struct gate_name *m, mono_t now);
void gate_name_remove(struct to_ip *t, struct gate_name *m);

/* ---- records ---- */

/* An address as a name, "10.9.0.5", "fd00::5" or, since a colon is no part of host names, "fd00--5": no DNS is asked. */
bool gate_literal(const char *name, struct addr *out);
/* Does the record have to be asked for, before it is used? */
bool gate_record_stale(const struct gate_record *r, mono_t now);
/* The DNS is asked from now on; the token is for its answer. */
uint32_t gate_record_ask(struct to_ip *t, struct gate_record *r);
struct gate_record *gate_record_asked(const struct to_ip *t, uint32_t token);
/* What has come of it. With GATE_LATER what was known before is believed a while longer. */
void gate_record_answer(struct to_ip *t, mono_t now, struct gate_record *r, enum gate_status status, const struct addr *v, unsigned n, uint32_t ttl);
/* All is asked for again, and what is being asked for is not answered any more: the configuration of the DNS has changed. */
void gate_records_doubt(struct to_ip *t);

/* ---- may it? ---- */

bool gate_name_permitted(const struct config_gateway *c, const char *name);
/* The record's addresses which may be gone to, at that port (0: some); those of family `first` first, and else as the DNS has them. Returns how many. *reserved:
 * there is one which only its own entry in `networks` would allow. */
unsigned gate_addresses(const struct config_gateway *c, const struct network *own, const struct gate_record *r, uint16_t port, uint8_t first,
    struct addr out[TO_IP_ADDRS], bool *reserved);
/* What the user is told about the name; and for how many seconds that holds. */
enum gate_status gate_name_status(const struct config_gateway *c, const struct network *own, const struct gate_name *m, uint8_t *families);
uint32_t gate_record_ttl(const struct gate_record *r, mono_t now);

#endif
