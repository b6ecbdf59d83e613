#include "tools/i3ctl_doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tools/i3ctl_table.h"

void doctor_say(struct doctor *d, const char *check, enum finding f, const char *fix, const char *fmt, ...)
{
    enum { TEXT_AT = 17 };
    static const char *const word[FINDINGS] = {"ok", "note", "warn", "FAIL"}, *const plain[FINDINGS] = {"ok", "note", "warn", "fail"};
    static const enum ink colour[FINDINGS] = {INK_GOOD, INK_HEAD, INK_WARN, INK_BAD};
    char text[CTL_ERR_LEN * 2];
    size_t width = out_width();
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    d->count[f]++;
    json_array_append_new(d->list, json_pack("{s:s s:s s:s s:s?}", "check", check, "result", plain[f], "text", text, "fix", f == FINDING_OK ? NULL : fix));
    if (d->c->json)
        return;
    printf("%s%-4s%s  %-9s  ", ink(colour[f]), word[f], ink(INK_END), check);
    text_wrapped(stdout, text, TEXT_AT, TEXT_AT, width);
    if (f != FINDING_OK && fix) {
        printf("%*s-> ", TEXT_AT, "");
        text_wrapped(stdout, fix, TEXT_AT + 3, TEXT_AT + 3, width);
    }
    fflush(stdout);
}

bool doctor_data(const struct doctor *d, char path[PATH_MAX])
{
    const char *told = json_text(d->status, "data");
    if (!*told)
        return link_data(path);
    return snprintf(path, PATH_MAX, "%s", told) < PATH_MAX;
}

/* ---- the daemon ---- */

static void check_config(struct doctor *d)
{
    char why[CTL_ERR_LEN];
    const char *file = json_text(d->status, "config");
    if (link_config_refused(why))
        doctor_say(d, "config", FINDING_FAIL, "correct that line; `i3d --check` tells whether it is right, i3.conf(5) what may stand there", "%s",
            !strncmp(why, "i3d: ", 5) ? why + 5 : why);
    else
        doctor_say(d, "config", FINDING_OK, NULL, "%s%s", *file ? file : "i3.conf",
            *file && access(file, F_OK) ? " is not there, and need not be" : " is right");
}

/* The status, or the reason why there is none is said. */
static void ask_daemon(struct doctor *d, int *exit)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)], err[CTL_ERR_LEN] = "", up[PIECE];
    struct link_reply r;
    *exit = link_path(path);
    int fd = *exit ? *exit : link_open(path);
    if (fd < 0 && d->c->start && !link_ensure(NULL, err))
        fd = link_open(path);
    *exit = CTL_NO_DAEMON;
    if (fd < 0) {
        doctor_say(d, "daemon", FINDING_FAIL, d->c->start ? "i3ctl log tells why it ended" : "i3ctl start",
            "no daemon runs%s%s", *err ? ": " : "", err);
        return;
    }
    int failed = link_call(fd, (const char *[]){"status"}, 1, &r);
    close(fd);
    if (failed) {
        doctor_say(d, "daemon", FINDING_FAIL, "i3ctl stop, or end the process; then try again", "the daemon at %s does not answer: %s", path,
            strerror(-failed));
        return;
    }
    *exit = CTL_OK;
    d->status = r.doc;
    const char *version = json_text(d->status, "version");
    if (strcmp(version, I3_VERSION))
        doctor_say(d, "daemon", FINDING_WARN, "i3ctl stop; the next command starts the new one, and open connections end",
            "i3d %s runs, but this is i3ctl " I3_VERSION, version);
    else
        doctor_say(d, "daemon", FINDING_OK, NULL, "i3d %s runs, pid %d, up %s", version, (int)json_int(d->status, "pid"),
            seconds_str(json_int(d->status, "uptime_s"), up));
}

