/* pump/control.c - i3ctl's verbs: a table from verb to handler; what they show is made in control/report.c. */
#include "daemon/pump/share.h"
#include "daemon/pump/portal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/pump/claims.h"
#include "daemon/pump/lookup.h"
#include "daemon/pump/reload.h"
#include "daemon/io/sandbox.h"
#include "daemon/io/secret.h"

enum { PING_COUNT_DEFAULT = 4, PING_COUNT_MAX = 1000000 };

void control_reply(struct ipc_client *c, uint32_t serial, bool more, uint8_t status, char *json)
{
    uint8_t out[IPC_CONTROL_MAX];
    struct writer w = writer_of(out, sizeof(out));
    char *text = json && strlen(json) <= IPC_TEXT_MAX ? json : NULL;
    static const char too_large[] = "{\"error\":\"the answer is too large or memory is short\"}";
    ipc_put_header(&w, IPC_CONTROL | IPC_REPLY, serial);
    put_u8(&w, more);
    put_u8(&w, text ? status : 1);
    put_zeros(&w, 2);
    put_bytes(&w, text ? text : too_large, strlen(text ? text : too_large));
    ipc_reply(c, &w, -1);
    free(json);
}

void control_done(struct control_call *k, char *json)
{
    control_reply(k->client, k->serial, false, 0, json);
}

void control_fail(struct control_call *k, char *json)
{
    control_reply(k->client, k->serial, false, 1, json);
}

void control_fail_with(struct control_call *k, uint8_t status, char *json)
{
    control_reply(k->client, k->serial, false, status, json);
}

/* ---- id ---- */

struct report_view control_view(struct pump *p)
{
    const struct overlay *o = p->overlays;
    return (struct report_view){.now = p->now,
        .started = p->started,
        .pid = (uint32_t)getpid(),
        .version = I3_VERSION,
        .config = p->paths.config,
        .config_wrong = reload_wrong(p),
        .portal_wrong = portal_wrong(p),
        .data = p->paths.data,
        .suffix = o->suffix,
        .sandbox = sandbox_text(),
        .keys_locked = secret_all_locked(),
        .state_wrong = state_trouble(p, p->disk.text, sizeof(p->disk.text)),
        .key = p->identity.pub,
        .id = &p->public_id,
        .own = p->own,
        .udp = *udp_local(o->udp),
        .node = o->ring->node_addr,
        .node_embedded = o->ring->node != NULL,
        .nat = o->ring->own_addresses.nat ? o->ring->own_addresses.nat : o->ring->nat_seen,
        .started_wall = p->wall_started,
        .network = p->config.network,
        .network_bits = p->config.network_bits,
        .nodes = o->ring->nodes,
        .sampler = o->ring->sample.sampler,
        .transport = transport_name(&o->ring->transport),
        .transport_why = transport_why(&o->ring->transport),
        .triggers = o->ring->triggers,
        .peers = o->peers,
        .book = p->book,
        .vsocks = p->vsocks,
        .listeners = p->listeners,
        .dgrams = dgram_table(p),
        .drops = &p->drops,
        .access = p->access,
        .wall_s = p->wall / USEC_PER_SEC,
        .tcpip = p->tcpip};
}

static void verb_id(struct control_call *k)
{
    struct report_view v = control_view(k->p);
    control_done(k, report_id(&v, NULL));
}

static void verb_init(struct control_call *k)
{
    struct report_view v = control_view(k->p);
    control_done(k, report_id(&v, &k->p->identity.created));
    k->p->identity.created = false;
}

/* ---- book ---- */

static uint32_t book_address(void *ctx, const struct book_entry *e)
{
    return twin_address(ctx, e, false);
}

const char *control_bare_name(const struct pump *p, char *name)
{
    char bare[IPC_NAME_MAX + 1];
    if (names_bare(p, name, bare) && strlen(bare) <= strlen(name))
        strcpy(name, bare);
    return name;
}

