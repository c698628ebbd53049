"""A judge behind an endpoint on this machine, for runs that are judged."""

from __future__ import annotations

from typing import Any

from http_endpoint import HttpEndpoint


class JudgeEndpoint(HttpEndpoint):
    """A server that prefers the first answer and grades every one with 7."""

    def post(self, body: dict[str, Any]) -> tuple[int, Any]:
        text = body["messages"][-1]["content"]
        verdict = "[[A]]" if "compare the answers" in text else "[[7]]"
        message = {"role": "assistant", "content": f"So it is: {verdict}"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return 200, {"id": "x", "object": "chat.completion", "created": 0, "model": "j", "choices": [choice]}
