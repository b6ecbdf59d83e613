#include "shim/conn.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "shim/config.h"
#include "shim/sys.h"

/* Above what programs pick by hand and below FD_SETSIZE: the kernel's fd table, copied by each fork, stays small. */
enum { HIGH_FD = 1000, HIGH_FD_ROOM = 24 };

struct page {
    int busy;
    int owner;       /* pid */
    int fd;          /* plus one; 0: none */
    uint64_t cookie; /* of fd */
};

static struct page *page;

/* The same in memory that fork copies: so that a child can close the copy of the fd which it got. */
static int inherited_fd;
static uint64_t inherited_cookie;

static struct page *page_get(void)
{
    struct page *p = __atomic_load_n(&page, __ATOMIC_ACQUIRE);
    if (p)
        return p;
    enum { SIZE = 4096 };
    long at = sys_call(SYS_mmap, 0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return NULL;
    if (sys_call(SYS_madvise, at, SIZE, MADV_WIPEONFORK, 0, 0, 0) < 0 ||
        !__atomic_compare_exchange_n(&page, &p, (struct page *)at, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_call(SYS_munmap, at, SIZE, 0, 0, 0, 0);
    return __atomic_load_n(&page, __ATOMIC_ACQUIRE);
}

/* Whether the page is this process's. One that was wiped by fork, or claimed by a vfork child since gone, becomes so. */
static bool page_claim(struct page *p)
{
    int pid = sys_getpid(), owner = __atomic_load_n(&p->owner, __ATOMIC_RELAXED);
    if (owner == pid)
        return true;
    if (owner && owner == sys_getppid())
        return false;
    if (!p->fd && inherited_fd && sys_cookie(inherited_fd - 1) == inherited_cookie)
        sys_close(inherited_fd - 1);
    p->fd = 0;
    inherited_fd = 0;
    __atomic_store_n(&p->owner, pid, __ATOMIC_RELAXED);
    return true;
}

bool conn_owner(void)
{
    struct page *p = __atomic_load_n(&page, __ATOMIC_ACQUIRE);
    if (!p)
        return true;
    int owner = __atomic_load_n(&p->owner, __ATOMIC_RELAXED);
    return !owner || owner == sys_getpid() || owner != sys_getppid();
}

static bool folder_is_ours(const char *sock)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(sock, '/');
    size_t len = (size_t)(slash - sock);
    memcpy(dir, sock, len);
    dir[len] = '\0';
    struct stat st;
    long err = sys_call(SYS_newfstatat, AT_FDCWD, (long)dir, (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0);
    return err == 0 && S_ISDIR(st.st_mode) && !(st.st_mode & 077) &&
           st.st_uid == (uid_t)sys_call(SYS_getuid, 0, 0, 0, 0, 0, 0);
}

/* Who we are, before anything else; the answer, whose serial is nobody's, is passed over (client.c). */
static int introduce(int fd, const struct config *cfg)
{
    uint8_t buf[IPC_HEADER_LEN + IPC_TOKEN_LEN + 4 + IPC_PROGRAM_NAME_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    ipc_put_header(&w, IPC_PROGRAM, 0);
    ipc_put_program(&w, &cfg->program);
    struct iovec iov = {buf, writer_len(&w)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    long n = writer_ok(&w) ? sys_sendmsg(fd, &m, MSG_NOSIGNAL) : -EINVAL;
    return n < 0 ? (int)n : 0;
}

/* A new connection on whatever fd is free; -errno. */
static int dial(void)
{
    const struct config *cfg = config_get();
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_usec = CONN_TIMEOUT_MS * 1000};
    if (!cfg->sock[0] || cfg->bad_program || (cfg->check_owner && !folder_is_ours(cfg->sock)))
        return -ENOENT;
    memcpy(un.sun_path, cfg->sock, sizeof(un.sun_path));
    int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    int64_t end = sys_millis() + CONN_TIMEOUT_MS;
    int err;
    do
        err = sys_connect(fd, &un, sizeof(un));
    while (err == -EINTR && sys_millis() < end);
    if (err >= 0 && cfg->has_program)
        err = introduce(fd, cfg);
    if (err < 0) {
        sys_close(fd);
        return err;
    }
    return fd;
}

/* Moves fd up, out of the program's way. A limit that leaves no room up there is no error. */
static int move_high(int fd)
{
    struct rlimit lim = {0};
    sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&lim, 0, 0);
    long top = lim.rlim_cur > HIGH_FD + HIGH_FD_ROOM ? HIGH_FD : (long)lim.rlim_cur - HIGH_FD_ROOM;
    int high = top > fd ? sys_fcntl(fd, F_DUPFD_CLOEXEC, top) : -1;
    if (high < 0)
        return fd;
    sys_close(fd);
    return high;
}

static int dial_kept(struct conn *c)
{
    int fd = dial();
    if (fd < 0)
        return fd;
    fd = move_high(fd);
    page->cookie = inherited_cookie = sys_cookie(fd);
    page->fd = inherited_fd = fd + 1;
    c->fd = fd;
    return 0;
}

/* Closes the kept connection, unless the program has meanwhile put something of its own on that fd. */
static void drop_kept(void)
{
    if (page->fd && sys_cookie(page->fd - 1) == page->cookie)
        sys_close(page->fd - 1);
    page->fd = inherited_fd = 0;
}

static bool take_kept(void)
{
    struct page *p = page_get();
    if (!p || __atomic_exchange_n(&p->busy, 1, __ATOMIC_ACQUIRE))
        return false;
    if (page_claim(p))
        return true;
    __atomic_store_n(&p->busy, 0, __ATOMIC_RELEASE);
    return false;
}

static void release(struct conn *c)
{
    if (c->kept)
        __atomic_store_n(&page->busy, 0, __ATOMIC_RELEASE);
    c->kept = false;
}

int conn_open(struct conn *c)
{
    c->kept = take_kept();
    if (!c->kept) {
        c->fd = dial();
        return c->fd < 0 ? c->fd : 0;
    }
    c->fd = page->fd - 1;
    if (c->fd >= 0 && sys_cookie(c->fd) == page->cookie)
        return 0;
    page->fd = 0;
    int err = dial_kept(c);
    if (err < 0)
        release(c);
    return err;
}

void conn_done(struct conn *c, bool ok)
{
    if (!c->kept)
        sys_close(c->fd);
    else if (!ok)
        drop_kept();
    release(c);
}
