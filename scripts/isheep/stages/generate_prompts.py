"""Stage generate_prompts: the first N new tasks that the model writes, in request order."""

from __future__ import annotations

from itertools import chain

from isheep.config.run import Run
from isheep.data.rows import Stream, read_rows
from isheep.filters.registry import resolve
from isheep.prompts import maker
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.runner.job import Job
from isheep.stages.base import Read, Reads, Round, Stage, current, template


def _reads(at: Round) -> Reads:
    compared = "earlier_rounds" in at.run.prompts.compare_with
    return {"earlier": [Read(STAGE.name, i) for i in range(at.i)] if compared else []}


def _files(run: Run) -> list[str]:
    return [run.seeds.path, *run.prompts.files, *run.prompts.data, *template(run)]


STAGE = Stage(
    "generate_prompts",
    about="has the model write new tasks, a few seeds in context, until N pass the rules",
    place=10,
    folder="d_{i}",
    makes=("prompts.jsonl", "prompts.rejected.jsonl", "prompts.funnel.json"),
    settings=("seed", "model", "engine", "prompts"),
    reads=_reads,
    files=_files,
    model=current,
    machine="generate",
    shards="first",
    asks=lambda run: run.prompts.asks,
    adds=lambda run: ("id", "round", "request", *run.prompts.columns),
    code=lambda run: [rule.module for rule in resolve("prompts", run.prompts.rules)],
    engine=True,
    does="write prompts",
)


class Work(stage.Work):
    """Asks wave after wave, until the round has its prompts."""

    def __init__(self, this: Job) -> None:
        super().__init__(this)
        self.maker = maker.PromptMaker.of(this.run, this.round)

    def requests(self, send: Send) -> None:
        """Send the first wave's part of a shard, or waves until enough prompts survive."""
        if self.job.is_shard:
            send(maker.first_wave_of_shard(self.maker, *self.job.shard))
            return
        earlier = Stream(lambda: chain.from_iterable(map(read_rows, self.job.input.get("earlier", []))))
        self.collected = maker.gather(self.maker, send, earlier)

    def finish(self) -> stage.Made:
        """Return the prompts, what was rejected, and what it took."""
        made = self.collected
        made.funnel.counts = {"requests": made.requests, "completion_tokens": made.tokens}
        return {"rejected": made.rejected, "funnel": made.funnel, "rows": made.rows}
