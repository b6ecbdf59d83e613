#!/usr/bin/python3
"""What i3ctl trace writes, read by tshark; and the Wireshark dissector: every kind of i3 packet, from the drawings of include/wire.h, shows its fields; one that is cut is said to be
malformed; frames over TCP are found."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LUA = os.path.join(TOP, "tools", "wireshark", "i3.lua")
if not shutil.which("tshark"):
    print("no tshark here")
    sys.exit(77)


def b(n, first):
    return bytes((first + i) & 255 for i in range(n))


ADDR = bytes([4, 0, 0x15, 0xEA, 203, 0, 113, 7]) + bytes(12)
REFUSED = b"\x1a\x02\0\0" + b(8, 0x70)
MAC, ID, SEQ = b(16, 1), b(32, 0x20), b(8, 0x70)
ACK = b"\x15\0\x01\x2c" + SEQ + ADDR + MAC
hexs = bytes.hex
# packet, the fields it has to show
CASES = [
    (b"\x11\x01\x10\x01\x03" + ID + b(8, 0) + b"pay", {"i3.kind": "1", "i3.hops": "16", "i3.proto": "3", "i3.id": hexs(ID)}),
    (b"\x11\0\xff\x02\x01" + ID + b(32, 0x40) + b"x", {"i3.ids": "2", "i3.payload": "78"}),
    (b"\x12\x01\x80\0" + ID + b(8, 0x80) + bytes(36), {"i3.kind": "2", "i3.plen": "256", "i3.nonce": hexs(b(8, 0x80))}),
    (b"\x12\0\0\x01" + ID + b(8, 0x80) + b(32, 0x40) + bytes(4), {"i3.plen": "128", "i3.target": hexs(b(32, 0x40))}),
    (b"\x13\x09\0\0" + b(8, 0x80) + b(16, 0x90) + b(32, 0xA0) + ADDR, {"i3.epoch": "9", "i3.addr": "203.0.113.7", "i3.port": "5610"}),
    (b"\x14\x01\x80\0" + ID + b(8, 0x80) + b"\x09\0\0\0" + b(16, 0x90) + b(32, 0xC0) + SEQ + MAC,
     {"i3.kind": "4", "i3.key": hexs(b(32, 0xC0)), "i3.mac": hexs(MAC)}),
    (ACK, {"i3.kind": "5", "i3.seconds": "300", "i3.addr": "203.0.113.7"}),
    (b"\x16\x01\x80\0" + ID + SEQ + MAC, {"i3.kind": "6", "i3.flags": "0x01", "i3.plen": "256"}),
    (b"\x17\0\0\x10" + ID + b(16, 0x50), {"i3.kind": "7", "i3.echo": hexs(b(16, 0x50))}),
    (b"\x18\0\0\0" + b(8, 0x80), {"i3.kind": "8", "i3.nonce": hexs(b(8, 0x80))}),
    (b"\x19\0\0\0" + b(8, 0x80), {"i3.kind": "9"}),
    (REFUSED, {"i3.kind": "10", "i3.reason": "2"}),
    (b"\x1b\x01\x00\x01" + b(8, 1) + b(16, 2) + ADDR + b(32, 3) + MAC, {"i3.kind": "11", "i3.ring.type": "1", "i3.ring.to": hexs(b(16, 2))}),
    (b"\x1c\0\0\0" + b(8, 1) + b(16, 2) + bytes(20), {"i3.kind": "12", "i3.prefix": hexs(b(16, 2))}),
    (b"\x1d\0\0\x1e" + b(8, 1) + b(16, 2) + ADDR, {"i3.kind": "13", "i3.seconds": "30", "i3.addr": "203.0.113.7"}),
    (b"\x1e\x02\0\0" + struct.pack(">H", 48) + ACK + struct.pack(">H", 12) + REFUSED,
     {"i3.kind": "14,5,10", "i3.batch.count": "2", "i3.reason": "2"}),
]


def ipv4(proto, payload):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, b"\x0a\0\0\1", b"\x0a\0\0\2") + payload


def udp(p):
    return ipv4(17, struct.pack(">HHHH", 40000, 5610, 8 + len(p), 0) + p)


def tcp(p):
    return ipv4(6, struct.pack(">HHIIHHHH", 40000, 5610, 1, 1, 0x5018, 1000, 0, 0) + p)


def tshark(packets, fields):
    T = tempfile.mkdtemp()
    try:
        path = os.path.join(T, "a.pcap")
        with open(path, "wb") as out:
            out.write(struct.pack(">IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
            for i, p in enumerate(packets):
                out.write(struct.pack(">IIII", i, 0, len(p), len(p)) + p)
        cmd = ["tshark", "-r", path, "-X", "lua_script:" + LUA, "-T", "fields", "-E", "separator=|"]
        for name in fields:
            cmd += ["-e", name]
        r = subprocess.run(cmd, env=dict(os.environ, HOME=T), capture_output=True, text=True, timeout=60)
        errors = [line for line in r.stderr.splitlines() if "dangerous" not in line]
        assert r.returncode == 0 and not errors, (r.returncode, errors)
        rows = [dict(zip(fields, line.split("|"))) for line in r.stdout.splitlines()]
        assert len(rows) == len(packets), (len(rows), r.stdout)
        return rows
    finally:
        shutil.rmtree(T)


names = sorted({name for _, want in CASES for name in want}) + ["i3.malformed"]
for (packet, want), row in zip(CASES, tshark([udp(p) for p, _ in CASES], names)):
    assert row["i3.malformed"] == "", (packet.hex(), row)
    for name, value in want.items():
        assert row[name] == value, (packet.hex(), name, row[name], value)
print("ok: every kind, by UDP")

cut = [p[:n] for p, _ in CASES for n in (len(p) // 2, len(p) - 1) if p[0] != 0x11]
for packet, row in zip(cut, tshark([udp(p) for p in cut], ["i3.malformed"])):
    assert row["i3.malformed"], packet.hex()
print("ok: %d cut packets are called malformed" % len(cut))

stream = b"".join(struct.pack(">H", len(p)) + p for p, _ in CASES[9:12])
row, = tshark([tcp(stream)], ["i3.kind", "i3.frame"])
assert row == {"i3.kind": "8,9,10", "i3.frame": "12,12,12"}, row
print("ok: frames by TCP")


# packets inside: a fetch and a ping of a real world, from a file and live from a pipe
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
import ctl  # noqa: E402


def tshark_file(path, *more):
    r = subprocess.run(["tshark", "-n", "-r", path, *more], env=dict(os.environ, HOME=ctl.T), capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and "cut short" not in r.stderr, r.stderr
    return r.stdout.splitlines()


def inner():
    world = ctl.World()
    ctl.worlds.append(world)
    alice, bob = world.alice, world.bob
    server = bob.popen("i3run", sys.executable, TOP + "/tests/lib/web.py", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ctl.children.append(server)
    port = server.stdout.readline().split()[1].decode()
    path = ctl.T + "/a.pcapng"
    trace = alice.popen("i3ctl", "trace", "-w", path)
    ctl.wait_for(lambda: os.path.exists(path) and os.path.getsize(path))
    live = alice.popen("sh", "-c", "i3ctl trace -c 12 -w - | tshark -n -l -r - -T fields -e ip.proto 2>/dev/null >%s/live" % ctl.T)
    assert alice.run("i3run", "curl", "-s", "-o", "/dev/null", "http://bob.i3:%s/find-me" % port).status == 0
    alice.ctl("ping", "bob", "3")
    trace.send_signal(2)
    assert trace.wait(20) == 0
    uri, = tshark_file(path, "-d", "tcp.port==%s,http" % port, "-Y", "http.request", "-T", "fields", "-e", "http.request.uri")
    assert uri == "/find-me", uri
    assert len(tshark_file(path, "-Y", "icmp.type == 8")) == 3
    assert not tshark_file(path, "-Y", "_ws.malformed || ip.checksum.status == 0"), "malformed packets"
    names = tshark_file(path, "-N", "n", "-Y", "icmp.type == 8", "-T", "fields", "-e", "ip.dst_host")
    assert set(names) == {"bob.i3"}, names
    assert live.wait(30) == 0
    with open(ctl.T + "/live") as f:
        assert len(f.read().split()) == 12
    print("ok: packets inside, from a file and from a pipe")


ctl.main(inner)
