#include "daemon/naming/book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "daemon/naming/groups.h"
#include "include/bytes.h"

/* A line of the file as it was written; entry lines also have an item. */
struct line {
    char *text; /* without its newline */
    struct item *item;
};

struct item {
    struct book_entry e;
    UT_hash_handle by_name, by_key;
};

/* At most BOOK_LINES_MAX lines of BOOK_LINE_MAX bytes; a longer file is refused whole. */
struct book {
    struct line *lines;
    size_t n_lines, cap_lines;
    struct item **items; /* in file order */
    size_t n_items, cap_items;
    struct item *names, *keys; /* keys: one entry of each key only, see book_find_key() */
};

struct book *book_new(void)
{
    return calloc(1, sizeof(struct book));
}

static void item_free(struct item *it)
{
    if (it) {
        free((char *)it->e.near);
        free((char *)it->e.via);
        free((char *)it->e.at);
        free((char *)it->e.learned);
    }
    free(it);
}

static void book_clear(struct book *b)
{
    HASH_CLEAR(by_name, b->names);
    HASH_CLEAR(by_key, b->keys);
    for (size_t i = 0; i < b->n_lines; i++) {
        free(b->lines[i].text);
        item_free(b->lines[i].item);
    }
    free(b->lines);
    free(b->items);
    memset(b, 0, sizeof(*b));
}

