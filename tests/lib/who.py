"""A web server that says who it is: who.py NAME PORT [ADDRESS]. GET / answers "NAME own-address:port peer-address:port"; GET /drip goes on for
ever. Prints "port N" once it listens."""
import http.server
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        own, peer = self.connection.getsockname(), self.connection.getpeername()
        text = "%s %s:%d %s:%d\n" % (sys.argv[1], own[0], own[1], peer[0], peer[1])
        self.send_response(200)
        if self.path != "/drip":
            self.send_header("Content-Length", str(len(text)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())
        while self.path == "/drip":
            self.wfile.write(b"drip\n")
            time.sleep(0.1)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer((sys.argv[3] if len(sys.argv) > 3 else "", int(sys.argv[2])), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
