#include "tests/bench/node_load.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <netinet/udp.h>

#include "daemon/base/outbox.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* BYTES_EACH: of a socket's buffer, for a packet of PACKET bytes. */
enum { BYTES_EACH = 4096, PACKET = 1200, BUFFER = 8 << 20, WINDOW = 1024, SOURCES = 1000, FLOWS = 4, TRAINS = 12, PATIENCE_MS = 3000 };

void die(const char *what)
{
    fprintf(stderr, "node_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double cpu_of(long pid)
{
    char path[300];
    unsigned long long ns, sum = 0;
    snprintf(path, sizeof(path), "/proc/%ld/task", pid);
    DIR *d = pid ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/schedstat", pid, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return (double)sum / 1e9;
}

uint32_t host_ip(unsigned i)
{
    return 0x7f010000 + i / 250 * 256 + i % 250 + 2;
}

/* ---- sockets ---- */

static int open_udp(void)
{
    int size = BUFFER, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
        die("socket");
    return fd;
}

/* What the system has given. */
static unsigned buffer_of(int fd)
{
    int size = 0;
    socklen_t len = sizeof(size);
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
    return (unsigned)size;
}

void hub_open(struct hub *h, const char *node)
{
    char ip[32];
    unsigned port;
    memset(h, 0, sizeof(*h));
    h->fd = open_udp();
    h->out = calloc(BATCH, ROOM);
    h->in = calloc(BATCH, ROOM);
    h->node.sin_family = AF_INET;
    if (!h->out || !h->in || sscanf(node, "%31[0-9.]:%u", ip, &port) != 2 || inet_pton(AF_INET, ip, &h->node.sin_addr) != 1)
        die(node);
    h->node.sin_port = htons((uint16_t)port);
    h->window = buffer_of(h->fd) / BYTES_EACH;
    if (h->window > WINDOW)
        h->window = WINDOW;
}

uint8_t *hub_put(struct hub *h, uint32_t from, size_t **len)
{
    if (h->n == BATCH)
        hub_flush(h);
    h->out_from[h->n] = from;
    *len = &h->out_len[h->n];
    return h->out[h->n++];
}

union from_control {
    char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    struct cmsghdr align;
};

/* By itself, as gcc 12 dies of the loop below otherwise (-ftree-loop-distribution). */
static __attribute__((noinline)) void name_source(struct msghdr *m, union from_control *control, uint32_t from)
{
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(from)};
    struct cmsghdr *c = &control->align;
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    m->msg_control = c;
    m->msg_controllen = sizeof(*control);
}

void hub_flush(struct hub *h)
{
    struct mmsghdr m[BATCH];
    struct iovec v[BATCH];
    union from_control control[BATCH];
    for (unsigned i = 0; i < h->n; i++) {
        v[i] = (struct iovec){h->out[i], h->out_len[i]};
        m[i].msg_hdr = (struct msghdr){.msg_name = &h->node, .msg_namelen = sizeof(h->node), .msg_iov = &v[i], .msg_iovlen = 1};
        name_source(&m[i].msg_hdr, &control[i], h->out_from[i]);
    }
    for (unsigned done = 0; done < h->n;) {
        int sent = sendmmsg(h->fd, m + done, h->n - done, 0);
        if (sent < 0 && errno != EINTR)
            die("sendmmsg");
        done += sent > 0 ? (unsigned)sent : 0;
    }
    h->n = 0;
}

unsigned hub_get(struct hub *h, int wait_ms)
{
    struct mmsghdr m[BATCH];
    struct iovec v[BATCH];
    struct pollfd p = {.fd = h->fd, .events = POLLIN};
    for (unsigned i = 0; i < BATCH; i++) {
        v[i] = (struct iovec){h->in[i], ROOM};
        m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(h->fd, m, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0 && wait_ms && poll(&p, 1, wait_ms) > 0)
        got = recvmmsg(h->fd, m, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++)
        h->in_len[i] = m[i].msg_len;
    return got > 0 ? (unsigned)got : 0;
}

/* ---- figures ---- */

struct run {
    double start, end, cpu;
    long pid;
    uint64_t sent, got;
};

static struct run run_start(double secs, long pid)
{
    struct run r = {.pid = pid, .cpu = cpu_of(pid), .start = seconds()};
    r.end = r.start + secs;
    return r;
}

static void run_print(const struct run *r)
{
    double took = seconds() - r->start, cpu = cpu_of(r->pid) - r->cpu;
    printf("pps=%.0f lost=%.6f cpu_us=%.4f\n", (double)r->got / took, 1 - (double)r->got / (double)r->sent, cpu / (double)r->got * 1e6);
}

/* ---- distinct sources and ids ---- */

/* Every packet of a batch has another source, another id, and another target. bare: there are no triggers, and all comes back. */
static void distinct(struct hub *h, double secs, long pid, bool bare)
{
    struct hosts s;
    unsigned next = 0;
    if (!bare) {
        hosts_open(&s, h, SOURCES, 1, SOURCES);
        hosts_insert(&s);
    }
    while (hub_get(h, 20)) /* of the insertions */
        ;
    struct run r = run_start(secs, pid);
    while (seconds() < r.end) {
        for (unsigned i = 0; i < BATCH && r.sent - r.got < h->window; i++) {
            size_t *len;
            uint8_t *p = hub_put(h, host_ip(next), &len);
            struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_SEALED,
                .ids = bare ? p + DATA_FIXED_LEN : s.item[(next + 311) % SOURCES].id.b};
            data_header_encode(p, ROOM, &d);
            *len = PACKET;
            r.sent++;
            next = (next + 1) % SOURCES;
        }
        hub_flush(h);
        bool full = r.sent - r.got >= h->window;
        unsigned got = hub_get(h, full ? PATIENCE_MS : 0);
        r.got += got;
        if (full && !got)
            die("lost, all that was under way");
    }
    for (unsigned got; r.got < r.sent && (got = hub_get(h, PATIENCE_MS));)
        r.got += got;
    run_print(&r);
}

/* ---- trains from few senders ---- */

struct flow {
    int from, to;
    uint8_t train[TRAIN_BYTES / PACKET * PACKET];
};

static void flow_open(struct flow *f, struct hub *h, unsigned i)
{
    int one = 1, size = PACKET;
    struct hosts s;
    f->from = open_udp();
    f->to = open_udp();
    if (setsockopt(f->from, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0 ||
        setsockopt(f->to, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)) < 0 ||
        connect(f->from, (struct sockaddr *)&h->node, sizeof(h->node)) < 0)
        die("GSO");
    struct hub own = *h;
    own.fd = f->to;
    hosts_open(&s, &own, 1, 1, 1);
    s.item[0].ip = host_ip(i);
    hosts_insert(&s);
    for (size_t at = 0; at < sizeof(f->train); at += PACKET)
        data_header_encode(f->train + at, PACKET, &(struct wire_data){.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_SEALED, .ids = s.item[0].id.b});
}

static void trains(struct hub *h, double secs, long pid)
{
    static struct flow f[FLOWS];
    static uint8_t in[65536];
    const unsigned each = TRAIN_BYTES / PACKET;
    unsigned most = buffer_of(h->fd) / (2 * TRAIN_BYTES);
    most = most > TRAINS ? TRAINS : most ? most : 1;
    for (unsigned i = 0; i < FLOWS; i++)
        flow_open(&f[i], h, i);
    struct run r = run_start(secs, pid);
    for (unsigned i = 0; seconds() < r.end; i = (i + 1) % FLOWS) {
        if (r.sent - r.got <= (most - 1) * each) {
            if (send(f[i].from, f[i].train, sizeof(f[i].train), 0) < 0)
                die("send");
            r.sent += each;
        }
        for (unsigned k = 0; k < FLOWS; k++)
            for (ssize_t n; (n = recv(f[k].to, in, sizeof(in), MSG_DONTWAIT)) > 0;)
                r.got += (uint64_t)n / PACKET;
    }
    struct pollfd p[FLOWS];
    for (unsigned k = 0; k < FLOWS; k++)
        p[k] = (struct pollfd){.fd = f[k].to, .events = POLLIN};
    while (r.got < r.sent && poll(p, FLOWS, PATIENCE_MS) > 0)
        for (unsigned k = 0; k < FLOWS; k++)
            for (ssize_t n; (n = recv(f[k].to, in, sizeof(in), MSG_DONTWAIT)) > 0;)
                r.got += (uint64_t)n / PACKET;
    run_print(&r);
}

/* ---- what it is held against ---- */

/* recvmmsg, sendmmsg back to where each came from, and nothing else. */
static void reflector(void)
{
    struct sockaddr_in at, from[BATCH];
    socklen_t len = sizeof(at);
    struct mmsghdr m[BATCH];
    struct iovec v[BATCH];
    static uint8_t buf[BATCH][ROOM];
    int fd = open_udp();
    getsockname(fd, (struct sockaddr *)&at, &len);
    printf("port=%u\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        for (unsigned i = 0; i < BATCH; i++) {
            v[i] = (struct iovec){buf[i], ROOM};
            m[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &v[i], .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL);
        if (n <= 0)
            die("recvmmsg");
        for (int i = 0; i < n; i++)
            v[i].iov_len = m[i].msg_len;
        for (int done = 0; done < n;) {
            int sent = sendmmsg(fd, m + done, (unsigned)(n - done), 0);
            done += sent > 0 ? sent : 1;
        }
    }
}

static void x25519_rate(double secs)
{
    uint8_t priv[KEY_LEN] = {7}, pub[KEY_LEN], out[KEY_LEN];
    x25519_public(pub, priv);
    struct x25519_key *k = x25519_key_new(priv);
    double start = seconds();
    unsigned n = 0;
    for (; seconds() < start + secs; n++) {
        if (x25519_derive(out, k, pub))
            abort();
        memcpy(pub, out, sizeof(pub));
    }
    printf("per_s=%.0f\n", n / (seconds() - start));
    x25519_key_free(k);
}

/* Per second, and per second of the node's CPU. */
static void print_rate(const char *what, unsigned n, double took, double *cpu, long pid)
{
    double now = cpu_of(pid);
    printf("%s=%.0f", what, n / took);
    if (pid)
        printf(" %s_cpu=%.0f", what, n / (now - *cpu));
    putchar(' ');
    *cpu = now;
}

static void triggers(struct hub *h, unsigned n, unsigned per_key, unsigned each, bool away, long pid)
{
    struct hosts s;
    hosts_open(&s, h, n, per_key, away ? 250 : 1);
    double cpu = cpu_of(pid);
    print_rate("inserts", n, hosts_insert(&s), &cpu, pid);
    print_rate("refreshes", n, hosts_refresh(&s, 1), &cpu, pid);
    print_rate("batched", n, hosts_refresh(&s, each), &cpu, pid);
    putchar('\n');
    fflush(stdout);
    if (away)
        hosts_remove(&s);
}

static const char usage[] = "usage: node_load distinct|bare|trains NODE SECONDS [PID]\n"
                            "       node_load triggers|visit NODE N PER_KEY EACH [PID]    visit: from 250 sources, and away again\n"
                            "       node_load reflect NODE\n"
                            "       node_load reflector | x25519 SECONDS\n";

int main(int argc, char **argv)
{
    struct hub h;
    const char *mode = argc > 1 ? argv[1] : "";
    double number = argc > 3 ? atof(argv[3]) : 1;
    long pid = argc > 4 ? atol(argv[4]) : 0;
    if (!strcmp(mode, "reflector"))
        reflector();
    else if (!strcmp(mode, "x25519") && argc == 3)
        x25519_rate(atof(argv[2]));
    else if (argc < 3)
        fputs(usage, stderr);
    if (argc < 3 || !strcmp(mode, "x25519"))
        return argc < 3 ? 2 : 0;
    hub_open(&h, argv[2]);
    if (!strcmp(mode, "distinct") || !strcmp(mode, "bare"))
        distinct(&h, number, pid, *mode == 'b');
    else if (!strcmp(mode, "trains"))
        trains(&h, number, pid);
    else if ((!strcmp(mode, "triggers") || !strcmp(mode, "visit")) && argc >= 6)
        triggers(&h, (unsigned)number, (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]), *mode == 'v', argc > 6 ? atol(argv[6]) : 0);
    else if (!strcmp(mode, "reflect"))
        printf("ratio=%.4f\n", hosts_reflect(&h));
    else
        return fputs(usage, stderr), 2;
    return 0;
}
