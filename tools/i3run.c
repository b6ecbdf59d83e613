/* i3run.c - runs a program on the overlay (tools/i3run/i3run.h): the command line, and what happens in which order.
 *
 * Silent on success; the program's exit status, signals and terminal are its own.
 */
#include "tools/i3run/i3run.h"
#include "tools/i3run/passed.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/i3run/engine.h"

struct run run;

#ifdef __SANITIZE_ADDRESS__
/* Preloaded programs start it, with any environment: then the sanitizer is not the first library. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "verify_asan_link_order=0";
}
#endif

void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("i3run: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

static const char usage[] =
    "usage: i3run [OPTION...] [--] COMMAND [ARGUMENT...]\n"
    "Runs COMMAND so that it can reach, and be reached by, the people you know, under names which end in .i3.\n"
    "\n"
    "  i3run ssh USER@NAME.i3               reach the machine that you call NAME\n"
    "  i3run python3 -m http.server 8000    a server: your friends reach it, at their name for you and port 8000\n"
    "  i3run bash                           a shell, all of whose programs are on the overlay\n"
    "Names come from `i3ctl join CODE` and `i3ctl book add NAME KEY`; a fresh start is `i3ctl init`.\n"
    "\n"
    "  -v, --verbose     say what is done, on stderr\n"
    "      --anyway      run COMMAND even if the overlay cannot be given to it\n"
    "      --argv0=NAME  what COMMAND, which is a path then, shall find as its own name\n"
    "      --anonymous   nobody learns who COMMAND belongs to: keys, address and overlay node of its own, and no other\n"
    "                    network (TCP clients)\n"
    "      --overlay-only\n"
    "                    servers of COMMAND cannot be reached by the local network\n"
    "      --explain[=FILE]\n"
    "                    say each decision, on stderr or in FILE\n"
    "      --strict      in an empty network: nothing but the overlay can be reached (TCP clients)\n"
    "      --help        this text\n"
    "      --version     the version\n"
    "\n"
    "The status is COMMAND's own; 125 when i3run fails, 126 when COMMAND cannot be run, 127 when it is not found.\n";

enum { OPT_HELP = 256, OPT_VERSION, OPT_ANYWAY, OPT_ARGV0, OPT_OVERLAY_ONLY, OPT_STRICT, OPT_EXPLAIN, OPT_ANONYMOUS };

static const struct option options[] = {
    {"verbose", no_argument, NULL, 'v'},
    {"anyway", no_argument, NULL, OPT_ANYWAY},
    {"argv0", required_argument, NULL, OPT_ARGV0},
    {"overlay-only", no_argument, NULL, OPT_OVERLAY_ONLY},
    {"anonymous", no_argument, NULL, OPT_ANONYMOUS},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"explain", optional_argument, NULL, OPT_EXPLAIN},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

/* -1: go on; otherwise the status to end with. */
static int parse_options(int argc, char **argv)
{
    argv[0] = (char *)"i3run"; /* whatever path it was called by: getopt_long() says it */
    for (int c; (c = getopt_long(argc, argv, "+v", options, NULL)) != -1;) {
        switch (c) {
        case 'v':
            run.verbose = true;
            break;
        case OPT_ANYWAY:
            run.anyway = true;
            break;
        case OPT_ARGV0:
            run.argv0 = optarg;
            break;
        case OPT_OVERLAY_ONLY:
            run.overlay_only = true;
            break;
        case OPT_ANONYMOUS:
            run.anonymous = true;
            break;
        case OPT_STRICT:
            run.strict = true;
            break;
        case OPT_EXPLAIN:
            run.explain = true;
            run.explain_file = optarg;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        case OPT_VERSION:
            puts("i3run " I3_VERSION);
            return 0;
        default:
            fputs("Try 'i3run --help'.\n", stderr);
            return FAILED;
        }
    }
    run.argv = argv + optind;
    if (optind < argc)
        return -1;
    fputs(usage, stderr);
    return FAILED;
}

/* In one line: what the file is, and what follows from that. */
static void target_line(char *line, size_t size)
{
    static const char *const how[] = {
        [WAY_PRELOAD] = "run with the library preloaded",
        [WAY_ENGINE] = "run by the seccomp engine (TCP and UDP; see i3run(1))",
        [WAY_REFUSED] = "no library can be preloaded into it",
    };
    const char *in = run.target.interpreter;
    enum target_way way = target_way(run.target.kind);
    snprintf(line, size, "%s%s%s %s: %s", run.path, *in ? ", run by " : "", in, target_words(run.target.kind),
        run.anyway && way != WAY_PRELOAD ? "run without the overlay" : how[way]);
}

static int check_target(void)
{
    char line[2 * PATH_MAX];
    int err = command_find();
    if (err < 0) {
        say("%s: %s", run.argv[0], strerror(-err));
        return err == -ENOENT || err == -ENOTDIR ? NOT_FOUND : REFUSED;
    }
    target_look(run.path, &run.target);
    enum target_way way = target_way(run.target.kind);
    run.engine = way == WAY_ENGINE && !run.anyway;
    bool refused = way == WAY_REFUSED && !run.anyway;
    target_line(line, sizeof(line));
    if (run.verbose || way == WAY_REFUSED || (run.explain && !run.explain_file))
        say("%s%s", line, refused ? " (--anyway runs it without the overlay)" : "");
    return refused ? REFUSED : 0;
}

/* Where the daemon does not say which names are ours, the library goes by its own default. Silent on success means that nothing is
 * said in scripts; a person who has never reached anybody is told what is missing. */
static int suffixes_set(void)
{
    struct ipc_suffixes s;
    if (daemon_suffixes(&s) < 0)
        return 0;
    if (s.flags & IPC_SUFFIXES_NO_NODE && (run.verbose || isatty(STDERR_FILENO)))
        say("no overlay node is configured, so only users of this machine can be reached: i3ctl nodes add HOST:PORT, or i3ctl join CODE");
    return setenv("I3_SUFFIX", s.list, 1);
}

int main(int argc, char **argv)
{
    struct ipc_info info;
    int status = parse_options(argc, argv);
    if (status >= 0)
        return status;
    if (environment_find() < 0)
        return FAILED;
    status = check_target();
    if (status)
        return status;
    if (engine_here()) { /* which serves whatever we start */
        engine_unlist();
        return environment_exec();
    }
    if (daemon_find() < 0) {
        say("the path of the daemon's socket is too long");
        return FAILED;
    }
    if (daemon_ensure(&info) < 0)
        return FAILED;
    if (anonymous_begin(&info) < 0 || environment_set(&info) < 0 || suffixes_set() < 0)
        return FAILED;
    if (run.verbose && run.strict)
        say("in an empty network namespace: TCP clients and names are carried, no servers, no UDP");
    if (run.verbose)
        say("daemon pid=%u socket=%s shim=%s", info.pid, run.sock, run.shim);
    if (run.anonymous && run.engine) {
        say("%s %s, which cannot be run anonymously", run.path, target_words(run.target.kind));
        return REFUSED;
    }
    if (run.anonymous && anonymous_check() < 0)
        return FAILED;
    int fd, err = run.anonymous ? 0 : passed_tell(run.sock, run.overlay_only, &fd);
    if (err < 0) {
        say("the socket that was passed as fd %d cannot be closed to the local network: %s", fd, strerror(-err));
        return FAILED;
    }
    if (run.engine)
        return engine_run();
    return run.strict && strict_enter() < 0 ? FAILED : environment_exec();
}
