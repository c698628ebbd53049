"""A benchmark: its settings and its code in one class, which every kind in `kinds` extends.

The smallest kind asks one thing and counts: a field `kind: Literal[...]`, `headline`, `load`, `requests`, `score` and
`summarise`. All else has a default here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from isheep.config.places import File
from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.evaluation.base import Answers, Ask, Item, Metric
from isheep.evaluation.judge import Method

FETCHED = "data/hub/"


class Benchmark(Section):
    """What benchmarks have in common: a data file, or a data set on the hub that is fetched into one."""

    if TYPE_CHECKING:
        kind: str

    headline: ClassVar[tuple[str, ...]]
    """The metrics that a summary shows; a name may begin with `{name}_`."""
    manner: ClassVar[tuple[str, ...]] = ()
    """Metrics of how a model answers, not how well: silence may be perfect in them, so they have no floors."""
    scored: ClassVar[str] = "the model's answer"
    """What its first metric scores, in a reader's words."""
    form: ClassVar[Literal["rate", "compare"] | None] = None
    """How it uses the judge: to grade an answer, or to compare two; None without a judge."""
    sandboxed: ClassVar[bool] = False
    """Whether scoring an item runs a program in the sandbox."""

    path: File | None = Field(None, description="Data file.")
    hub: str | None = Field(None, description="In its place, a data set's id on the hub; fetched once into data/hub/.")
    subset: str | None = Field(None, description="Part of the data set on the hub that has several.")
    split: str = Field("test", description="Split of the data set on the hub; `train+test` joins two.")
    revision: str = Field("main", description="Branch, tag or commit on the hub; a commit makes the run repeatable.")
    limit: int | None = Field(None, ge=1, description="Only the first so many items.")
    format: Literal["own", "template", "plain"] = Field(
        "own",
        description="How models are asked: each in its own format (a base of `chat: false` in the plain one, what it "
        "trains through the template), or all of them in one, which makes them comparable.",
    )

    # Not settings of its own: its key in the run's benchmarks, and what the run's judge is.
    _name: str | None = PrivateAttr(None)
    _method: Method = PrivateAttr("text")

    @model_validator(mode="before")
    @classmethod
    def _fetched_into(cls, given: Any) -> Any:
        """Name the file into which a data set on the hub is fetched; resolved settings name it already."""
        if not isinstance(given, dict) or not isinstance(given.get("hub"), str):
            return given
        parts = (given["hub"], given.get("subset"), given.get("split", "test"), given.get("revision", "main"))
        file = FETCHED + "--".join(str(part).replace("/", "--") for part in parts if part) + ".jsonl"
        if given.get("path") not in (None, file):
            raise ValueError("give one of path and hub, not both")
        return {**given, "path": file}

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if self.path is None:
            raise ValueError("give path (a data file) or hub (a data set's id)")
        return self

    def bound(self, name: str, method: Method = "text") -> Self:
        """Return this benchmark as part of a run.

        Parameters
        ----------
        name
            Its key in the run's benchmarks.
        method
            How the run's judge is asked.
        """
        benchmark = self.model_copy()
        benchmark._name, benchmark._method = name, method
        return benchmark

    @property
    def name(self) -> str:
        """Its key in the run's benchmarks; its kind outside a run."""
        return self._name or self.kind

    @property
    def judged(self) -> bool:
        """Whether a judge is asked about the model's answers."""
        return self.form is not None

    @property
    def data(self) -> Path:
        """The data file."""
        assert self.path is not None, "checked when it was read"
        return Path(self.path)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that it reads."""
        return (str(self.path),)

    @property
    def against_base(self) -> bool:
        """Whether the model is compared with the base model's answers."""
        return False

    @abstractmethod
    def load(self) -> list[Item]:
        """Return the items of the data file, at most `limit`; UserError names file and line of what is wrong."""

    @abstractmethod
    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return what can be asked now, given the answers so far (by key); empty when all is answered."""

    @abstractmethod
    def score(self, item: Item, answers: Answers) -> Row:
        """Return the item's measures, all JSON values."""

    @abstractmethod
    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return the metrics over rows of `{"id": ..., **measures}`."""

    def groups(self, rows: Sequence[Row]) -> dict[str, dict[str, Metric]]:
        """Return the metrics again per kind of item (instruction type, category); {} where there are no kinds."""
        return {}

    def beside(self, item: Item) -> dict[str, str]:
        """Return the texts that an answer is held against, by what they are (reference, rival); {} without any."""
        return {}

    def against(self, items: Sequence[Item], rivals: Mapping[str, str]) -> list[Item]:
        """Return the items that can be compared with a rival's answers (texts by item id); all where there is none."""
        return list(items)
