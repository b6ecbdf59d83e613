"""What the two ends of a TCP connection call themselves and each other.
    names.py server [BOUND]          prints "port N", then "LOCAL PEER" of every connection; tells the same to the caller.
                                     BOUND is an address; on IPv6 sockets IPv4 is served as well, unless "-6only" follows
    names.py client HOST PORT        prints "LOCAL PEER" of its own end, then what the server said"""
import socket
import sys


def text(address):
    host, port = address[:2]
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


def server():
    bound = sys.argv[2] if len(sys.argv) > 2 else ""
    six = ":" in bound
    listener = socket.create_server((bound, 0), family=socket.AF_INET6 if six else socket.AF_INET,
                                    dualstack_ipv6=bound == "::" and "-6only" not in sys.argv)
    print("port", listener.getsockname()[1], flush=True)
    while True:
        conn, peer = listener.accept()
        assert peer == conn.getpeername(), (peer, conn.getpeername())
        line = text(conn.getsockname()) + " " + text(peer)
        print(line, flush=True)
        conn.sendall(line.encode() + b"\n")
        conn.close()


def client(host, port):
    conn = socket.create_connection((host, port), timeout=20)
    print(text(conn.getsockname()), text(conn.getpeername()))
    print(conn.makefile().readline().strip())


if sys.argv[1] == "server":
    server()
else:
    client(sys.argv[2], int(sys.argv[3]))
