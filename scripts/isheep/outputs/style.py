"""What every output style is: a section that says what a model is shown to answer a prompt, and where it stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from isheep.config.plain import Plain, PlainFormat
from isheep.config.sampling import Sampling
from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.data.seeds import Seed
from isheep.outputs.cuts import Cut
from isheep.serving.addressee import Addressee
from isheep.serving.chat import conversation
from isheep.serving.engines.base import Completion, Prompt

if TYPE_CHECKING:
    from isheep.config.run import Run


class Matching(NamedTuple):
    """Answered tasks of a file, so many of which are to be found that lie nearest to each prompt."""

    file: str
    shots: int


class OutputStyle(Section):
    """Stages generate_outputs and filter_outputs: answer every prompt, drop broken rows."""

    kind: str
    model: Literal["base", "current"] = Field("current", description="Who answers: iter_0, or iter_i.")
    sampling: Sampling = Field(Sampling(), description="How answers are drawn.")
    samples: int = Field(1, ge=1, le=64, description="Answers to each prompt; `pairs` compares them.")
    plain: Plain = Field(Plain(), description="Format for round 0 of a base model (`model.chat: false`).")
    cuts: tuple[Cut, ...] = Field(
        (),
        description="Where an answer is cut, in order. new_task: before a line where the model goes on to another "
        "task; repetition: before the first sentence or line that comes again; last_sentence: an answer that reached "
        "`max_tokens`, behind its last whole sentence or list item.",
    )
    rules: tuple[str, ...] = Field(("default",), description="Output rules, or names of rule sets, in order.")
    budget: int | None = Field(
        None,
        ge=1,
        description="Tokens that a round may write, prompts and answers together; filter_outputs drops the rows after "
        "them as `over_budget`, so that recipes compare at equal cost.",
    )
    openings: tuple[str, ...] = Field(
        (), description="Texts cut off the beginning of an answer, as often as it begins with one."
    )

    goes_on: ClassVar[bool] = True
    """Whether it can answer the last question of a conversation."""
    shows_seeds: ClassVar[bool] = False
    """Whether a base model is shown seed tasks."""

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that it reads, besides the seeds."""
        return ()

    @property
    def matching(self) -> Matching | None:
        """What stage match_demonstrations is to find for it; None for nothing."""
        return None

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when a base model cannot be shown these seed tasks."""

    def check_files(self, root: Path, room: int) -> None:
        """Raise UserError when its files, which are there, cannot be used, or fill the `room` (tokens) of a prompt."""

    def contradictions(self, run: Run) -> Iterator[str]:
        """Yield what it and the run's other settings exclude."""
        yield from ()

    def format(self, seeds: str, run_seed: int) -> PlainFormat:
        """Return how a base model is shown tasks, here and wherever else it is asked (assessing, evaluating).

        Parameters
        ----------
        seeds
            File of the seed tasks, read when it shows some.
        run_seed
            What draws follow from.
        """
        return self.plain

    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return what the model is shown to answer a row (id, instruction, input; `history` where it has some)."""
        return model.task(conversation(row))

    def stop(self, model: Addressee) -> tuple[str, ...]:
        """Return the strings that end an answer."""
        return model.stop

    def drawn(self, row: Row) -> Sampling:
        """Return how the answer to a row is drawn."""
        return self.sampling

    def begins(self, row: Row, text: str) -> int:
        """Return where the answer begins in what the model wrote for a row; what stands before it is never cut."""
        return 0

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of a row that `prompt` reads, besides instruction and input."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `read` gives."""
        return ("output",)

    def read(self, row: Row, completion: Completion) -> list[Row]:
        """Return the columns that a completion gives a row: once, or for each of several answers."""
        return [{"output": self.opened(completion.text)}]

    def opened(self, text: str) -> str:
        """Return a text without blanks around it and without its `openings`."""
        text = text.strip()
        while opening := next((each for each in self.openings if each and text.startswith(each)), None):
            text = text.removeprefix(opening).lstrip()
        return text
