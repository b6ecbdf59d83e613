/* i3ctl_log.c - i3ctl log: the daemon's log file, which the daemon turns over at 1 MB (FILE.old is the part before), or that what
 * stands in the journal where systemd runs the daemon. Following goes by name, so that it goes on over a new file and a new daemon. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/i3ctl_table.h"

enum { LINE_LEN = 9000, LOOK_MS = 200, TAIL_WITH_FOLLOW = 20, LINES_MAX = 1000000, ALL = -1 };

struct log {
    const struct ctl *c;
    char path[PATH_MAX], old[PATH_MAX + 8];
    long lines; /* before the end; ALL */
    bool follow;
    /* of the file that is read */
    int fd;
    ino_t inode;
    off_t at;
    char line[LINE_LEN]; /* one whose end is still to come */
    size_t len;
};

/* ---- a line ---- */

static const char *level_ink(const char *level)
{
    return !strcmp(level, "error") ? ink(INK_BAD) : !strcmp(level, "warn") ? ink(INK_WARN) : "";
}

/* The next " name=" from s on, its name's start, or NULL. */
static char *next_field(char *s)
{
    while ((s = strchr(s, ' '))) {
        size_t n = strspn(++s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (n && s[n] == '=')
            return s;
    }
    return NULL;
}

/* What is no UTF-8, as a path may be, is given without what is not ASCII. */
static json_t *text_value(char *s)
{
    json_t *v = json_string(s);
    for (char *c = s; !v && *c; c++)
        if (*c & 0x80)
            *c = '?';
    return v ? v : json_string(s);
}

/* As the daemon's own JSON form has it (daemon/io/log_file.h): "EVENT name=value ..."; level "": not known. */
static void show_event_json(const char *time, const char *level, char *event)
{
    json_t *o = json_object();
    char *field = next_field(event);
    if (*time)
        json_object_set_new(o, "time", json_string(time));
    if (*level)
        json_object_set_new(o, "level", json_string(level));
    if (field)
        field[-1] = '\0';
    json_object_set_new(o, "event", text_value(event));
    while (field) {
        char *next = next_field(field), *value = strchr(field, '=');
        if (next)
            next[-1] = '\0';
        *value++ = '\0';
        if (!json_object_get(o, field))
            json_object_set_new(o, field, text_value(value));
        field = next;
    }
    show_json(o, true);
    json_decref(o);
}

static bool is_level(const char *s)
{
    return !strcmp(s, "error") || !strcmp(s, "warn") || !strcmp(s, "info") || !strcmp(s, "debug");
}

/* "TIME LEVEL EVENT ..."; what is of another form is an event as a whole. */
static void show_line_json(char *line)
{
    char *level = strchr(line, ' '), *event = level ? strchr(level + 1, ' ') : NULL;
    json_t *o;
    if (event)
        *level = *event = '\0';
    if (event && is_level(level + 1)) {
        show_event_json(line, level + 1, event + 1);
        return;
    }
    if (event)
        *level = *event = ' ';
    o = json_pack("{s:o}", "event", text_value(line));
    show_json(o, true);
    json_decref(o);
}

static void show_line(const struct log *l, char *line)
{
    char *level = strchr(line, ' '), *rest = level ? strchr(level + 1, ' ') : NULL;
    if (l->c->json) {
        show_line_json(line);
    } else if (rest && *ink(INK_END)) {
        *rest = '\0';
        printf("%s%s%s %s\n", level_ink(level + 1), line, ink(INK_END), rest + 1);
    } else {
        puts(line);
    }
}

/* ---- a file ---- */

/* What is there of the file, line by line; the beginning of one whose end is missing is kept. */
static void read_on(struct log *l)
{
    char buf[65536];
    ssize_t n;
    while ((n = pread(l->fd, buf, sizeof(buf), l->at)) > 0) {
        l->at += n;
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != '\n') {
                if (l->len < sizeof(l->line) - 1)
                    l->line[l->len++] = buf[i];
                continue;
            }
            l->line[l->len] = '\0';
            show_line(l, l->line);
            l->len = 0;
        }
    }
    fflush(stdout);
}

