#include "daemon/pump/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/base/log.h"
#include "daemon/control/report.h"
#include "daemon/io/files.h"
#include "daemon/io/log_file.h"
#include "daemon/io/watch.h"
#include "daemon/policy/schema.h"
#include "daemon/pump/control.h"
#include "daemon/pump/impl.h"
#include "daemon/pump/policy.h"
#include "daemon/pump/portal.h"

/* What is written in pieces is read when it has been quiet for so long. */
#define SETTLE_US (200 * USEC_PER_MSEC)

enum { EX_CONFIG = 78 };

struct reload {
    struct watch *watch; /* NULL: there is no folder to be watched */
    mono_t due;          /* something has changed; MONO_NEVER: nothing has */
    bool had_file;
    char wrong[1300]; /* "": nothing is */
};

/* ---- the file ---- */

static const char *unread(const char *path, int err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return "it is a folder, and should be a file";
    if (err == -EINVAL)
        return "it is no regular file";
    if (err == -EFBIG)
        return "it is far too large for a configuration";
    return strerror(-err);
}

int reload_read(const char *path, struct config *c, char *why, size_t whylen)
{
    struct config_errors *e = malloc(sizeof(*e));
    char *text = NULL;
    size_t len = 0;
    int err = e ? file_read(path, false, &text, &len) : -ENOMEM;
    if (err == -ENOENT) {
        config_default(c);
        err = 0;
    } else if (err) {
        snprintf(why, whylen, "%s:1: file: %s", path, unread(path, err));
    } else if ((err = config_parse(c, text, len, e)) < 0) {
        config_errors_text(e, path, why, whylen);
    }
    free(text);
    free(e);
    return err ? -EINVAL : 0;
}

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || errno != ENOENT;
}

/* ---- what has changed ---- */

static void add_name(char list[256], const char *name)
{
    size_t len = strlen(list);
    snprintf(list + len, 256 - len, "%s%s", len ? ", " : "", name);
}

static bool lists_differ(const void *a, unsigned n, const void *b, unsigned m, size_t size)
{
    return n != m || (n && memcmp(a, b, n * size) != 0);
}

/* What counts from the next start only stays in `next` as it is now; names of both sorts go to out. */
static void compare(const struct config *now, struct config *next, struct reload_outcome *out)
{
    for (const struct config_option *o = NULL; (o = config_differ(now, next, o));) {
        add_name(o->restart ? out->later : out->now, o->name);
        if (o->restart)
            memcpy((char *)next + o->offset, (const char *)now + o->offset, o->size);
    }
    if (lists_differ(now->rules, now->n_rules, next->rules, next->n_rules, sizeof(*now->rules)))
        add_name(out->now, "rule");
    if (lists_differ(now->middleboxes, now->n_middleboxes, next->middleboxes, next->n_middleboxes, sizeof(*now->middleboxes)))
        add_name(out->now, "middlebox");
    if (lists_differ(now->exposes, now->n_exposes, next->exposes, next->n_exposes, sizeof(*now->exposes)))
        add_name(out->now, "expose");
    if (lists_differ(now->overlays, now->n_overlays, next->overlays, next->n_overlays, sizeof(*now->overlays)))
        add_name(out->now, "overlay");
    if (lists_differ(now->gateways, now->n_gateways, next->gateways, next->n_gateways, sizeof(*now->gateways)))
        add_name(out->now, "gateway");
    if (lists_differ(now->portals, now->n_portals, next->portals, next->n_portals, sizeof(*now->portals)))
        add_name(out->now, "portal");
    if (lists_differ(now->publishes, now->n_publishes, next->publishes, next->n_publishes, sizeof(*now->publishes)))
        add_name(out->now, "publish");
    out->same = !out->now[0] && !out->later[0];
}

/* ---- into force ---- */

/* What could be had of them is there. */
static void renew_overlays(struct pump *p)
{
    char why[300];
    int err = overlays_configure(p, &p->config, why, sizeof(why));
    if (err)
        log_error("overlays are not all as configured err=%d: %s", err, why);
}

/* What rules say about single peers has been renewed with the access table: it goes through the book. */
static void renew_sessions(struct pump *p)
{
    for (struct overlay *o = p->overlays; o; o = o->next) {
        if (o->kind->renewed)
            o->kind->renewed(o);
        for (struct side *s = o->sides; s; s = s->next)
            peers_set_wishes(s->peers, p->config.shortcut, !p->config.encrypt);
    }
}

