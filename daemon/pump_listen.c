/* pump_listen.c - local servers on the overlay: registered by their programs, checked with the kernel, and remembered in
 * RUNTIME/listeners, so that a server need not be started anew when the daemon is.
 */
#include "daemon/pump_impl.h"

#include <stdlib.h>

static void listen_save(struct pump *p)
{
    size_t len;
    char *text = listeners_format(p->listeners, &len);
    pump_state_save(p, "listeners", text, len);
}

/* The next one for that port (0: any) that the kernel still knows, NULL at the end. Those that are gone are dropped on the way. */
static const struct listener *next_live(struct pump *p, unsigned *at, uint16_t port, bool *dropped)
{
    const struct listener *l;
    while ((l = listener_next(p->listeners, at, port)) && !diag_listens(p->diag, &l->bound, l->cookie)) {
        listener_remove(p->listeners, l->cookie);
        *dropped = true;
        *at = 0;
    }
    return l;
}

void listen_load(struct pump *p)
{
    char *text = pump_state_load(p, "listeners");
    if (!text)
        return;
    listeners_parse(p->listeners, text);
    free(text);
    listen_sweep(p);
}

int listen_add(struct pump *p, const struct listener *l)
{
    listen_sweep(p);
    int err = listener_add(p->listeners, l);
    if (!err)
        listen_save(p);
    return err;
}

void listen_sweep(struct pump *p)
{
    unsigned at = 0;
    bool dropped = false;
    while (next_live(p, &at, 0, &dropped))
        ;
    if (dropped)
        listen_save(p);
}

const struct listener *listen_find(struct pump *p, uint8_t family, uint16_t port)
{
    const struct listener *l, *second = NULL;
    unsigned at = 0;
    bool dropped = false; /* written at the next sweep or registration: nobody waits for the disk here */
    while ((l = next_live(p, &at, port, &dropped))) {
        if (l->bound.family == family)
            return l;
        if (loopback_takes(&l->bound, family))
            second = l;
    }
    return second;
}
