/* notify.h - tells systemd how the service is (sd_notify(3), by hand: one datagram each). Without systemd nothing happens. */
#ifndef I3_NOTIFY_H
#define I3_NOTIFY_H

#include <stdint.h>

/* Connects to $NOTIFY_SOCKET and takes it out of the environment. Before a sandbox. */
void notify_open(void);
/* "READY=1", "STOPPING=1", "STATUS=...", "WATCHDOG=1"; several, a line each. */
void notify_send(const char *state);
/* The configuration is read anew; "READY=1" is to follow. */
void notify_reloading(void);
/* How often "WATCHDOG=1" has to be sent, in ms: half of what the unit says; 0: never. */
uint64_t notify_watchdog_ms(void);

#endif
