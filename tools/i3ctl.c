/* i3ctl.c - i3ctl VERB: everything is said once, in the table of verbs; the rest reads that table. */
#include "tools/i3ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/bytes.h"

static int run_version(struct ctl *c);

const struct ctl_verb ctl_verbs[] = {
    {"init", "", "make your identity, if you have none yet, and print it",
        "The identity is a key pair; the private half stays in $XDG_DATA_HOME/i3/identity, readable by you alone. Give the\n"
        "printed key to the people you want to reach and be reached by; they enter it with `i3ctl book add NAME KEY`.\n"
        "Running it again changes nothing.",
        0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_init, NULL},
    {"id", "", "print your key, its fingerprint, and your virtual addresses",
        "The first line is the key alone; with -q nothing else is printed. The fingerprint is the key in short, to be compared by voice.", 0, 0, NEEDS_STARTED,
        VERB_JSON | VERB_QUIET, NULL, show_id, NULL},
    {"book add", "NAME KEY", "let NAME (as NAME.i3) be the holder of KEY, or a group",
        "KEY is the 52 characters that `i3ctl id` prints over there. Those in your book can reach the servers which you start\n"
        "under i3run; nobody else gets an answer. A NAME that stands for another key already is refused: remove it first.\n"
        "KEY may be that of a group, whose members share it (`i3ctl group new`).\n"
        "  --multicast      it is a multicast group: datagrams to it reach all members, and nothing else goes there\n"
        "  --near PLACE     of an anycast group's members, ask those at PLACE first (`i3ctl group new --near`)\n"
        "  --via NAME,...   what is sent there passes the hosts of these names (one to three) first; they allow it by\n"
        "                   `waypoint = yes` in their i3.conf\n"
        "  --at ADDRESS,... where the host is, for an overlay of kind mesh: 203.0.113.9:5700,[2001:db8::1]:5700 (one to six;\n"
        "                   port 5700 where none is said). Said again with others, it has moved",
        2, 2, NEEDS_STARTED, VERB_JSON | VERB_NEAR | VERB_VIA | VERB_AT | VERB_MULTICAST, NULL, show_book_add, run_book_add},
    {"book rm", "NAME", "forget NAME", "Sessions with NAME end at once.", 1, 1, NEEDS_STARTED, VERB_JSON,
        NULL, show_book_rm, NULL},
    {"book ls", "", "list your address book", NULL, 0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_book_ls, NULL},
    {"book list", "", "the same as book ls", NULL, 0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_book_ls, NULL},
    {"book claim", "NAME", "answer for NAME.i3 where others look names up by hash",
        "Those who have `resolve = { \"book\", \"hash\" }` in their i3.conf then find your key by the name alone. Anybody can claim any\n"
        "name: the first key that they find is kept, and where two claim a name nobody is found by it. Who may reach you is decided\n"
        "by your book as ever.",
        1, 1, NEEDS_STARTED, VERB_JSON, NULL, show_book_claim, NULL},
    {"book unclaim", "NAME", "answer for NAME.i3 no more", NULL, 1, 1, NEEDS_STARTED, VERB_JSON, NULL, show_book_claim, NULL},
    {"share", "[PORT[/udp]]", "let one other person reach a port of this machine; alone: list what is shared",
        "Prints a code that is good once and for ten minutes. `i3ctl join CODE` on the other machine enters each of you in the\n"
        "other's book, and opens exactly this port to exactly that machine; everybody else gets no answer at all.\n"
        "The server may be any: it need not run under i3run.\n"
        "  --target PLACE   where the server listens: PORT or ADDRESS:PORT; default is the same port of 127.0.0.1\n"
        "  --name NAME      what whoever joins is called in your book; default: what it calls itself\n"
        "  --as NAME        what this machine is to be called there; default: its host name\n"
        "  --for TIME       how long the code is good: 90s, 10m (default), 2h, 7d at most\n"
        "  --node HOST      an overlay node that both machines can reach, HOST:PORT or several with ',' between; kept, so that the\n"
        "                   first to share need edit no file\n"
        "  --to NAME|KEY    no code: open the port to somebody in your book, or to that key\n"
        "  --wait           stay until somebody has joined, and say who\n"
        "  --qr, --no-qr    draw the code for a camera; it is drawn on a terminal unless --no-qr\n"
        "  --cancel         take back the codes for PORT, or all, that nobody has used yet",
        0, 1, NEEDS_STARTED, VERB_JSON | VERB_OWN, NULL, NULL, run_share},
    {"unshare", "PORT|NAME|KEY [NAME|PORT]", "shut a port, or let somebody in no more",
        "At once: connections are cut, sessions forgotten, packets not answered. PORT alone shuts it for all who came by a share,\n"
        "and takes back its codes; NAME alone takes everything back that is shared with NAME; both, that port from that person.",
        1, 2, NEEDS_STARTED, VERB_JSON | VERB_OWN, NULL, NULL, run_unshare},
    {"join", "CODE [NAME]", "take up what somebody shares with you",
        "CODE is what `i3ctl share` prints on the other machine; - reads it from standard input. NAME is what you want to call that\n"
        "machine; default: what it calls itself. On a fresh machine the code brings all that is needed.\n"
        "  --as NAME        what you are to be called there; default: your host name\n"
        "Exits 4 when NAME stands for another key already (both fingerprints are shown), 5 when the code is mistyped, used, too old or\n"
        "taken back, 6 when nobody answers; the code stays good then.",
        1, 2, NEEDS_STARTED, VERB_JSON | VERB_OWN, NULL, NULL, run_join},
    {"peers", "", "who may reach what here, who shares what with you, and who was seen when",
        "Everybody who gets an answer from this machine is listed, with the fingerprint of the key. Compare fingerprints by voice.", 0, 0,
        NEEDS_STARTED, VERB_JSON, NULL, show_peers, NULL},
    {"rotate", "", "change your key for a new one, and tell everybody you know",
        "They are told by sessions of the old key and take the new one in its place, by themselves. The old key goes on answering\n"
        "for those who are away, and carries nothing else. Names, virtual IPv4 addresses, shares and connections over IPv4 stay;\n"
        "connections over virtual IPv6 addresses, which follow from keys, are reset.\n"
        "  --for TIME       how long the old key goes on answering: 30d is the default, a year at most",
        0, 0, NEEDS_STARTED, VERB_JSON | VERB_OWN, NULL, NULL, run_rotate},
    {"drop", "[NAME [TIME]]", "take nothing more from NAME, though it stays in your book; or list who is dropped",
        "Its connections are reset, it gets no answer, and the private ids that it knows lose their trigger: what it sends ends at\n"
        "the overlay node, while everybody else goes on. TIME is as 90s, 10m, 2h, 7d; without it, until `i3ctl undrop NAME`, also\n"
        "when the daemon is started anew. A peer which goes on sending what it may not is dropped by itself, for ten minutes.\n"
        "Where it had a shortcut it knows your address: for those whom you do not trust so far, set `shortcut = no` in i3.conf.",
        0, 2, NEEDS_STARTED, VERB_JSON, NULL, show_drop, NULL},
    {"anonymous", "", "the programs that are anonymous now, by which node and at which address each",
        "See 'i3run --anonymous', and rules with `anonymity` in i3.conf. Each has keys, an address and a node of its own.",
        0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_anonymous, NULL},
    {"undrop", "NAME", "let NAME in again", NULL, 1, 1, NEEDS_STARTED, VERB_JSON, NULL, show_undrop, NULL},
    {"box", "", "by which middle-boxes your packets go, and what passes this host as one",
        "Which peers are reached through boxes, who said so, and how that stands; at a middle-box: routes, taps, verdict programs.", 0, 0,
        NEEDS_STARTED, VERB_JSON, NULL, show_box, NULL},
    {"alerts", "", "what middle-boxes have found in your packets", "The latest hundred since the daemon started.", 0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_alerts, NULL},
    {"group new", "NAME", "make a group: a key that several daemons share and answer for",
        "Prints the group's key, by which others reach it as NAME.i3 (or what they call it), and what to do next.\n"
        "  --anycast        one member is reached, another one when that is gone; the default\n"
        "  --multicast      datagrams reach all members\n"
        "  --near PLACE     where this member is, one word or two, as eu/berlin: who asks for that place gets it first",
        1, 1, NEEDS_STARTED, VERB_JSON | VERB_NEAR | VERB_ANYCAST | VERB_MULTICAST, NULL, show_group_new, run_group_new},
    {"group export", "NAME", "print the group's secret, to bring it to another member",
        "One line on standard output. Whoever has it can be a member, and read and write what the group does: carry it as\n"
        "you would a private key, e.g. i3ctl group export NAME | ssh HOST i3ctl group join NAME -",
        1, 1, NEEDS_STARTED, VERB_JSON, NULL, show_group_export, NULL},
    {"group join", "NAME FILE", "become a member of the group whose secret FILE holds",
        "FILE is what `i3ctl group export` printed, readable by you alone; - is standard input. NAME is what you call it.\n"
        "  --near PLACE     where this member is (`i3ctl group new --help`)",
        2, 2, NEEDS_STARTED, VERB_JSON | VERB_NEAR, NULL, show_group_join, run_group_join},
    {"group leave", "NAME", "be a member no more",
        "Connections to the group's address that this daemon holds are reset; new ones reach the other members at once.\n"
        "The secret is deleted here. It is the same for all, so who has had it can still read: for that make a new group.",
        1, 1, NEEDS_STARTED, VERB_JSON, NULL, show_group_leave, NULL},
    {"group list", "", "list the groups you are in", NULL, 0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_group_list, NULL},
    {"nodes list", "", "list the overlay nodes, and which is used",
        "Those which i3.conf names, else those that were added here or came with an invitation.\n"
        "  --overlay NAME   only those of `overlay NAME { }` in i3.conf",
        0, 0, NEEDS_STARTED, VERB_JSON | VERB_OVERLAY, NULL, show_nodes, run_nodes_list},
    {"nodes add", "ADDRESS...", "use these overlay nodes, from now on and after every start",
        "ADDRESS is that of an i3node, HOST[:PORT] or [IPV6]:PORT; without a port it is 5610. All must be of one ring: those whom you\n"
        "want to reach use the same. Connections go on. Nodes that stand in i3.conf are changed there, and read by `i3ctl reload`.\n"
        "  --overlay NAME   for `overlay NAME { }` of i3.conf",
        1, 16, NEEDS_STARTED, VERB_JSON | VERB_OVERLAY, NULL, show_nodes, run_nodes_add},
    {"nodes rm", "ADDRESS...", "use these overlay nodes no more",
        "Without any node left, only users of this machine can be reached.\n"
        "  --overlay NAME   for `overlay NAME { }` of i3.conf",
        1, 16, NEEDS_STARTED, VERB_JSON | VERB_OVERLAY, NULL, show_nodes, run_nodes_rm},
    {"nodes", "", "the same as nodes list", NULL, 0, 0, NEEDS_STARTED, VERB_JSON | VERB_OVERLAY, NULL, show_nodes, run_nodes_list},
    {"status", "", "am I online, who can reach what, who is connected and how",
        "What is wrong is said with what to do about it. Starts nothing: exits 3 when no daemon runs.\n"
        "  -v               also the triggers, the files, and what every session is made of",
        0, 0, NEEDS_RUNNING, VERB_JSON | VERB_VERBOSE, NULL, show_status, NULL},
    {"doctor", "", "look for what could be wrong here, and say how to put it right",
        "One line for each check: ok, note, warn or FAIL, and below it what to do. Changes nothing, and starts no daemon.\n"
        "  --start          start the daemon first, if none runs\n"
        "Exits 0 when there is nothing but ok and notes, 1 when something is wrong, 3 when no daemon runs (the other checks are made\n"
        "all the same), 78 when i3.conf is refused.",
        0, 0, NEEDS_RUNNING, VERB_JSON | VERB_START, NULL, NULL, run_doctor},
    {"ping", "NAME [COUNT]", "send COUNT (4) echo requests to NAME, one a second",
        "NAME may be a virtual address as well; one in IPv6 is asked over IPv6.\n"
        "Ctrl-C ends it early, with the summary. With --json one object a line. Exits 1 when no answer came.", 1, 2, NEEDS_STARTED,
        VERB_JSON, NULL, NULL, run_ping},
    {"ring", "[ID]", "the ring of overlay nodes: who is there, who owns what; or who owns ID",
        "Asked is the node of this machine, if one runs, else your daemon, which knows less. --node NODE names one of several:\n"
        "its port, its address, or its control socket. ID is 64 hex digits, or a key. Exits 3 when there is nobody to ask, 1 when\n"
        "the map is incomplete or the owner was not found.",
        0, 1, NEEDS_RUNNING, VERB_JSON | VERB_NODE, NULL, show_ring, ring_run},
    {"mesh", "[OVERLAY]", "the members of meshes: where they are, how far, by which way packets go",
        "A mesh is an overlay without nodes (`overlay NAME { kind = \"mesh\" }` in i3.conf). Each address of a member has a row: how long\n"
        "an answer takes, how many of the last probes were lost, and whether packets go there. `via NAME` is a detour: the direct way\n"
        "does not answer, or is worse by a margin. Exits 1 when there is no mesh.",
        0, 1, NEEDS_STARTED, VERB_JSON, NULL, show_mesh, NULL},
    {"log", "[-f] [-n LINES]", "what your daemon has written down",
        "  -f, --follow     and what it writes from now on, until Ctrl-C; over restarts of the daemon, too\n"
        "  -n LINES         begin that many lines before the end (20 with -f, else all)\n"
        "With --json one object a line: time, level, event, and the fields of the line. Needs no daemon.",
        0, 0, NEEDS_NOTHING, VERB_JSON | VERB_OWN, NULL, NULL, run_log},
    {"trace", "[-w FILE [--force]] [-c COUNT] [--peer NAME] [--snaplen BYTES]", "packets that your programs send and receive, as they do",
        "These are the IP packets inside: readable, where the network sees sealed ones. One line each, or\n"
        "  -w FILE          into FILE, for Wireshark: pcapng; - is standard output, as in i3ctl trace -w - | wireshark -k -i -\n"
        "  --force          write over a FILE that is there\n"
        "  -c COUNT         end after that many\n"
        "  --peer NAME      those to and from NAME alone\n"
        "  --snaplen BYTES  keep only the first bytes of each\n"
        "Ctrl-C ends it and leaves a whole file. When its reader is too slow packets are left out, and counted.",
        0, 0, NEEDS_RUNNING, VERB_JSON | VERB_OWN, NULL, NULL, run_trace},
    {"metrics", "", "the counters of your daemon, as Prometheus reads them",
        "  --node           those of the overlay node on this machine; --node NODE names one of several, as with `ring`",
        0, 0, NEEDS_RUNNING, VERB_JSON | VERB_NODE, NULL, show_metrics, metrics_run},
    {"start", "", "start your daemon, unless it runs", "i3run and most verbs do so by themselves.", 0, 0, NEEDS_STARTED, VERB_JSON, NULL, NULL, run_start},
    {"why", "NAME[:PORT]", "which rule decides about NAME, and what follows from it",
        "The decision is made again as for a program that asks for NAME, and nothing is connected. Rules stand in i3.conf, the first that\n"
        "fits decides; where none does, names with an overlay's suffix are the overlay's, and all others the system's.\n"
        "  --app PROGRAM    as for that program, e.g. --app curl; without it, rules for some programs only are told besides",
        1, 1, NEEDS_STARTED, VERB_JSON | VERB_APP, NULL, show_why, run_why},
    {"gateway", "", "what goes through gateways: yours, and this host as one",
        "Names that rules of i3.conf send through gateways, with the virtual addresses by which programs know them; and where i3.conf has\n"
        "a section gateway { }, who uses it, and for how much.",
        0, 0, NEEDS_RUNNING, VERB_JSON, NULL, show_gateway, NULL},
    {"portal", "", "what is published to the Internet, and who is led where",
        "Names of the zone and whom they lead to, where is listened, which source is bound to which waypoint, and what was counted. Exits 1\n"
        "when i3.conf has no section portal { }.",
        0, 0, NEEDS_STARTED, VERB_JSON, NULL, show_portal, NULL},
    {"reload", "", "read i3.conf again; connections go on",
        "A file with errors changes nothing: they are told, and the exit status is 78. Most settings count at once, rules and\n"
        "exposed ports among them; what needs a new start of the daemon is said. The daemon also reads the file by itself when it\n"
        "changes, and upon SIGHUP.",
        0, 0, NEEDS_RUNNING, VERB_JSON, NULL, show_reload, NULL},
    {"stop", "", "end your daemon and its connections", "Exits 3 when no daemon runs.", 0, 0, NEEDS_RUNNING,
        VERB_JSON | VERB_LAST, NULL, show_stop, NULL},
    {"demo up", "[DIR]", "build a local world in DIR: a ring, and two users alice and bob",
        "DIR must be new or empty; without it a fresh folder is made and printed. `. DIR/alice.env` makes a shell alice,\n"
        "`. DIR/bob.env` makes it bob; they know each other as alice.i3 and bob.i3. Worlds can live side by side.",
        0, 1, NEEDS_NOTHING, VERB_JSON, NULL, NULL, demo_up},
    {"demo status", "DIR", "is that world well?", "Exits 3 when a part of it does not run.", 1, 1,
        NEEDS_NOTHING, VERB_JSON, NULL, NULL, demo_status},
    {"demo down", "DIR", "end the world in DIR: its processes and its files", NULL, 1, 1, NEEDS_NOTHING,
        VERB_JSON, NULL, NULL, demo_down},
    {"version", "", "print the version", NULL, 0, 0, NEEDS_NOTHING, VERB_JSON, NULL, NULL, run_version},
    {"help", "[VERB]", "print this, or all about VERB", NULL, 0, 2, NEEDS_NOTHING, VERB_JSON, NULL, NULL, help_run},
};

