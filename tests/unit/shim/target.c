/* What a file about to be executed is, by ELF images of a few hundred bytes. Nothing is executed. */
#include "shim/target.h"
#include "tests/lib/suite.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/i3target.XXXXXX";
static char path[64];

/* What stands in an image beside its header. */
struct image {
    unsigned char class;
    uint16_t machine;
    const char *loader; /* PT_INTERP */
    const char *note;   /* name of one PT_NOTE, after another of the GNU kind */
    const char *section;
    const char *name;
    enum target_kind is;
};

#if defined(__x86_64__)
enum { HERE = EM_X86_64, HERE_32 = EM_386, ELSEWHERE = EM_AARCH64 };
#else
enum { HERE = EM_AARCH64, HERE_32 = EM_ARM, ELSEWHERE = EM_X86_64 };
#endif

static size_t put_note(char *at, const char *name, const char *desc)
{
    Elf64_Nhdr n = {.n_namesz = 4, .n_descsz = (uint32_t)strlen(desc), .n_type = 4};
    memcpy(at, &n, sizeof(n));
    memcpy(at + sizeof(n), name, strlen(name));
    memcpy(at + sizeof(n) + 4, desc, strlen(desc));
    return sizeof(n) + 4 + (strlen(desc) + 3) / 4 * 4;
}

static size_t image_write(const struct image *im, char *out)
{
    enum { SEGMENTS = 64, LOADER = 256, NOTES = 384, NAMES = 512, SECTIONS = 640, END = 1024 };
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', im->class, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = im->machine,
        .e_phoff = SEGMENTS,
        .e_phentsize = sizeof(Elf64_Phdr)};
    memset(out, 0, END);
    if (im->loader) {
        Elf64_Phdr s = {.p_type = PT_INTERP, .p_offset = LOADER, .p_filesz = strlen(im->loader) + 1};
        memcpy(out + LOADER, im->loader, s.p_filesz);
        memcpy(out + SEGMENTS + h.e_phnum++ * sizeof(s), &s, sizeof(s));
    }
    if (im->note) {
        size_t n = put_note(out + NOTES, "GNU", "six by");
        n += put_note(out + NOTES + n, im->note, "id");
        Elf64_Phdr s = {.p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = n};
        memcpy(out + SEGMENTS + h.e_phnum++ * sizeof(s), &s, sizeof(s));
    }
    if (im->section) {
        Elf64_Shdr s = {.sh_type = SHT_STRTAB, .sh_offset = NAMES, .sh_size = 32 + strlen(im->section) + 1};
        memcpy(out + NAMES + 32, im->section, strlen(im->section));
        memcpy(out + SECTIONS + sizeof(s), &s, sizeof(s));
        h.e_shoff = SECTIONS;
        h.e_shnum = 2;
        h.e_shentsize = sizeof(s);
        h.e_shstrndx = 1;
    }
    memcpy(out, &h, sizeof(h));
    return END;
}

static const char *file(const char *name, const void *data, size_t len, mode_t mode)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT, 0700);
    ck_assert(fd >= 0 && write(fd, data, len) == (ssize_t)len && fchmod(fd, mode) == 0);
    close(fd);
    return path;
}

static enum target_kind kind_of(const char *p)
{
    struct target t;
    target_look(p, &t);
    return t.kind;
}

static const char ld[] = "/lib64/ld-linux-x86-64.so.2";

static const struct image images[] = {
    {ELFCLASS64, HERE, ld, NULL, NULL, "dynamic", TARGET_PRELOAD},
    {ELFCLASS64, HERE, ld, "CORE", ".data", "noted", TARGET_PRELOAD},
    {ELFCLASS64, HERE, NULL, NULL, NULL, "static", TARGET_STATIC},
    {ELFCLASS64, HERE, NULL, "XYZ", ".go.buildinfos", "nogo", TARGET_STATIC},
    {ELFCLASS64, HERE, NULL, NULL, NULL, "ld-linux-x86-64.so.2", TARGET_PRELOAD},
    {ELFCLASS64, HERE, NULL, NULL, NULL, "ld.so", TARGET_PRELOAD},
    {ELFCLASS64, HERE, NULL, "Go", NULL, "go", TARGET_GO},
    {ELFCLASS64, HERE, ld, "Go", NULL, "cgo", TARGET_GO},
    {ELFCLASS64, HERE, ld, NULL, ".go.buildinfo", "go-stripped", TARGET_GO},
    {ELFCLASS64, HERE, "/lib/ld-musl-x86_64.so.1", NULL, NULL, "musl", TARGET_MUSL},
    {ELFCLASS64, ELSEWHERE, ld, NULL, NULL, "other", TARGET_MACHINE},
    {ELFCLASS32, HERE_32, NULL, NULL, NULL, "small", TARGET_32BIT},
    {ELFCLASS32, HERE, NULL, NULL, NULL, "x32", TARGET_32BIT},
    {ELFCLASS32, EM_MIPS, NULL, NULL, NULL, "other-small", TARGET_MACHINE},
};

