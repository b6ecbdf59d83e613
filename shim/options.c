#include "shim/options.h"

#include <linux/tcp.h>

#include "shim/client.h"
#include "shim/sys.h"

/* Options of integer value: default, and whether values set before connect() are looked up then. */
static const struct known {
    uint8_t level, name;
    int fallback;
    bool carried;
} known[] = {
    {IPPROTO_TCP, TCP_NODELAY, 0, true},
    {IPPROTO_TCP, TCP_CORK, 0, true},
    {IPPROTO_TCP, TCP_KEEPIDLE, 7200, true},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75, true},
    {IPPROTO_TCP, TCP_KEEPCNT, 9, true},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, true},
    {IPPROTO_TCP, TCP_SYNCNT, 6, true},
    {IPPROTO_TCP, TCP_LINGER2, 60, true},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1, true},
    {IPPROTO_TCP, TCP_MAXSEG, 1448, false},
    {IPPROTO_TCP, TCP_QUICKACK, 1, false},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, false},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, false},
    {IPPROTO_TCP, TCP_FASTOPEN, 0, false},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, false},
    {IPPROTO_TCP, TCP_TIMESTAMP, 0, false},
    {IPPROTO_TCP, TCP_SAVE_SYN, 0, false},
    {IPPROTO_TCP, TCP_INQ, 0, false},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0, false},
    {IPPROTO_TCP, TCP_THIN_DUPACK, 0, false},
    {IPPROTO_IP, IP_TOS, 0, true},
    {IPPROTO_IP, IP_TTL, 64, true},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, false},
    {IPPROTO_IP, IP_MTU, 1500, false},
    {IPPROTO_IP, IP_RECVTOS, 0, false},
    {IPPROTO_IP, IP_RECVTTL, 0, false},
    {IPPROTO_IP, IP_RECVERR, 0, false},
    {IPPROTO_IP, IP_PKTINFO, 0, false},
    {IPPROTO_IP, IP_FREEBIND, 0, false},
    {IPPROTO_IP, IP_TRANSPARENT, 0, false},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, false},
    {IPPROTO_IPV6, IPV6_V6ONLY, 0, true},
    {IPPROTO_IPV6, IPV6_TCLASS, 0, true},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, false},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_WANT, false},
    {IPPROTO_IPV6, IPV6_MTU, 1500, false},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, 0, false},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, false},
    {IPPROTO_IPV6, IPV6_RECVERR, 0, false},
};

static const struct known *known_find(int level, int name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].level == level && known[i].name == name)
            return &known[i];
    return NULL;
}

/* SOL_SOCKET options which mean the same on both kinds. Buffers: SO_RCVBUF is only ever told, and SO_SNDBUF is the
 * daemon's while it dials (pair.h). */
