/* inherit.h - what a program that is started finds in its environment: this library, and where its daemon is.
 *
 * env -i, clearenv(), sudo's like, and everything that passes an environment of its own would lead out of the overlay without a word.
 * So what stood there when this process began is put back for the next one:
 *
 *   LD_PRELOAD  where our library is missing, it comes first; what else the program has put there stays behind it
 *   I3_...      a variable which is missing is added, one which the program has changed stays changed
 *
 * An environment with I3_OFF in it is left alone: that is the way out, for who wants it ("env -u LD_PRELOAD I3_OFF=1 CMD").
 * Nothing is put back that was not there: a process which has us for another reason (as an NSS module) starts others as ever.
 *
 * All this happens below vfork as well: a new environment is built in the caller's room (its stack), nothing of ours is written.
 *
 * Bounds: INHERIT_VARIABLES variables and INHERIT_TEXT bytes of them; what is beyond that is not put back.
 */
#ifndef I3_SHIM_INHERIT_H
#define I3_SHIM_INHERIT_H

#include <stdbool.h>
#include <stddef.h>

enum { INHERIT_VARIABLES = 16, INHERIT_TEXT = 8192 };

/* Copies what shall be kept; by the constructor. */
void inherit_init(char *const envp[]);

/* False: programs started with that environment are none of ours (I3_OFF, or we were not preloaded). */
bool inherit_active(char *const envp[]);

/* How many bytes inherit_build() needs; 0: `envp` (which may be NULL) has everything, and goes as it is. */
size_t inherit_room(char *const envp[]);

/* The completed environment, in `room`; shares the strings of `envp`. */
char **inherit_build(char *const envp[], void *room);

/* Puts it back into this process's own environment: for system() and popen(), which take that. */
void inherit_restore(void);

#endif
