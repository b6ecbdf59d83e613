"""pcap_check.py --name HOST --me ADDRESS,... [--allow RULE]... [--never TEXT]... [--key BASE32]... [--some RULE] FILE.pcap

Judges what tcpdump has seen at a host (-i any, or of one interface): each packet must be one that a rule names, and no packet may
have any of the texts in it. Prints one line of what there was; or the first packets which should not be there, and ends with 1.

RULE: PROTO/ADDRESS[:PORT][@PORT]   the other side, its port, and the host's own. PROTO: udp, tcp, icmp; ADDRESS may be *.
< before it: only what comes; > only what goes.
Always allowed: ARP and neighbour discovery, group reports of others and of the kernel itself (not for a group of mDNS or LLMNR); packets of the host to itself but to or from the ports of
DNS and mDNS, which are judged like others.
--never: a text which must stand nowhere, as it is, with dots between as DNS has it, in UTF-16, or in base64. @FILE: each line of one.
--key: a public key as i3ctl prints it: not as printed, and not as its 32 bytes.
--some: at least one packet must be of this rule; otherwise the capture has seen nothing, and proves nothing."""
import argparse
import base64
import collections
import ipaddress
import struct
import sys

ETHERNET, RAW, SLL, SLL2 = 1, 101, 113, 276
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
DISCOVERY = {130, 131, 132, 133, 134, 135, 136, 137, 143}  # and multicast listeners, which the kernel tells of on its own
NAME_PORTS = {53, 5353, 5355, 853}
SHOWN = 12

Packet = collections.namedtuple("Packet", "at proto src sport dst dport kind flags size")


def records(data):
    """(time, link type, bytes) of each packet of a pcap file."""
    magic = data[:4]
    if magic not in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"):
        sys.exit("no pcap file")
    order = "<" if magic[0] in (0xd4, 0x4d) else ">"
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, part, kept, size = struct.unpack_from(order + "IIII", data, at)
        at += 16
        if kept != size:
            sys.exit("a packet was kept in part")
        yield seconds + part / 1e6, link, data[at:at + kept]
        at += kept


def network(link, frame):
    """What protocol the frame has in it (as of Ethernet), and that."""
    if link == ETHERNET:
        return struct.unpack_from(">H", frame, 12)[0], frame[14:]
    if link == SLL:
        return struct.unpack_from(">H", frame, 14)[0], frame[16:]
    if link == SLL2:
        return struct.unpack_from(">H", frame, 0)[0], frame[20:]
    if link == RAW:
        return (0x0800 if frame[0] >> 4 == 4 else 0x86DD), frame
    sys.exit(f"link type {link}?")


def headers(p, v6):
    """Protocol, source, destination, offset of what follows, and whether that is a later fragment."""
    if not v6:
        fragment = struct.unpack_from(">H", p, 6)[0] & 0x1FFF
        return p[9], ipaddress.ip_address(p[12:16]), ipaddress.ip_address(p[16:20]), 4 * (p[0] & 15), fragment > 0
    proto, at, later = p[6], 40, False
    while proto in (0, 43, 44, 60):
        if proto == 44:
            later = struct.unpack_from(">H", p, at + 2)[0] >> 3 > 0
        proto, at = p[at], at + (8 if proto == 44 else 8 * (1 + p[at + 1]))
    return proto, ipaddress.ip_address(p[8:24]), ipaddress.ip_address(p[24:40]), at, later


def decode(time, link, frame):
    """A Packet; None for ARP; a text for what is neither."""
    ethertype, p = network(link, frame)
    if ethertype == 0x0806:
        return None
    if ethertype not in (0x0800, 0x86DD):
        return f"ethertype {ethertype:#06x}"
    proto, src, dst, at, later = headers(p, ethertype == 0x86DD)
    sport = dport = kind = flags = 0
    if later:
        kind = "fragment"
    elif proto in (6, 17):
        sport, dport = struct.unpack_from(">HH", p, at)
        flags = p[at + 13] if proto == 6 else 0
    elif proto in (1, 58):
        kind = p[at]
    if proto == 58 and kind in DISCOVERY and not any(ipaddress.ip_address(g).packed in p for g in ("ff02::fb", "ff02::1:3")):
        return None
    return Packet(time, NAMES.get(proto, str(proto)), src, sport, dst, dport, kind, flags, len(p))


