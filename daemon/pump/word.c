/* pump/word.c - words of peers that are not about the way (i3/inner.h), each to whom it is for. */
#include "daemon/pump/gateway.h"

#include "daemon/i3/inner.h"
#include "daemon/pump/box.h"

void word_in(struct side *s, struct peer *peer, uint8_t ecn, uint8_t *msg, size_t len)
{
    unsigned kind = inner_kind(msg, len);
    if (kind == INNER_ROTATE || kind == INNER_ROTATED) {
        rotation_word(s, peer, msg, len);
        return;
    }
    if (s->retired)
        return;
    switch (kind) {
    case INNER_GATEWAY:
        gateway_word(s, peer, msg, len);
        break;
    case INNER_BOX:
        box_word(s, peer, msg, len);
        break;
    case INNER_BOX_DATA:
        box_data(s, peer, ecn, msg, len);
        break;
    default:
        break;
    }
}
