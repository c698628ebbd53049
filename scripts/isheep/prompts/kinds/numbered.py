"""The numbered list: the model continues a list of tasks that begins with a few seeds (paper 3.1, isheep.md 1.3)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from isheep.config.places import File
from isheep.config.sampling import Sampling
from isheep.data.rows import Row
from isheep.data.seeds import Seed
from isheep.errors import UserError
from isheep.prompts.source import Material, PromptSource
from isheep.prompts.tasks import read_list, stop_string, write_list
from isheep.serving.engines.base import Completion, Prompt, Request


class TaskList(PromptSource):
    """What every source has whose model continues a numbered list of tasks."""

    shots: int = Field(5, ge=1, description="Seed tasks shown in each request.")
    tasks_per_request: int = Field(10, ge=1, description="New tasks after which a completion is stopped.")
    meta_prompt: File = Field("config/prompts/meta.txt", description="Template of the text before the list of tasks.")
    sampling: Sampling = Field(Sampling(), description="How tasks are drawn.")

    @property
    def files(self) -> tuple[str, ...]:
        """The text before the list."""
        return (self.meta_prompt,)

    @property
    def most_per_request(self) -> int:
        """A completion is stopped after so many tasks."""
        return self.tasks_per_request

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when there are fewer seeds than shots."""
        if self.shots > len(seeds):
            raise UserError(f"prompts.shots: {self.shots} seeds to show, but the file has {len(seeds)}")

    def shown(self, number: int, material: Material) -> list[Seed]:
        """Return the seeds that request `number` shows, drawn without replacement."""
        draw = random.Random(material.seed_for(f"{number}/seeds"))
        return draw.sample(list(material.seeds), self.shots)

    def request(self, number: int, material: Material) -> Request:
        """Return request `number` (from 0): a plain completion in every round, as in the released code."""
        (meta_prompt,) = material.texts
        return Request(
            id=material.request_id(number),
            prompt=Prompt(write_list(meta_prompt, self.shown(number, material)), add_special_tokens=True),
            sampling=self.sampling.until(stop_string(self.shots, self.tasks_per_request)),
            seed=material.seed_for(number),
        )

    def candidates(self, number: int, completion: Completion, material: Material) -> Iterator[tuple[Row, str | None]]:
        """Yield the tasks of the list, with the parser's complaint or None."""
        finished = completion.finish_reason == "stop"
        shown = [seed.id for seed in self.shown(number, material)]
        for task in read_list(completion.text, finished):
            yield {"seeds": shown, "instruction": task.instruction, "input": task.input}, task.problem


class Numbered(TaskList):
    """Stage generate_prompts: the model continues a numbered list of tasks that begins with a few seeds."""

    kind: Literal["numbered"] = Field("numbered", description="How a model is asked for prompts.")