static void copy_plain(int from, int to)
{
    static const int flags[] = {SO_KEEPALIVE, SO_REUSEADDR, SO_OOBINLINE, SO_PRIORITY};
    static const int times[] = {SO_RCVTIMEO, SO_SNDTIMEO};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        int v = sys_sockopt_int(from, SOL_SOCKET, flags[i]);
        if (v > 0)
            sys_setsockopt(to, SOL_SOCKET, flags[i], &v, sizeof(v));
    }
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct timeval t = {0};
        socklen_t len = sizeof(t);
        if (sys_getsockopt(from, SOL_SOCKET, times[i], &t, &len) == 0 && (t.tv_sec || t.tv_usec))
            sys_setsockopt(to, SOL_SOCKET, times[i], &t, sizeof(t));
    }
    struct linger linger = {0};
    socklen_t len = sizeof(linger);
    if (sys_getsockopt(from, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff)
        sys_setsockopt(to, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    int low = sys_sockopt_int(from, SOL_SOCKET, SO_RCVLOWAT);
    if (low > 1)
        sys_setsockopt(to, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
    int rcvbuf = sys_sockopt_int(from, SOL_SOCKET, SO_RCVBUF) / 2; /* the kernel tells twice what was set */
    if (rcvbuf > 0)
        sys_setsockopt(to, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
}

static void copy_flags(int from, int to)
{
    int flags = sys_fcntl(from, F_GETFL, 0);
    if (flags < 0)
        return;
    if (flags & O_ASYNC) {
        struct f_owner_ex owner;
        if (sys_fcntl(from, F_GETOWN_EX, (long)&owner) == 0)
            sys_fcntl(to, F_SETOWN_EX, (long)&owner);
        sys_fcntl(to, F_SETSIG, sys_fcntl(from, F_GETSIG, 0));
    }
    sys_fcntl(to, F_SETFL, flags & (O_NONBLOCK | O_ASYNC));
}

static void remember(struct fd_entry *e, int level, int name, int value)
{
    int i = 0;
    while (i < e->options && (e->option[i].level != level || e->option[i].name != name))
        i++;
    if (i == FDTABLE_OPTIONS)
        return;
    e->option[i] = (struct fd_option){(uint8_t)level, (uint8_t)name, value};
    if (i == e->options)
        e->options++;
}

void options_carry(int from, int to, struct fd_entry *e)
{
    copy_flags(from, to);
    copy_plain(from, to);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        int value;
        socklen_t len = sizeof(value);
        if (known[i].carried && sys_getsockopt(from, known[i].level, known[i].name, &value, &len) == 0 &&
            value != known[i].fallback)
            remember(e, known[i].level, known[i].name, value);
    }
}

void options_restore(int from, int to)
{
    struct fd_entry e;
    copy_flags(from, to);
    copy_plain(from, to);
    if (!fdtable_get(from, sys_cookie(from), &e) || e.kind != FD_PAIR)
        return;
    for (int i = 0; i < e.options; i++)
        sys_setsockopt(to, e.option[i].level, e.option[i].name, &e.option[i].value, sizeof(e.option[i].value));
}

static int put_value(const void *v, size_t n, void *value, socklen_t *len)
{
    if (*len > INT32_MAX)
        return -EINVAL;
    if (*len > n)
        *len = (socklen_t)n;
    memcpy(value, v, *len);
    return 0;
}

/* What is not worth a line in the table above the kernel answers, for a TCP socket that is there for this question only. */
static int model_of(int fd)
{
    return sys_socket(pair_family(fd), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}

static void model_end(int model)
{
    if (model >= 0)
        sys_close(model);
}

/* States as in the kernel's enum of that name: 1 established, 2 SYN sent, 7 closed, 8 the peer has shut down. */
static int get_tcp_info(int fd, void *value, socklen_t *len)
{
    static const uint8_t states[] = {[PAIR_DIALLING] = 2, [PAIR_UP] = 1, [PAIR_FAILED] = 7, [PAIR_ENDED] = 7};
    enum pair_state state = pair_state(fd);
    struct ipc_sock_state s = {.rto_us = 200000, .mss = 1448, .srtt_us = 1000, .cwnd = 14480, .ssthresh = INT32_MAX};
    struct ipc_sock_state now;
    struct sock_name name;
    if (pair_of(fd, &name) && client_sock_state(name.handle, &now) == 0 && now.mss)
        s = now;
    struct tcp_info info = {
        .tcpi_state = state == PAIR_UP && sys_ready(fd, POLLRDHUP) ? 8 : states[state],
        .tcpi_rto = s.rto_us,
        .tcpi_ato = 40000,
        .tcpi_snd_mss = s.mss,
        .tcpi_rcv_mss = 1448,
        .tcpi_pmtu = 1500,
        .tcpi_rtt = s.srtt_us,
        .tcpi_rttvar = s.srtt_us / 2,
        .tcpi_snd_ssthresh = s.ssthresh / s.mss,
        .tcpi_snd_cwnd = s.cwnd / s.mss,
        .tcpi_total_retrans = s.retransmits,
        .tcpi_bytes_acked = s.bytes_out,
        .tcpi_bytes_received = s.bytes_in,
        .tcpi_notsent_bytes = s.unsent,
        .tcpi_advmss = 1448,
        .tcpi_reordering = 3,
        .tcpi_rcv_space = 65536,
    };
    uint8_t whole[512]; /* as long as this kernel's */
    socklen_t n = sizeof(whole);
    int model = model_of(fd);
    if (model < 0 || sys_getsockopt(model, IPPROTO_TCP, TCP_INFO, whole, &n) < 0 || n < sizeof(info))
        n = sizeof(info);
    model_end(model);
    memset(whole + sizeof(info), 0, sizeof(whole) - sizeof(info));
    memcpy(whole, &info, sizeof(info));
    return put_value(whole, n, value, len);
}

/* An option that the program has set; false: it has not. */
static bool recall(int fd, int level, int name, int *value)
{
    struct fd_entry e;
    if (!fdtable_get(fd, sys_cookie(fd), &e) || e.kind != FD_PAIR)
        return false;
    for (int i = 0; i < e.options; i++)
        if (e.option[i].level == level && e.option[i].name == name) {
            *value = e.option[i].value;
            return true;
        }
    return false;
}

static int model_get(int fd, int level, int name, void *value, socklen_t *len)
{
    int model = model_of(fd);
    int err = model < 0 ? model : sys_getsockopt(model, level, name, value, len);
    model_end(model);
    return err;
}

static int model_set(int fd, int level, int name, const void *value, socklen_t len)
{
    int model = model_of(fd);
    int err = model < 0 ? model : sys_setsockopt(model, level, name, value, len);
    model_end(model);
    return err;
}

bool options_reset(int fd)
{
    struct linger l = {0};
    socklen_t len = sizeof(l);
    return sys_getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len) == 0 && l.l_onoff && !l.l_linger;
}

int options_get(int fd, int level, int name, void *value, socklen_t *len)
{
    const struct known *k = known_find(level, name);
    int v = k ? k->fallback : 0;
    if (level == IPPROTO_TCP && name == TCP_INFO)
        return get_tcp_info(fd, value, len);
    if (recall(fd, level, name, &v) || (k && (level != IPPROTO_IPV6 || pair_family(fd) == AF_INET6)))
        return put_value(&v, sizeof(v), value, len);
    return model_get(fd, level, name, value, len);
}

/* What the daemon's TCP cannot do and a program must not believe it has. */
static int refusal(int level, int name)
{
    if (level == IPPROTO_TCP && name == TCP_ULP)
        return -ENOENT; /* as a kernel without kTLS */
    if (level == IPPROTO_TCP && (name == TCP_REPAIR || name == TCP_REPAIR_QUEUE || name == TCP_REPAIR_OPTIONS))
        return -EPERM;
    if (level == IPPROTO_TCP && (name == TCP_MD5SIG || name == TCP_MD5SIG_EXT || name == TCP_ZEROCOPY_RECEIVE))
        return -ENOPROTOOPT;
    return 0;
}

int options_set(int fd, int level, int name, const void *value, socklen_t len)
{
    int v = 0;
    int err = refusal(level, name);
    if (err < 0)
        return err;
    if (!known_find(level, name) || (level == IPPROTO_IPV6 && pair_family(fd) != AF_INET6)) {
        err = model_set(fd, level, name, value, len);
        if (err < 0 || len != sizeof(v) || level > UINT8_MAX || name > UINT8_MAX)
            return err;
    }
    if (len < sizeof(v) && (level != IPPROTO_IP || len < 1))
        return -EINVAL;
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        return -EINVAL; /* too late on a socket that has an address */
    if (!sys_readable(value, len < sizeof(v) ? 1 : sizeof(v)))
        return -EFAULT;
    memcpy(&v, value, len < sizeof(v) ? 1 : sizeof(v));
    if (level == IPPROTO_TCP && (name == TCP_NODELAY || name == TCP_CORK))
        v = v != 0;
    struct fd_entry e = {0};
    uint64_t cookie = sys_cookie(fd);
    if (!fdtable_get(fd, cookie, &e) || e.kind != FD_PAIR)
        e = (struct fd_entry){.cookie = cookie, .kind = FD_PAIR};
    remember(&e, level, name, v);
    fdtable_put(fd, &e);
    return 0;
}
