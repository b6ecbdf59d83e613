"""Servers of asyncio, and others of Python's, which know nothing of i3. Prints "port N" (streams), before that "NAME N" for the others,
and "CALLER NAME" for each who comes.    async_server.py [uvloop]"""
import asyncio
import http.server
import multiprocessing
import selectors
import socket
import subprocess
import sys
import threading


def came(name, address):
    sys.stdout.write(f"{address.removeprefix('::ffff:')} {name}\n")


async def echo(reader, writer):
    """Gives back what comes, up to its end, after a first line which tells who called."""
    name = writer.get_extra_info("peername")
    came("streams", name[0])
    writer.write(f"{name[0]} {name[1]} {writer.get_extra_info('sockname')[0]}\n".encode())
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        came("datagrams", address[0])
        self.transport.sendto(data.upper(), address)


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        came("threads", self.client_address[0])
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *words):
        pass


def selecting(listener):
    """One thread, one selector, sockets that do not block."""
    chosen = selectors.DefaultSelector()
    listener.setblocking(False)
    chosen.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in chosen.select():
            if key.fileobj is listener:
                conn, address = listener.accept()
                came("selectors", address[0])
                conn.setblocking(False)
                chosen.register(conn, selectors.EVENT_READ)
            elif data := key.fileobj.recv(65536):
                key.fileobj.sendall(data)
            else:
                chosen.unregister(key.fileobj)
                key.fileobj.close()


def passed(pipe):
    """Another process, which is given connections that its parent has accepted."""
    while True:
        conn = pipe.recv()
        with conn:
            came("passed", conn.getpeername()[0])
            conn.sendall(f"{conn.getpeername()[0]} {conn.getsockname()[0]}\n".encode())


def passing(listener, pipe):
    while True:
        conn, _ = listener.accept()
        with conn:
            pipe.send(conn)


CHILD = """import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as s:
    s.sendall(f"{s.getpeername()[0]} {s.getsockname()[0]} ".encode())"""


def handing_over(listener):
    """A program for each connection, as inetd does: it inherits the socket, and has it for its output."""
    while True:
        conn, address = listener.accept()
        came("inherited", address[0])
        with conn:
            subprocess.run([sys.executable, "-c", CHILD, str(conn.fileno())], pass_fds=[conn.fileno()])
            subprocess.run(["echo", "by", "echo"], stdout=conn)


def start(name, target, *more):
    listener = socket.create_server(("", 0), backlog=128)
    print(name, listener.getsockname()[1])
    threading.Thread(target=target, args=(listener, *more), daemon=True).start()


async def main():
    web = http.server.ThreadingHTTPServer(("", 0), Web)
    print("threads", web.server_address[1])
    threading.Thread(target=web.serve_forever, daemon=True).start()
    start("selectors", selecting)
    here, there = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=passed, args=(there,), daemon=True).start()
    start("passed", passing, here)
    start("inherited", handing_over)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", 0))
    print("datagrams", transport.get_extra_info("sockname")[1])
    server = await asyncio.start_server(echo, "0.0.0.0", 0, backlog=512)
    print("port", server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["uvloop"]:
        import uvloop
        uvloop.install()
    asyncio.run(main())
