/* control.h - control messages of datagrams which name addresses: IP_PKTINFO and its kin say on which address of ours a datagram
 * came, or from which it shall go. Between us and a mirror that is loopback; programs see the own virtual address. */
#ifndef I3_SHIM_HOOKS_CONTROL_H
#define I3_SHIM_HOOKS_CONTROL_H

#include <sys/socket.h>

#include "include/addr.h"

/* A message received from the virtual peer `from`: in place. */
void control_received(struct msghdr *m, const struct addr *from);

enum { CONTROL_ROOM = 512 };

/* A message to be sent to a mirror: m's control data with the socket's address on loopback in place of the own virtual one, in
 * `room`, to which m then points; what does not fit or names nothing stays. */
void control_sent(int fd, struct msghdr *m, char room[CONTROL_ROOM]);

#endif
