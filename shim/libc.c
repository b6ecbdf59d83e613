#include "shim/libc.h"

#include <dlfcn.h>
#include <errno.h>

void *libc_bound[LIBC_COUNT];

static const char *const names[LIBC_COUNT] = {
#define X(ret, name, args) [LIBC_##name] = #name,
    LIBC_FUNCTIONS(X)
#undef X
};

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

void *libc_find(enum libc_index which)
{
    void *f = dlsym(RTLD_NEXT, names[which]);
    if (!f) /* not remembered: the library that has it may be loaded later */
        return (void *)missing;
    __atomic_store_n(&libc_bound[which], f, __ATOMIC_RELAXED);
    return f;
}

void libc_bind_all(void)
{
    for (int i = 0; i < LIBC_COUNT; i++)
        libc_get((enum libc_index)i);
}
