#include "daemon/gateway/http_host.h"

#include <errno.h>
#include <string.h>

#define LENGTH_MAX ((uint64_t)1 << 60)

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* RFC 9110, 5.6.2 */
static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A part of a text. */
struct part {
    const char *at;
    size_t n;
};

/* word in lower case */
static bool part_is(struct part p, const char *word)
{
    size_t i = 0;
    while (i < p.n && word[i] && lower(p.at[i]) == word[i])
        i++;
    return i == p.n && !word[i];
}

static struct part trimmed(struct part p)
{
    while (p.n && (p.at[0] == ' ' || p.at[0] == '\t'))
        p.at++, p.n--;
    while (p.n && (p.at[p.n - 1] == ' ' || p.at[p.n - 1] == '\t'))
        p.n--;
    return p;
}

static bool number(struct part p, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < p.n; i++) {
        if (!is_digit(p.at[i]) || *out > LENGTH_MAX / 10)
            return false;
        *out = *out * 10 + (uint64_t)(p.at[i] - '0');
    }
    return p.n > 0;
}

/* ---- hosts ---- */

static bool is_host_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

/* host [":" port] */
static bool take_host(struct http_head *h, struct part p)
{
    uint64_t port = 0;
    size_t n = 0;
    bool literal = p.n && p.at[0] == '[';
    if (literal) {
        while (n < p.n && p.at[n] != ']')
            n++;
        n++;
    } else {
        while (n < p.n && p.at[n] != ':')
            n++;
    }
    if (n > p.n || !n || n > HTTP_HOST_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = lower(p.at[i]);
        if (literal ? !(is_digit(c) || strchr("abcdef:.[]", c)) || !c : !is_host_char(c))
            return false;
        h->host[i] = c;
    }
    h->host[n] = '\0';
    if (!literal && n > 1 && h->host[n - 1] == '.')
        h->host[n - 1] = '\0';
    if (n < p.n && (p.at[n] != ':' || (p.n > n + 1 && (!number((struct part){p.at + n + 1, p.n - n - 1}, &port) || port > 65535))))
        return false;
    h->port = (uint16_t)port;
    return true;
}

/* scheme "://" authority ... ; false: it is nonsense. *has: the target names a host. */
static bool take_target(struct http_head *h, struct part t, bool *has)
{
    *has = false;
    for (size_t i = 0; i < t.n; i++)
        if (t.at[i] <= ' ' || t.at[i] == 127)
            return false;
    if (h->method == HTTP_CONNECT) {
        *has = true;
        return take_host(h, t) && h->port;
    }
    if (t.at[0] == '/' || part_is(t, "*"))
        return true;
    static const char scheme[] = "http://";
    size_t n = sizeof(scheme) - 1, end;
    if (t.n < n || !part_is((struct part){t.at, n}, scheme))
        return false;
    for (end = n; end < t.n && !strchr("/?#", t.at[end]);)
        end++;
    *has = true;
    return take_host(h, (struct part){t.at + n, end - n});
}

/* ---- the first line ---- */

/* method SP target SP "HTTP/1.x"; 0 or a status. */
static int take_line(struct http_head *h, struct part l, bool *old, bool *has)
{
    size_t m = 0, end = l.n;
    while (m < l.n && is_token(l.at[m]))
        m++;
    while (end > m && l.at[end - 1] != ' ')
        end--;
    struct part version = {l.at + end, l.n - end};
    if (!m || m >= l.n || l.at[m] != ' ' || end < m + 3)
        return 400;
    if (version.n != 8 || memcmp(version.at, "HTTP/", 5) || !is_digit(version.at[5]) || version.at[6] != '.' || !is_digit(version.at[7]))
        return 400;
    if (version.at[5] != '1')
        return 505;
    *old = version.at[7] == '0';
    struct part method = {l.at, m};
    h->method = method.n == 4 && !memcmp(l.at, "HEAD", 4) ? HTTP_HEAD : method.n == 7 && !memcmp(l.at, "CONNECT", 7) ? HTTP_CONNECT : HTTP_OTHER;
    return take_target(h, (struct part){l.at + m + 1, end - m - 2}, has) ? 0 : 400;
}

/* ---- the others ---- */

struct seen {
    bool host, in_target, length, coding;
};

static int take_header(struct http_head *h, struct seen *s, struct part name, struct part value)
{
    if (part_is(name, "host")) {
        if (s->host)
            return 400;
        s->host = true;
        struct http_head other; /* read for its errors only */
        return take_host(s->in_target ? &other : h, value) ? 0 : 400;
    }
    if (part_is(name, "content-length")) {
        if (s->length || !number(value, &h->body.left))
            return 400;
        s->length = true;
    } else if (part_is(name, "transfer-encoding")) {
        if (s->coding)
            return 400;
        s->coding = true;
        return part_is(value, "chunked") ? 0 : 501;
    } else if (part_is(name, "upgrade")) {
        h->upgrade = true;
    }
    return 0;
}

