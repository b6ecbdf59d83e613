#include "daemon/io/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int statm = -1, status = -1;
static DIR *fds;
static time_t started;

void process_watch(void)
{
    statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    fds = opendir("/proc/self/fd");
    started = time(NULL);
}

static void look_memory(struct process_info *out)
{
    char text[128];
    unsigned long long all = 0, resident = 0;
    ssize_t n = statm < 0 ? -1 : pread(statm, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return;
    text[n] = '\0';
    if (sscanf(text, "%llu %llu", &all, &resident) != 2)
        return;
    out->virtual_size = all * (uint64_t)sysconf(_SC_PAGESIZE);
    out->resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void look_threads(struct process_info *out)
{
    char text[4096];
    ssize_t n = status < 0 ? -1 : pread(status, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return;
    text[n] = '\0';
    const char *line = strstr(text, "\nThreads:");
    if (line)
        sscanf(line, "\nThreads: %u", &out->threads);
}

static void look_fds(struct process_info *out)
{
    if (!fds)
        return;
    rewinddir(fds);
    for (const struct dirent *e; (e = readdir(fds));)
        out->fds += e->d_name[0] != '.';
}

void process_look(struct process_info *out)
{
    struct rusage u;
    struct rlimit limit;
    memset(out, 0, sizeof(*out));
    look_memory(out);
    look_threads(out);
    look_fds(out);
    if (getrusage(RUSAGE_SELF, &u) == 0)
        out->cpu_us = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out->fds_max = limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)limit.rlim_cur;
    out->started = (uint64_t)started;
}

void process_keep_private(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

void process_raise_fds(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void process_heed_no_end(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
}
