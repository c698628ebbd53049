"""Stage generate_outputs: the model answers every prompt, once or several times."""

from __future__ import annotations

from typing import Any

from isheep.config.run import Run
from isheep.config.section import deciding
from isheep.data.rows import Row, StoredRows, Stream
from isheep.outputs import answers
from isheep.runner import stage
from isheep.runner.code import kinds_in
from isheep.runner.dispatch import Send
from isheep.runner.job import Job
from isheep.stages.base import Stage, chosen, shown


def _style(run: Run) -> dict[str, Any]:
    """Return what a style's own settings say beside those of every style; rules and budget come after the answers."""
    return {"outputs": {key: value for key, value in deciding(run.outputs).items() if key not in ("rules", "budget")}}


writer = chosen("outputs.model")


def _adds(run: Run) -> tuple[str, ...]:
    counted = answers.SAMPLE_COLUMNS if run.outputs.samples > 1 else ()
    return (*counted, *run.outputs.columns, "finish_reason", "stop_reason", "prompt_tokens", "output_tokens")


STAGE = Stage(
    "generate_outputs",
    about="has the model answer every prompt",
    place=20,
    folder="d_{i}",
    makes=("outputs.jsonl", "outputs.funnel.json"),
    settings=("seed", "model", "engine", "outputs.sampling", "outputs.plain"),
    reads=lambda at: {"rows": at.rows_before("generate_outputs")},
    derives=_style,
    code=lambda run: kinds_in(run.outputs),
    files=lambda run: [*run.outputs.files, *shown(run)],
    model=writer,
    machine="generate",
    shards="whole",
    needs=lambda run: ("instruction", "input", *run.outputs.needs),
    adds=_adds,
    engine=True,
    does="write answers",
)


class Work(stage.Work):
    """Asks for the answers to each prompt."""

    def __init__(self, this: Job) -> None:
        super().__init__(this)
        self.prompts = StoredRows(this.input.rows)

    def requests(self, send: Send) -> None:
        """Send every prompt, as often as it is answered, as the model is addressed."""
        plain = self.plain(writer(self.run, self.job.round))
        wanted = self._sampled(self.job.part(self.prompts))
        given = (self.run.outputs, self.template, plain, self.run.seed, self.job.round)
        self.results = send(Stream(lambda: answers.requests(wanted, *given)))

    def finish(self) -> stage.Made:
        """Return the prompts with their outputs."""
        wanted = self._sampled(self.prompts)
        return {"rows": answers.answer(wanted, self.run.outputs, self.results.__getitem__, self.job.round)}

    def _sampled(self, prompts: Stream[Row]) -> Stream[Row]:
        return Stream(lambda: answers.sampled(prompts, self.run.outputs.samples))
