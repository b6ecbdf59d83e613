/* answer.h - the replies to DNS questions about overlay names and virtual addresses (include/dns.h), made here, for programs that
 * have libc ask and read the messages themselves.
 */
#ifndef I3_SHIM_HOOKS_ANSWER_H
#define I3_SHIM_HOOKS_ANSWER_H

#include "include/dns.h"
#include "include/ipc.h"

/* A question that is ours to answer, whether or not there is an answer. */
struct question {
    bool reverse;
    int status;                  /* reverse: what the daemon said of the address (client.h) */
    char name[IPC_NAME_MAX + 1]; /* in its plain form; reverse: what the address is called */
};

/* False: the name is none of ours, and DNS may have it. Asks the daemon when it is that of a virtual address. */
bool question_ours(const char *name, struct question *q);

/* The reply to the query `msg`, of which *asked is the question, into out. Returns its length, 0 when it does not fit; *herr is 0 (it
 * has a record), NO_DATA, HOST_NOT_FOUND or TRY_AGAIN, and the message's code accordingly. */
size_t question_answer(const struct question *q, const uint8_t *msg, size_t len, const struct dns_question *asked, uint8_t *out,
    size_t cap, int *herr);

#endif
