"""Stage generate_prompts: the first N tasks, in request order, that parse, pass the rules and are new.

Where tasks come from is the source's, a kind of section `prompts`; waves, rules and de-duplication are common to all.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from isheep.config.run import Run
from isheep.data.conversations import user_text
from isheep.data.dedup import NearDuplicates
from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError
from isheep.filters.registry import Rule, first_broken, resolve
from isheep.prompts.source import Material, PromptSource
from isheep.runner.dispatch import draw_seed
from isheep.serving.engines.base import Completion, Request

logger = logging.getLogger(__name__)
STAGE = "generate_prompts"


@dataclass(frozen=True)
class PromptMaker:
    """Everything that decides the prompts of one round, but the model.

    Parameters
    ----------
    source
        Section `prompts`.
    seeds
        The seed tasks.
    texts
        What is in the source's files, in their order.
    rules
        Prompt rules, in order.
    run_seed, round_number
        What every draw follows from.
    """

    source: PromptSource
    seeds: Sequence[Seed]
    texts: Sequence[str]
    rules: Sequence[Rule]
    run_seed: int
    round_number: int

    def __post_init__(self) -> None:
        self.source.check(self.seeds)

    @classmethod
    def of(cls, run: Run, round_number: int) -> PromptMaker:
        """Return the maker for a round of a run.

        Raises
        ------
        UserError
            The source cannot work with these seeds.
        """
        texts = [Path(file).read_text(encoding="utf-8") for file in run.prompts.files]
        rules = resolve("prompts", run.prompts.rules)
        return cls(run.prompts, read_seeds(run.seeds.path), texts, rules, run.seed, round_number)

    @cached_property
    def material(self) -> Material:
        """What the source makes its requests of."""
        return Material(
            self.seeds,
            self.texts,
            self.round_number,
            lambda request: draw_seed(self.run_seed, STAGE, self.round_number, request),
        )

    @property
    def fewest_requests(self) -> int:
        """Requests that a model would need whose every task is kept."""
        return math.ceil(self.source.rows / self.source.most_per_request)

    @property
    def most_requests(self) -> int:
        """Bound on the requests of a round."""
        if not self.source.asks:
            return 0
        return self.source.max_requests or 20 * self.fewest_requests

    def after(self, made: Sequence[Row]) -> Material:
        """Return the material of a wave: the prompts that earlier waves gave are part of it."""
        return replace(self.material, made=tuple(made))

    def request(self, number: int) -> Request:
        """Return request `number` (from 0) of the first wave."""
        return self.source.request(number, self.material)

    def request_id(self, number: int) -> str:
        """Return the id of request `number`: round and number."""
        return self.material.request_id(number)

    def candidates(
        self, number: int, completion: Completion, material: Material | None = None
    ) -> Iterator[tuple[Row, str | None]]:
        """Yield the rows that a completion holds, each with the source's complaint or None."""
        tasks = self.source.candidates(number, completion, material or self.material)
        for position, (task, problem) in enumerate(tasks):
            known = {"id": f"{completion.id}-{position:02d}", "round": self.round_number, "request": number}
            yield {**known, **task}, problem

    def begin(self, earlier: Iterable[Row]) -> Collected:
        """Return a collection without prompts yet, but for those that need no request.

        Parameters
        ----------
        earlier
            Rows of earlier rounds that new instructions are compared with as well.
        """
        seeds = self.seeds if "seeds" in self.source.compare_with else ()
        known = [(seed.id, seed.instruction) for seed in seeds]
        known += [(row["id"], user_text(row)) for row in earlier]
        funnel = Funnel(STAGE, self.round_number)
        collected = Collected([], [], funnel, self.source.rows, self._pool(known), known)
        for task in self.source.given(self.material):
            if not collected.full:
                named = {"id": f"{self.request_id(task['request'])}-00", "round": self.round_number}
                self.sort({**named, **task}, None, collected)
        return collected

    def _pool(self, known: Iterable[tuple[str, str]]) -> NearDuplicates:
        pool = NearDuplicates(self.source.similarity, self.source.tokens)
        for id, instruction in known:
            pool.add(id, instruction)
        return pool

    def collect(
        self, completions: Iterable[tuple[int, Completion]], collected: Collected, material: Material | None = None
    ) -> None:
        """Add the prompts that further completions give; what was collected before is not looked at again.

        Parameters
        ----------
        completions
            Request numbers and completions, in order from 0 without gaps, those collected before left out.
        collected
            What it is added to.
        material
            Of their wave; by default that of the first.
        """
        for number, completion in completions:
            if collected.full:
                break
            collected.requests += 1
            collected.tokens += completion.completion_tokens
            for row, problem in self.candidates(number, completion, material):
                if collected.full:
                    break
                self.sort(row, problem, collected)

    def sort(self, row: Row, problem: str | None, collected: Collected) -> None:
        """Add a row to what is collected, kept or rejected; `problem` rejects it whatever the rules say."""
        rule = problem or first_broken(self.rules, row)
        like = None
        if rule is None and (like := collected.pool.find(user_text(row))) is not None:
            rule = "near_duplicate"
        collected.funnel.count(rule)
        if rule is None:
            collected.rows.append(row)
            if "round" in self.source.compare_with:
                collected.pool.add(row["id"], user_text(row))
            if self.source.forget and len(collected.rows) % self.source.forget == 0:
                collected.pool = self._pool(collected.known)
        else:
            collected.rejected.append({**row, "rule": rule, **({"like": like} if like else {})})


