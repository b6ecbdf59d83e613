/* pump.h - the only corridor between io/ and the pure rooms: one user's daemon as a whole.
 *
 *            programs (ipc, pump/ipc.c)        i3ctl (pump/control.c)
 *                 |  connect, listen, resolve       |
 *   bytes         v                                 v
 *   fds <--- pump/flow.c ---> tcpip  --- packets --- pump/net.c ---> i3/peer, i3/trigger ---> io/udp
 *
 * Everything happens in turns (pump_turn): one batch of datagrams in; events of the engine; bytes between programs and
 * the engine; packets out, sealed side by side into one buffer; one timer for the earliest deadline of all rooms.
 */
#ifndef I3_PUMP_H
#define I3_PUMP_H

#include <uv.h>

#include "daemon/base/id.h"
#include "daemon/policy/config.h"

struct pump;

struct pump_paths {
    char config[1024], data[1024], runtime[1024]; /* the file i3.conf, and two folders */
    int socket;        /* listening already, made by who has started us; 0: there is none yet */
    bool socket_stays; /* and is there when we have ended */
};

struct pump_identity {
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    bool created; /* by this start of the daemon */
};

/* DATA/identity, written anew: what daemon/identity.c gives. 0 or -errno. */
int identity_save(const struct pump_identity *id, const char *data_folder);

/* Starts everything; the socket for programs is open when it returns. stop: called when i3ctl asks for the end.
 * 0, or -errno with a sentence in err. */
int pump_start(struct pump **out, uv_loop_t *loop, const struct config *config, const struct pump_paths *paths,
    const struct pump_identity *identity, void (*stop)(void *ctx), void *ctx, char *err, size_t errlen);

/* Reads i3.conf again (pump/reload.h). */
void pump_reload(struct pump *p);

/* Ends in good order: triggers are taken back, programs' connections end. */
void pump_stop(struct pump *p);

#endif