const size_t ctl_verbs_count = ARRAY_LEN(ctl_verbs);

static int run_version(struct ctl *c)
{
    puts(c->json ? "{\"version\":\"" I3_VERSION "\"}" : "i3ctl " I3_VERSION);
    return CTL_OK;
}

/* ---- verbs of the daemon ---- */

/* A connection to the daemon, started if the verb wants that. fd, or -1 with the error shown. */
int ctl_open_daemon(const struct ctl *c, int *exit)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)], err[CTL_ERR_LEN];
    *exit = CTL_NO_DAEMON;
    int rc = link_path(path);
    if (rc) {
        *exit = show_error(c, CTL_NO_DAEMON,
            "the path of the daemon's socket is longer than %zu bytes: shorten XDG_RUNTIME_DIR", sizeof(path) - 1);
        return -1;
    }
    int fd = link_open(path);
    if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR) {
        if (c->verb->needs == NEEDS_RUNNING) {
            show_error(c, CTL_NO_DAEMON, "no daemon runs (nobody answers at %s)%s%s", path, c->json ? "; " : "\n", help_next_step());
            return -1;
        }
        if (link_ensure(NULL, err)) {
            *exit = show_error(c, link_config_refused(NULL) ? CTL_BAD_CONFIG : CTL_NO_DAEMON, "%s", strncmp(err, "i3d: ", 5) ? err : err + 5);
            return -1;
        }
        fd = link_open(path);
    }
    if (fd < 0)
        show_error(c, CTL_NO_DAEMON, "cannot reach the daemon at %s: %s", path,
            fd == -EPERM ? "that socket belongs to another user" : strerror(-fd));
    return fd < 0 ? -1 : fd;
}

