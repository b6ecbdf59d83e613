/* policy.h - the user's rules (daemon/policy/rules.h) where they take effect:
 *
 *   a name is asked for      RESOLVE of ipc.h, DNS questions that pass our stub    policy_resolve(), policy_claims()
 *   a host is connected to   CONNECT and UDP_OPEN, whatever name was asked for     policy_connect()
 *   a session                shortcut and encrypt, for all programs alike          policy_peer()
 *   i3ctl why                the same decision, told                               policy_look()
 */
#ifndef I3_PUMP_POLICY_H
#define I3_PUMP_POLICY_H

#include "daemon/policy/rules.h"
#include "daemon/pump/impl.h"

int policy_start(struct pump *p);
void policy_stop(struct pump *p);
/* The rules of c from now on. -ENOMEM: the old ones go on. */
int policy_renew(struct pump *p, const struct config *c);

enum policy_fate {
    FATE_OVERLAY, /* goes on by the overlay: e says to whom, if that is known */
    FATE_SYSTEM,  /* left to the system's resolver */
    FATE_DENIED,
    FATE_GATEWAY, /* by the gateway e; NULL: the book does not have it */
    FATE_MISSING, /* asks for what this version does not have */
};

struct policy_look {
    struct verdict verdict;
    enum policy_fate fate;
    const char *missing;
    bool anonymous; /* by an instance of the program's own (anon.h) */
    char full[IPC_NAME_MAX + 1];  /* with FATE_OVERLAY: as names_resolve() takes it; with FATE_GATEWAY: as it was asked for, lower case; "": too long */
    struct overlay *o;            /* NULL: no overlay of that suffix runs */
    const struct book_entry *e;   /* NULL: neither book nor groups have the name */
};

/* What becomes of a name that a program asks for. Changes nothing. */
void policy_look(const struct pump *p, const char *name, const char *app, struct policy_look *out);

/* As RESOLVE answers; IPC_NOT_VIRTUAL: it is the system's. */
void policy_resolve(struct pump *p, const char *name, const char *app, struct ipc_resolved *out);
/* The program hears again when the look-up of a name that is PENDING has ended, or in a moment. False: nothing is under way. */
bool policy_wait(struct pump *p, const char *name, const char *app, struct ipc_client *client, uint32_t serial);
/* May that program talk to what is behind a gateway? As policy_connect(). */
struct via;
int policy_connect_via(struct pump *p, const struct via *v, const char *app);
/* A DNS question about that name is not for the server. */
bool policy_claims(const struct pump *p, const char *name, const char *app);
/* A rule about some program which fits the name before `until` (NULL: any), the next one behind `after` (NULL: the first). */
const struct config_rule *policy_app_rule(const struct pump *p, const char *name, const struct config_rule *after, const struct config_rule *until);
/* May that program talk to the host with that key? 0 or an errno, positive. It may when it might ask for one of the host's names. */
int policy_connect(struct pump *p, const uint8_t *key, const char *app);
/* Does that program talk to the host with that key anonymously? It does when it would by one of the host's names. */
bool policy_is_anonymous(const struct pump *p, const uint8_t *key, const char *app);
bool policy_via_is_anonymous(const struct pump *p, const struct via *v, const char *app);
/* What the rules want of the session with a host of the book; and that it be so. */
void policy_wishes(const struct pump *p, const struct book_entry *e, enum config_choice *shortcut, enum config_choice *encrypt);
/* The rule that says by which middle-boxes it goes; NULL: none does. */
const struct config_rule *policy_through(const struct pump *p, const struct book_entry *e);
void policy_peer(struct pump *p, struct overlay *o, struct peer *peer, const struct book_entry *e);

/* What the rules call the program that a client is; "" also where no rule asks. */
const char *policy_app(const struct pump *p, struct ipc_client *c);

/* Some rule asks for anonymity. */
bool policy_wants_programs(const struct pump *p);
bool policy_wants_every_name(const struct pump *p);
bool policy_wants_shortcuts(const struct pump *p);

#endif
