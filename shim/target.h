/* target.h - what a file is that is about to be executed, and so whether the preloaded library will be in it.
 *
 *   TARGET_PRELOAD   the loader of our own libc will load the library
 *   engine           the library cannot be, or would not see its system calls; i3run's engine can (tools/i3run/engine.h)
 *   refused          neither: the system takes privileges away from a program that is helped, or it is not for this machine
 *
 * Scripts are followed to their interpreter. Nothing is looked for in PATH, and what a wrapper (env, timeout) executes in turn
 * is seen when it does. No allocation, no errno, no lock: may be called in a vfork child.
 */
#ifndef I3_SHIM_TARGET_H
#define I3_SHIM_TARGET_H

#include <stdbool.h>

enum target_kind {
    TARGET_PRELOAD,
    TARGET_UNKNOWN, /* not readable, or no ELF file: the kernel decides */
    TARGET_STATIC,
    TARGET_GO,   /* makes its system calls itself, even where libc is linked in (cgo) */
    TARGET_MUSL, /* its libc is another one */
    TARGET_32BIT,
    TARGET_MACHINE, /* another processor's */
    TARGET_SETUID,
    TARGET_SETGID,
    TARGET_CAPABILITIES,
    TARGET_SNAP,
    TARGET_KINDS
};

enum target_way { WAY_PRELOAD, WAY_ENGINE, WAY_REFUSED };

enum { TARGET_SCRIPT_LINE = 256 /* as the kernel reads it */, TARGET_DEPTH = 5 };

struct target {
    enum target_kind kind;
    char interpreter[TARGET_SCRIPT_LINE]; /* whom the kind is about, when it is not the file itself; else "" */
};

/* `path` as execve() takes it. */
void target_look(const char *path, struct target *t);

/* The same of an open file, as fexecve() takes it. */
void target_look_fd(int fd, struct target *t);

enum target_way target_way(enum target_kind kind);

/* A few words after the program's name: "is statically linked". */
const char *target_words(enum target_kind kind);

#endif
