/* txtname.h - keys in the DNS: the TXT record of _i3.NAME.
 *
 *     _i3.box.example.org.  300  IN TXT  "i3=1 key=6zq2...(52 characters) node=203.0.113.7:5610"
 *
 * Words with one space between, "i3=1" first; key= once; node= (ADDRESS:PORT) up to TXTNAME_NODES times, where others find the overlay; words
 * that are not known are for later versions. Other TXT records of the name are nobody's affair here. Strings of one record are joined as
 * they come (RFC 1035 3.3.14, as SPF does).
 */
#ifndef I3_TXTNAME_H
#define I3_TXTNAME_H

#include "daemon/base/id.h"

enum { TXTNAME_NODES = 4, TXTNAME_NODE_LEN = 63, TXTNAME_LEN_MAX = 1024, TXTNAME_RECORDS = 32 };

struct txtname {
    uint8_t key[KEY_LEN];
    char node[TXTNAME_NODES][TXTNAME_NODE_LEN + 1]; /* as written */
    unsigned n_nodes;
};

/* The text of one record. 0; -ENOENT: it is no record of ours; -EBADMSG with a sentence: it is, and is wrong. */
int txtname_parse(const char *text, size_t len, struct txtname *out, const char **why);

/* A whole DNS reply: the one record of ours in its answers. *ttl: seconds, the least of all that led to it. 0; -ENOENT: there is none;
 * -EBADMSG with a sentence: a malformed message or record, or two records with different keys. */
int txtname_read(const uint8_t *msg, size_t len, struct txtname *out, uint32_t *ttl, const char **why);

#endif