void book_free(struct book *b)
{
    if (!b)
        return;
    book_clear(b);
    free(b);
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool book_name_valid(const char *name)
{
    size_t label = 0, len = 0;
    for (; name[len]; len++) {
        if (len >= BOOK_NAME_MAX)
            return false;
        if (name[len] == '.') {
            if (!label)
                return false;
            label = 0;
        } else if (!is_label_char(name[len]) || ++label > 63) {
            return false;
        }
    }
    return label > 0;
}

int book_name_fold(char out[BOOK_NAME_MAX + 1], const char *name)
{
    if (!book_name_valid(name))
        return -EINVAL;
    size_t i = 0;
    for (; name[i]; i++)
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    out[i] = '\0';
    return 0;
}

/* Makes room for one more element; 0 or -ENOMEM. */
static int grow(void **v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return 0;
    size_t want = *cap ? *cap * 2 : 16;
    void *p = realloc(*v, want * size);
    if (!p)
        return -ENOMEM;
    *v = p;
    *cap = want;
    return 0;
}

static struct item *find_name(const struct book *b, const char *name)
{
    char folded[BOOK_NAME_MAX + 1];
    struct item *it = NULL;
    if (!book_name_fold(folded, name))
        HASH_FIND(by_name, b->names, folded, strlen(folded), it);
    return it;
}

static struct item *find_key(const struct book *b, const uint8_t key[KEY_LEN])
{
    struct item *it;
    HASH_FIND(by_key, b->keys, key, KEY_LEN, it);
    return it;
}

/* The entry by which its key is found, unless there is one already that stands for as much. */
static void key_enter(struct book *b, struct item *it)
{
    struct item *there = find_key(b, it->e.key);
    if (there && (it->e.guest || !there->e.guest))
        return;
    if (there)
        HASH_DELETE(by_key, b->keys, there);
    HASH_ADD(by_key, b->keys, e.key, KEY_LEN, it);
}

/* Takes over `text` and `it` (NULL for a comment). 0 or -ENOMEM, -ENOSPC; they stay the caller's then. */
static int line_append(struct book *b, char *text, struct item *it)
{
    if (b->n_lines >= BOOK_LINES_MAX || (it && b->n_items >= BOOK_MAX))
        return -ENOSPC;
    if (grow((void **)&b->lines, b->n_lines, &b->cap_lines, sizeof(*b->lines)) ||
        (it && grow((void **)&b->items, b->n_items, &b->cap_items, sizeof(*b->items))))
        return -ENOMEM;
    b->lines[b->n_lines++] = (struct line){text, it};
    if (!it)
        return 0;
    b->items[b->n_items++] = it;
    HASH_ADD(by_name, b->names, e.name, strlen(it->e.name), it);
    key_enter(b, it);
    return 0;
}

static char *text_copy(const char *s, size_t len)
{
    char *p = malloc(len + 1);
    if (p) {
        memcpy(p, s, len);
        p[len] = '\0';
    }
    return p;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of at most cap - 1 bytes into out. False: there is none, or it is longer. */
static bool word_next(const char **at, const char *end, char *out, size_t cap)
{
    while (*at < end && is_blank(**at))
        ++*at;
    size_t n = 0;
    for (; *at < end && !is_blank(**at); ++*at) {
        if (n + 1 >= cap)
            return false;
        out[n++] = **at;
    }
    out[n] = '\0';
    return n > 0;
}

/* ---- options ---- */

/* A label has room for names as they may be, so a name that is cut short is none. */
bool book_via_next(const char **at, char out[BOOK_NAME_MAX + 1])
{
    size_t n = 0;
    if (!**at)
        return false;
    for (; **at && **at != ','; ++*at)
        if (n < BOOK_NAME_MAX)
            out[n++] = **at;
    out[n] = '\0';
    if (**at)
        ++*at;
    return true;
}

int book_via_valid(const char *via)
{
    char name[BOOK_NAME_MAX + 1];
    unsigned n = 0;
    size_t len = strlen(via);
    if (!len || len > BOOK_OPTION_MAX || via[len - 1] == ',')
        return -EINVAL;
    while (book_via_next(&via, name))
        if (!book_name_valid(name) || ++n > BOOK_VIA_MAX)
            return -EINVAL;
    return 0;
}

/* ADDRESS, ADDRESS:PORT, [IPV6] or [IPV6]:PORT, of n characters: one that a host can have. */
static bool address_parse(const char *s, size_t n, struct addr *out)
{
    char text[64];
    if (!n || n >= sizeof(text))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    char *ip = text, *port = NULL, *colon = strchr(text, ':');
    if (*text == '[') {
        char *close = strchr(text, ']');
        if (!close || (close[1] && close[1] != ':'))
            return false;
        port = close[1] ? close + 2 : NULL;
        *close = '\0';
        ip++;
    } else if (colon && !strchr(colon + 1, ':')) {
        port = colon + 1;
        *colon = '\0';
    }
    unsigned number = port ? 0 : BOOK_AT_PORT;
    for (const char *d = port; d && *d; d++)
        if (*d < '0' || *d > '9' || (number = number * 10 + (unsigned)(*d - '0')) > 65535)
            return false;
    *out = (struct addr){.family = strchr(ip, ':') ? 6 : 4, .port = (uint16_t)number};
    return number && inet_pton(out->family == 6 ? AF_INET6 : AF_INET, ip, out->ip) == 1 && !addr_is_any(out) && !addr_is_group(out);
}

static unsigned addresses_parse(const char *at, struct addr out[BOOK_AT_MAX])
{
    unsigned n = 0;
    for (;;) {
        size_t len = 0;
        while (at[len] && at[len] != ',')
            len++;
        if (n == BOOK_AT_MAX || !address_parse(at, len, &out[n++]))
            return 0;
        if (!at[len])
            return n;
        at += len + 1;
    }
}

int book_at_valid(const char *at)
{
    struct addr v[BOOK_AT_MAX];
    return strlen(at) <= BOOK_OPTION_MAX && addresses_parse(at, v) ? 0 : -EINVAL;
}

unsigned book_at_addresses(const char *at, struct addr out[BOOK_AT_MAX])
{
    return at ? addresses_parse(at, out) : 0;
}

int book_near_valid(const char *near)
{
    uint8_t bytes[GROUP_MEMBER_LEN];
    return place_bytes(near, bytes) ? 0 : -EINVAL;
}

static int learned_valid(const char *how)
{
    return !strcmp(how, "hash") || !strcmp(how, "dns") ? 0 : -EINVAL;
}

static const char *option_set(const char **field, const char *value, int (*valid)(const char *), const char *wrong)
{
    if (*field || valid(value))
        return wrong;
    *field = text_copy(value, strlen(value));
    return *field ? NULL : "out of memory";
}

static const char *option_parse(const char *word, struct book_entry *e)
{
    if (!strcmp(word, "multicast")) {
        e->multicast = true;
        return NULL;
    }
    if (!strcmp(word, "guest")) {
        e->guest = true;
        return NULL;
    }
    if (!strncmp(word, "near=", 5))
        return option_set(&e->near, word + 5, book_near_valid, "near= is followed by a place: one or two words with '/' between");
    if (!strncmp(word, "via=", 4))
        return option_set(&e->via, word + 4, book_via_valid, "via= is followed by one to three names with ',' between");
    if (!strncmp(word, "at=", 3))
        return option_set(&e->at, word + 3, book_at_valid, "at= is followed by one to six addresses with ',' between, like 203.0.113.9:5700,[2001:db8::1]:5700");
    if (!strncmp(word, "learned=", 8))
        return option_set(&e->learned, word + 8, learned_valid, "learned= is followed by hash or dns");
    return "after the key only a comment (#), guest, multicast, near=, via=, at= or learned= may follow";
}

/* What stands behind the key: NULL, or a sentence about what is wrong. */
static const char *options_parse(const char *at, const char *end, struct book_entry *e)
{
    char word[BOOK_OPTION_MAX + 8];
    const char *wrong = NULL;
    for (;;) {
        while (at < end && is_blank(*at))
            at++;
        if (at == end || *at == '#' || wrong)
            break;
        wrong = word_next(&at, end, word, sizeof(word)) ? option_parse(word, e) : "this option is too long";
    }
    if (!wrong && e->multicast && (e->near || e->via || e->at))
        wrong = "a multicast group has neither near= nor via= nor at=";
    if (!wrong && e->multicast && e->guest)
        wrong = "a multicast group is nobody's guest";
    if (!wrong && e->learned && !e->guest)
        wrong = "learned= is for guests alone";
    return wrong;
}

/* A sentence about what is wrong, or NULL; *it is the new entry, NULL for a comment or blank line. */
static const char *line_parse(const char *s, size_t len, struct item **it)
{
    char name[BOOK_NAME_MAX + 1], key[KEY_STR_LEN + 1];
    const char *at = s, *end = s + len;
    *it = NULL;
    if (len > BOOK_LINE_MAX)
        return "the line is too long";
    if (memchr(s, 0, len))
        return "there is a NUL byte in the line";
    while (at < end && is_blank(*at))
        at++;
    if (at == end || *at == '#')
        return NULL;
    if (!word_next(&at, end, name, sizeof(name)) || !book_name_valid(name))
        return "this is no name: labels of letters, digits, '-' and '_', joined by dots";
    uint8_t bytes[KEY_LEN];
    if (!word_next(&at, end, key, sizeof(key)))
        return "after the name a key of 52 characters is expected";
    int err = key_parse(key, bytes);
    if (err)
        return err == -EKEYREJECTED ? "this key is a weak one and not accepted"
                                    : "this is no key: 52 characters of a-z and 2-7 are expected";
    *it = calloc(1, sizeof(**it));
    if (!*it)
        return "out of memory";
    book_name_fold((*it)->e.name, name);
    memcpy((*it)->e.key, bytes, KEY_LEN);
    const char *wrong = options_parse(at, end, &(*it)->e);
    if (wrong) {
        item_free(*it);
        *it = NULL;
    }
    return wrong;
}

static const char *line_take(struct book *b, const char *s, size_t len)
{
    struct item *it = NULL;
    const char *wrong = line_parse(s, len, &it);
    if (wrong)
        return wrong;
    if (it && find_name(b, it->e.name)) {
        item_free(it);
        return "the name stands in an earlier line already";
    }
    char *text = text_copy(s, len);
    int err = text ? line_append(b, text, it) : -ENOMEM;
    if (err) {
        free(text);
        item_free(it);
        return err == -ENOSPC ? "too many entries" : "out of memory";
    }
    return NULL;
}

int book_parse(struct book *b, const char *text, size_t len, unsigned *line, char *err, size_t errlen)
{
    struct book fresh = {0};
    const char *at = text, *end = text + len;
    for (*line = 1; at < end; ++*line) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        const char *stop = nl ? nl : end;
        const char *wrong = line_take(&fresh, at, (size_t)(stop - at));
        if (wrong) {
            snprintf(err, errlen, "%s", wrong);
            book_clear(&fresh);
            return -EINVAL;
        }
        at = nl ? nl + 1 : end;
    }
    *line = 0;
    book_clear(b);
    *b = fresh;
    return 0;
}

char *book_format(const struct book *b, size_t *len)
{
    size_t total = 0;
    for (size_t i = 0; i < b->n_lines; i++)
        total += strlen(b->lines[i].text) + 1;
    char *out = malloc(total + 1), *at = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < b->n_lines; i++) {
        size_t n = strlen(b->lines[i].text);
        memcpy(at, b->lines[i].text, n);
        at[n] = '\n';
        at += n + 1;
    }
    *at = '\0';
    *len = total;
    return out;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same_entry(const struct book_entry *e, const uint8_t key[KEY_LEN], const struct book_options *o)
{
    return !memcmp(e->key, key, KEY_LEN) && e->multicast == o->multicast && e->guest == o->guest && same_text(e->near, o->near) && same_text(e->via, o->via) && same_text(e->at, o->at) && same_text(e->learned, o->learned);
}

static struct item *item_new(const char *folded, const uint8_t key[KEY_LEN], const struct book_options *o)
{
    struct item *it = calloc(1, sizeof(*it));
    if (!it)
        return NULL;
    memcpy(it->e.name, folded, strlen(folded) + 1);
    memcpy(it->e.key, key, KEY_LEN);
    it->e.multicast = o->multicast;
    it->e.guest = o->guest;
    it->e.near = o->near ? text_copy(o->near, strlen(o->near)) : NULL;
    it->e.via = o->via ? text_copy(o->via, strlen(o->via)) : NULL;
    it->e.at = o->at ? text_copy(o->at, strlen(o->at)) : NULL;
    it->e.learned = o->learned ? text_copy(o->learned, strlen(o->learned)) : NULL;
    if ((o->near && !it->e.near) || (o->via && !it->e.via) || (o->at && !it->e.at) || (o->learned && !it->e.learned)) {
        item_free(it);
        return NULL;
    }
    return it;
}

int book_add_with(struct book *b, const char *name, const uint8_t key[KEY_LEN], const struct book_options *o)
{
    char folded[BOOK_NAME_MAX + 1], text[BOOK_LINE_MAX + 1], keystr[KEY_STR_LEN + 1];
    if (book_name_fold(folded, name) || (o->multicast && (o->near || o->via || o->at || o->guest)) || (o->near && book_near_valid(o->near)) || (o->via && book_via_valid(o->via)) || (o->at && book_at_valid(o->at)) ||
        (o->learned && (learned_valid(o->learned) || !o->guest)))
        return -EINVAL;
    const struct item *there = find_name(b, folded);
    if (there)
        return same_entry(&there->e, key, o) ? 0 : -EEXIST;

    key_format(key, keystr);
    int n = snprintf(text, sizeof(text), "%s %s%s%s%s%s%s%s%s%s%s%s", folded, keystr, o->multicast ? " multicast" : "", o->guest ? " guest" : "", o->near ? " near=" : "",
        o->near ? o->near : "", o->via ? " via=" : "", o->via ? o->via : "", o->at ? " at=" : "", o->at ? o->at : "", o->learned ? " learned=" : "", o->learned ? o->learned : "");
    if (n > BOOK_LINE_MAX)
        return -EINVAL;
    struct item *it = item_new(folded, key, o);
    char *copy = text_copy(text, (size_t)n);
    int err = it && copy ? line_append(b, copy, it) : -ENOMEM;
    if (err) {
        free(copy);
        item_free(it);
    }
    return err;
}

int book_add(struct book *b, const char *name, const uint8_t key[KEY_LEN])
{
    return book_add_with(b, name, key, &(struct book_options){0});
}

/* Another entry of the same key takes its place in the key table. */
static void key_pass_on(struct book *b, const struct item *gone)
{
    for (size_t i = 0; i < b->n_items; i++) {
        struct item *it = b->items[i];
        if (it != gone && !memcmp(it->e.key, gone->e.key, KEY_LEN))
            key_enter(b, it);
    }
}

int book_remove(struct book *b, const char *name)
{
    struct item *it = find_name(b, name);
    if (!it)
        return -ENOENT;
    size_t i = 0, l = 0;
    while (b->items[i] != it)
        i++;
    while (b->lines[l].item != it)
        l++;
    HASH_DELETE(by_name, b->names, it);
    if (find_key(b, it->e.key) == it) {
        HASH_DELETE(by_key, b->keys, it);
        key_pass_on(b, it);
    }
    memmove(b->items + i, b->items + i + 1, (--b->n_items - i) * sizeof(*b->items));
    free(b->lines[l].text);
    memmove(b->lines + l, b->lines + l + 1, (--b->n_lines - l) * sizeof(*b->lines));
    item_free(it);
    return 0;
}

/* ---- what changes in a line that stays ---- */

static struct line *line_of(const struct book *b, const struct item *it)
{
    size_t l = 0;
    while (b->lines[l].item != it)
        l++;
    return &b->lines[l];
}

/* Where the n-th word of the line begins, 0 the first; a line with an item has name and key. */
static char *word_at(char *text, unsigned n)
{
    for (;; n--) {
        while (is_blank(*text))
            text++;
        if (!n || !*text)
            return text;
        while (*text && !is_blank(*text))
            text++;
    }
}

/* Takes the word which begins so, and stands between the key and a comment, out of the line. */
static void line_cut(char *text, const char *begin)
{
    char *at = word_at(text, 2);
    while (*at && *at != '#' && strncmp(at, begin, strlen(begin)) != 0)
        at = word_at(at, 1);
    if (!*at || *at == '#')
        return;
    char *end = at;
    while (*end && !is_blank(*end))
        end++;
    while (at > text && is_blank(at[-1]))
        at--;
    memmove(at, end, strlen(end) + 1);
}

bool book_befriend(struct book *b, const uint8_t key[KEY_LEN])
{
    bool some = false;
    for (size_t i = 0; i < b->n_items; i++) {
        struct item *it = b->items[i];
        if (!it->e.guest || memcmp(it->e.key, key, KEY_LEN))
            continue;
        line_cut(line_of(b, it)->text, "guest");
        line_cut(line_of(b, it)->text, "learned=");
        it->e.guest = false;
        free((char *)it->e.learned);
        it->e.learned = NULL;
        some = true;
    }
    return some;
}

size_t book_rekey(struct book *b, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN])
{
    char keystr[KEY_STR_LEN + 1];
    struct item *found = find_key(b, old);
    size_t n = 0;
    if (!found || !memcmp(old, new, KEY_LEN))
        return 0;
    key_format(new, keystr);
    HASH_DELETE(by_key, b->keys, found);
    for (size_t i = 0; i < b->n_items; i++) {
        struct item *it = b->items[i];
        if (memcmp(it->e.key, old, KEY_LEN))
            continue;
        memcpy(word_at(line_of(b, it)->text, 1), keystr, KEY_STR_LEN);
        memcpy(it->e.key, new, KEY_LEN);
        key_enter(b, it);
        n++;
    }
    return n;
}

