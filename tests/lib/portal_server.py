"""portal_server.py NAME [PORT [CERT]]: a server which knows nothing of i3 and says who it is. GET: its name and the Host that it was asked for; /bytes/N: so many;
PUT: the digest of what came, chunked or not; an Upgrade to "websocket": what comes is said again. A connection that begins with "raw" is told the name
and then what it says. Prints "port N", then a line per request."""
import base64, hashlib, os, socket, socketserver, ssl, sys, threading

NAME = sys.argv[1]
BLOCK = bytes(range(256)) * 1024


class Handler(socketserver.StreamRequestHandler):
    def line(self):
        return self.rfile.readline(65536)

    def answer(self, status, body=b"", **headers):
        head = "HTTP/1.1 %s\r\n" % status + "".join("%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in headers.items())
        if not status.startswith("101"):
            head += "Content-Length: %d\r\n" % len(body)
        self.wfile.write(head.encode() + b"\r\n" + body)

    def body(self, headers):
        digest = hashlib.sha256()
        if headers.get("transfer-encoding") == "chunked":
            while True:
                n = int(self.line().split(b";")[0], 16)
                if not n:
                    break
                digest.update(self.rfile.read(n))
                self.line()
            while self.line().strip():
                pass
        left = int(headers.get("content-length", 0))
        while left:
            piece = self.rfile.read(min(left, 1 << 18))
            if not piece:
                return None
            digest.update(piece)
            left -= len(piece)
        return digest.hexdigest()

    def one(self):
        first = self.line()
        if not first:
            return False
        if first.startswith(b"raw"):
            print("raw", flush=True)
            self.wfile.write(NAME.encode() + b"\n")
            while first:
                self.wfile.write(first)
                first = self.line()
            return False
        method, target, version = first.decode().split()
        headers = {}
        while True:
            line = self.line().strip().decode()
            if not line:
                break
            key, value = line.split(":", 1)
            headers[key.lower()] = value.strip()
        print(method, target, headers.get("host"), flush=True)
        if headers.get("upgrade") == "websocket":
            accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            self.answer("101 Switching Protocols", Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Accept=accept)
            while True:
                piece = self.rfile.read1(65536)
                if not piece:
                    return False
                self.wfile.write(piece)
        if headers.get("expect") == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest = self.body(headers)
        if target.startswith("/bytes/"):
            n = int(target[7:])
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n)
            while n:
                n -= self.connection.send(BLOCK[:min(n, len(BLOCK))])
        elif method == "PUT":
            self.answer("200 OK", digest.encode() + b"\n")
        else:
            text = ("%s host=%s\n" % (NAME, headers.get("host"))).encode()
            self.answer("200 OK", text) if method != "HEAD" else self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
        return version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"

    def handle(self):
        try:
            while self.one():
                pass
        except (OSError, ValueError) as e:
            print("ended", e, flush=True)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 1024
    daemon_threads = True

    def get_request(self):
        s, a = super().get_request()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s, a


class Tls(Server):
    def finish_request(self, request, address):
        try:
            with context.wrap_socket(request, server_side=True) as s:
                super().finish_request(s, address)
        except OSError as e:
            print("tls", e, flush=True)


if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
server = (Tls if len(sys.argv) > 3 else Server)(("", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
