/* train.h - runs of datagrams that the kernel takes and gives as one: GSO out, GRO in, for all of the daemon's UDP sockets.
 *
 * A train is a run between the same two addresses whose datagrams all have one size but for a shorter last one. Kernels that do
 * not know of trains take and give single datagrams.
 */
#ifndef I3_TRAIN_H
#define I3_TRAIN_H

#include "daemon/base/inbox.h"
#include "daemon/base/outbox.h"

enum {
    TRAIN_BUF = 65536,     /* room for one that comes in */
    TRAIN_BATCH_MAX = 64,  /* trains of one trains_recv() */
};

/* ---- in ---- */

/* `n` buffers of TRAIN_BUF bytes; 0 or -ENOMEM, and then none. */
int train_buffers_new(uint8_t **buf, unsigned n);
void train_buffers_free(uint8_t **buf, unsigned n);

/* The socket gives trains, and says with each the bits of ECN. */
void train_prepare(int fd, int family);

/* Into n buffers (at most TRAIN_BATCH_MAX) without waiting: how many have come, or -errno. */
int trains_recv(int fd, uint8_t *const *buf, unsigned n, struct train_in *out);

/* ---- out ---- */

union train_control {
    char space[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

/* What m has to say beside its bytes, in `control`: that they are datagrams of `size` (0: a single one), and their bits of ECN. */
void train_mark(struct msghdr *m, union train_control *control, size_t size, uint8_t ecn, bool v6);

/* After sendmsg() has failed: its datagrams may yet go singly. *never: no train will, on this machine. */
bool train_singly(int err, bool *never);

#endif
