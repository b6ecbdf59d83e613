/* batch.c - BATCH (wire.h): many REFRESHes in one datagram, each as if it had come alone, the answers in one. */
#include "daemon/node/inside.h"

static bool are_refreshes(struct reader packets)
{
    size_t len;
    const uint8_t *p;
    while ((p = batch_next(&packets, &len)))
        if (wire_kind(p, len) != WIRE_REFRESH)
            return false;
    return true;
}

/* No answer is longer than its REFRESH (node_reply), and so the answers fit where the question did. */
void batch_take(struct visit *v)
{
    struct wire_batch b;
    size_t len;
    const uint8_t *p;
    if (batch_decode(v->p, v->len, &b) || !are_refreshes(b.packets)) {
        v->worker->stats.bad++;
        return;
    }
    uint8_t answer[BATCH_HEADER_LEN + BATCH_MAX * (2 + REFRESH_LEN)];
    struct writer w = batch_begin(answer, sizeof(answer));
    struct visit one = *v;
    one.answers = &w;
    while ((p = batch_next(&b.packets, &len))) {
        one.p = v->p + (p - v->p);
        one.len = len;
        insert_refresh(&one);
    }
    if (writer_len(&w) > BATCH_HEADER_LEN)
        node_reply(v, answer, writer_len(&w));
}
