#include "daemon/io/ipc_server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "daemon/base/log.h"
#include "daemon/io/exe.h"

/* A process that has clients. */
struct ipc_process {
    pid_t pid;
    unsigned n;
    UT_hash_handle hh;
};

struct ipc_client {
    struct ipc_process *process;
    unsigned waiting;
    struct ipc_server *server;
    int fd;
    bool broken; /* to be dropped as soon as no callback of it runs */
    bool busy;
    pid_t pid;
    bool app_known;
    void *mark;
    char app[IPC_APP_MAX + 1];
    struct fdset_entry *entry;
    struct ipc_client *next, **link;
};

struct ipc_server {
    int fd;
    struct fdset *set;
    struct fdset_entry *entry;
    struct ipc_client *clients;
    unsigned n_clients;
    struct ipc_process *processes;
    uint64_t refused;
    bool full; /* the log has it */
    int spare; /* a descriptor to give up when there is none for who is to be told so */
    bool root; /* is admitted as well */
    bool stays; /* the socket is there after us */
    ipc_record_fn *record;
    ipc_gone_fn *gone;
    void *ctx;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- shares ---- */

static struct ipc_process *process_enter(struct ipc_server *s, pid_t pid)
{
    struct ipc_process *q;
    unsigned left = IPC_CLIENTS_MAX - s->n_clients;
    HASH_FIND(hh, s->processes, &pid, sizeof(pid), q);
    if (q && q->n >= IPC_CLIENTS_LEAST && q->n >= left)
        return NULL;
    if (!q) {
        q = calloc(1, sizeof(*q));
        if (!q)
            return NULL;
        q->pid = pid;
        HASH_ADD(hh, s->processes, pid, sizeof(q->pid), q);
    }
    q->n++;
    return q;
}

static void process_leave(struct ipc_server *s, struct ipc_process *q)
{
    if (!q || --q->n)
        return;
    HASH_DELETE(hh, s->processes, q);
    free(q);
}

bool ipc_client_waits(struct ipc_client *c)
{
    if (c->waiting == IPC_REQUESTS_MAX)
        return false;
    c->waiting++;
    return true;
}

void ipc_client_has(struct ipc_client *c)
{
    c->waiting--;
}

uint64_t ipc_server_refused(const struct ipc_server *s)
{
    return s->refused;
}

static void refuse(struct ipc_server *s, const char *why)
{
    s->refused++;
    if (!s->full)
        log_warn("ipc clients=%u: one more is refused (%s), and so are others until there is room", s->n_clients, why);
    s->full = true;
}

/* ---- clients ---- */

static void client_free(struct ipc_client *c)
{
    struct ipc_server *s = c->server;
    s->gone(s->ctx, c);
    fdset_del(s->set, c->entry);
    close(c->fd);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    s->n_clients--;
    s->full = s->full && s->n_clients > 16;
    process_leave(s, c->process);
    free(c);
}

/* Reads until there is nothing more. False: the client has ended. */
static bool client_read(struct ipc_client *c)
{
    uint8_t buf[IPC_MAX_LEN + 1];
    while (!c->broken) {
        struct iovec v = {buf, sizeof(buf)};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1}; /* no room for fds: the kernel closes what is sent */
        ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0 || n > IPC_MAX_LEN)
            return false;
        c->server->record(c->server->ctx, c, buf, (size_t)n);
    }
    return false;
}

static void on_client(void *ctx, uint32_t events)
{
    struct ipc_client *c = ctx;
    bool ended = false;
    c->busy = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        ended = !client_read(c);
    c->busy = false;
    if (ended || c->broken)
        client_free(c);
}

static bool may_enter(const struct ipc_server *s, int fd, pid_t *pid)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return false;
    *pid = cred.pid;
    return cred.uid == geteuid() || (s->root && cred.uid == 0);
}

