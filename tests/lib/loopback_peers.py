#!/usr/bin/python3
"""loopback_peers.py PROGRAM [ARGUMENT...]: runs PROGRAM with three more pairs of arguments, IP PORT, on the kernel's own TCP: one
where an echo service listens, one which refuses, one that never answers. With no PROGRAM: only the echo service, as "port N"."""
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
    def __enter__(self):
        self.echo = socket.create_server(('127.0.0.1', 0))
        self.refuse, self.full = socket.socket(), socket.create_server(('127.0.0.1', 0), backlog=0)
        self.refuse.bind(('127.0.0.1', 0))
        self.fill = []
        for _ in range(3): # a full queue: further SYNs are dropped, as by a host that is not there
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.full.getsockname())
            self.fill.append(s)
        threading.Thread(target=serve, args=(self.echo,), daemon=True).start()
        return [str(x) for s in (self.echo, self.refuse, self.full) for x in s.getsockname()]

    def __exit__(self, *_):
        for s in self.fill + [self.echo, self.refuse, self.full]:
            s.close()


if __name__ == '__main__':
    if len(sys.argv) > 1:
        with Peers() as arguments:
            sys.exit(subprocess.run(sys.argv[1:] + arguments).returncode)
    server = socket.create_server(('127.0.0.1', 0))
    print('port %d' % server.getsockname()[1], flush=True)
    serve(server)
