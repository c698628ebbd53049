"""The engine of a job that a keeper runs: asked over a socket, one result at a time, as an engine in the job is."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving import engines
from isheep.serving.embedding import matrix
from isheep.serving.engines.base import Completion, Request, Score, ScoreRequest, Template
from isheep.serving.keeper import place
from isheep.serving.keeper.wire import Gone, Wire

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
STARTED: list[subprocess.Popen[bytes]] = []  # children that outlive this process; Python would warn of dropped ones
AT_ONCE = 16  # requests that a keeper is given when it asks for one, of a list


@dataclass(frozen=True)
class Wanted:
    """An engine that a job wants kept.

    Parameters
    ----------
    settings, model, folder, identity, threads, gpus
        What `engines.load` takes.
    key
        Digest of all that an engine must have in common with the one that is there.
    slots
        What it occupies.
    hold
        Files that the keeper locks as long as it lives.
    seconds
        How long it waits for the next job.
    driver
        Number and start of the process with which it ends.
    log
        Where it writes what libraries say.
    environment
        Its environment variables.
    """

    settings: Settings
    model: Model
    folder: Path | None
    identity: str
    threads: int
    gpus: int
    key: str
    slots: tuple[str, ...]
    hold: tuple[Path, ...]
    seconds: float
    driver: tuple[int, int]
    log: Path
    environment: Mapping[str, str]

    @property
    def hello(self) -> dict[str, Any]:
        """What a keeper is told first."""
        load = {
            "engine": self.settings.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "folder": str(self.folder) if self.folder else None,
            "identity": self.identity,
            "threads": self.threads,
            "gpus": self.gpus,
        }
        return {"load": load, "keep": self.seconds, "driver": self.driver, "log": str(self.log)}


def open_kept(wanted: Wanted, before_start: Any = lambda: None) -> KeptEngine | None:
    """Return the engine of a keeper that has it loaded, or of a new one; None where another job is being served.

    Parameters
    ----------
    wanted
        The engine.
    before_start
        Called once the keepers of other engines have left, before a new one starts.

    Raises
    ------
    UserError
        The engine cannot be loaded.
    """
    held = ExitStack()
    with held:
        if not held.enter_context(place.turn(wanted.slots)):
            return None
        begin = time.monotonic()
        if found := place.connect(wanted.slots, wanted.key):
            with suppress(Gone):  # it may have been about to leave
                return KeptEngine(wanted, Wire(found), begin, held.pop_all(), is_new=False)
            if not held.enter_context(place.turn(wanted.slots)):
                return None
        place.clear(wanted.slots)
        before_start()
        return KeptEngine(wanted, _start(wanted), begin, held.pop_all(), is_new=True)


def _start(wanted: Wanted) -> Wire:
    """Start a keeper, detached, and connect to it as soon as it listens."""
    hold = ["--hold", *map(str, wanted.hold)] if wanted.hold else []
    command = [sys.executable, "-m", "isheep.serving.keeper", wanted.key, *wanted.slots, *hold]
    paths = [str(Path(__file__).parents[3]), wanted.environment.get("PYTHONPATH")]
    environment = {**wanted.environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with open(wanted.log, "a") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    STARTED.append(process)
    assert process.stdout is not None
    with process.stdout as said:
        listens = said.readline()
    if not listens or (connection := place.connect(wanted.slots, wanted.key)) is None:
        raise UserError(f"a keeper for the engine does not start (its log: {wanted.log}); engine.keep: 0 does without")
    return Wire(connection)


class KeptEngine(AbstractContextManager):
    """An engine in a keeper's process. `close` hands it back; it stays loaded for the next job.

    Parameters
    ----------
    wanted
        The engine.
    wire
        The connection to its keeper.
    begin
        When the job asked for it (`time.monotonic`).
    held
        The turn, given back at the end.
    is_new
        Whether the keeper was started for this job.
    """

    def __init__(self, wanted: Wanted, wire: Wire, begin: float, held: ExitStack, is_new: bool) -> None:
        self._wanted = wanted
        self._wire = wire
        self._held = held
        self._streams = count()
        self.context_length = wanted.settings.context_length
        self.peak_memory_mib = 0.0
        self._is_waiting = False  # for an answer that may take long
        self._log = str(wanted.log)
        try:
            self._wire.send(**wanted.hello)
            ready = self._message("ready")
            self._log = ready["log"]
        except Gone as gone:
            self._leave()
            if is_new:
                raise self._died() from None
            raise gone
        except BaseException:
            self._leave()
            raise
        how = f"loaded in {time.monotonic() - begin:.1f} s" if is_new else "found loaded"
        about = f"by process {ready['ready']}, which keeps it {wanted.seconds:g} s for the next job"
        logger.info("engine %s %s %s (its log: %s)", wanted.settings.name, how, about, self._log)

    @cached_property
    def template(self) -> Template:
        """How the model is addressed."""
        return engines.load_template(self._wanted.settings, self._wanted.model, self._wanted.folder)

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for each request as the engine finishes it."""
        return self._stream(Request, requests)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request as the engine finishes it."""
        return self._stream(ScoreRequest, requests)

    def embed(self, text: str) -> np.ndarray:
        """Return the engine's embedding of a text (float32, size)."""
        with self._alive():
            self._wire.send(do="embed", text=text)
            self._is_waiting = True
            vector = self._receive("result")
            self._is_waiting = False
            return matrix([vector])[0]

    def _stream(self, kind: Any, requests: Iterable[Any]) -> Iterator[Any]:
        """Have the keeper run a stream of requests; it draws them, and each result is asked for."""
        number, waiting = next(self._streams), iter(requests)
        at_once = AT_ONCE if isinstance(requests, Sequence) else 1
        with self._alive():
            self._wire.send(do="open", stream=number, asks=kind.asks)
        try:
            while (result := self._next(number, waiting, at_once)) is not None:
                yield kind.result(result)
        finally:
            with suppress(Gone):
                self._wire.send(do="close", stream=number)

    def _next(self, number: int, waiting: Iterator[Any], at_once: int) -> Any:
        with self._alive():
            self._wire.send(do="next", stream=number)
            self._is_waiting = True
            while "draw" in (message := self._message("draw", "result")):
                self._wire.send(requests=list(map(asdict, islice(waiting, at_once))))
            self._is_waiting = False
            return message["result"]

    def _receive(self, name: str) -> Any:
        return self._message(name)[name]

    def _message(self, *names: str) -> dict[str, Any]:
        """Return the next message of these, after what the keeper logged meanwhile; raise what it failed of."""
        while not set(message := self._wire.receive()) & set(names):
            if "failed" in message:
                raise UserError(message["failed"])
            if "fault" in message:
                raise RuntimeError(f"in the keeper's process:\n{message['fault']}")
            level, name, text = message["logged"]
            logging.getLogger(name).log(level, "%s", text)
        return message

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Tell a keeper's death as what it is to a user."""
        try:
            yield
        except Gone:
            raise self._died() from None

    def _died(self) -> UserError:
        return UserError(
            f"the process that keeps the engine has ended (its log: {self._log}); what was finished is kept, "
            "type the same command to go on"
        )

    def _leave(self) -> None:
        self._wire.close()
        self._held.close()

    def close(self) -> None:
        """Hand the engine back; what it is at work on, after an error here, is dropped."""
        with suppress(Gone):
            if not self._is_waiting:
                self._wire.send(do="goodbye")
                self.peak_memory_mib = self._receive("peak_memory_mib")
        self._leave()

    def __exit__(self, *_: object) -> None:
        self.close()
