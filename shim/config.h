/* config.h - what the library takes from its environment, copied once so that clearenv() changes nothing.
 *
 *   I3_SOCK    the daemon's socket; else $XDG_RUNTIME_DIR/i3/i3d.sock; else /tmp/i3-UID/i3d.sock, and then only
 *              while that folder is the user's own, 0700
 *   I3_SUFFIX  which names are the overlays', by their suffixes with a comma between: ".i3,.corp"; ".i3" by default. i3run sets it
 *   I3_OVERLAY_ONLY  "1": servers shall not be reached by the local network (claim.h)
 *   I3_STRICT  "1": our network is an empty one (i3run --strict), so the overlay is TCP clients and names
 *   I3_RUN     where i3run is, for programs that cannot be preloaded (reroute.h)
 *   I3_POOL    the virtual network, "10.0.0.0/8"; i3run sets it, so that no program has to ask for it
 *   I3_PROGRAM "TOKEN.NAME": what the daemon is told first (PROGRAM of include/ipc.h), the token as 32 hex digits
 *   I3_ANONYMOUS  "1": everything is to be anonymous (i3run --anonymous); then there is a token, and our network is an empty one
 *   I3_EVERY_NAME  "1": there are rules about names beyond the suffix (overlay.h); i3run sets it, should the daemon not answer
 */
#ifndef I3_SHIM_CONFIG_H
#define I3_SHIM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/ipc.h"

enum { ZONES_MAX = 512 /* DNS_ZONES_MAX */, CONFIG_PATH = 256 };

struct config {
    char sock[108];   /* "": none, or too long for a socket address */
    bool check_owner; /* the socket lies in a folder which anyone might have made */
    char zones[ZONES_MAX]; /* as in include/dns.h, lower case: "i3 corp" */
    uint32_t pool; /* host order */
    uint8_t pool_bits;
    bool pool_given;
    bool overlay_only, strict;
    bool anonymous;  /* everything */
    bool has_program, bad_program; /* bad: what I3_PROGRAM says cannot be read, so that nothing is asked of the daemon */
    struct ipc_program program;
    bool every_name; /* until the daemon has said */
    char i3run[CONFIG_PATH]; /* "": not known */
};

/* Read at the first call: by the constructor, or by a hook which is called before it. */
const struct config *config_get(void);

#endif
