/* secret.h - memory for keys and what they expand to: never written to the swap nor into a dump, as far as the system lets us.
 *
 * The programs have it in daemon/io/secret.c, tests in tests/lib/log_sink.c.
 */
#ifndef I3_SECRET_H
#define I3_SECRET_H

#include <stddef.h>

/* Zeroed; NULL when there is no memory. */
void *secret_new(size_t size);
/* Wiped. NULL is nothing. */
void secret_free(void *p);

#endif
