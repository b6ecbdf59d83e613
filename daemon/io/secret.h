/* io/secret.h - the memory behind base/secret.h: chunks of CHUNK bytes that are locked (mlock) and left out of dumps, cut into pieces of a
 * power of two each; larger ones are chunks of their own. What is freed is wiped and used again, never given back.
 *
 * OpenSSL takes all of its memory from here (secret_openssl), since the keys that it expands lie wherever it allocates. Where no more may be
 * locked (RLIMIT_MEMLOCK; 8 MB is usual and holds some thousand sessions) memory is given out unlocked: that is said once, and status shows it.
 */
#ifndef I3_IO_SECRET_H
#define I3_IO_SECRET_H

#include <stdbool.h>

#include "daemon/base/secret.h"

/* Before OpenSSL is used first: later it is left as it is. */
void secret_openssl(void);
/* All that was given out so far is locked. */
bool secret_all_locked(void);
/* Bytes that are locked. */
size_t secret_locked(void);

#endif
