"""What the two ends of a TCP connection call themselves and each other.
    names.py server        prints "port N", then "LOCAL PEER" of every connection; tells the same to the caller
    names.py client HOST PORT        prints "LOCAL PEER" of its own end, then what the server said"""
import socket
import sys


def text(address):
    return "%s:%d" % address[:2]


def server():
    listener = socket.create_server(("", 0))
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
