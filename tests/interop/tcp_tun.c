/* The engine on a TUN device, so that it can talk to the kernel's TCP.
 *
 *   tcp_tun [OPTIONS] serve              see the ports below; until it is killed, then a line of figures
 *   tcp_tun [OPTIONS] talk N BYTES       N connections to 10.9.0.1:9000, which echoes BYTES on each; status 0 when right
 *   tcp_tun [OPTIONS] again PORT         two connections one after the other from one port to 10.9.0.1:PORT, which closes first
 *
 *   --loss N --reorder N --mark N        of 1000 packets, in either direction; marked are those that may be (ECN)
 *   --mtu N --law cubic|bbr --seconds N
 *   --six                                what it opens itself goes over IPv6; it serves both families in any case
 *
 *   port 80  echoes                      82  resets as soon as something was sent to it
 *        83  reads nothing for 2 s, then echoes                84  sends 4 MB at once, and closes
 *        85  echoes; when the kernel's FIN comes, its own has just left: both close at once
 *        86  says "bye" and closes first                       87  opens from its side, too, when the kernel does: 87 to 9087
 *
 * The device is called t0; 10.9.0.1/24 and, where the MTU allows it, fd69:3300::1/64 are put on it; the engine is the host 2 in both. Needs root in a network namespace of its own.
 */
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "daemon/tcpip/engine.h"

enum { CONNS = 64, BATCH = 64, ENGINE = 0x0a090002, KERNEL = 0x0a090001, PACKET = 9200, SLEEP_US = 2000000, LATE = 256 };
enum { ECHO = 80, RESET = 82, SLOW = 83, SOURCE = 84, CLOSE_BOTH = 85, CLOSE_FIRST = 86, OPEN_BOTH = 87, OPEN_BOTH_PEER = 9087 };

struct peer {
    struct tcp_ref ref;
    bool used, eof_sent, wrong;
    uint16_t port;
    uint64_t sent, got, begin;
};

/* A packet that comes later than its turn. */
struct late {
    uint64_t due;
    size_t len;
    uint8_t data[PACKET];
};

struct world {
    struct tcpip *t;
    int tun;
    bool talk, six;
    unsigned loss, reorder, mark, mtu, wanted, right, over, failed;
    const struct cc_law *law;
    uint64_t bytes;
    struct peer peer[CONNS];
    struct late late[LATE];
};

static volatile sig_atomic_t stop;
static const uint8_t engine6[16] = {0xfd, 0x69, 0x33, [15] = 2}, kernel6[16] = {0xfd, 0x69, 0x33, [15] = 1};

static mono_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (mono_t){(uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000};
}

static bool chance(unsigned of_thousand)
{
    return (unsigned)rand() % 1000 < of_thousand;
}

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 131 + (i >> 8) * 7);
}

static int tun_open(unsigned mtu)
{
    struct ifreq f = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "t0"};
    char line[240];
    const char *six = mtu < 1280 ? "" : " && ip addr add fd69:3300::1/64 dev t0 nodad";
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    snprintf(line, sizeof(line), "ip link set t0 mtu %u%s && ip addr add 10.9.0.1/24 dev t0 && ip link set t0 up", mtu, six);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &f) < 0 || system(line)) {
        perror("tun");
        exit(2);
    }
    return fd;
}

/* ---- packets ---- */

static void to_kernel(struct world *w, const uint8_t *p, size_t len)
{
    if (write(w->tun, p, len) < 0)
        return; /* as lost as any */
}

static bool delay(struct world *w, const uint8_t *p, size_t len)
{
    for (int i = 0; i < LATE && chance(w->reorder); i++) {
        if (w->late[i].len)
            continue;
        w->late[i].due = now().us + 500 + (uint64_t)rand() % 5000;
        w->late[i].len = len;
        memcpy(w->late[i].data, p, len);
        return true;
    }
    return false;
}

static void send_late(struct world *w)
{
    for (int i = 0; i < LATE; i++) {
        if (w->late[i].len && w->late[i].due <= now().us) {
            to_kernel(w, w->late[i].data, w->late[i].len);
            w->late[i].len = 0;
        }
    }
}

