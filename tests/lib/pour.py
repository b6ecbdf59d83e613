#!/usr/bin/env python3
"""pour.py serve: sends or takes as many bytes as whoever connects says; prints "port N" first.
pour.py HOST PORT down|up MEGABYTES [MB_PER_S]: has it send, or sends; prints "started", and at the end
"gap MS rate MB_PER_S", the longest time for which the taker got nothing. Fails when the SHA-256 of both ends differ, or the
connection breaks."""
import hashlib, random, socket, struct, sys, threading, time

BLOCK = 1 << 16
NOISE = random.Random(5).randbytes(BLOCK - 8)


def send(c, size, rate):
    digest, start = hashlib.sha256(), time.monotonic()
    for i in range(size // BLOCK):
        block = struct.pack(">Q", i) + NOISE
        digest.update(block)
        c.sendall(block)
        if rate:
            time.sleep(max(0, start + (i + 1) * BLOCK / rate - time.monotonic()))
    return digest.digest()


def take(c, size):
    digest, got, gap, last = hashlib.sha256(), 0, 0, time.monotonic()
    while got < size:
        part = c.recv(min(1 << 18, size - got))
        assert part, "the end came after %d bytes" % got
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        digest.update(part)
        got += len(part)
    return digest.digest(), gap


def exactly(c, n):
    data = b""
    while len(data) < n:
        part = c.recv(n - len(data))
        assert part, "the end came early"
        data += part
    return data


def one(c):
    try:
        down, size, rate = struct.unpack(">?QQ", exactly(c, 17))
        if down:
            c.sendall(send(c, size, rate))
        else:
            digest, gap = take(c, size)
            c.sendall(digest + struct.pack(">d", gap))
    except (OSError, AssertionError) as e:
        print(e, flush=True)
    c.close()


def serve():
    s = socket.create_server(("", 0))
    print("port", s.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def run(host, port, way, megabytes, rate="0"):
    size, rate, down = int(float(megabytes) * 1e6) // BLOCK * BLOCK, int(float(rate) * 1e6), way == "down"
    c = socket.create_connection((host, int(port)), timeout=60)
    c.sendall(struct.pack(">?QQ", down, size, rate))
    print("started", flush=True)
    start = time.monotonic()
    if down:
        digest, gap = take(c, size)
        assert exactly(c, 32) == digest, "the checksums differ"
    else:
        digest = send(c, size, rate)
        assert exactly(c, 32) == digest, "the checksums differ"
        gap = struct.unpack(">d", exactly(c, 8))[0]
    print("gap %d rate %.1f" % (gap * 1000, size / 1e6 / (time.monotonic() - start)), flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    run(*sys.argv[1:])
