#!/usr/bin/env python3
"""Programs which know nothing of i3, for tests of gateways (tests/integration/gateway_hardships.sh).

    serve ADDRESS PORT             echoes on any number of connections, and datagrams at the same port; prints "port N", then
                                   "peak N" for each hundred at once that there has never been, "from ADDRESS" for each new one
    crowd NAME PORT N BYTES [GO]   N connections at once, each by a name of its own (% in NAME: its number): holds them until all
                                   stand (and until there is a file GO), then has BYTES of its own echoed over each, and compares
    ask NAME...                    what getaddrinfo says of each, all at once: "NAME CODE MS"
    dial NAME PORT                 "ok MS", or the code of the name or of the connection: "ECONNREFUSED MS"
    talk NAME PORT FOLDER          a connection: has a line echoed, and again once there is FOLDER/go, until FOLDER/end
    datagrams NAME PORT N          N datagrams echoed, compared: "N of N"
    replay NODE PORT FILE.pcap     what that capture has of datagrams to NODE:PORT, from a socket of our own: "replayed N answers M"
    syns ADDRESS PORT SECONDS PER_SECOND   from invented addresses; root. "sent N"
"""
import errno, os, random, resource, selectors, socket, struct, sys, threading, time

EAI = {getattr(socket, n): n for n in dir(socket) if n.startswith("EAI_")}


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # in one piece, among threads
    sys.stdout.flush()


def ms(since):
    return int((time.monotonic() - since) * 1000)


def many_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def code(e):
    if isinstance(e, socket.gaierror):
        return EAI.get(e.errno, str(e))
    return errno.errorcode.get(e.errno, repr(e)) if isinstance(e, OSError) else repr(e)


# ---- serve ----


def echo(sel, c):
    try:
        data = c.recv(65536)
        c.setblocking(True)
        c.sendall(data)
        c.setblocking(False)
    except BlockingIOError:
        return True
    except OSError:
        data = b""
    if not data:
        sel.unregister(c)
        c.close()
    return bool(data)


def serve(address, port):
    many_files()
    sel, now, peak, seen = selectors.DefaultSelector(), 0, 0, set()
    listener = socket.create_server((address, int(port)), backlog=1024)
    listener.setblocking(False)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, int(port)))
    sel.register(listener, selectors.EVENT_READ)
    sel.register(udp, selectors.EVENT_READ)
    say("port", port)
    while True:
        for key, _ in sel.select():
            if key.fileobj is listener:
                c, (who, _) = listener.accept()
                c.setblocking(False)
                sel.register(c, selectors.EVENT_READ)
                now += 1
                if who not in seen:
                    seen.add(who)
                    say("from", who)
                if now > peak:
                    peak = now
                    if now % 100 == 0:
                        say("peak", peak)
            elif key.fileobj is udp:
                data, who = udp.recvfrom(65536)
                udp.sendto(data, who)
            elif not echo(sel, key.fileobj):
                now -= 1


# ---- crowd ----


class Member:
    def __init__(self, i, address, size):
        self.wanted = random.Random(i).randbytes(size)
        self.sent, self.got = 0, bytearray()
        self.s = socket.socket()
        self.s.setblocking(False)
        err = self.s.connect_ex(address)
        if err not in (0, errno.EINPROGRESS):
            raise OSError(err, "connect")


def connect_all(name, port, n, size):
    """The members that stand, and a count of each way to fail."""
    sel, members, failed = selectors.DefaultSelector(), [], {}
    for i in range(n):
        try:
            address = socket.getaddrinfo(name.replace("%", str(i)), int(port), socket.AF_INET, socket.SOCK_STREAM)[0][4]
            m = Member(i, address, size)
            sel.register(m.s, selectors.EVENT_WRITE, m)
        except OSError as e:
            failed[code(e)] = failed.get(code(e), 0) + 1
    while sel.get_map():
        ready = sel.select(30)
        if not ready:
            failed["never"] = len(sel.get_map())
            break
        for key, _ in ready:
            sel.unregister(key.fileobj)
            err = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if err:
                failed[errno.errorcode.get(err, err)] = failed.get(errno.errorcode.get(err, err), 0) + 1
            else:
                members.append(key.data)
    return members, failed


