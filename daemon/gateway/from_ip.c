#include "daemon/gateway/from_ip.h"

#include <errno.h>
#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

struct key {
    uint8_t family;
    uint8_t w;
    uint8_t ip[16];
};

struct binding {
    struct key key;
    unsigned connections;
    mono_t since; /* when it lost its last connection */
    char name[FROM_IP_NAME_MAX + 1];
    UT_hash_handle hh; /* in the order of their making */
};

struct waypoint {
    uint8_t family;
    bool given;    /* at `at`, for `name` */
    mono_t at;
    char name[FROM_IP_NAME_MAX + 1];
    unsigned bound; /* bindings here */
    bool mixed;     /* they are of several names; else of `sole` */
    char sole[FROM_IP_NAME_MAX + 1];
};

struct from_ip {
    struct binding *bindings;
    mono_t due;
    unsigned n;
    struct waypoint w[];
};

struct from_ip *from_ip_new(const struct addr *waypoint, unsigned n)
{
    struct from_ip *t = n > 256 ? NULL : calloc(1, sizeof(*t) + n * sizeof(t->w[0]));
    for (unsigned i = 0; t && i < n; i++)
        t->w[i].family = waypoint[i].family;
    if (t) {
        t->n = n;
        t->due = MONO_NEVER;
    }
    return t;
}

static void unbind(struct from_ip *t, struct binding *b)
{
    struct waypoint *w = &t->w[b->key.w];
    if (!--w->bound)
        w->mixed = false;
    HASH_DEL(t->bindings, b);
    free(b);
}

void from_ip_free(struct from_ip *t)
{
    struct binding *b, *next;
    if (!t)
        return;
    HASH_ITER(hh, t->bindings, b, next)
        unbind(t, b);
    free(t);
}

static void set_name(char to[FROM_IP_NAME_MAX + 1], const char *name)
{
    size_t n = strnlen(name, FROM_IP_NAME_MAX);
    memmove(to, name, n);
    to[n] = '\0';
}

/* ---- answers ---- */

static bool within(const struct waypoint *w, mono_t now, uint64_t us)
{
    return w->given && !mono_due(mono_add(w->at, us), now);
}

/* How far that waypoint is from what one would wish for the name; the less the better. */
static unsigned badness(const struct waypoint *w, mono_t now, const char *name)
{
    unsigned others = !w->bound || (!w->mixed && !strcmp(w->sole, name)) ? 0 : 1 + w->bound;
    bool doubt = within(w, now, FROM_IP_DOUBT_US) && strcmp(w->name, name) != 0;
    bool stranger = w->given && strcmp(w->name, name) != 0;
    return others * 8 + doubt * 4 + stranger * 2 + !w->given;
}

int from_ip_answer(struct from_ip *t, mono_t now, const char *name, uint8_t family)
{
    int best = -ENOENT;
    unsigned least = 0;
    for (unsigned i = 0; i < t->n; i++) {
        struct waypoint *w = &t->w[i];
        if (w->family != family)
            continue;
        if (within(w, now, FROM_IP_WINDOW_US) && strcmp(w->name, name) != 0) {
            best = best == -ENOENT ? -EAGAIN : best;
            continue;
        }
        unsigned bad = badness(w, now, name);
        if (best < 0 || bad < least || (bad == least && w->at.us < t->w[best].at.us)) {
            best = (int)i;
            least = bad;
        }
    }
    if (best >= 0) {
        struct waypoint *w = &t->w[best];
        w->given = true;
        w->at = now;
        set_name(w->name, name);
    }
    return best;
}

const char *from_ip_pending(const struct from_ip *t, mono_t now, unsigned w)
{
    return w < t->n && within(&t->w[w], now, FROM_IP_WINDOW_US) ? t->w[w].name : NULL;
}

/* ---- connections ---- */

static struct key key_of(const struct addr *source, unsigned w)
{
    struct key k;
    memset(&k, 0, sizeof(k));
    k.family = source->family;
    k.w = (uint8_t)w;
    memcpy(k.ip, source->ip, sizeof(k.ip));
    return k;
}

