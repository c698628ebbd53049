"""Answer requests from the journal where it can, from the engine where it must."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from isheep.data.files import digest
from isheep.runner.journal import Journal
from isheep.serving.engines.base import Completion, Engine, Request, Score, ScoreRequest

logger = logging.getLogger(__name__)


def draw_seed(run_seed: int, stage: str, round_number: int, request: int | str) -> int:
    """Return what a request draws from (31 bits): a function of run seed, stage, round and request alone."""
    return int(digest([run_seed, stage, round_number, request])[:8], 16) & 0x7FFFFFFF


class Dispatcher:
    """Sends to the engine what the journal does not hold, and keeps every result as it arrives.

    The engine is opened at the first request that is not in the journal, so that a finished stage starts none.
    """

    def __init__(self, journal: Journal, open_engine: Callable[[], Engine]) -> None:
        self.journal = journal
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._digests: dict[str, str] = {}

    @property
    def engine(self) -> Engine:
        """The engine, opened when first asked for."""
        if self._engine is None:
            self._engine = self._open_engine()
        return self._engine

    def complete(self, requests: Iterable[Request]) -> None:
        """Have every request completed."""
        missing = self._missing(requests)
        if missing:
            self._keep(self.engine.complete(missing))

    def score(self, requests: Iterable[ScoreRequest]) -> None:
        """Have every request scored."""
        missing = self._missing(requests)
        if missing:
            self._keep(self.engine.score(missing))

    def result(self, request_id: str) -> Completion | Score:
        """Return the completion or score of a request that was sent before."""
        found = self.journal.results[self._digests[request_id]]
        if "text" in found:
            return Completion(**found)
        return Score(found["id"], tuple(found["log_likelihoods"]), tuple(found["tokens"]))

    def has(self, request_id: str) -> bool:
        """Whether a request that was sent before has a result."""
        return self._digests[request_id] in self.journal.results

    def tokens(self) -> dict[str, int]:
        """Return the tokens read, written and scored for the requests that were sent, whoever answered them."""
        results = [self.journal.results[sent] for sent in set(self._digests.values()) if sent in self.journal.results]
        written = [result for result in results if "text" in result]
        return {
            "prompt": sum(result["prompt_tokens"] for result in written),
            "completion": sum(result["completion_tokens"] for result in written),
            "scored": sum(sum(result["tokens"]) for result in results if "text" not in result),
        }

    def _missing(self, requests: Iterable[Any]) -> list[Any]:
        asked = list(requests)
        self._digests.update((request.id, digest(asdict(request))) for request in asked)
        missing = [request for request in asked if self._digests[request.id] not in self.journal.results]
        logger.info("%d requests: %d already done, %d to do", len(asked), len(asked) - len(missing), len(missing))
        return missing

    def _keep(self, results: Iterator[Completion | Score]) -> None:
        for result in results:
            self.journal.append(self._digests[result.id], asdict(result))
