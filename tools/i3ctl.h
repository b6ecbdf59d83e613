/* i3ctl.h - what the pieces of i3ctl share: the link to the user's daemon, output, and demo worlds.
 *
 *   i3ctl.c        the table of verbs, options
 *   i3ctl_help.c   help, and what was perhaps meant
 *   i3ctl_link.c   where the daemon is, starting it, asking it (CONTROL of include/ipc.h)
 *   i3ctl_show.c   replies as text for people
 *   i3ctl_group.c  groups
 *   i3ctl_share.c  sharing, joining, peers, a new key; i3ctl_qr.c draws codes
 *   i3ctl_box.c    middle-boxes, alerts
 *   i3ctl_nodes.c  overlay nodes to use
 *   i3ctl_policy.c why, reload
 *   i3ctl_ring.c   overlay nodes: where their sockets are, the ring's map
 *   i3ctl_status.c what the daemon does, for people
 *   i3ctl_ping.c, i3ctl_log.c, i3ctl_trace.c, i3ctl_doctor.c   the verbs of these names
 *   i3ctl_packet.c a packet as one line
 *   i3ctl_table.c  tables, sizes and times for people
 *   i3ctl_demo.c   demo worlds: up, down, status
 *   i3ctl_world.c  a world's processes and files: starting, finding, ending, removing
 */
#ifndef I3CTL_H
#define I3CTL_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,    /* understood, but it could not be done */
    CTL_USAGE = 2,     /* not understood */
    CTL_NO_DAEMON = 3, /* no daemon runs, or none could be started */
    CTL_KEY_CHANGED = 4, /* a name stands for another key than the one that comes */
    CTL_CODE = 5,        /* join: the code is mistyped, used, too old, taken back or our own */
    CTL_NO_ANSWER = 6,   /* join: nobody answers; the code stays good */
    CTL_BAD_CONFIG = 78, /* i3.conf is refused (EX_CONFIG of sysexits.h); nothing was done */
};

enum { CTL_ERR_LEN = 512, CTL_TIMEOUT_MS = 10000 };

/* ---- verbs ---- */

enum { VERB_NAME_MAX = 24 };
enum needs { NEEDS_NOTHING, NEEDS_RUNNING, NEEDS_STARTED };
enum verb_flag { VERB_STREAM = 1, VERB_QUIET = 2, VERB_LAST = 4, VERB_JSON = 8, VERB_NODE = 256,
    VERB_NEAR = 16, VERB_VIA = 32, VERB_ANYCAST = 64, VERB_MULTICAST = 128,
    VERB_VERBOSE = 1024, VERB_START = 2048, VERB_OVERLAY = 1 << 16, VERB_APP = 1 << 20, VERB_AT = 1 << 24,
    VERB_OWN = 512 /* options but --help and --json are left in argv, for its own run() to read */ };

struct ctl;

struct ctl_verb {
    const char *name; /* one word, or two: group and member */
    const char *args, *summary, *details;
    int min_args, max_args;
    enum needs needs;
    unsigned flags; /* STREAM: several replies; QUIET: -q; LAST: the daemon goes away; the others are options */
    const char *more_word; /* sent to the daemon when an optional argument is not given */
    void (*show)(const struct ctl *c, const json_t *doc); /* verbs of the daemon */
    int (*run)(struct ctl *c);                            /* verbs of our own */
};

extern const struct ctl_verb ctl_verbs[];
extern const size_t ctl_verbs_count;

/* Options that take a value. */
enum ctl_option { CTL_NEAR, CTL_VIA, CTL_NODE, CTL_OVERLAY, CTL_APP, CTL_AT, CTL_OPTIONS };

/* How one run of i3ctl was called. */
struct ctl {
    const struct ctl_verb *verb;
    bool json, quiet, verbose, start, anycast, multicast;
    const char *option[CTL_OPTIONS]; /* NULL: not given */
    int argc; /* what follows the verb's own words, options taken out */
    char **argv;
};

/* ---- help ---- */