int book_free_name(const struct book *b, const char *name, char out[BOOK_NAME_MAX + 1])
{
    enum { TRIES = 1000, LABEL_MAX = 63, NUMBER_MAX = 5 };
    if (book_name_fold(out, name))
        return -EINVAL;
    size_t len = strlen(out), last = len;
    while (last && out[last - 1] != '.')
        last--;
    if (len - last > LABEL_MAX - NUMBER_MAX)
        len = last + LABEL_MAX - NUMBER_MAX;
    if (len > BOOK_NAME_MAX - NUMBER_MAX)
        len = BOOK_NAME_MAX - NUMBER_MAX;
    for (unsigned i = 2; find_name(b, out); i++) {
        if (i == TRIES)
            return -ENOSPC;
        snprintf(out + len, NUMBER_MAX + 1, "-%u", i);
    }
    return 0;
}

const struct book_entry *book_find(const struct book *b, const char *name)
{
    const struct item *it = find_name(b, name);
    return it ? &it->e : NULL;
}

const struct book_entry *book_find_key(const struct book *b, const uint8_t key[KEY_LEN])
{
    const struct item *it = find_key(b, key);
    return it ? &it->e : NULL;
}

size_t book_count(const struct book *b)
{
    return b->n_items;
}

const struct book_entry *book_at(const struct book *b, size_t i)
{
    return i < b->n_items ? &b->items[i]->e : NULL;
}

int book_move_entry(struct book *b, const char *name, const uint8_t key[KEY_LEN], const struct book_options *o)
{
    const struct book_entry *e = book_find(b, name);
    struct book_options was = *o;
    was.at = e ? e->at : NULL;
    if (!e || !same_entry(e, key, &was) || (o->at && book_at_valid(o->at)))
        return -EEXIST;
    book_remove(b, name);
    return book_add_with(b, name, key, o);
}
