/* pump/gate_control.c - i3ctl gateway. */
#include "daemon/pump/gateway.h"
