/* pump/waypoint.c - a host on the way: packets whose stack of ids begins with ours go on to the next one (paper 2.4, service
 * composition; `i3ctl book add --via` at the sender).
 *
 *   sender                 this host                       receiver
 *     [W, X] ----- node ----->  [X]  ----- node ----->       X
 *
 * What passes is sealed for the receiver: this host sees from whom to which id, how much and when, and nothing else. It is done where
 * the config says `waypoint = yes`, or a middle-box is there (its users' handshakes), for whoever knows our key: a byte out for a byte in, and each pass costs a hop, so that neither can a
 * flood be made larger here nor a packet go round for ever.
 */
#include "daemon/pump/impl.h"

enum { AT_HOPS = 2, AT_N = 3 };

void waypoint_in(struct overlay *o, const struct wire_data *d, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    const struct i3_id *next = (const struct i3_id *)(d->ids + ID_LEN);
    bool passes = (p->config.waypoint || p->config.n_middleboxes) && side_by_id(o, d->ids);
    if (!passes || !d->hops || side_by_id(o, next->b)) {
        p->count.packets_bad++;
        return;
    }
    /* in place, as the first id is what falls out; the bytes stay until the batch is sent */
    uint8_t *out = data + ID_LEN;
    memmove(out, data, DATA_FIXED_LEN);
    out[AT_HOPS]--;
    out[AT_N]--;
    const struct addr *node = overlay_way(o, next);
    if (node->family && outbox_push(&o->out, node, out, len - ID_LEN))
        p->count.waypoint++;
}
