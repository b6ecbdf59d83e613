#!/usr/bin/env python3
"""init_flood.py NODE_PORT KEY SECONDS PER_SECOND [returns]: first messages of handshakes (daemon/i3/peer.h) for who has that key, with a good
mac1 and nothing behind it, by the node at 127.0.0.1; with `returns` each bears an id to answer to. Prints "started", then how many."""
import base64, hashlib, hmac, os, random, socket, sys, time

port, key, seconds, per_second = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
returns = len(sys.argv) > 5
pub = base64.b32decode(key.upper() + "=" * (-len(key) % 8))
assert len(pub) == 32
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import i3wire

target = i3wire.blake2s(b"i3run id v1", pub)[:16] + bytes(16)
mac_key = hashlib.blake2s(b"i3run mac1" + pub).digest()
noise = random.Random(1)


def init():
    body = noise.randbytes(160)
    body += hmac.new(mac_key, body, hashlib.blake2s).digest()[:16]
    body += (noise.randbytes(32) if returns else bytes(32)) + bytes(16)
    return i3wire.data(target, body, proto=1)


packets = [init() for _ in range(4000)]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", port))
print("started", flush=True)
start, sent = time.monotonic(), 0
while time.monotonic() - start < seconds:
    for p in packets[sent % 4000 : sent % 4000 + 200]:
        try:
            s.send(p)
        except OSError:
            pass
    sent += 200
    time.sleep(max(0, start + sent / per_second - time.monotonic()))
print("sent", sent, "per second", int(sent / (time.monotonic() - start)))