static void send_packets(struct world *w)
{
    static struct tcpip_packet v[BATCH];
    static uint8_t flat[PACKET];
    uint32_t src, dst;
    size_t n;
    while ((n = tcpip_output(w->t, now(), v, BATCH, &src, &dst)) > 0) {
        for (size_t i = 0; i < n; i++) {
            size_t at = v[i].head_len;
            memcpy(flat, v[i].head, at);
            for (int k = 0; k < 2; at += v[i].body[k].iov_len, k++)
                if (v[i].body[k].iov_len)
                    memcpy(flat + at, v[i].body[k].iov_base, v[i].body[k].iov_len);
            if (ip_ecn(flat) == ECN_ECT0 && chance(w->mark))
                ip_take_ecn(flat, at, ECN_CE);
            if (!chance(w->loss) && !delay(w, flat, at))
                to_kernel(w, flat, at);
        }
    }
    send_late(w);
}

static struct peer *peer_new(struct world *w, struct tcp_ref ref, uint16_t port)
{
    for (unsigned i = 0; i < CONNS; i++) {
        if (w->peer[i].used)
            continue;
        w->peer[i] = (struct peer){.ref = ref, .used = true, .port = port, .begin = now().us};
        tcp_set_user(w->t, ref, i + 1);
        return &w->peer[i];
    }
    return NULL;
}

static void peer_law(struct world *w, struct peer *p)
{
    struct conn *c = table_get(w->t, p->ref);
    if (!c || !w->law)
        return;
    c->choice.fixed = true;
    conn_law(w->t, c, w->law, true);
}

static int engine_connect(struct world *w, bool six, uint16_t from, uint16_t to, struct tcp_ref *ref)
{
    return six ? tcp_connect6(w->t, now(), ENGINE, engine6, from, KERNEL, kernel6, to, ref)
               : tcp_connect(w->t, now(), ENGINE, from, KERNEL, to, ref);
}

/* What has to happen before the packet is looked at, so that both sides do it at once. */
static void at_once(struct world *w, const uint8_t *p, size_t len)
{
    bool six = p[0] >> 4 == 6;
    size_t head = six ? IP6_HEAD : IP_HEAD;
    const uint8_t *tcp = p + head;
    struct tcp_ref ref;
    if (len < head + TCP_HEAD || p[six ? 6 : 9] != IP_TCP)
        return;
    if (ip_load16(tcp + 2) == OPEN_BOTH && (tcp[13] & (TH_SYN | TH_ACK)) == TH_SYN) {
        if (engine_connect(w, six, OPEN_BOTH, OPEN_BOTH_PEER, &ref) == 0)
            peer_new(w, ref, OPEN_BOTH);
        send_packets(w);
    }
    for (unsigned i = 0; i < CONNS && ip_load16(tcp + 2) == CLOSE_BOTH && tcp[13] & TH_FIN; i++) {
        struct peer *q = &w->peer[i];
        if (!q->used || q->port != CLOSE_BOTH || q->eof_sent)
            continue;
        q->eof_sent = true;
        tcp_send_eof(w->t, now(), q->ref);
        send_packets(w);
    }
}

/* ---- programs ---- */

static void peer_write(struct world *w, struct peer *c, uint64_t total)
{
    struct iovec v[2];
    while (c->sent < total && tcp_send_space(w->t, c->ref, v) > 0) {
        size_t n = v[0].iov_len < total - c->sent ? v[0].iov_len : total - c->sent;
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)v[0].iov_base)[i] = pattern(c->sent + i);
        c->sent += n;
        tcp_send_commit(w->t, now(), c->ref, n, true);
    }
    if (c->sent == total && !c->eof_sent) {
        c->eof_sent = true;
        tcp_send_eof(w->t, now(), c->ref);
    }
}

static void peer_read(struct world *w, struct peer *c)
{
    struct iovec v[1];
    bool eof;
    while (tcp_recv_spans(w->t, c->ref, v, 1, &eof) > 0) {
        for (size_t i = 0; i < v[0].iov_len; i++)
            c->wrong |= ((uint8_t *)v[0].iov_base)[i] != pattern(c->got + i);
        c->got += v[0].iov_len;
        tcp_recv_consume(w->t, now(), c->ref, v[0].iov_len);
    }
}

