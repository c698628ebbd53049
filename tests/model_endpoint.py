"""A model server of the test: OpenAI's completions over HTTP, answered by an engine of ours, one request at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from http_endpoint import HttpEndpoint


class ModelEndpoint(HttpEndpoint):
    """A server of one model.

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
        super().__init__()
        self.asked: list[dict[str, Any]] = []
        self._answer, self._model, self._room = answer, model, room

    def get(self) -> tuple[int, Any]:
        return 200, {"object": "list", "data": [{"id": self._model, "object": "model", "max_model_len": self._room}]}

    def post(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        answered = self._answer(body)
        if isinstance(answered, int):
            return answered, {"error": {"message": "not now"}}
        choice, written = answered
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": written, "total_tokens": 0}
        whole = {"index": 0, "logprobs": None, **choice}
        return 200, {"id": "1", "object": "text_completion", "choices": [whole], "usage": usage}
