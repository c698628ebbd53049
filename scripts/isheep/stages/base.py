"""What a stage is: declared once, in the module of its name; everything else about it follows from its declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from isheep.config.model import Model
from isheep.config.run import Run
from isheep.config.section import at, deciding
from isheep.runner.code import kinds_in
from isheep.serving.engines import module_of

if TYPE_CHECKING:
    from isheep.stages.table import Table


class Read(NamedTuple):
    """A file of another stage, in the round in which that stage made it: its result, or a file beside that.

    `run` is another run of the config, where a user's setting names that run's result.
    """

    stage: str
    i: int
    file: str | None = None
    run: str | None = None


Reads = Mapping[str, Read | Sequence[Read]]
"""By the names that a rule's inputs have."""


@dataclass(frozen=True)
class Round:
    """One round of a run, as declarations see it. For stages that make a model, `i` is the number of that model."""

    run: Run
    i: int
    table: Table

    def rows_before(self, stage: str) -> Read:
        """Return the rows that a row stage reads: those of the last one before it that this run has."""
        before = [each for each in self.table.row_stages(self.run) if each.place < self.table[stage].place]
        return Read(before[-1].name, self.i)

    def data(self, i: int) -> Read:
        """Return d_i as it trains a model: the rows of the last row stage that this run has."""
        return Read(self.table.row_stages(self.run)[-1].name, i)

    def model(self, i: int) -> Read:
        """Return the identity of iter_i: by it a changed model shows."""
        return Read("merge_model", i, "identity.json") if i else Read("identify_model", 0)


def _none(*_: Any) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Stage:
    """The declaration of a stage.

    Parameters
    ----------
    name
        Verb and noun: the name of its rule, script, log, benchmark, record and work folder.
    about
        What it does, in a line, for docs/stages.md.
    place
        Where it stands in the order of its round; row stages pass their rows on in this order.
    folder
        Where its files lie in the folder of a run.
    makes
        Its files there; the first is the result by which later stages know it.
    of
        Which rounds it has: every `round` (d_i), every `trained` model (iter_1 on), every `model` (iter_0 too), or
        `once` (round 0 alone).
    settings
        What of a run's settings decides it, as dotted keys.
    derives
        What decides it and follows from other settings, by name; it stands beside them in its record.
    decides
        What tells its results from another run's besides settings, files and what it reads.
    reads
        What it reads of other stages, by the names of its rule's inputs.
    files
        The user's files that it reads.
    model
        Gives which model it runs: the number i of iter_i, or None for one that is no iter_i; absent where none ever is.
    weights
        The model that it runs when that is no iter_i: a section `model`, or None where it is served elsewhere.
    machine
        Key of section `resources`: what its jobs ask for; None for what every small job gets.
    shards
        Whether jobs can share its requests: `whole` when they ask everything, so that who gathers their results needs
        no engine; `first` when that one may have to ask more; None when one job does it all.
    asks
        Whether it asks the model that it runs anything, in a run that has it.
    present
        Whether a run has it.
    needs, adds
        The columns of rows that it reads, and those that it adds; for row stages alone.
    code
        Modules that decide what it makes, besides its own module, the kinds that its settings name, and the engine.
    engine
        Whether what it makes depends on the engine that section `engine` names.
    keeps
        Whether what it made is kept beside its work and given back to who asks for the same: it costs hours, and there
        is no journal of it.
    does
        What its time is spent on, in two words, for charts of costs.
    """

    name: str
    about: str
    place: int
    folder: str
    makes: tuple[str, ...]
    of: Literal["round", "trained", "model", "once"] = "round"
    settings: tuple[str, ...] = ()
    derives: Callable[[Run], Mapping[str, Any]] = lambda _: {}
    decides: Callable[[Run], Any] = _none
    reads: Callable[[Round], Reads] = lambda _: {}
    files: Callable[[Run], Sequence[str]] = _none
    model: Callable[[Run, int], int | None] | None = None
    weights: Callable[[Run], Model | None] | None = None
    machine: str | None = None
    shards: Literal["whole", "first"] | None = None
    asks: Callable[[Run], bool] = lambda _: True
    present: Callable[[Run], bool] = lambda _: True
    needs: Callable[[Run], Sequence[str]] = _none
    adds: Callable[[Run], Sequence[str]] | None = None
    code: Callable[[Run], Sequence[str]] = _none
    engine: bool = False
    keeps: bool = False
    does: str = "all else"

    @property
    def word(self) -> str:
        """How tables call what it makes: prompts, outputs, filtered, evaluated, selected."""
        return PurePosixPath(self.makes[0]).stem

    @property
    def passes_rows(self) -> bool:
        """Whether it is a row stage: it reads the rows of the one before it and passes on those that it keeps."""
        return self.adds is not None

    def modules(self, run: Run) -> list[str]:
        """Return the modules that decide what it makes, relative to the folder of scripts; their imports count too."""
        kinds = [kind for key in self.settings for kind in kinds_in(at(run, key))]
        engine = [module_of(run.engine.name)] if self.engine else []
        return [f"isheep/stages/{self.name}.py", *kinds, *engine, *self.code(run)]

    def rounds(self, run: Run) -> range:
        """Return the rounds in which a run has it, if it has it."""
        first, last = {
            "round": (0, run.rounds),
            "trained": (1, run.rounds + 1),
            "model": (0, run.rounds + 1),
            "once": (0, 1),
        }[self.of]
        return range(first, last)

    def upstream(self, at: Round) -> Iterator[Read]:
        """Yield all that it reads of other stages, the model that it runs included."""
        for reads in self.reads(at).values():
            yield from [reads] if isinstance(reads, Read) else reads
        if (number := self.runs(at.run, at.i)) is not None:
            yield at.model(number)

    def runs(self, run: Run, i: int) -> int | None:
        """Return which iter_i it runs in a round; None for none."""
        return None if self.model is None else self.model(run, i)


