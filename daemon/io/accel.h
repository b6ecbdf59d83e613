/* accel.h - libipsec-mb, where the build and the CPU have it: AES-256-GCM at a fourth of libcrypto's time. */
#ifndef I3_ACCEL_H
#define I3_ACCEL_H

/* What seal_new_with() wants, or NULL: libcrypto does it all. */
void *accel_open(void);
void accel_close(void *accel);

#endif
