"""Few-shot: a base model is shown seed tasks with their outputs, each closed by a mark, so that it learns to stop."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from isheep.config.plain import Plain
from isheep.data.conversations import turns
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError
from isheep.outputs.cuts import Cut
from isheep.outputs.style import OutputStyle
from isheep.runner.dispatch import draw_seed
from isheep.serving.chat import join, plainly


@dataclass(frozen=True)
class Demonstrated:
    """A plain format with demonstrations before every task, as `PlainFormat`.

    Parameters
    ----------
    plain
        How a task and its answer stand.
    mark
        What closes an answer, on a line of its own.
    shown
        Gives the seed tasks to show before a task, by its text.
    """

    plain: Plain
    mark: str
    shown: Callable[[str], Sequence[Seed]]

    @property
    def text(self) -> str:
        """The task's own part."""
        return self.plain.text

    @property
    def stop(self) -> tuple[str, ...]:
        """The mark, and what stops a model that forgets it."""
        return (self.mark, *self.plain.stop)

    @property
    def ended(self) -> str:
        """The mark, which closes every answer."""
        return f"\n{self.mark}\n\n"

    def before(self, task: str) -> str:
        """Return the demonstrations of a task, each with its answer and the mark."""
        shown = ((join(seed.instruction, seed.input), seed.output.strip()) for seed in self.shown(task))
        return plainly(turns(text for each in shown for text in each), self)


class FewShot(OutputStyle):
    """Stages generate_outputs and filter_outputs, for a base model: seed tasks with outputs stand before each prompt.

    A model that knows a chat template is shown the prompt alone.
    """

    kind: Literal["few_shot"] = Field("few_shot", description="What the model is shown beside the prompt.")
    shots: int = Field(3, ge=1, description="Seed tasks shown, with their outputs.")
    demonstrations: Literal["fixed", "fresh"] = Field(
        "fresh",
        description="fixed: the same seeds before every prompt of the run; fresh: each prompt draws its own, and keeps "
        "them where its answer is assessed.",
    )
    cuts: tuple[Cut, ...] = Field(
        ("new_task", "repetition", "last_sentence"), description=OutputStyle.model_fields["cuts"].description
    )
    mark: str = Field(
        "=====", min_length=1, description="Line that closes each demonstration; it ends an answer and is cut off."
    )

    shows_seeds = True

    @field_validator("mark")
    @classmethod
    def _one_line(cls, mark: str) -> str:
        if mark.strip() != mark or "\n" in mark:
            raise ValueError("mark must be one line that neither begins nor ends with a blank")
        return mark

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when too few seeds have an output to show."""
        if self.shots > (count := len(self._usable(seeds))):
            raise UserError(
                f"outputs.shots: {self.shots} seeds to show, but {count} of the file's {len(seeds)} have an output "
                "without the mark"
            )

    def format(self, seeds: str, run_seed: int) -> Demonstrated:
        """Return the format with the demonstrations drawn: by the run's seed, and where fresh by the task as well."""
        usable = self._usable(read_seeds(seeds))

        def shown(task: str) -> Sequence[Seed]:
            key = task if self.demonstrations == "fresh" else ""
            return random.Random(draw_seed(run_seed, "demonstrations", 0, key)).sample(usable, self.shots)

        return Demonstrated(self.plain, self.mark, shown)

    def _usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        texts = {seed: f"{seed.instruction}\n{seed.input}\n{seed.output}" for seed in seeds if seed.output.strip()}
        return [seed for seed, text in texts.items() if self.mark not in text]
