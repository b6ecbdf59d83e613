#include "daemon/middlebox/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

struct flow {
    struct flow_entry e; /* first: handed out */
    mono_t seen;
    struct flow *newer, *older;
    UT_hash_handle hh, by_number;
};

struct verdicts {
    struct flow *flows, *numbered, *newest, *oldest;
    uint32_t flow_number, packet_number;
    struct waiting *ring[VERDICT_WAIT]; /* NULL: free; allocated once, when first needed */
    bool used[VERDICT_WAIT];
    unsigned first, span, n; /* the oldest, how many places from it on may be used, and how many are */
};

struct verdicts *verdicts_new(void)
{
    return calloc(1, sizeof(struct verdicts));
}

static void flow_unlink(struct verdicts *v, struct flow *f)
{
    *(f->newer ? &f->newer->older : &v->newest) = f->older;
    *(f->older ? &f->older->newer : &v->oldest) = f->newer;
}

static void flow_link(struct verdicts *v, struct flow *f)
{
    f->newer = NULL;
    f->older = v->newest;
    *(v->newest ? &v->newest->newer : &v->oldest) = f;
    v->newest = f;
}

static void flow_remove(struct verdicts *v, struct flow *f)
{
    HASH_DELETE(hh, v->flows, f);
    HASH_DELETE(by_number, v->numbered, f);
    flow_unlink(v, f);
    free(f);
}

void verdicts_free(struct verdicts *v)
{
    while (v && v->newest)
        flow_remove(v, v->newest);
    for (unsigned i = 0; v && i < VERDICT_WAIT; i++)
        free(v->ring[i]);
    free(v);
}

struct flow_entry *verdict_flow(struct verdicts *v, const struct flow_key *key, mono_t now)
{
    struct flow *f;
    while (v->oldest && mono_since(v->oldest->seen, now) > FLOW_IDLE)
        flow_remove(v, v->oldest);
    HASH_FIND(hh, v->flows, key, sizeof(*key), f);
    if (f) {
        flow_unlink(v, f);
    } else {
        if (HASH_COUNT(v->flows) >= FLOWS_MAX)
            flow_remove(v, v->oldest);
        if (!(f = calloc(1, sizeof(*f))))
            return NULL;
        f->e.key = *key;
        v->flow_number += 1 + (v->flow_number == UINT32_MAX);
        f->e.number = v->flow_number;
        HASH_ADD(hh, v->flows, e.key, sizeof(f->e.key), f);
        HASH_ADD(by_number, v->numbered, e.number, sizeof(f->e.number), f);
    }
    flow_link(v, f);
    f->seen = now;
    return &f->e;
}

struct flow_entry *verdict_flow_numbered(struct verdicts *v, uint32_t number)
{
    struct flow *f;
    HASH_FIND(by_number, v->numbered, &number, sizeof(number), f);
    return f ? &f->e : NULL;
}

void verdicts_ask_again(struct verdicts *v)
{
    for (struct flow *f = v->newest; f; f = f->older)
        f->e.fate = FLOW_ASK;
}

/* ---- packets that wait: a ring in the order in which they came, with gaps ---- */

struct waiting *verdict_wait(struct verdicts *v, mono_t now)
{
    if (v->span == VERDICT_WAIT)
        return NULL;
    unsigned i = (v->first + v->span) % VERDICT_WAIT;
    if (!v->ring[i] && !(v->ring[i] = malloc(sizeof(*v->ring[i]))))
        return NULL;
    v->span++;
    v->n++;
    v->used[i] = true;
    v->packet_number += 1 + (v->packet_number == UINT32_MAX);
    v->ring[i]->number = v->packet_number;
    v->ring[i]->until = mono_add(now, VERDICT_PATIENCE);
    return v->ring[i];
}

static struct waiting *at(const struct verdicts *v, unsigned i)
{
    unsigned place = (v->first + i) % VERDICT_WAIT;
    return v->used[place] ? v->ring[place] : NULL;
}

struct waiting *verdict_numbered(struct verdicts *v, uint32_t number)
{
    for (unsigned i = 0; i < v->span; i++)
        if (at(v, i) && at(v, i)->number == number)
            return at(v, i);
    return NULL;
}

struct waiting *verdict_of_flow(struct verdicts *v, uint32_t flow)
{
    for (unsigned i = 0; i < v->span; i++)
        if (at(v, i) && at(v, i)->flow == flow)
            return at(v, i);
    return NULL;
}

struct waiting *verdict_late(struct verdicts *v, mono_t now, bool all)
{
    struct waiting *w = v->span ? at(v, 0) : NULL;
    return w && (all || mono_due(w->until, now)) ? w : NULL;
}

void verdict_done(struct verdicts *v, struct waiting *w)
{
    for (unsigned i = 0; i < v->span; i++)
        if (at(v, i) == w) {
            v->used[(v->first + i) % VERDICT_WAIT] = false;
            v->n--;
            break;
        }
    for (; v->span && !at(v, 0); v->span--)
        v->first = (v->first + 1) % VERDICT_WAIT;
}

mono_t verdicts_deadline(const struct verdicts *v)
{
    return v->span ? at(v, 0)->until : MONO_NEVER;
}

unsigned verdicts_waiting(const struct verdicts *v)
{
    return v->n;
}

unsigned verdicts_flows(const struct verdicts *v)
{
    return HASH_COUNT(v->flows);
}

/* ---- what a program says ---- */

static bool number_of(const char *s, uint32_t *out, const char **rest)
{
    uint64_t n = 0;
    const char *at = s;
    for (; *at >= '0' && *at <= '9' && n <= UINT32_MAX; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    *out = (uint32_t)n;
    *rest = *at == ' ' ? at + 1 : at;
    return at > s && n && n <= UINT32_MAX && (!*at || *at == ' ');
}

enum verdict_verb verdict_parse(const char *line, uint32_t *number, const char **text)
{
    static const struct {
        const char *word;
        enum verdict_verb verb;
    } whole[] = {{"mode inline", VERB_INLINE}, {"mode watch", VERB_WATCH}, {"show packets", VERB_PACKETS}, {"show flows", VERB_FLOWS}},
      counted[] = {{"forward ", VERB_FORWARD}, {"drop ", VERB_DROP}, {"accept ", VERB_ACCEPT}, {"block ", VERB_BLOCK}, {"alert ", VERB_ALERT}};
    *number = 0;
    *text = "";
    for (unsigned i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (!strcmp(line, whole[i].word))
            return whole[i].verb;
    for (unsigned i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        size_t n = strlen(counted[i].word);
        if (strncmp(line, counted[i].word, n))
            continue;
        if (!number_of(line + n, number, text))
            return VERB_BAD;
        return (counted[i].verb == VERB_ALERT) == (**text != '\0') ? counted[i].verb : VERB_BAD;
    }
    return VERB_BAD;
}