/* multicast, near=PLACE, via=NAME,NAME... behind the key; they are to hold water, and the names to be known. */
static bool book_options(struct control_call *k, struct book_options *o)
{
    *o = (struct book_options){0};
    for (int i = 4; i < k->argc; i++) {
        const char *a = k->argv[i];
        if (!strcmp(a, "multicast"))
            o->multicast = true;
        else if (!strncmp(a, "near=", 5))
            o->near = a + 5;
        else if (!strncmp(a, "via=", 4))
            o->via = a + 4;
        else if (!strncmp(a, "at=", 3))
            o->at = a + 3;
    }
    char name[BOOK_NAME_MAX + 1];
    const char *wrong = NULL;
    if (o->multicast && (o->near || o->via))
        wrong = "a multicast group has neither a place nor hosts on the way";
    else if (o->near && book_near_valid(o->near))
        wrong = "a place is one word, or two with '/' between, as eu/berlin";
    else if (o->via && book_via_valid(o->via))
        wrong = "on the way there may be one to three names, with ',' between";
    else if (o->at && (o->multicast || book_at_valid(o->at)))
        wrong = "where a host is, is said by one to six addresses with ',' between, like 203.0.113.9:5700,[2001:db8::1]:5700";
    for (const char *at = wrong || !o->via ? "" : o->via; !wrong && book_via_next(&at, name);)
        if (!book_find(k->p->book, name))
            wrong = "a name that packets shall pass is not in the book";
    if (wrong)
        control_fail(k, report_error("%s", wrong));
    return !wrong;
}

static char *changed(const char *name, const char *was, const char *would, const char *again)
{
    return report_error("%s HAS ANOTHER KEY NOW: it was %s, and would be %s. Either somebody poses as %s, or it has lost its key and made "
                        "a new one: ask, by another way, for its fingerprint ('i3ctl id' prints it there). If all is well: 'i3ctl book rm %s', and again%s",
        name, was, would, name, name, again);
}

char *control_changed_key(const char *name, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN])
{
    char was[FINGERPRINT_STR], is[FINGERPRINT_STR];
    return changed(name, key_fingerprint(old, was), key_fingerprint(new, is), "");
}

char *control_changed_id(const char *name, const uint8_t old[KEY_LEN], const char *is)
{
    char was[FINGERPRINT_STR];
    return changed(name, key_fingerprint(old, was), is, ". If it is merely another machine of that name: join with another one, i3ctl join CODE NAME");
}

static void book_add_verb(struct control_call *k)
{
    struct pump *p = k->p;
    const char *name = control_bare_name(p, k->argv[2]);
    uint8_t key[KEY_LEN];
    int err = key_parse(k->argv[3], key);
    if (err) {
        control_fail(k, report_error("that is not a key: %s",
                    err == -EKEYREJECTED ? "it is a weak point" : "a key is 52 letters and digits, as 'i3ctl id' prints it"));
        return;
    }
    struct book_options o;
    if (!book_options(k, &o))
        return;
    const struct book_entry *there = book_find(p->book, name);
    bool known = there && !there->guest, was_guest = there && there->guest;
    if (there && memcmp(there->key, key, KEY_LEN)) {
        control_fail_with(k, STATUS_KEY_CHANGED, control_changed_key(name, there->key, key));
        return;
    }
    if (was_guest)
        book_befriend(p->book, key);
    if (!there && groups_find(p->groups, name)) {
        control_fail(k, report_error("%s is a group that you are in", name));
        return;
    }
    err = book_add_with(p->book, name, key, &o);
    if (err == -EEXIST && o.at && there && !book_move_entry(p->book, name, key, &o))
        err = 0, known = false; /* it is elsewhere now, and all else is as it was */
    if (!err && !known && (err = pump_book_save(p)) < 0 && !was_guest)
        book_remove(p->book, name);
    if (err == -EEXIST)
        control_fail(k, report_error("%s is in the book with other options; 'i3ctl book rm %s' first if they have really changed", name, name));
    else if (err == -EINVAL)
        control_fail(k, report_error("'%s' cannot be a name: letters, digits, '-' and '_', with dots between", name));
    else if (err)
        control_fail(k, report_error("the book cannot be saved: %s", strerror(-err)));
    if (err)
        return;
    access_rebuild(p);
    control_done(k, report_book_entry(book_find(p->book, name), book_address(p, book_find(p->book, name)), !known));
}

static void book_rm_verb(struct control_call *k)
{
    struct pump *p = k->p;
    const char *name = control_bare_name(p, k->argv[2]);
    const struct book_entry *e = book_find(p->book, name);
    if (!e) {
        control_fail(k, report_error("%s is not in the book", name));
        return;
    }
    struct book_entry old = *e;
    book_remove(p->book, name);
    int err = pump_book_save(p);
    if (err) {
        book_add(p->book, old.name, old.key);
        control_fail(k, report_error("the book cannot be saved: %s", strerror(-err)));
        return;
    }
    lookup_forget(p, old.name);
    received_forget(p->sharing->shares, old.key);
    share_revoke(p->sharing->shares, 0, 0, old.key);
    former_forget(p->sharing->shares, old.key);
    err = share_save(p);
    if (err)
        log_warn("shares cannot be written err=%d: tried again at the next change", err);
    access_rebuild(p);
    net_output(p);
    access_forget(p, old.key);
    control_done(k, report_string("removed", old.name));
}

