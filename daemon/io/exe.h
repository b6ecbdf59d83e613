/* exe.h - which program a process runs, asked of a helper.
 *
 * /proc/PID/exe is closed to a process in a Landlock domain (the kernel asks whether it might trace the other one), and the daemon is in one.
 * So a helper is forked before that: it holds no key, no file but its end of a socket pair, and may do nothing but read links.
 */
#ifndef I3_EXE_H
#define I3_EXE_H

#include <stddef.h>
#include <sys/types.h>

/* Forks the helper: before any key is read, any thread started, any sandbox entered. It ends with us. argv: main()'s, in which it
 * gets a name of its own. 0 or -errno. */
int exe_start(char **argv);
/* The absolute path of what that process runs, as it is called now; a file that was replaced since then has " (deleted)" behind it. Of a
 * process that must not be looked at (one with secrets), what it calls itself, with no '/' in it. 0; -ESRCH: gone; -ENOTCONN: there is no
 * helper. Takes some 20 us. */
int exe_of(pid_t pid, char *out, size_t cap);
void exe_stop(void);

#endif
