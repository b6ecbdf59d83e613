/* i3ctl_qr.h - a QR code on a terminal: two rows of it in one line of text, dark on light as scanners want it. */
#ifndef I3CTL_QR_H
#define I3CTL_QR_H

#include <stdbool.h>
#include <stdio.h>

/* text: letters (drawn as capitals), digits and '-'. False: it cannot be drawn. */
bool qr_print(FILE *to, const char *text);

#endif
