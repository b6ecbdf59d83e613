"""What asyncio and other clients of Python's are asked to do with bob's servers.
    async_client.py [--uvloop] HOST ME NAME=PORT..."""
import asyncio
import concurrent.futures
import http.client
import os
import selectors
import socket
import sys
import threading
import unittest
import urllib.request

UVLOOP = "--uvloop" in sys.argv
if UVLOOP:
    import uvloop
    uvloop.install()
    sys.argv.remove("--uvloop")
HOST, ME = sys.argv[1:3]
PORT = {k: int(v) for k, v in (word.split("=") for word in sys.argv[3:])}
LIMIT = 20


async def within(what):
    return await asyncio.wait_for(what, LIMIT)


async def talk(n):
    """One connection of many: what it sends comes back, after the server's greeting."""
    reader, writer = await asyncio.open_connection(HOST, PORT["streams"])
    data = os.urandom(n)
    mine = writer.get_extra_info("sockname")
    greeting = (await reader.readline()).split()
    assert greeting[:2] == [ME.encode(), b"%d" % mine[1]], (greeting, mine)
    assert mine[0] == ME and greeting[2].decode() == writer.get_extra_info("peername")[0], (mine, greeting)
    writer.write(data)
    writer.write_eof()
    assert await reader.read() == data
    writer.close()
    await writer.wait_closed()


class Streams(unittest.IsolatedAsyncioTestCase):
    async def test_two_hundred_at_once(self):
        await within(asyncio.gather(*(talk(10000 + i) for i in range(200))))

    async def test_large(self):
        await within(talk(20 << 20))

    async def test_refused_and_unknown(self):
        with self.assertRaises(ConnectionRefusedError):
            await within(asyncio.open_connection(HOST, 64999, family=socket.AF_INET))
        with self.assertRaises(socket.gaierror):
            await within(asyncio.open_connection("nobody-knows.i3", 80))

    @unittest.skipIf(UVLOOP, "not an option there")
    async def test_happy_eyeballs(self):
        _, writer = await within(asyncio.open_connection(HOST, PORT["streams"], happy_eyeballs_delay=0.25))
        writer.close()

    async def test_names_both_ways(self):
        loop = asyncio.get_running_loop()
        found = await within(loop.getaddrinfo(HOST, 80, type=socket.SOCK_STREAM))
        self.assertEqual({f for f, *_ in found}, {socket.AF_INET, socket.AF_INET6})
        for *_, address in found:
            self.assertEqual((await within(loop.getnameinfo(address)))[0], HOST)

    async def test_sockets_of_the_loop(self):
        loop = asyncio.get_running_loop()
        with socket.socket() as s:
            s.setblocking(False)
            await within(loop.sock_connect(s, (socket.gethostbyname(HOST), PORT["selectors"])))
            await loop.sock_sendall(s, b"x" * 100000)
            got = 0
            while got < 100000:
                got += len(await within(loop.sock_recv(s, 65536)))

    async def test_cancelled_while_it_dials(self):
        for _ in range(20):
            task = asyncio.ensure_future(asyncio.open_connection(HOST, PORT["streams"]))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and not task.exception():
                task.result()[1].close()
        await within(talk(1))

    async def test_http_by_subprocess(self):
        p = await asyncio.create_subprocess_exec("curl", "-sS", "--max-time", "15", f"http://{HOST}:{PORT['threads']}/child",
                                                 stdout=asyncio.subprocess.PIPE)
        self.assertEqual((await within(p.communicate()))[0], b"/child")


class Datagrams(unittest.IsolatedAsyncioTestCase):
    class Asking(asyncio.DatagramProtocol):
        def __init__(self):
            self.got = asyncio.Queue()

        def datagram_received(self, data, address):
            self.got.put_nowait((data, address))

        def error_received(self, e):
            self.got.put_nowait((e, None))

    async def test_connected_and_not(self):
        loop, bob = asyncio.get_running_loop(), (socket.gethostbyname(HOST), PORT["datagrams"])
        for options in {"remote_addr": bob}, {"local_addr": ("0.0.0.0", 0)}:
            transport, asking = await loop.create_datagram_endpoint(self.Asking, **options)
            for i in range(20):
                transport.sendto(b"hello %d" % i, None if "remote_addr" in options else bob)
                self.assertEqual(await within(asking.got.get()), (b"HELLO %d" % i, bob))
            transport.close()


class Threads(unittest.TestCase):
    def test_pool(self):
        def fetch(i):
            return urllib.request.urlopen(f"http://{HOST}:{PORT['threads']}/{i}", timeout=LIMIT).read()
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            self.assertEqual(list(pool.map(fetch, range(100))), [b"/%d" % i for i in range(100)])

    def test_passed_to_another_process(self):
        for _ in range(5):
            with socket.create_connection((HOST, PORT["passed"]), LIMIT) as s:
                self.assertEqual(s.makefile().read(), f"{ME} {s.getpeername()[0]}\n")

    def test_inherited_by_another_program(self):
        with socket.create_connection((HOST, PORT["inherited"]), LIMIT) as s:
            self.assertEqual(s.makefile().read(), f"{ME} {s.getpeername()[0]} by echo\n")

    def test_every_kind_of_selector(self):
        address = socket.gethostbyname(HOST), PORT["selectors"]
        for kind in selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector:
            with kind() as chosen, socket.socket() as s:
                s.setblocking(False)
                s.connect_ex(address)
                chosen.register(s, selectors.EVENT_WRITE)
                self.assertEqual([k.fileobj for k, _ in chosen.select(LIMIT)], [s], kind)
                self.assertEqual(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
                s.send(b"there and back")
                chosen.modify(s, selectors.EVENT_READ)
                self.assertEqual([m for _, m in chosen.select(LIMIT)], [selectors.EVENT_READ], kind)
                self.assertEqual(s.recv(100), b"there and back")

    def test_forked_children_share_a_connection(self):
        with socket.create_connection((HOST, PORT["selectors"]), LIMIT) as s:
            for i in range(3):
                if (pid := os.fork()) == 0:
                    s.sendall(b"%d" % i)
                    os._exit(s.getpeername() != (socket.gethostbyname(HOST), PORT["selectors"]))
                self.assertEqual(os.waitpid(pid, 0)[1], 0)
                self.assertEqual(s.recv(10), b"%d" % i)

    def test_keep_alive_client(self):
        c = http.client.HTTPConnection(HOST, PORT["threads"], timeout=LIMIT)
        for i in range(3):
            c.request("GET", f"/{i}")
            self.assertEqual(c.getresponse().read(), b"/%d" % i)
        c.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
