#include "daemon/io/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"

enum { HEAD_MAX = 256, RESPONSE_MAX = HEAD_MAX + HTTP_PAGE_MAX, TICK_MS = 1000 };

enum client_state { CLIENT_FREE, CLIENT_READS, CLIENT_WRITES, CLIENT_LINGERS, CLIENT_CLOSES };

struct client {
    struct http *http;
    enum client_state state;
    int fd;
    uv_poll_t poll;
    uint64_t since; /* ms */
    size_t got, len, sent;
    char request[HTTP_REQUEST_MAX];
    char *response; /* RESPONSE_MAX */
};

struct http {
    uv_loop_t *loop;
    int fd, spare; /* spare: given up for a moment when there are no more */
    struct addr local;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles; /* open ones */
    bool stopping;
    http_page_fn *page;
    void *ctx;
    struct http_stats stats;
    struct client client[HTTP_CLIENTS];
    char *responses;
};

/* ---- requests ---- */

/* method SP target SP HTTP/1.x, with the line's end. */
static int judge_line(const char *line, size_t len)
{
    const char *end = line + len, *target = memchr(line, ' ', len);
    const char *version = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
    if (!version || end - version != 9 || memcmp(version + 1, "HTTP/1.", 7) || target == line)
        return 400;
    size_t n = (size_t)(version - target - 1);
    const char *query = memchr(target + 1, '?', n);
    if (query)
        n = (size_t)(query - target - 1);
    if (n != 8 || memcmp(target + 1, "/metrics", 8))
        return 404;
    return target - line == 3 && !memcmp(line, "GET", 3) ? 200 : 405;
}

int http_judge(const char *request, size_t len, bool full)
{
    const char *end = memmem(request, len, "\r\n\r\n", 4), *line = memchr(request, '\r', len);
    if (!end)
        return full ? 431 : 0;
    for (const char *p = request; p < end; p++)
        if ((uint8_t)*p < ' ' && *p != '\r' && *p != '\n' && *p != '\t')
            return 400;
    return judge_line(request, (size_t)(line - request));
}

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    }
    return "Bad Request";
}

static void respond(struct client *c, int status)
{
    struct http *h = c->http;
    char *body = c->response + HEAD_MAX;
    size_t n = status == 200 ? h->page(h->ctx, body, HTTP_PAGE_MAX)
                             : (size_t)snprintf(body, HTTP_PAGE_MAX, "%d %s\n", status, status_text(status));
    char head[HEAD_MAX];
    int k = snprintf(head, sizeof(head),
        "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
        status, status_text(status), n, status == 405 ? "Allow: GET\r\n" : "");
    *(status == 200 ? &h->stats.served : &h->stats.refused) += 1;
    memcpy(c->response, head, (size_t)k);
    memmove(c->response + k, body, n);
    c->len = (size_t)k + n;
    c->sent = 0;
    c->state = CLIENT_WRITES;
}

/* ---- connections ---- */

static void free_all(struct http *h)
{
    close(h->fd);
    if (h->spare >= 0)
        close(h->spare);
    free(h->responses);
    free(h);
}

static void on_handle_closed(struct http *h)
{
    if (--h->handles == 0 && h->stopping)
        free_all(h);
}

static void on_listen(uv_poll_t *poll, int status, int events);

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    struct http *h = c->http;
    c->state = CLIENT_FREE;
    if (!h->stopping)
        uv_poll_start(&h->poll, UV_READABLE, on_listen);
    on_handle_closed(h);
}

static void client_close(struct client *c)
{
    if (c->state == CLIENT_FREE || c->state == CLIENT_CLOSES)
        return;
    c->state = CLIENT_CLOSES;
    uv_poll_stop(&c->poll);
    close(c->fd);
    uv_close((uv_handle_t *)&c->poll, on_client_closed);
}

static void drop(struct client *c)
{
    c->http->stats.dropped++;
    client_close(c);
}