/* The process at the other end, to be waited for; -1 where the system has no such thing. */
static int daemon_process(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return -1;
    return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

/* After `stop`: done means that the daemon is gone, not that it was asked. */
static void wait_for_end(int fd, int process)
{
    struct link_reply r;
    struct pollfd p = {.fd = process, .events = POLLIN};
    while (link_recv(fd, 1, CTL_TIMEOUT_MS, &r) == 0)
        json_decref(r.doc);
    if (process >= 0)
        poll(&p, 1, CTL_TIMEOUT_MS);
}

static int show_reply(const struct ctl *c, const struct link_reply *r)
{
    const char *sentence = json_text(r->doc, "error");
    bool failed = r->exit && *sentence && !r->more;
    if (c->json && failed)
        json_object_set_new(r->doc, "exit", json_integer(r->exit));
    if (c->json)
        show_json(r->doc, c->verb->flags & VERB_STREAM);
    else if (failed)
        fprintf(stderr, "i3ctl: %s\n", sentence);
    else
        c->verb->show(c, r->doc);
    fflush(stdout);
    return r->exit;
}

/* An answer too long for one record comes in several: lists are joined, everything else is said once. */
static void join(json_t *whole, const json_t *part)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)part, key, value)
    {
        json_t *have = json_object_get(whole, key);
        if (json_is_array(have) && json_is_array(value))
            json_array_extend(have, value);
        else
            json_object_set(whole, key, value);
    }
}

