"""A model server of the test: OpenAI's completions over HTTP, answered by an engine of ours, one request at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ModelEndpoint:
    """A server, inside a `with` block.

    Parameters
    ----------
    answer
        Gets the body of a request for completions; gives the choice and the number of tokens written, or a status.
    model, room
        The name it serves, and the tokens it holds.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any]], tuple[dict[str, Any], int] | int], model: str, room: int
    ) -> None:
        self.asked: list[dict[str, Any]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"object": "list", "data": [{"id": model, "object": "model", "max_model_len": room}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append(body)
                answered = answer(body)
                if isinstance(answered, int):
                    self._send(answered, {"error": {"message": "not now"}})
                    return
                choice, written = answered
                usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": written, "total_tokens": 0}
                whole = {"index": 0, "logprobs": None, **choice}
                self._send(200, {"id": "1", "object": "text_completion", "choices": [whole], "usage": usage})

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
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ModelEndpoint:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
