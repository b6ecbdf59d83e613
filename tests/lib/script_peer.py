#!/usr/bin/python3
"""script_peer.py [-6] [PROGRAM [ARGUMENT...]]: a TCP server whose clients say with their first byte what it shall do; "port N".
With PROGRAM: runs it on loopback with IP PORT behind its arguments instead.

  E  echo                               F  send "data!", end                R  reset
  D  send "data!", a moment, reset      N  read nothing for a second, then all, end
  H  read to the end, a moment, send how much it was, end                   U  end with unread data: "xx" comes first
  S  send "a", a moment, "b", echo      L  read until something ends it; W then tells what that was, in another connection
"""
import socket, struct, subprocess, sys, threading, time

MOMENT = 0.1
last = {}


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()


def drain(c):
    n = 0
    while data := c.recv(65536):
        n += len(data)
    return n


def act(c):
    what = c.recv(1)
    if what == b'E':
        while data := c.recv(65536):
            c.sendall(data)
    elif what == b'F':
        c.sendall(b'data!')
    elif what == b'R':
        reset(c)
    elif what == b'D':
        c.sendall(b'data!')
        time.sleep(MOMENT)
        reset(c)
    elif what == b'N':
        time.sleep(1)
        drain(c)
    elif what == b'H':
        n = drain(c)
        time.sleep(MOMENT)
        c.sendall(b'%d' % n)
    elif what == b'U':
        c.sendall(b'data!')
        c.recv(2, socket.MSG_WAITALL | socket.MSG_PEEK)
    elif what == b'S':
        c.sendall(b'a')
        time.sleep(MOMENT)
        c.sendall(b'b')
        while data := c.recv(65536):
            c.sendall(data)
    elif what == b'L':
        key = c.recv(1)
        try:
            last[key] = b'%d' % drain(c)
        except ConnectionResetError:
            last[key] = b'reset'
    elif what == b'W':
        key, end = c.recv(1), time.time() + 3
        while key not in last and time.time() < end:
            time.sleep(0.01)
        c.sendall(last.pop(key, b'nothing'))


def handle(c):
    try:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        act(c)
    except OSError:
        pass
    c.close()


def serve(server):
    while True:
        try:
            c = server.accept()[0]
        except OSError:
            return
        threading.Thread(target=handle, args=(c,), daemon=True).start()


if __name__ == '__main__':
    words = sys.argv[1:]
    six = words[:1] == ['-6'] and bool(words.pop(0))
    server = socket.create_server(('::1' if six else '127.0.0.1', 0), family=socket.AF_INET6 if six else socket.AF_INET, backlog=50)
    if words:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        sys.exit(subprocess.run(words + [str(x) for x in server.getsockname()[:2]]).returncode)
    print('port %d' % server.getsockname()[1], flush=True)
    serve(server)
