/* http_gate.h - one connection of a client over HTTP/1, led to one server: what may pass.
 *
 *   client --- requests ---> gate --- those for this host ---> server
 *          <------------------------------------- answers ---
 *
 * A client may use a connection for many requests, and each may name another host: one that does is not passed on to a server which it was not
 * meant for. So the ends of requests are followed, and of answers: when all that was asked has been answered, the client is told that it
 * came the wrong way (421). After a request for another protocol nothing more passes until its answer says which one is spoken from there.
 *
 * Bound: HTTP_PIPELINE requests without an answer; more wait.
 */
#ifndef I3_HTTP_GATE_H
#define I3_HTTP_GATE_H

#include "daemon/gateway/http_host.h"

enum { HTTP_PIPELINE = 32 };

enum http_gate_state {
    GATE_HEAD,   /* a request begins */
    GATE_BODY,
    GATE_WAIT,   /* for the answer to a request for another protocol */
    GATE_OPAQUE, /* it was granted: everything passes */
    GATE_SHUT,   /* nothing passes any more; `status` says why */
};

struct http_gate {
    enum http_gate_state state;
    int status;
    bool lost; /* the answers cannot be followed */
    bool upgrade;
    struct http_body body;
    struct http_answer answer;
    uint8_t asked[HTTP_PIPELINE]; /* ring: enum http_method, with ASKED_UPGRADE */
    unsigned first, n;
    uint16_t port;
    char host[HTTP_HOST_MAX + 1];
};

/* For requests for that host and port, as the first head has them. */
void http_gate_init(struct http_gate *g, const struct http_head *first);

/* How many of the bytes that the client has sent may pass now. With all of `len` refused and room in the buffer, more are needed. */
size_t http_gate_admit(struct http_gate *g, const char *p, size_t len);
/* These have gone to the client. */
void http_gate_answered(struct http_gate *g, const char *p, size_t n);
/* All requests have been answered; not so when the answers cannot be followed. */
bool http_gate_quiet(const struct http_gate *g);

#endif