/* False: it has ended. */
static bool read_some(struct client *c)
{
    ssize_t n = recv(c->fd, c->request + c->got, sizeof(c->request) - c->got, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    c->got += (size_t)n;
    int status = http_judge(c->request, c->got, c->got == sizeof(c->request));
    if (status)
        respond(c, status);
    return true;
}

/* What comes behind the request is thrown away until the other side has seen our end: a reset would take the page from it. */
static bool linger(struct client *c)
{
    char junk[512];
    ssize_t n = recv(c->fd, junk, sizeof(junk), MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool write_some(struct client *c)
{
    ssize_t n = send(c->fd, c->response + c->sent, c->len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->sent += (size_t)n;
    if (c->sent < c->len)
        return true;
    shutdown(c->fd, SHUT_WR);
    c->state = CLIENT_LINGERS;
    return true;
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct client *c = poll->data;
    bool ok = status == 0;
    (void)events;
    if (c->state == CLIENT_LINGERS) {
        if (!ok || !linger(c))
            client_close(c);
        return;
    }
    if (ok && c->state == CLIENT_READS)
        ok = read_some(c);
    if (ok && c->state == CLIENT_WRITES)
        ok = write_some(c);
    if (!ok)
        drop(c);
    else
        uv_poll_start(&c->poll, c->state == CLIENT_WRITES ? UV_WRITABLE : UV_READABLE, on_client);
}

/* A free place; if there is none, the oldest one is on its way to be. */
static struct client *place(struct http *h)
{
    struct client *oldest = NULL;
    for (unsigned i = 0; i < HTTP_CLIENTS; i++) {
        struct client *c = &h->client[i];
        if (c->state == CLIENT_FREE)
            return c;
        if (c->state != CLIENT_CLOSES && (!oldest || c->since < oldest->since))
            oldest = c;
    }
    if (oldest && oldest->state == CLIENT_LINGERS)
        client_close(oldest);
    else if (oldest)
        drop(oldest);
    return NULL;
}

/* No more file descriptors: one is kept for this, so that who connects is turned away and not left to wait. */
static void turn_away(struct http *h)
{
    if (h->spare < 0)
        return;
    close(h->spare);
    int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        close(fd);
    h->spare = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
    h->stats.dropped++;
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
    struct http *h = poll->data;
    struct client *c = place(h);
    (void)status, (void)events;
    if (!c) {
        uv_poll_stop(&h->poll); /* until one is free */
        return;
    }
    int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            turn_away(h);
        return;
    }
    if (uv_poll_init(h->loop, &c->poll, fd) < 0) {
        close(fd);
        h->stats.dropped++;
        return;
    }
    h->handles++;
    c->fd = fd;
    c->state = CLIENT_READS;
    c->got = 0;
    c->since = uv_now(h->loop);
    c->poll.data = c;
    uv_poll_start(&c->poll, UV_READABLE, on_client);
}

static void on_tick(uv_timer_t *timer)
{
    struct http *h = timer->data;
    for (unsigned i = 0; i < HTTP_CLIENTS; i++) {
        struct client *c = &h->client[i];
        if (c->state == CLIENT_FREE || c->state == CLIENT_CLOSES || uv_now(h->loop) - c->since < 1000 * HTTP_PATIENCE_S)
            continue;
        if (c->state == CLIENT_LINGERS)
            client_close(c);
        else
            drop(c);
    }
}

/* ---- life ---- */

static int listen_at(const struct addr *at, struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(at, &ss);
    int one = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 16) < 0) {
        int err = errno;
        close(fd);
        return -err;
    }
    len = sizeof(ss);
    getsockname(fd, (struct sockaddr *)&ss, &len);
    *local = addr_from_sockaddr(&ss, len);
    return fd;
}

int http_start(struct http **out, uv_loop_t *loop, const struct addr *listen, http_page_fn *page, void *ctx)
{
    struct http *h = calloc(1, sizeof(*h));
    char *responses = malloc((size_t)HTTP_CLIENTS * RESPONSE_MAX);
    int fd = h && responses ? listen_at(listen, &h->local) : -ENOMEM;
    if (fd < 0) {
        free(responses);
        free(h);
        return fd;
    }
    h->loop = loop;
    h->fd = fd;
    h->spare = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    h->page = page;
    h->ctx = ctx;
    h->responses = responses;
    for (unsigned i = 0; i < HTTP_CLIENTS; i++)
        h->client[i] = (struct client){.http = h, .response = responses + (size_t)i * RESPONSE_MAX};
    uv_poll_init(loop, &h->poll, fd);
    uv_timer_init(loop, &h->timer);
    h->handles = 2;
    h->poll.data = h->timer.data = h;
    uv_poll_start(&h->poll, UV_READABLE, on_listen);
    uv_timer_start(&h->timer, on_tick, TICK_MS, TICK_MS);
    *out = h;
    return 0;
}

static void on_own_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    h->stopping = true;
    for (unsigned i = 0; i < HTTP_CLIENTS; i++)
        client_close(&h->client[i]);
    uv_close((uv_handle_t *)&h->poll, on_own_closed);
    uv_close((uv_handle_t *)&h->timer, on_own_closed);
}

const struct addr *http_local(const struct http *h)
{
    return &h->local;
}

const struct http_stats *http_stats(const struct http *h)
{
    return &h->stats;
}
