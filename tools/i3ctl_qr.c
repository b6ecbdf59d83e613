#include "tools/i3ctl_qr.h"

#include <qrencode.h>

enum { QUIET = 2 }; /* a light frame: the terminal around it may be dark */

static bool is_dark(const QRcode *q, int x, int y)
{
    return x >= 0 && y >= 0 && x < q->width && y < q->width && q->data[y * q->width + x] & 1;
}

bool qr_print(FILE *to, const char *text)
{
    /* upper, lower half: what is light is drawn, so that dark is the background */
    static const char *const half[2][2] = {{"█", "▀"}, {"▄", " "}};
    QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 0);
    if (!q)
        return false;
    for (int y = -QUIET; y < q->width + QUIET; y += 2) {
        fputs("    \033[97;40m", to);
        for (int x = -QUIET; x < q->width + QUIET; x++)
            fputs(half[is_dark(q, x, y)][is_dark(q, x, y + 1)], to);
        fputs("\033[0m\n", to);
    }
    fputs("\n", to);
    QRcode_free(q);
    return true;
}
