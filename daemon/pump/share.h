/* pump/share.h - what the files about sharing share: share.c (DATA/shares, and who takes up an invitation of ours), join.c (taking up one
 * of somebody else's), share_control.c (the verbs), rotate.c (a new key for this user, and those of others).
 */
#ifndef I3_PUMP_SHARE_H
#define I3_PUMP_SHARE_H

#include "daemon/base/budget.h"
#include "daemon/control/share_report.h"
#include "daemon/i3/invite.h"
#include "daemon/policy/shares.h"
#include "daemon/pump/control.h"

_Static_assert(TOKEN_LEN == (int)INVITE_TOKEN_LEN && TOKEN_TAG_LEN == (int)INVITE_TAG_LEN && SHARE_NAME_MAX == (int)INVITE_NAME_MAX, "one token");

/* Exit statuses of i3ctl (tools/i3ctl.h) which say what kind of failure it was. */
enum { STATUS_FAILED = 1, STATUS_KEY_CHANGED = 4, STATUS_CODE = 5, STATUS_NO_ANSWER = 6 };

enum { SHARE_WAITERS_MAX = 16, JOINS_MAX = 4, JOINS_PER_S = 50, JOINS_BURST = 100 };

/* Somebody who waits for an invitation to be taken up. */
struct share_waiter {
    struct ipc_client *client; /* NULL: free */
    uint32_t serial;
    uint8_t tag[TOKEN_TAG_LEN];
};

/* An invitation that is being taken up here. */
struct join_run {
    bool on;
    struct ipc_client *client; /* NULL: has gone away, and does not hear of it */
    uint32_t serial;
    struct invite invite;
    struct noise noise; /* as join_write() left it */
    uint8_t msg[JOIN_LEN];
    char name[INVITE_NAME_MAX + 1]; /* what the user wants to call the inviter; "": what that proposes */
    unsigned tries, absent;         /* sent; of those, how many a node said that nobody is there */
    bool learned;                   /* the nodes are the invitation's */
    mono_t started, due;
};

struct sharing {
    struct shares *shares;
    struct budget joins;
    mono_t expire_at; /* the next look at what is over */
    struct share_waiter waiters[SHARE_WAITERS_MAX];
    struct join_run runs[JOINS_MAX];
};

/* ---- share.c ---- */

/* Writes DATA/shares. 0 or -errno. */
int share_save(struct pump *p);
/* The table as it is now, for share_undo(); NULL: no memory. */
char *share_mark(struct pump *p, size_t *len);
/* Back to what it was then; frees it. */
void share_undo(struct pump *p, char *mark, size_t len);
/* What we propose to be called: of the machine's name, one label. */
void share_own_name(char out[SHARE_NAME_MAX + 1]);
/* Keeps the call until that invitation is taken up, or over. 0 or -ENOSPC. */
int share_wait(struct control_call *k, const uint8_t tag[TOKEN_TAG_LEN]);
/* Those who wait for that one hear how it stands. */
void share_tell(struct pump *p, const struct invitation *v);
/* The same for all that have been taken back. */
void share_withdrawn(struct pump *p);
/* One label of letters, digits, '-' and '_', as it may stand in a code; false: it is none. Folded to lower case. */
bool share_label(const char *text, char out[SHARE_NAME_MAX + 1]);
/* A DATA packet to whoever has that key, by its public id. */
void share_push(struct overlay *o, const uint8_t key_prefix[ID_PREFIX_LEN], enum wire_proto proto, const uint8_t *body, size_t len);
/* "ssh" of TCP port 22; "": nobody knows. */
const char *service_name(uint8_t proto, uint16_t port);

/* ---- join.c ---- */

void join_begin(struct control_call *k, const struct invite *i, const char *name, const char *as, bool learned);
void join_expire(struct pump *p);
mono_t join_deadline(const struct pump *p);

#endif
