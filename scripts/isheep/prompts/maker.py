"""Stage generate_prompts: the first N tasks, in request order, that parse, pass the rules and are new."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isheep.config.run import Run
from isheep.config.stages import Prompts
from isheep.data.dedup import NearDuplicates
from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError
from isheep.filters.registry import Rule, first_broken, resolve
from isheep.prompts.tasks import read_list, stop_string, write_list
from isheep.runner.dispatch import draw_seed
from isheep.serving.engines.base import Completion, Prompt, Request, Sampling

logger = logging.getLogger(__name__)
STAGE = "generate_prompts"


@dataclass(frozen=True)
class PromptMaker:
    """Everything that decides the prompts of one round, but the model.

    Parameters
    ----------
    settings
        Section `prompts`.
    seeds
        The seed tasks; each request shows `settings.shots` of them.
    meta_prompt
        Text before the list of tasks.
    rules
        Prompt rules, in order.
    run_seed, round_number
        What every draw follows from.
    """

    settings: Prompts
    seeds: Sequence[Seed]
    meta_prompt: str
    rules: Sequence[Rule]
    run_seed: int
    round_number: int

    def __post_init__(self) -> None:
        if self.settings.shots > len(self.seeds):
            raise UserError(f"prompts.shots: {self.settings.shots} seeds to show, but the file has {len(self.seeds)}")

    @classmethod
    def of(cls, run: Run, round_number: int) -> PromptMaker:
        """Return the maker for a round of a run."""
        return cls(
            run.prompts,
            read_seeds(run.seeds.path),
            Path(run.prompts.meta_prompt).read_text(encoding="utf-8"),
            resolve("prompts", run.prompts.rules),
            run.seed,
            round_number,
        )

    @property
    def fewest_requests(self) -> int:
        """Requests that a model would need whose every task is kept."""
        return math.ceil(self.settings.rows / self.settings.tasks_per_request)

    @property
    def most_requests(self) -> int:
        """Bound on the requests of a round."""
        return self.settings.max_requests or 20 * self.fewest_requests

    def shown(self, number: int) -> list[Seed]:
        """Return the seeds that request `number` shows, drawn without replacement."""
        draw = random.Random(draw_seed(self.run_seed, STAGE, self.round_number, f"{number}/seeds"))
        return draw.sample(list(self.seeds), self.settings.shots)

    def request(self, number: int) -> Request:
        """Return request `number` (from 0): a plain completion in every round, as in the released code."""
        sampling = self.settings.sampling
        return Request(
            id=self.request_id(number),
            prompt=Prompt(write_list(self.meta_prompt, self.shown(number)), add_special_tokens=True),
            sampling=Sampling(
                sampling.temperature,
                sampling.top_p,
                sampling.max_tokens,
                (stop_string(self.settings.shots, self.settings.tasks_per_request),),
            ),
            seed=draw_seed(self.run_seed, STAGE, self.round_number, number),
        )

    def request_id(self, number: int) -> str:
        """Return the id of request `number`: round and number."""
        return f"d{self.round_number}-{number:06d}"

    def candidates(self, number: int, completion: Completion) -> Iterator[tuple[Row, str | None]]:
        """Yield the rows that a completion holds, each with the parser's complaint or None."""
        finished = completion.finish_reason == "stop"
        shown = [seed.id for seed in self.shown(number)]
        for position, task in enumerate(read_list(completion.text, finished)):
            row = {
                "id": f"{completion.id}-{position:02d}",
                "round": self.round_number,
                "request": number,
                "seeds": shown,
                "instruction": task.instruction,
                "input": task.input,
            }
            yield row, task.problem

    def collect(self, completions: Iterable[tuple[int, Completion]], earlier: Iterable[Row]) -> Collected:
        """Return the prompts that the completions, in request order, give.

        Parameters
        ----------
        completions
            Request numbers and completions, in order from 0 without gaps.
        earlier
            Rows of earlier rounds that new instructions are compared with as well.
        """
        pool = NearDuplicates(self.settings.similarity)
        if "seeds" in self.settings.compare_with:
            for seed in self.seeds:
                pool.add(seed.id, seed.instruction)
        for row in earlier:
            pool.add(row["id"], row["instruction"])
        collected = Collected([], [], Funnel(STAGE, self.round_number), self.settings.rows)
        for number, completion in completions:
            if collected.full:
                break
            collected.requests += 1
            collected.tokens += completion.completion_tokens
            for row, problem in self.candidates(number, completion):
                if collected.full:
                    break
                self._sort(row, problem, pool, collected)
        return collected

    def _sort(self, row: Row, problem: str | None, pool: NearDuplicates, collected: Collected) -> None:
        rule = problem or first_broken(self.rules, row)
        like = None
        if rule is None and (like := pool.find(row["instruction"])) is not None:
            rule = "near_duplicate"
        collected.funnel.count(rule)
        if rule is None:
            collected.rows.append(row)
            if "round" in self.settings.compare_with:
                pool.add(row["id"], row["instruction"])
        else:
            collected.rejected.append({**row, "rule": rule, **({"like": like} if like else {})})


@dataclass
class Collected:
    """Prompts gathered so far, with what was rejected and why."""

    rows: list[Row]
    rejected: list[Row]
    funnel: Funnel
    wanted: int
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
    """Return how many requests to send first: a quarter more than a perfect model needs."""
    return min(maker.most_requests, math.ceil(1.25 * maker.fewest_requests))


def next_wave(maker: PromptMaker, collected: Collected) -> int:
    """Return up to which number to send requests next, from what the earlier ones yielded; 0 when it is enough."""
    if collected.full or collected.requests >= maker.most_requests:
        return 0
    per_request = max(len(collected.rows) / max(collected.requests, 1), 0.25)
    more = math.ceil(1.1 * (maker.settings.rows - len(collected.rows)) / per_request)
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
    sent, until = 0, first_wave(maker)
    completions: dict[str, Completion] = {}
    while until:
        completions |= send([maker.request(number) for number in range(sent, until)])
        sent = until
        numbered = ((number, completions[maker.request_id(number)]) for number in range(sent))
        collected = maker.collect(numbered, earlier)
        until = next_wave(maker, collected)
        logger.info("%s; %d requests sent", collected.funnel.line(), sent)
    missing = maker.settings.rows - len(collected.rows)
    if missing > 0 and (maker.settings.on_shortfall == "stop" or not collected.rows):
        raise UserError(
            f"{len(collected.rows)} of {maker.settings.rows} prompts after {collected.requests} requests "
            f"(prompts.max_requests). {collected.funnel.line()}. Ask for fewer (prompts.rows), allow more requests "
            "(prompts.max_requests), loosen prompts.rules, or set prompts.on_shortfall: continue"
        )
    return collected
