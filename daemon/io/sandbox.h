/* sandbox.h - what the process gives up once it has started (seccomp-bpf, Landlock): who takes it over by some mistake of ours finds
 * little to do there.
 *
 *   sandbox_files   Landlock: no file but in the folders named, nothing to be executed, no TCP connection to anywhere, no signal and no
 *                   abstract socket of other processes (as far as the kernel knows of these). Before threads are started: it holds
 *                   for the calling thread and those that come of it.
 *   sandbox_calls   seccomp: an allow-list of system calls (sandbox.c has it with the reasons). Others fail with EPERM; those that only an
 *                   intruder makes end the process. For all threads.
 *
 * Both hold until the process ends, and need no privilege. Sanitized builds are told less (their run-time opens files and starts a
 * symbolizer): only what is forbidden by name is.
 */
#ifndef I3_SANDBOX_H
#define I3_SANDBOX_H

enum { SANDBOX_FOLDERS = 8 };

/* Files may be made, read, written, renamed and removed in these folders alone. NULLs are skipped. 0; -ENOSYS or -EOPNOTSUPP where the
 * kernel has no Landlock; -errno (a folder that is not there: -ENOENT). */
int sandbox_files(const char *const folder[SANDBOX_FOLDERS]);

/* 0 or -errno. */
int sandbox_calls(void);

/* What is in force, as "seccomp,landlock-6": for the log. */
const char *sandbox_text(void);

#endif
