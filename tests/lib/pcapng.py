"""A strict reader of the pcapng files that i3ctl trace writes: every block whole, lengths twice and the same, all of it little-endian or
big-endian as its section says."""
import struct

SECTION, INTERFACE, NAMES, STATISTICS, PACKET = 0x0A0D0D0A, 1, 4, 5, 6


def options(b, order):
    found, at = {}, 0
    while at < len(b):
        code, n = struct.unpack_from(order + "HH", b, at)
        at += 4
        if code == 0:
            assert n == 0 and at == len(b), "what stands behind the end of options"
            break
        assert at + n <= len(b), "an option is cut"
        found[code] = b[at:at + n]
        at += n + -n % 4
    return found


def parse(data):
    """A list of (kind, options, packet); an AssertionError for whatever is not as it should be."""
    blocks, at, order = [], 0, None
    while at < len(data):
        assert len(data) - at >= 12, "a block is cut"
        if order is None:
            assert data[at:at + 4] == b"\x0a\x0d\x0d\x0a", "no section"
            order = "<" if data[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            assert struct.unpack_from(order + "I", data, at + 8)[0] == 0x1A2B3C4D
        kind, n = struct.unpack_from(order + "II", data, at)
        assert n % 4 == 0 and n >= 12 and at + n <= len(data), "a block is cut"
        assert struct.unpack_from(order + "I", data, at + n - 4)[0] == n, "its lengths differ"
        body = data[at + 8:at + n - 4]
        at += n
        if kind == SECTION:
            assert struct.unpack_from(order + "HH", body, 4) == (1, 0), "version"
            blocks.append((kind, options(body[16:], order), b""))
        elif kind == INTERFACE:
            link, zero, snap = struct.unpack_from(order + "HHI", body)
            assert link == 101 and zero == 0, "raw IP, no other"
            blocks.append((kind, options(body[8:], order), b""))
        elif kind == PACKET:
            interface, high, low, kept, length = struct.unpack_from(order + "5I", body)
            assert interface < sum(k == INTERFACE for k, _, _ in blocks), "of an interface that is none"
            assert kept <= length and 20 + kept <= len(body)
            p = body[20:20 + kept]
            assert kept == 0 or p[0] >> 4 in (4, 6), "no IP packet"
            blocks.append((kind, options(body[20 + kept + -kept % 4:], order), p))
        else:
            blocks.append((kind, {}, body))
    assert blocks, "nothing"
    return blocks


def packets(blocks):
    return [p for kind, _, p in blocks if kind == PACKET]
