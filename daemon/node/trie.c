#include "daemon/node/trie.h"

#include <assert.h>
#include <errno.h>

#include "include/bytes.h"

static_assert(sizeof(struct trigger) == 128, "two cache lines");

static bool is_branch(trie_ref ref)
{
    return ref & TRIE_BRANCH;
}

static struct branch *branch_of(const struct trie *t, trie_ref ref)
{
    return &t->branches[ref & ~TRIE_BRANCH];
}

static unsigned side_of(const struct i3_id *id, unsigned bit)
{
    return id->b[ID_PREFIX_LEN + bit / 8] >> (7 - bit % 8) & 1;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

/* Bits shared after the prefix, 0..128. */
static unsigned shared_bits(const struct i3_id *a, const struct i3_id *b)
{
    uint64_t hi = load64(a->b + 16) ^ load64(b->b + 16), lo = load64(a->b + 24) ^ load64(b->b + 24);
    if (hi)
        return (unsigned)__builtin_clzll(hi);
    return lo ? 64 + (unsigned)__builtin_clzll(lo) : TRIE_BITS;
}

static uint8_t least_of(const struct trie *t, trie_ref ref)
{
    return is_branch(ref) ? branch_of(t, ref)->least : t->triggers[ref].least;
}

/* The leaf to which id's bits lead; its id shares at least as many bits with `id` as any other's. */
static uint32_t descend(const struct trie *t, trie_ref ref, const struct i3_id *id)
{
    while (is_branch(ref)) {
        const struct branch *b = branch_of(t, ref);
        ref = b->side[side_of(id, b->bit)];
    }
    return ref;
}

static uint32_t branch_take(struct trie *t)
{
    uint32_t i = t->branches_free;
    if (i)
        t->branches_free = t->branches[i].side[0];
    else
        i = ++t->branches_used; /* ids - 1 branches at most, so the slab as large as the triggers' never ends
                                 */
    return i;
}

static void branch_give(struct trie *t, uint32_t i)
{
    t->branches[i].side[0] = t->branches_free;
    t->branches_free = i;
}

/* Into the chain that starts at `head`, after its first. */
static int chain_add(struct trie *t, struct trigger *head, uint32_t index, unsigned same_max)
{
    unsigned n = 1;
    for (const struct trigger *at = head; at->same; at = &t->triggers[at->same])
        n++;
    if (n >= same_max)
        return -EMLINK;
    struct trigger *new = &t->triggers[index];
    new->same = head->same;
    head->same = index;
    if (new->plen < head->least)
        head->least = new->plen;
    return 0;
}

/* A new leaf, parting from the others at `bit`. */
static void leaf_add(struct trie *t, trie_ref *root, uint32_t index, unsigned bit)
{
    struct trigger *new = &t->triggers[index];
    trie_ref *link = root;
    while (is_branch(*link) && branch_of(t, *link)->bit < bit) {
        struct branch *b = branch_of(t, *link);
        if (new->plen < b->least)
            b->least = new->plen;
        link = &b->side[side_of(&new->id, b->bit)];
    }
    uint32_t i = branch_take(t);
    struct branch *b = &t->branches[i];
    unsigned side = side_of(&new->id, bit);
    b->bit = (uint8_t)bit;
    b->side[side] = index;
    b->side[!side] = *link;
    uint8_t rest = least_of(t, *link);
    b->least = new->plen < rest ? new->plen : rest;
    *link = i | TRIE_BRANCH;
}

/* The leaf of this id now has a lesser plen: so have the branches above it. */
static void lower_path(struct trie *t, trie_ref ref, const struct trigger *new)
{
    while (is_branch(ref)) {
        struct branch *b = branch_of(t, ref);
        if (new->plen < b->least)
            b->least = new->plen;
        ref = b->side[side_of(&new->id, b->bit)];
    }
}

int trie_add(struct trie *t, trie_ref *root, uint32_t index, unsigned same_max)
{
    struct trigger *new = &t->triggers[index];
    new->same = 0;
    new->least = new->plen;
    if (!*root) {
        *root = index;
        return 0;
    }
    struct trigger *near = &t->triggers[descend(t, *root, &new->id)];
    unsigned bits = shared_bits(&near->id, &new->id);
    if (bits < TRIE_BITS) {
        leaf_add(t, root, index, bits);
        return 0;
    }
    int err = chain_add(t, near, index, same_max);
    if (!err)
        lower_path(t, *root, new);
    return err;
}

/* Out of the chain at *link (which is a leaf); *link is the new first, or 0 when there is none left. */
static void chain_remove(struct trie *t, trie_ref *link, uint32_t index)
{
    uint32_t *at = link;
    while (*at != index)
        at = &t->triggers[*at].same;
    *at = t->triggers[index].same;
    if (!*link)
        return;
    struct trigger *head = &t->triggers[*link];
    head->least = head->plen;
    for (uint32_t i = head->same; i; i = t->triggers[i].same)
        if (t->triggers[i].plen < head->least)
            head->least = t->triggers[i].plen;
}

void trie_remove(struct trie *t, trie_ref *root, uint32_t index)
{
    trie_ref *path[TRIE_BITS + 1], *link = root;
    unsigned depth = 0;
    const struct i3_id *id = &t->triggers[index].id;
    while (is_branch(*link)) {
        struct branch *b = branch_of(t, *link);
        path[depth++] = link;
        link = &b->side[side_of(id, b->bit)];
    }
    chain_remove(t, link, index);
    if (!*link && depth) {
        trie_ref *above = path[--depth];
        struct branch *b = branch_of(t, *above);
        uint32_t gone = *above & ~TRIE_BRANCH;
        *above = b->side[link == &b->side[0]];
        branch_give(t, gone);
    }
    while (depth) {
        struct branch *b = branch_of(t, *path[--depth]);
        uint8_t left = least_of(t, b->side[0]), right = least_of(t, b->side[1]);
        b->least = left < right ? left : right;
    }
}

uint32_t trie_find(const struct trie *t, trie_ref root, const struct i3_id *id)
{
    uint32_t leaf = descend(t, root, id);
    return leaf && !memcmp(&t->triggers[leaf].id, id, ID_LEN) ? leaf : 0;
}

/* The smallest id below ref that matches; all there share `bits` bits with what is looked for. */
static struct trie_match pick(const struct trie *t, trie_ref ref, unsigned bits)
{
    while (is_branch(ref)) {
        const struct branch *b = branch_of(t, ref);
        ref = b->side[least_of(t, b->side[0]) > bits];
    }
    const struct trigger *first = &t->triggers[ref];
    return (struct trie_match){first->plen <= bits ? first : trie_match_next(t, first, bits), bits};
}

struct trie_match trie_match(const struct trie *t, trie_ref root, const struct i3_id *x)
{
    trie_ref path[TRIE_BITS + 1], ref = root;
    unsigned depth = 0;
    while (is_branch(ref)) {
        const struct branch *b = branch_of(t, ref);
        path[depth++] = ref;
        ref = b->side[side_of(x, b->bit)];
    }
    unsigned bits = shared_bits(&t->triggers[ref].id, x);
    while (depth && branch_of(t, path[depth - 1])->bit > bits)
        ref = path[--depth]; /* all below it share exactly `bits` */
    if (least_of(t, ref) <= bits)
        return pick(t, ref, bits);
    while (depth--) {
        const struct branch *b = branch_of(t, path[depth]);
        trie_ref other = b->side[!side_of(x, b->bit)];
        if (least_of(t, other) <= b->bit)
            return pick(t, other, b->bit);
    }
    return (struct trie_match){NULL, 0};
}
