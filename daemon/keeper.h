/* keeper.h - where no systemd looks after the daemon: a small process that does.
 *
 *     i3d --ensure ---> keeper (i3keep) ---> i3d
 *                       holds the lock and     gets the socket as systemd would pass it (io/passed.h)
 *                       the listening socket
 *
 * When i3d dies without wanting to (kill -9, a crash), it is started anew with the same socket: what programs ask meanwhile waits in the
 * socket's queue, and nobody has to try again. An end in good order, or a refusal with a reason (a configuration that is wrong), ends the
 * keeper as well. It holds no keys and reads nothing from the network. When it is killed itself, i3d goes on without.
 */
#ifndef I3_KEEPER_H
#define I3_KEEPER_H

#include "daemon/host_options.h"

#define KEEPER_SOCKET "kept" /* LISTEN_FDNAMES */
enum { KEEPER_LOCK_FD = 4 }; /* in the daemon */
enum { EX_RUNNING = 75 };

/* The lock that makes us the only one of this RUNTIME: its fd, held until the process ends; -EWOULDBLOCK: there is another; -errno. With a
 * sentence in why. patient: nobody answers at the socket, so that whoever has it is about to end, and is waited for. */
int host_lock(const struct pump_paths *paths, bool patient, char *why, size_t whylen);

/* Returns when the daemon has ended for good: the exit status. */
int keeper_run(const struct host_options *o, char **argv);

#endif