static struct binding *find(const struct from_ip *t, const struct addr *source, unsigned w)
{
    struct key k = key_of(source, w);
    struct binding *b;
    HASH_FIND(hh, t->bindings, &k, sizeof(k), b);
    return b;
}

static bool make_room(struct from_ip *t)
{
    struct binding *oldest = NULL;
    if (HASH_COUNT(t->bindings) < FROM_IP_BINDINGS)
        return true;
    for (struct binding *b = t->bindings; b; b = b->hh.next)
        if (!b->connections && (!oldest || b->since.us < oldest->since.us))
            oldest = b;
    if (oldest)
        unbind(t, oldest);
    return oldest;
}

static struct binding *bind_to(struct from_ip *t, const struct addr *source, unsigned at, const char *name)
{
    struct waypoint *w = &t->w[at];
    struct binding *b = make_room(t) ? calloc(1, sizeof(*b)) : NULL;
    if (!b)
        return NULL;
    b->key = key_of(source, at);
    set_name(b->name, name);
    HASH_ADD(hh, t->bindings, key, sizeof(b->key), b);
    w->mixed = w->mixed || (w->bound && strcmp(w->sole, name) != 0);
    if (!w->bound++)
        set_name(w->sole, name);
    return b;
}

int from_ip_claim(struct from_ip *t, mono_t now, const struct addr *source, unsigned at, from_ip_allowed_fn *allowed, void *ctx, const char **name)
{
    struct waypoint *w = at < t->n ? &t->w[at] : NULL;
    struct binding *b = w ? find(t, source, at) : NULL;
    if (b && !b->connections && mono_due(mono_add(b->since, FROM_IP_IDLE_US), now)) {
        unbind(t, b);
        b = NULL;
    }
    if (b && within(w, now, FROM_IP_DOUBT_US) && strcmp(w->name, b->name) != 0)
        return -EBUSY;
    if (!b && (!w || !within(w, now, FROM_IP_WINDOW_US)))
        return -ENOENT;
    if (!allowed(ctx, b ? b->name : w->name, source))
        return -EACCES;
    b = b ? b : bind_to(t, source, at, w->name);
    if (!b)
        return -ENOBUFS;
    b->connections++;
    *name = b->name;
    return 0;
}

void from_ip_end(struct from_ip *t, mono_t now, const struct addr *source, unsigned w)
{
    struct binding *b = find(t, source, w);
    if (!b || !b->connections || --b->connections)
        return;
    b->since = now;
    t->due = mono_min(t->due, mono_add(now, FROM_IP_IDLE_US));
}

void from_ip_forget(struct from_ip *t, const char *name)
{
    struct binding *b, *next;
    HASH_ITER(hh, t->bindings, b, next)
        if (!strcmp(b->name, name))
            unbind(t, b);
    for (unsigned i = 0; i < t->n; i++)
        if (!strcmp(t->w[i].name, name))
            t->w[i].given = false;
}

mono_t from_ip_deadline(const struct from_ip *t)
{
    return t->due;
}

void from_ip_expire(struct from_ip *t, mono_t now)
{
    struct binding *b, *next;
    if (!mono_due(t->due, now))
        return;
    t->due = MONO_NEVER;
    HASH_ITER(hh, t->bindings, b, next) {
        mono_t end = mono_add(b->since, FROM_IP_IDLE_US);
        if (b->connections)
            continue;
        if (mono_due(end, now))
            unbind(t, b);
        else
            t->due = mono_min(t->due, end);
    }
}

bool from_ip_next(const struct from_ip *t, mono_t now, const void **cursor, struct from_ip_row *out)
{
    const struct binding *b = *cursor ? ((const struct binding *)*cursor)->hh.next : t->bindings;
    if (!b)
        return false;
    *cursor = b;
    *out = (struct from_ip_row){.source.family = b->key.family, .waypoint = b->key.w, .connections = b->connections, .name = b->name,
        .idle_us = b->connections ? 0 : mono_since(b->since, now)};
    memcpy(out->source.ip, b->key.ip, sizeof(b->key.ip));
    return true;
}

unsigned from_ip_bindings(const struct from_ip *t)
{
    return HASH_COUNT(t->bindings);
}
