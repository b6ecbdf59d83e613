/* engine.h - runs a program which cannot be preloaded: static ones, Go's, musl's. Seccomp user notification (seccomp_unotify(2)).
 *
 *     i3run ── waits, passes signals and stops on            (job.c)
 *       └─ supervisor ── answers the program's calls         (engine.c; trap_*.c are the calls)
 *            └─ the program, and all that it starts
 *
 * A filter (filter.c), which the program's own first moment installs and which all its children inherit, makes the kernel ask the
 * supervisor about the calls of which the preloaded library has hooks: connect, bind, listen, accept, the names of sockets,
 * addressed sending and receiving, options. Everything else, all reading and writing of streams included, is as fast as ever.
 *
 * The supervisor does a call itself, with arguments that it has copied, on a duplicate of the program's socket (pidfd_getfd): a
 * socket is the same whoever holds it, so the library's own code serves here, with the duplicate's number. It never lets a call go
 * on in the kernel whose pointers have decided about it, since another thread could change what they point to; those go on which
 * what the socket is decides about (a Unix socket's), or which name no address.
 *
 * A socket that is connected to a virtual peer is replaced under its number (ADDFD) by the daemon's pair, as by the library.
 * epoll keys on file and number, so its registrations are read from /proc/PID/fdinfo and made anew, by a child of the supervisor with
 * a table of fds of its own, in which the number can be the program's.
 *
 * Waiting: a call that has to wait (accept, a connect that blocks, a datagram to come) stays unanswered, in a list; the supervisor
 * itself waits for nothing but the daemon's answers. A signal may interrupt the program meanwhile, as it would in the kernel, and have
 * the call made anew (SA_RESTART): so the filter is not told to wait uninterruptibly, and an answer which found nobody any more is
 * kept for that case (engine.c, `late`).
 *
 * Fails closed: when the supervisor is gone the kernel answers ENOSYS to each of these calls. When i3run is killed, the supervisor
 * kills the program. Not a security boundary: a program that wants to get past it can.
 *
 * Bounds: WAITS_MAX calls that wait (then EAGAIN), THREADS_MAX blocking connects to real addresses among them; datagrams of 64 KiB.
 */
#ifndef I3_TOOLS_ENGINE_H
#define I3_TOOLS_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Runs run.path with run.argv; the status to end with. Does not return where the program died of a signal: so does i3run. */
int engine_run(void);

/* Takes our library out of LD_PRELOAD. */
void engine_unlist(void);

/* True in a program that runs under the engine already. */
bool engine_here(void);

/* ---- filter.c ---- */

/* Installs the filter for this process and its children: the number of the notification fd, or -errno. */
int filter_install(void);

/* getsockopt(-1, IPPROTO_TCP, ENGINE_QUESTION): EBADF of the kernel, ENGINE_HERE of the engine. */
enum { ENGINE_QUESTION = 0x6933, ENGINE_HERE = 102 /* ENETRESET */ };

/* ---- job.c ---- */

enum job_event { JOB_STARTED, JOB_STOPPED, JOB_CONTINUED, JOB_ENDED, JOB_ALL_ENDED /* and nobody is left that it has started */ };

struct job_report {
    enum job_event event;
    int value; /* STARTED: pid. STOPPED: signal. ENDED: wait status */
};

/* i3run's part, with reports of the supervisor `pid` from `fd`. Returns the status to end with. */
int job_follow(int fd, pid_t pid);

/* ---- trap.c ---- */

/* A call that the program has made and waits for. */
struct trap {
    uint64_t id, ip, arg[6];
    pid_t tid;
    int nr;
    int fd;       /* our duplicate of fd arg[0], -1: not yet */
    bool acted;   /* something has been done which must not be done again */
};

/* Returned by a handler: the answer is... */
typedef struct {
    enum { ANSWER_VALUE, ANSWER_PASS /* let the kernel do it */, ANSWER_LATER, ANSWER_GIVEN } how;
    long value; /* or -errno */
} answer_t;

#define VALUE(v) ((answer_t){ANSWER_VALUE, (v)})
#define PASS ((answer_t){ANSWER_PASS, 0})
#define LATER ((answer_t){ANSWER_LATER, 0})
#define GIVEN ((answer_t){ANSWER_GIVEN, 0})

extern int trap_notify; /* the notification fd */

/* Our duplicate of fd arg[0]: it, or -errno. Closed with the call. */
int trap_fd(struct trap *t);
/* The domain of that socket, or -errno. */
int trap_domain(struct trap *t);

bool trap_valid(const struct trap *t);
/* The program's memory: 0 or -EFAULT. A read counts only if the call is still waiting afterwards. */
int trap_read(const struct trap *t, uint64_t from, void *to, size_t n);
int trap_write(const struct trap *t, uint64_t to, const void *from, size_t n);
/* An address out of it, as connect() takes it: 0 or -errno. */
int trap_read_addr(const struct trap *t, uint64_t from, uint64_t len, struct sockaddr_storage *ss);
/* And into it, as getsockname() does. */
int trap_write_addr(const struct trap *t, uint64_t to, uint64_t lenp, const struct sockaddr_storage *ss, socklen_t full);

/* Puts `with` under the number arg[0], where `old` is (both our fds), with epoll registrations and close-on-exec. 0 or -errno. */
int trap_swap(struct trap *t, int old, int with);
/* Whether fd arg[0] is that socket now. */
bool trap_still(const struct trap *t, uint64_t cookie);
/* Answers: with a new fd, which becomes the program's as well; with a value or -errno; or has the kernel do it. 0, or -ENOENT when
 * the call waits no more. */
int trap_give(struct trap *t, int fd, bool cloexec);
int trap_send(const struct trap *t, long value, bool pass);

/* ---- waiting (engine.c) ---- */

struct wait;
/* Called when the fd is ready, or with events 0 at the deadline. LATER: go on waiting. */
typedef answer_t (*wait_fn)(struct trap *t, void *data, short events);

enum { WAIT_DATA = 64, WAITS_MAX = 4096, THREADS_MAX = 256 };

/* Keeps the call until `fd`, the trap's own or another which is then closed in the end, has `events`. `data` is copied. ms: when to
 * give up, 0: never. The answer to return. */
answer_t wait_for(struct trap *t, int fd, short events, int64_t ms, wait_fn fn, const void *data, size_t len);

/* SO_RCVTIMEO or SO_SNDTIMEO in milliseconds, 0: none. */
int64_t wait_limit(int fd, int option);

/* ---- the calls ---- */

/* The parts of connect() which sending with MSG_FASTOPEN has in it: to that address; and what is sent then on `fd`, the program's
 * socket. */
answer_t connect_address(struct trap *t, int family, const struct sockaddr_storage *ss, socklen_t len);
answer_t connect_send(struct trap *t, int fd);

answer_t trap_connect(struct trap *t);
answer_t trap_shutdown(struct trap *t);
answer_t trap_bind(struct trap *t);
answer_t trap_listen(struct trap *t);
answer_t trap_accept(struct trap *t);
answer_t trap_getsockname(struct trap *t);
answer_t trap_getpeername(struct trap *t);
answer_t trap_getsockopt(struct trap *t);
answer_t trap_setsockopt(struct trap *t);
answer_t trap_sendto(struct trap *t);
answer_t trap_sendmsg(struct trap *t);
answer_t trap_sendmmsg(struct trap *t);
answer_t trap_recvfrom(struct trap *t);
answer_t trap_recvmsg(struct trap *t);
answer_t trap_recvmmsg(struct trap *t);

#endif
