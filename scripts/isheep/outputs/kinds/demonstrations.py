"""A few-shot teacher for a zero-shot student (SOFT, arXiv 2402.07610): demonstrations are not trained on."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from isheep.config.places import File
from isheep.data.conversations import questions, turns
from isheep.data.rows import Row
from isheep.data.seeds import Seed, read_seeds
from isheep.outputs.style import Matching, OutputStyle
from isheep.serving.addressee import Addressee
from isheep.serving.chat import conversation, join
from isheep.serving.engines.base import Prompt


class Demonstrations(OutputStyle):
    """Stages generate_outputs and filter_outputs: answer every prompt after a few answered tasks, drop broken rows."""

    kind: Literal["demonstrations"] = Field("demonstrations", description="What the model is shown beside the prompt.")
    shots: int = Field(3, ge=1, description="Demonstrations before each prompt.")
    choice: Literal["random", "fixed", "nearest"] = Field(
        "random",
        description="Drawn afresh for every prompt, the same ones for all prompts of a round, or those nearest to the "
        "prompt in the model's last layer (stage match_demonstrations), the nearest next to it.",
    )
    demonstrations: File = Field("config/seeds/isheep.jsonl", description="Answered tasks, in any format of seeds.")

    @property
    def files(self) -> tuple[str, ...]:
        """The answered tasks."""
        return (self.demonstrations,)

    @property
    def matching(self) -> Matching | None:
        """As many tasks as are shown, where these are the nearest."""
        return Matching(self.demonstrations, self.shots) if self.choice == "nearest" else None

    @property
    def needs(self) -> tuple[str, ...]:
        """What stage match_demonstrations found, where the nearest are shown."""
        return ("nearest",) if self.choice == "nearest" else ()

    def shown(self, row: Row, model: Addressee) -> list[Seed]:
        """Return the demonstrations of a row: the nearest, or what the seed of its id draws; never its own task."""
        tasks = model.load(read_seeds, self.demonstrations)
        if self.choice == "nearest":
            by_id = {task.id: task for task in tasks}
            return [by_id[id] for id in reversed(row["nearest"])]
        draw = random.Random(model.seed_for(f"{row['id']}/shots" if self.choice == "random" else "shots"))
        drawn = draw.sample(tasks, min(self.shots + 1, len(tasks)))
        return [task for task in drawn if task.instruction not in questions(row)][: self.shots]

    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return demonstrations and task as turns of one conversation."""
        shown = ((join(task.instruction, task.input), task.output) for task in self.shown(row, model))
        return model.task([*turns(text for task in shown for text in task), *conversation(row)])
