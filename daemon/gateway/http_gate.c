#include "daemon/gateway/http_gate.h"

#include <errno.h>
#include <string.h>

enum { ASKED_UPGRADE = 0x80 };

void http_gate_init(struct http_gate *g, const struct http_head *first)
{
    memset(g, 0, sizeof(*g));
    g->port = first->port;
    memcpy(g->host, first->host, sizeof(g->host));
}

static void shut(struct http_gate *g, int status)
{
    g->state = GATE_SHUT;
    g->status = status;
}

/* The request has been passed on whole. */
static void request_ends(struct http_gate *g)
{
    g->state = g->upgrade && g->n ? GATE_WAIT : GATE_HEAD;
}

/* The head at p, if it is there and for this host; its length, or 0. */
static size_t take_head(struct http_gate *g, const char *p, size_t len)
{
    struct http_head h;
    if (g->n == HTTP_PIPELINE)
        return 0;
    int err = http_request_parse(p, len, &h);
    if (err == -EAGAIN)
        return 0;
    if (err) {
        shut(g, err);
        return 0;
    }
    if (h.port != g->port || strcmp(h.host, g->host) != 0) {
        shut(g, 421);
        return 0;
    }
    g->upgrade = h.upgrade || h.method == HTTP_CONNECT;
    g->asked[(g->first + g->n++) % HTTP_PIPELINE] = (uint8_t)(h.method | (g->upgrade ? ASKED_UPGRADE : 0));
    g->body = h.body;
    g->state = GATE_BODY;
    if (h.body.framing == HTTP_NO_BODY)
        request_ends(g);
    return h.len;
}

size_t http_gate_admit(struct http_gate *g, const char *p, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t before = at;
        bool done;
        if (g->state == GATE_OPAQUE)
            return len;
        if (g->state == GATE_WAIT || g->state == GATE_SHUT)
            return at;
        if (g->state == GATE_HEAD) {
            at += take_head(g, p + at, len - at);
        } else {
            long n = http_body_eat(&g->body, p + at, len - at, &done);
            if (n < 0) {
                shut(g, 400);
                return at;
            }
            at += (size_t)n;
            if (done)
                request_ends(g);
        }
        if (at == before)
            return at;
    }
    return at;
}

void http_gate_answered(struct http_gate *g, const char *p, size_t n)
{
    while (n && !g->lost && g->state != GATE_OPAQUE) {
        if (!g->n) { /* nobody has asked */
            g->lost = true;
            return;
        }
        bool done;
        uint8_t asked = g->asked[g->first];
        size_t eaten = http_answer_eat(&g->answer, (enum http_method)(asked & ~ASKED_UPGRADE), asked & ASKED_UPGRADE, p, n, &done);
        p += eaten;
        n -= eaten;
        if (g->answer.state == ANSWER_OPAQUE && g->state != GATE_SHUT)
            g->state = GATE_OPAQUE;
        g->lost = g->answer.state == ANSWER_LOST || g->answer.state == ANSWER_OPAQUE;
        if (!done)
            continue;
        g->first = (g->first + 1) % HTTP_PIPELINE;
        if (!--g->n && g->state == GATE_WAIT)
            g->state = GATE_HEAD;
    }
}

bool http_gate_quiet(const struct http_gate *g)
{
    return !g->n && !g->lost;
}
