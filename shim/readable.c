#include "shim/readable.h"

uintptr_t readable_pages[READABLE_PAGES];
