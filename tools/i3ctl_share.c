/* i3ctl_share.c - share, unshare, join, peers, rotate: what the daemon does for people who share, in words. */
#include "tools/i3ctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tools/i3ctl_qr.h"
#include "tools/i3ctl_table.h"

enum { JOIN_TIMEOUT_MS = 25000, NODES_TEXT = 1024, NODE_PORT = 5610, PLACE_TEXT = 300 };

/* ---- what is typed ---- */

/* The words of a verb with options of its own. */
struct typed {
    const char *word[3];
    unsigned n;
    const char *name, *to, *life, *nodes, *target, *as;
    bool qr, no_qr, wait, cancel;
};

struct typed_option {
    const char *name;
    size_t offset;
    bool value;
};

#define FLAG(o, f)  {o, offsetof(struct typed, f), false}
#define VALUE(o, f) {o, offsetof(struct typed, f), true}

static const struct typed_option share_options[] = {VALUE("--name", name), VALUE("--to", to), VALUE("--for", life), VALUE("--node", nodes),
    VALUE("--target", target), VALUE("--as", as), FLAG("--qr", qr), FLAG("--no-qr", no_qr), FLAG("--wait", wait), FLAG("--cancel", cancel)};
static const struct typed_option join_options[] = {VALUE("--as", as)};
static const struct typed_option rotate_options[] = {VALUE("--for", life)};

static int take_option(const struct ctl *c, struct typed *t, const struct typed_option *o, size_t n, int *i)
{
    const char *word = c->argv[*i];
    for (size_t k = 0; k < n; k++) {
        size_t len = strlen(o[k].name);
        char *at = (char *)t + o[k].offset;
        if (strncmp(word, o[k].name, len) || (word[len] && (word[len] != '=' || !o[k].value)))
            continue;
        if (!o[k].value)
            *(bool *)at = true;
        else if (word[len])
            *(const char **)at = word + len + 1;
        else if (*i + 1 < c->argc)
            *(const char **)at = c->argv[++*i];
        else
            return ctl_usage(c->verb, "a value is missing after", word);
        return 0;
    }
    return ctl_usage(c->verb, "no option", word);
}

/* 0, or an exit status with the error shown. */
static int take_words(const struct ctl *c, struct typed *t, const struct typed_option *o, size_t n)
{
    *t = (struct typed){0};
    for (int i = 0; i < c->argc; i++) {
        int bad = 0;
        if (c->argv[i][0] == '-' && c->argv[i][1])
            bad = take_option(c, t, o, n, &i);
        else if ((int)t->n == c->verb->max_args)
            return ctl_usage(c->verb, "too many arguments:", c->argv[i]);
        else
            t->word[t->n++] = c->argv[i];
        if (bad)
            return bad;
    }
    if ((int)t->n < c->verb->min_args)
        return ctl_usage(c->verb, "too few arguments", "");
    return 0;
}

/* "10m", "90s", "2h", "1d", "600" into seconds as text; false: it is none. */
static bool take_life(const char *text, char out[PIECE])
{
    static const struct {
        char unit;
        unsigned long seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'\0', 1}};
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (text[0] < '0' || text[0] > '9' || errno || !n || n > 100000000 || *end != units[i].unit || (*end && end[1]))
            continue;
        snprintf(out, PIECE, "%lu", n * units[i].seconds);
        return true;
    }
    return false;
}

/* PORT, PORT/tcp, PORT/udp. False: it is none. */
static bool take_port(const char *text, const char **proto, char port[PIECE])
{
    unsigned n;
    char rest[PIECE] = "";
    if (text[0] < '0' || text[0] > '9' || strlen(text) >= PIECE || sscanf(text, "%u%15s", &n, rest) < 1 || !n || n > 65535)
        return false;
    if (*rest && strcmp(rest, "/tcp") && strcmp(rest, "/udp"))
        return false;
    *proto = strcmp(rest, "/udp") ? "tcp" : "udp";
    snprintf(port, PIECE, "%u", n);
    return true;
}

