/* pump/portal_http.c - what HTTP says of itself, and what is said to it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/pump/portal_impl.h"

static const struct {
    int status;
    const char *reason, *text;
} pages[] = {
    {400, "Bad Request", "This request cannot be understood."},
    {403, "Forbidden", "This name cannot be reached from where you are."},
    {404, "Not Found", "Nothing is published here by that name."},
    {421, "Misdirected Request", "This request is for another host. Please ask it on a connection of its own."},
    {431, "Request Header Fields Too Large", "The head of this request is too long."},
    {501, "Not Implemented", "This request is coded in a way that is not known here."},
    {502, "Bad Gateway", "The host of that name does not take this connection."},
    {503, "Service Unavailable", "There are too many connections at the moment. Please try again in a while."},
    {504, "Gateway Timeout", "The host of that name does not answer."},
    {505, "HTTP Version Not Supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here."},
};

enum { PAGE_MAX = 512 };

static size_t page(int status, char out[PAGE_MAX])
{
    unsigned i = 0;
    while (i + 1 < ARRAY_LEN(pages) && pages[i].status != status)
        i++;
    int n = snprintf(out, PAGE_MAX,
        "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%sConnection: close\r\n\r\n%s\n",
        pages[i].status, pages[i].reason, strlen(pages[i].text) + 1, pages[i].status == 503 ? "Retry-After: 5\r\n" : "", pages[i].text);
    return (size_t)n;
}

void portal_http_error(struct portal_conn *c, int status, const char *why)
{
    char out[PAGE_MAX];
    portal_tell(c, out, page(status, out), why);
}

void portal_http_busy(int fd)
{
    char out[PAGE_MAX];
    recv(fd, out, sizeof(out), MSG_DONTWAIT | MSG_TRUNC);
    send(fd, out, page(503, out), MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
}

/* The one that the client has used, if it is published; else the usual one, else the first that is neither TLS's nor a waypoint's. 0: none. */
static uint16_t port_for(const struct portal_conn *c, const struct config_publish *e, uint16_t asked)
{
    const struct config_ports *special = &c->t->c.ports;
    const uint16_t wish[] = {asked ? asked : 80, c->local.port, 80};
    for (unsigned i = 0; i < ARRAY_LEN(wish); i++)
        if (portal_lists(&e->ports, wish[i]) && wish[i] != 443 && !portal_lists(special, wish[i]))
            return wish[i];
    for (unsigned i = 0; i < e->ports.n; i++)
        if (e->ports.v[i] != 443 && !portal_lists(special, e->ports.v[i]))
            return e->ports.v[i];
    return 0;
}

bool portal_http_read(struct portal_conn *c)
{
    struct portal *t = c->t;
    struct http_head h;
    char bare[CONFIG_NAME_MAX + 1];
    int err = http_request_parse((const char *)c->buf, c->len, &h);
    if (err == -EAGAIN)
        return true;
    if (err) {
        t->count.bad++;
        portal_http_error(c, err, "a request that is none");
        return false;
    }
    bool ours = portal_bare(t, h.host, bare);
    const struct config_publish *e = ours ? portal_entry(t, bare) : NULL;
    uint16_t port = e ? port_for(c, e, h.port) : 0;
    t->count.http++;
    if (e)
        snprintf(c->name, sizeof(c->name), "%s", e->name);
    if (!port) {
        t->count.unknown++;
        portal_http_error(c, ours ? 404 : 421, "nothing is published by that name");
    } else if (!config_from_has(e->from, e->n_from, &c->source)) {
        t->count.barred++;
        portal_http_error(c, 403, "not allowed");
    } else if (!(c->gate = malloc(sizeof(*c->gate)))) {
        portal_http_error(c, 503, "out of memory");
    } else {
        http_gate_init(c->gate, &h);
        portal_lead(c, e, port);
    }
    return false;
}

void portal_http_admit(struct portal_conn *c)
{
    c->pass = http_gate_admit(c->gate, (const char *)c->buf, c->len);
}
