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

#include <stddef.h>

enum { SANDBOX_FOLDERS = 8 };

/* Two profiles: a node answers datagrams and takes connections; a host (i3d) makes sockets as well, for programs, for overlays, to servers
 * that it has opened a door to. */

/* Files may be made, read, written, renamed and removed in these folders alone. NULLs are skipped. 0; -ENOSYS or -EOPNOTSUPP where the
 * kernel has no Landlock; -errno (a folder that is not there: -ENOENT). */
int sandbox_files(const char *const folder[SANDBOX_FOLDERS]);

/* 0 or -errno. */
int sandbox_calls(void);

/* The host's: files may be read in `readable` too, folders or single files; NULLs, and those that are not there, are skipped. TCP is not
 * Landlock's business then. */
int sandbox_host_files(const char *const folder[SANDBOX_FOLDERS], const char *const readable[SANDBOX_FOLDERS]);
int sandbox_host_calls(void);

/* What is in force, as "seccomp,landlock-6", or "none": for the log and for status. */
const char *sandbox_text(void);

#endif
