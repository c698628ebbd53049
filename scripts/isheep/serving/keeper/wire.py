"""How a job and a keeper talk: one JSON value a line over a Unix socket, and the engine's requests as such values."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from isheep.serving.engines.base import Prompt, Request, Sampling, ScoreRequest


class Gone(ConnectionError):
    """The other side has ended, or closed the connection."""


class Wire:
    """A connection over which whole JSON values go, in both directions.

    Parameters
    ----------
    connection
        A connected socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = connection.makefile("rb")
        self._sending = threading.Lock()  # log lines come from any thread

    def send(self, **values: Any) -> None:
        """Send a JSON object.

        Raises
        ------
        Gone
            Nobody reads any more.
        """
        with _telling_gone(), self._sending:
            self._socket.sendall(json.dumps(values).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """Return the next JSON object.

        Raises
        ------
        Gone
            There is none, or half of one.
        """
        with _telling_gone():
            line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise Gone
        return json.loads(line)

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()


@contextmanager
def _telling_gone() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # a closed file is a ValueError
        raise Gone(str(error)) from None


def request_of(asks: str, sent: Mapping[str, Any]) -> Request | ScoreRequest:
    """Return a request as it was before `dataclasses.asdict` made it a JSON value.

    Parameters
    ----------
    asks
        The engine's method that takes it: complete, score.
    sent
        Its fields.
    """
    prompt = Prompt(**sent["prompt"])
    if asks == ScoreRequest.asks:
        return ScoreRequest(sent["id"], prompt, tuple(sent["continuations"]))
    sampling = sent["sampling"]
    return Request(sent["id"], prompt, Sampling(**{**sampling, "stop": tuple(sampling["stop"])}), sent["seed"])
