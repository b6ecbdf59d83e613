/* shares.h - what `i3ctl share` and `join` have brought about, as DATA/shares keeps it: text, one thing a line, secret (it has tokens).
 *
 *   share tcp 22 127.0.0.1:22                       a port of the overlay leads to a target of ours
 *   grant tcp 22 KEY                                ... and this key may go there
 *   invite TOKEN tcp 22 MADE UNTIL STATE NAME AS KEY   who has the code gets a grant, once; "-" for what is not said
 *   from tcp 22 KEY                                 that key shares its port with us
 *   former OLD NEW SINCE                            the holder of OLD has announced NEW in its place
 *
 * An invitation is open, and then taken (by KEY), withdrawn, or over when its time is. It is remembered for SHARES_REMEMBER after that, so
 * that whoever comes late with the code can be told which. Times are microseconds since 1970; a clock that was set back far below MADE
 * ends an invitation, rather than prolonging it. A former key is remembered for SHARES_FORMER.
 *
 * Bounds: SHARES_MAX shares, GRANTS_MAX grants (ACCESS_KEYS of a share), INVITATIONS_MAX invitations, of which the oldest that is no
 * longer open gives way; RECEIVED_MAX, FORMERS_MAX: the oldest gives way. A file beyond them is refused whole.
 */
#ifndef I3_SHARES_H
#define I3_SHARES_H

#include "daemon/base/id.h"
#include "daemon/policy/access.h"

enum {
    SHARES_MAX = 128,
    GRANTS_MAX = 4096,
    INVITATIONS_MAX = 64,
    RECEIVED_MAX = 1024,
    FORMERS_MAX = 1024,
    TOKEN_LEN = 16,
    TOKEN_TAG_LEN = 8,
    SHARE_NAME_MAX = 60, /* one label */
};
#define SHARES_REMEMBER (24ull * 3600 * 1000000)
#define SHARES_FORMER   (400ull * 24 * 3600 * 1000000)

struct share {
    uint8_t proto;
    uint16_t port;
    struct addr target;
};

struct grant {
    uint8_t proto;
    uint16_t port;
    uint8_t key[KEY_LEN];
};

enum invitation_state { INVITATION_OPEN, INVITATION_TAKEN, INVITATION_WITHDRAWN, INVITATION_OVER, INVITATION_STATES };

struct invitation {
    uint8_t token[TOKEN_LEN], tag[TOKEN_TAG_LEN]; /* tag: the caller's, kept in no file */
    uint8_t proto;
    uint16_t port;
    uint64_t made, until;
    enum invitation_state state;
    char name[SHARE_NAME_MAX + 1]; /* what whoever takes it is to be called here; "": what it says */
    char as[SHARE_NAME_MAX + 1];   /* what we propose to be called */
    uint8_t key[KEY_LEN];          /* TAKEN: by whom */
};

struct former {
    uint8_t old[KEY_LEN], new[KEY_LEN];
    uint64_t since;
};

struct shares;

struct shares *shares_new(void);
void shares_free(struct shares *s);

/* As book_parse(): 0, or -EINVAL with *line and a sentence; `s` is unchanged then. */
int shares_parse(struct shares *s, const char *text, size_t len, unsigned *line, char *err, size_t errlen);
/* malloc'd, to be wiped; NULL: out of memory. */
char *shares_format(const struct shares *s, size_t *len);

/* Pointers are valid until the table changes. */
const struct share *share_at(const struct shares *s, unsigned i);
const struct share *share_find(const struct shares *s, uint8_t proto, uint16_t port);
/* 0, also when it is there already; -EEXIST: the port leads elsewhere; -ENOSPC, -ENOMEM. */
int share_add(struct shares *s, uint8_t proto, uint16_t port, const struct addr *target);
/* With its grants; open invitations to it are withdrawn. -ENOENT. */
int share_remove(struct shares *s, uint8_t proto, uint16_t port);

const struct grant *grant_at(const struct shares *s, unsigned i);
/* 0, also when it is there already; -ENOENT: that port is not shared; -ENOSPC, -ENOMEM. */
int share_grant(struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN]);
bool share_granted(const struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN]);
unsigned share_grants(const struct shares *s, const uint8_t key[KEY_LEN]); /* of that key, how many */
/* Takes one back, or all of the key's (port 0); how many. What is shared with nobody any more, and by no open invitation, goes as well. */
unsigned share_revoke(struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN]);

/* The oldest first. */
struct invitation *invitation_at(struct shares *s, unsigned i);
struct invitation *invitation_by_tag(struct shares *s, const uint8_t tag[TOKEN_TAG_LEN]);
/* 0; -ENOSPC: that many are open. */
int invitation_add(struct shares *s, const struct invitation *i);
/* Its state by now. */
enum invitation_state invitation_state(const struct invitation *i, uint64_t wall);
const char *invitation_state_name(enum invitation_state s);
/* Those of a share that are open (port 0: of all) are withdrawn; how many. */
unsigned invitation_withdraw(struct shares *s, uint8_t proto, uint16_t port, uint64_t wall);

/* What others share with us; `key` of the grant is theirs. */
const struct grant *received_at(const struct shares *s, unsigned i);
int received_add(struct shares *s, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN]); /* 0 or -ENOMEM */
bool received_from(const struct shares *s, const uint8_t key[KEY_LEN]);
unsigned received_forget(struct shares *s, const uint8_t key[KEY_LEN]);

const struct former *former_at(const struct shares *s, unsigned i);
const struct former *former_find(const struct shares *s, const uint8_t old[KEY_LEN]);
/* The latest whose new key that is, NULL for none. */
const struct former *former_of(const struct shares *s, const uint8_t new[KEY_LEN]);
/* The key has changed: all that the old one has is the new one's, and the old one is a former one. 0 or -ENOMEM. */
int shares_rekey(struct shares *s, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN], uint64_t wall);
/* Nothing of that former key is remembered. */
void former_forget(struct shares *s, const uint8_t key[KEY_LEN]);

/* What has been remembered long enough goes, and shares with nobody. True: something has. */
bool shares_expire(struct shares *s, uint64_t wall);

#endif
