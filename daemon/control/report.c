#include "daemon/control/report.h"

#include <stdarg.h>
#include <stdlib.h>

#include "daemon/control/json.h"
#include "daemon/control/overlay_report.h"
#include "daemon/control/warnings.h"
#include "include/ipc.h"

static void set_number(json_t *o, const char *name, uint64_t value)
{
    set(o, name, json_integer((json_int_t)value));
}

static void set_ip(json_t *o, const char *name, uint32_t ip)
{
    char s[16];
    snprintf(s, sizeof(s), "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
    set_text(o, name, s);
}

static void set_key(json_t *o, const char *name, const uint8_t *key)
{
    char s[KEY_STR_LEN + 1];
    key_format(key, s);
    set_text(o, name, s);
}

/* Seconds since t, null when it never was. */
static void set_age(json_t *o, const char *name, mono_t t, mono_t now)
{
    if (t.us == 0 || t.us == MONO_NEVER.us)
        set(o, name, json_null());
    else
        set(o, name, json_real((double)(mono_since(t, now) / 1000) / 1000));
}

/* The IPv6 address of the host with that id. */
static void set_ip6_of(json_t *o, const struct i3_id *id)
{
    uint8_t ip[16];
    char s[INET6_ADDRSTRLEN];
    id_address6(id, ip);
    set_text(o, "address6", inet_ntop(AF_INET6, ip, s, sizeof(s)));
}

static const char *full_name(const struct report_view *v, const uint8_t *key, char out[BOOK_NAME_MAX + 66])
{
    const struct book_entry *e = book_find_key(v->book, key);
    if (!e)
        return NULL;
    report_full_name(v->overlays, v->n_overlays, v->suffix, e->name, out, BOOK_NAME_MAX + 66);
    return out;
}

/* Which of a group's members; null when that is all zeros. */
static void set_member(json_t *o, const char *name, const uint8_t member[GROUP_MEMBER_LEN])
{
    char s[2 * GROUP_MEMBER_LEN + 1];
    unsigned some = 0;
    for (unsigned i = 0; i < GROUP_MEMBER_LEN; i++) {
        snprintf(s + 2 * i, 3, "%02x", member[i]);
        some |= member[i];
    }
    set_text(o, name, some ? s : NULL);
}

static const char *nat_name(unsigned kind)
{
    static const char *const name[NAT_KINDS] = {"unknown", "none", "cone", "symmetric"};
    return kind < NAT_KINDS ? name[kind] : "unknown";
}

static json_t *node_object(const struct report_view *v)
{
    json_t *o = json_object();
    mono_t heard = triggers_last_answer(v->triggers);
    struct addr plain = addr_by(&v->node, ADDR_UDP);
    set_addr(o, "address", &plain);
    set_text(o, "transport", v->transport);
    set_text(o, "transport_why", v->transport_why);
    set(o, "embedded", json_boolean(v->node_embedded));
    set(o, "reachable", json_boolean(triggers_all_standing(v->triggers)));
    if (heard.us == MONO_NEVER.us)
        set(o, "answered_ms_ago", json_null());
    else
        set_number(o, "answered_ms_ago", mono_since(heard, v->now) / 1000);
    set_addr(o, "seen_address", triggers_seen_address(v->triggers));
    set_text(o, "nat", nat_name(v->nat));
    return o;
}

static json_t *node_array(const struct report_view *v)
{
    json_t *a = json_array();
    struct node_info n;
    for (unsigned i = 0; v->nodes && nodes_info(v->nodes, i, &n); i++) {
        json_t *o = json_object();
        set_addr(o, "address", &n.addr);
        set(o, "in_use", json_boolean(n.in_use));
        set_text(o, "state", n.state_name);
        set(o, "rtt_us", n.rtt_us ? json_integer(n.rtt_us) : json_null());
        set_text(o, "why", n.why);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *private_ids(const struct report_view *v)
{
    struct sampler_info s;
    json_t *o = json_object();
    if (!v->sampler)
        return o;
    sampler_info(v->sampler, &s);
    set(o, "rtt_us", s.rtt_us ? json_integer(s.rtt_us) : json_null());
    set(o, "first_rtt_us", s.first_us ? json_integer(s.first_us) : json_null());
    set_number(o, "rounds", s.rounds);
    set_number(o, "keys", s.keys);
    return o;
}

static json_t *trigger_array(const struct report_view *v)
{
    static const char *const reason[] = {NULL, "unknown", "cookie", "proof", "full", "policy"};
    json_t *a = json_array();
    struct trigger_info t;
    for (unsigned i = 0; triggers_info(v->triggers, i, &t); i++) {
        char id[ID_STR];
        json_t *o = json_object();
        bool standing = t.state == TRIGGER_STANDING || t.state == TRIGGER_REFRESHING;
        set_text(o, "id", id_format(&t.id, id));
        set_number(o, "plen", t.plen);
        set_text(o, "state", t.state_name);
        set(o, "expires_s", standing ? json_integer((json_int_t)(mono_since(v->now, t.expiry) / USEC_PER_SEC)) : json_null());
        set_number(o, "refreshes", t.refreshes);
        set_number(o, "inserts", t.inserts);
        set_number(o, "rtt_us", t.rtt_us);
        set_addr(o, "node", &t.node);
        set_text(o, "refused", (size_t)t.last_refusal < ARRAY_LEN(reason) ? reason[t.last_refusal] : "other");
        json_array_append_new(a, o);
    }
    return a;
}

const char *report_path(const struct peer_info *p, const struct addr *node, const char *by, char out[REPORT_PATH])
{
    struct addr plain = addr_by(node, ADDR_UDP);
    char a[ADDR_STR];
    if (p->shortcut.family)
        snprintf(out, REPORT_PATH, "shortcut %s, rtt %.2f ms", addr_str(&p->shortcut, a), p->shortcut_rtt_us / 1000.0);
    else if (node->via == ADDR_TCP)
        snprintf(out, REPORT_PATH, "relayed by %s, by TCP: %s (%s)", addr_str(&plain, a), by, p->relayed_why);
    else
        snprintf(out, REPORT_PATH, "relayed by %s (%s)", addr_str(&plain, a), p->relayed_why);
    return out;
}

static json_t *peer_object(const struct report_view *v, const struct peer_info *p)
{
    char name[BOOK_NAME_MAX + 66], path[REPORT_PATH];
    json_t *o = json_object();
    set_text(o, "name", full_name(v, p->key, name));
    set_key(o, "key", p->key);
    set_ip(o, "address", p->local);
    set_ip6_of(o, &p->public_id);
    set_text(o, "state", p->state);
    set_text(o, "cipher", p->standing ? p->cipher_name : NULL);
    set_number(o, "mtu", p->mtu);
    set_age(o, "age_s", p->standing ? p->since : MONO_NEVER, v->now);
    set_age(o, "idle_s", p->last_received, v->now);
    set_number(o, "packets_in", p->packets_in);
    set_number(o, "packets_out", p->packets_out);
    set_number(o, "bytes_in", p->bytes_in);
    set_number(o, "bytes_out", p->bytes_out);
    set_number(o, "handshakes", p->handshakes);
    set_number(o, "replays", p->replays);
    set_number(o, "forged", p->forged);
    set_number(o, "rtt_us", p->handshake_rtt_us);
    set_text(o, "path", p->standing ? report_path(p, &v->node, v->transport_why, path) : NULL);
    set_addr(o, "shortcut", &p->shortcut);
    set(o, "shortcut_rtt_us", p->shortcut.family ? json_integer(p->shortcut_rtt_us) : json_null());
    set_text(o, "relayed_why", p->shortcut.family ? NULL : p->relayed_why);
    set_member(o, "member", p->member);
    return o;
}

bool report_peer_is_shown(const struct peer_info *p)
{
    return p->standing || p->handshakes || strcmp(p->state, "idle");
}

static void peers_append(json_t *a, const struct report_view *v, const char *overlay)
{
    for (struct peer *p = peer_next(v->peers, NULL); p && json_array_size(a) < REPORT_ROWS_MAX; p = peer_next(v->peers, p)) {
        struct peer_info info;
        peer_info(v->peers, p, v->now, &info);
        if (!report_peer_is_shown(&info))
            continue;
        json_t *o = peer_object(v, &info);
        set_text(o, "overlay", overlay);
        json_array_append_new(a, o);
    }
}

/* As seen from the i-th overlay. */
static struct report_view view_of(const struct report_view *v, unsigned i)
{
    struct report_view w = *v;
    w.peers = v->overlays[i].peers;
    w.node = v->overlays[i].node;
    w.transport_why = v->overlays[i].transport_why;
    return w;
}

static json_t *peer_array(const struct report_view *v)
{
    json_t *a = json_array();
    if (!v->n_overlays)
        peers_append(a, v, "");
    for (unsigned i = 0; i < v->n_overlays; i++) {
        struct report_view w = view_of(v, i);
        peers_append(a, &w, v->overlays[i].name);
    }
    return a;
}

/* The peer at that address, and the view by which it is seen. */
static const struct peer *peer_at(const struct report_view *v, uint32_t remote, struct report_view *w)
{
    const struct peer *peer = NULL;
    *w = *v;
    for (unsigned i = 0; i < v->n_overlays && !peer; i++) {
        *w = view_of(v, i);
        peer = peer_by_address(w->peers, remote);
    }
    return v->n_overlays ? peer : peer_by_address(v->peers, remote);
}

static json_t *listener_object(const char *proto, const struct addr *bound, const struct addr *asked, uint8_t flags)
{
    json_t *o = json_object();
    set_text(o, "proto", proto);
    set_addr(o, "bound", asked);
    set_number(o, "port", asked->port);
    set(o, "overlay_only", json_boolean(flags & IPC_LISTEN_OVERLAY_ONLY));
    set_addr(o, "real", bound);
    return o;
}

static json_t *listener_array(const struct report_view *v)
{
    json_t *a = json_array();
    const struct listener *l;
    for (unsigned at = 0; (l = listener_next(v->listeners, &at, 0)) && json_array_size(a) < REPORT_ROWS_MAX;)
        if (!(l->flags & IPC_LISTEN_BOUND))
            json_array_append_new(a, listener_object("tcp", &l->bound, &l->asked, l->flags));
    for (const struct usock *u = usock_next(v->dgrams, NULL); u && json_array_size(a) < REPORT_ROWS_MAX; u = usock_next(v->dgrams, u))
        if (u->server)
            json_array_append_new(a, listener_object("udp", &u->at, &u->asked, u->flags));
    return a;
}

/* The vsock at the program's end of an engine's connection, by addresses. */
static const struct vsock *vsock_of(const struct report_view *v, const struct tcp_info_row *row)
{
    for (const struct vsock *s = vsock_next(v->vsocks, NULL); s; s = vsock_next(v->vsocks, s))
        if (s->tcp.slot == row->ref.slot && s->tcp.generation == row->ref.generation)
            return s;
    return NULL;
}

/* The end of a connection which is at that host; none when it is IPv6's and the host is not known any more. */
static struct addr row_address(const struct i3_id *host, bool v6, uint32_t ip, uint16_t port)
{
    uint8_t ip6[16];
    if (!v6)
        return addr_v4(ip, port);
    if (!host)
        return (struct addr){0};
    id_address6(host, ip6);
    return addr_v6(ip6, port);
}

static json_t *connection_array(const struct report_view *v)
{
    json_t *a = json_array();
    struct tcp_info_row row;
    for (uint32_t at = 0; tcpip_next(v->tcpip, &at, &row) && json_array_size(a) < REPORT_ROWS_MAX;) {
        char name[BOOK_NAME_MAX + 66];
        const struct vsock *s = vsock_of(v, &row);
        struct report_view w;
        const struct peer *peer = peer_at(v, row.remote, &w);
        struct addr local = row_address(v->id, row.v6, row.local, row.local_port), remote;
        struct peer_info info;
        json_t *o = json_object();
        if (peer)
            peer_info(w.peers, peer, v->now, &info);
        remote = row_address(peer ? &info.public_id : NULL, row.v6, row.remote, row.remote_port);
        set_addr(o, "local", &local);
        set_addr(o, "remote", &remote);
        set_text(o, "name", peer ? full_name(v, info.key, name) : NULL);
        set_text(o, "state", row.state);
        set_text(o, "role", !s ? NULL : s->role == VSOCK_SERVER ? "server" : "client");
        set_number(o, "bytes_in", row.bytes_in);
        set_number(o, "bytes_out", row.bytes_out);
        set_number(o, "queued_out", row.send_queued);
        set_number(o, "queued_in", row.recv_queued);
        set_number(o, "srtt_us", row.srtt_us);
        set_text(o, "congestion", row.law);
        set_number(o, "cwnd", row.cwnd);
        set_number(o, "retransmits", row.retransmits);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *counter_object(const struct report_view *v)
{
    json_t *o = json_object();
    for (unsigned i = 0; i < v->n_counters; i++)
        set_number(o, v->counters[i].name, v->counters[i].value);
    return o;
}

static void set_self(json_t *o, const struct report_view *v)
{
    char id[ID_STR], print[FINGERPRINT_STR];
    set_key(o, "key", v->key);
    set_text(o, "fingerprint", key_fingerprint(v->key, print));
    set_text(o, "id", id_format(v->id, id));
    set_ip(o, "address", v->own);
    set_ip6_of(o, v->id);
}

/* ---- groups ---- */

/* Its triggers: how many, and do all stand? */
static bool group_stands(const struct group *g, const struct triggers *triggers, unsigned *n)
{
    bool all = true;
    struct trigger_info t;
    *n = 0;
    for (unsigned i = 0; triggers_info(triggers, i, &t); i++) {
        if (!id_is_of_key(&t.id, g->entry.key))
            continue;
        all &= t.state == TRIGGER_STANDING || t.state == TRIGGER_REFRESHING;
        ++*n;
    }
    return all && *n;
}

static json_t *group_object(const struct report_group *r, const struct triggers *triggers)
{
    const struct group *g = r->group;
    struct i3_id id;
    unsigned n;
    json_t *o = json_object();
    bool stands = group_stands(g, triggers, &n);
    id_of_key(&id, g->entry.key, NULL);
    set_text(o, "name", g->entry.name);
    set_text(o, "kind", group_kind_name(g->kind));
    set_key(o, "key", g->entry.key);
    set_ip(o, "address", r->address);
    set_ip6_of(o, &id);
    set_member(o, "member", g->member);
    set_text(o, "place", *g->place ? g->place : NULL);
    set_number(o, "triggers", n);
    set(o, "standing", json_boolean(stands));
    set_number(o, "sessions", r->sessions);
    set_number(o, "senders", r->senders);
    set_number(o, "datagrams_in", r->in);
    set_number(o, "datagrams_out", r->out);
    set_number(o, "datagrams_dropped", r->dropped);
    return o;
}

static json_t *group_array(const struct report_group *g, unsigned n, const struct triggers *triggers)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(a, group_object(&g[i], triggers));
    return a;
}

char *report_group(const struct report_group *g, const struct triggers *t)
{
    return finish(group_object(g, t));
}

char *report_groups(const struct report_group *g, unsigned n, const struct triggers *t)
{
    json_t *o = json_object();
    set(o, "groups", group_array(g, n, t));
    return finish(o);
}

char *report_status(const struct report_view *v)
{
    char name[BOOK_NAME_MAX + 66];
    struct tcpip_stats t;
    json_t *o = json_object();
    tcpip_stats(v->tcpip, &t);
    set_text(o, "version", v->version);
    set_number(o, "pid", v->pid);
    set_number(o, "uptime_s", mono_since(v->started, v->now) / USEC_PER_SEC);
    set_number(o, "started", v->started_wall / USEC_PER_SEC);
    set(o, "online", json_boolean(triggers_all_standing(v->triggers)));
    set(o, "warnings", warnings_array(v));
    set_text(o, "name", full_name(v, v->key, name));
    set_self(o, v);
    char network[24];
    snprintf(network, sizeof(network), "%u.%u.%u.%u/%u", v->network >> 24, v->network >> 16 & 255, v->network >> 8 & 255, v->network & 255,
        v->network_bits);
    set_text(o, "network", network);
    set_text(o, "config", v->config);
    set_text(o, "data", v->data);
    set_text(o, "socket", v->socket);
    set_text(o, "sandbox", v->sandbox);
    set(o, "keys_locked", json_boolean(v->keys_locked));
    set_addr(o, "udp", &v->udp);
    set(o, "node", node_object(v));
    set(o, "nodes", node_array(v));
    set(o, "overlays", report_overlay_array(v->overlays, v->n_overlays));
    set(o, "private_ids", private_ids(v));
    set(o, "triggers", trigger_array(v));
    set(o, "peers", peer_array(v));
    set(o, "dropped", dropped_array(v));
    set(o, "groups", group_array(v->groups, v->n_groups, v->triggers));
    set(o, "listeners", listener_array(v));
    set(o, "connections", connection_array(v));
    set_number(o, "connections_total", t.conns);
    set_number(o, "book_entries", book_count(v->book));
    set_number(o, "friends", report_people_known(v, false));
    set_number(o, "guests", report_people_known(v, true));
    set(o, "open_ports", open_ports_array(v));
    set(o, "counters", counter_object(v));
    return finish(o);
}

char *report_host_ring(const struct report_view *v)
{
    json_t *o = json_object();
    set_text(o, "kind", "host");
    set_text(o, "version", v->version);
    set(o, "home", node_object(v));
    set(o, "triggers", trigger_array(v));
    for (size_t i = 0; i < json_array_size(json_object_get(o, "triggers")); i++) {
        json_t *t = json_array_get(json_object_get(o, "triggers"), i);
        json_object_set(t, "owner", json_object_get(t, "node"));
    }
    return finish(o);
}

char *report_id(const struct report_view *v, const bool *created)
{
    json_t *o = json_object();
    set_self(o, v);
    if (created)
        set(o, "created", json_boolean(*created));
    return finish(o);
}

static json_t *entry_object(const struct book_entry *e, uint32_t address)
{
    json_t *o = json_object();
    struct i3_id id;
    id_of_key(&id, e->key, NULL);
    set_text(o, "name", e->name);
    set_key(o, "key", e->key);
    set(o, "multicast", json_boolean(e->multicast));
    set_text(o, "near", e->near);
    set_text(o, "at", e->at);
    set_text(o, "via", e->via);
    set_text(o, "learned", e->learned);
    set_ip(o, "address", address);
    set_ip6_of(o, &id);
    return o;
}

char *report_book(const struct book *b, size_t *at, uint32_t (*address)(void *ctx, const struct book_entry *e), void *ctx, const char *const *claims,
    unsigned n_claims)
{
    json_t *o = json_object(), *a = json_array(), *ours = json_array();
    for (unsigned i = 0; i < n_claims; i++)
        json_array_append_new(ours, json_string(claims[i]));
    for (size_t n = 0; *at < book_count(b) && n < REPORT_ENTRIES_MAX; n++, (*at)++) {
        const struct book_entry *e = book_at(b, *at);
        json_array_append_new(a, entry_object(e, address(ctx, e)));
    }
    set(o, "entries", a);
    set(o, "claims", ours);
    return finish(o);
}

char *report_book_entry(const struct book_entry *e, uint32_t address, bool added)
{
    json_t *o = entry_object(e, address);
    set(o, "added", json_boolean(added));
    return finish(o);
}

char *report_error(const char *fmt, ...)
{
    char text[1400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return report_string("error", text);
}

char *report_string(const char *name, const char *value)
{
    json_t *o = json_object();
    set_text(o, name, value);
    return finish(o);
}

char *report_flag(const char *name, bool value)
{
    json_t *o = json_object();
    set(o, name, json_boolean(value));
    return finish(o);
}

char *report_ping(unsigned sequence, uint64_t rtt_us, const char *error)
{
    json_t *o = json_object();
    set_number(o, "seq", sequence);
    if (error)
        set_text(o, "error", error);
    else
        set_number(o, "rtt_us", rtt_us);
    return finish(o);
}

char *report_ping_end(const char *name, const struct addr *address, unsigned sent, unsigned received, uint64_t min_us,
    uint64_t avg_us, uint64_t max_us, const char *path, const uint8_t *member, const char *overlay)
{
    json_t *o = json_object();
    set_text(o, "name", name);
    set_text(o, "overlay", overlay);
    char ip[INET6_ADDRSTRLEN];
    set_text(o, "address", inet_ntop(address->family == 6 ? AF_INET6 : AF_INET, address->ip, ip, sizeof(ip)));
    set_number(o, "sent", sent);
    set_number(o, "received", received);
    set_number(o, "min_us", min_us);
    set_number(o, "avg_us", avg_us);
    set_number(o, "max_us", max_us);
    set_text(o, "path", path);
    if (member)
        set_member(o, "member", member);
    return finish(o);
}

static json_t *split(const char *list, const char *between)
{
    json_t *a = json_array();
    while (*list) {
        char word[1400];
        const char *end = strstr(list, between);
        size_t n = end ? (size_t)(end - list) : strlen(list);
        snprintf(word, sizeof(word), "%.*s", (int)n, list);
        json_array_append_new(a, json_string(word));
        list += n + (end ? strlen(between) : 0);
    }
    return a;
}

char *report_reload(const char *file, bool same, const char *now, const char *later)
{
    json_t *o = json_object();
    set(o, "reloaded", json_true());
    set_text(o, "file", file);
    set(o, "unchanged", same ? json_true() : json_false());
    set(o, "changed", split(now, ", "));
    set(o, "needs_restart", split(later, ", "));
    return finish(o);
}

char *report_refused(const char *why)
{
    char text[16384];
    json_t *o = json_object();
    snprintf(text, sizeof(text), "the configuration is refused, and the daemon goes on with what it had:\n%s", why);
    set_text(o, "error", text);
    set(o, "errors", split(why, "\n"));
    return finish(o);
}
