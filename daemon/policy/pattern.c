#define PCRE2_CODE_UNIT_WIDTH 8
#include "daemon/policy/pattern.h"

#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy/config.h"

struct pattern {
    pcre2_code *code;
    pcre2_match_context *bounds;
    pcre2_match_data *found;
};

static pcre2_code *compile(const char *text, size_t *at, char *wrong, size_t cap)
{
    int number;
    PCRE2_SIZE offset = 0;
    unsigned char said[120] = "";
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    if (!c) {
        snprintf(wrong, cap, "out of memory");
        return NULL;
    }
    pcre2_set_max_pattern_length(c, CONFIG_MATCH_MAX);
    pcre2_set_parens_nest_limit(c, PATTERN_NESTED);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, strlen(text),
        PCRE2_CASELESS | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &offset, c);
    pcre2_compile_context_free(c);
    if (!code) {
        pcre2_get_error_message(number, said, sizeof(said));
        snprintf(wrong, cap, "%s", (char *)said);
        *at = offset;
    }
    return code;
}

struct pattern *pattern_new(const char *text, size_t *at, char *wrong, size_t cap)
{
    struct pattern *p = calloc(1, sizeof(*p));
    *at = 0;
    if (!p) {
        snprintf(wrong, cap, "out of memory");
        return NULL;
    }
    p->code = compile(text, at, wrong, cap);
    if (p->code) {
        p->bounds = pcre2_match_context_create(NULL);
        p->found = pcre2_match_data_create(1, NULL);
    }
    if (!p->bounds || !p->found) {
        if (p->code)
            snprintf(wrong, cap, "out of memory");
        pattern_free(p);
        return NULL;
    }
    pcre2_set_match_limit(p->bounds, PATTERN_STEPS);
    pcre2_set_depth_limit(p->bounds, PATTERN_DEPTH);
    pcre2_set_heap_limit(p->bounds, PATTERN_HEAP_KB);
    return p;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_match_data_free(p->found);
    pcre2_match_context_free(p->bounds);
    pcre2_code_free(p->code);
    free(p);
}

int pattern_match(const struct pattern *p, const char *name, size_t len)
{
    int n = pcre2_match(p->code, (PCRE2_SPTR)name, len, 0, 0, p->found, p->bounds);
    if (n >= 0)
        return 1;
    return n == PCRE2_ERROR_NOMATCH ? 0 : n == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EOVERFLOW;
}
