/* http.h - one page over HTTP/1.1, for a monitoring system: GET /metrics, and nothing else.
 *
 * Bounds: HTTP_CLIENTS connections, of which the oldest goes when another one comes; HTTP_PATIENCE_S seconds each, whatever it does; a
 * request of HTTP_REQUEST_MAX bytes; a page of HTTP_PAGE_MAX. All memory is taken at the start. One request a connection. Out of
 * file descriptors a connection is closed at once and the service goes on.
 */
#ifndef I3_HTTP_H
#define I3_HTTP_H

#include <uv.h>

#include "include/addr.h"

enum { HTTP_CLIENTS = 8, HTTP_PATIENCE_S = 5, HTTP_REQUEST_MAX = 2048, HTTP_PAGE_MAX = 64 * 1024 };

struct http;

/* Writes the page: its length, at most cap. */
typedef size_t http_page_fn(void *ctx, char *buf, size_t cap);

struct http_stats {
    uint64_t served, refused, dropped; /* refused: with a status of 4xx; dropped: without any */
};

/* Port 0: any. 0 or -errno. */
int http_start(struct http **out, uv_loop_t *loop, const struct addr *listen, http_page_fn *page, void *ctx);
void http_stop(struct http *h);
const struct addr *http_local(const struct http *h);
const struct http_stats *http_stats(const struct http *h);

/* The status that a request deserves: 200, 400, 404, 405, 431, or 0: it has not come whole. (A pure function, for tests.) */
int http_judge(const char *request, size_t len, bool full);

#endif
