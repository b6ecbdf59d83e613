/* pump/gate_control.c - i3ctl gateway: both ends of it. */
#include "daemon/control/gateway_report.h"
#include "daemon/pump/control.h"
#include "daemon/pump/gateway.h"

void verb_gateway(struct control_call *k)
{
    struct pump *p = k->p;
    struct gateway *g = p->gateway;
    const struct gate_conn *c;
    struct report_gateway r = {.book = p->book, .now = p->now, .config = gateway_config(p), .to = g->to, .vias = g->vias, .refused = g->refused};
    TAILQ_FOREACH(c, &g->conns, all)
        r.tcp++;
    r.udp_ports = gate_udp_ports(p);
    r.anyone = access_use(p->access, ACCESS_GATEWAY)->anyone;
    control_done(k, report_gateway(&r));
}
