/* i3ctl_table.h - what people read: sizes and times in short, and tables whose columns are as wide as their widest cell. */
#ifndef I3CTL_TABLE_H
#define I3CTL_TABLE_H

#include "tools/i3ctl.h"

enum { PIECE = 32, COLUMNS_MAX = 10, CELL_MAX = 300 };

const char *bytes_str(int64_t n, char buf[PIECE]);
const char *micros_str(int64_t us, char buf[PIECE]);
/* Two units are enough for anybody. */
const char *seconds_str(int64_t s, char buf[PIECE]);
/* A number that may be null. */
const char *seconds_or_dash(const json_t *o, const char *key, char buf[PIECE]);

/* Standard output is a terminal; how many columns it has, 0: as many as one likes. */
bool out_is_terminal(void);
size_t out_width(void);
size_t fd_width(int fd);

/* The text, broken between words so that lines end before `width` (0: nowhere), and a newline. `at` columns are used already. */
void text_wrapped(FILE *to, const char *text, size_t at, size_t indent, size_t width);

/* What switches to that colour: nothing where there is no terminal, or NO_COLOR is set. */
enum ink { INK_END, INK_GOOD, INK_BAD, INK_WARN, INK_HEAD };
const char *ink(enum ink which);

struct table {
    const char *const *head; /* `columns` of them; a leading '>' sets the column flush right */
    size_t columns, rows;
    char (*cell)[CELL_MAX]; /* rows * columns, grown row by row */
};

/* A new row of empty cells. */
char (*table_row(struct table *t))[CELL_MAX];
void cell_set(char cell[CELL_MAX], const char *s);
/* Nothing for a table without rows; frees it. On a terminal the widest cells are cut until a row fits into a line. */
void table_print(struct table *t);

#endif
