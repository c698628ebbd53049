"""Stage match_demonstrations: which answered tasks lie nearest to each prompt, to be shown before it."""

from __future__ import annotations

from typing import Any

from isheep.config.run import Run
from isheep.data.conversations import questions
from isheep.data.funnel import Funnel
from isheep.data.rows import Row, read_rows
from isheep.data.seeds import read_seeds
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.runner.embeds import Embeds
from isheep.runner.job import Job
from isheep.serving import embedding, engines
from isheep.stages.base import Stage, current, template


def _settings(run: Run) -> dict[str, Any]:
    wanted = run.outputs.matching
    return {"matching": wanted._asdict()} if wanted else {}


STAGE = Stage(
    "match_demonstrations",
    about="embeds prompts and answered tasks by the model's last layer and finds the tasks nearest to each prompt",
    place=17,
    folder="d_{i}",
    makes=("matched.jsonl", "matched.funnel.json"),
    settings=("model", "engine.name", "engine.dtype", "engine.context_length"),
    derives=_settings,
    reads=lambda at: {"rows": at.rows_before("match_demonstrations")},
    files=lambda run: [*([run.outputs.matching.file] if run.outputs.matching else []), *template(run)],
    model=current,
    machine="assess",
    present=lambda run: run.outputs.matching is not None,
    needs=lambda run: ("instruction", "input"),
    adds=lambda run: ("nearest",),
    code=lambda run: (engines.module_of(embedding.engine_for(run.engine).name),),
    does="write answers",
)


class Work(Embeds):
    """Asks for the embeddings of all prompts and all tasks."""

    def __init__(self, this: Job) -> None:
        super().__init__(this)
        wanted = this.run.outputs.matching
        assert wanted is not None, "the stage is there when demonstrations are matched"
        self.count = wanted.shots
        self.prompts = list(read_rows(this.input.rows))
        self.tasks: list[Row] = [
            {"id": f"task/{task.id}", "instruction": task.instruction, "input": task.input}
            for task in read_seeds(wanted.file)
        ]

    def requests(self, send: Send) -> None:
        """Send every prompt and every task."""
        asked = [*self.prompts, *self.tasks]
        self.results = send([embedding.request(row, "prompt", self.template.control_tokens) for row in asked])

    def finish(self) -> stage.Made:
        """Return the prompts with the ids of their nearest tasks, the nearest first; never a prompt's own task."""
        prompts, tasks = (
            embedding.directions([self.results[row["id"]] for row in rows]) for rows in (self.prompts, self.tasks)
        )
        funnel = Funnel(STAGE.name, self.job.round)
        rows = []
        for row, likeness in zip(self.prompts, prompts @ tasks.T, strict=True):
            others = (self.tasks[place] for place in (-likeness).argsort(kind="stable"))
            near = [task["id"].removeprefix("task/") for task in others if task["instruction"] not in questions(row)]
            rows.append({**row, "nearest": near[: self.count]})
        funnel.keep(len(rows))
        return {"funnel": funnel, "rows": rows}
