#include "daemon/policy/drops.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/id.h"

static const char *const why_name[] = {[DROP_ASKED] = "asked", [DROP_MISUSE] = "misuse"};
static_assert(ARRAY_LEN(why_name) == DROP_WHYS, "name all");

const char *drop_why_name(enum drop_why w)
{
    return why_name[w];
}

static struct drop *find(const struct drops *d, const uint8_t *key)
{
    for (unsigned i = 0; i < d->n; i++)
        if (!memcmp(d->v[i].key, key, KEY_LEN))
            return (struct drop *)&d->v[i];
    return NULL;
}

const struct drop *drops_find(const struct drops *d, const uint8_t key[KEY_LEN])
{
    return find(d, key);
}

static void take_out(struct drops *d, struct drop *at)
{
    *at = d->v[--d->n];
}

/* The first of the daemon's own to end. */
static bool make_room(struct drops *d)
{
    struct drop *first = NULL;
    for (unsigned i = 0; i < d->n; i++)
        if (d->v[i].why == DROP_MISUSE && (!first || d->v[i].until_s < first->until_s))
            first = &d->v[i];
    if (first)
        take_out(d, first);
    return first;
}

int drops_add(struct drops *d, const uint8_t key[KEY_LEN], enum drop_why why, uint64_t until_s)
{
    struct drop *at = find(d, key);
    if (at && ((why == DROP_MISUSE && at->why == DROP_ASKED) || (at->why == why && at->until_s == until_s)))
        return -EALREADY;
    if (!at && d->n == DROPS_MAX && !make_room(d))
        return -ENOSPC;
    if (!at)
        at = &d->v[d->n++];
    memcpy(at->key, key, KEY_LEN);
    at->why = why;
    at->until_s = until_s;
    return 0;
}

bool drops_remove(struct drops *d, const uint8_t key[KEY_LEN])
{
    struct drop *at = find(d, key);
    if (at)
        take_out(d, at);
    return at;
}

uint64_t drops_next_s(const struct drops *d)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < d->n; i++)
        if (d->v[i].until_s && d->v[i].until_s < next)
            next = d->v[i].until_s;
    return next;
}

bool drops_expire(struct drops *d, uint64_t now_s, uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < d->n; i++)
        if (d->v[i].until_s && d->v[i].until_s <= now_s) {
            memcpy(key, d->v[i].key, KEY_LEN);
            take_out(d, &d->v[i]);
            return true;
        }
    return false;
}

/* ---- the file ---- */

char *drops_format(const struct drops *d, size_t *len)
{
    char *text = malloc((size_t)d->n * DROP_LINE + 1), key[KEY_STR_LEN + 1];
    *len = 0;
    if (!text)
        return NULL;
    text[0] = '\0';
    for (unsigned i = 0; i < d->n; i++) {
        key_format(d->v[i].key, key);
        *len += (size_t)snprintf(text + *len, DROP_LINE, "%s %s %" PRIu64 "\n", key, why_name[d->v[i].why], d->v[i].until_s);
    }
    return text;
}

/* The number of up to `most` digits at the start; returns how many there are. */
static unsigned digits(const char *text, unsigned most, uint64_t *out)
{
    unsigned n = 0;
    for (*out = 0; n < most && text[n] >= '0' && text[n] <= '9'; n++)
        *out = *out * 10 + (uint64_t)(text[n] - '0');
    return n;
}

/* Digits alone, up to 18 of them. */
static bool number(const char *text, uint64_t *out)
{
    unsigned n = digits(text, 18, out);
    return n && !text[n];
}

static bool take_line(struct drops *d, char *line)
{
    uint8_t key[KEY_LEN];
    uint64_t until;
    char *why = strchr(line, ' '), *end = why ? strchr(why + 1, ' ') : NULL;
    if (!end)
        return false;
    *why++ = *end++ = '\0';
    if (key_parse(line, key) || !number(end, &until))
        return false;
    for (unsigned w = 0; w < DROP_WHYS; w++)
        if (!strcmp(why, why_name[w]))
            return !drops_find(d, key) && drops_add(d, key, w, until) == 0;
    return false;
}

int drops_parse(struct drops *d, const char *text, size_t len, unsigned *line)
{
    struct drops new = {.n = 0};
    const char *end = text + len;
    for (*line = 1; text < end; (*line)++) {
        char one[DROP_LINE + 1];
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        size_t n = eol ? (size_t)(eol - text) : (size_t)(end - text);
        if (n > DROP_LINE || memchr(text, '\0', n))
            return -EINVAL;
        memcpy(one, text, n);
        one[n] = '\0';
        if (n && !take_line(&new, one))
            return -EINVAL;
        text += n + (eol != NULL);
    }
    *d = new;
    return 0;
}

uint64_t drop_time(const char *text)
{
    static const struct {
        char letter;
        uint32_t s;
    } unit[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t v;
    unsigned n = digits(text, 9, &v);
    for (size_t i = 0; v && i < ARRAY_LEN(unit); i++)
        if (text[n] == unit[i].letter && (!text[n] || !text[n + 1]))
            return v * unit[i].s <= DROP_SECONDS_MAX ? v * unit[i].s : 0;
    return 0;
}