START_TEST(an_image_is_known_by_its_headers)
{
    char buf[1024];
    const struct image *im = &images[_i];
    size_t n = image_write(im, buf);
    ck_assert_msg(kind_of(file(im->name, buf, n, 0755)) == im->is, "%s: %s", im->name, target_words(kind_of(path)));
    struct target t;
    int fd = open(path, O_RDONLY);
    target_look_fd(fd, &t);
    close(fd);
    if (strncmp(im->name, "ld", 2)) /* whose name is all that tells */
        ck_assert_int_eq(t.kind, im->is);
}
END_TEST

START_TEST(a_cut_image_is_left_to_the_kernel)
{
    char buf[1024];
    image_write(&images[7], buf);
    for (size_t n = 0; n < sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr); n++)
        ck_assert_int_eq(kind_of(file("cut", buf, n, 0755)), TARGET_UNKNOWN);
    memset(buf + 16, 0xff, sizeof(buf) - 16); /* nonsense in each field */
    ck_assert_int_ne(kind_of(file("nonsense", buf, sizeof(buf), 0755)), TARGET_PRELOAD);
}
END_TEST

START_TEST(a_script_is_what_its_interpreter_is)
{
    char buf[1024], text[128];
    struct target t;
    char to[64];
    strcpy(to, file("static", buf, image_write(&images[2], buf), 0755));
    snprintf(text, sizeof(text), "#! \t%s -x -y\nrest", to);
    target_look(file("one", text, strlen(text), 0755), &t);
    ck_assert_int_eq(t.kind, TARGET_STATIC);
    ck_assert_str_eq(t.interpreter, to);
    snprintf(text, sizeof(text), "#!%s", path);
    target_look(file("two", text, strlen(text), 0755), &t);
    ck_assert_int_eq(t.kind, TARGET_STATIC);
    ck_assert_str_eq(t.interpreter, to);
    int fd = open(path, O_RDONLY);
    target_look_fd(fd, &t);
    close(fd);
    ck_assert_int_eq(t.kind, TARGET_STATIC);
    snprintf(text, sizeof(text), "#!%s/self\n", folder);
    ck_assert_int_eq(kind_of(file("self", text, strlen(text), 0755)), TARGET_UNKNOWN);
    ck_assert_int_eq(kind_of(file("plain", "echo hello\n", 11, 0755)), TARGET_UNKNOWN);
    ck_assert_int_eq(kind_of(file("lone", "#! \n", 4, 0755)), TARGET_UNKNOWN);
    ck_assert_int_eq(kind_of("/no/such/file"), TARGET_UNKNOWN);
    ck_assert_int_eq(kind_of("/usr/bin/env"), TARGET_PRELOAD);
}
END_TEST

START_TEST(privileges_come_before_all_else)
{
    char buf[1024];
    size_t n = image_write(&images[2], buf);
    file("setuid", buf, n, 04755);
    ck_assert_int_eq(kind_of(path), TARGET_STATIC); /* our own */
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 1, 1) | chmod(path, 04755), 0);
        ck_assert_int_eq(kind_of(path), TARGET_SETUID);
        ck_assert_int_eq(chmod(path, 02755), 0);
        ck_assert_int_eq(kind_of(path), TARGET_SETGID);
        ck_assert_int_eq(chmod(path, 02745), 0); /* no group may execute it: mandatory locking */
        ck_assert_int_eq(kind_of(path), TARGET_STATIC);
    }
    ck_assert_int_eq(kind_of("/snap/bin/anything"), TARGET_SNAP);
    ck_assert_int_eq(kind_of("/usr/lib/snapd/snap-confine"), TARGET_SNAP);
}
END_TEST

START_TEST(each_kind_has_a_way)
{
    ck_assert_int_eq(target_way(TARGET_PRELOAD), WAY_PRELOAD);
    ck_assert_int_eq(target_way(TARGET_GO), WAY_ENGINE);
    ck_assert_int_eq(target_way(TARGET_SETUID), WAY_REFUSED);
    for (int k = 0; k < TARGET_KINDS; k++)
        ck_assert_ptr_nonnull(target_words((enum target_kind)k));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("target");
    TCase *c = tcase_create("target");
    if (!mkdtemp(folder))
        return 2;
    tcase_add_loop_test(c, an_image_is_known_by_its_headers, 0, (int)(sizeof(images) / sizeof(images[0])));
    tcase_add_test(c, a_cut_image_is_left_to_the_kernel);
    tcase_add_test(c, a_script_is_what_its_interpreter_is);
    tcase_add_test(c, privileges_come_before_all_else);
    tcase_add_test(c, each_kind_has_a_way);
    suite_add_tcase(s, c);
    int failed = suite_run(s);
    char cmd[64];
    snprintf(cmd, sizeof(cmd), "rm -rf %s", folder);
    return system(cmd) != 0 || failed;
}