static void peer_echo(struct world *w, struct peer *c)
{
    struct iovec in[1], out[2];
    bool eof = false;
    while (tcp_recv_spans(w->t, c->ref, in, 1, &eof) > 0) {
        if (tcp_send_space(w->t, c->ref, out) == 0)
            return;
        size_t n = in[0].iov_len < out[0].iov_len ? in[0].iov_len : out[0].iov_len;
        memcpy(out[0].iov_base, in[0].iov_base, n);
        tcp_send_commit(w->t, now(), c->ref, n, true);
        tcp_recv_consume(w->t, now(), c->ref, n);
    }
    if (eof && !c->eof_sent) {
        c->eof_sent = true;
        tcp_send_eof(w->t, now(), c->ref);
    }
}

static void serve(struct world *w, struct peer *c)
{
    if (c->port == RESET) {
        struct iovec v[1];
        bool eof;
        if (tcp_recv_spans(w->t, c->ref, v, 1, &eof) > 0) {
            tcp_abort(w->t, now(), c->ref);
            c->used = false;
        }
    } else if (c->port == SOURCE) {
        peer_write(w, c, 4000000);
        peer_read(w, c);
    } else if (c->port == CLOSE_FIRST) {
        struct iovec v[2];
        if (!c->eof_sent && tcp_send_space(w->t, c->ref, v) > 0) {
            memcpy(v[0].iov_base, "bye", 3);
            tcp_send_commit(w->t, now(), c->ref, 3, true);
            c->eof_sent = true;
            tcp_send_eof(w->t, now(), c->ref);
        }
        peer_read(w, c);
    } else if (c->port != SLOW || now().us - c->begin > SLEEP_US) {
        peer_echo(w, c);
    }
}

static void incoming(struct world *w, const struct tcpip_event *e)
{
    uint16_t port = e->local_port;
    struct peer *c = port == ECHO || (port >= RESET && port <= CLOSE_FIRST) ? peer_new(w, e->ref, port) : NULL;
    if (c)
        tcp_accept(w->t, now(), e->ref);
    else
        tcp_refuse(w->t, now(), e->ref);
}

static void take_events(struct world *w)
{
    struct tcpip_event e;
    while (tcpip_event(w->t, &e)) {
        if (e.kind == TCPIP_INCOMING) {
            incoming(w, &e);
            continue;
        }
        if (!e.user)
            continue;
        struct peer *c = &w->peer[e.user - 1];
        if (e.kind == TCPIP_CLOSED || e.kind == TCPIP_FAILED) {
            w->right += e.kind == TCPIP_CLOSED && !c->wrong && (!w->talk || c->got == c->sent);
            w->failed += e.kind == TCPIP_FAILED;
            w->over++;
            c->used = false;
            continue;
        }
        if (e.kind == TCPIP_CONNECTED)
            peer_law(w, c);
        if (w->talk) {
            peer_read(w, c);
            peer_write(w, c, w->bytes);
        } else {
            serve(w, c);
        }
    }
}

static void turn(struct world *w)
{
    static uint8_t packet[BATCH][PACKET];
    uint64_t at = tcpip_deadline(w->t).us, t = now().us;
    struct pollfd p = {w->tun, POLLIN, 0};
    send_packets(w);
    int most = w->reorder ? 1 : 20;
    poll(&p, 1, at <= t ? 0 : at - t > (uint64_t)most * 1000 ? most : (int)((at - t) / 1000) + 1);
    tcpip_expire(w->t, now());
    for (int i = 0; i < BATCH; i++) {
        ssize_t len = read(w->tun, packet[i], sizeof(packet[i]));
        if (len <= 0)
            break;
        if (chance(w->loss))
            continue;
        if (ip_ecn(packet[i]) == ECN_ECT0 && chance(w->mark))
            ip_take_ecn(packet[i], (size_t)len, ECN_CE);
        at_once(w, packet[i], (size_t)len);
        if (ip6_is_from_to(packet[i], (size_t)len, kernel6, engine6)) /* not the multicast of neighbour discovery */
            tcpip_input6(w->t, now(), packet[i], (size_t)len, KERNEL, ENGINE);
        else
            tcpip_input(w->t, now(), packet[i], (size_t)len);
    }
    take_events(w);
    tcpip_settle(w->t, now());
    for (unsigned i = 0; i < CONNS; i++)
        if (w->peer[i].used && w->peer[i].port == SLOW)
            serve(w, &w->peer[i]);
}