int ctl_ask(const struct ctl *c, int fd, const char *const *words, size_t n)
{
    struct link_reply r = {.more = true};
    json_t *whole = json_object();
    int process = c->verb->flags & VERB_LAST ? daemon_process(fd) : -1;
    int exit = CTL_FAILED, err = link_send(fd, 1, words, n);
    while (!err && r.more) {
        err = link_recv(fd, 1, CTL_TIMEOUT_MS, &r);
        if (err)
            break;
        join(whole, r.doc);
        json_decref(r.doc);
        if (r.more && !(c->verb->flags & VERB_STREAM))
            continue;
        r.doc = whole;
        if (c->verb->flags & VERB_LAST && !r.exit)
            wait_for_end(fd, process);
        exit = show_reply(c, &r);
        json_object_clear(whole);
    }
    json_decref(whole);
    if (err == -E2BIG)
        return show_error(c, CTL_USAGE, "the arguments are too long");
    if (err == -ETIMEDOUT)
        return show_error(c, CTL_FAILED, "the daemon has not answered for %d s", CTL_TIMEOUT_MS / 1000);
    if (err == -EBADMSG)
        return show_error(c, CTL_FAILED, "the daemon's answer is not understood; is it of another version?");
    if (err)
        return show_error(c, CTL_NO_DAEMON, "the daemon went away: %s", strerror(-err));
    return exit;
}

