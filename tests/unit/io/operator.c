/* What an operator reads: log lines in their forms, and the judgement of requests for the metrics. */
#include <check.h>
#include <jansson.h>
#include <string.h>

#include "daemon/io/http.h"
#include "daemon/io/log_file.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static const char *line(enum log_format f, enum log_level level, const char *text)
{
    static char out[8200];
    size_t n = log_format_line(f, level, "2026-11-24T01:02:03.456Z", text, out, 8000);
    ck_assert_uint_le(n, 8000);
    ck_assert_int_eq(out[n - 1], '\n');
    ck_assert_ptr_null(memchr(out, '\n', n - 1));
    out[n] = '\0';
    return out;
}

START_TEST(a_line_in_each_form)
{
    const char *text = "node started version=0.1.0 address=0.0.0.0:5610";
    ck_assert_str_eq(line(LOG_FORMAT_TEXT, LOG_LVL_INFO, text),
        "2026-11-24T01:02:03.456Z info node started version=0.1.0 address=0.0.0.0:5610\n");
    ck_assert_str_eq(line(LOG_FORMAT_JOURNAL, LOG_LVL_WARN, text), "<4>node started version=0.1.0 address=0.0.0.0:5610\n");
    ck_assert_str_eq(line(LOG_FORMAT_JSON, LOG_LVL_ERROR, text),
        "{\"time\":\"2026-11-24T01:02:03.456Z\",\"level\":\"error\",\"event\":\"node started\",\"version\":\"0.1.0\","
        "\"address\":\"0.0.0.0:5610\"}\n");
}
END_TEST

/* The text, and the fields that it has to have as JSON: name, value, ... */
static const struct {
    const char *text, *fields[10];
} cases[] = {
    {"store full: new triggers are refused triggers=7", {"event", "store full: new triggers are refused", "triggers", "7"}},
    {"control socket missing why=/run/x: no such file id=3",
        {"event", "control socket missing", "why", "/run/x: no such file", "id", "3"}},
    {"a=1", {"event", "", "a", "1"}},
    {"nothing else", {"event", "nothing else"}},
    {"", {"event", ""}},
    {"empty a= b=", {"event", "empty", "a", "", "b", ""}},
    {"own time=5 level=6 event=7", {"event", "own", "time_", "5", "level_", "6", "event_", "7"}},
    {"quote \"here\" and \\ there v=\"x\"", {"event", "quote \"here\" and \\ there", "v", "\"x\""}},
    {"tab\there\nnext line v=\x01\x7f", {"event", "tab\there\nnext line", "v", "\x01\x7f"}},
    {"utf8 \xc3\xa4 v=\xe2\x82\xac", {"event", "utf8 \xc3\xa4", "v", "\xe2\x82\xac"}},
    {"bad utf8 v=\xff\xc0\x80", {"event", "bad utf8", "v", "\xc3\xbf\xc3\x80\xc2\x80"}},
    {"equal v=a=b c=d", {"event", "equal", "v", "a=b", "c", "d"}},
};

START_TEST(every_line_is_one_json_object)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_error_t e;
        json_t *o = json_loads(line(LOG_FORMAT_JSON, LOG_LVL_INFO, cases[i].text), JSON_REJECT_DUPLICATES, &e);
        ck_assert_msg(o != NULL, "%s: %s", cases[i].text, e.text);
        unsigned n = 2;
        for (const char *const *f = cases[i].fields; *f; f += 2, n++)
            ck_assert_str_eq(json_string_value(json_object_get(o, f[0])), f[1]);
        ck_assert_uint_eq(json_object_size(o), n);
        ck_assert_str_eq(json_string_value(json_object_get(o, "level")), "info");
        json_decref(o);
    }
}
END_TEST

START_TEST(the_longest_line_is_whole)
{
    char text[1000];
    for (unsigned kind = 0; kind < 3; kind++) {
        memset(text, kind ? '\x01' : 'x', sizeof(text) - 1);
        for (size_t i = 0; kind == 2 && i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "a= ", 3);
        text[sizeof(text) - 1] = '\0';
        json_t *o = json_loads(line(LOG_FORMAT_JSON, LOG_LVL_INFO, text), 0, NULL);
        ck_assert_ptr_nonnull(o);
        json_decref(o);
    }
}
END_TEST

START_TEST(text_stays_on_its_line)
{
    ck_assert_str_eq(line(LOG_FORMAT_JOURNAL, LOG_LVL_INFO, "a\nb\tc\x1b[0m"), "<6>a?b?c?[0m\n");
}
END_TEST

static const struct {
    const char *request;
    int status;
} requests[] = {
    {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200},
    {"GET /metrics HTTP/1.0\r\n\r\n", 200},
    {"GET /metrics?x=1 HTTP/1.1\r\n\r\n", 200},
    {"GET / HTTP/1.1\r\n\r\n", 404},
    {"GET /metricsx HTTP/1.1\r\n\r\n", 404},
    {"GET /../metrics HTTP/1.1\r\n\r\n", 404},
    {"POST /metrics HTTP/1.1\r\n\r\n", 405},
    {"HEAD /metrics HTTP/1.1\r\n\r\n", 405},
    {"get /metrics HTTP/1.1\r\n\r\n", 405},
    {"GET /metrics\r\n\r\n", 400},
    {"GET /metrics HTTP/2.0\r\n\r\n", 400},
    {" /metrics HTTP/1.1\r\n\r\n", 400},
    {"\r\n\r\n", 400},
    {"GET /met\x01rics HTTP/1.1\r\n\r\n", 400},
    {"GET /metrics HTTP/1.1\r\nHost: x\r\n", 0},
    {"", 0},
};

START_TEST(requests_get_what_they_deserve)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        int got = http_judge(requests[i].request, strlen(requests[i].request), false);
        ck_assert_msg(got == requests[i].status, "%s: %d", requests[i].request, got);
        for (size_t n = 0; requests[i].status && n < strlen(requests[i].request) - 4; n++)
            ck_assert_int_eq(http_judge(requests[i].request, n, false), 0);
    }
    ck_assert_int_eq(http_judge("GET /metrics HTTP/1.1\r\nHost: x", 30, true), 431);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("io/operator");
    TCase *t = tcase_create("operator");
    tcase_add_test(t, a_line_in_each_form);
    tcase_add_test(t, every_line_is_one_json_object);
    tcase_add_test(t, the_longest_line_is_whole);
    tcase_add_test(t, text_stays_on_its_line);
    tcase_add_test(t, requests_get_what_they_deserve);
    suite_add_tcase(s, t);
    return suite_run(s);
}
