#include "tools/i3ctl_qr.h"

#include <langinfo.h>
#include <locale.h>
#include <qrencode.h>
#include <string.h>
#include <unistd.h>

enum { QUIET = 2 }; /* a light frame: the terminal around it may be dark */

static bool is_dark(const QRcode *q, int x, int y)
{
    return x >= 0 && y >= 0 && x < q->width && y < q->width && q->data[y * q->width + x] & 1;
}

static bool is_utf8(void)
{
    return setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8");
}

/* Two modules in a character: upper, lower half; what is light is drawn, so that dark is the background. */
static void print_halves(FILE *to, const QRcode *q, bool colour)
{
    static const char *const half[2][2] = {{"█", "▀"}, {"▄", " "}};
    for (int y = -QUIET; y < q->width + QUIET; y += 2) {
        fputs(colour ? "    \033[97;40m" : "    ", to);
        for (int x = -QUIET; x < q->width + QUIET; x++)
            fputs(half[is_dark(q, x, y)][is_dark(q, x, y + 1)], to);
        fputs(colour ? "\033[0m\n" : "\n", to);
    }
}

/* A module in two characters of ASCII, where nothing else can be shown. */
static void print_ascii(FILE *to, const QRcode *q, bool colour)
{
    const char *dark = colour ? "\033[40m  " : "  ", *light = colour ? "\033[107m  " : "##";
    for (int y = -QUIET; y < q->width + QUIET; y++) {
        fputs("    ", to);
        for (int x = -QUIET; x < q->width + QUIET; x++)
            fputs(is_dark(q, x, y) ? dark : light, to);
        fputs(colour ? "\033[0m\n" : "\n", to);
    }
}

bool qr_print(FILE *to, const char *text)
{
    QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 0);
    if (!q)
        return false;
    bool colour = isatty(fileno(to)); /* NO_COLOR or not: without black and white there is no code */
    if (is_utf8())
        print_halves(to, q, colour);
    else
        print_ascii(to, q, colour);
    fputs("\n", to);
    QRcode_free(q);
    return true;
}
