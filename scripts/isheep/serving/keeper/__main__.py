"""The process of a keeper: loads an engine for its first client, serves one after another, ends when nobody comes.

    python -m isheep.serving.keeper KEY SLOT... [--hold FILE...]

It is started by `client.open_kept`, detached from the job. It ends by itself when its driver (the Snakemake that its
last client worked for) has ended, when no client came for as long as the last one said, and after any error of the
engine; clients of other weights or settings kill it between two sessions (`place.clear`).
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.data.locks import started
from isheep.errors import UserError
from isheep.serving import engines
from isheep.serving.embedding import packed
from isheep.serving.keeper import place
from isheep.serving.keeper.wire import Gone, Wire, request_of
from isheep.serving.memory import forget_peak, own_peak_mib

logger = logging.getLogger("isheep.serving.keeper")
LOOK = 0.5  # seconds between two looks at the driver
FIRST_CLIENT = 30.0  # seconds in which the job that started it has to come
LAST_WORDS = 10.0  # seconds for an engine to close


class Keeper:
    """Holds an engine, and serves one client at a time.

    Parameters
    ----------
    listener
        The socket where clients come.
    may_leave
        Takes the socket away unless a client has the turn; returns whether it did.
    """

    def __init__(self, listener: socket.socket, may_leave: Callable[[], bool]) -> None:
        self._listener = listener
        self._may_leave = may_leave
        self._engine: Any = None
        self._keep = FIRST_CLIENT
        self._driver: tuple[int, int] | None = None
        self._broken = False
        self.log = ""

    def run(self) -> None:
        """Serve clients until there is no reason to stay."""
        last = time.monotonic()
        while not self._broken:
            if select.select([self._listener], [], [], LOOK)[0]:
                self._serve(Wire(self._listener.accept()[0]))
                last = time.monotonic()
            elif (time.monotonic() - last > self._keep or not self._has_driver()) and self._may_leave():
                break
        self.leave()

    def _has_driver(self) -> bool:
        return self._driver is None or started(self._driver[0]) == self._driver[1]

    def leave(self) -> None:
        """Close the engine and end the process, whatever threads it has left."""
        logger.info("leaving")
        threading.Timer(LAST_WORDS, os._exit, [1]).start()
        with suppress(Exception):
            if self._engine is not None:
                self._engine.close()
        os._exit(0)

    def _serve(self, wire: Wire) -> None:
        """Serve a client until it says goodbye or is gone; a client that was killed leaves nothing behind."""
        try:
            with telling(wire):
                Session(self, wire).run()
        except Gone:
            logger.info("the client is gone")
        except UserError as error:
            self._broken = True
            logger.error("%s", error)
            with suppress(Gone):
                wire.send(failed=str(error))
        except Exception:
            self._broken = True
            logger.exception("failed")
            with suppress(Gone):
                wire.send(fault=traceback.format_exc())
        finally:
            wire.close()

    def engine_for(self, hello: dict[str, Any]) -> Any:
        """Return the engine, loaded for the first client; note how long to stay, and for which driver."""
        self._keep = hello["keep"]
        self._driver = tuple(hello["driver"])
        if self._engine is None:
            load, self.log = hello["load"], hello["log"]
            settings, model = Settings.model_validate(load["engine"]), Model.model_validate(load["model"])
            folder = Path(load["folder"]) if load["folder"] else None
            self._engine = engines.load(settings, model, folder, load["identity"], load["threads"], load["gpus"])
        return self._engine


class Session:
    """What one client asks, from hello to goodbye.

    Parameters
    ----------
    keeper, wire
        Who serves, and the connection to the client.
    """

    def __init__(self, keeper: Keeper, wire: Wire) -> None:
        self._keeper = keeper
        self._wire = wire
        self._streams: dict[int, Generator[Any, None, None]] = {}

    def run(self) -> None:
        """Answer until the client says goodbye.

        Raises
        ------
        Gone
            The client ended without; its requests are dropped.
        """
        forget_peak()
        self._engine = self._keeper.engine_for(self._wire.receive())
        self._wire.send(ready=os.getpid(), log=self._keeper.log)
        try:
            while (message := self._wire.receive())["do"] != "goodbye":
                getattr(self, f"_{message.pop('do')}")(**message)
        finally:
            for stream in self._streams.values():
                stream.close()
        self._wire.send(peak_memory_mib=own_peak_mib())

    def _open(self, stream: int, asks: str) -> None:
        self._streams[stream] = getattr(self._engine, asks)(self._requests(stream, asks))

    def _requests(self, stream: int, asks: str) -> Iterator[Any]:
        """Draw requests from the client when the engine has room for them."""
        while True:
            self._wire.send(draw=stream)
            if (sent := self._wire.receive().get("requests")) is None:
                raise Gone  # in the middle of a question: something failed there
            if not sent:
                return
            for request in sent:
                yield request_of(asks, request)

    def _next(self, stream: int) -> None:
        result = next(self._streams[stream], None)
        self._wire.send(result=None if result is None else asdict(result))

    def _close(self, stream: int) -> None:
        self._streams.pop(stream).close()

    def _embed(self, text: str) -> None:
        self._wire.send(result=packed(self._engine.embed(text)))


class ToClient(logging.Handler):
    """Sends what this package logs to the client, whose log it belongs in."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; one that cannot be sent is in the keeper's own log."""
        with suppress(Gone):
            self._wire.send(logged=[record.levelno, record.name, record.getMessage()])


@contextmanager
def telling(wire: Wire) -> Iterator[None]:
    """Send what this package logs to a client."""
    told = ToClient(wire)
    logging.getLogger("isheep").addHandler(told)
    try:
        yield
    finally:
        logging.getLogger("isheep").removeHandler(told)


def main() -> None:
    """Listen, tell the job that started this process, and serve."""
    parser = argparse.ArgumentParser(prog="python -m isheep.serving.keeper", description="Keep an engine loaded.")
    parser.add_argument("key", help="digest of weights and settings")
    parser.add_argument("slots", nargs="+", help="what the engine occupies")
    parser.add_argument("--hold", nargs="*", default=[], help="files locked as long as this process lives")
    asked = parser.parse_args()
    logging.getLogger("isheep").setLevel(logging.INFO)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    held = [open(file, "a") for file in asked.hold]  # noqa: SIM115 - until the process ends
    for handle in held:
        fcntl.flock(handle, fcntl.LOCK_EX)
    listener, files = place.listen(asked.slots, asked.key)
    print("listening", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def may_leave() -> bool:
        with place.turn(asked.slots) as is_free:
            for file in files if is_free else ():
                file.unlink(missing_ok=True)
            return is_free

    Keeper(listener, may_leave).run()


if __name__ == "__main__":
    main()
