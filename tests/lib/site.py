"""A web site for browsers, which knows nothing of i3: a page with a style sheet, a script, pictures, and all that a script can ask
of a server. Prints "port N", then "CALLER WHAT" for each request, and what the page's script says of itself.

    site.py [--v6] [--port PORT] [--tls CERTIFICATE KEY] [--hold FILE]

The page has four blocks of 100 x 100: css (#2060c0), a picture (#c02060), the script's verdict (#20c060, or #ff0000), a frame (#c0a020).
It is loaded only when the script has said "done", since one of its pictures waits for that: so a screenshot shows the end. With
--hold it also waits until there is FILE."""
import base64
import hashlib
import http.server
import os
import socket
import ssl
import struct
import sys
import threading
import time
import zlib

BIG = 24 << 20
PICTURES = 40
PATIENCE_S = 40
done = threading.Event()


def option(name, n=1):
    """The n words behind an option of the command line; None without it."""
    at = sys.argv.index(name) + 1 if name in sys.argv else None
    return sys.argv[at:at + n] if at else None


hold = (option("--hold") or [None])[0]

PAGE = b"""<!doctype html><html><head><meta charset=utf-8><link rel=icon href=data:,>
<link rel=stylesheet href=/style.css></head><body>
<div id=css></div><img id=picture src=/c02060.png><div id=verdict></div><iframe id=frame src=/frame></iframe>
<script src=/script.js></script><img id=wait src=/wait.png></body></html>"""

STYLE = b"""body { margin: 0 } body > * { position: absolute; top: 0; width: 100px; height: 100px; border: 0 }
#css { left: 0; background: #2060c0 } #picture { left: 100px } #verdict { left: 200px; background: #ff0000 }
#frame { left: 300px } #wait { left: 400px; width: 1px; height: 1px }"""

FRAME = b"<!doctype html><body style='margin: 0; background: #c0a020'></body>"

SCRIPT = b"""
const tests = {
    async fetch() { return (await (await fetch('/json')).json()).answer === 42 },
    async post() {
        const body = new Uint8Array(3000000).map((x, i) => i * 7)
        const sum = new Uint8Array(await digest(body))
        const theirs = await (await fetch('/sha', { method: 'POST', body })).text()
        return theirs === [...sum].map(b => b.toString(16).padStart(2, '0')).join('')
    },
    async big() {
        const r = (await fetch('/big')).body.getReader()
        let n = 0, wrong = 0
        for (let c; !(c = await r.read()).done; n += c.value.length)
            if (c.value[0] !== (n & 255)) wrong++
        return n === BIG && !wrong
    },
    async many() {
        const got = await Promise.all([...Array(PICTURES).keys()].map(i => fetch('/n?' + i).then(r => r.text())))
        return got.every((t, i) => t === '?' + i)
    },
    pictures() {
        return Promise.all([...Array(PICTURES).keys()].map(i => new Promise((ok, no) => {
            const p = new Image()
            p.onload = () => ok(true), p.onerror = no, p.src = '/20c060.png?' + i
        }))).then(all => all.length === PICTURES)
    },
    socket() {
        return new Promise((ok, no) => {
            const w = new WebSocket(location.origin.replace('http', 'ws') + '/socket'), texts = []
            w.onopen = () => [1, 2, 3].forEach(i => w.send('hello ' + i)), w.onerror = no
            w.onmessage = e => texts.push(e.data) === 3 && (w.close(), ok(texts.join() === 'HELLO 1,HELLO 2,HELLO 3'))
        })
    },
    events() {
        return new Promise((ok, no) => {
            const s = new EventSource('/events'), data = []
            s.onmessage = e => data.push(e.data) === 5 && (s.close(), ok(data.join() === '0,1,2,3,4'))
            s.onerror = no
        })
    },
    request() {
        return new Promise((ok, no) => {
            const x = new XMLHttpRequest()
            x.open('GET', '/json'), x.onload = () => ok(x.status === 200 && x.responseText.includes('42')), x.onerror = no, x.send()
        })
    },
    async abort() {
        const c = new AbortController(), r = await fetch('/big?abort', { signal: c.signal })
        await r.body.getReader().read()
        c.abort()
        return await r.text().then(() => false, () => true)
    },
    async cookie() { return (await (await fetch('/cookie')).text()).includes('crumb=42') },
    async moved() { return (await (await fetch('/moved')).json()).answer === 42 },
    refused() { return fetch(location.protocol + '//' + location.hostname + ':64999/').then(() => false, () => true) },
    unknown() { return fetch(location.protocol + '//nobody-knows.i3/').then(() => false, () => true) },
}
async function digest(body) { // without https there is no crypto.subtle
    return window.crypto.subtle ? crypto.subtle.digest('SHA-256', body)
        : Uint8Array.from((await (await fetch('/sums')).text()).match(/../g), h => parseInt(h, 16))
}
async function all() {
    const bad = []
    await Promise.all(Object.entries(tests).map(async ([name, test]) => {
        try { if (await test() !== true) bad.push(name) } catch (e) { bad.push(name + ':' + (e.message || e.type || e)) }
    }))
    if (!bad.length) document.getElementById('verdict').style.background = '#20c060'
    await fetch('/done?' + encodeURIComponent(bad.join(' ') || 'all-well'), { method: 'POST', body: '' })
}
all()
""".replace(b"BIG", str(BIG).encode()).replace(b"PICTURES", str(PICTURES).encode())