static void client_new(struct ipc_server *s, int fd)
{
    pid_t pid;
    if (!may_enter(s, fd, &pid)) {
        close(fd);
        return;
    }
    struct ipc_process *process = s->n_clients < IPC_CLIENTS_MAX ? process_enter(s, pid) : NULL;
    struct ipc_client *c = process ? calloc(1, sizeof(*c)) : NULL;
    if (!process)
        refuse(s, s->n_clients < IPC_CLIENTS_MAX ? "a process has its share" : "there are too many");
    if (c) {
        c->process = process;
        c->pid = pid;
        c->server = s;
        c->fd = fd;
        c->entry = fdset_add(s->set, fd, false, on_client, c);
    }
    if (!c || !c->entry) {
        process_leave(s, process);
        free(c);
        close(fd);
        return;
    }
    c->next = s->clients;
    c->link = &s->clients;
    if (c->next)
        c->next->link = &c->next;
    s->clients = c;
    s->n_clients++;
}

/* Who stays in the queue wakes us again and again, and waits for nothing: with the spare descriptor it is taken out, and told so. */
static bool refuse_one(struct ipc_server *s)
{
    if (s->spare < 0)
        return false;
    close(s->spare);
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    s->spare = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0)
        refuse(s, "no file descriptor is free");
    return fd >= 0;
}

static void on_listen(void *ctx, uint32_t events)
{
    struct ipc_server *s = ctx;
    (void)events;
    for (;;) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            client_new(s, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if ((errno == EMFILE || errno == ENFILE) && refuse_one(s))
            continue;
        if (errno != EAGAIN)
            log_warn("ipc accept failed err=%d", errno);
        return;
    }
}

int ipc_listen(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(un.sun_path))
        return -ENAMETOOLONG;
    strcpy(un.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    unlink(path);
    mode_t old = umask(0177);
    int bad = bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 1024) < 0;
    int err = errno;
    umask(old);
    if (bad) {
        close(fd);
        return -err;
    }
    return fd;
}

int ipc_server_open(struct ipc_server **out, struct fdset *set, const char *path, int passed, bool stays, ipc_record_fn *record,
    ipc_gone_fn *gone, void *ctx)
{
    struct ipc_server *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    int fd = passed ? passed : ipc_listen(path);
    if (fd < 0) {
        free(s);
        return fd;
    }
    *s = (struct ipc_server){.fd = fd, .set = set, .stays = stays, .record = record, .gone = gone, .ctx = ctx};
    strcpy(s->path, path);
    s->spare = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    s->entry = fdset_add(set, fd, false, on_listen, s);
    if (!s->entry) {
        close(fd);
        if (s->spare >= 0)
            close(s->spare);
        free(s);
        return -ENOMEM;
    }
    *out = s;
    return 0;
}

void ipc_server_close(struct ipc_server *s)
{
    if (!s)
        return;
    while (s->clients)
        client_free(s->clients);
    fdset_del(s->set, s->entry);
    if (!s->stays) {
        shutdown(s->fd, SHUT_RDWR); /* whoever else has it: nobody is to wait in its queue */
        unlink(s->path);
    }
    if (s->spare >= 0)
        close(s->spare);
    close(s->fd);
    free(s);
}

void *ipc_client_mark(const struct ipc_client *c)
{
    return c->mark;
}

void ipc_client_set_mark(struct ipc_client *c, void *mark)
{
    c->mark = mark;
}

const char *ipc_client_app(struct ipc_client *c)
{
    static const char deleted[] = " (deleted)";
    char path[4096];
    if (c->app_known)
        return c->app;
    c->app_known = true;
    if (exe_of(c->pid, path, sizeof(path)) < 0)
        return c->app;
    size_t n = strlen(path), tail = sizeof(deleted) - 1;
    if (n > tail && !strcmp(path + n - tail, deleted))
        path[n - tail] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(c->app, sizeof(c->app), "%s", slash ? slash + 1 : path);
    return c->app;
}

void ipc_server_admit_root(struct ipc_server *s)
{
    s->root = true;
}

unsigned ipc_server_clients(const struct ipc_server *s)
{
    return s->n_clients;
}

int ipc_send(struct ipc_client *c, const uint8_t *p, size_t len, int fd)
{
    struct iovec v = {(void *)p, len};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (c->broken)
        return -EPIPE;
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    }
    if (sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
        return 0;
    c->broken = true;
    shutdown(c->fd, SHUT_RDWR); /* wakes on_client, which frees it when it is not running now */
    return -EPIPE;
}
