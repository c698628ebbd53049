"""A server on this machine that speaks JSON over HTTP; judges and models of the tests are made of it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class HttpEndpoint:
    """A server, inside a `with` block; a kind of it says what it answers to `get` and `post`.

    Parameters
    ----------
    place
        Beginning of the paths at which it is asked.
    """

    def __init__(self, place: str = "") -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(*endpoint.get())

            def do_POST(self) -> None:
                self._send(*endpoint.post(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

            def _send(self, status: int, value: Any) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{place}/v1"

    def get(self) -> tuple[int, Any]:
        """Return status and answer where something is looked up."""
        return 404, {"error": {"message": "nothing to look up"}}

    def post(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Return status and answer to a request."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
