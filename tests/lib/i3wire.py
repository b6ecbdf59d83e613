"""The i3 wire (include/wire.h, daemon/i3/proof.h, daemon/base/id.h) spoken a second time, from the drawings and not
from the C code, so that a misreading shared by both sides of the C code shows."""
import hashlib
import hmac
import os
import socket
import struct
import time

(DATA, INSERT, CHALLENGE, PROVE, ACK, REFRESH, NOT_PRESENT, PING, PONG, REFUSED, RING, LOOKUP, OWNER, BATCH) = range(0x11, 0x1F)
REFUSED_UNKNOWN, REFUSED_COOKIE, REFUSED_PROOF, REFUSED_FULL, REFUSED_POLICY = range(1, 6)

# ---- X25519, RFC 7748 ----

P = 2**255 - 19


def x25519(scalar, point):
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        aa, bb = a * a % P, b * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(private):
    return x25519(private, (9).to_bytes(32, "little"))


def blake2s(*pieces):
    return hashlib.blake2s(b"".join(pieces)).digest()


class Key:
    """A key pair and the id it certifies."""

    def __init__(self, private=None):
        self.private = private or os.urandom(32)
        self.public = public(self.private)

    def id(self, suffix=bytes(16)):
        return blake2s(b"i3run id v1", self.public)[:16] + suffix


def trigger_key(shared, id_public, node_public):
    return blake2s(b"i3run trigger v1", shared, id_public, node_public)


def mac(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()[:16]


# ---- packets ----


def insert_body(id, nonce, plen=256, stack=(), flags=0):
    return struct.pack("BBB", flags, plen - 128, len(stack)) + id + nonce + b"".join(stack)


def insert(id, nonce, **more):
    p = bytes([INSERT]) + insert_body(id, nonce, **more)
    return p + bytes(max(0, 80 - len(p)))


class Challenge:
    def __init__(self, p):
        assert len(p) == 80 and p[0] == CHALLENGE and p[2:4] == b"\0\0", p
        self.epoch, self.nonce, self.cookie, self.node_key, self.seen = p[1], p[4:12], p[12:28], p[28:60], address(p[60:80])


def address(p):
    family, zero, port = struct.unpack(">BBH", p[:4])
    assert zero == 0 and family in (4, 6), p
    return (socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, p[4:8] if family == 4 else p[4:20]), port)


def prove(challenge, key, id, nonce, seq, id_public=None, secret=None, **more):
    """id_public and secret: what is claimed, when it is not what `key` is."""
    id_public = id_public or key.public
    secret = secret or trigger_key(x25519(key.private, challenge.node_key), id_public, challenge.node_key)
    p = bytes([PROVE]) + insert_body(id, nonce, **more)
    p += struct.pack("B3x", challenge.epoch) + challenge.cookie + id_public + struct.pack(">Q", seq)
    return p + mac(secret, p), secret


def refresh(secret, id, seq, remove=False, plen=256):
    p = struct.pack("BBBB", REFRESH, int(remove), plen - 128, 0) + id + struct.pack(">Q", seq)
    return p + mac(secret, p)


def batch(*packets):
    return bytes([BATCH, len(packets), 0, 0]) + b"".join(struct.pack(">H", len(p)) + p for p in packets)


def unbatch(p):
    """The packets of a BATCH."""
    assert p and p[0] == BATCH and p[2:4] == b"\0\0", p
    packets, at = [], 4
    while at < len(p):
        n = struct.unpack(">H", p[at : at + 2])[0]
        packets.append(p[at + 2 : at + 2 + n])
        assert len(packets[-1]) == n, p
        at += 2 + n
    assert len(packets) == p[1], p
    return packets


def data(id, payload, stack=(), hops=16, flags=0, proto=3):
    return struct.pack("BBBBB", DATA, flags, hops, 1 + len(stack), proto) + id + b"".join(stack) + payload


class Host:
    """A UDP socket which talks to one node, and holds against it every answer that is larger than what it answers.

    No waiting for silence: a PING follows every question, and the node answers in order, so what has not come before the
    PONG does not come."""

    def __init__(self, node, bind="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((bind, 0))
        self.node = node
        self.address = self.socket.getsockname()

    def send(self, p):
        self.socket.sendto(p, self.node)

    def receive(self, seconds):
        self.socket.settimeout(max(seconds, 1e-6))
        try:
            return self.socket.recvfrom(65536)[0]
        except (socket.timeout, BlockingIOError):
            return None

    def settle(self):
        """Everything that has come by now and everything that the node still answers to what was sent."""
        packets = []
        for _ in range(10):
            nonce = os.urandom(8)
            self.send(bytes([PING]) + bytes(3) + nonce)
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                p = self.receive(deadline - time.monotonic())
                if p == bytes([PONG]) + bytes(3) + nonce:
                    return packets
                if p is not None:
                    packets.append(p)
        raise AssertionError("the node does not answer a PING")

    def ask(self, p):
        """The answer to p, or None."""
        self.settle()
        self.send(p)
        answers = self.settle()
        assert sum(map(len, answers)) <= len(p), "%d bytes get %s" % (len(p), [a.hex() for a in answers])
        return answers[0] if answers else None

    def gets(self, payload, seconds):
        """A DATA packet with this payload comes within that time; others are thrown away."""
        deadline = time.monotonic() + seconds
        while True:
            p = self.receive(deadline - time.monotonic())
            if p is None:
                return False
            if p[0] == DATA and p.endswith(payload):
                return True

    def challenge(self, id, nonce, **more):
        answer = self.ask(insert(id, nonce, **more))
        assert answer, "no CHALLENGE"
        c = Challenge(answer)
        assert c.nonce == nonce and c.seen == self.address, (c.nonce, c.seen)
        return c

    def insert(self, key, id=None, seq=1 << 32, **more):
        """An honest insert: the secret of the trigger that now stands."""
        id, nonce = id or key.id(), os.urandom(8)
        packet, secret = prove(self.challenge(id, nonce, **more), key, id, nonce, seq, **more)
        self.expect_ack(self.ask(packet), secret, seq)
        return secret

    def expect_ack(self, answer, secret, seq):
        """The seconds which the trigger has."""
        assert answer and answer[0] == ACK and len(answer) == 48, answer
        assert mac(secret, answer[:-16]) == answer[-16:], "the ACK's mac is wrong"
        assert struct.unpack(">Q", answer[4:12])[0] == seq, answer
        assert address(answer[12:32]) == self.address, answer
        return struct.unpack(">H", answer[2:4])[0]

    def expect_refused(self, answer, *reasons):
        """Refused in words, or in silence."""
        if answer is not None:
            assert answer[0] == REFUSED and len(answer) == 12 and answer[1] in reasons, (reasons, answer)
