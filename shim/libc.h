/* libc.h - the functions which our hooks stand in front of.
 *
 * REAL(connect)(fd, sa, len) calls the next definition in the search order. The constructor binds them all; a hook
 * that is called earlier, from another library's constructor, binds its own on the way. dlsym() does not allocate
 * when it succeeds. A function that this libc lacks answers -1 with ENOSYS.
 */
#ifndef I3_SHIM_LIBC_H
#define I3_SHIM_LIBC_H

#include <netdb.h>
#include <resolv.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Hot: next to each other, on few pages. */
#define HOOK __attribute__((visibility("default"), hot))

/* X(return type, name, arguments) */
#define LIBC_FUNCTIONS(X)                                                                                     \
    X(int, connect, (int, const struct sockaddr *, socklen_t))                                                \
    X(int, bind, (int, const struct sockaddr *, socklen_t))                                                   \
    X(int, listen, (int, int))                                                                                \
    X(int, accept, (int, struct sockaddr *, socklen_t *))                                                     \
    X(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                               \
    X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                                \
    X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                                \
    X(int, getsockopt, (int, int, int, void *, socklen_t *))                                                  \
    X(int, setsockopt, (int, int, int, const void *, socklen_t))                                              \
    X(int, epoll_ctl, (int, int, int, struct epoll_event *))                                                  \
    X(ssize_t, send, (int, const void *, size_t, int))                                                        \
    X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))                  \
    X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                                    \
    X(int, sendmmsg, (int, struct mmsghdr *, unsigned int, int))                                              \
    X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))                          \
    X(ssize_t, __recvfrom_chk, (int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *))            \
    X(ssize_t, recvmsg, (int, struct msghdr *, int))                                                          \
    X(int, recvmmsg, (int, struct mmsghdr *, unsigned int, int, struct timespec *))                           \
    X(int, shutdown, (int, int))                                                                              \
    X(int, ioctl, (int, unsigned long, ...))                                                                  \
    X(long, syscall, (long, ...))                                                                             \
    X(int, execve, (const char *, char *const[], char *const[]))                                              \
    X(int, execvpe, (const char *, char *const[], char *const[]))                                             \
    X(int, fexecve, (int, char *const[], char *const[]))                                                      \
    X(int, execveat, (int, const char *, char *const[], char *const[], int))                                  \
    X(int, posix_spawn,                                                                                       \
        (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], \
            char *const[]))                                                                                   \
    X(int, posix_spawnp,                                                                                      \
        (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], \
            char *const[]))                                                                                   \
    X(int, system, (const char *))                                                                            \
    X(FILE *, popen, (const char *, const char *))                                                            \
    X(int, getaddrinfo, (const char *, const char *, const struct addrinfo *, struct addrinfo **))            \
    X(int, getaddrinfo_a, (int, struct gaicb **, int, struct sigevent *))                                     \
    X(int, getnameinfo,                                                                                       \
        (const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int))                      \
    X(struct hostent *, gethostbyname, (const char *))                                                        \
    X(struct hostent *, gethostbyname2, (const char *, int))                                                  \
    X(int, gethostbyname_r, (const char *, struct hostent *, char *, size_t, struct hostent **, int *))       \
    X(int, gethostbyname2_r,                                                                                  \
        (const char *, int, struct hostent *, char *, size_t, struct hostent **, int *))                      \
    X(struct hostent *, gethostbyaddr, (const void *, socklen_t, int))                                        \
    X(int, gethostbyaddr_r,                                                                                   \
        (const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **, int *))           \
    X(int, __libc_start_main, (int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), \
        void (*)(void), void *))                                                                               \
    X(int, res_query, (const char *, int, int, unsigned char *, int))                                         \
    X(int, res_search, (const char *, int, int, unsigned char *, int))                                        \
    X(int, res_querydomain, (const char *, const char *, int, int, unsigned char *, int))                     \
    X(int, res_nquery, (res_state, const char *, int, int, unsigned char *, int))                             \
    X(int, res_nsearch, (res_state, const char *, int, int, unsigned char *, int))                            \
    X(int, res_nquerydomain, (res_state, const char *, const char *, int, int, unsigned char *, int))         \
    X(int, res_send, (const unsigned char *, int, unsigned char *, int))                                      \
    X(int, res_nsend, (res_state, const unsigned char *, int, unsigned char *, int))

enum libc_index {
#define X(ret, name, args) LIBC_##name,
    LIBC_FUNCTIONS(X)
#undef X
        LIBC_COUNT
};

#define X(ret, name, args) typedef ret(*libc_##name##_fn) args;
LIBC_FUNCTIONS(X)
#undef X

extern void *libc_bound[LIBC_COUNT] __attribute__((visibility("hidden")));
void *libc_find(enum libc_index which);

static inline void *libc_get(enum libc_index which)
{
    void *f = __atomic_load_n(&libc_bound[which], __ATOMIC_RELAXED);
    return __builtin_expect(f != NULL, 1) ? f : libc_find(which);
}

void libc_bind_all(void);

#define REAL(name) ((libc_##name##_fn)libc_get(LIBC_##name))

#endif
