/* pages.h - the pages of programs and libraries which are in memory only because start-up ran through them. */
#ifndef I3_PAGES_H
#define I3_PAGES_H

/* Lets go of all code and constant data in memory; what is used again comes back from the page cache by itself, a minor
 * fault for each 64 KB. Worth it after start-up and after bursts: libcrypto and libipsec-mb initialise and test every cipher
 * they have, some 7 MB of code, of which a daemon uses a tenth. */
void pages_forget(void);

#endif