/* What the daemon itself complains of, but for what is looked at here in more detail. */
static void check_warnings(struct doctor *d)
{
    static const char *const elsewhere[] = {"offline", "udp_blocked", "no_node"};
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(d->status, "warnings"), i, e)
    {
        bool seen = false;
        for (size_t k = 0; k < ARRAY_LEN(elsewhere); k++)
            seen |= !strcmp(json_text(e, "code"), elsewhere[k]);
        if (!seen)
            doctor_say(d, "daemon", FINDING_FAIL, json_text(e, "fix"), "%s", json_text(e, "text"));
    }
}

static void check_triggers(struct doctor *d)
{
    const json_t *list = json_object_get(d->status, "triggers"), *node = json_object_get(d->status, "node");
    size_t i, standing = 0;
    json_t *e;
    json_array_foreach(list, i, e)
        standing += !strcmp(json_text(e, "state"), "standing") || !strcmp(json_text(e, "state"), "refreshing");
    if (status_triggers_stand(d->status))
        doctor_say(d, "overlay", FINDING_OK, NULL, "all %zu triggers stand: others can find you", standing);
    else
        doctor_say(d, "overlay", FINDING_FAIL, "see the lines about nodes below; it is tried again by itself",
            "%zu of %zu triggers stand: others cannot find you by node %s", standing, json_array_size(list), json_text(node, "address"));
    if (json_is_true(json_object_get(node, "embedded")) || !json_array_size(json_object_get(d->status, "nodes")))
        doctor_say(d, "overlay", FINDING_WARN, "i3ctl join CODE, with an invitation; or i3ctl nodes add HOST:PORT, where others of yours run i3node",
            "no overlay node is configured: you reach users of this machine, and nobody else");
}

static void check_book(struct doctor *d)
{
    int entries = (int)json_int(d->status, "book_entries");
    if (entries)
        doctor_say(d, "book", FINDING_OK, NULL, "%d in your book", entries);
    else
        doctor_say(d, "book", FINDING_NOTE, "i3ctl share PORT here, and what it prints on the other machine; or i3ctl book add NAME KEY",
            "your book is empty: there is nobody to reach yet");
}

/* ---- the verb ---- */

static int summary(struct doctor *d, int exit)
{
    int failed = (int)d->count[FINDING_FAIL], warned = (int)d->count[FINDING_WARN], noted = (int)d->count[FINDING_NOTE];
    if (d->c->json) {
        json_t *doc = json_pack("{s:o s:i s:i s:i s:i}", "checks", d->list, "ok", (int)d->count[FINDING_OK], "noted", noted, "warned", warned,
            "failed", failed);
        show_json(doc, false);
        json_decref(doc);
    } else {
        printf("\n%s%d checks: ", ink(failed ? INK_BAD : warned ? INK_WARN : INK_GOOD), failed + warned + noted + (int)d->count[FINDING_OK]);
        if (failed || warned)
            printf("%d failed, %d with a warning; -> says what to do%s\n", failed, warned, ink(INK_END));
        else
            printf("all is well%s\n", ink(INK_END));
        json_decref(d->list);
    }
    json_decref(d->status);
    return exit ? exit : failed || warned ? CTL_FAILED : CTL_OK;
}

int run_doctor(struct ctl *c)
{
    static void (*const always[])(struct doctor *) = {check_config, doctor_key, doctor_disk, doctor_clock, doctor_files, doctor_static, doctor_linger};
    static void (*const running[])(struct doctor *) = {doctor_preload, check_warnings, check_triggers, doctor_nodes, doctor_nat, doctor_routes, check_book, doctor_gateways};
    struct doctor d = {.c = c, .list = json_array()};
    int exit;
    ask_daemon(&d, &exit);
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        always[i](&d);
    for (size_t i = 0; d.status && i < ARRAY_LEN(running); i++)
        running[i](&d);
    doctor_dns(&d);
    return summary(&d, exit == CTL_NO_DAEMON && link_config_refused(NULL) ? CTL_BAD_CONFIG : exit);
}
