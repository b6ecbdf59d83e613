#include "include/bytes.h"
