#include "shim/hooks/answer.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <strings.h>

#include "shim/client.h"
#include "shim/hooks/resolve.h"
#include "shim/overlay.h"

/* "4.3.2.10." and the like: n numbers of base 10 (4 of them) or single hex digits (32), the last one first. */
static bool parse_labels(const char *s, int n, uint8_t *out)
{
    for (int i = n - 1; i >= 0; i--) {
        unsigned v = 0, digits = 0, base = n == 4 ? 10 : 16;
        for (; *s && *s != '.'; s++, digits++) {
            unsigned c = (unsigned char)*s, d = c - '0' < 10 ? c - '0' : base == 16 && (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 99;
            if (d >= base || digits == (base == 10 ? 3 : 1))
                return false;
            v = v * base + d;
        }
        if (!digits || v > 255 || *s++ != '.')
            return false;
        out[i] = (uint8_t)v;
    }
    return true;
}

/* The address which a name under .arpa stands for. */
static bool parse_reverse(const char *name, struct addr *a)
{
    static const char tail4[] = "in-addr.arpa", tail6[] = "ip6.arpa";
    size_t len = strlen(name);
    uint8_t part[32];
    if (len && name[len - 1] == '.')
        len--;
    *a = (struct addr){0};
    if (len > sizeof(tail4) && len < 32 && !strncasecmp(name + len - (sizeof(tail4) - 1), tail4, sizeof(tail4) - 1)) {
        char copy[32] = "";
        memcpy(copy, name, len - (sizeof(tail4) - 1));
        a->family = 4;
        return strlen(copy) < 17 && parse_labels(copy, 4, part) && memcpy(a->ip, part, 4);
    }
    if (len != 64 + sizeof(tail6) - 1 || strncasecmp(name + 64, tail6, sizeof(tail6) - 1) || !parse_labels(name, 32, part))
        return false;
    a->family = 6;
    for (int i = 0; i < 16; i++)
        a->ip[i] = (uint8_t)(part[2 * i] << 4 | part[2 * i + 1]);
    return true;
}

bool question_ours(const char *name, struct question *q)
{
    struct addr a;
    q->reverse = false;
    if (overlay_name(name, q->name))
        return true;
    if (!name || !parse_reverse(name, &a))
        return false;
    q->reverse = true;
    q->status = reverse_name(&a, q->name);
    return q->status != IPC_NOT_VIRTUAL;
}

/* Labels of at most 63 bytes; ours have no escapes. */
static void put_name(struct writer *w, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        if (n < 1 || n > 63)
            w->failed = true;
        put_u8(w, (uint8_t)n);
        put_bytes(w, name, n);
        name += n + (name[n] == '.');
    }
    put_u8(w, 0);
}

/* What the record holds; 0 bytes when there is none, and then *herr says why. */
static void put_data(struct writer *w, const struct question *q, int type, int *herr)
{
    struct addr a, a6;
    *herr = HOST_NOT_FOUND;
    if (q->reverse) {
        if (q->status == CLIENT_DEAD || q->status == EAGAIN)
            *herr = TRY_AGAIN;
        else if (q->status == 0)
            *herr = type == ns_t_ptr ? 0 : NO_DATA;
        if (*herr == 0)
            put_name(w, q->name);
        return;
    }
    int found = resolve_name(q->name, &a, &a6);
    if (found != RESOLVE_OK) {
        *herr = found == RESOLVE_LATER ? TRY_AGAIN : HOST_NOT_FOUND;
        return;
    }
    *herr = type == ns_t_a || (type == ns_t_aaaa && a6.family) ? 0 : NO_DATA;
    if (*herr == 0)
        put_bytes(w, type == ns_t_a ? a.ip : a6.ip, type == ns_t_a ? 4 : 16);
}

size_t question_answer(const struct question *q, const char *asked, int class, int type, uint16_t id, uint8_t *out, size_t cap,
    int *herr)
{
    enum { RESPONSE = 0x8580 /* an authority's, recursion wanted and available */, NAME_AT_12 = 0xc00c };
    uint8_t data[IPC_NAME_MAX + 2];
    struct writer d = writer_of(data, sizeof(data)), w = writer_of(out, cap);
    put_data(&d, q, class == ns_c_in ? type : -1, herr);
    put_u16(&w, id);
    put_u16(&w, (uint16_t)(RESPONSE | (*herr == HOST_NOT_FOUND ? ns_r_nxdomain : *herr == TRY_AGAIN ? ns_r_servfail : 0)));
    put_u16(&w, 1);
    put_u16(&w, *herr == 0);
    put_u32(&w, 0);
    put_name(&w, asked);
    put_u16(&w, (uint16_t)type);
    put_u16(&w, (uint16_t)class);
    if (*herr == 0) {
        put_u16(&w, NAME_AT_12);
        put_u16(&w, (uint16_t)type);
        put_u16(&w, (uint16_t)class);
        put_u32(&w, 0); /* time to live */
        put_u16(&w, (uint16_t)writer_len(&d));
        put_bytes(&w, data, writer_len(&d));
    }
    return writer_ok(&w) && writer_ok(&d) ? writer_len(&w) : 0;
}
