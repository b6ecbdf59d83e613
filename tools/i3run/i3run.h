/* i3run.h - the pieces of i3run: it looks at the command, sees to it that the daemon answers, and runs the command in one of two
 * ways. What is executed with the library preloaded takes i3run's place; what cannot be is run under the engine (engine.h).
 *
 * i3run's own failures: 125 (no daemon, no library, wrong usage), 126 (a command which cannot be helped or executed), 127 (not found).
 */
#ifndef I3_TOOLS_I3RUN_H
#define I3_TOOLS_I3RUN_H

#include <linux/limits.h>

#include "include/ipc.h"
#include "shim/target.h"

enum { FAILED = 125, REFUSED = 126, NOT_FOUND = 127 };

struct run {
    bool explain;
    const char *explain_file; /* NULL: standard error */
    bool strict;           /* in an empty network namespace */
    bool anonymous;        /* in one as well, and with an instance of its own (daemon/pump/anon.h) */
    struct ipc_program program; /* who it is to the daemon; name "": nobody in particular */
    bool verbose, anyway, overlay_only;
    bool engine;           /* run.path cannot be preloaded, but run under the engine */
    const char *argv0;     /* --argv0, or NULL */
    char **argv;           /* the command's; argv[0] is what was asked for */
    char path[PATH_MAX];   /* the file which that is */
    struct target target;
    char folder[PATH_MAX]; /* where i3run is */
    char shim[PATH_MAX];   /* the library */
    char sock[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

extern struct run run;

__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);

/* run.path from run.argv[0], as execvp() searches; -errno is what it would end with. */
int command_find(void);

/* Into an empty network namespace; 0, or -errno and why is said. */
int strict_enter(void);

/* tools/i3run/anonymous.c. The program's token, and its instance: 0, or -errno and why is said. */
int anonymous_begin(const struct ipc_info *info);
/* No socket of the real network is inherited. */
int anonymous_check(void);
/* Behind strict_enter(): what is reached by a file, and would ask others in our name, is not there. */
int anonymous_fence(void);

/* What a started program says of itself; 0, a positive status, or -errno. keep: a connection which the program and its children inherit, so that
 * the daemon sees when the last of them has gone; -1: none. */
int daemon_program(const struct ipc_program *v, int *keep);
/* run.sock. */
int daemon_find(void);
/* Starts the daemon if there is none, and says what is wrong. */
int daemon_ensure(struct ipc_info *info);
/* Which names are ours. 0 or -errno. */
int daemon_suffixes(struct ipc_suffixes *s);

/* run.folder and run.shim. */
int environment_find(void);
int environment_set(const struct ipc_info *info);
/* The program in our place. Returns, having said why not, the status to end with. */
int environment_exec(void);

#endif
