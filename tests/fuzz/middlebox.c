/* Words of middle-boxes, packets as they are shown, and what verdict programs say: nothing may be read or written outside, and a word that is
 * taken is written again as it was. */
#include <stdlib.h>
#include <string.h>

#include "daemon/middlebox/route.h"
#include "daemon/middlebox/show.h"
#include "daemon/middlebox/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void words(const uint8_t *data, size_t size)
{
    struct box_word w;
    uint8_t out[BOX_WORD_MAX];
    if (box_word_decode(data, size, &w))
        return;
    size_t n = box_word_encode(out, sizeof(out), &w);
    if (n != size || (w.kind != BOX_ALERT && memcmp(out, data, n)))
        abort();
}

static void packets(const uint8_t *data, size_t size)
{
    static struct shows *t;
    uint8_t *copy = malloc(size ? size : 1); /* so that a byte too far is seen */
    struct flow_key key;
    if (!t)
        t = shows_new();
    memcpy(copy, data, size);
    bool whole = flow_of(1, data, size, &key);
    if (show_synthesised(t, size & 3, size % 3, copy, size) && !whole)
        abort();
    free(copy);
}

static void lines(const uint8_t *data, size_t size)
{
    char line[VERDICT_LINE + 1];
    uint32_t number;
    const char *text;
    size_t n = size < VERDICT_LINE ? size : VERDICT_LINE;
    memcpy(line, data, n);
    line[n] = '\0';
    if (verdict_parse(line, &number, &text) != VERB_BAD && (text < line || text > line + n) && *text)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    words(data, size);
    packets(data, size);
    lines(data, size);
    return 0;
}
