"""Principle-driven answers, after Dromedary (arXiv 2305.03047): principles, examples with thoughts, then the prompt.

The thoughts go into a column of their own, and neither they nor what was shown is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from isheep.config.places import File
from isheep.config.sampling import Sampling
from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.outputs.exemplars import MARK, TASK, Leaks, parted, read_exemplars, read_principles, write
from isheep.outputs.style import OutputStyle
from isheep.serving.addressee import Addressee
from isheep.serving.chat import conversation, neutralise, transcript, user
from isheep.serving.engines.base import Completion, Prompt

if TYPE_CHECKING:
    from isheep.config.run import Run


class Verbose(Section):
    """From round 1 on: the model that was trained answers at length, asked by its template (Dromedary's stage 4)."""

    ask: File = Field("config/prompts/verbose.txt", description="What stands before the prompt; not trained on.")
    sampling: Sampling = Field(
        Sampling(temperature=0.3, top_p=0.7, max_tokens=512), description="How answers are drawn."
    )


class Principles(OutputStyle):
    """Stages generate_outputs and filter_outputs: think by principles and answer every prompt, drop broken rows."""

    kind: Literal["principles"] = Field("principles", description="What the model is shown beside the prompt.")
    principles: File = Field("config/principles/answers.yaml", description="YAML list of {name, principle}.")
    exemplars: File = Field(
        "config/principles/exemplars.yaml", description="YAML list of {task, thoughts, answer}, shown in its order."
    )
    verbose: Verbose | None = Field(
        None, description="A round of long answers by the model that was trained; null: principles in every round."
    )

    @property
    def files(self) -> tuple[str, ...]:
        """Principles, examples, and what asks for long answers."""
        return (self.principles, self.exemplars, *([self.verbose.ask] if self.verbose else []))

    def contradictions(self, run: Run) -> Iterator[str]:
        """Yield what a verbose round lacks: a model that was trained, and itself."""
        if self.verbose and self.model == "base":
            yield "outputs.verbose asks the model that was trained; set outputs.model: current"
        if self.verbose and run.rounds == 1:
            yield "outputs.verbose is for rounds from 1 on; set rounds: 2"

    def check_files(self, root: Path, room: int) -> None:
        """Raise UserError when principles or examples cannot be used, or leave no room for a prompt."""
        principles = read_principles(root / self.principles)
        shown = write(principles, read_exemplars(root / self.exemplars), "")
        if (least := len(shown.split())) >= room:  # a word is a token at least
            raise UserError(
                f"outputs.principles and outputs.exemplars: over {least} tokens, which leave a prompt no room in "
                "engine.context_length beside outputs.sampling.max_tokens; raise the former or lower the latter"
            )

    @cached_property
    def leaks(self) -> Leaks:
        """What of the examples an answer must not hold."""
        return Leaks.of(read_exemplars(self.exemplars))

    @property
    def columns(self) -> tuple[str, ...]:
        """The thoughts, null where none were asked for; the answer; what it has from the examples, mostly null."""
        return ("thoughts", "output", "leaked")

    def drawn(self, row: Row) -> Sampling:
        """Return how the answer to a row is drawn."""
        return verbose.sampling if (verbose := self._verbose(row)) else self.sampling

    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return principles, examples and task as plain text for any model; in a verbose round, a user's message."""
        if verbose := self._verbose(row):
            *before, last = conversation(row)
            ask = model.load(_read, verbose.ask)
            return model.template.render([*before, *user(f"{ask}\n\n{last['content']}")])
        principles = model.load(read_principles, self.principles)
        shown = model.load(read_exemplars, self.exemplars)
        text = write(principles, shown, neutralise(transcript(row), model.control_tokens))
        return Prompt(text, add_special_tokens=True)

    def stop(self, model: Addressee) -> tuple[str, ...]:
        """Return where the next example would begin."""
        return (f"\n{MARK}", f"\n{TASK}")

    def begins(self, row: Row, text: str) -> int:
        """Return where the answer begins, behind the thoughts."""
        return 0 if self._verbose(row) else parted(text)[1]

    def read(self, row: Row, completion: Completion) -> list[Row]:
        """Return thoughts, answer, and what of the examples the answer holds."""
        if self._verbose(row):
            return [{"thoughts": None, "output": self.opened(completion.text), "leaked": None}]
        thoughts, begins = parted(completion.text)
        output = self.opened(completion.text[begins:])
        leaked = self.leaks.found(output, transcript(row))
        return [{"thoughts": thoughts, "output": output, "leaked": leaked}]

    def _verbose(self, row: Row) -> Verbose | None:
        return self.verbose if row["round"] else None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
