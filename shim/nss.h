/* nss.h - look-ups that no hook sees: those which libc makes by itself, or a library which was bound past us (RTLD_DEEPBIND).
 *
 * The library has the name libnss_i3.so.2, so that libc, told to ask a service "i3", finds it loaded already (hooks/nss.c has the
 * entries). libc is told by __nss_configure_lookup(), with "i3 [!UNAVAIL=return]" before what nsswitch.conf has: a name of ours
 * ends there, found or not, and all others go on as if we were not.
 *
 * When: at the beginning of main(), by way of __libc_start_main(). Not in the constructor, since it takes memory and reads a
 * file (SHIM.md, rule 5), and not at the first look-up we see, since the one which matters is one that we do not see. It
 * costs 10 microseconds for the file and 50 for libc, which sets up its memory on the way, in a process like /bin/true that needs none.
 */
#ifndef I3_SHIM_NSS_H
#define I3_SHIM_NSS_H

/* Once; errno stays. */
void nss_configure(void);

#endif
