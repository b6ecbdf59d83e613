#include "daemon/io/accel.h"

#include <stddef.h>

#ifdef HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>

void *accel_open(void)
{
    IMB_ARCH arch;
    IMB_MGR *mb = alloc_mb_mgr(0);
    if (!mb)
        return NULL;
    init_mb_mgr_auto(mb, &arch);
    /* without AES instructions it would be slower than libcrypto, and not constant in time */
    if (mb->features & IMB_FEATURE_AESNI && imb_get_errno(mb) == 0)
        return mb;
    free_mb_mgr(mb);
    return NULL;
}

void accel_close(void *accel)
{
    if (accel)
        free_mb_mgr(accel);
}

#else

void *accel_open(void)
{
    return NULL;
}

void accel_close(void *accel)
{
    (void)accel;
}

#endif