def talk_all(members):
    """How many had every byte back; and how many had another one, or lost the connection."""
    sel, right, wrong = selectors.DefaultSelector(), 0, 0
    for m in members:
        sel.register(m.s, selectors.EVENT_READ | selectors.EVENT_WRITE, m)
    while sel.get_map():
        ready = sel.select(30)
        if not ready:
            return right, wrong + len(sel.get_map())
        for key, events in ready:
            m = key.data
            try:
                if events & selectors.EVENT_WRITE:
                    m.sent += m.s.send(m.wanted[m.sent:m.sent + 65536])
                    if m.sent == len(m.wanted):
                        sel.modify(m.s, selectors.EVENT_READ, m)
                if events & selectors.EVENT_READ:
                    data = m.s.recv(65536)
                    m.got += data
                    if data and len(m.got) < len(m.wanted):
                        continue
                    sel.unregister(m.s)
                    right, wrong = (right + 1, wrong) if m.got == m.wanted else (right, wrong + 1)
            except BlockingIOError:
                pass
            except OSError:
                sel.unregister(m.s)
                wrong += 1
    return right, wrong


def crowd(name, port, n, size, go=None):
    many_files()
    start = time.monotonic()
    members, failed = connect_all(name, port, int(n), int(size))
    connected = ms(start)
    say("connected", len(members))
    while go and not os.path.exists(go):
        time.sleep(0.02)
    start = time.monotonic()
    right, wrong = talk_all(members)
    ways = " ".join(f"{k} {v}" for k, v in sorted(failed.items()))
    say(f"{n} at once: {len(members)} connected in {connected} ms, {right} right and {wrong} wrong of {int(size)} bytes each in {ms(start)} ms; failed: {ways or 0}")
    sys.exit(0 if right == int(n) else 3)


# ---- one at a time ----


def ask_one(name):
    start = time.monotonic()
    try:
        said = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM) and "ok"
    except OSError as e:
        said = code(e)
    say(name, said, ms(start))


def ask(*names):
    threads = [threading.Thread(target=ask_one, args=(n,)) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def dial(name, port):
    start = time.monotonic()
    try:
        with socket.create_connection((name, int(port)), timeout=60) as s:
            s.sendall(b"hello")
            said = "ok" if s.recv(5, socket.MSG_WAITALL) == b"hello" else "silence"
    except OSError as e:
        said = code(e)
    say(said, ms(start))


def talk(name, port, folder):
    with socket.create_connection((name, int(port)), timeout=30) as s:
        for i in range(1000000):
            line = b"line %d\n" % i
            s.sendall(line)
            assert s.recv(len(line), socket.MSG_WAITALL) == line
            say("said", i)
            while not os.path.exists(folder + "/go"):
                time.sleep(0.02)
            os.unlink(folder + "/go")
            if os.path.exists(folder + "/end"):
                return


def datagrams(name, port, n):
    address, right = socket.getaddrinfo(name, int(port), socket.AF_INET, socket.SOCK_DGRAM)[0][4], 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        for i in range(int(n)):
            wanted = random.Random(i).randbytes(1 + i * 97 % 1300)
            s.sendto(wanted, address)
            try:
                right += s.recvfrom(65536)[0] == wanted
            except OSError:
                pass
    say(right, "of", n)


# ---- attackers ----


def replay(node, port, file):
    import pcap_check
    to, packets = (node, int(port)), []
    for _, link, frame in pcap_check.records(open(file, "rb").read()):
        ethertype, p = pcap_check.network(link, frame)
        at = 4 * (p[0] & 15)
        if ethertype == 0x0800 and p[9] == 17 and socket.inet_ntoa(p[16:20]) == node and struct.unpack_from(">H", p, at + 2)[0] == to[1]:
            packets.append(p[at + 8:struct.unpack_from(">H", p, 2)[0]])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for p in packets:
            s.sendto(p, to)
            time.sleep(0.001)
        s.settimeout(1)
        answers = 0
        try:
            while s.recv(65536):
                answers += 1
        except OSError:
            pass
    say("replayed", len(packets), "answers", answers)


def sum16(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(source, address, port, sport):
    tcp = struct.pack(">HHIIBBHHH", sport, port, random.getrandbits(32), 0, 0x50, 2, 64240, 0, 0)
    pseudo = source + address + struct.pack(">BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", sum16(pseudo + tcp)) + tcp[18:]
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source, address) + tcp


def syns(address, port, seconds, per_second):
    to = socket.inet_aton(address)
    packets = [syn(bytes([198, 18 + (i & 1), random.randrange(256), random.randrange(1, 255)]), to, int(port), random.randrange(1024, 65536))
               for i in range(20000)]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    start, sent = time.monotonic(), 0
    say("started")
    while time.monotonic() - start < float(seconds):
        for i in range(100):
            try:
                s.sendto(packets[(sent + i) % len(packets)], (address, 0))
            except OSError:
                pass
        sent += 100
        time.sleep(max(0, start + sent / float(per_second) - time.monotonic()))
    say("sent", sent)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    {f.__name__: f for f in (serve, crowd, ask, dial, talk, datagrams, replay, syns)}[sys.argv[1]](*sys.argv[2:])
