/* log_format.c - a log line in its forms (log_file.h). */
#include "daemon/io/log_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const level_name[] = {"error", "warn", "info", "debug"};

/* ---- JSON ---- */

struct out {
    char *at, *end;
};

/* Room for the line's own end is kept by the caller. */
static void put(struct out *o, const char *s, size_t n)
{
    if ((size_t)(o->end - o->at) < n)
        return;
    memcpy(o->at, s, n);
    o->at += n;
}

/* The length of the UTF-8 character at s, 0 when it is none. */
static size_t utf8_len(const char *s, size_t n)
{
    const uint8_t *b = (const uint8_t *)s;
    size_t len = b[0] < 0x80 ? 1 : b[0] >= 0xc2 && b[0] < 0xe0 ? 2 : b[0] >= 0xe0 && b[0] < 0xf0 ? 3 : b[0] >= 0xf0 && b[0] < 0xf5 ? 4 : 0;
    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    bool too_long = (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xf0 && b[1] < 0x90);
    bool none = (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf4 && b[1] > 0x8f);
    return too_long || none ? 0 : len;
}

static void put_string(struct out *o, const char *s, size_t n)
{
    put(o, "\"", 1);
    for (size_t i = 0; i < n;) {
        char code[8];
        size_t len = utf8_len(s + i, n - i);
        if (s[i] == '"' || s[i] == '\\') {
            put(o, (char[]){'\\', s[i]}, 2);
        } else if (len && (uint8_t)s[i] >= ' ' && s[i] != 127) {
            put(o, s + i, len);
        } else {
            snprintf(code, sizeof(code), "\\u%04x", (uint8_t)s[i]);
            put(o, code, 6);
        }
        i += len ? len : 1;
    }
    put(o, "\"", 1);
}

/* The word at s has a name before a '=': the name's length, else 0. */
static size_t field_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return s[n] == '=' ? n : 0;
}

/* The next word with a field's name behind s, or the end. */
static const char *next_field(const char *s)
{
    while ((s = strchr(s, ' ')))
        if (field_name(++s))
            return s;
    return NULL;
}

static size_t trimmed(const char *s, const char *end)
{
    while (end > s && end[-1] == ' ')
        end--;
    return (size_t)(end - s);
}

/* A field that is called as one of ours gets a '_' behind its name. */
static bool is_ours(const char *s, size_t n)
{
    return (n == 4 && !memcmp(s, "time", 4)) || (n == 5 && (!memcmp(s, "level", 5) || !memcmp(s, "event", 5)));
}

static size_t format_json(enum log_level level, const char *time, const char *text, char *out, size_t cap)
{
    struct out o = {out, out + cap - 2};
    const char *end = text + strlen(text), *at = field_name(text) ? text : next_field(text);
    put(&o, "{\"time\":", 8);
    put_string(&o, time, strlen(time));
    put(&o, ",\"level\":", 9);
    put_string(&o, level_name[level], strlen(level_name[level]));
    put(&o, ",\"event\":", 9);
    put_string(&o, text, trimmed(text, at ? at : end));
    while (at) {
        const char *next = next_field(at);
        char name[64];
        size_t n = field_name(at);
        int len = snprintf(name, sizeof(name), "%.*s%s", n < 60 ? (int)n : 60, at, is_ours(at, n) ? "_" : "");
        put(&o, ",", 1);
        put_string(&o, name, (size_t)len);
        put(&o, ":", 1);
        put_string(&o, at + n + 1, trimmed(at + n + 1, next ? next : end));
        at = next;
    }
    *o.at++ = '}';
    *o.at++ = '\n';
    return (size_t)(o.at - out);
}

/* ---- text ---- */

/* What would be another line, or confuse a terminal, is shown as '?'. */
static size_t format_text(const char *head, const char *text, char *out, size_t cap)
{
    int n = snprintf(out, cap, "%s%s", head, text);
    size_t len = n < 0 ? 0 : (size_t)n < cap - 1 ? (size_t)n : cap - 2;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)out[i] < ' ' || out[i] == 127)
            out[i] = '?';
    out[len++] = '\n';
    return len;
}

size_t log_format_line(enum log_format format, enum log_level level, const char *time, const char *text, char *out, size_t cap)
{
    static const char syslog[] = {'3', '4', '6', '7'};
    char head[64];
    switch (format) {
    case LOG_FORMAT_JSON:
        return format_json(level, time, text, out, cap);
    case LOG_FORMAT_JOURNAL:
        snprintf(head, sizeof(head), "<%c>", syslog[level]);
        return format_text(head, text, out, cap);
    case LOG_FORMAT_TEXT:
        break;
    }
    snprintf(head, sizeof(head), "%s %s ", time, level_name[level]);
    return format_text(head, text, out, cap);
}
