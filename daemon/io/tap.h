/* tap.h - where a middle-box shows the packets that pass: a TUN device, a FIFO, a file (i3.conf: tap).
 *
 *   tun:NAME    written to a TUN device that an administrator has made for the user (ip tuntap add mode tun user U name NAME); an intrusion
 *               detection system listens there. What is written to it by others is read by nobody.
 *   fifo:PATH   a capture (middlebox/pcap.h) to whoever reads; each new reader gets a header first
 *   file:PATH   the same to a file of TAP_FILE_MAX bytes at most, then to PATH.1, then to PATH again
 *
 * Nobody ever waits for a reader: what it does not take in time is counted as dropped, whole packets only. A FIFO has TAP_BUFFER bytes of
 * room besides the kernel's.
 *
 * The process gives up its right to open files before it knows of packets: taps_prepare() does what needs that right.
 */
#ifndef I3_IO_TAP_H
#define I3_IO_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/mono.h"

enum { TAP_BUFFER = 1 << 20, TAP_FILE_MAX = 256 << 20, TAPS_MAX = 4, TAP_PATH_MAX = 208 };

struct tap;

/* Opens devices, makes FIFOs and files that are not there, listens at the verdicts' socket ("": none). What cannot be had is told when it is
 * opened. */
void taps_prepare(const char (*specs)[201], unsigned n, const char *verdicts);
/* The listening socket, or -errno; the caller's from then on. */
int taps_verdicts_fd(void);
/* The folder in which a tap's file lies, NULL: it has none. */
const char *tap_folder(const char *spec, char room[TAP_PATH_MAX]);

/* 0 or -errno, with a sentence in why. header: what each reader gets first, copied. */
int tap_open(struct tap **out, const char *spec, const void *header, size_t header_len, char *why, size_t whylen);
void tap_close(struct tap *t);
/* One packet; record: what stands before it in a capture. */
void tap_write(struct tap *t, const void *record, size_t record_len, const void *packet, size_t len);
/* At the end of a turn: what has gathered is written as far as it is taken. Looks for readers as well, once in a while. True: something
 * is left. */
bool tap_flush(struct tap *t, mono_t now);
const char *tap_spec(const struct tap *t);
/* "written to", "waits for a reader", or what is wrong. */
const char *tap_words(const struct tap *t);
void tap_counts(const struct tap *t, uint64_t *written, uint64_t *dropped);

#endif
