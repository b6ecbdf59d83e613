/* host_sandbox.h - what i3d still may do once it runs: which files are its own, io/sandbox.h does the rest.
 *
 *     write, make, remove   DATA, RUNTIME
 *                           the folders of a middle-box's taps
 *     read                  the folder of i3.conf (and that of the file, where i3.conf is a link), /etc, that of resolv.conf, its own /proc
 *     nothing               else: no program is started, no process looked at (io/exe.h asks a helper), no other user's file, no raw socket
 *
 * Kernels and containers without one or the other are no reason not to run: it is said in one line of the log, and status shows it.
 */
#ifndef I3_HOST_SANDBOX_H
#define I3_HOST_SANDBOX_H

#include "daemon/pump/pump.h"

/* Before there are threads: files. Libraries read now what they read when first used. */
void host_sandbox_files(const struct pump_paths *paths, const struct config *config);
/* When everything is started: system calls, for all threads. */
void host_sandbox_calls(void);

#endif
