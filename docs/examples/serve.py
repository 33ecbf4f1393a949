"""
Serve ask.html and Paddock's API from one origin, for trying the page out on this machine.

    python docs/examples/serve.py                                 # http://127.0.0.1:8080
    PADDOCK_URL=http://127.0.0.1:9000 python docs/examples/serve.py 8090

For others put a web server with TLS in front, which does the same: the page as a file, /api/ passed on.
"""

import http.server
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

PADDOCK_URL = os.environ.get("PADDOCK_URL", "http://127.0.0.1:8000")
PAGE = Path(__file__).with_name("ask.html")
PASSED_ON = ("Authorization", "Content-Type")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            self._pass_on()
        elif self.path == "/":
            self._answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        else:
            self._answer(404, "text/plain", b"There is only / and /api/.\n")

    def do_POST(self) -> None:
        if self.path.startswith("/api/"):
            self._pass_on()
        else:
            self._answer(404, "text/plain", b"There is only /api/.\n")

    def _pass_on(self) -> None:
        """Ask Paddock the same, and answer as it does."""
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        request = urllib.request.Request(  # noqa: S310 - our own address
            PADDOCK_URL + self.path, data=body, headers=headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as response:  # noqa: S310
                self._answer(response.status, response.headers["Content-Type"], response.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.headers["Content-Type"], error.read())
            error.close()
        except urllib.error.URLError:
            problem = b'{"detail": "Paddock does not answer. Is it running?"}'
            self._answer(502, "application/problem+json", problem)

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201 - for the person at the terminal
        server.serve_forever()
