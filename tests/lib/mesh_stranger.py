"""mesh_stranger.py FILE.pcap ADDRESS PORT: sends to a member of a mesh what others were seen to send it (of a capture), the same with a
bit changed, and bytes by chance, all from a socket that nobody knows. Prints "sent N got M": M answers came."""
import random
import select
import socket
import struct
import sys


def payloads(path, port):
    data = open(path, "rb").read()
    link, at, out = struct.unpack_from("<I", data, 20)[0], 24, []
    skip = {1: 14, 113: 16, 276: 20}[link]
    while at + 16 <= len(data):
        kept = struct.unpack_from("<I", data, at + 8)[0]
        packet = data[at + 16 + skip : at + 16 + kept]
        at += 16 + kept
        if len(packet) > 28 and packet[0] >> 4 == 4 and packet[9] == 17:
            head = (packet[0] & 15) * 4
            if struct.unpack_from(">H", packet, head + 2)[0] == port:
                out.append(packet[head + 8 :])
    return out


def main():
    path, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    seen = payloads(path, port)
    kinds = {p[1] for p in seen if p[0] == 0x1F}
    assert 1 in kinds and 2 in kinds, "the capture has no probes and vectors: %r" % kinds
    random.seed(7)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    sent = got = 0
    for p in seen[:400]:
        changed = bytearray(p)
        changed[random.randrange(len(p))] ^= 1 << random.randrange(8)
        for d in p, bytes(changed), p[: random.randrange(1, len(p))], random.randbytes(random.randrange(1, 200)), b"\x1f\x01\x01\x00" + random.randbytes(72):
            s.sendto(d, (address, port))
            sent += 1
        while select.select([s], [], [], 0.002)[0]:
            s.recv(9000)
            got += 1
    while select.select([s], [], [], 2)[0]:
        s.recv(9000)
        got += 1
    print("sent", sent, "got", got)


main()