/* Where the last n lines begin. *found: how many there are, at most n. */
static off_t tail_at(int fd, long n, long *found)
{
    char buf[65536];
    off_t end = lseek(fd, 0, SEEK_END), at = end;
    *found = 0;
    while (at > 0) {
        size_t piece = at < (off_t)sizeof(buf) ? (size_t)at : sizeof(buf);
        at -= (off_t)piece;
        if (pread(fd, buf, piece, at) != (ssize_t)piece)
            return end;
        for (size_t i = piece; i > 0; i--)
            if (buf[i - 1] == '\n' && at + (off_t)i != end && ++*found == n)
                return at + (off_t)i;
    }
    *found += end > 0;
    return 0;
}

static void show_old(struct log *l, long lines)
{
    long found;
    l->fd = open(l->old, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (l->fd < 0)
        return;
    l->at = lines == ALL ? 0 : tail_at(l->fd, lines, &found);
    read_on(l);
    close(l->fd);
    l->fd = -1;
    l->len = 0;
}

static bool open_file(struct log *l)
{
    struct stat st;
    l->fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (l->fd < 0)
        return false;
    l->inode = fstat(l->fd, &st) ? 0 : st.st_ino;
    l->at = 0;
    l->len = 0;
    return true;
}

/* ---- following ---- */

/* Another file stands at the path, or it was cut: what the old one still had was read. */
static void look_again(struct log *l)
{
    struct stat st;
    if (l->fd >= 0)
        read_on(l);
    if (stat(l->path, &st) < 0)
        return;
    if (l->fd >= 0 && st.st_ino == l->inode) {
        if (st.st_size < l->at)
            l->at = 0, l->len = 0;
        return;
    }
    if (l->fd >= 0)
        close(l->fd);
    if (open_file(l))
        read_on(l);
}

static int follow(struct log *l)
{
    struct pollfd p[2] = {{.fd = signals_open(), .events = POLLIN}, {.fd = STDOUT_FILENO, .events = 0}};
    if (l->fd < 0 && !l->c->json)
        fprintf(stderr, "i3ctl: no log yet at %s; waiting for the daemon to write it\n", l->path);
    /* who reads us may go away while nothing is written: POLLERR says so */
    while (poll(p, 2, LOOK_MS) <= 0 || !(p[0].revents || p[1].revents & POLLERR))
        look_again(l);
    close(p[0].fd);
    return CTL_OK;
}

/* ---- the journal ---- */

/* One of its JSON lines as one of ours. */
static void show_journal_line(const char *text)
{
    static const char *const level[] = {"error", "error", "error", "error", "warn", "info", "info", "debug"};
    char time[40] = "", said[LINE_LEN];
    json_t *o = json_loads(text, 0, NULL);
    long long us = atoll(json_text(o, "__REALTIME_TIMESTAMP"));
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    int priority = atoi(*json_text(o, "PRIORITY") ? json_text(o, "PRIORITY") : "6");
    size_t n = strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
    snprintf(time + n, sizeof(time) - n, ".%03dZ", (int)(us / 1000 % 1000));
    snprintf(said, sizeof(said), "%s", json_text(o, "MESSAGE"));
    if (o)
        show_event_json(time, level[priority & 7], said);
    fflush(stdout);
    json_decref(o);
}

static int journal_json(const struct log *l, const char *const *argv)
{
    char command[200] = "exec", *line = NULL;
    size_t size = 0;
    for (size_t i = 0; argv[i]; i++)
        strcat(strcat(command, " "), argv[i]); /* our own words alone */
    FILE *f = popen(command, "re");
    if (!f)
        return show_error(l->c, CTL_FAILED, "journalctl cannot be run: %s", strerror(errno));
    while (getline(&line, &size, f) > 0)
        show_journal_line(line);
    free(line);
    return pclose(f) ? CTL_FAILED : CTL_OK;
}

/* Does not return when it goes well, but with JSON. */
static int journal(const struct log *l)
{
    char n[24];
    const char *argv[10] = {"journalctl", "--user", "--unit=i3d.service", l->c->json ? "--output=json" : "--output=short-iso"};
    size_t argc = 4;
    snprintf(n, sizeof(n), "--lines=%ld", l->lines);
    if (l->lines != ALL)
        argv[argc++] = n;
    argv[argc++] = l->follow ? "--follow" : "--no-pager";
    if (l->c->json)
        return journal_json(l, argv);
    execvp(argv[0], (char *const *)argv);
    return show_error(l->c, CTL_FAILED, "there is no log at %s, and journalctl cannot be run: %s", l->path, strerror(errno));
}

/* systemd has started the daemon, so that it writes into the journal. */
static bool in_journal(void)
{
    return system("systemctl --user --quiet is-active i3d.service >/dev/null 2>&1") == 0;
}

/* ---- the verb ---- */

static int parse(struct ctl *c, struct log *l)
{
    static const struct option table[] = {{"follow", 0, 0, 'f'}, {"lines", 1, 0, 'n'}, {0}};
    char *argv[32] = {(char *)"log"}, *end = (char *)"";
    int option, argc = 1;
    for (int i = 0; i < c->argc && argc < 31; i++)
        argv[argc++] = c->argv[i];
    l->lines = ALL;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "fn:", table, NULL)) != -1) {
        if (option == 'f')
            l->follow = true;
        else if (option == 'n')
            l->lines = strtol(optarg, &end, 10);
        else
            return ctl_usage(c->verb, "no option, or its value is missing:", argv[optind - 1]);
    }
    if (optind < argc)
        return ctl_usage(c->verb, "too many arguments:", argv[optind]);
    if (*end || l->lines < ALL || l->lines > LINES_MAX)
        return ctl_usage(c->verb, "-n takes a number of lines", "");
    if (l->follow && l->lines == ALL)
        l->lines = TAIL_WITH_FOLLOW;
    return CTL_OK;
}