/* The next line of p from *at, without its end. 0, -EAGAIN, or 400: a line ends with CR LF, and neither stands elsewhere. */
static int next_line(const char *p, size_t len, size_t *at, struct part *out)
{
    const char *from = p + *at;
    for (size_t i = 0; *at + i < len; i++) {
        if (from[i] == '\n' || from[i] == '\0')
            return 400;
        if (from[i] != '\r')
            continue;
        if (*at + i + 1 == len)
            return -EAGAIN;
        if (from[i + 1] != '\n')
            return 400;
        *out = (struct part){from, i};
        *at += i + 2;
        return 0;
    }
    return -EAGAIN;
}

/* name ":" value; what is no name, a folded line too, is refused. */
static int split(struct part line, struct part *name, struct part *value)
{
    size_t n = 0;
    while (n < line.n && is_token(line.at[n]))
        n++;
    if (!n || n == line.n || line.at[n] != ':')
        return 400;
    *name = (struct part){line.at, n};
    *value = trimmed((struct part){line.at + n + 1, line.n - n - 1});
    for (size_t i = 0; i < value->n; i++)
        if ((unsigned char)value->at[i] < ' ' && value->at[i] != '\t')
            return 400;
    return 0;
}

/* What the headers say together. */
static int judge(struct http_head *h, const struct seen *s, bool old)
{
    if ((s->length && s->coding) || (s->coding && old))
        return 400;
    if (!s->host && (!old || !s->in_target))
        return 400;
    h->body.framing = s->coding ? HTTP_CHUNKED : s->length && h->body.left ? HTTP_LENGTH : HTTP_NO_BODY;
    if (h->method == HTTP_CONNECT && h->body.framing != HTTP_NO_BODY)
        return 400;
    h->upgrade = h->upgrade && !old;
    return 0;
}

int http_request_parse(const char *p, size_t len, struct http_head *h)
{
    bool old = false;
    size_t at = 0;
    struct part line = {0}, name, value;
    struct seen seen = {0};
    memset(h, 0, sizeof(*h));
    int err = 0;
    while (!err && !line.n) /* empty lines that old clients send behind a body */
        err = at > 8 ? 400 : next_line(p, len, &at, &line);
    if (!err)
        err = take_line(h, line, &old, &seen.in_target);
    while (!err) {
        err = next_line(p, len, &at, &line);
        if (err || !line.n)
            break;
        err = split(line, &name, &value);
        if (!err)
            err = take_header(h, &seen, name, value);
    }
    if (err == -EAGAIN && len >= HTTP_HEAD_MAX)
        return 431;
    if (err)
        return err;
    h->len = at;
    return at > HTTP_HEAD_MAX ? 431 : judge(h, &seen, old);
}

/* ---- bodies ---- */

enum { SIZE_FIRST, SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LINE, TRAILER_LF, LAST_LF };

