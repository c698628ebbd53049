"""Stage classify_prompts: the model says which prompts are classification, whose instances are made label first."""

from __future__ import annotations

from isheep.data.funnel import Funnel
from isheep.data.rows import read_rows
from isheep.prompts import classification
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.runner.job import Job
from isheep.stages.base import Stage, current, template

STAGE = Stage(
    "classify_prompts",
    about="has the model say which prompts have a small set of right answers",
    place=15,
    folder="d_{i}",
    makes=("classified.jsonl", "classified.funnel.json"),
    settings=("model", "engine", "classify"),
    reads=lambda at: {"rows": at.rows_before("classify_prompts")},
    files=lambda run: [*([run.classify.examples] if run.classify.examples else []), *template(run)],
    model=current,
    machine="generate",
    shards="whole",
    present=lambda run: run.classify.examples is not None,
    needs=lambda run: ("instruction",),
    adds=lambda run: ("is_classification",),
    engine=True,
    does="write prompts",
)


class Work(stage.Work):
    """Asks one question about each prompt."""

    def __init__(self, this: Job) -> None:
        super().__init__(this)
        assert this.run.classify.examples is not None, "the stage is there when there are examples"
        self.examples = classification.read_examples(this.run.classify.examples)
        self.prompts = list(read_rows(this.input.rows))

    def requests(self, send: Send) -> None:
        """Send the prompts of this job."""
        part = self.job.part(self.prompts)
        self.results = send(classification.requests(part, self.examples, self.template.control_tokens))

    def finish(self) -> stage.Made:
        """Return the prompts with the model's answer."""
        funnel = Funnel("classify_prompts", self.job.round)
        replies = ((row, self.results[row["id"]]) for row in self.prompts)
        rows = [{**row, "is_classification": classification.is_classification(reply)} for row, reply in replies]
        funnel.keep(len(rows))
        funnel.counts = {"classification": sum(row["is_classification"] for row in rows)}
        return {"funnel": funnel, "rows": rows}