@dataclass
class Collected:
    """Prompts gathered so far, with what was rejected and why."""

    rows: list[Row]
    rejected: list[Row]
    funnel: Funnel
    wanted: int
    pool: NearDuplicates
    known: Sequence[tuple[str, str]] = ()
    requests: int = 0
    tokens: int = 0

    @property
    def full(self) -> bool:
        """Whether the round has all its prompts."""
        return len(self.rows) >= self.wanted


def first_wave_of_shard(maker: PromptMaker, shard: int, count: int) -> list[Request]:
    """Return the requests of the first wave that a shard (from 0) sends: every `count`-th."""
    return [maker.request(number) for number in range(shard, first_wave(maker), count)]


def first_wave(maker: PromptMaker) -> int:
    """Return how many requests to send first: a quarter more than a perfect model needs, or the source's own number."""
    own = maker.source.per_wave
    return min(maker.most_requests, math.ceil(1.25 * maker.fewest_requests) if own is None else own)


def next_wave(maker: PromptMaker, collected: Collected) -> int:
    """Return up to which number to send requests next, from what the earlier ones yielded; 0 when it is enough."""
    if collected.full or collected.requests >= maker.most_requests:
        return 0
    if maker.source.per_wave is not None:
        return min(maker.most_requests, collected.requests + maker.source.per_wave)
    per_request = max(len(collected.rows) / max(collected.requests, 1), 0.25)
    more = math.ceil(1.1 * (maker.source.rows - len(collected.rows)) / per_request)
    # A handful decoded together takes hardly longer than one: rather some too many than another wave.
    return min(maker.most_requests, collected.requests + max(more, 4, first_wave(maker) // 8))


def gather(
    maker: PromptMaker, send: Callable[[list[Request]], Mapping[str, Completion]], earlier: Sequence[Row]
) -> Collected:
    """Send waves of requests until the round has its prompts or the bound is reached.

    Raises
    ------
    UserError
        Too few prompts survived and the settings say to stop; the message holds the funnel.
    """
    sent, until, collected = 0, first_wave(maker), maker.begin(earlier)
    while until:
        wave, material = range(sent, until), maker.after(collected.rows)
        completions = send([maker.source.request(number, material) for number in wave])
        maker.collect(((number, completions[maker.request_id(number)]) for number in wave), collected, material)
        sent, until = until, next_wave(maker, collected)
        logger.info("%s; %d requests sent", collected.funnel.line(), sent)
    missing = maker.source.rows - len(collected.rows)
    if missing > 0 and (maker.source.on_shortfall == "stop" or not collected.rows):
        raise UserError(
            f"{len(collected.rows)} of {maker.source.rows} prompts after {collected.requests} requests "
            f"(prompts.max_requests). {collected.funnel.line()}. Ask for fewer (prompts.rows), allow more requests "
            "(prompts.max_requests), loosen prompts.rules, or set prompts.on_shortfall: continue"
        )
    return collected
