"""Instructions alone, after Self-Instruct (arXiv 2212.10560): human demonstrations and the model's own earlier ones."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from isheep.config.places import File
from isheep.config.sampling import Sampling
from isheep.data.rows import Row
from isheep.data.seeds import Seed
from isheep.errors import UserError
from isheep.prompts.source import Material, PromptSource
from isheep.serving.engines.base import Completion, Prompt, Request

NUMBER = re.compile(r"^[ \t]*\d+[ \t]*\.", re.MULTILINE)


class Instructions(PromptSource):
    """Stage generate_prompts: the model continues a list of instructions without inputs, some of them its own."""

    kind: Literal["instructions"] = Field("instructions", description="How a model is asked for prompts.")
    human: int = Field(6, ge=1, description="Seed instructions shown in each request.")
    machine: int = Field(2, ge=0, description="Prompts of earlier waves shown with them; seeds while there are none.")
    requests_per_wave: int = Field(64, ge=1, description="Requests after which new prompts may be shown.")
    tasks_per_request: int = Field(7, ge=1, description="New instructions after which a completion is stopped.")
    meta_prompt: File = Field("config/prompts/instructions.txt", description="The text before the list.")
    sampling: Sampling = Field(
        Sampling(temperature=0.7, top_p=0.5, max_tokens=1024), description="How instructions are drawn."
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The text before the list."""
        return (self.meta_prompt,)

    @property
    def most_per_request(self) -> int:
        """A completion is stopped after so many instructions."""
        return self.tasks_per_request

    @property
    def per_wave(self) -> int:
        """Fixed, so that demonstrations follow from request number and wave alone."""
        return self.requests_per_wave

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when there are fewer seeds than demonstrations."""
        if self.human + self.machine > len(seeds):
            raise UserError(
                f"prompts.human + prompts.machine: {self.human + self.machine} demonstrations, but the seed file has "
                f"{len(seeds)} tasks"
            )

    def shown(self, number: int, material: Material) -> list[tuple[str, str]]:
        """Return (id, instruction) of what request `number` shows, shuffled: earlier prompts, then seeds."""
        draw = random.Random(material.seed_for(f"{number}/demonstrations"))
        own = draw.sample(range(len(material.made)), min(self.machine, len(material.made)))
        machine = [(material.made[index]["id"], material.made[index]["instruction"]) for index in own]
        seeds = draw.sample(list(material.seeds), self.human + self.machine - len(machine))
        both = [*machine, *((seed.id, seed.instruction) for seed in seeds)]
        draw.shuffle(both)
        return both

    def request(self, number: int, material: Material) -> Request:
        """Return request `number` (from 0): a plain completion of the list."""
        (meta_prompt,) = material.texts
        shown = self.shown(number, material)
        lines = [f"{place}. {_flat(instruction)}" for place, (_, instruction) in enumerate(shown, start=1)]
        text = "\n".join([meta_prompt.strip(), "", *lines, f"{len(shown) + 1}."])
        last = f"\n{len(shown) + self.tasks_per_request + 1}."
        return Request(
            id=material.request_id(number),
            prompt=Prompt(text, add_special_tokens=True),
            sampling=self.sampling.until("\n\n", last),
            seed=material.seed_for(number),
        )

    def candidates(self, number: int, completion: Completion, material: Material) -> Iterator[tuple[Row, str | None]]:
        """Yield the instructions of the list; one that the limit of tokens cut is unfinished."""
        seeds = [id for id, _ in self.shown(number, material)]
        texts = [_flat(text) for text in NUMBER.split(completion.text)]
        for place, text in enumerate(texts, start=1):
            cut = completion.finish_reason != "stop" and place == len(texts)
            if text or cut:
                yield {"seeds": seeds, "instruction": text, "input": ""}, "unfinished" if cut else None


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
