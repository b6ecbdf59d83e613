/* For whom an HTTP request is, where it ends, and what may pass on one connection. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/gateway/http_gate.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static const struct {
    const char *text, *host; /* host NULL: it deserves `status` */
    uint16_t port;
    int status;
} heads[] = {
    {"GET / HTTP/1.1\r\nHost: Foo.Zone:8080\r\n\r\n", "foo.zone", 8080, 0},
    {"GET / HTTP/1.1\r\nhOST:foo.zone.\r\n\r\n", "foo.zone", 0, 0},
    {"\r\nGET / HTTP/1.1\r\nHost: \t foo.zone \t\r\n\r\n", "foo.zone", 0, 0},
    {"GET http://bar.zone:81/x?y HTTP/1.1\r\nHost: foo.zone\r\n\r\n", "bar.zone", 81, 0},
    {"GET HTTP://bar.zone?y HTTP/1.1\r\nHost: foo.zone\r\n\r\n", "bar.zone", 0, 0},
    {"GET http://bar.zone/ HTTP/1.0\r\n\r\n", "bar.zone", 0, 0},
    {"OPTIONS * HTTP/1.1\r\nHost: foo.zone\r\n\r\n", "foo.zone", 0, 0},
    {"CONNECT foo.zone:443 HTTP/1.1\r\nHost: foo.zone:443\r\n\r\n", "foo.zone", 443, 0},
    {"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n", "[2001:db8::1]", 80, 0},
    {"GET / HTTP/1.0\r\nHost: foo.zone\r\n\r\n", "foo.zone", 0, 0},
    {"GET / HTTP/1.0\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\n\r\n", NULL, 0, 400},
    {"GET http://bar.zone/ HTTP/1.1\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", NULL, 0, 400},
    {"GET http://bar.zone/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a:70000\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", NULL, 0, 400},
    {"GET http://u@bar.zone/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\nHost: a\n\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \rb\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \1b\r\n\r\n", NULL, 0, 400},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 0, 400},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", NULL, 0, 400},
    {"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 0, 400},
    {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 0, 400},
    {"GET /\r\n\r\n", NULL, 0, 400},
    {"SSH-2.0-OpenSSH\r\n\r\n", NULL, 0, 400},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL, 0, 505},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", NULL, 0, 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 0, 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", NULL, 0, 501},
    {"CONNECT foo.zone HTTP/1.1\r\nHost: foo.zone\r\n\r\n", NULL, 0, 400},
};

START_TEST(a_head_says_for_whom_it_is_or_is_refused)
{
    struct http_head h;
    size_t n = strlen(heads[_i].text);
    int got = http_request_parse(heads[_i].text, n, &h);
    ck_assert_msg(got == heads[_i].status, "%s: %d", heads[_i].text, got);
    if (got)
        return;
    ck_assert_str_eq(h.host, heads[_i].host);
    ck_assert_uint_eq(h.port, heads[_i].port);
    ck_assert_uint_eq(h.len, n);
    for (size_t k = 0; k < n; k++) { /* from a block of its own, so that a sanitizer sees a step beyond */
        char *part = malloc(k ? k : 1);
        memcpy(part, heads[_i].text, k);
        ck_assert_int_eq(http_request_parse(part, k, &h), -EAGAIN);
        free(part);
    }
}
END_TEST

START_TEST(a_head_has_its_bound)
{
    static char text[HTTP_HEAD_MAX + 100];
    struct http_head h;
    int n = sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(text + n, 'x', sizeof(text) - (size_t)n);
    ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX - 1, &h), -EAGAIN);
    ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX, &h), 431);
    memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX, &h), 0);
    ck_assert_uint_eq(h.len, HTTP_HEAD_MAX);
}
END_TEST

static const struct {
    const char *text; /* chunks */
    long eaten;       /* -1: nonsense */
} chunks[] = {
    {"0\r\n\r\nGET", 5},
    {"5\r\nhello\r\n0\r\n\r\nGET", 15},
    {"A;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET", 38},
    {"00000005\r\nhello\r\n0\r\n\r\n", 22},
    {"5\nhello\r\n0\r\n\r\n", -1},
    {"5\r\nhelloX0\r\n\r\n", -1},
    {"\r\nhello\r\n", -1},
    {"-5\r\nhello\r\n", -1},
    {"0x5\r\nhello\r\n", -1},
    {"ffffffffffffffffff\r\n", -1},
    {"5;a\nb\r\nhello\r\n", -1},
};

START_TEST(chunks_end_where_they_end_in_any_pieces)
{
    for (size_t piece = 1; piece < 50; piece++) {
        struct http_body b = {.framing = HTTP_CHUNKED};
        size_t n = strlen(chunks[_i].text), at = 0;
        bool done = false;
        long got = 0;
        while (!done && at < n && got >= 0) {
            size_t some = piece < n - at ? piece : n - at;
            got = http_body_eat(&b, chunks[_i].text + at, some, &done);
            at += got > 0 ? (size_t)got : 0;
        }
        ck_assert_msg(chunks[_i].eaten < 0 ? got < 0 && !done : done && (long)at == chunks[_i].eaten, "%s by %zu: %zu", chunks[_i].text, piece, at);
    }
}
END_TEST

#define FOO "Host: foo\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* '>' what the client sends, '<' what has gone to it; '=N' how many bytes of what waits may pass now; '!N' it is shut for that status; 'o'
 * opaque; 'q' quiet; 'Q' not so. */
