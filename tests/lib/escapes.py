"""Everything by which a program could reach the real network, tried; what was not refused is printed. escapes.py ADDRESS ADDRESS6 [PORT]: of a
host on the network which would answer. Names are asked for by libc, and by hand at that host as a DNS server."""
import ctypes
import errno
import socket
import struct
import sys

V4, V6, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 80
REFUSED = {errno.ENETUNREACH, errno.EPERM, errno.EAFNOSUPPORT, errno.EACCES, errno.EADDRNOTAVAIL, errno.ENOSYS, errno.ENODEV, errno.ENOENT,
           errno.EPROTONOSUPPORT}
QUERY = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\7example\4test\0\0\1\0\1"
libc = ctypes.CDLL(None, use_errno=True)
failed = False


def attempt(what, how):
    global failed
    try:
        got = how()
    except socket.gaierror:
        return
    except OSError as e:
        if e.errno in REFUSED:
            return
        got = errno.errorcode.get(e.errno, e)
    if got is not None:
        failed = True
        print("%s: %r" % (what, got))


def tcp(family, address, port=PORT):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        return s.connect((address, port)) or "connected"


def udp(family, address, port, data=b"x"):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        return s.sendto(data, (address, port))


def udp_connected(family, address, port):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.connect((address, port))
        return s.send(QUERY)


def message(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return s.sendmsg([b"x"], [], 0, (address, port))


def broadcast():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return s.sendto(b"x", ("255.255.255.255", 9))


def fast_open():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        return s.sendto(b"x", 0x20000000, (V4, PORT))


def by_hand(number, *args):
    """The call itself, past every library."""
    got = libc.syscall(number, *args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "")
    return got


def raw_connect():
    fd = by_hand(41, socket.AF_INET, socket.SOCK_STREAM, 0)
    try:
        to = struct.pack("=H", socket.AF_INET) + struct.pack(">H", PORT) + socket.inet_aton(V4) + bytes(8)
        return by_hand(42, fd, to, len(to)) and None or "connected"
    finally:
        by_hand(3, fd)


def interface():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind((V4, 0))
        s.listen()
        return "listens"


attempt("TCP", lambda: tcp(socket.AF_INET, V4))
attempt("TCP, IPv6", lambda: tcp(socket.AF_INET6, V6))
attempt("TCP, mapped", lambda: tcp(socket.AF_INET6, "::ffff:" + V4))
attempt("TCP, DNS", lambda: tcp(socket.AF_INET, V4, 53))
attempt("fast open", fast_open)
attempt("UDP", lambda: udp(socket.AF_INET, V4, 9))
attempt("UDP, IPv6", lambda: udp(socket.AF_INET6, V6, 9))
attempt("UDP, mapped", lambda: udp(socket.AF_INET6, "::ffff:" + V4, 9))
attempt("sendmsg", lambda: message(V4, 9))
attempt("DNS by hand", lambda: udp(socket.AF_INET, V4, 53, QUERY))
attempt("DNS by hand, connected", lambda: udp_connected(socket.AF_INET, V4, 53))
attempt("DNS, resolv.conf's", lambda: socket.gethostbyname("example.test"))
attempt("DNS, both families", lambda: socket.getaddrinfo("www.example.test", 80))
attempt("reverse DNS", lambda: None if socket.getnameinfo((V4, 80), 0)[0] == V4 else "a name")
attempt("mDNS", lambda: udp(socket.AF_INET, "224.0.0.251", 5353, QUERY))
attempt("LLMNR", lambda: udp(socket.AF_INET6, "ff02::1:3", 5355, QUERY))
attempt("mDNS by name", lambda: socket.gethostbyname("printer.local"))
attempt("broadcast", broadcast)
attempt("to an interface", interface)
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and "a socket")
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300) and "a socket")
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM) and "a socket")
attempt("bluetooth", lambda: socket.socket(31, socket.SOCK_SEQPACKET) and "a socket")
if ctypes.sizeof(ctypes.c_void_p) == 8 and sys.platform == "linux" and "x86_64" in __import__("os").uname().machine:
    attempt("the call itself", raw_connect)
    attempt("io_uring", lambda: by_hand(425, 4, ctypes.create_string_buffer(120)))
for path in "/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/dbus/system_bus_socket", "/run/avahi-daemon/socket":
    attempt(path, lambda: socket.socket(socket.AF_UNIX).connect(path) or "connected")
print("all refused" if not failed else "not all refused")
