#!/usr/bin/python3
"""loopback_peers.py [-6] PROGRAM [ARGUMENT...]: runs PROGRAM with three more pairs of arguments, IP PORT, on the kernel's own TCP:
one where an echo service listens, one which refuses, one that never answers; -6: on ::1. With no PROGRAM: only the echo service,
as "port N"."""
import socket, subprocess, sys, threading


def echo(c):
    try:
        with c:
            while data := c.recv(65536):
                c.sendall(data)
    except OSError:
        pass


def serve(server):
    while True:
        try:
            c = server.accept()[0]
        except OSError:
            return
        threading.Thread(target=echo, args=(c,), daemon=True).start()


class Peers:
    def __init__(self, host='127.0.0.1'):
        self.host = host

    def __enter__(self):
        family = socket.AF_INET6 if ':' in self.host else socket.AF_INET
        self.echo = socket.create_server((self.host, 0), family=family)
        self.refuse, self.full = socket.socket(family), socket.create_server((self.host, 0), family=family, backlog=0)
        self.refuse.bind((self.host, 0))
        self.fill = []
        for _ in range(3): # a full queue: further SYNs are dropped, as by a host that is not there
            s = socket.socket(family)
            s.setblocking(False)
            s.connect_ex(self.full.getsockname())
            self.fill.append(s)
        threading.Thread(target=serve, args=(self.echo,), daemon=True).start()
        return [str(x) for s in (self.echo, self.refuse, self.full) for x in s.getsockname()[:2]]

    def __exit__(self, *_):
        for s in self.fill + [self.echo, self.refuse, self.full]:
            s.close()


if __name__ == '__main__':
    words = sys.argv[1:]
    host = '127.0.0.1'
    if words[:1] == ['-6']:
        host = '::1'
        words.pop(0)
    if words:
        with Peers(host) as arguments:
            sys.exit(subprocess.run(words + arguments).returncode)
    server = socket.create_server((host, 0), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    print('port %d' % server.getsockname()[1], flush=True)
    serve(server)
