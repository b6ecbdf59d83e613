/* pair.h - the Unix socket that stands in place of a TCP socket whose peer is virtual.
 *
 * It is one end of a socketpair whose other end the daemon holds. Everything that has to be known of it is kept in the
 * kernel's socket, so that it survives dup, fork, exec and passing, where no table of ours does:
 *
 *   who am I     the abstract name it is bound to (include/ipc.h): handle, local and remote address
 *   family       SO_MAX_PACING_RATE, which means nothing on a Unix socket, is set to a mark on those that were AF_INET6
 *   state        the daemon fills a send buffer shrunk below PAIR_DIALLING_SNDBUF; it enlarges and then drains it when the
 *                overlay connection stands (not the other way round: a program that writes at once would fill the
 *                small buffer again, and look as if it were dialling); it closes its end undrained when that fails
 *
 *                              small buffer              large buffer
 *      not hung up   full: DIALLING, else UP                  UP
 *      hung up              FAILED                          ENDED
 *
 * What a program can still tell from TCP, since reading and writing are not hooked:
 *   - read() or write() on a connection that failed says ECONNRESET or EPIPE for whatever it was (ETIMEDOUT, ECONNREFUSED);
 *     getsockopt(SO_ERROR) and connect() say what it was
 *   - urgent data (MSG_OOB) comes to the peer in line, and POLLPRI never
 *   - recv(MSG_TRUNC) copies what TCP would throw away; poll() does not wait for SO_RCVLOWAT
 *   - SO_LINGER with a time does not make close() wait; SO_ZEROCOPY is refused
 *   - where another process has the socket from before connect() (fork), it keeps one that is not connected
 */
#ifndef I3_SHIM_PAIR_H
#define I3_SHIM_PAIR_H

#include "include/ipc.h"
#include "shim/fdtable.h"

enum {
    PAIR_DIALLING_SNDBUF = 8192, /* SO_SNDBUF as getsockopt tells it is smaller while dialling */
    PAIR_MIN_SNDBUF = 16384,     /* so a program may not go below this afterwards */
};

enum pair_state { PAIR_DIALLING, PAIR_UP, PAIR_FAILED, PAIR_ENDED };

/* True when `fd` is such a socket. */
bool pair_of(int fd, struct sock_name *name);

enum pair_state pair_state(int fd);

/* AF_INET or AF_INET6: what the program's socket was. */
int pair_family(int fd);

/* Gives `with`, a pair from the daemon, the options of the program's socket `fd` and its family. What has to stand in the fd table once
 * it is in the socket's place: a connection whose success connect() has not told yet. */
struct fd_entry pair_prepare(int fd, int with, int family, const struct ipc_socket *s);
/* connect() has told of the success; and has it not yet? (The first call after it says 0, the next EISCONN.) */
void pair_told(int fd);
bool pair_is_untold(int fd);

/* Why the connection could not be made, a positive errno. */
int pair_error(const struct sock_name *name);
/* Why one that stood has ended, likewise. */
int pair_end(const struct sock_name *name);

/* Puts `with` (another socket) at the number of `fd`, keeping its close-on-exec flag and epoll registrations; closes
 * `with` in any case. 0 or -errno. */
int pair_swap(int fd, int with);

/* A new TCP socket in place of a pair: what a failed or dissolved connection leaves behind. 0 or -errno. */
int pair_revert(int fd);

#endif