int daemon_words(const struct ctl *c, const char *const *words, size_t n)
{
    int exit, fd = ctl_open_daemon(c, &exit);
    if (fd < 0)
        return exit;
    exit = ctl_ask(c, fd, words, n);
    close(fd);
    return exit;
}

static int run_daemon_verb(struct ctl *c)
{
    const char *words[8];
    size_t n = 0;
    char name[VERB_NAME_MAX];
    snprintf(name, sizeof(name), "%s", c->verb->name);
    char *second = strchr(name, ' ');
    if (second)
        *second++ = '\0';
    words[n++] = name;
    if (second)
        words[n++] = second;
    for (int i = 0; i < c->argc; i++)
        words[n++] = c->argv[i];
    if (c->verb->more_word && c->argc < c->verb->max_args)
        words[n++] = c->verb->more_word;
    return daemon_words(c, words, n);
}

int run_start(struct ctl *c)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct link_reply r;
    int exit, ran = link_path(path) ? -1 : link_open(path), fd = ctl_open_daemon(c, &exit);
    if (ran >= 0)
        close(ran);
    if (fd < 0)
        return exit;
    int err = link_call(fd, (const char *[]){"status"}, 1, &r);
    close(fd);
    if (err)
        return show_error(c, CTL_NO_DAEMON, "the daemon does not answer: %s", strerror(-err));
    const char *version = json_text(r.doc, "version");
    int pid = (int)json_int(r.doc, "pid");
    json_t *doc = json_pack("{s:b s:s s:i}", "started", ran < 0, "version", version, "pid", pid);
    if (c->json)
        show_json(doc, false);
    else
        printf("i3d %s %s, pid %d; i3ctl status shows how it does\n", version, ran < 0 ? "was started" : "runs already", pid);
    json_decref(doc);
    json_decref(r.doc);
    return CTL_OK;
}

