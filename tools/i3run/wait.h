/* wait.h - what the supervisor's loop needs of the calls that wait (engine.h has what the calls need). */
#ifndef I3_TOOLS_WAIT_H
#define I3_TOOLS_WAIT_H

#include <poll.h>

#include "tools/i3run/engine.h"

int wait_count(void);
/* Two entries for each; *until becomes the first deadline, if that is sooner. Returns how many entries. */
int wait_fill(struct pollfd *p, int64_t *until);
/* After poll(), before anything else adds or forgets: the same entries. */
void wait_run(const struct pollfd *p, int n);

/* A thread that makes a call does not wait in another: it was interrupted there, or is a new one. True: it was in the same call, with
 * a limit; the kernel does not restart such ones, whatever the handler says, but has EINTR for them. */
bool wait_forget(struct trap *t);
/* Those whose thread was interrupted, or has ended. */
void wait_sweep(void);

/* Gives the answer, and keeps it when nobody waits for it any more (engine.c). */
void trap_done(struct trap *t, answer_t a);

/* A pidfd of the thread, or of its process; -1. */
int trap_thread(pid_t tid);

#endif
