/* http_host.h - for whom an HTTP request is, and where it ends (RFC 9110, 9112).
 *
 *     GET http://foo.zone/ HTTP/1.1     the absolute form wins
 *     Host: foo.zone:8080               exactly one in HTTP/1.1; else one is needed unless the first line has a host
 *     Content-Length / Transfer-Encoding, Upgrade
 *                                        <- empty line: http_head.len
 *     body                               http_body_eat()
 *
 * The bytes go on to a server as they came, and that server reads them by itself. So whatever two readers could take for two different
 * things is refused here: bare CR or LF, folded lines, blanks before a colon, several lengths, a length together with a coding, codings other
 * than "chunked" alone. In answers, which nobody is led anywhere by, only what is needed for their ends is read, and leniently.
 *
 * Bounds: a head of HTTP_HEAD_MAX bytes; a line of a chunk's size, HTTP_CHUNK_LINE_MAX; trailers, HTTP_HEAD_MAX.
 */
#ifndef I3_HTTP_HOST_H
#define I3_HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 16384, HTTP_HOST_MAX = 255, HTTP_CHUNK_LINE_MAX = 4096, HTTP_ANSWER_LINE_MAX = 256 };

enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_TO_THE_END };

/* Where a body is in its bytes. */
struct http_body {
    enum http_framing framing;
    uint8_t step;  /* of a chunk (http_host.c) */
    uint32_t line; /* bytes of the line, or of all trailers */
    uint64_t left; /* of the length, or of the chunk */
};

enum http_method { HTTP_OTHER, HTTP_HEAD, HTTP_CONNECT };

struct http_head {
    size_t len; /* with the empty line, and with empty lines before it */
    enum http_method method;
    bool upgrade;                 /* asks for another protocol: what follows is known by the answer alone */
    uint16_t port;                /* behind the host, 0: none */
    char host[HTTP_HOST_MAX + 1]; /* lower case, without a dot at its end; "[...]" for an address */
    struct http_body body;
};

/* The head of a request at the beginning of p. 0: out is filled; -EAGAIN: it is not there whole; else the status that it deserves: 400, 431,
 * 501 (a coding), 505. */
int http_request_parse(const char *p, size_t len, struct http_head *out);

/* How many of the n bytes at p belong to the body; *done: it ends with them. -EBADMSG: they are nonsense. */
long http_body_eat(struct http_body *b, const char *p, size_t n, bool *done);

/* Follows the answers of a server as they pass by. */
struct http_answer {
    enum { ANSWER_LINE, ANSWER_HEADERS, ANSWER_BODY, ANSWER_OPAQUE, ANSWER_LOST } state;
    uint16_t status;
    uint16_t n; /* in line */
    bool chunked, sized, old;
    uint64_t length;
    uint32_t head; /* bytes of this head so far */
    struct http_body body;
    char line[HTTP_ANSWER_LINE_MAX + 1]; /* the rest of a longer one is not looked at */
};

/* asked: the request that the next answer is for. Eats until an answer is complete (*done) or the bytes are; returns how many. ANSWER_OPAQUE:
 * what was asked for was granted (101, or 2xx to CONNECT), and neither side speaks HTTP from here; ANSWER_LOST: it is not HTTP. */
size_t http_answer_eat(struct http_answer *a, enum http_method asked, bool upgrade, const char *p, size_t n, bool *done);

#endif