/* ---- the command line ---- */

/* Usage errors are met before anything else is known. */
static bool json_asked;

bool ctl_json(void)
{
    return json_asked;
}

int ctl_usage(const struct ctl_verb *v, const char *what, const char *arg)
{
    char synopsis[LINE_MAX], text[CTL_ERR_LEN];
    snprintf(text, sizeof(text), "%s: %s%s%s%s", v->name, what, *arg ? " `" : "", arg, *arg ? "`" : "");
    help_synopsis(v, synopsis);
    if (json_asked)
        show_error_json(text, synopsis, CTL_USAGE);
    else
        fprintf(stderr, "i3ctl %s\nusage: i3ctl %s\n", text, synopsis);
    return CTL_USAGE;
}

struct option {
    const char *name;
    unsigned flag; /* the verb must have it; ~0: all have */
    size_t offset; /* of the bool in struct ctl */
};

static const struct option options[] = {
    {"--json", ~0u, offsetof(struct ctl, json)},
    {"--anycast", VERB_ANYCAST, offsetof(struct ctl, anycast)},
    {"--multicast", VERB_MULTICAST, offsetof(struct ctl, multicast)},
    {"-q", VERB_QUIET, offsetof(struct ctl, quiet)},
    {"--quiet", VERB_QUIET, offsetof(struct ctl, quiet)},
    {"--start", VERB_START, offsetof(struct ctl, start)},
    {"-v", VERB_VERBOSE, offsetof(struct ctl, verbose)},
    {"--verbose", VERB_VERBOSE, offsetof(struct ctl, verbose)},
};