/* HOST, HOST:PORT, [IPv6]:PORT, or PORT alone where `port_alone`; as ADDRESS:PORT. 0 or an exit status. */
static int take_host(const struct ctl *c, const char *text, unsigned port, bool port_alone, char out[PLACE_TEXT])
{
    char host[256] = "", digits[8] = "";
    const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
    bool alone = port_alone && strspn(text, "0123456789") == strlen(text) && *text;
    if (alone)
        snprintf(host, sizeof(host), "127.0.0.1"), snprintf(digits, sizeof(digits), "%.6s", text);
    else if (text[0] == '[' && bracket)
        snprintf(host, sizeof(host), "%.*s", (int)(bracket - text - 1), text + 1), snprintf(digits, sizeof(digits), "%.6s", bracket[1] == ':' ? bracket + 2 : "");
    else if (colon && strchr(text, ':') == colon)
        snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text), snprintf(digits, sizeof(digits), "%.6s", colon + 1);
    else
        snprintf(host, sizeof(host), "%s", text);
    if (*digits)
        port = strspn(digits, "0123456789") == strlen(digits) ? (unsigned)strtoul(digits, NULL, 10) : 0;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    struct in6_addr literal;
    if (inet_pton(AF_INET, host, &literal) == 1 || inet_pton(AF_INET6, host, &literal) == 1)
        hints.ai_flags = AI_NUMERICHOST;
    int err = port && port < 65536 && *host ? getaddrinfo(host, NULL, &hints, &list) : EAI_NONAME;
    if (err)
        return show_error(c, port && port < 65536 ? CTL_FAILED : CTL_USAGE, "%s: %s", text, err == EAI_NONAME ? "no such host, or no such port" : gai_strerror(err));
    char ip[INET6_ADDRSTRLEN];
    bool v6 = list->ai_family == AF_INET6;
    const void *at = v6 ? (const void *)&((struct sockaddr_in6 *)(void *)list->ai_addr)->sin6_addr : &((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr;
    inet_ntop(list->ai_family, at, ip, sizeof(ip));
    snprintf(out, PLACE_TEXT, v6 ? "[%s]:%u" : "%s:%u", ip, port);
    freeaddrinfo(list);
    return 0;
}

/* Several with ',' between. */
static int take_nodes(const struct ctl *c, const char *text, char out[NODES_TEXT])
{
    size_t at = 0;
    while (*text) {
        char one[256], place[PLACE_TEXT];
        size_t n = strcspn(text, ",");
        snprintf(one, sizeof(one), "%.*s", (int)(n < 255 ? n : 255), text);
        int bad = take_host(c, one, NODE_PORT, false, place);
        if (bad)
            return bad;
        at += (size_t)snprintf(out + at, NODES_TEXT - at, "%s%s", at ? "," : "", place);
        if (at >= NODES_TEXT)
            return show_error(c, CTL_USAGE, "too many nodes");
        text += n + (text[n] == ',');
    }
    return 0;
}

/* ---- in words ---- */

static const char *port_str(const json_t *o, char out[PIECE * 2])
{
    const char *service = json_text(o, "service");
    bool udp = !strcmp(json_text(o, "proto"), "udp");
    snprintf(out, PIECE * 2, "%d%s%s%.20s%s", (int)json_int(o, "port"), udp ? "/udp" : "", *service ? " (" : "", service, *service ? ")" : "");
    return out;
}

/* "10 minutes", for people. */
static const char *life_str(int64_t s, char out[PIECE * 2])
{
    static const struct {
        int64_t seconds;
        const char *one;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (s >= units[i].seconds && (s % units[i].seconds == 0 || s >= 10 * units[i].seconds || units[i].seconds == 1)) {
            int64_t n = s / units[i].seconds;
            snprintf(out, PIECE * 2, "%lld %s%s", (long long)n, units[i].one, n == 1 ? "" : "s");
            return out;
        }
    return "no time";
}

/* What to type to use the port of NAME. */
static void how_to_use(const json_t *o, const char *name)
{
    int port = (int)json_int(o, "port");
    if (!strcmp(json_text(o, "proto"), "udp"))
        printf("    i3run COMMAND ...            with %s, UDP port %d\n", name, port);
    else if (port == 22)
        printf("    i3run ssh USER@%s\n", name);
    else if (port == 80 || port == 8080 || port == 8000 || port == 3000)
        printf("    i3run curl http://%s%s%.0d/\n", name, port == 80 ? "" : ":", port == 80 ? 0 : port);
    else
        printf("    i3run COMMAND ...            with %s, port %d\n", name, port);
}

/* A server that does not run yet is the most frequent disappointment. */
static void warn_silent(const json_t *doc)
{
    const char *target = json_text(doc, "target"), *colon = strrchr(target, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    char ip[INET_ADDRSTRLEN];
    if (strcmp(json_text(doc, "proto"), "tcp") || !colon || (size_t)(colon - target) >= sizeof(ip))
        return;
    snprintf(ip, sizeof(ip), "%.*s", (int)(colon - target), target);
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, ip, &to.sin_addr) != 1 || to.sin_addr.s_addr != htonl(INADDR_LOOPBACK))
        return;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 && connect(fd, (void *)&to, sizeof(to)) < 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    if (refused)
        printf("\n%swarning%s  nothing listens at %s yet: start the server, or name its port: --target PORT\n", ink(INK_WARN), ink(INK_END), target);
}

/* ---- share ---- */

static void show_code(const struct ctl *c, const json_t *doc, const struct typed *t)
{
    char port[PIECE * 2], life[PIECE * 2];
    (void)c;
    printf("Port %s of this machine, for one person. On the other machine, within %s:\n\n    %si3ctl join %s%s\n\n", port_str(doc, port),
        life_str(json_int(doc, "expires_s"), life), ink(INK_HEAD), json_text(doc, "code"), ink(INK_END));
    if (!t->no_qr && (t->qr || out_is_terminal()) && !qr_print(stdout, json_text(doc, "code")) && t->qr)
        puts("(no QR code can be drawn)");
    printf("The code is good once. Whoever has it may reach this port and nothing else of this machine; nobody else gets an answer.\n");
    if (*json_text(doc, "as"))
        printf("There this machine will be called %s.i3%s.\n", json_text(doc, "as"), t->as ? "" : " (--as NAME proposes another name)");
    printf("\n    i3ctl peers                   who has joined\n    i3ctl share --cancel %-8d take the code back\n    i3ctl unshare %-15d shut the port\n",
        (int)json_int(doc, "port"), (int)json_int(doc, "port"));
    if (json_is_true(json_object_get(doc, "local_only")))
        printf("\n%swarning%s  no overlay node is known but on this machine itself, so the code works here only. Name one that both can reach:\n"
               "         i3ctl share %s --node HOST      (any machine with a public address: `i3node` is all it takes)\n",
            ink(INK_WARN), ink(INK_END), t->word[0]);
    warn_silent(doc);
}

static void show_to(const json_t *doc)
{
    char port[PIECE * 2];
    const char *name = json_text(doc, "name");
    printf("%s (%s) can reach port %s of this machine now, without a code.\n", *name ? name : "That key", json_text(doc, "fingerprint"), port_str(doc, port));
    printf("There, if this machine is not in the book yet:\n    i3ctl book add NAME KEY      KEY is what `i3ctl id` prints here\n");
    warn_silent(doc);
}

/* One call of the daemon. The document, NULL with *exit set and the error shown. */
static json_t *ask(const struct ctl *c, const char *const *words, size_t n, int timeout_ms, int *exit)
{
    struct link_reply r;
    int fd = ctl_open_daemon(c, exit);
    if (fd < 0)
        return NULL;
    int err = link_send(fd, 1, words, n);
    if (!err)
        err = link_recv(fd, 1, timeout_ms, &r);
    close(fd);
    if (err) {
        *exit = err == -ETIMEDOUT ? show_error(c, CTL_FAILED, "the daemon has not answered for %d s", timeout_ms / 1000)
                                  : show_error(c, err == -E2BIG ? CTL_USAGE : CTL_NO_DAEMON, "the daemon: %s", strerror(-err));
        return NULL;
    }
    *exit = r.exit;
    if (!r.exit)
        return r.doc;
    *exit = show_error(c, r.exit, "%s", json_text(r.doc, "error"));
    json_decref(r.doc);
    return NULL;
}

/* Until somebody has joined. */
static int wait_for(const struct ctl *c, const char *tag)
{
    struct link_reply r;
    int exit, fd = ctl_open_daemon(c, &exit), err;
    const char *words[] = {"share", "wait", tag};
    if (fd < 0)
        return exit;
    err = link_send(fd, 1, words, ARRAY_LEN(words));
    while (!err && (err = link_recv(fd, 1, CTL_TIMEOUT_MS, &r)) == -ETIMEDOUT)
        err = 0, r.doc = NULL;
    close(fd);
    if (err)
        return show_error(c, CTL_NO_DAEMON, "the daemon went away: %s", strerror(-err));
    char port[PIECE * 2];
    const char *state = json_text(r.doc, "state");
    exit = r.exit;
    if (c->json)
        show_json(r.doc, false);
    else if (!exit)
        printf("\n%s%s has joined%s and can reach port %s. Its fingerprint is %s.\n", ink(INK_GOOD), json_text(r.doc, "name"), ink(INK_END),
            port_str(r.doc, port), json_text(r.doc, "fingerprint"));
    else if (*json_text(r.doc, "error"))
        show_error(c, exit, "%s", json_text(r.doc, "error"));
    else
        show_error(c, exit, "nobody has joined: the code is %s. For a new one: i3ctl share %s", state, port_str(r.doc, port));
    json_decref(r.doc);
    return exit;
}

static int share_new(struct ctl *c, const struct typed *t, const char *proto, const char *port, const char *target)
{
    char life[PIECE] = "600", nodes[NODES_TEXT] = "";
    int exit = t->nodes ? take_nodes(c, t->nodes, nodes) : 0;
    if (exit)
        return exit;
    if (t->life && !take_life(t->life, life))
        return show_error(c, CTL_USAGE, "'%s' is no time: 90s, 10m, 2h or 1d", t->life);
    const char *words[] = {"share", "new", proto, port, target, t->name ? t->name : "", t->as ? t->as : "", life, nodes};
    json_t *doc = ask(c, words, ARRAY_LEN(words), CTL_TIMEOUT_MS, &exit);
    if (!doc)
        return exit;
    if (c->json)
        show_json(doc, t->wait);
    else
        show_code(c, doc, t);
    fflush(stdout);
    if (t->wait)
        exit = wait_for(c, json_text(doc, "tag"));
    json_decref(doc);
    return exit;
}

static void list_shares(const json_t *doc)
{
    static const char *const head[] = {"PORT", "LEADS TO", "FOR"}, *const codes_head[] = {"PORT", "CODE", "FOR"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL}, codes = {codes_head, ARRAY_LEN(codes_head), 0, NULL};
    size_t i, k;
    json_t *e, *w;
    char port[PIECE * 2], life[PIECE];
    json_array_foreach(json_object_get(doc, "shares"), i, e)
    {
        char(*row)[CELL_MAX] = table_row(&t);
        size_t at = 0;
        cell_set(row[0], port_str(e, port));
        cell_set(row[1], json_text(e, "target"));
        json_array_foreach(json_object_get(e, "with"), k, w)
        {
            const char *who = *json_text(w, "name") ? json_text(w, "name") : json_text(w, "fingerprint");
            if (at < CELL_MAX - 1)
                at += (size_t)snprintf(row[2] + at, CELL_MAX - at, "%s%s", k ? ", " : "", who);
        }
        if (!at)
            cell_set(row[2], "nobody yet");
    }
    json_array_foreach(json_object_get(doc, "invitations"), i, e)
    {
        const char *state = json_text(e, "state");
        char(*row)[CELL_MAX] = table_row(&codes);
        cell_set(row[0], port_str(e, port));
        if (!strcmp(state, "open"))
            snprintf(row[1], CELL_MAX, "waits, for another %s", seconds_str(json_int(e, "expires_s"), life));
        else
            cell_set(row[1], !strcmp(state, "taken") ? "used" : !strcmp(state, "over") ? "too old" : state);
        cell_set(row[2], *json_text(e, "taken_by") ? json_text(e, "taken_by") : json_text(e, "name"));
    }
    if (!t.rows)
        puts("Nothing is shared. `i3ctl share 22` opens port 22 to one person, and prints what that person types.");
    table_print(&t);
    if (codes.rows)
        puts("");
    table_print(&codes);
}

int run_share(struct ctl *c)
{
    struct typed t;
    const char *proto = "tcp";
    char port[PIECE] = "", target[PLACE_TEXT] = "";
    int exit = take_words(c, &t, share_options, ARRAY_LEN(share_options));
    if (exit)
        return exit;
    if (t.n && !take_port(t.word[0], &proto, port))
        return show_error(c, CTL_USAGE, "'%s' is no port: a number from 1 to 65535, or PORT/udp; as in `i3ctl share 22`", t.word[0]);
    if (t.cancel) {
        const char *words[] = {"share", "cancel", proto, port};
        json_t *doc = ask(c, words, t.n ? 4 : 2, CTL_TIMEOUT_MS, &exit);
        if (doc && c->json)
            show_json(doc, false);
        else if (doc)
            printf(json_int(doc, "invitations") == 1 ? "The code was taken back.\n" : "%d codes were taken back.\n", (int)json_int(doc, "invitations"));
        json_decref(doc);
        return exit;
    }
    if (!t.n) {
        if (t.to || t.name || t.target || t.life || t.nodes || t.as || t.wait)
            return ctl_usage(c->verb, "which port?", "");
        const char *words[] = {"share", "list"};
        json_t *doc = ask(c, words, 2, CTL_TIMEOUT_MS, &exit);
        if (doc && c->json)
            show_json(doc, false);
        else if (doc)
            list_shares(doc);
        json_decref(doc);
        return exit;
    }
    if (t.target && (exit = take_host(c, t.target, (unsigned)atoi(port), true, target)))
        return exit;
    if (!t.to)
        return share_new(c, &t, proto, port, target);
    if (t.life || t.as || t.wait || t.qr || t.nodes)
        return show_error(c, CTL_USAGE, "with --to no code is made: --for, --as, --wait, --qr and --node belong to codes");
    const char *words[] = {"share", "to", proto, port, target, t.to, t.name ? t.name : ""};
    json_t *doc = ask(c, words, ARRAY_LEN(words), CTL_TIMEOUT_MS, &exit);
    if (doc && c->json)
        show_json(doc, false);
    else if (doc)
        show_to(doc);
    json_decref(doc);
    return exit;
}

/* ---- unshare ---- */

int run_unshare(struct ctl *c)
{
    struct typed t;
    const char *proto;
    char port[PIECE];
    int exit = take_words(c, &t, NULL, 0);
    if (exit)
        return exit;
    const char *words[5] = {"unshare"};
    size_t n = 1;
    bool has_port = take_port(t.word[0], &proto, port);
    if (has_port && t.n == 1) {
        words[n++] = "port", words[n++] = proto, words[n++] = port;
    } else {
        const char *who = has_port ? t.word[1] : t.word[0];
        words[n++] = "who", words[n++] = who;
        if (t.n == 2 && !has_port && !(has_port = take_port(t.word[1], &proto, port)))
            return show_error(c, CTL_USAGE, "'%s' is no port: i3ctl unshare PORT, or NAME, or PORT NAME", t.word[1]);
        if (has_port)
            words[n++] = proto, words[n++] = port;
    }
    json_t *doc = ask(c, words, n, CTL_TIMEOUT_MS, &exit);
    if (!doc)
        return exit;
    int people = (int)json_int(doc, "people"), cut = (int)json_int(doc, "connections_cut"), codes = (int)json_int(doc, "invitations");
    if (c->json) {
        show_json(doc, false);
        json_decref(doc);
        return exit;
    }
    printf("Shut, as of now: %d %s no way in any more", people, people == 1 ? "person has" : "people have");
    if (cut)
        printf(", %d connection%s cut", cut, cut == 1 ? " was" : "s were");
    if (codes)
        printf(", %d code%s taken back", codes, codes == 1 ? " was" : "s were");
    puts(".");
    if (*json_text(doc, "still_open"))
        printf("%swarning%s  %s stays open by an expose section of i3.conf\n", ink(INK_WARN), ink(INK_END), json_text(doc, "still_open"));
    json_decref(doc);
    return exit;
}

/* ---- join ---- */

int run_join(struct ctl *c)
{
    struct typed t;
    char code[1024] = "";
    int exit = take_words(c, &t, join_options, ARRAY_LEN(join_options));
    if (exit)
        return exit;
    const char *words[] = {"join", t.word[0], t.n > 1 ? t.word[1] : "", t.as ? t.as : ""};
    if (!strcmp(t.word[0], "-")) { /* so that it need not stand in the shell's history */
        if (!fgets(code, sizeof(code), stdin))
            return show_error(c, CTL_FAILED, "no code on standard input");
        words[1] = code;
    }
    if (!c->json && out_is_terminal())
        fputs("Asking the other machine ...\n", stderr);
    json_t *doc = ask(c, words, ARRAY_LEN(words), JOIN_TIMEOUT_MS, &exit);
    explicit_bzero(code, sizeof(code));
    if (!doc)
        return exit;
    char port[PIECE * 2];
    if (c->json) {
        show_json(doc, false);
    } else {
        const char *name = json_text(doc, "name");
        printf("%sJoined.%s %s shares port %s with you:\n\n", ink(INK_GOOD), ink(INK_END), name, port_str(doc, port));
        how_to_use(doc, name);
        printf("\nIts fingerprint is %s (`i3ctl id` shows it there).\n", json_text(doc, "fingerprint"));
        if (json_is_true(json_object_get(doc, "nodes_learned")))
            puts("The overlay nodes of the code are used from now on.");
    }
    json_decref(doc);
    return exit;
}

/* ---- peers ---- */

static void ports_cell(char cell[CELL_MAX], const json_t *list, const char *none)
{
    size_t i, at = 0;
    json_t *e;
    char port[PIECE * 2];
    *cell = '\0';
    json_array_foreach(list, i, e)
        if (at < CELL_MAX - 1)
            at += (size_t)snprintf(cell + at, CELL_MAX - at, "%s%s", i ? ", " : "", port_str(e, port));
    if (!i)
        cell_set(cell, none);
}

static void reach_cell(char cell[CELL_MAX], const json_t *e)
{
    char ports[CELL_MAX];
    bool is_friend = !strcmp(json_text(e, "role"), "friend");
    ports_cell(ports, json_object_get(e, "may_reach"), is_friend ? "" : "nothing");
    if (is_friend)
        snprintf(cell, CELL_MAX, "servers under i3run%s%.200s", strcmp(ports, "-") ? ", " : "", strcmp(ports, "-") ? ports : "");
    else
        cell_set(cell, ports);
}

static void session_cell(char cell[CELL_MAX], const json_t *e)
{
    const char *path = json_text(e, "path");
    char ago[PIECE];
    if (!strcmp(json_text(e, "state"), "dropped"))
        cell_set(cell, "dropped: i3ctl undrop");
    else if (*path)
        cell_set(cell, path);
    else if (json_is_number(json_object_get(e, "heard_s")))
        snprintf(cell, CELL_MAX, "seen %s ago", seconds_str(json_int(e, "heard_s"), ago));
    else
        cell_set(cell, !strcmp(json_text(e, "state"), "handshake") ? "calling" : "not seen since the daemon's start");
}

static void show_changes(const json_t *doc)
{
    size_t i;
    json_t *e;
    unsigned waiting = 0;
    json_array_foreach(json_object_get(doc, "peers"), i, e)
    {
        time_t at = (time_t)json_int(e, "key_changed_at");
        char day[32];
        if (at && strftime(day, sizeof(day), "%Y-%m-%d", localtime(&at)))
            printf("\n%s has had a new key since %s, as it said itself by the old one: it was %s.", json_text(e, "name"), day, json_text(e, "former_fingerprint"));
        if (json_is_false(json_object_get(e, "knows_our_new_key")))
            printf("%s%s", waiting++ ? ", " : "\nDo not know your new key yet: ", *json_text(e, "name") ? json_text(e, "name") : json_text(e, "fingerprint"));
    }
    if (waiting)
        printf(". They are told when they are online.");
    fputs("\n", stdout);
}

void show_peers(const struct ctl *c, const json_t *doc)
{
    static const char *const head[] = {"NAME", "FINGERPRINT", "MAY REACH HERE", "SHARES WITH YOU", "SESSION"};
    struct table t = {head, ARRAY_LEN(head), 0, NULL};
    size_t i;
    json_t *e;
    (void)c;
    json_array_foreach(json_object_get(doc, "peers"), i, e)
    {
        if (!strcmp(json_text(e, "fingerprint"), json_text(doc, "own_fingerprint")))
            continue; /* one may stand in one's own book */
        char(*row)[CELL_MAX] = table_row(&t);
        cell_set(row[0], *json_text(e, "name") ? json_text(e, "name") : "(no name)");
        cell_set(row[1], json_text(e, "fingerprint"));
        reach_cell(row[2], e);
        ports_cell(row[3], json_object_get(e, "shares_with_us"), "-");
        session_cell(row[4], e);
    }
    if (!t.rows)
        puts("You know nobody yet. `i3ctl share 22` lets one person in; `i3ctl join CODE` takes up what somebody shares with you.");
    table_print(&t);
    int64_t strangers = json_int(doc, "strangers");
    if (strangers)
        printf("\nStrangers with a session: %d. Something is open to anyone (i3.conf); they reach that alone.\n", (int)strangers);
    printf("\nYour own fingerprint is %s. Who is not listed here %s.\n", json_text(doc, "own_fingerprint"),
        json_is_true(json_object_get(doc, "open_to_anyone")) ? "reaches only what is open to anyone" : "gets no answer");
    show_changes(doc);
}

/* ---- rotate ---- */

int run_rotate(struct ctl *c)
{
    struct typed t;
    char life[PIECE] = "2592000", grace[PIECE * 2];
    int exit = take_words(c, &t, rotate_options, ARRAY_LEN(rotate_options));
    if (exit)
        return exit;
    if (t.life && !take_life(t.life, life))
        return show_error(c, CTL_USAGE, "'%s' is no time: 1h, 30d", t.life);
    const char *words[] = {"rotate", life};
    json_t *doc = ask(c, words, 2, CTL_TIMEOUT_MS, &exit);
    if (doc && c->json) {
        show_json(doc, false);
    } else if (doc) {
        printf("Your key is a new one.\nkey          %s\nfingerprint  %s   (it was %s)\n\n", json_text(doc, "key"), json_text(doc, "fingerprint"),
            json_text(doc, "former_fingerprint"));
        int peers = (int)json_int(doc, "peers");
        if (peers)
            printf("%d %s told by the old key, which goes on answering for %s for those who are away:\n"
                   "    i3ctl peers                   who knows it by now\n",
                peers, peers == 1 ? "friend or guest is" : "friends and guests are", life_str(json_int(doc, "grace_s"), grace));
        puts("Whoever else is to have it gets it from you: `i3ctl id`.");
    }
    json_decref(doc);
    return exit;
}