static int hex(char c)
{
    return is_digit(c) ? c - '0' : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

static int chunk_size(struct http_body *b, char c)
{
    int v = hex(c);
    if (v >= 0) {
        if (b->left >= LENGTH_MAX / 16)
            return -EBADMSG;
        b->left = b->left * 16 + (unsigned)v;
        b->step = SIZE;
        return 0;
    }
    if (b->step == SIZE_FIRST)
        return -EBADMSG;
    b->step = c == '\r' ? SIZE_LF : EXTENSION;
    return c == '\r' || c == ';' || c == ' ' || c == '\t' ? 0 : -EBADMSG;
}

/* One byte outside of a chunk's data. 1: it was the last. */
static int chunk_byte(struct http_body *b, char c)
{
    bool trailer = b->step >= TRAILER;
    if (++b->line > (trailer ? HTTP_HEAD_MAX : HTTP_CHUNK_LINE_MAX))
        return -EBADMSG;
    switch (b->step) {
    case SIZE_FIRST:
    case SIZE:
        return chunk_size(b, c);
    case EXTENSION:
        if (c == '\r')
            b->step = SIZE_LF;
        return c == '\n' || c == '\0' ? -EBADMSG : 0;
    case SIZE_LF:
        b->step = b->left ? DATA : TRAILER;
        b->line = 0;
        return c == '\n' ? 0 : -EBADMSG;
    case DATA_CR:
        b->step = DATA_LF;
        return c == '\r' ? 0 : -EBADMSG;
    case DATA_LF:
        b->step = SIZE_FIRST;
        b->line = 0;
        return c == '\n' ? 0 : -EBADMSG;
    case TRAILER:
        b->step = c == '\r' ? LAST_LF : TRAILER_LINE;
        return c == '\n' || c == '\0' ? -EBADMSG : 0;
    case TRAILER_LINE:
        if (c == '\r')
            b->step = TRAILER_LF;
        return c == '\n' || c == '\0' ? -EBADMSG : 0;
    case TRAILER_LF:
        b->step = TRAILER;
        return c == '\n' ? 0 : -EBADMSG;
    case LAST_LF:
        return c == '\n' ? 1 : -EBADMSG;
    }
    return -EBADMSG;
}

static size_t take(struct http_body *b, size_t n)
{
    size_t some = n < b->left ? n : (size_t)b->left;
    b->left -= some;
    return some;
}

long http_body_eat(struct http_body *b, const char *p, size_t n, bool *done)
{
    size_t at = 0;
    *done = b->framing == HTTP_NO_BODY;
    if (b->framing == HTTP_TO_THE_END)
        return (long)n;
    if (b->framing == HTTP_LENGTH) {
        at = take(b, n);
        *done = !b->left;
        return (long)at;
    }
    while (!*done && at < n) {
        if (b->step == DATA) {
            at += take(b, n - at);
            b->step = b->left ? DATA : DATA_CR;
            continue;
        }
        int end = chunk_byte(b, p[at++]);
        if (end < 0)
            return end;
        *done = end;
    }
    return (long)at;
}

/* ---- answers ---- */

static void answer_status(struct http_answer *a)
{
    const char *s = a->line;
    bool ok = a->n >= 12 && !memcmp(s, "HTTP/1.", 7) && is_digit(s[7]) && s[8] == ' ' && is_digit(s[9]) && is_digit(s[10]) && is_digit(s[11]);
    a->status = ok ? (uint16_t)((s[9] - '0') * 100 + (s[10] - '0') * 10 + s[11] - '0') : 0;
    a->chunked = a->sized = false;
    a->length = 0;
    a->state = ok && a->status >= 100 ? ANSWER_HEADERS : ANSWER_LOST;
}

static void answer_header(struct http_answer *a)
{
    const char *colon = memchr(a->line, ':', a->n);
    struct part name = {a->line, colon ? (size_t)(colon - a->line) : 0};
    if (!colon)
        return;
    struct part value = trimmed((struct part){colon + 1, a->n - name.n - 1});
    name = trimmed(name);
    if (part_is(name, "content-length"))
        a->sized = number(value, &a->length);
    else if (part_is(name, "transfer-encoding"))
        a->chunked = value.n >= 7 && part_is((struct part){value.at + value.n - 7, 7}, "chunked");
}

/* RFC 9112, 6.3. True: the answer has no body. */
static bool answer_begin_body(struct http_answer *a, enum http_method asked, bool upgrade)
{
    uint16_t s = a->status;
    if ((s == 101 && upgrade) || (asked == HTTP_CONNECT && s / 100 == 2)) {
        a->state = ANSWER_OPAQUE;
        return false;
    }
    a->state = ANSWER_LINE;
    if (s / 100 == 1)
        return false;
    if (asked == HTTP_HEAD || s == 204 || s == 304 || (!a->chunked && a->sized && !a->length))
        return true;
    a->state = ANSWER_BODY;
    a->body = (struct http_body){.framing = a->chunked ? HTTP_CHUNKED : a->sized ? HTTP_LENGTH : HTTP_TO_THE_END, .left = a->chunked ? 0 : a->length};
    return false;
}

/* A line is there whole. True: the answer ends with it. */
static bool answer_line(struct http_answer *a, enum http_method asked, bool upgrade)
{
    bool end = false;
    if (a->n && a->line[a->n - 1] == '\r')
        a->n--;
    if (a->state == ANSWER_LINE) {
        answer_status(a);
    } else if (a->n) {
        answer_header(a);
    } else {
        end = answer_begin_body(a, asked, upgrade);
        a->head = 0;
    }
    a->n = 0;
    return end;
}

size_t http_answer_eat(struct http_answer *a, enum http_method asked, bool upgrade, const char *p, size_t n, bool *done)
{
    size_t at = 0;
    *done = false;
    while (at < n && !*done && a->state < ANSWER_BODY) {
        char c = p[at++];
        if (++a->head > 1 << 20) /* longer than what any client takes */
            a->state = ANSWER_LOST;
        else if (c == '\n')
            *done = answer_line(a, asked, upgrade);
        else if (a->n < HTTP_ANSWER_LINE_MAX)
            a->line[a->n++] = c;
    }
    if (*done || a->state != ANSWER_BODY)
        return a->state < ANSWER_BODY ? at : n;
    long eaten = http_body_eat(&a->body, p + at, n - at, done);
    a->state = eaten < 0 ? ANSWER_LOST : *done ? ANSWER_LINE : ANSWER_BODY;
    return eaten < 0 ? n : at + (size_t)eaten;
}
