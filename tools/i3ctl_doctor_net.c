#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "include/wire.h"
#include "tools/i3ctl_doctor.h"
#include "tools/i3ctl_table.h"

enum { NODES_TRIED = 16, TRIES = 3, TRY_MS = 700, TCP_MS = 2000, INNER_MTU = 1400, OUTER = 28 + 61 /* IP, UDP, and ours */ };

/* ---- a node ---- */

struct probe {
    struct sockaddr_storage at;
    socklen_t len;
    int64_t udp_us, tcp_us; /* -1: no answer */
    int mtu;                /* of the route; 0: not known */
    int err;                /* of UDP's socket */
};

/* "1.2.3.4:5" or "[::1]:5" */
static bool to_sockaddr(const char *text, struct probe *p)
{
    char ip[64];
    const char *colon = strrchr(text, ':');
    bool v6 = *text == '[';
    size_t n = colon ? (size_t)(colon - text) - 2 * v6 : 0;
    if (!colon || n >= sizeof(ip))
        return false;
    memcpy(ip, text + v6, n);
    ip[n] = '\0';
    struct sockaddr_in *a4 = (struct sockaddr_in *)&p->at;
    struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)&p->at;
    in_port_t port = htons((uint16_t)atoi(colon + 1));
    if (v6)
        *a6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    else
        *a4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    p->len = v6 ? sizeof(*a6) : sizeof(*a4);
    return inet_pton(p->at.ss_family, ip, v6 ? (void *)&a6->sin6_addr : (void *)&a4->sin_addr) == 1;
}

static int64_t clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static bool readable(int fd, int64_t until_us)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left = (until_us - clock_us() + 999) / 1000;
    return left > 0 && poll(&p, 1, (int)left) > 0;
}

static void by_udp(struct probe *p)
{
    uint8_t ping[PING_LEN], answer[64], nonce[NONCE_LEN], echoed[NONCE_LEN];
    p->udp_us = -1;
    int fd = socket(p->at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&p->at, p->len) < 0) {
        p->err = errno;
        if (fd >= 0)
            close(fd);
        return;
    }
    socklen_t len = sizeof(p->mtu);
    bool v6 = p->at.ss_family == AF_INET6;
    if (getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &p->mtu, &len) < 0)
        p->mtu = 0;
    for (int i = 0; i < TRIES && p->udp_us < 0; i++) {
        int64_t sent = clock_us();
        if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce) ||
            send(fd, ping, ping_encode(ping, sizeof(ping), WIRE_PING, nonce), 0) < 0)
            p->err = errno;
        while (p->udp_us < 0 && readable(fd, sent + TRY_MS * 1000)) {
            ssize_t n = recv(fd, answer, sizeof(answer), 0);
            if (n < 0)
                p->err = errno;
            if (n > 0 && !ping_decode(answer, (size_t)n, WIRE_PONG, echoed) && !memcmp(nonce, echoed, sizeof(nonce)))
                p->udp_us = clock_us() - sent;
            if (n < 0 && errno == ECONNREFUSED)
                break;
        }
    }
    close(fd);
}

