/* twins.h - other numbers of the same socket, which dup() or F_DUPFD made before connect().
 *
 * A pair takes the place of one number; the socket's other numbers in this process have to follow. Whether there are any the
 * kernel tells by itself: an epoll instance which watches the socket forgets it with its last number. Only if it does not are the
 * process's fds looked through, by SO_COOKIE. Another process which has the socket too (by fork before connect) keeps a TCP socket
 * that is not connected.
 */
#ifndef I3_SHIM_TWINS_H
#define I3_SHIM_TWINS_H

#include <stdbool.h>
#include <stdint.h>

/* Before the swap: something for twins_left(), or below 0. */
int twins_watch(int fd);

/* After the swap, and when nobody here holds the old socket: whether somebody does. Ends the watch. */
bool twins_left(int watch);

/* Puts copies of the pair `with` where the socket `cookie` is. */
void twins_follow(uint64_t cookie, int with);

#endif
