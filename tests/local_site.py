"""A web site on this machine with one answer, for downloads that leave it alone."""

import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Site(HTTPServer):
    """Serve `content` at `url`, after `wait_s`, and count the requests."""

    def __init__(self, content: bytes, announced: int | None = None, status=200, wait_s=0.0):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.status, self.wait_s, self.requests = content, status, wait_s, 0
        self.announced = len(content) if announced is None else announced
        self.url = f"http://127.0.0.1:{self.server_port}/mnist.npz"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        time.sleep(self.server.wait_s)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.announced))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_args):
        pass