static const char *const talks[] = {
    ">GET / HTTP/1.1\r\n" FOO, "=29", "Q", NULL,
    /* a second one for the same host, however it is written */
    ">GET / HTTP/1.1\r\n" FOO "GET / HTTP/1.1\r\nHOST: FOO.\r\n\r\n", "=59", "Q", "<" OK, "Q", "<" OK, "q", NULL,
    /* and for another: it waits until the first has its answer */
    ">GET / HTTP/1.1\r\n" FOO "GET / HTTP/1.1\r\nHost: bar\r\n\r\n", "=29", "!421", "Q", "<" OK, "q", NULL,
    /* another port is another host */
    ">GET / HTTP/1.1\r\nHost: foo:81\r\n\r\n", "=0", "!421", NULL,
    /* a body is no request */
    ">POST / HTTP/1.1\r\nContent-Length: 29\r\n" FOO, "=50", ">GET / HTTP/1.1\r\nHost: bar\r\n\r\n", "=29", ">GET / HTTP/1.1\r\nHost: bar\r\n\r\n", "=0",
    "!421", NULL,
    ">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" FOO "3\r\nGET\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: bar\r\n\r\n", "=71", "!421", NULL,
    /* another protocol: nothing passes until it was granted, and then everything */
    ">GET / HTTP/1.1\r\nUpgrade: websocket\r\n" FOO "GET / HTTP/1.1\r\nHost: bar\r\n\r\n", "=49", "<HTTP/1.1 101 Yes\r\n\r\n", "o", "=29", NULL,
    ">GET / HTTP/1.1\r\nUpgrade: h2c\r\n" FOO "GET / HTTP/1.1\r\nHost: bar\r\n\r\n", "=43", "<" OK, "=0", "!421", "q", NULL,
    ">GET / HTTP/1.1\r\nUpgrade: h2c\r\n" FOO, "=43", "<HTTP/1.1 103 Early\r\n\r\n", "Q", "<" OK, "q", ">GET / HTTP/1.1\r\n" FOO, "=29", NULL,
    ">CONNECT foo:80 HTTP/1.1\r\n" FOO "x", "=0", "!421", NULL,
    /* answers without a body, and those whose ends are not seen */
    ">HEAD / HTTP/1.1\r\n" FOO, "=30", "<HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "q", NULL,
    ">GET / HTTP/1.1\r\n" FOO, "=29", "<HTTP/1.1 304 No\r\nContent-Length: 10\r\n\r\n", "q", NULL,
    ">GET / HTTP/1.1\r\n" FOO, "=29", "<HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r", "Q", "<\n", "q", NULL,
    ">GET / HTTP/1.1\r\n" FOO, "=29", "<HTTP/1.1 200 OK\r\n\r\nfor ever", "Q", "<HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Q", NULL,
    ">GET / HTTP/1.1\r\n" FOO, "=29", "<SSH-2.0\r\n", "Q", NULL,
    /* what nobody has asked for */
    "<HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", "Q", NULL,
    ">GET / HTTP/1.1\r\n" FOO "nonsense\r\n\r\n", "=29", "!400", NULL,
    NULL,
};

START_TEST(a_connection_stays_with_one_host)
{
    for (unsigned i = 0, nth = 0; talks[i]; i++, nth++) {
        struct http_gate g;
        struct http_head first = {.host = "foo"};
        char wait[4096];
        size_t n = 0;
        http_gate_init(&g, &first);
        for (; talks[i]; i++) {
            const char *t = talks[i] + 1;
            size_t len = strlen(t), passed;
            switch (talks[i][0]) {
            case '>':
                memcpy(wait + n, t, len);
                n += len;
                break;
            case '<':
                http_gate_answered(&g, t, len);
                break;
            case '!':
                ck_assert_msg(g.state == GATE_SHUT && g.status == atoi(t), "talk %u: %d %d", nth, g.state, g.status);
                break;
            case 'o':
                ck_assert_msg(g.state == GATE_OPAQUE, "talk %u", nth);
                break;
            case 'q':
            case 'Q':
                ck_assert_msg(http_gate_quiet(&g) == (talks[i][0] == 'q'), "talk %u item %u", nth, i);
                break;
            }
            if (talks[i][0] != '=')
                continue;
            passed = http_gate_admit(&g, wait, n);
            ck_assert_msg(passed == (size_t)atoi(t), "talk %u, %s: %zu", nth, talks[i], passed);
            memmove(wait, wait + passed, n - passed);
            n -= passed;
        }
    }
}
END_TEST

START_TEST(only_so_many_requests_wait_for_answers)
{
    struct http_gate g;
    struct http_head first = {.host = "foo"};
    static const char one[] = "GET / HTTP/1.1\r\n" FOO;
    char text[sizeof(one) * 40] = "";
    http_gate_init(&g, &first);
    for (int i = 0; i < 40; i++)
        strcat(text, one);
    ck_assert_uint_eq(http_gate_admit(&g, text, strlen(text)), HTTP_PIPELINE * strlen(one));
    http_gate_answered(&g, OK, strlen(OK));
    ck_assert_uint_eq(http_gate_admit(&g, text, strlen(text)), strlen(one));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gateway/http");
    TCase *c = tcase_create("http");
    tcase_add_loop_test(c, a_head_says_for_whom_it_is_or_is_refused, 0, ARRAY_LEN(heads));
    tcase_add_test(c, a_head_has_its_bound);
    tcase_add_loop_test(c, chunks_end_where_they_end_in_any_pieces, 0, ARRAY_LEN(chunks));
    tcase_add_test(c, a_connection_stays_with_one_host);
    tcase_add_test(c, only_so_many_requests_wait_for_answers);
    suite_add_tcase(s, c);
    return suite_run(s);
}