/* Connected is not enough: a firewall may answer for the node. It has to speak our language. */
static void by_tcp(struct probe *p)
{
    uint8_t frame[FRAME_HEAD + PING_LEN], answer[64], nonce[NONCE_LEN], echoed[NONCE_LEN];
    int64_t begun = clock_us();
    p->tcp_us = -1;
    int fd = socket(p->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    bool up = !connect(fd, (struct sockaddr *)&p->at, p->len) || (errno == EINPROGRESS && poll(&out, 1, TCP_MS) > 0);
    if (up && getrandom(nonce, sizeof(nonce), 0) == sizeof(nonce)) {
        frame_head(frame, ping_encode(frame + FRAME_HEAD, PING_LEN, WIRE_PING, nonce));
        if (send(fd, frame, sizeof(frame), MSG_NOSIGNAL) == sizeof(frame) && readable(fd, begun + TCP_MS * 1000)) {
            ssize_t n = recv(fd, answer, sizeof(answer), 0);
            if (n > FRAME_HEAD && !ping_decode(answer + FRAME_HEAD, (size_t)n - FRAME_HEAD, WIRE_PONG, echoed) && !memcmp(nonce, echoed, sizeof(nonce)))
                p->tcp_us = clock_us() - begun;
        }
    }
    close(fd);
}

static void say_node(struct doctor *d, const char *address, const struct probe *p, bool others)
{
    char rtt[PIECE], why[80] = "";
    if (p->udp_us >= 0) {
        doctor_say(d, "node", FINDING_OK, NULL, "%s answers by UDP in %s", address, micros_str(p->udp_us, rtt));
        return;
    }
    if (p->err && p->err != EAGAIN)
        snprintf(why, sizeof(why), " (%s)", strerror(p->err));
    if (p->tcp_us >= 0)
        doctor_say(d, "node", FINDING_WARN, "let UDP to and from that address pass the firewall; until then all works, but slower",
            "%s answers by TCP in %s, but not by UDP%s", address, micros_str(p->tcp_us, rtt), why);
    else
        doctor_say(d, "node", others ? FINDING_WARN : FINDING_FAIL,
            others ? "nothing while other nodes answer; if it is gone for good: i3ctl nodes rm, or take it out of i3.conf" : "if this machine is online, ask who runs that node, or use another one: i3ctl nodes add HOST:PORT",
            "%s does not answer, neither by UDP%s nor by TCP", address, why);
}

static void say_mtu(struct doctor *d, const char *address, const struct probe *p)
{
    bool v6 = p->at.ss_family == AF_INET6;
    int room = p->mtu - OUTER - 20 * v6;
    if (p->udp_us < 0 || !p->mtu)
        return;
    if (room >= INNER_MTU)
        doctor_say(d, "mtu", FINDING_OK, NULL, "packets of %d bytes leave towards %s, so that those of programs have %d", p->mtu, address, INNER_MTU);
    else
        doctor_say(d, "mtu", room >= 1280 ? FINDING_OK : FINDING_WARN, "nothing has to be done; a network that takes 1500 bytes would be faster",
            "packets of %d bytes at most leave towards %s, so that those of programs have %d", p->mtu, address, room);
}

/* The nodes of one overlay, all of one ring: one of them is enough. */
static void check_nodes(struct doctor *d, const char *const *address, unsigned n)
{
    struct probe p[NODES_TRIED];
    unsigned alive = 0;
    for (unsigned i = 0; i < n; i++) {
        p[i] = (struct probe){.udp_us = -1, .tcp_us = -1};
        if (!to_sockaddr(address[i], &p[i]))
            continue;
        by_udp(&p[i]);
        if (p[i].udp_us < 0)
            by_tcp(&p[i]);
        alive += p[i].udp_us >= 0 || p[i].tcp_us >= 0;
    }
    for (unsigned i = 0; i < n; i++) {
        say_node(d, address[i], &p[i], alive);
        if (!i)
            say_mtu(d, address[i], &p[i]);
    }
}

/* A mesh has no nodes; who of its members answers. */
static void doctor_mesh(struct doctor *d, const json_t *overlay)
{
    const char *name = json_text(overlay, "name"), *suffix = json_text(overlay, "suffix");
    int members = (int)json_int(overlay, "members"), up = (int)json_int(overlay, "members_up");
    if (!members)
        doctor_say(d, "mesh", FINDING_NOTE, "i3ctl book add NAME with its suffix and KEY --at ADDRESS:PORT", "the mesh %s has no members yet: no NAME%s is known", name, suffix);
    else if (!up)
        doctor_say(d, "mesh", FINDING_FAIL, "i3ctl mesh shows where they should be; a firewall may keep UDP out, here or there", "none of the %d members of the mesh %s answers", members, name);
    else if (up < members)
        doctor_say(d, "mesh", FINDING_NOTE, "i3ctl mesh shows which; they may be switched off", "%d of the %d members of the mesh %s are reached", up, members, name);
    else
        doctor_say(d, "mesh", FINDING_OK, NULL, "all %d members of the mesh %s are reached", members, name);
}

void doctor_nodes(struct doctor *d)
{
    const char *address[NODES_TRIED];
    const json_t *overlays = json_object_get(d->status, "overlays");
    unsigned tried = 0;
    size_t i, k;
    json_t *e, *overlay;
    json_array_foreach(overlays, k, overlay)
    {
        unsigned n = 0;
        if (!strcmp(json_text(overlay, "kind"), "mesh")) {
            doctor_mesh(d, overlay);
            continue;
        }
        json_array_foreach(json_object_get(overlay, "nodes"), i, e)
            if (n < NODES_TRIED)
                address[n++] = json_text(e, "address");
        check_nodes(d, address, n);
        tried += n;
        if (k && !json_is_true(json_object_get(overlay, "reachable"))) /* the first one's was looked at by its triggers */
            doctor_say(d, "overlay", FINDING_FAIL, "see the lines about its nodes; it is tried again by itself", "overlay %s is not online: no NAME%s can be reached",
                json_text(overlay, "name"), json_text(overlay, "suffix"));
    }
    if (!tried) {
        address[0] = json_text(json_object_get(d->status, "node"), "address");
        check_nodes(d, address, 1);
    }
}

void doctor_nat(struct doctor *d)
{
    const json_t *node = json_object_get(d->status, "node");
    const char *kind = json_text(node, "nat"), *seen = json_text(node, "seen_address");
    if (!strcmp(kind, "none"))
        doctor_say(d, "nat", FINDING_OK, NULL, "no NAT: nodes see this machine's own address, %s", seen);
    else if (!strcmp(kind, "cone"))
        doctor_say(d, "nat", FINDING_OK, NULL, "behind a NAT that keeps one outside address, %s: shortcuts can be made", seen);
    else if (!strcmp(kind, "symmetric"))
        doctor_say(d, "nat", FINDING_NOTE, "forward a UDP port to this machine and name it in i3.conf, bind = \"0.0.0.0:PORT\"",
            "behind a symmetric NAT: all works, but packets to peers who are behind such a one, too, go by a node");
    else if (*seen)
        doctor_say(d, "nat", FINDING_OK, NULL, "one node alone has seen this machine, as %s: what kind of NAT there is, if any, does not show yet", seen);
}

/* ---- real routes in the virtual network ---- */

void doctor_routes(struct doctor *d)
{
    unsigned a[4], bits, gone = 0;
    char line[256], device[32], first[80] = "";
    if (sscanf(json_text(d->status, "network"), "%u.%u.%u.%u/%u", &a[0], &a[1], &a[2], &a[3], &bits) != 5 || bits < 1 || bits > 32)
        return;
    uint32_t network = a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3], mask = ~0u << (32 - bits);
    FILE *f = fopen("/proc/net/route", "re");
    bool whole = false;
    while (f && fgets(line, sizeof(line), f)) {
        unsigned destination, gateway, flags, refs, use, metric, netmask;
        if (sscanf(line, "%31s %x %x %x %u %u %u %x", device, &destination, &gateway, &flags, &refs, &use, &metric, &netmask) != 8 || !(flags & 1))
            continue;
        uint32_t to = ntohl(destination), its = ntohl(netmask);
        if (!its || (to & mask & its) != (network & mask & its))
            continue;
        whole |= its <= mask;
        if (!gone++)
            snprintf(first, sizeof(first), "%u.%u.%u.%u/%d by %s", to >> 24, to >> 16 & 255, to >> 8 & 255, to & 255, __builtin_popcount(its), device);
    }
    if (f)
        fclose(f);
    if (whole)
        doctor_say(d, "network", FINDING_FAIL, "choose another network in i3.conf, e.g. network = \"100.64.0.0/10\", then i3ctl stop",
            "virtual addresses are of %s, which is a real network here: %s", json_text(d->status, "network"), first);
    else if (gone)
        doctor_say(d, "network", FINDING_OK, NULL, "%u real network%s inside %s, as %s, %s left out of the virtual addresses", gone,
            gone > 1 ? "s" : "", json_text(d->status, "network"), first, gone > 1 ? "are" : "is");
    else
        doctor_say(d, "network", FINDING_OK, NULL, "no real network is inside %s, which virtual addresses are of", json_text(d->status, "network"));
}

