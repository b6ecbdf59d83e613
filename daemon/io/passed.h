/* passed.h - the listening socket that whoever starts us has made already: systemd, or our keeper (sd_listen_fds(3), by hand).
 *
 *   LISTEN_PID=our pid  LISTEN_FDS=how many, from fd 3 on  LISTEN_FDNAMES=names, with ':' between
 */
#ifndef I3_PASSED_H
#define I3_PASSED_H

#include <stddef.h>

enum { PASSED_FIRST = 3 };

/* The first of them, CLOEXEC; the variables are taken out of the environment, and further fds closed. 0: none is passed. -EINVAL: it is not a
 * listening SOCK_SEQPACKET Unix socket, with a sentence in why. name: LISTEN_FDNAMES' first, "" for none. */
int passed_socket(char name[64], char *why, size_t whylen);
/* For a child, between fork and exec: it finds that one. */
int passed_hand(int fd, const char *name);

#endif
