/* Any text as an address book: what parses comes back byte for byte, and what comes back parses to the same;
 * changes on top of it keep everything else. */
#include "daemon/naming/book.h"

#include <stdlib.h>

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Guests become friends, and keys others: the rest of every line stays as it is, and the whole is a book again. */
static void change_all(struct book *b)
{
    uint8_t key[KEY_LEN], new[KEY_LEN] = {9};
    size_t len, n = book_count(b);
    unsigned line;
    char err[128], name[BOOK_NAME_MAX + 1];
    if (!n || book_find_key(b, new))
        return;
    memcpy(key, book_at(b, 0)->key, KEY_LEN);
    book_befriend(b, key);
    require(!book_find_key(b, key)->guest);
    require(book_rekey(b, key, new) > 0 && !book_find_key(b, key));
    require(!memcmp(book_at(b, 0)->key, new, KEY_LEN));
    require(book_free_name(b, book_at(b, 0)->name, name) || !book_find(b, name));
    struct book *again = book_new();
    char *text = book_format(b, &len);
    require(book_parse(again, text, len, &line, err, sizeof(err)) == 0);
    for (size_t i = 0; i < n; i++)
        require(!memcmp(book_at(again, i)->key, book_at(b, i)->key, KEY_LEN) && book_at(again, i)->guest == book_at(b, i)->guest);
    free(text);
    book_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_entries(const struct book *a, const struct book *b)
{
    require(book_count(a) == book_count(b));
    for (size_t i = 0; i < book_count(a); i++) {
        const struct book_entry *e = book_at(a, i), *f = book_at(b, i);
        require(!strcmp(e->name, f->name) && !memcmp(e->key, f->key, KEY_LEN));
        require(book_name_valid(e->name) && book_find(a, e->name) == e);
        require(!memcmp(book_find_key(a, e->key)->key, e->key, KEY_LEN));
    }
}

/* Adds an entry and takes it away: the text is as before. */
static void add_and_remove(struct book *b, const char *before)
{
    static const uint8_t key[KEY_LEN] = {42};
    size_t len;
    if (book_find(b, "zz.new"))
        return;
    require(book_add(b, "ZZ.new", key) == 0);
    require(book_find_key(b, key) != NULL);
    require(book_remove(b, "zz.NEW") == 0);
    char *text = book_format(b, &len);
    require(!strcmp(text, before));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct book *a = book_new(), *b = book_new();
    unsigned line;
    char err[128];
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    book_name_valid(text);
    if (book_parse(a, text, size, &line, err, sizeof(err))) {
        require(line >= 1 && err[0] && book_count(a) == 0);
    } else {
        size_t len;
        char *out = book_format(a, &len);
        bool newline = size && text[size - 1] != '\n';
        require(len == size + newline && !memcmp(out, text, size) && (!newline || out[size] == '\n'));
        require(book_parse(b, out, len, &line, err, sizeof(err)) == 0);
        same_entries(a, b);
        add_and_remove(a, out);
        change_all(a);
        free(out);
    }
    free(text);
    book_free(a);
    book_free(b);
    return 0;
}
