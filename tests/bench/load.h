/* load.h - a plain network load, to be run with and without i3run. Knows nothing of the overlay.
 *
 * load.c  who serves, streams, ping-pong, connect and close
 * many.c  a lot of connections at once, mostly idle
 * udp.c   datagrams
 * once.c  what is paid once: a name's look-up
 * cost.c  what a program pays that uses no virtual name
 *
 * Each mode prints one line of KEY=VALUE.
 */
#pragma once

#include <stddef.h>

double seconds(void);
__attribute__((noreturn)) void die(const char *what);

/* A connected stream socket with TCP_NODELAY, or -1; ends the program if the name is not known. */
int dial(const char *host, const char *port);

/* A listening socket on all of IPv4; ends the program on failure. */
int listen_on(const char *port);

/* The sample below which `share` of all n lie; sorts them. */
double quantile(float *v, size_t n, double share);

/* load keep PORT: one process echoes on any number of connections; prints "ready". */
int keep(char **arg);

/* load hold HOST PORT N PER_S: N connections; prints held= failed=, then sends PER_S single bytes a second over them in turn
 * (and takes the echo) until its input ends. */
int hold(char **arg);

/* load lookup NAME N [BEFORE]: in N processes, each of which has looked up "localhost" before, and BEFORE: first_us= known_us=,
 * medians. A # in NAME is replaced by 0..N-1. */
int lookup(char **arg);

/* load calls N: N connections over loopback, each with what an event loop does with one; datagrams; forks. */
int calls(char **arg);

/* load pieces N: N small and large writes to a TCP connection over loopback, and the reads at its other end. */
int pieces(char **arg);

/* load against N WAY... -- CMD: runs CMD as it is and in other ways in turn, N times each, N at most 2000. WAY: a program that is
 * given CMD, with options behind spaces, or +LIBRARY, which is preloaded. For the first way added1= ms, the median of the differences to the plain run beside
 * it; wall1= cpu1=, of the ratios; for the next added2= and so on; ms0=, ms1=: the medians themselves. */
int against(char **arg);

/* load udpserve PORT: counts datagrams; prints "ready". */
int udpserve(char **arg);

/* load udp HOST PORT SECS SIZE: the highest rate at which less than 0.1 % is lost: pps= loss=. */
int udp(char **arg);
