"""A service over HTTP for an engine that asks one, as a coordinator does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from .worker import Failed

Answer = Callable[[str, Mapping[str, str], bytes], int]
"""What is answered to a request, given its path, its query and its content: an HTTP status."""


def listen(port: int, answer: Answer) -> None:
    """Answer what is asked by POST and PUT at that port of 127.0.0.1, in threads that end with the process. Where
    ``answer`` raises Failed, as `sagafuzz.worker.attempt` does, that is answered with 503, anything else with 500."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            place = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(place.query).items()}
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            status = 500
            try:
                status = answer(place.path, query, content)
            except Failed:
                status = 503
            finally:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