int help_run(struct ctl *c);
void help_overview(FILE *to);
/* What somebody does next who has just come here: one or two lines. */
void help_next(FILE *to);
const char *help_next_step(void);
void help_verb(const struct ctl_verb *v);
void help_group(FILE *to, const char *group);
bool help_is_group(const char *word);
/* How that verb is written. */
const char *help_synopsis(const struct ctl_verb *v, char out[LINE_MAX]);
/* The verb that words[0..n) begins with and how many of them are its name, or NULL. */
const struct ctl_verb *help_find(int n, char **words, int *used);
/* Says that there is no such verb, and what was perhaps meant; CTL_USAGE. */
int help_unknown(int n, char **words);

/* ---- the daemon ---- */

/* The socket's path: $I3_SOCK, else $XDG_RUNTIME_DIR/i3/i3d.sock, else /tmp/i3-UID/i3d.sock. 0 or -ENAMETOOLONG. */
int link_path(char path[sizeof(((struct sockaddr_un *)0)->sun_path)]);

/* Where the daemon keeps the key and the book. False: nothing says where. */
bool link_data(char path[PATH_MAX]);

/* A connection to the daemon at `path`, whose owner must be this user. fd, or -errno. */
int link_open(const char *path);
/* The same, but root may speak to anybody's: a node that is a system service has a user of its own. */
int link_open_node(const char *path);

/* One request: `words` are n strings. 0 or -errno. */
int link_send(int fd, uint32_t serial, const char *const *words, size_t n);

struct link_reply {
    json_t *doc; /* an object, owned by the caller */
    bool more;
    int exit;
    int fd; /* that came with it, the caller's; -1: none. Only `trace` is sent one */
};

/* Milliseconds on a clock that is never set. */
int64_t clock_ms(void);

/* The next reply with that serial. 0, -ETIMEDOUT, -ECONNRESET (daemon gone), -EBADMSG. */
int link_recv(int fd, uint32_t serial, int timeout_ms, struct link_reply *out);

/* link_send and link_recv for verbs with a single reply. */
int link_call(int fd, const char *const *words, size_t n, struct link_reply *out);

/* The folder of i3ctl itself, where its sister programs are. 0 or -errno. */
int link_bin_dir(char dir[PATH_MAX]);

/* Runs `path` with argv and env (NULL: our own) to its end; what it writes to stderr goes to err (its last line), not to
 * the terminal. Its exit status, or -errno. */
int link_run(const char *path, char *const *argv, char *const *env, char err[CTL_ERR_LEN]);

/* `i3d --ensure` under env (NULL: our own). 0, or -errno with a sentence in err. */
int link_ensure(char *const *env, char err[CTL_ERR_LEN]);

/* `i3d --check` says that i3.conf is wrong; its sentence in err unless that is NULL. */
bool link_config_refused(char err[CTL_ERR_LEN]);

/* --json stands on the command line. */
bool ctl_json(void);

/* "i3ctl VERB: what `arg`" and how the verb is written; CTL_USAGE. */
int ctl_usage(const struct ctl_verb *v, const char *what, const char *arg);

/* Sends a request and shows what comes of it, by the verb's own `show`. An exit status. */
int ctl_ask(const struct ctl *c, int fd, const char *const *words, size_t n);

/* The daemon, started if the verb wants that. fd, or -1 with the error shown and *exit set. */
int ctl_open_daemon(const struct ctl *c, int *exit);

/* Becomes readable with SIGINT, SIGTERM or SIGHUP, which end nothing any more, so that what was begun is ended in good order. */
int signals_open(void);

/* ---- the daemon's life ---- */

int run_start(struct ctl *c);

/* ---- looking in ---- */

int run_ping(struct ctl *c);
int run_log(struct ctl *c);
int run_trace(struct ctl *c);
int run_doctor(struct ctl *c);

/* ---- overlay nodes ---- */

int ring_run(struct ctl *c);
int metrics_run(struct ctl *c);
void show_ring(const struct ctl *c, const json_t *doc);
void show_metrics(const struct ctl *c, const json_t *doc);

/* Asks the daemon these words, starts it if the verb wants that, and shows the answer. The exit status. (i3ctl.c) */
int daemon_words(const struct ctl *c, const char *const *words, size_t n);

/* ---- output ---- */

