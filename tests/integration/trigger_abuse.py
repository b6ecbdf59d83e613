#!/usr/bin/python3
"""What an attacker who speaks the wire gets from a node: triggers for ids whose key he lacks, triggers aimed elsewhere,
removal of others' triggers, and answers larger than his questions. Nothing, each time; and the honest are served on."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import i3wire as w  # noqa: E402

B = os.environ.get("B") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
I3CTL = os.path.join(B, "bin", "i3ctl")


if not all(os.access(os.path.join(B, "bin", p), os.X_OK) for p in ("i3ctl", "i3d", "i3node")):
    print("i3d and i3node are not built")
    sys.exit(77)


def ctl(*args, user=None):
    env = dict(os.environ)
    if user:
        for name, folder in (("CONFIG_HOME", "config"), ("DATA_HOME", "data"), ("RUNTIME_DIR", "run")):
            env["XDG_" + name] = os.path.join(world, user, folder)
    return subprocess.run([I3CTL, *args], env=env, capture_output=True, text=True, timeout=60)


def delivered(sender, id, to, **more):
    """Does a packet to `id` arrive at the host `to`?"""
    payload = os.urandom(24)
    sender.send(w.data(id, payload, **more))
    return to.gets(payload, 5)


def not_delivered(sender, id, to):
    payload = os.urandom(24)
    sender.settle()
    sender.send(w.data(id, payload))
    if sender is to:
        return not any(p.endswith(payload) and p[0] == w.DATA for p in sender.settle())
    sender.settle()  # the node has dealt with it
    return not to.gets(payload, 0.05)


def alice_is_there():
    r = ctl("ping", "alice", "1", user="bob")
    assert r.returncode == 0, r.stdout + r.stderr


def the_honest_are_served():
    key = w.Key()
    secret = me.insert(key)
    assert delivered(other, key.id(), me)
    assert delivered(me, key.id(), me)
    # refreshed with a growing number only
    assert me.expect_ack(me.ask(w.refresh(secret, key.id(), (1 << 32) + 1)), secret, (1 << 32) + 1) == 30
    # a longer match wins, and a shorter one gets the rest (anycast)
    near = key.id(b"\xff" * 16)
    assert not_delivered(other, near, me)
    me.insert(key, plen=128)
    assert delivered(other, near, me)
    # removed by its owner
    me.expect_ack(me.ask(w.refresh(secret, key.id(), (1 << 32) + 2, remove=True)), secret, (1 << 32) + 2)


def someone_elses_id():
    victim = w.Key(bytes(range(32)))
    other.insert(victim)
    mine = w.Key()
    for id_public, secret in (
        (None, None),  # my key for the victim's id
        (victim.public, None),  # the victim's public key, and a secret of my own
        (victim.public, bytes(32)),
        (victim.public, os.urandom(32)),
    ):
        nonce = os.urandom(8)
        c = me.challenge(victim.id(), nonce)
        packet, _ = w.prove(c, mine, victim.id(), nonce, 1 << 40, id_public=id_public, secret=secret)
        me.expect_refused(me.ask(packet), w.REFUSED_PROOF)
    assert not_delivered(me, victim.id(), me), "an insert without the id's key stands"
    assert delivered(me, victim.id(), other), "the victim's trigger is gone"
    # small-order points give a secret that everybody knows
    for point in (bytes(32), b"\1" + bytes(31), (w.P - 1).to_bytes(32, "little")):
        id = w.blake2s(b"i3run id v1", point)[:16] + bytes(16)
        nonce = os.urandom(8)
        c = me.challenge(id, nonce)
        secret = w.trigger_key(bytes(32), point, c.node_key)
        me.expect_refused(me.ask(w.prove(c, mine, id, nonce, 1 << 40, id_public=point, secret=secret)[0]), w.REFUSED_PROOF)
        assert not_delivered(other, id, me)


def aimed_elsewhere():
    key, nonce = w.Key(), os.urandom(8)
    # the cookie is bound to the address which asked ...
    c = me.challenge(key.id(), nonce)
    packet, secret = w.prove(c, key, key.id(), nonce, 7)
    other.expect_refused(other.ask(packet), w.REFUSED_COOKIE, w.REFUSED_PROOF)
    assert not_delivered(me, key.id(), other), "a cookie works from another address"
    # ... and to what was asked for
    for changes in ({"plen": 128}, {"stack": [w.Key().id()]}, {"flags": 1}):
        packet, _ = w.prove(c, key, key.id(), nonce, 7, **changes)
        me.expect_refused(me.ask(packet), w.REFUSED_COOKIE, w.REFUSED_PROOF)
    sibling = key.id(b"another suffix!!")
    packet, _ = w.prove(c, key, sibling, nonce, 7)
    me.expect_refused(me.ask(packet), w.REFUSED_COOKIE, w.REFUSED_PROOF)
    packet, _ = w.prove(c, key, key.id(), os.urandom(8), 7)
    me.expect_refused(me.ask(packet), w.REFUSED_COOKIE, w.REFUSED_PROOF)
    assert not_delivered(other, key.id(), me)
    # a cookie made up, an epoch made up
    real = c.cookie, c.epoch
    c.cookie = os.urandom(16)
    me.expect_refused(me.ask(w.prove(c, key, key.id(), nonce, 7)[0]), w.REFUSED_COOKIE, w.REFUSED_PROOF)
    c.cookie, c.epoch = real[0], real[1] ^ 0x55
    me.expect_refused(me.ask(w.prove(c, key, key.id(), nonce, 7)[0]), w.REFUSED_COOKIE, w.REFUSED_PROOF)
    c.cookie, c.epoch = real
    assert not_delivered(other, key.id(), me)
    # honest at last, so the refusals above were for what was wrong with them
    packet, secret = w.prove(c, key, key.id(), nonce, 7)
    me.expect_ack(me.ask(packet), secret, 7)
    assert delivered(other, key.id(), me)


def forged_removal():
    key = w.Key()
    secret = me.insert(key, seq=1000)
    kept = w.refresh(secret, key.id(), 1001)
    me.expect_ack(me.ask(kept), secret, 1001)
    forged = [
        (other, w.refresh(secret, key.id(), 1002, remove=True)),  # even with the right mac: another address
        (other, w.refresh(os.urandom(32), key.id(), 1002, remove=True)),
        (me, w.refresh(os.urandom(32), key.id(), 1002, remove=True)),  # a spoofed source, no secret
        (me, w.refresh(secret, key.id(), 1002, remove=True)[:-1]),
        (me, w.refresh(secret, key.id(), 1002, remove=True)[:-1] + b"\0"),
        (me, kept[:1] + b"\1" + kept[2:]),  # a refresh turned into a removal
        (me, w.refresh(secret, key.id(), 1000, remove=True)),  # an old number
    ]
    for host, packet in forged:
        host.expect_refused(host.ask(packet), w.REFUSED_UNKNOWN, w.REFUSED_PROOF)
        assert delivered(other, key.id(), me), "removed by a forgery: " + packet.hex()
    # together in one datagram they are no better, and the honest one among them holds
    kept = w.refresh(secret, key.id(), 1002)
    answers = w.unbatch(me.ask(w.batch(forged[2][1], kept, forged[6][1])))
    assert [a[0] for a in answers if a[0] != w.REFUSED] == [w.ACK], answers
    assert me.expect_ack(next(a for a in answers if a[0] == w.ACK), secret, 1002) == 30
    assert delivered(other, key.id(), me), "removed by a forgery in a batch"
    assert me.ask(w.batch(kept, w.data(key.id(), b"x"))) is None and me.ask(w.batch(w.batch(kept))) is None
    # a replay is at most answered anew, and prolongs nothing
    time.sleep(1.2)
    answer = me.ask(kept)
    if answer and answer[0] == w.ACK:
        assert me.expect_ack(answer, secret, 1002) < 30, "a replay prolongs a trigger"
    else:
        me.expect_refused(answer, w.REFUSED_UNKNOWN, w.REFUSED_PROOF)
    me.ask(w.refresh(secret, key.id(), 1003, remove=True))
    assert not_delivered(other, key.id(), me), "its owner's removal has no effect"


def alice_is_left_alone():
    alice = json.loads(ctl("id", "--json", user="alice").stdout)
    id, mine, nonce = bytes.fromhex(alice["id"]), w.Key(), os.urandom(8)
    assert len(id) == 32
    c = me.challenge(id, nonce)
    me.expect_refused(me.ask(w.prove(c, mine, id, nonce, 1 << 60)[0]), w.REFUSED_PROOF)
    for plen in (128, 256):
        me.expect_refused(me.ask(w.refresh(os.urandom(32), id, (1 << 64) - 1, True, plen)), w.REFUSED_UNKNOWN, w.REFUSED_PROOF)
    alice_is_there()


def no_amplification():
    rng = random.Random(3)
    key = w.Key()
    me.insert(key)
    nonce = os.urandom(8)
    nobody = w.Key().id()
    c = me.challenge(key.id(), nonce)
    seeds = [
        w.insert(key.id(), nonce),
        w.insert(key.id(), nonce, stack=[nobody] * 15),
        w.prove(c, key, nobody, nonce, 5)[0],
        w.refresh(bytes(32), nobody, 5),
        w.batch(*[w.refresh(bytes(32), nobody, i) for i in range(19)]),
        w.data(nobody, b""),
        w.data(nobody, b"x"),
        w.data(nobody, b"x" * 1400),
        w.data(nobody, b"x", stack=[nobody] * 14),
        bytes([w.PING]) + bytes(3) + nonce,
        bytes([w.PONG]) + bytes(3) + nonce,
        bytes([w.NOT_PRESENT]) + bytes(3) + nobody,
        struct.pack("BB2x8s", w.REFUSED, 1, nonce),
    ]
    answers = 0
    for p in seeds:
        answers += me.ask(p) is not None
        for length in sorted({0, 1, 4, 11, 12, 36, 37, 59, 79, len(p) // 2, len(p) - 1} & set(range(len(p)))):
            me.ask(p[:length])
        for _ in range(10):
            q = bytearray(p)
            q[rng.randrange(len(q))] ^= 1 << rng.randrange(8)
            me.ask(bytes(q))
    assert answers >= 5, "only %d of the questions were answered: is the node there?" % answers
    assert me.ask(w.insert(key.id(), nonce)[:79]) is None, "an INSERT too short for its answer is answered"


def loops_die():
    a, b = w.Key(), w.Key()
    me.insert(a, stack=[b.id()])
    me.insert(b, stack=[a.id()])
    me.ask(w.data(a.id(), b"round and round"))
    alice_is_there()


with tempfile.TemporaryDirectory(prefix="i3.") as folder:
    world = os.path.join(folder, "w")
    up = ctl("demo", "up", world, "--json")
    if up.returncode:
        sys.exit("no world: " + up.stdout + up.stderr)
    try:
        node = ("127.0.0.1", json.loads(up.stdout)["port"])
        me, other = w.Host(node), w.Host(node)
        alice_is_there()
        for case in (the_honest_are_served, someone_elses_id, aimed_elsewhere, forged_removal, alice_is_left_alone,
                     no_amplification, loops_die):
            print("==", case.__name__.replace("_", " "), flush=True)
            case()
        alice_is_there()
    finally:
        down = ctl("demo", "down", world)
        print(down.stdout + down.stderr, end="")
sys.exit(down.returncode)
