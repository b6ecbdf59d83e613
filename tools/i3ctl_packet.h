/* i3ctl_packet.h - an IP packet as one line for people. Pure: bytes in, text out; nothing of the packet is trusted. */
#ifndef I3CTL_PACKET_H
#define I3CTL_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKET_HOST = 300, PACKET_INFO = 160 };

struct packet_line {
    uint8_t family;                /* 4, 6; 0: it is no IP packet that could be read */
    uint8_t src[16], dst[16];
    bool ports;
    uint16_t src_port, dst_port;
    char proto[12];                /* "TCP", "UDP", "ICMP", or a number */
    char info[PACKET_INFO];        /* flags and numbers of TCP, the kind of ICMP, lengths */
};

/* What can be read of the first `len` bytes of a packet. */
void packet_read(const uint8_t *p, size_t len, struct packet_line *out);

#endif