static const struct {
    const char *name;
    unsigned flag;
    enum ctl_option option;
} valued[] = {{"--near", VERB_NEAR, CTL_NEAR}, {"--via", VERB_VIA, CTL_VIA}, {"--node", VERB_NODE, CTL_NODE},
    {"--overlay", VERB_OVERLAY, CTL_OVERLAY}, {"--app", VERB_APP, CTL_APP}, {"--at", VERB_AT, CTL_AT}};

/* --name VALUE or --name=VALUE: how many words that is; 0: it is no such option, -1: the value is missing. */
static int take_valued(struct ctl *c, int n, char **words)
{
    for (size_t i = 0; i < ARRAY_LEN(valued); i++) {
        size_t len = strlen(valued[i].name);
        if (!(c->verb->flags & valued[i].flag) || strncmp(words[0], valued[i].name, len))
            continue;
        if (words[0][len] == '=') {
            c->option[valued[i].option] = words[0] + len + 1;
            return 1;
        }
        if (words[0][len])
            continue;
        if (n < 2 && valued[i].option == CTL_NODE && !c->verb->max_args) /* of metrics: the node, whichever it is */
            return c->option[CTL_NODE] = "", 1;
        if (n < 2)
            return -1;
        c->option[valued[i].option] = words[1];
        return 2;
    }
    return 0;
}

