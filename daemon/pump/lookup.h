/* lookup.h - names that others than the book are asked for; see lookup.c. */
#ifndef I3_PUMP_LOOKUP_H
#define I3_PUMP_LOOKUP_H

#include "daemon/pump/impl.h"

enum { LOOKUP_WHY = 1200 };

/* After p->config has changed, and at the start. -ENOMEM. */
int lookup_configure(struct pump *p);
void lookup_stop(struct pump *p);

/* What `resolve` says of a name of that overlay; e: what the book has. 0: e is it (NULL: now the book has it). Else ENOENT, EAGAIN, EPROTO
 * (nonsense was heard), EKEYREJECTED (its key has changed, or several claim it), with a sentence in *why, or IPC_PENDING: a look-up runs. */
int lookup_name(struct pump *p, struct overlay *o, const char *full, const char *bare, const struct book_entry *e, const char **why);
/* The book's entry was taken out by the user: the next question is the first. */
void lookup_forget(struct pump *p, const char *bare);

/* Answers RESOLVE with IPC_PENDING when the look-up that runs has ended, or in a moment; with a record: runs that control verb again when
 * it has ended. False: no look-up runs, or there is no room. */
bool lookup_wait(struct pump *p, const char *full, struct ipc_client *client, uint32_t serial, const uint8_t *record, size_t len);
void lookup_client_gone(struct pump *p, const struct ipc_client *c);

/* An answer of a claimant; false: it is none. */
bool lookup_answer(struct overlay *o, const uint8_t *payload, size_t len);
void lookup_not_present(struct overlay *o, const struct wire_not_present *np);

mono_t lookup_deadline(const struct pump *p);
void lookup_turn(struct pump *p);

#endif
