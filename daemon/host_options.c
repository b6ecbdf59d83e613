#include "daemon/host_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/paths.h"

enum { EX_USAGE = 2 };

static const char usage[] =
    "usage: i3d [OPTION]...\n"
    "The i3 daemon of this user: holds its triggers, sessions and connections. i3run and i3ctl start it by themselves.\n"
    "\n"
    "  --config FILE    configuration (default $XDG_CONFIG_HOME/i3/i3.conf)\n"
    "  --data DIR       identity and address book (default $XDG_DATA_HOME/i3)\n"
    "  --runtime DIR    socket, pid file, log (default $XDG_RUNTIME_DIR/i3, else /tmp/i3-UID)\n"
    "  --ensure         make sure that the daemon is up and answers, then exit\n"
    "  --background     log to DIR/i3d.log instead of standard error\n"
    "  --log-level L    error, warn, info or debug: goes before what the configuration says\n"
    "  --log-format F   text, json or journal (default: journal where standard error is the journal, else text)\n"
    "  --no-sandbox     do without seccomp and Landlock\n"
    "  --check [FILE]   read the configuration, or FILE as one, say all that is wrong with it, exit\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 ended in good order, 1 failed, 2 usage, 75 already running, 78 configuration refused.\n";

/* Absolute, since a background daemon works in /. */
static bool set_path(char *to, size_t cap, const char *from)
{
    char here[1024];
    if (from[0] == '/')
        return snprintf(to, cap, "%s", from) < (int)cap;
    return getcwd(here, sizeof(here)) && snprintf(to, cap, "%s/%s", here, from) < (int)cap;
}

/* systemd says where standard error leads: the journal knows priorities, and has a clock of its own. */
static bool stderr_is_journal(void)
{
    unsigned long long device, inode;
    struct stat st;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
           st.st_ino == inode;
}

static int one_of(const char *const *word, int n, const char *s)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(word[i], s))
            return i;
    return -1;
}

static bool set_level(struct host_options *o, const char *s)
{
    static const char *const level[] = {"error", "warn", "info", "debug"};
    o->log_level = one_of(level, 4, s);
    if (o->log_level < 0)
        fprintf(stderr, "i3d: --log-level %s: error, warn, info or debug\n", s);
    return o->log_level >= 0;
}

static bool set_format(struct host_options *o, const char *s)
{
    static const char *const format[] = {"text", "json", "journal"};
    int at = one_of(format, 3, s);
    if (at < 0)
        fprintf(stderr, "i3d: --log-format %s: text, json or journal\n", s);
    else
        o->log_format = (enum log_format)at;
    return at >= 0;
}

enum { O_CONFIG = 256, O_DATA, O_RUNTIME, O_ENSURE, O_BACKGROUND, O_CHECK, O_READY, O_KEEP, O_KEPT, O_NO_SANDBOX, O_LEVEL, O_FORMAT, O_HELP, O_VERSION };

static const struct option table[] = {{"config", 1, 0, O_CONFIG}, {"data", 1, 0, O_DATA}, {"runtime", 1, 0, O_RUNTIME},
    {"ensure", 0, 0, O_ENSURE}, {"background", 0, 0, O_BACKGROUND}, {"check", 0, 0, O_CHECK}, {"ready-fd", 1, 0, O_READY},
    {"keep", 0, 0, O_KEEP}, {"kept", 0, 0, O_KEPT}, {"no-sandbox", 0, 0, O_NO_SANDBOX}, {"log-level", 1, 0, O_LEVEL},
    {"log-format", 1, 0, O_FORMAT}, {"help", 0, 0, O_HELP}, {"version", 0, 0, O_VERSION}, {0}};

static bool take_option(struct host_options *o, int c)
{
    switch (c) {
    case O_CONFIG:
        o->config_given = true;
        return set_path(o->paths.config, sizeof(o->paths.config), optarg);
    case O_DATA:
        return set_path(o->paths.data, sizeof(o->paths.data), optarg);
    case O_RUNTIME:
        return set_path(o->paths.runtime, sizeof(o->paths.runtime), optarg);
    case O_ENSURE:
        return o->ensure = true;
    case O_BACKGROUND:
        return o->background = true;
    case O_CHECK:
        return o->check = true;
    case O_KEEP:
        return o->keep = true;
    case O_KEPT:
        return o->kept = true;
    case O_NO_SANDBOX:
        return o->no_sandbox = true;
    case O_READY:
        o->ready_fd = atoi(optarg);
        return true;
    case O_LEVEL:
        return set_level(o, optarg);
    case O_FORMAT:
        return set_format(o, optarg);
    case 'h':
    case O_HELP:
        fputs(usage, stdout);
        exit(0);
    case O_VERSION:
        puts("i3d " I3_VERSION);
        exit(0);
    default:
        return false;
    }
}

void host_options_parse(int argc, char **argv, struct host_options *o)
{
    bool ok = true;
    int c;
    *o = (struct host_options){.ready_fd = -1, .log_level = -1, .log_format = stderr_is_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT};
    while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1)
        ok &= take_option(o, c);
    if (ok && o->check && optind == argc - 1) {
        o->config_given = true;
        ok = set_path(o->paths.config, sizeof(o->paths.config), argv[optind++]);
    }
    if (ok && optind < argc)
        fprintf(stderr, "i3d: %s: it takes options only\n", argv[optind]);
    if (!ok || optind < argc) {
        fprintf(stderr, "Try 'i3d --help'.\n");
        exit(EX_USAGE);
    }
    if (paths_default(&o->paths) < 0) {
        fprintf(stderr, "i3d: a path is too long\n");
        exit(EX_USAGE);
    }
}
