#include <errno.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tools/i3ctl_doctor.h"
#include "tools/i3ctl_table.h"

/* ---- files ---- */

void doctor_key(struct doctor *d)
{
    char data[PATH_MAX], path[PATH_MAX + 16], fix[PATH_MAX + 64];
    struct stat st;
    if (!doctor_data(d, data))
        return;
    snprintf(path, sizeof(path), "%s/identity", data);
    if (lstat(path, &st) < 0) {
        doctor_say(d, "key", errno == ENOENT ? FINDING_WARN : FINDING_FAIL, "i3ctl init makes one", "there is no key at %s: %s", path, strerror(errno));
        return;
    }
    snprintf(fix, sizeof(fix), "chmod 600 %s", path);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        doctor_say(d, "key", FINDING_FAIL, "put back the key that is yours, or move that away and run i3ctl init", "%s is not a file of yours", path);
    else if (st.st_mode & 077)
        doctor_say(d, "key", FINDING_FAIL, fix, "others may read your private key, %s (mode %o): whoever has can be you", path, st.st_mode & 0777);
    else
        doctor_say(d, "key", FINDING_OK, NULL, "%s is readable by you alone", path);
}

void doctor_disk(struct doctor *d)
{
    enum { LITTLE = 8 << 20 };
    char data[PATH_MAX], room[PIECE];
    struct statvfs v;
    if (!doctor_data(d, data) || statvfs(data, &v) < 0)
        return;
    uint64_t left = (uint64_t)v.f_bavail * v.f_frsize;
    bool readonly = v.f_flag & ST_RDONLY || access(data, W_OK);
    bytes_str((int64_t)left, room);
    if (readonly)
        doctor_say(d, "disk", FINDING_FAIL, "make it writable for you; until then nothing that is learned is kept", "%s cannot be written", data);
    else if (left < LITTLE)
        doctor_say(d, "disk", left ? FINDING_WARN : FINDING_FAIL, "make room there", "%s are left at %s, where the book and addresses are kept", room, data);
    else
        doctor_say(d, "disk", FINDING_OK, NULL, "%s free at %s", room, data);
}

/* ---- the clock ---- */

/* A handshake carries its sender's time, and a peer refuses one that is older than the last it has seen: a clock that was set back
 * keeps its owner out until the old time is reached. So: is it sane, is it kept, was it set while the daemon ran? Nodes tell no time,
 * and how far it is off from theirs does not matter. */
void doctor_clock(struct doctor *d)
{
    enum { THIS_PROGRAM = 1764000000 /* is not older than that: November 2025 */, JUMPED = 5 };
    struct timex t = {0};
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
    int64_t started = json_int(d->status, "started"), up = json_int(d->status, "uptime_s"), jumped = started ? now - started - up : 0;
    int state = adjtimex(&t);
    const char *fix = "timedatectl set-ntp true (or any other NTP client)";
    if (now < THIS_PROGRAM)
        doctor_say(d, "clock", FINDING_FAIL, fix, "it is not %s: peers refuse handshakes older than the last they saw", when);
    else if (jumped < -JUMPED)
        doctor_say(d, "clock", FINDING_WARN, "i3ctl ping somebody; if they do not answer, wait as long as it was set back", "it is %s, and the clock was set back by %lld s since the daemon started", when,
            (long long)-jumped);
    else if (jumped > JUMPED)
        doctor_say(d, "clock", FINDING_OK, NULL, "%s; it was set forward by %lld s since the daemon started, which is no harm", when, (long long)jumped);
    else if (state == TIME_ERROR || t.status & STA_UNSYNC)
        doctor_say(d, "clock", FINDING_OK, NULL, "%s; nothing keeps it by NTP, so see that it never goes back", when);
    else
        doctor_say(d, "clock", FINDING_OK, NULL, "%s, kept by NTP", when);
}

/* ---- limits ---- */

void doctor_files(struct doctor *d)
{
    enum { FEW = 4096 };
    struct rlimit l;
    pid_t pid = (pid_t)json_int(d->status, "pid");
    if ((!pid || prlimit(pid, RLIMIT_NOFILE, NULL, &l) < 0) && getrlimit(RLIMIT_NOFILE, &l) < 0)
        return;
    rlim_t most = pid ? l.rlim_cur : l.rlim_max;
    if (most < FEW)
        doctor_say(d, "limits", FINDING_WARN, "raise the hard limit: LimitNOFILE= of systemd, or limits.conf(5)",
            "the daemon may have %llu open files; a connection takes one to three", (unsigned long long)most);
    else
        doctor_say(d, "limits", FINDING_OK, NULL, "the daemon may have %llu open files", (unsigned long long)most);
}

/* ---- what i3run needs ---- */

void doctor_preload(struct doctor *d)
{
    char dir[PATH_MAX], path[PATH_MAX + 8], err[CTL_ERR_LEN];
    if (link_bin_dir(dir))
        return;
    snprintf(path, sizeof(path), "%s/i3run", dir);
    int rc = link_run(path, (char *[]){path, "grep", "-q", "libi3shim", "/proc/self/maps", NULL}, NULL, err);
    if (!rc)
        doctor_say(d, "i3run", FINDING_OK, NULL, "a program under i3run gets the library");
    else if (rc == 1)
        doctor_say(d, "i3run", FINDING_FAIL, "install again, so that lib/i3run/libi3shim.so is beside bin/", "a program under i3run runs without the library%s%s",
            *err ? ": " : "", err);
    else
        doctor_say(d, "i3run", FINDING_FAIL, "install again, all programs in one folder", "%s cannot be used%s%s", path, *err ? ": " : "", err);
}

static bool file_number(const char *path, long *out)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fscanf(f, "%ld", out) == 1;
    if (f)
        fclose(f);
    return ok;
}

/* Programs without the C library's dynamic half are followed by seccomp's notifications (tools/i3run/engine.h). */
void doctor_static(struct doctor *d)
{
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    long scope = 0;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
        doctor_say(d, "static", FINDING_WARN, "a kernel from 5.14 on, with seccomp allowed (containers: a seccomp profile that permits it)",
            "this system has no seccomp notifications: statically linked programs cannot use the overlay, others can");
    else if (file_number("/proc/sys/kernel/yama/ptrace_scope", &scope) && scope > 1)
        doctor_say(d, "static", FINDING_WARN, "sysctl kernel.yama.ptrace_scope=1",
            "kernel.yama.ptrace_scope is %ld: statically linked programs cannot use the overlay, others can", scope);
    else
        doctor_say(d, "static", FINDING_OK, NULL, "statically linked programs can use the overlay, too");
}

/* ---- after log-out ---- */

void doctor_linger(struct doctor *d)
{
    char path[PATH_MAX], fix[300];
    const struct passwd *me = getpwuid(geteuid());
    if (access("/run/systemd/system", F_OK)) {
        doctor_say(d, "lingering", FINDING_OK, NULL, "no systemd here: the daemon stays when you log out, and ends with the machine");
        return;
    }
    snprintf(path, sizeof(path), "/var/lib/systemd/linger/%s", me ? me->pw_name : "?");
    snprintf(fix, sizeof(fix), "loginctl enable-linger %s", me ? me->pw_name : "");
    if (!me || access(path, F_OK))
        doctor_say(d, "lingering", FINDING_WARN, fix, "when you log out your daemon ends, and nobody can reach you");
    else
        doctor_say(d, "lingering", FINDING_OK, NULL, "the daemon may stay when you log out");
}
