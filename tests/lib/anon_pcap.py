"""anon_pcap.py FILE.pcap ADDRESS PORT MODE SECRET...: what a client's machine (at ADDRESS) has sent to overlay nodes, by its local ports; PORT
is its user's own daemon, all others are instances for anonymous programs.

MODE secrets: no packet of an instance has any SECRET (hex) in it, nor the machine's own address. MODE times N: there are at least N instances whose
triggers are refreshed, and no two ports do it at the same times. Prints how many packets, or times, there were."""
import collections
import ipaddress
import struct
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])
import pcap_check

INSERT, PROVE, REFRESH, BATCH = 0x12, 0x14, 0x16, 0x1E
TOGETHER = 0.05


def sent(path, address):
    me = ipaddress.ip_address(address).packed
    for at, link, frame in pcap_check.records(open(path, "rb").read()):
        kind, p = pcap_check.network(link, frame)
        if kind != 0x0800 or p[9] != 17 or p[12:16] != me:
            continue
        head = (p[0] & 15) * 4
        sport, = struct.unpack_from(">H", p, head)
        yield at, sport, p[head + 8:]


path, address, own, mode, *rest = sys.argv[1:]
ports = collections.defaultdict(list)
for at, port, data in sent(path, address):
    ports[port].append((at, data))
assert int(own) in ports, "nothing of the user's own was seen: %s" % sorted(ports)
hidden = {port: v for port, v in ports.items() if port != int(own)}
if mode == "secrets":
    secrets = [bytes.fromhex(s) for s in rest] + [ipaddress.ip_address(address).packed]
    for port, v in hidden.items():
        for at, data in v:
            for s in secrets:
                assert s not in data, "port %d: %s in %s" % (port, s.hex(), data.hex())
    shown = sum(s in data for at, data in ports[int(own)] for s in secrets)
    assert shown, "the user's own packets have none of it either: nothing was looked for"
    print(sum(map(len, hidden.values())))
else:
    times = {port: [at for at, data in v if data[:1] and data[0] in (REFRESH, BATCH)] for port, v in ports.items()}
    times = {port: v for port, v in times.items() if v}
    assert len(times) > int(rest[0]), {p: len(v) for p, v in times.items()}
    for a in times:
        for b in times:
            near = sum(any(abs(x - y) < TOGETHER for y in times[b]) for x in times[a]) if a < b else 0
            assert near < 2, "ports %d and %d refresh together: %s %s" % (a, b, times[a], times[b])
    print(sum(map(len, times.values())))
