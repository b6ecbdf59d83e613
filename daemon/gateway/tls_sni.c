#include "daemon/gateway/tls_sni.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "include/bytes.h"

enum { RECORD_HANDSHAKE = 22, CLIENT_HELLO = 1, RECORD_MAX = 16384 + 256, EXT_SERVER_NAME = 0 };

/* The handshake message in one piece, as far as it is there: its bytes go to out. 0, or -EAGAIN, -EBADMSG. */
static int gather(const uint8_t *p, size_t len, uint8_t out[TLS_HELLO_MAX], size_t *n)
{
    size_t at = 0, want = 4;
    *n = 0;
    while (*n < want) {
        if (at < len && p[at] != RECORD_HANDSHAKE)
            return -EBADMSG;
        if (at + 1 < len && p[at + 1] != 3)
            return -EBADMSG;
        if (at + 5 > len)
            return -EAGAIN;
        size_t body = (size_t)p[at + 3] << 8 | p[at + 4], have = len - at - 5;
        if (!body || body > RECORD_MAX)
            return -EBADMSG;
        size_t some = have < body ? have : body;
        if (some > TLS_HELLO_MAX - *n)
            return -EMSGSIZE;
        memcpy(out + *n, p + at + 5, some);
        *n += some;
        if (*n && out[0] != CLIENT_HELLO)
            return -EBADMSG;
        if (*n >= 4)
            want = 4 + ((size_t)out[1] << 16 | (size_t)out[2] << 8 | out[3]);
        if (want > TLS_HELLO_MAX)
            return -EMSGSIZE;
        if (some < body && *n < want)
            return -EAGAIN;
        at += 5 + body;
    }
    *n = want;
    return 0;
}

/* Letters, digits, '-', '_' and dots; a dot at the end is not kept. */
static int take_name(const uint8_t *s, size_t n, char name[TLS_NAME_MAX + 1])
{
    if (n > 1 && s[n - 1] == '.')
        n--;
    if (!n || n > TLS_NAME_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++) {
        char c = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return -EBADMSG;
        name[i] = c;
    }
    name[n] = '\0';
    return 0;
}

/* A list of names, of which one is a host's. */
static int take_names(const uint8_t *p, size_t len, char name[TLS_NAME_MAX + 1])
{
    struct reader r = reader_of(p, len);
    size_t list = get_u16(&r);
    if (!reader_ok(&r) || list != len - 2)
        return -EBADMSG;
    while (!reader_done(&r)) {
        uint8_t kind = get_u8(&r);
        size_t n = get_u16(&r);
        const uint8_t *s = get_span(&r, n);
        if (!reader_ok(&r))
            return -EBADMSG;
        if (kind == 0)
            return take_name(s, n, name);
    }
    return -ENOENT;
}

/* The extensions; two of the same name are not allowed. */
static int take_extensions(struct reader *r, char name[TLS_NAME_MAX + 1])
{
    int found = -ENOENT;
    while (!reader_done(r)) {
        uint16_t kind = get_u16(r);
        size_t n = get_u16(r);
        const uint8_t *at = get_span(r, n);
        if (!reader_ok(r))
            return -EBADMSG;
        if (kind != EXT_SERVER_NAME)
            continue;
        if (found != -ENOENT)
            return -EBADMSG;
        found = take_names(at, n, name);
        if (found == -EBADMSG)
            return found;
    }
    return found;
}

int tls_sni(const uint8_t *p, size_t len, char name[TLS_NAME_MAX + 1])
{
    uint8_t hello[TLS_HELLO_MAX];
    size_t n;
    int err = gather(p, len, hello, &n);
    if (err == -EAGAIN && len >= TLS_HELLO_MAX)
        return -EMSGSIZE;
    if (err)
        return err;
    struct reader r = reader_of(hello + 4, n - 4);
    (void)get_span(&r, 2 + 32);
    (void)get_span(&r, get_u8(&r));
    (void)get_span(&r, get_u16(&r));
    (void)get_span(&r, get_u8(&r));
    if (!reader_ok(&r))
        return -EBADMSG;
    if (reader_done(&r))
        return -ENOENT;
    size_t all = get_u16(&r);
    const uint8_t *at = get_span(&r, all);
    if (!reader_done(&r))
        return -EBADMSG;
    r = reader_of(at, all);
    return take_extensions(&r, name);
}

void tls_alert(uint8_t out[TLS_ALERT_LEN], uint8_t description)
{
    const uint8_t alert[TLS_ALERT_LEN] = {21, 3, 3, 0, 2, 2, description};
    memcpy(out, alert, sizeof(alert));
}