/* 0 or -ENOMEM: nothing has changed. What is left over is in next, to be freed. */
static int enforce(struct pump *p, struct config *next)
{
    if (policy_renew(p, next) < 0)
        return -ENOMEM;
    struct config old = p->config;
    p->config = *next;
    *next = old;
    if (p->config.log_level != old.log_level)
        log_set_level((enum log_level)p->config.log_level);
    if (access_rebuild(p) < 0)
        log_warn("exposed ports are as before: out of memory");
    renew_overlays(p);
    renew_sessions(p);
    portal_configure(p);
    return 0;
}

static void log_lines(const char *text)
{
    while (*text) {
        int n = (int)strcspn(text, "\n");
        log_error("configuration refused: %.*s", n, text);
        text += n + (text[n] == '\n');
    }
}

static void set_wrong(struct reload *r, const char *why)
{
    snprintf(r->wrong, sizeof(r->wrong), "%.*s", (int)strcspn(why, "\n"), why);
}

static int refuse(struct pump *p, const struct reload_outcome *out)
{
    bool news = strncmp(p->reload->wrong, out->why, strlen(p->reload->wrong)) != 0 || !p->reload->wrong[0];
    set_wrong(p->reload, out->why);
    if (news)
        log_lines(out->why);
    return -EINVAL;
}

int reload_now(struct pump *p, struct reload_outcome *out)
{
    struct config next;
    struct reload *r = p->reload;
    memset(out, 0, sizeof(*out));
    r->due = MONO_NEVER;
    bool there = is_there(p->paths.config);
    if (!there && r->had_file) {
        snprintf(out->why, sizeof(out->why), "%s:1: file: it is gone; what it said goes on until the daemon ends", p->paths.config);
        return refuse(p, out);
    }
    if (reload_read(p->paths.config, &next, out->why, sizeof(out->why)))
        return refuse(p, out);
    compare(&p->config, &next, out);
    int err = out->same ? 0 : enforce(p, &next);
    config_free(&next);
    if (err) {
        snprintf(out->why, sizeof(out->why), "%s:1: file: out of memory", p->paths.config);
        return refuse(p, out);
    }
    r->had_file = there;
    if (!out->same || r->wrong[0])
        log_info("configuration reloaded rules=%u exposed=%u changed=\"%s\" from-the-next-start=\"%s\"", p->config.n_rules, p->config.n_exposes,
            out->now, out->later);
    r->wrong[0] = '\0';
    return 0;
}

const char *reload_wrong(const struct pump *p)
{
    return p->reload && p->reload->wrong[0] ? p->reload->wrong : NULL;
}

void pump_reload(struct pump *p)
{
    struct reload_outcome *out = malloc(sizeof(*out));
    pump_clock(p);
    if (out)
        reload_now(p, out);
    free(out);
}

/* ---- of its own accord ---- */

static void on_change(void *ctx)
{
    struct pump *p = ctx;
    p->reload->due = mono_add(mono_now(), SETTLE_US);
}

int reload_start(struct pump *p)
{
    struct reload *r = p->reload = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->due = MONO_NEVER;
    r->had_file = is_there(p->paths.config);
    int err = watch_open(&r->watch, p->set, p->paths.config, on_change, p);
    if (err)
        log_info("configuration file=%s is not watched err=%d: after a change, i3ctl reload", p->paths.config, err);
    return 0;
}

void reload_stop(struct pump *p)
{
    if (!p->reload)
        return;
    watch_close(p->reload->watch);
    free(p->reload);
    p->reload = NULL;
}

mono_t reload_deadline(const struct pump *p)
{
    return p->reload->due;
}

void reload_expire(struct pump *p)
{
    if (p->reload->due.us != MONO_NEVER.us && mono_due(p->reload->due, p->now))
        pump_reload(p);
}

/* ---- i3ctl reload ---- */

void verb_reload(struct control_call *k)
{
    struct reload_outcome *out = malloc(sizeof(*out));
    if (!out) {
        control_fail(k, report_error("out of memory"));
        return;
    }
    if (reload_now(k->p, out) < 0)
        control_reply(k->client, k->serial, false, EX_CONFIG, report_refused(out->why));
    else
        control_done(k, report_reload(k->p->paths.config, out->same, out->now, out->later));
    free(out);
}
