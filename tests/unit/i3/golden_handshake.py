#!/usr/bin/env python3
"""Prints the golden bytes of handshake.c and group.c: INIT and RESPONSE (drawn in daemon/i3/peer.h) made by another implementation,
from hashlib and integers alone: X25519 after RFC 7748, ChaCha20-Poly1305 after RFC 8439, Noise IK after revision 34."""
import hashlib
import hmac
import struct

P = 2**255 - 19


def x25519(k, u):
    k = int.from_bytes(k, "little") & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(u, "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        e = a * a - b * b
        x3, z3 = (d * a + c * b) ** 2 % P, x1 * (d * a - c * b) ** 2 % P
        x2, z2 = a * a * b * b % P, e * (a * a + 121665 * e) % P
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(k):
    return x25519(k, (9).to_bytes(32, "little"))


def chacha_block(key, counter, nonce):
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    s = start[:]

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = s[x] + s[y] & 0xFFFFFFFF
            v = s[z] ^ s[x]
            s[z] = (v << r | v >> 32 - r) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(s, start)))


def seal(key, n, ad, text):
    nonce = bytes(4) + n.to_bytes(8, "little")
    out = b"".join(
        bytes(a ^ b for a, b in zip(text[i : i + 64], chacha_block(key, 1 + i // 64, nonce))) for i in range(0, len(text), 64)
    )
    one_time = chacha_block(key, 0, nonce)[:32]
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    pad = lambda x: x + bytes(-len(x) % 16)
    data, acc = pad(ad) + pad(out) + struct.pack("<QQ", len(ad), len(out)), 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return out + ((acc + int.from_bytes(one_time[16:], "little")) % 2**128).to_bytes(16, "little")


def blake2s(*p):
    return hashlib.blake2s(b"".join(p)).digest()


def mac(key, *p):
    return hmac.new(key, b"".join(p), hashlib.blake2s).digest()


class Noise:
    def __init__(self, responder, prologue=b"i3run session v1"):
        self.h = self.ck = blake2s(b"Noise_IK_25519_ChaChaPoly_BLAKE2s")
        self.mix(prologue)
        self.mix(responder)

    def mix(self, p):
        self.h = blake2s(self.h, p)
        return p

    def dh(self, priv, pub):
        temp = mac(self.ck, x25519(priv, pub))
        self.ck = mac(temp, b"\1")
        self.k = mac(temp, self.ck, b"\2")

    def enc(self, text):
        return self.mix(seal(self.k, 0, self.h, text))


def key(n):
    return bytes((i * 7 + n * 31 + 1) & 255 for i in range(32))


a, b, ea, eb = key(1), key(2), key(3), key(4)
n = Noise(public(b))
init = n.mix(public(ea))
n.dh(ea, public(b))
init += n.enc(public(a))
n.dh(a, public(b))
tail = lambda c, member: struct.pack(">IIBBHI", 0x0A010203, 0x0A0A0B0C, c, 0, 1400, 1 << 20) + member
init += n.enc(struct.pack(">Q", 1800000000123456) + key(5) + tail(3, bytes(8)))
init += mac(blake2s(b"i3run mac1", public(b)), init)[:16]
again = key(5) + mac(b"\x11" * 16, init + key(5))[:16]
init += bytes(32 + 16)
print("init", init.hex())
print("again", again.hex())
response = n.mix(public(eb))
n.dh(eb, public(ea))
n.dh(eb, public(a))
response += n.enc(key(6) + tail(1, b"member 7"))
print("response", response.hex())
temp = mac(n.ck)
first = mac(temp, b"\1")
print("first", first.hex())
print("second", mac(temp, first, b"\2").hex())

# a datagram of a's to the group with b's key (daemon/i3/group.h), as one who is no member and as one who is
for who in 0, 1:
    head = bytes([who, 2, 0, 0])
    n = Noise(public(b), b"i3run group v1" + head[:2])
    head += n.mix(public(ea))
    n.dh(ea, public(b))
    head += n.enc(public(a))
    n.dh(a, public(b))
    head += n.enc(struct.pack(">Q", 1800000000123456))
    k = mac(mac(n.ck), b"\1")
    if who:
        k = mac(k, blake2s(b"i3run member v1", x25519(b, public(b))))
    print("group", who, (head + struct.pack(">Q", 7) + seal(k, 7, b"", b"to all members")).hex())
