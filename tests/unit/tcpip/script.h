/* script.h - the state machine, told as a conversation: the engine on one side, the script plays its peer.
 *
 *    connect | incoming       begins; `incoming` is a SYN from the peer and its event
 *    > SA 0 ack 1             the engine must send this next: flags, sequence[:length], then what is to be compared
 *    < A 1:1000 ack 1         the peer sends this
 *    +200ms                   time passes, deadlines fire as they come
 *    write N [push]  eof  read N  readall  close  abort  accept  refuse     what the owner does
 *    event KIND [ERRNAME]     the next event       noevent, none: no event, no packet
 *    state NAME               what tcpip_next() shows; `gone` for no connection
 *
 *    ride US                  the ACKs of SYN-ACK and FIN may wait so long (in the other scripts they do not)
 *
 * After a line `ecn` the flags E (ECE) and W (CWR) and the word ect (in the IP header) are compared, too; `ce` sends a mark.
 *    icmp net|host|port|big N [MTU]   an ICMP error (RFC 792, 4443) about what we sent with sequence N
 *
 * Flags: S A F R P ('P' must be there when named, and is not looked at else). Numbers are relative to the initial
 * sequence numbers of either side. After a packet: ack N, win N (unscaled bytes), sack a-b,c-d, old (a timestamp
 * from before), nots, mss N, ecr N (ms ago). Payload follows a pattern by sequence number and is checked both ways.
 * The peer offers MSS 1012, timestamps, SACK and scale 0 unless `peer` takes it away: peer nots nosack nows mss=N.
 */
#ifndef I3_TESTS_SCRIPT_H
#define I3_TESTS_SCRIPT_H

#include "daemon/tcpip/engine.h"

/* What begins hereafter is a conversation in IPv6; set by a fixture, so that the same scripts are told in either. */
extern bool script_v6;
extern const uint8_t script_local6[16], script_remote6[16];

struct script {
    struct tcpip *t;
    bool v6;
    struct tcp_ref ref;
    uint64_t now;
    bool ts, sack, ws, ecn;
    uint32_t mss, peer_isn, peer_ts;
    uint32_t last_ts; /* as last received from the engine */
    uint64_t written;
    struct segment_copy *out;
    uint32_t out_n, out_at;
    int line;
    uint8_t *keep[256]; /* packets of the present batch */
    int kept;
};

void script_begin(struct script *s, const struct tcpip_config *config);
void script_run(struct script *s, const char *text);
void script_end(struct script *s);

/* The whole in one: a new engine with defaults. */
void script_play(const char *text);

#endif
