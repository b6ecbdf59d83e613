/* pump/portal_tls.c - what a TLS connection says of itself; its keys stay with its two ends. */
#include <errno.h>

#include "daemon/pump/portal_impl.h"

void portal_tls_error(struct portal_conn *c, uint8_t alert, const char *why)
{
    uint8_t out[TLS_ALERT_LEN];
    tls_alert(out, alert);
    portal_tell(c, out, sizeof(out), why);
}

/* The one that the client has used, if it is published, else the usual one. 0: none. */
static uint16_t port_for(const struct portal_conn *c, const struct config_publish *e)
{
    const struct config_ports *special = &c->t->c.ports;
    if (portal_lists(&e->ports, c->local.port) && !portal_lists(special, c->local.port))
        return c->local.port;
    return portal_lists(&e->ports, 443) ? 443 : 0;
}

bool portal_tls_read(struct portal_conn *c)
{
    struct portal *t = c->t;
    char host[TLS_NAME_MAX + 1], bare[CONFIG_NAME_MAX + 1];
    int err = tls_sni(c->buf, c->len, host);
    if (err == -EAGAIN)
        return true;
    t->count.tls += !err;
    t->count.bad += err && err != -ENOENT;
    const struct config_publish *e = !err && portal_bare(t, host, bare) ? portal_entry(t, bare) : NULL;
    uint16_t port = e ? port_for(c, e) : 0;
    if (e)
        snprintf(c->name, sizeof(c->name), "%s", e->name);
    if (err == -ENOENT) {
        t->count.unknown++;
        portal_tls_error(c, TLS_HANDSHAKE_FAILURE, "it names no host");
    } else if (err) {
        portal_tls_error(c, TLS_DECODE_ERROR, "no TLS");
    } else if (!port) {
        t->count.unknown++;
        portal_tls_error(c, TLS_UNRECOGNIZED_NAME, "nothing is published by that name");
    } else if (!config_from_has(e->from, e->n_from, &c->source)) {
        t->count.barred++;
        portal_tls_error(c, TLS_ACCESS_DENIED, "not allowed");
    } else {
        portal_lead(c, e, port);
    }
    return false;
}
