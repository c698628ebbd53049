"""Answer requests from the journal where it can, from the engine where it must."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from isheep.data.files import digest
from isheep.runner.journal import Journal
from isheep.runner.progress import Progress

logger = logging.getLogger(__name__)
Send = Callable[[Sequence[Any]], Mapping[str, Any]]
"""Has a wave of requests answered; gives the results by the requests' ids, without those that failed."""


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
        self._keys: dict[str, str] = {}
        self._by_content: dict[str, list[str]] = {}
        for key in journal.results:
            self._by_content.setdefault(key.partition("/")[0], []).append(key)

    @property
    def engine(self) -> Any:
        """The engine, opened when first asked for."""
        if self._engine is None:
            self._engine = self._open_engine()
        return self._engine

    def send(self, requests: Iterable[Any]) -> dict[str, Any]:
        """Have every request answered; return the results by the requests' ids.

        An error of the engine (a judge's endpoint that fails, say) comes through; what arrived before it is kept.
        """
        wave = list(requests)
        missing: dict[str, list[Any]] = {}
        for request in wave:
            key = self._keys[request.id] = self._find(request)
            if key not in self.journal.results:
                missing.setdefault(request.asks, []).append(request)
        count = sum(map(len, missing.values()))
        logger.info("%d requests: %d already done, %d to do", len(wave), len(wave) - count, count)
        progress = Progress(len(wave), len(wave) - count)
        for asks, open_requests in missing.items():
            self._keep(getattr(self.engine, asks)(open_requests), progress)
        return self.results(wave)

    def results(self, requests: Iterable[Any]) -> dict[str, Any]:
        """Return the results that there are, by the ids of requests that were sent before."""
        kept_of = ((request, self.journal.results.get(self._keys[request.id])) for request in requests)
        return {request.id: request.result(kept) for request, kept in kept_of if kept is not None}

    def _find(self, request: Any) -> str:
        """Return the key of a request's result in the journal: an equal request's, whatever its limit was.

        The limit of new tokens decides nothing about an answer that ended before it. So a key is the digest of the
        request without its limit, then the limit: with max_tokens raised from 128 to 256, `3f…/128` answers the
        request whose key would be `3f…/256`, unless that answer was cut by its limit.
        """
        asked = asdict(request)
        limit = asked.get("sampling", {}).pop("max_tokens", None) if isinstance(asked.get("sampling"), dict) else None
        content = digest(asked)
        exact = content if limit is None else f"{content}/{limit}"
        if limit is None or exact in self.journal.results:
            return exact
        for key in self._by_content.get(content, ()):
            kept = self.journal.results[key]
            if kept["finish_reason"] == "stop" and kept["completion_tokens"] < limit:
                return key
        return exact

    def tokens(self) -> dict[str, int]:
        """Return the tokens read, written and scored for the requests that were sent, whoever answered them."""
        results = [self.journal.results[key] for key in set(self._keys.values()) if key in self.journal.results]
        written = [result for result in results if "text" in result]
        return {
            "prompt": sum(result["prompt_tokens"] for result in written),
            "completion": sum(result["completion_tokens"] for result in written),
            "scored": sum(_scored(result.get("tokens", 0)) for result in results if "text" not in result),
        }

    def _keep(self, results: Iterator[Any], progress: Progress) -> None:
        for result in results:
            self.journal.append(self._keys[result.id], kept := asdict(result))
            progress.add(kept.get("completion_tokens", 0))


def _scored(tokens: int | Sequence[int]) -> int:
    return tokens if isinstance(tokens, int) else sum(tokens)
