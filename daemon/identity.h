/* identity.h - the user's key pair on disk: DATA/identity, 0600, made at the first start.
 *
 *     i3run identity 1
 *     private 52 characters of base32
 *     public  52 characters of base32
 *
 * A file of another version, or which others may read, is refused and never overwritten.
 */
#ifndef I3_IDENTITY_H
#define I3_IDENTITY_H

#include "daemon/pump/pump.h"

/* Reads it, or makes it. 0, or -errno with a sentence in err. */
int identity_load(struct pump_identity *id, const char *data_folder, char *err, size_t errlen);

#endif