def current(run: Run, i: int) -> int:
    """Return which model works in round i: iter_i."""
    return i


def chosen(key: str) -> Callable[[Run, int], int | None]:
    """Return which model works in round i by a setting: iter_i for `current`, iter_0 for `base`, none for `judge`."""

    def which(run: Run, i: int) -> int | None:
        who = at(run, key)
        return None if who == "judge" else i if who == "current" else 0

    return which


def base(run: Run, i: int) -> int:
    """Return which model others are compared with: iter_0."""
    return 0


def judge_weights(run: Run) -> Model | None:
    """Return the evaluation's own judge."""
    return run.evaluation.own_judge.model if run.evaluation.own_judge else None


def judge_identity(who: str | None) -> Reads:
    """Return what says which model the own judge is, where `who` is that."""
    return {"identity": Read("identify_judge", 0)} if who == "judge" else {}


def judge_settings(run: Run, who: str | None) -> dict[str, Any]:
    """Return the settings of the own judge, where `who` is that."""
    return {"judge": deciding(run.evaluation.own_judge)} if who == "judge" else {}


def template(run: Run) -> list[str]:
    """Return the file of the chat template, when the settings give one."""
    return [run.model.chat_template] if run.model.chat_template else []


def shown(run: Run) -> list[str]:
    """Return the files behind what a model is shown around a task: a chat template, seeds for a base model."""
    return [*template(run), *([run.seeds.path] if run.outputs.shows_seeds and not run.model.chat else [])]


def style(run: Run) -> dict[str, Any]:
    """Return what the style of outputs says of how a base model is shown tasks, wherever it is asked."""
    if run.model.chat:
        return {}
    elsewhere = ("sampling", "samples", "cuts", "rules", "budget")
    return {"outputs": {key: value for key, value in deciding(run.outputs).items() if key not in elsewhere}}


def style_code(run: Run) -> list[str]:
    """Return the modules that decide how a base model is shown tasks."""
    return [] if run.model.chat else kinds_in(run.outputs)