/* ---- name servers: for names outside the overlay ---- */

static bool server_answers(const char *ip)
{
    static const uint8_t question[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 /* the root */, 0, 2 /* NS */, 0, 1};
    struct probe p = {0};
    char with_port[80];
    uint8_t ask[sizeof(question)], answer[512];
    bool answered = false;
    snprintf(with_port, sizeof(with_port), strchr(ip, ':') ? "[%s]:53" : "%s:53", ip);
    if (!to_sockaddr(with_port, &p))
        return false;
    int fd = socket(p.at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(ask, question, sizeof(ask));
    for (int i = 0; fd >= 0 && i < 2 && !answered; i++) {
        if (getrandom(ask, 2, 0) != 2 || connect(fd, (struct sockaddr *)&p.at, p.len) < 0 || send(fd, ask, sizeof(ask), 0) < 0)
            break;
        if (!readable(fd, clock_us() + TRY_MS * 1000))
            continue;
        ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        answered = n >= 12 && !memcmp(answer, ask, 2); /* whatever it says */
    }
    if (fd >= 0)
        close(fd);
    return answered;
}

void doctor_dns(struct doctor *d)
{
    char line[256], ip[64], list[200] = "", dead[200] = "";
    unsigned n = 0, silent = 0;
    FILE *f = fopen("/etc/resolv.conf", "re");
    while (f && n < 3 && fgets(line, sizeof(line), f)) {
        if (sscanf(line, " nameserver %63s", ip) != 1)
            continue;
        bool answers = server_answers(ip);
        n++;
        silent += !answers;
        char *to = answers ? list : dead;
        size_t used = strlen(to);
        snprintf(to + used, sizeof(list) - used, "%s%s", used ? ", " : "", ip);
    }
    if (f)
        fclose(f);
    if (!n)
        doctor_say(d, "dns", FINDING_NOTE, "nothing if you only use the overlay; else see resolv.conf(5)",
            "/etc/resolv.conf names no server: only names of your book are found");
    else if (silent == n)
        doctor_say(d, "dns", FINDING_WARN, "see resolv.conf(5); names of your book need no server", "no name server answers: %s", dead);
    else
        doctor_say(d, "dns", FINDING_OK, NULL, "name servers answer: %s%s%s", list, silent ? "; but not " : "", dead);
}