/* The error as {"error": ..., "exit": ...} on stdout with --json, else on stderr; returns `exit`. */
int show_error(const struct ctl *c, int exit, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* usage: how it should have been called, or NULL. */
void show_error_json(const char *text, const char *usage, int exit);

void show_json(const json_t *doc, bool one_line);

void show_init(const struct ctl *c, const json_t *doc);
void show_id(const struct ctl *c, const json_t *doc);
void show_book_add(const struct ctl *c, const json_t *doc);
void show_book_rm(const struct ctl *c, const json_t *doc);
void show_book_ls(const struct ctl *c, const json_t *doc);
void show_book_claim(const struct ctl *c, const json_t *doc);
void show_status(const struct ctl *c, const json_t *doc);
/* i3ctl_policy.c */
void show_reload(const struct ctl *c, const json_t *doc);
void show_gateway(const struct ctl *c, const json_t *doc);
void show_why(const struct ctl *c, const json_t *doc);
int run_why(struct ctl *c);
void show_stop(const struct ctl *c, const json_t *doc);
/* The groups of a document as a table; false: there are none. */
bool show_groups(const json_t *doc);

/* ---- groups ---- */

void show_portal(const struct ctl *c, const json_t *doc);
void show_drop(const struct ctl *c, const json_t *doc);
void show_box(const struct ctl *c, const json_t *doc);
void show_alerts(const struct ctl *c, const json_t *doc);
void show_anonymous(const struct ctl *c, const json_t *doc);
void show_undrop(const struct ctl *c, const json_t *doc);
/* False: nobody is dropped. */
bool show_dropped(const json_t *doc);
void show_group_new(const struct ctl *c, const json_t *doc);
void show_group_join(const struct ctl *c, const json_t *doc);
void show_group_export(const struct ctl *c, const json_t *doc);
void show_group_leave(const struct ctl *c, const json_t *doc);
void show_group_list(const struct ctl *c, const json_t *doc);
int run_group_new(struct ctl *c);
int run_group_join(struct ctl *c);
void show_mesh(const struct ctl *c, const json_t *doc);
void show_nodes(const struct ctl *c, const json_t *doc);
int run_nodes_list(struct ctl *c);
int run_nodes_add(struct ctl *c);
int run_nodes_rm(struct ctl *c);
int run_book_add(struct ctl *c);

/* The string or number at `key`; "" and 0 when it is not there. */
const char *json_text(const json_t *o, const char *key);
int64_t json_int(const json_t *o, const char *key);

/* Every trigger of a status document stands; false when there is none. */
bool status_triggers_stand(const json_t *status);

/* ---- sharing ---- */

int run_share(struct ctl *c);
int run_unshare(struct ctl *c);
int run_join(struct ctl *c);
int run_rotate(struct ctl *c);
void show_peers(const struct ctl *c, const json_t *doc);

/* ---- demo worlds ---- */

int demo_up(struct ctl *c);
int demo_down(struct ctl *c);
int demo_status(struct ctl *c);

/* ---- a world's processes and files ---- */

enum { WORLD_USERS = 2, WORLD_MARKER_MAX = 64 };

extern const char *const world_user[WORLD_USERS];

/* DIR as an absolute path without links, checked to be a world of ours. 0, or -errno with a sentence in err. */
int world_open(const char *dir, char world[PATH_MAX], char err[CTL_ERR_LEN]);

/* A new world's folder with its marker. `dir` NULL: a fresh one under $TMPDIR or /tmp. *made: the folder did not exist. */
int world_create(const char *dir, char world[PATH_MAX], bool *made, char err[CTL_ERR_LEN]);

/* Ends every daemon and node of the world: SIGTERM, after 3 s SIGKILL. The number still there, 0 when all is well. */
int world_end(const char *world);

/* Removes the world's files; the folder itself too when with_dir. 0 or -errno. */
int world_remove(const char *world, bool with_dir);

/* DIR/USER/run/i3/i3d.sock, and its kin. */
void world_path(char *out, size_t cap, const char *world, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The whole file at `path`, 0600 unless the text is empty. 0 or -errno. */
int world_write(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Our environment with this user's three folders in it; to be freed with world_env_free(). NULL: out of memory. */
char **world_env(const char *world, const char *user);
void world_env_free(char **env);

/* Set by SIGINT, SIGTERM and SIGHUP once world_catch_signals() was called. */
void world_catch_signals(void);
bool world_interrupted(void);

#endif
