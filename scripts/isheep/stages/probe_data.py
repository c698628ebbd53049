"""Stage probe_data: what the base model makes of a sample of the round's rows."""

from __future__ import annotations

from typing import Any

from isheep.data.rows import read_rows
from isheep.health import probe, readings, sample
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.runner.embeds import Embeds
from isheep.serving import engines
from isheep.serving.embedding import engine_for
from isheep.stages.base import Stage, base, shown, style, style_code

STAGE = Stage(
    "probe_data",
    about="has the base model read a sample of d_i: how likely it is, and its embeddings",
    place=60,
    folder="d_{i}",
    makes=("probe.jsonl", "probe.safetensors"),
    settings=("model", "engine.name", "engine.dtype", "engine.context_length", "outputs.plain", "health.sample"),
    reads=lambda at: {"selected": at.data(at.i)},
    files=shown,
    derives=style,
    model=base,
    machine="assess",
    present=lambda run: "probe" in run.health.measures,
    code=lambda run: [engines.module_of(engine_for(run.engine).name), *style_code(run)],
    does="measure data",
)


class Work(Embeds):
    """Asks for the likelihood and the embeddings of each row of the sample."""

    code = ("isheep/health/probe.py",)

    def answering(self, engine: Any) -> probe.Prober:
        """Read rows with the engine."""
        return probe.Prober(engine)

    def requests(self, send: Send) -> None:
        """Send the sample."""
        plain = self.plain(0)
        self.rows = sample.draw(read_rows(self.job.input.selected), self.run.health.sample)
        self.results = send([probe.request(row, self.template, plain) for row in self.rows])

    def finish(self) -> stage.Made:
        """Write the readings; embeddings are tensors, not rows."""
        gathered = probe.gather(self.rows, [self.results[row["id"]] for row in self.rows])
        readings.write(self.job.output.rows, self.job.output.embeddings, gathered)
        return {}
