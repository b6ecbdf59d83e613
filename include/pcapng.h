/* pcapng.h - the blocks of a capture file, as the daemon writes them (daemon/control/pcapng.h) and i3ctl trace reads them.
 *
 *     0          4          8                  total - 4
 *   +----------+----------+-------- ... ------+----------+
 *   | type (4) | total (4)| body, options     | total (4)|    total: of the whole block, a multiple of 4
 *   +----------+----------+-------- ... ------+----------+
 *   an option:  code (2)  length (2)  value, padded to 4; 0 0 ends them
 *
 * Bodies, integers big-endian:
 *   PACKET      interface (4)  time (8)  kept (4)  length (4)  the bytes kept, padded to 4  options
 *   NAMES       records: type (2)  length (2)  an address, then its name and a zero, padded to 4; 0 0 ends them
 *   STATISTICS  interface (4)  time (8)  options
 */
#ifndef I3_PCAPNG_BLOCKS_H
#define I3_PCAPNG_BLOCKS_H

enum {
    PCAPNG_SECTION = 0x0a0d0d0a,
    PCAPNG_INTERFACE = 1,
    PCAPNG_NAMES = 4,
    PCAPNG_STATISTICS = 5,
    PCAPNG_PACKET = 6,

    PCAPNG_MAGIC = 0x1a2b3c4d,
    PCAPNG_LINKTYPE_RAW = 101,
    PCAPNG_IN = 1,
    PCAPNG_OUT = 2,

    PCAPNG_NAME_IP4 = 1, /* records of NAMES */
    PCAPNG_NAME_IP6 = 2,
    PCAPNG_PACKET_FLAGS = 2, /* options of PACKET: in the lowest two bits, PCAPNG_IN or PCAPNG_OUT */
    PCAPNG_PACKET_LOST = 4,  /* how many, just before it */
    PCAPNG_STATS_BEGUN = 2, /* options of STATISTICS */
    PCAPNG_STATS_ENDED = 3,
    PCAPNG_STATS_RECEIVED = 4,
    PCAPNG_STATS_LOST = 5,

    PCAPNG_HEAD_LEN = 8,
    PCAPNG_BLOCK_MIN = 12,
    PCAPNG_PACKET_FIXED = 28,      /* before the bytes of a packet */
    PCAPNG_PACKET_OVERHEAD = 64,   /* of a packet's block, at most */
    PCAPNG_SNAPLEN = 262144,       /* where nothing else is said */
};

#endif
