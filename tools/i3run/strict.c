/* strict.c - --strict: an empty network namespace, in which nothing but the overlay can be reached.
 *
 * What the library or the engine takes over goes through the daemon's Unix socket, which is a file, and through sockets that the
 * daemon passes; everything else finds no network but a loopback of its own: connect() has ENETUNREACH, DNS fails. An ordinary user
 * needs a user namespace for it, in which he is who he is outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/i3run/i3run.h"

__attribute__((format(printf, 2, 3))) static int write_file(const char *path, const char *fmt, ...)
{
    char text[64];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = write(fd, text, (size_t)n) == n ? 0 : -errno;
    close(fd);
    return err;
}

static int map_self(uid_t uid, gid_t gid)
{
    int err = write_file("/proc/self/uid_map", "%u %u 1\n", uid, uid);
    if (!err)
        err = write_file("/proc/self/setgroups", "deny");
    return err ? err : write_file("/proc/self/gid_map", "%u %u 1\n", gid, gid);
}

static int raise_loopback(void)
{
    struct ifreq lo = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = ioctl(fd, SIOCGIFFLAGS, &lo) < 0 ? -errno : 0;
    lo.ifr_flags |= IFF_UP;
    if (!err && ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        err = -errno;
    close(fd);
    return err;
}

static int enter(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int what = CLONE_NEWNET | (run.anonymous ? CLONE_NEWNS : 0);
    if (unshare(what) == 0) /* an administrator */
        return raise_loopback();
    if (unshare(CLONE_NEWUSER | what) < 0)
        return -errno;
    int err = map_self(uid, gid);
    return err ? err : raise_loopback();
}

static const char *cause(int err)
{
    switch (err) {
    case -ENOSPC:
        return "no user namespace can be made (user.max_user_namespaces)";
    case -EPERM:
    case -EACCES:
        return "user namespaces are forbidden here (kernel.unprivileged_userns_clone, AppArmor, or a container)";
    case -EINVAL:
    case -ENOSYS:
        return "this kernel has no user or no network namespaces";
    default:
        return strerror(-err);
    }
}

int strict_enter(void)
{
    const char *what = run.anonymous ? "--anonymous" : "--strict";
    int err = enter();
    if (err)
        say("%s: %s; %s is not run", what, cause(err), run.path);
    return err || !run.anonymous ? err : anonymous_fence();
}
