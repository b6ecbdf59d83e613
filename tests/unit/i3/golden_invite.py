#!/usr/bin/env python3
"""Prints the golden bytes of invite.c and rotation.c: a code, JOIN, JOINED, REFUSAL (daemon/i3/invite.h) and ROTATE (inner.h), made by
the other implementation that golden_handshake.py has; Noise IXpsk0 after revision 34."""
import base64
import contextlib
import io
import struct

with contextlib.redirect_stdout(io.StringIO()):
    from golden_handshake import Noise, blake2s, key, mac, public, seal, x25519

joiner, inviter, ej, ei = key(1), key(2), key(3), key(4)
token = bytes((7 * i + 1) & 255 for i in range(16))
prefix = blake2s(b"i3run id v1", public(inviter))[:16]


class IX(Noise):
    def __init__(self, psk):
        self.h = self.ck = blake2s(b"Noise_IXpsk0_25519_ChaChaPoly_BLAKE2s")
        self.mix(b"i3run join v1")
        temp = mac(self.ck, psk)
        self.ck = mac(temp, b"\1")
        between = mac(temp, self.ck, b"\2")
        self.mix(between)
        self.set_key(mac(temp, between, b"\3"))

    def set_key(self, k):
        self.k, self.n = k, 0

    def mix_key(self, data):
        temp = mac(self.ck, data)
        self.ck = mac(temp, b"\1")
        self.set_key(mac(temp, self.ck, b"\2"))

    def ephemeral(self, priv):
        e = self.mix(public(priv))
        self.mix_key(e)
        return e

    def dh(self, priv, pub):
        self.mix_key(x25519(priv, pub))

    def enc(self, text):
        self.n += 1
        return self.mix(seal(self.k, self.n - 1, self.h, text))


def payload(proto, port, name):
    return struct.pack(">BHB60s", proto, port, len(name), name)


def framed(proto, body):
    body = blake2s(b"i3run join tag v1", token)[:8] + body
    return body + mac(blake2s(b"i3run join mac v1", token), bytes([proto]), body)[:16]


nodes = bytes([203, 0, 113, 9]) + struct.pack(">H", 5610)
code = bytes([1 << 4 | 1 << 2]) + token + prefix + nodes
code += blake2s(b"i3run invite v1", code)[:2]
text = base64.b32encode(code).decode().lower().rstrip("=")
print("code", "-".join(text[i : i + 6] for i in range(0, len(text), 6)))
n = IX(blake2s(b"i3run join psk v1", token, prefix))
first = n.ephemeral(ej) + n.enc(public(joiner)) + n.enc(payload(0, 0, b"bob"))
join = framed(8, first)
print("join", join.hex())
second = n.ephemeral(ei)
n.dh(ei, public(ej))
n.dh(ei, public(joiner))
second += n.enc(public(inviter))
n.dh(inviter, public(ej))
second += n.enc(payload(6, 22, b"alice"))
print("joined", framed(9, second).hex())
refusal = blake2s(b"i3run join tag v1", token)[:8] + bytes([1]) + bytes(7)
print("refusal", (refusal + mac(blake2s(b"i3run join mac v1", token), bytes([9]), refusal, join[-16:])[:16]).hex())
old, new, to = public(joiner), public(ej), public(inviter)
proof = mac(blake2s(b"i3run rotation v1", x25519(ej, to)), old, new, to)[:16]
print("rotate", (bytes([0x18, 0, 0, 0]) + new + proof).hex())
print("rotated", (bytes([0x1A, 0, 0, 0]) + new[:8]).hex())
