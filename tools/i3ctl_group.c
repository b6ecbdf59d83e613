/* i3ctl_group.c - i3ctl group: what the daemon does for groups, in words; and files with their secrets. */
#include "tools/i3ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "include/bytes.h"

enum { SECRET_FILE_MAX = 4096 };

static bool is_multicast(const json_t *doc)
{
    return !strcmp(json_text(doc, "kind"), "multicast");
}

static void show_member(const json_t *doc)
{
    const char *place = json_text(doc, "place");
    if (is_multicast(doc))
        return;
    printf("member   %s%s%s\n", json_text(doc, "member"), *place ? ", at " : "", place);
}

/* The group, then what its name is for. */
static void show_group(const json_t *doc, const char *done)
{
    const char *name = json_text(doc, "name");
    printf("%s the %s group %s; this daemon is a member.\n", done, json_text(doc, "kind"), name);
    printf("key      %s\naddress  %s, %s\n", json_text(doc, "key"), json_text(doc, "address"), json_text(doc, "address6"));
    show_member(doc);
}

void show_group_new(const struct ctl *c, const json_t *doc)
{
    (void)c;
    const char *name = json_text(doc, "name"), *key = json_text(doc, "key"), *option = is_multicast(doc) ? "--multicast " : "";
    show_group(doc, "Made");
    printf("\nTo bring it to another member (what is carried is a secret):\n"
           "    i3ctl group export %s >FILE     here\n"
           "    i3ctl group join %s FILE        there\n"
           "Whoever wants to reach it needs only its key, and the members need that one's:\n"
           "    i3ctl book add %s%s %s\n",
        name, name, option, name, key);
}

void show_group_join(const struct ctl *c, const json_t *doc)
{
    (void)c;
    show_group(doc, "Joined");
}

/* The secret alone on standard output, so that it can be piped. */
void show_group_export(const struct ctl *c, const json_t *doc)
{
    puts(json_text(doc, "secret"));
    fprintf(stderr, "i3ctl: that line is the group's secret: whoever has it can be a member, and read and write what the group does.\n"
                    "i3ctl: carry it as you would a private key; it is read by: i3ctl group join %s FILE\n", c->argv[0]);
}

void show_group_leave(const struct ctl *c, const json_t *doc)
{
    (void)c;
    printf("left %s\n", json_text(doc, "left"));
}

void show_group_list(const struct ctl *c, const json_t *doc)
{
    (void)c;
    if (!show_groups(doc))
        puts("you are in no group: i3ctl group new NAME");
}

/* ---- join ---- */

/* A file with a secret must be yours alone; a pipe is whoever's it is. 0, or an exit status with the error shown. */
static int check_file(const struct ctl *c, int fd, const char *name)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return show_error(c, CTL_FAILED, "%s: %s", name, strerror(errno));
    if (S_ISREG(st.st_mode) && (st.st_mode & 077))
        return show_error(c, CTL_FAILED, "%s: others may read it, so it is no secret any more: chmod 600 '%s', or better make a new group", name, name);
    if (S_ISREG(st.st_mode) && st.st_uid != geteuid() && st.st_uid != 0)
        return show_error(c, CTL_FAILED, "%s: it belongs to another user", name);
    return 0;
}

/* The one line of the file into `secret`. */
static int read_secret(const struct ctl *c, const char *name, char secret[SECRET_FILE_MAX])
{
    bool standard = !strcmp(name, "-");
    int fd = standard ? 0 : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return show_error(c, CTL_FAILED, "%s: %s", name, strerror(errno));
    int bad = standard ? 0 : check_file(c, fd, name);
    size_t len = 0;
    ssize_t n = bad ? 0 : 1;
    while (n > 0 && len < SECRET_FILE_MAX - 1) {
        n = read(fd, secret + len, SECRET_FILE_MAX - 1 - len);
        if (n > 0)
            len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    secret[len] = '\0';
    if (!standard)
        close(fd);
    if (!bad && n < 0)
        return show_error(c, CTL_FAILED, "%s: %s", name, strerror(errno));
    return bad;
}

int run_group_join(struct ctl *c)
{
    static char secret[SECRET_FILE_MAX];
    int bad = read_secret(c, c->argv[1], secret);
    if (bad)
        return bad;
    const char *words[] = {"group", "join", c->argv[0], secret, c->option[CTL_NEAR] ? c->option[CTL_NEAR] : ""};
    int exit = daemon_words(c, words, ARRAY_LEN(words));
    explicit_bzero(secret, sizeof(secret));
    return exit;
}

int run_group_new(struct ctl *c)
{
    if (c->anycast && c->multicast)
        return show_error(c, CTL_USAGE, "a group is either --anycast or --multicast");
    if (c->multicast && c->option[CTL_NEAR])
        return show_error(c, CTL_USAGE, "members of a multicast group are reached all at once: --near is for --anycast");
    const char *words[] = {"group", "new", c->argv[0], c->multicast ? "multicast" : "anycast", c->option[CTL_NEAR] ? c->option[CTL_NEAR] : ""};
    return daemon_words(c, words, ARRAY_LEN(words));
}

int run_book_add(struct ctl *c)
{
    static char near[1100], via[1100], at[1100];
    const char *words[8] = {"book", "add", c->argv[0], c->argv[1]};
    size_t n = 4;
    if (c->multicast)
        words[n++] = "multicast";
    if (c->option[CTL_NEAR] && snprintf(near, sizeof(near), "near=%s", c->option[CTL_NEAR]) < (int)sizeof(near))
        words[n++] = near;
    if (c->option[CTL_VIA] && snprintf(via, sizeof(via), "via=%s", c->option[CTL_VIA]) < (int)sizeof(via))
        words[n++] = via;
    if (c->option[CTL_AT] && snprintf(at, sizeof(at), "at=%s", c->option[CTL_AT]) < (int)sizeof(at))
        words[n++] = at;
    return daemon_words(c, words, n);
}
