/* The engine on a TUN device, so that it can talk to the kernel's TCP.
 *
 *   tcp_tun echo LOSS SECONDS            port 80 of 10.9.0.2 and fd69:3300::2 echoes, every other port refuses
 *   tcp_tun talk LOSS SECONDS N BYTES    N connections to port 9000 of 10.9.0.1 and fd69:3300::1, in turn, which echoes BYTES on
 *                                        each; status 0 when right
 *
 * LOSS: of 1000 packets, in either direction. The device is called t0; 10.9.0.1/24 and fd69:3300::1/64 are put on it. Needs root in a
 * network namespace of its own.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "daemon/tcpip/ip6.h"
#include "daemon/tcpip/tcpip.h"

enum { MTU = 1400, CONNS = 64, BATCH = 64, ENGINE = 0x0a090002, KERNEL = 0x0a090001 };

static const uint8_t engine6[16] = {0xfd, 0x69, 0x33, [15] = 2}, kernel6[16] = {0xfd, 0x69, 0x33, [15] = 1};

struct conn {
    struct tcp_ref ref;
    bool used, eof_sent, wrong;
    uint64_t sent, got;
};

struct world {
    struct tcpip *t;
    int tun;
    bool talk;
    unsigned loss, wanted, right, over;
    uint64_t bytes;
    struct conn conn[CONNS];
};

static mono_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (mono_t){(uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000};
}

static bool lost(const struct world *w)
{
    return (unsigned)rand() % 1000 < w->loss;
}

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 131 + (i >> 8) * 7);
}

static int tun_open(void)
{
    struct ifreq f = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "t0"};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &f) < 0 || system("ip addr add 10.9.0.1/24 dev t0 && ip addr add fd69:3300::1/64 dev t0 nodad && ip link set t0 mtu 1400 up")) {
        perror("tun");
        exit(2);
    }
    return fd;
}

static void send_packets(struct world *w)
{
    static struct tcpip_packet v[BATCH];
    uint32_t src, dst;
    size_t n;
    while ((n = tcpip_output(w->t, now(), v, BATCH, &src, &dst)) > 0) {
        for (size_t i = 0; i < n; i++) {
            struct iovec iov[3] = {{v[i].head, v[i].head_len}, v[i].body[0], v[i].body[1]};
            if (!lost(w) && writev(w->tun, iov, 3) < 0)
                continue; /* as lost as any */
        }
    }
}

static void talk_write(struct world *w, struct conn *c)
{
    struct iovec v[2];
    while (c->sent < w->bytes && tcp_send_space(w->t, c->ref, v) > 0) {
        size_t n = v[0].iov_len < w->bytes - c->sent ? v[0].iov_len : w->bytes - c->sent;
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)v[0].iov_base)[i] = pattern(c->sent + i);
        c->sent += n;
        tcp_send_commit(w->t, now(), c->ref, n, true);
    }
    if (c->sent == w->bytes && !c->eof_sent) {
        c->eof_sent = true;
        tcp_send_eof(w->t, now(), c->ref);
    }
}

static void talk_read(struct world *w, struct conn *c)
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

static void echo(struct world *w, struct conn *c)
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

static void incoming(struct world *w, const struct tcpip_event *e)
{
    for (unsigned i = 0; i < CONNS && e->local_port == 80; i++) {
        if (w->conn[i].used)
            continue;
        w->conn[i] = (struct conn){.ref = e->ref, .used = true};
        tcp_set_user(w->t, e->ref, i + 1);
        tcp_accept(w->t, now(), e->ref);
        return;
    }
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
        struct conn *c = &w->conn[e.user - 1];
        if (e.kind == TCPIP_CLOSED || e.kind == TCPIP_FAILED) {
            w->right += e.kind == TCPIP_CLOSED && !c->wrong && c->got == c->sent;
            w->over++;
            c->used = false;
        } else if (w->talk) {
            talk_read(w, c);
            talk_write(w, c);
        } else {
            echo(w, c);
        }
    }
}

static void turn(struct world *w)
{
    static uint8_t packet[BATCH][2048];
    uint64_t at = tcpip_deadline(w->t).us, t = now().us;
    struct pollfd p = {w->tun, POLLIN, 0};
    send_packets(w);
    poll(&p, 1, at <= t ? 0 : at - t > 20000 ? 20 : (int)((at - t) / 1000) + 1);
    tcpip_expire(w->t, now());
    for (int i = 0; i < BATCH; i++) {
        ssize_t len = read(w->tun, packet[i], sizeof(packet[i]));
        if (len <= 0)
            break;
        if (lost(w))
            continue;
        if (ip6_is_from_to(packet[i], (size_t)len, kernel6, engine6)) /* not the multicast of the kernel's neighbour discovery */
            tcpip_input6(w->t, now(), packet[i], (size_t)len, KERNEL, ENGINE);
        else
            tcpip_input(w->t, now(), packet[i], (size_t)len);
    }
    take_events(w);
    tcpip_settle(w->t, now());
}

int main(int argc, char **argv)
{
    static struct world w;
    struct tcpip_config c;
    struct tcpip_stats s;
    if (argc < 4)
        return 2;
    w.talk = strcmp(argv[1], "talk") == 0 && argc == 6;
    w.loss = (unsigned)atoi(argv[2]);
    w.wanted = w.talk ? (unsigned)atoi(argv[4]) : 0;
    w.bytes = w.talk ? strtoull(argv[5], NULL, 0) : 0;
    if (w.wanted > CONNS)
        return 2;
    tcpip_config_default(&c);
    c.mtu = MTU;
    uint64_t seed = now().us;
    memcpy(c.seed, &seed, sizeof(seed));
    w.t = tcpip_new(&c);
    w.tun = tun_open();
    usleep(200000);
    for (unsigned i = 0; i < w.wanted; i++) {
        w.conn[i].used = true;
        int err = i & 1 ? tcp_connect6(w.t, now(), ENGINE, engine6, 0, KERNEL, kernel6, 9000, &w.conn[i].ref)
                        : tcp_connect(w.t, now(), ENGINE, 0, KERNEL, 9000, &w.conn[i].ref);
        if (err == 0)
            tcp_set_user(w.t, w.conn[i].ref, i + 1);
    }
    for (uint64_t end = now().us + strtoull(argv[3], NULL, 0) * 1000000; now().us < end && (!w.talk || w.over < w.wanted);)
        turn(&w);
    tcpip_stats(w.t, &s);
    printf("%s: %u of %u right, retransmits=%lu timeouts=%lu\n", argv[1], w.right, w.talk ? w.wanted : w.over, s.retransmits,
        s.timeouts);
    tcpip_free(w.t);
    return w.talk && w.right != w.wanted;
}
