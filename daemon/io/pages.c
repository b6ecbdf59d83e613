#include "daemon/io/pages.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Only what cannot have been written to: relocations would be lost with the page. */
static int forget_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size, (void)ctx;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || ph->p_flags & PF_W)
            continue;
        uintptr_t first = info->dlpi_addr + ph->p_vaddr, last = first + ph->p_memsz;
        first &= ~(page - 1);
        last = (last + page - 1) & ~(page - 1);
        madvise((void *)first, last - first, MADV_DONTNEED);
    }
    return 0;
}

void pages_forget(void)
{
    dl_iterate_phdr(forget_object, NULL);
}
