#include "daemon/pump/box.h"