static void book_ls_verb(struct control_call *k)
{
    size_t at = 0;
    char full[CLAIMS_MAX][IPC_NAME_MAX + 1];
    const char *claims[CLAIMS_MAX];
    unsigned n = 0;
    while (n < CLAIMS_MAX && (claims[n] = claims_at(k->p, n, full[n])))
        n++;
    do {
        char *json = report_book(k->p->book, &at, book_address, k->p, claims, n);
        n = 0; /* they are told once */
        control_reply(k->client, k->serial, at < book_count(k->p->book), 0, json);
    } while (at < book_count(k->p->book));
}

static void book_claim_verb(struct control_call *k)
{
    struct pump *p = k->p;
    char full[IPC_NAME_MAX + 1];
    const char *name = control_bare_name(p, k->argv[2]);
    int err = claims_add(p, name);
    overlay_of_entry(p, name, full);
    if (err == -EINVAL)
        control_fail(k, report_error("'%s' cannot be a name: letters, digits, '-' and '_', with dots between", name));
    else if (err == -ENOSPC)
        control_fail(k, report_error("%d names are claimed already, which is all that can be: i3ctl book unclaim NAME", CLAIMS_MAX));
    else if (err && err != -EEXIST)
        control_fail(k, report_error("the claim cannot be saved: %s", strerror(-err)));
    else
        control_done(k, report_string("claimed", full));
}

static void book_unclaim_verb(struct control_call *k)
{
    struct pump *p = k->p;
    char full[IPC_NAME_MAX + 1];
    const char *name = control_bare_name(p, k->argv[2]);
    int err = claims_remove(p, name);
    overlay_of_entry(p, name, full);
    if (err == -ENOENT)
        control_fail(k, report_error("%s is not claimed here: i3ctl book list", full));
    else if (err)
        control_fail(k, report_error("the claim cannot be taken back for good: %s", strerror(-err)));
    else
        control_done(k, report_string("unclaimed", full));
}

static void verb_book(struct control_call *k)
{
    if (k->argc >= 4 && !strcmp(k->argv[1], "add"))
        book_add_verb(k);
    else if (k->argc == 3 && !strcmp(k->argv[1], "rm"))
        book_rm_verb(k);
    else if (k->argc == 2 && (!strcmp(k->argv[1], "ls") || !strcmp(k->argv[1], "list")))
        book_ls_verb(k);
    else if (k->argc == 3 && !strcmp(k->argv[1], "claim"))
        book_claim_verb(k);
    else if (k->argc == 3 && !strcmp(k->argv[1], "unclaim"))
        book_unclaim_verb(k);
    else
        control_fail(k, report_error("usage: book claim NAME | book unclaim NAME | book add NAME KEY [multicast] [near=PLACE] [via=NAME,...] | book rm NAME | book ls"));
}

/* ---- ping, stop, version ---- */

/* A virtual address as text. */
static bool address_parse(const char *text, struct addr *a)
{
    a->family = inet_pton(AF_INET, text, a->ip) == 1 ? 4 : inet_pton(AF_INET6, text, a->ip) == 1 ? 6 : 0;
    return a->family;
}

/* What a name that is typed here means: with a suffix or, for short, as the book has it. True: it is being looked up, and the verb
 * will run again. */
static bool named(struct control_call *k, const char *name, const struct book_entry **e, const char **why)
{
    struct pump *p = k->p;
    char full[IPC_NAME_MAX + 1], bare[IPC_NAME_MAX + 1];
    snprintf(full, sizeof(full), "%s", name);
    if (!names_bare(p, name, bare))
        overlay_of_entry(p, name, full);
    int status = names_look(p, full, e, why);
    *e = status ? NULL : *e;
    return status == IPC_PENDING && lookup_wait(p, full, k->client, k->serial, k->record, k->record_len);
}