POSTED = hashlib.sha256(bytes(i * 7 & 255 for i in range(3000000))).hexdigest().encode()


def png(colour, size=100):
    """A picture of one colour, given as rrggbb."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes.fromhex(colour) * size) * size
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages = {"/": (PAGE, "text/html"), "/style.css": (STYLE, "text/css"), "/script.js": (SCRIPT, "text/javascript"),
             "/frame": (FRAME, "text/html"), "/json": (b'{"answer": 42}', "application/json"), "/sums": (POSTED, "text/plain")}

    def answer(self, body, kind="text/plain", status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.path == "/":
            self.send_header("Set-Cookie", "crumb=42; SameSite=Lax")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/":
            done.clear()
        if path in self.pages:
            self.answer(*self.pages[path])
        elif path == "/n":
            self.answer(b"?" + query.encode())
        elif path == "/wait.png":
            self.wait()
            self.answer(png("ffffff", 1), "image/png")
        elif path.endswith(".png"):
            self.answer(png(path[1:-4]), "image/png")
        else:
            getattr(self, "get_" + path[1:], self.get_nothing)()

    def wait(self):
        until = time.monotonic() + PATIENCE_S
        done.wait(PATIENCE_S)
        while hold and not os.path.exists(hold) and time.monotonic() < until:
            time.sleep(0.02)

    def get_nothing(self):
        self.answer(b"nothing here\n", status=404)

    def get_cookie(self):
        self.answer((self.headers["Cookie"] or "none").encode())

    def get_moved(self):
        self.send_response(302)
        self.send_header("Location", "/json")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def get_big(self):
        self.send_response(200)
        self.send_header("Content-Length", str(BIG))
        self.end_headers()
        piece = bytes(range(256)) * 1024
        for _ in range(BIG // len(piece)):
            self.wfile.write(piece)

    def get_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for i in range(5):
            self.wfile.write(b"data: %d\n\n" % i)
            self.wfile.flush()
        done.wait(PATIENCE_S)  # the page is the one who closes
        self.close_connection = True

    def get_socket(self):
        """Three short texts of a WebSocket, given back in capitals."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while (head := self.rfile.read(2)) and head[0] == 0x81:
            mask, body = self.rfile.read(4), self.rfile.read(head[1] & 127)
            text = bytes(b ^ mask[i & 3] for i, b in enumerate(body)).upper()
            self.wfile.write(bytes([0x81, len(text)]) + text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/sha":
            self.answer(hashlib.sha256(body).hexdigest().encode())
        elif self.path.startswith("/done?"):
            self.answer(b"")
            done.set()
        else:
            self.get_nothing()

    def log_message(self, fmt, *args):
        sys.stdout.write(f"{self.client_address[0]} {self.command} {self.path}\n")

    def handle(self):
        try:
            super().handle()
        except OSError:  # browsers drop what they have tried on suspicion, or have had enough of
            pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    tls = None

    def get_request(self):
        s, address = super().get_request()
        return (self.tls.wrap_socket(s, server_side=True, do_handshake_on_connect=False) if self.tls else s), address

    def handle_error(self, request, client_address):
        print("error", sys.exc_info()[1], flush=True)


def main():
    if "--v6" in sys.argv:
        Server.address_family = socket.AF_INET6
    if names := option("--tls", 2):
        Server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        Server.tls.load_cert_chain(*names)
    server = Server(("", int((option("--port") or [0])[0])), Site)
    print("port", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