static int find_file(struct log *l)
{
    char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
    if (link_path(socket))
        return show_error(l->c, CTL_FAILED, "the path of the daemon's folder is too long: shorten XDG_RUNTIME_DIR");
    char *slash = strrchr(socket, '/');
    snprintf(l->path, sizeof(l->path), "%.*s/i3d.log", slash ? (int)(slash - socket) : 1, slash ? socket : ".");
    snprintf(l->old, sizeof(l->old), "%s.old", l->path);
    return CTL_OK;
}

static void show_tail(struct log *l)
{
    long found = 0;
    off_t at = l->lines == ALL ? 0 : tail_at(l->fd, l->lines, &found);
    int fd = l->fd;
    if (l->lines == ALL || found < l->lines)
        show_old(l, l->lines == ALL ? ALL : l->lines - found);
    l->fd = fd;
    l->at = l->lines == 0 ? lseek(fd, 0, SEEK_END) : at;
    read_on(l);
}

int run_log(struct ctl *c)
{
    struct log l = {.c = c, .fd = -1};
    int exit = parse(c, &l);
    if (!exit)
        exit = find_file(&l);
    if (exit)
        return exit;
    if (open_file(&l))
        show_tail(&l);
    else if (errno == EACCES)
        return show_error(c, CTL_FAILED, "%s: %s", l.path, strerror(errno));
    else if (in_journal())
        return journal(&l);
    else if (!l.follow)
        return show_error(c, CTL_FAILED, "there is no log yet at %s: the daemon writes it from its first start on, e.g. by i3ctl id", l.path);
    return l.follow ? follow(&l) : CTL_OK;
}