static void verb_ping(struct control_call *k)
{
    struct pump *p = k->p;
    char *end = NULL;
    unsigned long count = k->argc > 2 ? strtoul(k->argv[2], &end, 10) : PING_COUNT_DEFAULT;
    if (k->argc < 2 || k->argc > 3 || (end && *end) || count < 1 || count > PING_COUNT_MAX) {
        control_fail(k, report_error("usage: ping NAME|ADDRESS [COUNT]"));
        return;
    }
    struct addr a = {0};
    const struct book_entry *e = NULL;
    const char *why = "";
    if (!address_parse(k->argv[1], &a)) {
        if (named(k, k->argv[1], &e, &why))
            return;
    } else {
        const uint8_t *key = pool_key(p->pool, p->now, names_host(p, &a));
        e = twin_is(p, key) ? twin_entry(p, key) : key ? book_find_key(p->book, key) : NULL;
    }
    if (!e) {
        control_fail(k, report_error("%s: %s", k->argv[1], *why ? why : a.family ? "nobody that you know has that address" :
                    "name not known; 'i3ctl book ls' lists those that are, 'i3ctl join' and 'i3ctl book add' make more"));
        return;
    }
    uint32_t ip = names_address_of(p, e, 0);
    if (drop_has(p, e->key))
        control_fail(k, report_error("%s is dropped, so nothing is asked of it: 'i3ctl undrop %s' lets it in again", e->name, e->name));
    else if (e->multicast)
        control_fail(k, report_error("%s is a multicast group: it takes datagrams and answers nothing", k->argv[1]));
    else if (ip && ip != p->own && side_by_own(p, ip))
        control_fail(k, report_error("%s is a group that this very host is a member of", k->argv[1]));
    else if (!ip || ip == p->own)
        control_fail(k, report_error(ip ? "%s is this very host" : "%s: no virtual address is left", k->argv[1]));
    else if (ping_start(p, k->client, k->serial, k->argv[1], ip, a.family == 6, (unsigned)count) < 0)
        control_fail(k, report_error("too many pings at once"));
}

static void verb_ping_end(struct control_call *k)
{
    ping_finish(k->p, k->client);
    control_done(k, report_flag("ended", true));
}

static void verb_ring(struct control_call *k)
{
    struct report_view v = control_view(k->p);
    if (k->argc > 1)
        control_fail(k, report_error("only an overlay node can look that up, and none runs here: i3ctl ring --node NODE %s", k->argv[1]));
    else
        control_done(k, report_host_ring(&v));
}

static void verb_stop(struct control_call *k)
{
    control_done(k, report_flag("stopping", true));
    k->p->stop(k->p->ctx);
}

static void verb_version(struct control_call *k)
{
    control_done(k, report_string("version", I3_VERSION));
}

static const struct {
    const char *name;
    void (*run)(struct control_call *);
} verbs[] = {
    {"id", verb_id},
    {"init", verb_init},
    {"status", verb_status},
    {"book", verb_book},
    {"group", verb_group},
    {"nodes", verb_nodes},
    {"box", verb_box},
    {"alerts", verb_alerts},
    {"drop", verb_drop},
    {"undrop", verb_undrop},
    {"ping", verb_ping},
    {"ping-end", verb_ping_end},
    {"ring", verb_ring},
    {"mesh", verb_mesh},
    {"metrics", verb_metrics},
    {"trace", verb_trace},
    {"share", verb_share},
    {"unshare", verb_unshare},
    {"join", verb_join},
    {"peers", verb_peers},
    {"rotate", verb_rotate},
    {"reload", verb_reload},
    {"why", verb_why},
    {"gateway", verb_gateway},
    {"anonymous", verb_anonymous},
    {"portal", verb_portal},
    {"stop", verb_stop},
    {"version", verb_version},
};

void control_request(struct pump *p, struct ipc_client *c, uint32_t serial, const uint8_t *data, size_t len)
{
    char text[IPC_MAX_LEN];
    struct control_call k = {.p = p, .client = c, .serial = serial, .record = data, .record_len = len};
    size_t at = 0;
    if (!len || len > sizeof(text) || data[len - 1]) {
        control_fail(&k, report_error("malformed request"));
        return;
    }
    memcpy(text, data, len);
    while (at < len && k.argc < CONTROL_ARGS_MAX) {
        k.argv[k.argc++] = text + at;
        at += strlen(text + at) + 1;
    }
    for (size_t i = 0; at == len && i < ARRAY_LEN(verbs); i++) {
        if (!strcmp(k.argv[0], verbs[i].name)) {
            verbs[i].run(&k);
            return;
        }
    }
    control_fail(&k, report_error("unknown verb '%s'", k.argv[0]));
}
