#include "shim/target.h"

#include <elf.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "include/bytes.h"
#include "shim/sys.h"

#if __SIZEOF_POINTER__ == 8
enum { OUR_CLASS = ELFCLASS64 };
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
typedef Elf64_Shdr elf_section;
#else
enum { OUR_CLASS = ELFCLASS32 };
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
typedef Elf32_Shdr elf_section;
#endif

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64, OUR_MACHINE_32 = EM_386 };
#elif defined(__aarch64__)
enum { OUR_MACHINE = EM_AARCH64, OUR_MACHINE_32 = EM_ARM };
#elif defined(__i386__)
enum { OUR_MACHINE = EM_386, OUR_MACHINE_32 = EM_386 };
#elif defined(__riscv)
enum { OUR_MACHINE = EM_RISCV, OUR_MACHINE_32 = EM_RISCV };
#else
#error "which ELF machine is this?"
#endif

static const char go_section[] = ".go.buildinfo";

enum { HEAD = 1024, NAMES = 2048, NOTES = 512, LOADER = 128, SEGMENTS = 64 };

static bool read_at(int fd, void *out, size_t n, uint64_t at)
{
    return sys_call(SYS_pread64, fd, (long)out, (long)n, (long)at, 0, 0) == (long)n;
}

/* As much as there is, up to n. */
static size_t read_some(int fd, void *out, size_t n, uint64_t at)
{
    long got = sys_call(SYS_pread64, fd, (long)out, (long)n, (long)at, 0, 0);
    return got > 0 ? (size_t)got : 0;
}

/* Go's linker leaves its build id in a note named "Go", unless it is told not to. */
static bool has_go_note(int fd, const elf_segment *seg)
{
    uint32_t buf[NOTES / 4];
    size_t len = read_some(fd, buf, seg->p_filesz < NOTES ? seg->p_filesz : NOTES, seg->p_offset);
    for (size_t at = 0; at + sizeof(Elf32_Nhdr) + 4 <= len;) {
        Elf32_Nhdr n;
        memcpy(&n, (char *)buf + at, sizeof(n));
        if (n.n_namesz == 4 && !memcmp((char *)buf + at + sizeof(n), "Go\0", 4))
            return true;
        if (n.n_namesz > NOTES || n.n_descsz > NOTES)
            return false;
        at += sizeof(n) + ((n.n_namesz + 3) & ~3u) + ((n.n_descsz + 3) & ~3u);
    }
    return false;
}

/* And what it was built from in a section of its own, which strip(1) leaves alone. */
static bool has_go_section(int fd, const elf_header *h)
{
    elf_section s;
    char names[NAMES];
    if (!h->e_shoff || h->e_shentsize != sizeof(s) ||
        !read_at(fd, &s, sizeof(s), h->e_shoff + (uint64_t)h->e_shstrndx * sizeof(s)))
        return false;
    size_t len = read_some(fd, names, s.sh_size < NAMES ? s.sh_size : NAMES, s.sh_offset);
    return memmem(names, len, go_section, sizeof(go_section)) != NULL;
}

static bool is_musl(int fd, const elf_segment *seg)
{
    char loader[LOADER];
    size_t n = read_some(fd, loader, seg->p_filesz < LOADER ? seg->p_filesz : LOADER, seg->p_offset);
    return memmem(loader, n, "/ld-musl", 8) != NULL;
}

/* The loader started by name loads the library like any program's. */
static bool is_loader(const char *path)
{
    const char *base = path ? strrchr(path, '/') : NULL;
    base = base ? base + 1 : path;
    return base && (!strncmp(base, "ld-linux", 8) || !strncmp(base, "ld.so", 5));
}

static enum target_kind linked_kind(int fd, const char *path, const elf_header *h)
{
    bool go = false;
    enum target_kind kind = is_loader(path) ? TARGET_PRELOAD : TARGET_STATIC;
    if (h->e_phentsize != sizeof(elf_segment))
        return TARGET_UNKNOWN;
    for (unsigned i = 0; i < h->e_phnum && i < SEGMENTS; i++) {
        elf_segment seg;
        if (!read_at(fd, &seg, sizeof(seg), h->e_phoff + i * sizeof(seg)))
            return TARGET_UNKNOWN;
        if (seg.p_type == PT_INTERP)
            kind = is_musl(fd, &seg) ? TARGET_MUSL : TARGET_PRELOAD;
        else if (seg.p_type == PT_NOTE)
            go = go || has_go_note(fd, &seg);
    }
    return go || has_go_section(fd, h) ? TARGET_GO : kind;
}

static enum target_kind elf_kind(int fd, const char *path)
{
    elf_header h;
    if (!read_at(fd, &h, sizeof(h), 0))
        return TARGET_UNKNOWN;
    if (h.e_machine != OUR_MACHINE && h.e_machine != OUR_MACHINE_32) /* which stands at the same place in either class */
        return TARGET_MACHINE;
    if (h.e_machine != OUR_MACHINE || h.e_ident[EI_CLASS] != OUR_CLASS) /* x32 has the machine of one and the class of the other */
        return h.e_ident[EI_CLASS] == ELFCLASS32 ? TARGET_32BIT : TARGET_MACHINE;
    return linked_kind(fd, path, &h);
}

