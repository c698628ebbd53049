"""Answer requests from the journal where it can, from the engine where it must."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from isheep.data.files import digest
from isheep.runner.journal import Journal
from isheep.runner.progress import Progress

logger = logging.getLogger(__name__)
Send = Callable[[Iterable[Any]], Mapping[str, Any]]
"""Has a wave of requests answered; gives the results by the requests' ids, without those that failed.

The wave is walked several times and never held: a list, or a `Stream` that makes it anew each time.
"""


def draw_seed(run_seed: int, stage: str, round_number: int, request: int | str) -> int:
    """Return what a request draws from (31 bits): a function of run seed, stage, round and request alone."""
    return int(digest([run_seed, stage, round_number, request])[:8], 16) & 0x7FFFFFFF


class Dispatcher:
    """Sends to the engine what the journal does not hold, and keeps every result as it arrives.

    The engine is opened at the first request that is not in the journal, so that a finished stage starts none.

    Parameters
    ----------
    journal
        Holds what was answered before.
    open_engine
        Opens what answers: it has a method for each type of request, whose name is the type's `asks`.
    """

    def __init__(self, journal: Journal, open_engine: Callable[[], Any]) -> None:
        self.journal = journal
        self._open_engine = open_engine
        self._engine: Any = None
        self._types: list[type[Any]] = []
        self._places: dict[int, tuple[int, int]] = {}  # by the hash of a request's id: number of its type, place

    @property
    def engine(self) -> Any:
        """The engine, opened when first asked for."""
        if self._engine is None:
            self._engine = self._open_engine()
        return self._engine

    def send(self, requests: Iterable[Any]) -> Mapping[str, Any]:
        """Have every request answered; return the results by the requests' ids.

        An error of the engine (a judge's endpoint that fails, say) comes through; what arrived before it is kept.

        Parameters
        ----------
        requests
            Walked once to see what is missing, and once more for each type of request that is.
        """
        wave = list(requests) if isinstance(requests, Iterator) else requests
        missing = array("B")  # by the request's place in the wave: number of its type from 1; 0 where it is answered
        for request in wave:
            _, place = self._find(request)
            if place is not None:
                self._keep_place(request, place)
            missing.append(0 if place is not None else self._number(type(request)) + 1)
        count = len(missing) - missing.count(0)
        logger.info("%d requests: %d already done, %d to do", len(missing), len(missing) - count, count)
        progress = Progress(len(missing), len(missing) - count)
        for number, kind in enumerate(self._types, start=1):
            if number in missing:
                wanted = (request for request, of in zip(wave, missing, strict=True) if of == number)
                self._ask(getattr(self.engine, kind.asks), wanted, progress)
        return self.results(wave)

    def results(self, requests: Iterable[Any]) -> Mapping[str, Any]:
        """Return the results that there are, by the ids of requests that were sent before."""
        return Results(requests, self._result)

    def _number(self, kind: type[Any]) -> int:
        if kind not in self._types:
            self._types.append(kind)
        return self._types.index(kind)

    def _keep_place(self, request: Any, place: int) -> None:
        self._places[hash(request.id)] = self._number(type(request)), place

    def _result(self, id: str) -> Any:
        """Return the result of the request with an id; raise KeyError where there is none."""
        number, place = self._places[hash(id)]
        kept = self.journal.result(place)
        if kept["id"] != id:
            raise RuntimeError(f"two requests whose ids have one hash: {id}, {kept['id']}")
        return self._types[number].result(kept)

    def _find(self, request: Any) -> tuple[str, int | None]:
        """Return the key of a request's result in the journal, and its place there: an equal request's, if any.

        The limit of new tokens decides nothing about an answer that ended before it. So a key is the digest of the
        request without its limit, then the limit: with max_tokens raised from 128 to 256, `3f…/128` answers the
        request whose key would be `3f…/256`, unless that answer was cut by its limit.
        """
        asked = _plain(request)
        limit = asked.get("sampling", {}).pop("max_tokens", None) if isinstance(asked.get("sampling"), dict) else None
        content = digest(asked)
        exact = content if limit is None else f"{content}/{limit}"
        kept = dict(self.journal.kept(exact))
        if limit is None or exact in kept:
            return exact, kept.get(exact)
        for key, place in kept.items():
            result = self.journal.result(place)
            if result["finish_reason"] == "stop" and result["completion_tokens"] < limit:
                return key, place
        return exact, None

    def tokens(self) -> dict[str, int]:
        """Return the tokens read, written and scored for the requests that were sent, whoever answered them."""
        counted = {"prompt": 0, "completion": 0, "scored": 0}
        for place in sorted({place for _, place in self._places.values()}):
            result = self.journal.result(place)
            if "text" in result:
                counted["prompt"] += result["prompt_tokens"]
                counted["completion"] += result["completion_tokens"]
            else:
                counted["scored"] += _scored(result.get("tokens", 0))
        return counted

    def _ask(self, ask: Callable[[Iterable[Any]], Iterable[Any]], requests: Iterable[Any], progress: Progress) -> None:
        """Have requests answered that the journal does not hold, and keep every result as it arrives."""
        drawn: dict[str, Any] = {}  # what the engine is at work on

        def draw() -> Iterator[Any]:
            for request in requests:
                drawn[request.id] = request
                yield request

        for result in ask(draw()):
            request = drawn.pop(result.id)
            key, place = self._find(request)
            kept = _plain(result)
            if place is None:  # else a wave asks the same twice
                place = self.journal.append(key, kept)
            self._keep_place(request, place)
            progress.add(kept.get("completion_tokens", 0))


class Results(Mapping[str, Any]):
    """The results of some requests by their ids, each read when it is asked for.

    Parameters
    ----------
    requests
        Walked when the ids are.
    result
        Gives a result by the id of its request; raises KeyError where there is none.
    """

    def __init__(self, requests: Iterable[Any], result: Callable[[str], Any]) -> None:
        self._requests = requests
        self._result = result

    def __getitem__(self, id: str) -> Any:
        return self._result(id)

    def __iter__(self) -> Iterator[str]:
        return (request.id for request in self._requests if request.id in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _plain(value: Any) -> dict[str, Any]:
    """Return what a dataclass holds, those in its fields as well; unlike asdict it copies nothing else."""
    held = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: _plain(each) if is_dataclass(each) else each for name, each in held}


def _scored(tokens: int | Sequence[int]) -> int:
    return tokens if isinstance(tokens, int) else sum(tokens)