class Rule:
    def __init__(self, text):
        self.text = text
        self.way = text[0] if text[0] in "<>" else ""
        self.proto, rest = text.lstrip("<>").split("/", 1)
        rest, _, own = rest.partition("@")
        address, colon, port = rest.rpartition(":") if rest.count(":") == 1 or rest.startswith("[") and not rest.endswith("]") else (rest, "", "")
        self.address = None if address == "*" else ipaddress.ip_address(address.strip("[]"))
        self.port, self.own = int(port) if colon else None, int(own) if own else None
        self.seen = self.bytes = 0

    def fits(self, way, proto, address, port, own):
        return (self.way in ("", way) and self.proto == proto and self.address in (None, address) and self.port in (None, port) and self.own in (None, own))


def to_itself(p, me):
    mine = [a.is_loopback or a in me for a in (p.src, p.dst)]
    return all(mine) and p.sport not in NAME_PORTS and p.dport not in NAME_PORTS


def judge(p, me, rules):
    """The rule that allows it; None."""
    out = p.src in me or p.src.is_loopback
    other, port, own = (p.dst, p.dport, p.sport) if out else (p.src, p.sport, p.dport)
    return next((r for r in rules if r.fits(">" if out else "<", p.proto, other, port, own)), None)


def forms(text):
    """How a text may stand in a packet."""
    raw = text.encode()
    yield raw
    yield text.encode("utf-16-le")
    if "." in text and "/" not in text and " " not in text:
        yield b"".join(bytes([len(l)]) + l.encode() for l in text.strip(".").split("."))
    if len(raw) >= 8:
        for shift in range(3):  # base64 of whatever it stands in, at each of the three offsets
            inside = base64.b64encode(bytes(shift) + raw)
            yield inside[(0, 2, 3)[shift]:-4]


def key_forms(text):
    yield text.encode()
    yield text.upper().encode()
    yield base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def texts(words):
    for w in words:
        if w.startswith("@"):
            yield from (l for l in open(w[1:]).read().splitlines() if l)
        else:
            yield w


def show(p):
    if isinstance(p, str):
        return p
    ends = [f"{a}:{port}" if port else str(a) for a, port in ((p.src, p.sport), (p.dst, p.dport))]
    return f"{p.at:.3f} {p.proto} {ends[0]} > {ends[1]} {p.size} bytes" + (f" type {p.kind}" if p.proto == "icmp" else "") + (f" flags {p.flags:#x}" if p.flags else "")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--name", default="")
    ap.add_argument("--me", required=True)
    ap.add_argument("--allow", action="append", default=[])
    ap.add_argument("--some", action="append", default=[])
    ap.add_argument("--never", action="append", default=[])
    ap.add_argument("--key", action="append", default=[])
    ap.add_argument("file")
    opt = ap.parse_args()
    me = {ipaddress.ip_address(a) for a in opt.me.split(",")}
    rules, wanted = [Rule(t) for t in opt.allow + opt.some], [Rule(t) for t in opt.some]
    data = open(opt.file, "rb").read()
    bad, total, own = [], 0, 0
    for record in records(data):
        total += 1
        p = decode(*record)
        if p is None or isinstance(p, Packet) and (to_itself(p, me) or p.proto == "2" and p.src not in me):
            own += 1
            continue
        rule = judge(p, me, rules) if isinstance(p, Packet) else None
        for r in wanted if rule else ():
            r.seen += judge(p, me, [r]) is not None
        if rule is None:
            bad.append(p)
        else:
            rule.seen += 1
            rule.bytes += p.size
    wrong = [f"{len(bad)} packets that should not be there:"] + ["    " + show(p) for p in bad[:SHOWN]] if bad else []
    wrong += [f"'{t}' stands in a packet" for t in texts(opt.never) if any(f in data for f in forms(t))]
    wrong += [f"the key {k} stands in a packet" for k in opt.key if any(f in data for f in key_forms(k))]
    wrong += [f"no packet of {r.text}" for r in wanted if not r.seen]
    used = ", ".join(f"{r.seen} {r.text} ({r.bytes} bytes)" for r in rules if r.seen)
    print(f"{opt.name}: {total} packets: {used or 'none of any rule'}; {own} of its own; {len(bad)} others")
    print("\n".join(f"{opt.name}: {w}" for w in wrong), end="\n" if wrong else "")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
