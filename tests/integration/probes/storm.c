/* storm.c FORKS THREADS [IP PORT] - threads that dial without pause and a signal handler that dials in between, while processes are
 * forked and vforked which dial as well. Ends with 0 if nobody hangs and everyone gets the daemon's answer:
 * EHOSTUNREACH, or at IP PORT the peer's, ECONNREFUSED. On a busy machine the daemon may be late now and then: its answer is waited
 * for during a second, and then the call fails with ENETUNREACH; one in a hundred may. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in down = {.sin_family = AF_INET, .sin_port = 0x0700};
static atomic_int stop, dialled, late, wrong;
static int expected = EHOSTUNREACH;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int dial_once(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    double before = seconds();
    int err = fd >= 0 && connect(fd, (struct sockaddr *)&down, sizeof(down)) < 0 ? errno : 0;
    int in_vain = err == ENETUNREACH && seconds() - before > 0.9;
    late += in_vain;
    close(fd);
    return err == expected || in_vain;
}

static void *dialler(void *arg)
{
    (void)arg;
    while (!stop) {
        dialled++;
        if (!dial_once())
            wrong++;
    }
    return NULL;
}

static void on_timer(int sig)
{
    (void)sig;
    int saved = errno;
    if (!dial_once())
        wrong++;
    errno = saved;
}

static int child_ok(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_fds(void)
{
    int n = 0;
    for (int fd = 3; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5)
        return 2;
    int before = open_fds(), forks = atoi(argv[1]), threads = atoi(argv[2]);
    pthread_t t[64];
    down.sin_addr.s_addr = inet_addr(argc == 5 ? argv[3] : "10.1.2.8");
    if (argc == 5) {
        down.sin_port = htons((uint16_t)atoi(argv[4]));
        expected = ECONNREFUSED;
    }
    struct sigaction sa = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    struct itimerval it = {{0, 20000}, {0, 20000}};
    sigaction(SIGALRM, &sa, NULL);
    for (int i = 0; i < threads && i < 64; i++)
        pthread_create(&t[i], NULL, dialler, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    for (int i = 0; i < forks; i++) {
        pid_t pid = i % 4 ? fork() : vfork();
        if (pid == 0) {
            if (i % 4)
                alarm(20);
            _exit(i % 2 || dial_once() ? 0 : 1);
        }
        if (pid < 0 || !child_ok(pid))
            wrong++;
    }
    stop = 1;
    for (int i = 0; i < threads && i < 64; i++)
        pthread_join(t[i], NULL);
    int held = open_fds() - before; /* of the library's: its one connection */
    printf("forks=%d dialled=%d late=%d wrong=%d held=%d\n", forks, dialled, late, wrong, held);
    return wrong || late > dialled / 100 || !dialled || held > 1;
}
