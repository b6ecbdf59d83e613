/* pump/listen.c - local servers on the overlay: registered by their programs, checked with the kernel, and remembered in
 * RUNTIME/listeners, so that a server need not be started anew when the daemon is. Addresses of which the kernel knows nothing
 * (program/listener.h) are given out here, for TCP and UDP.
 */
#include "daemon/pump/impl.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_PORT = 32768, PORT_TRIES = 256 };

void listen_save(struct pump *p)
{
    size_t len;
    char *text = listeners_format(p->listeners, &len);
    pump_state_save(p, "listeners", text, len);
}

static bool is_live(struct pump *p, const struct listener *l)
{
    return l->flags & IPC_LISTEN_BOUND ? loopback_taken(&l->bound) : diag_listens(p->diag, &l->bound, l->cookie);
}

/* The next one for that port (0: any) that the kernel still knows, NULL at the end. Those that are gone are dropped on the way. */
static const struct listener *next_live(struct pump *p, unsigned *at, uint16_t port, bool *dropped)
{
    const struct listener *l;
    while ((l = listener_next(p->listeners, at, port)) && !is_live(p, l)) {
        listener_remove(p->listeners, l->cookie);
        *dropped = true;
        --*at; /* another has its place */
    }
    return l;
}

int listen_load(struct pump *p, char *why, size_t whylen)
{
    char *text;
    int err = pump_state_load(p, "listeners", &text, why, whylen);
    if (!text)
        return err;
    listeners_parse(p->listeners, text);
    free(text);
    listen_sweep(p);
    return 0;
}

/* Somebody else of this user has that address. */
static bool is_taken(struct pump *p, const struct listener *l)
{
    const struct listener *other;
    unsigned at = 0;
    bool dropped = false;
    if (l->proto == IPPROTO_UDP)
        return dgram_taken(p, &l->asked, l->cookie, l->flags);
    while ((other = next_live(p, &at, l->asked.port, &dropped)))
        if (other->cookie != l->cookie && listener_conflicts(other, l))
            return true;
    return false;
}

/* For port 0: one that nobody has, as the kernel would choose. */
static int choose_port(struct pump *p, struct listener *l)
{
    l->flags &= (uint8_t)~(IPC_LISTEN_REUSEPORT | IPC_LISTEN_REUSEADDR);
    for (int i = 0; i < PORT_TRIES; i++) {
        l->asked.port = (uint16_t)(FIRST_PORT + drbg_u64(&p->random) % (UINT16_MAX + 1 - FIRST_PORT));
        if (!is_taken(p, l))
            return 0;
    }
    return -EADDRINUSE;
}

int listen_ask(struct pump *p, const struct ipc_listen *ask, struct addr *asked)
{
    struct listener l = {ask->proto, ask->flags & (uint8_t)~IPC_LISTEN_TRY, ask->bound, ask->asked, ask->cookie};
    int err = 0;
    if (!l.asked.family)
        l.asked = l.bound;
    if (!l.asked.port)
        err = choose_port(p, &l);
    else if (ask->asked.family)
        err = is_taken(p, &l) ? -EADDRINUSE : 0;
    *asked = l.asked;
    if (err || ask->flags & IPC_LISTEN_TRY)
        return err;
    return l.proto == IPPROTO_UDP ? dgram_listen(p, &l.bound, l.cookie, &l.asked, l.flags) : listen_add(p, &l);
}

/* A connection that a listener has accepted from this very host has the listener's real address, too; if that stands for all
 * addresses it was made to the own one. */
static bool accepted_there(struct pump *p, const struct ipc_bound *b, struct addr *asked)
{
    static const uint8_t any[16];
    const struct listener *l;
    for (unsigned at = 0; (l = listener_next(p->listeners, &at, 0));) {
        if (!addr_eq(&l->bound, &b->bound) || addr_eq(&l->bound, &l->asked))
            continue;
        *asked = l->asked;
        if (!memcmp(asked->ip, any, sizeof(any)))
            *asked = names_host_address(p, p->own, l->asked.family, l->asked.port);
        return true;
    }
    return false;
}

bool listen_asked(struct pump *p, const struct ipc_bound *b, struct addr *asked)
{
    const struct addr *known = NULL;
    const struct listener *l = NULL;
    if (b->proto == IPPROTO_UDP)
        known = dgram_asked(p, &b->bound, b->cookie);
    else if ((l = listener_by_cookie(p->listeners, b->cookie)) && !addr_eq(&l->asked, &l->bound))
        known = &l->asked;
    if (known)
        *asked = *known;
    return known || (b->proto == IPPROTO_TCP && !l && accepted_there(p, b, asked));
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

/* What is gone is written at the next sweep or registration: nobody waits for the disk here. */
const struct listener *listen_find(struct pump *p, const struct addr *own)
{
    const struct listener *l;
    while ((l = listener_best(p->listeners, own)) && !is_live(p, l))
        listener_remove(p->listeners, l->cookie);
    return l;
}

bool listen_self(struct pump *p, uint8_t proto, const struct addr *own, struct addr *at)
{
    if (proto == IPPROTO_UDP)
        return dgram_self(p, own, at);
    const struct listener *l = listen_find(p, own);
    if (l)
        *at = loopback_of(&l->bound, own->family);
    return l;
}
