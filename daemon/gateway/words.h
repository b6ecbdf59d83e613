/* words.h - what a user's daemon and its gateway say to each other (gateway/to_ip.h has the picture): words of kind 9 in their session
 * (i3/inner.h). One packet, one message; big-endian; trailing bytes are refused; a sub-kind which is not known is ignored.
 *
 * ASK (1)  what is NAME? I call it by these virtual addresses, and packets for it will bear them. Asked again until it is answered
 *     0      1      2      3          4            8           12           28
 *   +------+------+------+----------+------------+-----------+------------+--- ... ---+
 *   | 0x19 | 1    | 0    | n        | serial (4) | IPv4 (4)  | IPv6 (16)  | name (n)  |   n: 1 to 253
 *   +------+------+------+----------+------------+-----------+------------+--- ... ---+
 *
 * ANSWER (2)  shorter than any question; status: enum gate_status. families: 1 it has an IPv4 address, 2 an IPv6 address
 *     0      1      2        3          4            8           12        16
 *   +------+------+--------+----------+------------+-----------+---------+
 *   | 0x19 | 2    | status | families | serial (4) | IPv4 (4)  | TTL (4) |   TTL in seconds: for so long it holds
 *   +------+------+--------+----------+------------+-----------+---------+
 *
 * UNKNOWN (3)  a packet came to that address, of which I know nothing (any more): ask again
 *     0      1      2      3      4           8            24
 *   +------+------+------+------+-----------+------------+
 *   | 0x19 | 3    | 0    | 0    | IPv4 (4)  | IPv6 (16)  |   one of the two, the other is zeros
 *   +------+------+------+------+-----------+------------+
 *
 * REFUSED (4)  a connection to there was not made, and not because that host has refused it; why: enum gate_status
 *     0      1      2        3      4           8          10     12
 *   +------+------+--------+------+-----------+----------+------+
 *   | 0x19 | 4    | why    | IP   | IPv4 (4)  | port (2) | from |   IP: 6 TCP, 17 UDP; from (2): the user's port
 *   +------+------+--------+------+-----------+----------+------+
 */
#ifndef I3_GATEWAY_WORDS_H
#define I3_GATEWAY_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATE_NAME_MAX = 253, GATE_ASK_LEN = 28, GATE_ANSWER_LEN = 16, GATE_UNKNOWN_LEN = 24, GATE_REFUSED_LEN = 12, GATE_WORD_MAX = GATE_ASK_LEN + GATE_NAME_MAX };

enum gate_word { GATE_ASK = 1, GATE_ANSWER, GATE_UNKNOWN, GATE_REFUSED };

/* On the wire: never renumbered. */
enum gate_status {
    GATE_OK,
    GATE_NO_NAME,    /* there is no such name (NXDOMAIN) */
    GATE_NO_ADDRESS, /* there is, and it has no address */
    GATE_LATER,      /* its DNS does not answer, or has trouble of its own */
    GATE_FAILED,     /* its DNS refuses, or talks nonsense */
    GATE_NOT_ALLOWED, /* you are none of the gateway's users, or there is no gateway */
    GATE_FORBIDDEN,  /* the gateway does not go there */
    GATE_TAKEN,      /* that virtual address cannot be had: ask with another one */
    GATE_FULL,       /* you have too many */
    GATE_TIMED_OUT,  /* REFUSED: the host has not answered */
    GATE_STATUSES,
};

enum { GATE_HAS_4 = 1, GATE_HAS_6 = 2 };

struct gate_ask {
    uint32_t serial, ip;
    uint8_t ip6[16];
    char name[GATE_NAME_MAX + 1];
};

struct gate_answer {
    enum gate_status status;
    uint8_t families;
    uint32_t serial, ip, ttl;
};

struct gate_unknown {
    uint32_t ip;
    uint8_t ip6[16];
};

struct gate_refused {
    enum gate_status why;
    uint8_t proto;
    uint32_t ip;
    uint16_t port, client_port;
};

/* The sub-kind of a word of kind 9, 0 when it is too short to have one. */
unsigned gate_word_kind(const uint8_t *msg, size_t len);

/* Encoders give the length, or 0 when it does not fit. Decoders: 0 or -EBADMSG. */
size_t gate_ask_encode(uint8_t *out, size_t cap, const struct gate_ask *a);
int gate_ask_decode(const uint8_t *msg, size_t len, struct gate_ask *a);
size_t gate_answer_encode(uint8_t *out, size_t cap, const struct gate_answer *a);
int gate_answer_decode(const uint8_t *msg, size_t len, struct gate_answer *a);
size_t gate_unknown_encode(uint8_t *out, size_t cap, const struct gate_unknown *u);
int gate_unknown_decode(const uint8_t *msg, size_t len, struct gate_unknown *u);
size_t gate_refused_encode(uint8_t *out, size_t cap, const struct gate_refused *r);
int gate_refused_decode(const uint8_t *msg, size_t len, struct gate_refused *r);

/* A few words for people: "no such name". */
const char *gate_status_text(enum gate_status s);

#endif