static bool dial(struct world *w, uint16_t from, uint16_t to)
{
    struct tcp_ref ref;
    return engine_connect(w, w->six, from, to, &ref) == 0 && peer_new(w, ref, 0);
}

/* From one port twice: the kernel is in TIME_WAIT, and has to tell the second from the first (RFC 6191). */
static void run_again(struct world *w, uint16_t port, uint64_t end)
{
    w->wanted = 2;
    for (unsigned i = 0; i < 2; i++) {
        if (!dial(w, 9200, port))
            return;
        while (now().us < end && w->over == i)
            turn(w);
        for (uint64_t pause = now().us + 1500000; now().us < pause;)
            turn(w);
    }
}

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static uint64_t options(struct world *w, int argc, char **argv)
{
    static const struct option names[] = {{"loss", 1, 0, 'l'}, {"reorder", 1, 0, 'r'}, {"mark", 1, 0, 'k'}, {"mtu", 1, 0, 'm'},
        {"law", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"six", 0, 0, '6'}, {0}};
    uint64_t seconds = 30;
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        unsigned v = (unsigned)atoi(optarg ? optarg : "0");
        switch (o) {
        case 'l': w->loss = v; break;
        case 'r': w->reorder = v; break;
        case 'k': w->mark = v; break;
        case 'm': w->mtu = v; break;
        case 's': seconds = v; break;
        case '6': w->six = true; break;
        case 'c': w->law = strcmp(optarg, "bbr") == 0 ? &cc_bbr : &cc_cubic; break;
        default: exit(2);
        }
    }
    return seconds;
}

int main(int argc, char **argv)
{
    static struct world w = {.mtu = 1400};
    struct tcpip_config c;
    struct tcpip_stats s;
    uint64_t seconds = options(&w, argc, argv);
    const char *mode = optind < argc ? argv[optind] : "";
    char **arg = argv + optind + 1;
    signal(SIGTERM, on_signal);
    tcpip_config_default(&c);
    c.mtu = (uint16_t)w.mtu;
    uint64_t seed = now().us;
    memcpy(c.seed, &seed, sizeof(seed));
    w.t = tcpip_new(&c);
    w.tun = tun_open(w.mtu);
    usleep(200000);
    uint64_t end = now().us + seconds * 1000000;
    if (strcmp(mode, "talk") == 0 && optind + 3 == argc) {
        w.talk = true;
        w.wanted = (unsigned)atoi(arg[0]);
        w.bytes = strtoull(arg[1], NULL, 0);
        for (unsigned i = 0; i < w.wanted; i++)
            dial(&w, 0, 9000);
    } else if (strcmp(mode, "again") == 0 && optind + 2 == argc) {
        run_again(&w, (uint16_t)atoi(arg[0]), end);
    } else if (strcmp(mode, "serve") != 0) {
        return 2;
    }
    while (!stop && now().us < end && (!w.wanted || w.over < w.wanted))
        turn(&w);
    for (uint64_t rest = now().us + 100000; w.wanted && now().us < rest;)
        turn(&w);
    tcpip_stats(w.t, &s);
    printf("%s: right=%u of=%u failed=%u retransmits=%lu timeouts=%lu marked=%lu cuts=%lu time_wait=%u\n", mode, w.right, w.over,
        w.failed, s.retransmits, s.timeouts, s.ecn_marked, s.ecn_cuts, s.time_wait);
    fflush(stdout);
    tcpip_free(w.t);
    return w.wanted && w.right != w.wanted;
}
