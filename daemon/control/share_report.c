#include "daemon/control/share_report.h"

#include <arpa/inet.h>

#include "daemon/control/json.h"
#include "include/bytes.h"

static void set_proto(json_t *o, uint8_t proto, uint16_t port)
{
    set(o, "port", json_integer(port));
    set_text(o, "proto", proto == IPPROTO_UDP ? "udp" : "tcp");
}

static void set_fingerprint(json_t *o, const char *name, const uint8_t *key)
{
    char s[FINGERPRINT_STR];
    set_text(o, name, key ? key_fingerprint(key, s) : NULL);
}

static void set_key(json_t *o, const uint8_t *key)
{
    char s[KEY_STR_LEN + 1];
    if (!key)
        return;
    key_format(key, s);
    set_text(o, "key", s);
    set_fingerprint(o, "fingerprint", key);
}

static void set_virtual(json_t *o, uint32_t ip)
{
    struct addr a = addr_v4(ip, 0);
    char s[INET_ADDRSTRLEN];
    set_text(o, "address", ip ? inet_ntop(AF_INET, a.ip, s, sizeof(s)) : NULL);
}

static void set_word(json_t *o, const char *name, const char *value)
{
    if (value && *value)
        set_text(o, name, value);
}

char *report_share_new(const struct report_share *r)
{
    json_t *o = json_object();
    set_proto(o, r->proto, r->port);
    set_word(o, "service", r->service);
    set_addr(o, "target", &r->target);
    set_word(o, "code", r->code);
    set_word(o, "tag", r->tag);
    set_word(o, "name", r->name);
    set_word(o, "as", r->as);
    if (r->seconds)
        set(o, "expires_s", json_integer((json_int_t)r->seconds));
    set_key(o, r->key);
    if (r->address)
        set_virtual(o, r->address);
    set(o, "local_only", r->local_only ? json_true() : json_false());
    return finish(o);
}

char *report_share_end(const char *state, const char *name, const char *fingerprint, uint8_t proto, uint16_t port)
{
    json_t *o = json_object();
    set_text(o, "state", state);
    set_proto(o, proto, port);
    set_word(o, "name", name);
    set_word(o, "fingerprint", fingerprint);
    return finish(o);
}

static json_t *granted_to(const struct shares *s, const struct share *sh, const char *(*name_of)(void *, const uint8_t *), void *ctx)
{
    json_t *list = json_array();
    const struct grant *g;
    for (unsigned i = 0; (g = grant_at(s, i)); i++) {
        if (g->proto != sh->proto || g->port != sh->port)
            continue;
        json_t *o = json_object();
        set_text(o, "name", name_of(ctx, g->key));
        set_key(o, g->key);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *invitation_row(const struct invitation *v, uint64_t wall, const char *(*name_of)(void *, const uint8_t *), void *ctx)
{
    static const char hex[] = "0123456789abcdef";
    enum invitation_state state = invitation_state(v, wall);
    char tag[2 * TOKEN_TAG_LEN + 1] = "";
    json_t *o = json_object();
    for (unsigned i = 0; i < TOKEN_TAG_LEN; i++) {
        tag[2 * i] = hex[v->tag[i] >> 4];
        tag[2 * i + 1] = hex[v->tag[i] & 15];
    }
    set_text(o, "tag", tag);
    set_proto(o, v->proto, v->port);
    set_text(o, "state", invitation_state_name(state));
    set_word(o, "name", v->name);
    if (state == INVITATION_OPEN)
        set(o, "expires_s", json_integer((json_int_t)((v->until - wall) / 1000000)));
    if (state == INVITATION_TAKEN) {
        set_text(o, "taken_by", name_of(ctx, v->key));
        set_fingerprint(o, "fingerprint", v->key);
    }
    return o;
}

char *report_shares(struct shares *s, uint64_t wall, const char *(*name_of)(void *ctx, const uint8_t *key), void *ctx)
{
    json_t *whole = json_object(), *list = json_array(), *invitations = json_array();
    const struct share *sh;
    const struct invitation *v;
    for (unsigned i = 0; (sh = share_at(s, i)); i++) {
        json_t *o = json_object();
        set_proto(o, sh->proto, sh->port);
        set_addr(o, "target", &sh->target);
        set(o, "with", granted_to(s, sh, name_of, ctx));
        json_array_append_new(list, o);
    }
    for (unsigned i = 0; (v = invitation_at(s, i)); i++)
        json_array_append_new(invitations, invitation_row(v, wall, name_of, ctx));
    set(whole, "shares", list);
    set(whole, "invitations", invitations);
    return finish(whole);
}

char *report_unshared(unsigned ports, unsigned keys, unsigned invitations, unsigned cut, const char *still)
{
    json_t *o = json_object();
    set(o, "ports", json_integer(ports));
    set(o, "people", json_integer(keys));
    set(o, "invitations", json_integer(invitations));
    set(o, "connections_cut", json_integer(cut));
    set_word(o, "still_open", still);
    return finish(o);
}

char *report_joined(const char *name, const uint8_t *key, uint32_t address, uint8_t proto, uint16_t port, const char *service, bool added,
    bool learned)
{
    json_t *o = json_object();
    set_text(o, "name", name);
    set_key(o, key);
    set_virtual(o, address);
    set_proto(o, proto, port);
    set_word(o, "service", service);
    set(o, "added", added ? json_true() : json_false());
    set(o, "nodes_learned", learned ? json_true() : json_false());
    return finish(o);
}

static json_t *ports(const struct report_port *v, unsigned n)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < n && i < REPORT_PORTS_MAX; i++) {
        json_t *o = json_object();
        set_proto(o, v[i].proto, v[i].port);
        set_text(o, "by", v[i].by_config ? "expose" : "share");
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *person(const struct report_person *r)
{
    json_t *o = json_object();
    set_text(o, "name", r->name);
    set_key(o, r->key);
    set_virtual(o, r->address);
    set_text(o, "role", r->role);
    set_text(o, "state", r->state);
    set_text(o, "path", r->path && *r->path ? r->path : NULL);
    set(o, "heard_s", r->heard ? json_real((double)r->heard_us / 1e6) : json_null());
    set(o, "may_reach", ports(r->reach, r->n_reach));
    set(o, "shares_with_us", ports(r->offers, r->n_offers));
    if (r->former) {
        set_fingerprint(o, "former_fingerprint", r->former->old);
        set(o, "key_changed_at", json_integer((json_int_t)(r->former->since / 1000000)));
    }
    if (r->told >= 0)
        set(o, "knows_our_new_key", r->told ? json_true() : json_false());
    return o;
}

char *report_people(const struct report_person *rows, unsigned n, const uint8_t *own, unsigned strangers, bool open)
{
    json_t *whole = json_object(), *list = json_array();
    set_fingerprint(whole, "own_fingerprint", own);
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(list, person(&rows[i]));
    set(whole, "peers", list);
    set(whole, "open_to_anyone", json_boolean(open));
    set(whole, "strangers", json_integer(strangers));
    return finish(whole);
}

char *report_rotated(const uint8_t *old, const uint8_t *new, unsigned peers, uint64_t seconds)
{
    json_t *o = json_object();
    set_key(o, new);
    set_fingerprint(o, "former_fingerprint", old);
    set(o, "peers", json_integer(peers));
    set(o, "grace_s", json_integer((json_int_t)seconds));
    return finish(o);
}
