"""A judge behind an endpoint on this machine, for runs that are judged."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class JudgeEndpoint:
    """A server, inside a `with` block, that prefers the first answer and grades every one with 7.

    Parameters
    ----------
    place
        Beginning of the paths at which it is asked.
    """

    def __init__(self, place: str = "") -> None:
        self.place = place

    def __enter__(self) -> JudgeEndpoint:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"]
                verdict = "[[A]]" if "compare the answers" in text else "[[7]]"
                message = {"role": "assistant", "content": f"So it is: {verdict}"}
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                reply = {"id": "x", "object": "chat.completion", "created": 0, "model": "j", "choices": [choice]}
                data = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{self.place}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