/* Setuid and the like make the loader ignore LD_PRELOAD; unless they have no effect here. */
static enum target_kind privilege(int fd, const struct stat *st)
{
    struct statfs fs;
    enum target_kind kind = TARGET_PRELOAD;
    if (st->st_mode & S_ISUID && st->st_uid != (uid_t)sys_call(SYS_getuid, 0, 0, 0, 0, 0, 0))
        kind = TARGET_SETUID;
    else if (st->st_mode & S_ISGID && st->st_mode & S_IXGRP && st->st_gid != (gid_t)sys_call(SYS_getgid, 0, 0, 0, 0, 0, 0))
        kind = TARGET_SETGID;
    else if (sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0) != 0 &&
             sys_call(SYS_fgetxattr, fd, (long)"security.capability", 0, 0, 0, 0) > 0)
        kind = TARGET_CAPABILITIES;
    if (kind == TARGET_PRELOAD || sys_call(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0) == 1 ||
        (sys_call(SYS_fstatfs, fd, (long)&fs, 0, 0, 0, 0) == 0 && fs.f_flags & ST_NOSUID))
        return TARGET_PRELOAD;
    return kind;
}

/* The interpreter of a #! line into t; false when there is none. */
static bool script_interpreter(const char *head, size_t n, struct target *t)
{
    if (n >= TARGET_SCRIPT_LINE)
        n = TARGET_SCRIPT_LINE - 1;
    if (n < 3 || head[0] != '#' || head[1] != '!')
        return false;
    size_t from = 2, to;
    while (from < n && (head[from] == ' ' || head[from] == '\t'))
        from++;
    for (to = from; to < n && head[to] && !strchr(" \t\r\n", head[to]);)
        to++;
    memcpy(t->interpreter, head + from, to - from);
    t->interpreter[to - from] = '\0';
    return to > from;
}

/* One file. True: it is a script, and t->interpreter is to be looked at next. */
static bool look(int fd, const char *path, struct target *t)
{
    char head[TARGET_SCRIPT_LINE];
    struct stat st;
    size_t n = read_some(fd, head, sizeof(head), 0);
    t->kind = TARGET_UNKNOWN;
    if (n < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0) /* without #! it is /bin/sh's to read, which is as it should be */
        return script_interpreter(head, n, t);
    if (sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0)
        return false;
    t->kind = privilege(fd, &st);
    if (t->kind == TARGET_PRELOAD)
        t->kind = elf_kind(fd, path);
    return false;
}

/* Links there lead to the starter of a sandbox, which gains privileges. */
static bool is_snap(const char *path)
{
    static const char *const folders[] = {"/snap/bin/", "/var/lib/snapd/snap/bin/"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (!strncmp(path, folders[i], strlen(folders[i])))
            return true;
    const char *base = strrchr(path, '/');
    return base && !strcmp(base, "/snap-confine");
}

/* What cannot be read may still be setuid. */
static enum target_kind look_closed(const char *path)
{
    enum target_kind kind;
    struct stat st;
    int fd = (int)sys_call(SYS_openat, AT_FDCWD, (long)path, O_PATH | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return TARGET_UNKNOWN;
    kind = sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0 || !S_ISREG(st.st_mode) ? TARGET_PRELOAD : privilege(fd, &st);
    sys_close(fd);
    return kind == TARGET_PRELOAD ? TARGET_UNKNOWN : kind;
}

static void follow(const char *path, struct target *t, int depth)
{
    bool script = true;
    for (; script && depth < TARGET_DEPTH; depth++) {
        if (is_snap(path)) {
            t->kind = TARGET_SNAP;
            return;
        }
        int fd = (int)sys_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0, 0);
        if (fd < 0) {
            t->kind = look_closed(path);
            return;
        }
        script = look(fd, path, t);
        sys_close(fd);
        path = t->interpreter;
    }
}

void target_look(const char *path, struct target *t)
{
    t->kind = TARGET_UNKNOWN;
    t->interpreter[0] = '\0';
    follow(path, t, 0);
}

void target_look_fd(int fd, struct target *t)
{
    t->kind = TARGET_UNKNOWN;
    t->interpreter[0] = '\0';
    if (look(fd, NULL, t))
        follow(t->interpreter, t, 1);
}

static const struct {
    enum target_way way;
    const char *words;
} kinds[] = {
    [TARGET_PRELOAD] = {WAY_PRELOAD, "loads the library"},
    [TARGET_UNKNOWN] = {WAY_PRELOAD, "cannot be looked into"},
    [TARGET_STATIC] = {WAY_ENGINE, "is statically linked"},
    [TARGET_GO] = {WAY_ENGINE, "is written in Go"},
    [TARGET_MUSL] = {WAY_ENGINE, "is linked against musl"},
    [TARGET_32BIT] = {WAY_REFUSED, "is a 32-bit program"},
    [TARGET_MACHINE] = {WAY_REFUSED, "is built for another processor"},
    [TARGET_SETUID] = {WAY_REFUSED, "is setuid"},
    [TARGET_SETGID] = {WAY_REFUSED, "is setgid"},
    [TARGET_CAPABILITIES] = {WAY_REFUSED, "has file capabilities"},
    [TARGET_SNAP] = {WAY_REFUSED, "is a snap"},
};
_Static_assert(ARRAY_LEN(kinds) == TARGET_KINDS, "name all");

enum target_way target_way(enum target_kind kind)
{
    return kinds[kind].way;
}

const char *target_words(enum target_kind kind)
{
    return kinds[kind].words;
}
