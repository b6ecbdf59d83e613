#include "tools/i3ctl_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "include/bytes.h"

const char *bytes_str(int64_t n, char buf[PIECE])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double v = (double)n;
    size_t u = 0;
    while (v >= 999.5 && u + 1 < ARRAY_LEN(unit)) {
        v /= 1000;
        u++;
    }
    snprintf(buf, PIECE, u && v < 9.95 ? "%.1f %s" : "%.0f %s", v, unit[u]);
    return buf;
}

const char *micros_str(int64_t us, char buf[PIECE])
{
    if (us <= 0)
        snprintf(buf, PIECE, "-");
    else if (us < 10000)
        snprintf(buf, PIECE, "%.2f ms", (double)us / 1e3);
    else if (us < 1000000)
        snprintf(buf, PIECE, "%.0f ms", (double)us / 1e3);
    else
        snprintf(buf, PIECE, "%.1f s", (double)us / 1e6);
    return buf;
}

/* Two units are enough for anybody. */
const char *seconds_str(int64_t s, char buf[PIECE])
{
    if (s < 60)
        snprintf(buf, PIECE, "%d s", (int)s);
    else if (s < 3600)
        snprintf(buf, PIECE, "%d min %d s", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        snprintf(buf, PIECE, "%d h %d min", (int)(s / 3600), (int)(s / 60 % 60));
    else
        snprintf(buf, PIECE, "%d d %d h", (int)(s / 86400), (int)(s / 3600 % 24));
    return buf;
}

/* A number that may be null. */
const char *seconds_or_dash(const json_t *o, const char *key, char buf[PIECE])
{
    if (!json_is_number(json_object_get(o, key)))
        return strcpy(buf, "-");
    return seconds_str(json_int(o, key), buf);
}

/* ---- tables: columns as wide as their widest cell ---- */

char (*table_row(struct table *t))[CELL_MAX]
{
    void *grown = realloc(t->cell, (t->rows + 1) * t->columns * sizeof(*t->cell));
    if (!grown)
        abort();
    t->cell = grown;
    char(*row)[CELL_MAX] = t->cell + t->rows++ * t->columns;
    memset(row, 0, t->columns * sizeof(*row));
    return row;
}

void cell_set(char cell[CELL_MAX], const char *s)
{
    snprintf(cell, CELL_MAX, "%s", *s ? s : "-");
}

/* ---- the terminal ---- */

bool out_is_terminal(void)
{
    static int is = -1;
    if (is < 0)
        is = isatty(STDOUT_FILENO);
    return is;
}

const char *ink(enum ink which)
{
    static const char *const code[] = {[INK_END] = "\033[0m", [INK_GOOD] = "\033[32m", [INK_BAD] = "\033[1;31m", [INK_WARN] = "\033[33m",
        [INK_HEAD] = "\033[1m"};
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = !out_is_terminal() || (no && *no) || !term || !strcmp(term, "dumb");
    return plain ? "" : code[which];
}

size_t fd_width(int fd)
{
    struct winsize w;
    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &w) < 0)
        return 0;
    return w.ws_col;
}

size_t out_width(void)
{
    return fd_width(STDOUT_FILENO);
}

/* Words longer than a line stay whole, since they are names to be copied. */
void text_wrapped(FILE *to, const char *text, size_t at, size_t indent, size_t width)
{
    bool begun = false;
    while (*(text += strspn(text, " "))) {
        size_t n = strcspn(text, " ");
        if (begun && width && at + 1 + n > width) {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent, begun = false;
        }
        fprintf(to, "%s%.*s", begun ? " " : "", (int)n, text);
        at += n + begun;
        begun = true;
        text += n;
    }
    fputc('\n', to);
}

/* ---- printing ---- */

/* At least that much is left of a cell. */
enum { CELL_LEAST = 12 };

/* The widest columns give until the line fits. */
static void fit(const struct table *t, size_t *width, size_t room)
{
    for (;;) {
        size_t sum = 0, widest = 0;
        for (size_t c = 0; c < t->columns; c++) {
            sum += width[c] + 2;
            if (width[c] > width[widest])
                widest = c;
        }
        if (!room || sum <= room || width[widest] <= CELL_LEAST)
            return;
        width[widest]--;
    }
}

static void table_line(const struct table *t, const size_t *width, const char *const *text)
{
    for (size_t i = 0; i < t->columns; i++) {
        const char *s = text[i] + (text[i] == t->head[i] && *text[i] == '>');
        size_t len = strlen(s);
        bool right = *t->head[i] == '>', last = i + 1 == t->columns;
        if (last && !len)
            break;
        bool cut = len > width[i];
        int pad = cut ? 0 : (int)(width[i] - len);
        printf("  %*s%.*s%s%*s", right ? pad : 0, "", cut ? (int)width[i] - 2 : (int)len, s, cut ? ".." : "", right || last ? 0 : pad, "");
    }
    putchar('\n');
}

void table_print(struct table *t)
{
    size_t width[COLUMNS_MAX] = {0};
    const char *line[COLUMNS_MAX];
    for (size_t c = 0; c < t->columns; c++)
        width[c] = strlen(t->head[c]) - (*t->head[c] == '>');
    for (size_t i = 0; i < t->rows * t->columns; i++)
        if (strlen(t->cell[i]) > width[i % t->columns])
            width[i % t->columns] = strlen(t->cell[i]);
    fit(t, width, out_width());
    if (t->rows)
        table_line(t, width, t->head);
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++)
            line[c] = t->cell[r * t->columns + c];
        table_line(t, width, line);
    }
    free(t->cell);
}