static bool is_help(const char *s)
{
    return !strcmp(s, "--help") || !strcmp(s, "-h");
}

static bool take_option(struct ctl *c, const char *s)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!strcmp(s, options[i].name) && (options[i].flag == ~0u || c->verb->flags & options[i].flag)) {
            *(bool *)((char *)c + options[i].offset) = true;
            return true;
        }
    }
    return false;
}

/* Takes the options out of argv, checks what is left, runs the verb. */
static int run_verb(struct ctl *c, int argc, char **argv)
{
    bool words_only = false;
    c->argv = argv;
    for (int i = 0; i < argc; i++) {
        if (!words_only && !strcmp(argv[i], "--"))
            words_only = true;
        else if (words_only || argv[i][0] != '-' || !argv[i][1])
            argv[c->argc++] = argv[i];
        else if (is_help(argv[i]))
            return help_verb(c->verb), CTL_OK;
        else if (c->verb->flags & VERB_OWN && strcmp(argv[i], "--json"))
            argv[c->argc++] = argv[i];
        else if (!take_option(c, argv[i])) {
            int used = take_valued(c, argc - i, argv + i);
            if (used <= 0)
                return ctl_usage(c->verb, used ? "a value is missing after" : "no option", argv[i]);
            i += used - 1;
        }
    }
    if (c->verb->flags & VERB_OWN)
        return c->verb->run(c);
    if (c->argc < c->verb->min_args)
        return ctl_usage(c->verb, "too few arguments", "");
    if (c->argc > c->verb->max_args)
        return ctl_usage(c->verb, "too many arguments:", argv[c->verb->max_args]);
    return c->verb->run ? c->verb->run(c) : run_daemon_verb(c);
}

/* Nothing but options before the verb. */
static int run_without_verb(struct ctl *c, const char *option)
{
    if (!option && !c->json)
        return help_overview(stderr), help_next(stderr), CTL_USAGE;
    if (!option)
        return show_error(c, CTL_USAGE, "no verb; `i3ctl help` lists them");
    if (is_help(option))
        return help_run(c);
    if (!strcmp(option, "--version") || !strcmp(option, "-V"))
        return run_version(c);
    return show_error(c, CTL_USAGE, "no option `%s` before the verb: i3ctl VERB [OPTION]...; `i3ctl help` lists the verbs", option);
}

int main(int argc, char **argv)
{
    struct ctl c = {0};
    int used;
    argc--, argv++;
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) /* what goes wrong before it is met is JSON as well */
        json_asked |= !strcmp(argv[i], "--json");
    c.json = json_asked;
    while (argc && !strcmp(argv[0], "--json")) /* before the verb as well as after it */
        argc--, argv++;
    if (!argc || argv[0][0] == '-')
        return run_without_verb(&c, argc ? argv[0] : NULL);
    c.verb = help_find(argc, argv, &used);
    if (!c.verb) {
        if (argc > 1 && is_help(argv[1]) && help_is_group(argv[0]))
            return help_group(stdout, argv[0]), CTL_OK;
        return help_unknown(argc, argv);
    }
    int exit = run_verb(&c, argc - used, argv + used);
    if (fflush(stdout) || ferror(stdout)) {
        fputs("i3ctl: cannot write the output\n", stderr);
        return exit ? exit : CTL_FAILED;
    }
    return exit;
}
