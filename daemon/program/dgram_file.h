/* dgram_file.h - what of dgram.h a daemon must know again when it is started anew, as text: servers, which do not bind a
 * second time, and the mirrors that programs have asked for, to which their sockets may be connected.
 *
 *     udp 127.0.0.51 34567 COOKIE 0.0.0.0 53 FLAGS      bound, and asked for (dgram.h)
 *     mirror 10.1.2.3 53 127.1.2.3 64565
 */
#ifndef I3_DGRAM_FILE_H
#define I3_DGRAM_FILE_H

#include <stddef.h>

#include "daemon/program/dgram.h"

/* malloc'd, *len without the NUL; NULL when out of memory. */
char *dgrams_format(const struct dgrams *d, size_t *len);

struct dgram_line {
    bool mirror;
    struct addr a;    /* bound, or the peer */
    struct addr asked;
    uint8_t flags;
    struct addr real; /* of a mirror */
    uint64_t cookie;  /* of a server */
};

/* The next line that can be understood from *at on, which moves; false at the end. */
bool dgrams_parse(const char **at, struct dgram_line *out);

#endif
