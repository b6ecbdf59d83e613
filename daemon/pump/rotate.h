/* pump/rotate.h - an old key of the user's, which still answers for a time. */
#ifndef I3_PUMP_ROTATE_H
#define I3_PUMP_ROTATE_H

#include "daemon/pump/impl.h"

struct retired {
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    uint64_t until; /* microseconds since 1970 */
};

#endif
