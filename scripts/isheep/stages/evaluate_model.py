"""Stage evaluate_model: the model answers the items of every benchmark."""

from __future__ import annotations

from isheep.evaluation import stage as asking
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.stages.base import Stage, current, shown, style, style_code

STAGE = Stage(
    "evaluate_model",
    about="has iter_i answer the benchmarks",
    place=100,
    folder="iter_{i}/evaluation",
    makes=("answers.jsonl",),
    of="model",
    settings=("seed", "model", "engine", "outputs.plain", "evaluation.benchmarks"),
    derives=style,
    code=style_code,
    files=lambda run: [*run.evaluation.files, *shown(run)],
    model=current,
    machine="evaluate",
    shards="whole",
    present=lambda run: run.evaluation.is_asked,
    engine=True,
    does="evaluate",
)


class Work(stage.Work):
    """Asks all benchmarks at once, turn after turn."""

    def requests(self, send: Send) -> None:
        """Send what the benchmarks ask, until no item has an open turn."""
        benchmarks, _ = asking.load(self.run.evaluation)
        plain = self.plain(self.job.round)
        template_of = asking.templates(benchmarks, self.template, plain)
        to_engine = asking.to_engine(send, template_of, plain or self.run.outputs.plain, self.run.seed)
        self.rows = asking.ask(benchmarks, "model", to_engine, shard=self.job.shard)

    def finish(self) -> stage.Made:
        """Return the answers."""
        return {"rows": self.rows}
