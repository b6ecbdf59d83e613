/* answer.h - DNS answers about overlay names and virtual addresses, made here, for programs that read DNS messages themselves.
 *
 *   NAME.i3               A, AAAA       (anything else: the name exists and has no such data)
 *   D.C.B.A.in-addr.arpa  PTR
 *   ... .ip6.arpa         PTR
 *
 * Time to live 0, since a mapping is the daemon's to change.
 */
#ifndef I3_SHIM_HOOKS_ANSWER_H
#define I3_SHIM_HOOKS_ANSWER_H

#include "include/ipc.h"

/* A question that is ours to answer, whether or not there is an answer. */
struct question {
    bool reverse;
    int status;                  /* reverse: what the daemon said of the address (client.h) */
    char name[IPC_NAME_MAX + 1]; /* in its plain form; reverse: what the address is called */
};

/* False: the name is none of ours, and DNS may have it. Asks the daemon when it is that of a virtual address. */
bool question_ours(const char *name, struct question *q);

/* One DNS message into out: `id`, the question as it was put, and the record if there is one. Returns its length, 0 when it does
 * not fit; *herr is 0 (there is a record), NO_DATA, HOST_NOT_FOUND or TRY_AGAIN, and the message's code accordingly. */
size_t question_answer(const struct question *q, const char *asked, int class, int type, uint16_t id, uint8_t *out, size_t cap,
    int *herr);

#endif
