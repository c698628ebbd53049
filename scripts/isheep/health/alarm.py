"""What every alarm is: a limit, and how a round's health is held against it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from isheep.config.section import Section

Measure = Literal["lengths", "diversity", "duplicates", "scores", "overlap", "probe"]
Document = Mapping[str, Any]
Reading = tuple[float | None, str]
"""A value that is held against the limit, and what it was measured of."""
# Where health.json has what an alarm's measure says, when not under the measure's own name.
PLACES: dict[str, str] = {"lengths": "generated", "probe": "perplexity"}
ACTION = "warn: one line in the log and in health.json; stop: and the round is not trained on; off."


class Alarm(Section):
    """A limit, and what happens when a round's data reaches it.

    The first line of an alarm's docstring is what the settings say of it; its module's name is its name.
    """

    at: float = Field(description="Where it rings.")
    action: Literal["warn", "stop", "off"] = Field("warn", description=ACTION)

    measure: ClassVar[Measure]  # what has to be measured for it
    meaning: ClassVar[str]  # of a value that rings, with {value} and, where there are several, {what}
    in_percent: ClassVar[bool] = True
    place: ClassVar[int] = 1000  # among the alarms, in the settings and in health.json; equal ones stand by their names

    @abstractmethod
    def read(self, document: Document) -> Iterator[Reading]:
        """Yield what health.json says of it, the largest value of which counts; None for what cannot be told."""

    def readings(self, document: Document) -> list[tuple[float, str]]:
        """Return the values that could be told; none when its measure was left out."""
        if PLACES.get(self.measure, self.measure) not in document:
            return []
        return [(value, what) for value, what in self.read(document) if value is not None]

    def message(self, value: float, what: str) -> str:
        """Return the line that says what rang."""
        return f"{self.meaning.format(value=self.number(value), what=what)} (alarm at {self.number(self.at)})"

    def number(self, value: float) -> str:
        """Return a value as people say it."""
        return f"{100 * value:.3g} %" if self.in_percent else f"{value:.3g}"


# What several alarms read of health.json ------------------------------------------------------------------------------


def of_generated(document: Document, share: str) -> Iterator[Reading]:
    """Yield a share of all answers, before any rule dropped one."""
    yield document["generated"]["output"][share]["value"], ""


def of_near_duplicates(document: Document, pool: str, *fields: str) -> Iterator[Reading]:
    """Yield the shares of texts that are near-duplicates of one of a pool."""
    for field in fields:
        yield document["duplicates"]["near"][field][pool]["value"], f"{field}s"


def of_fall(document: Document, *names: str) -> Iterator[Reading]:
    """Yield the shares of d_0's values that are lost."""
    for name in names:
        ratio = document["change"].get(name, {}).get("value")
        yield (None if ratio is None else 1 - ratio), name.replace("_", " ", 1).replace("_", "-")


def of_scores(document: Document, measured: str) -> Iterator[Reading]:
    """Yield a measure of every column of scores, without its sign."""
    for column, measures in document["scores"].items():
        value = measures[measured]["value"]
        yield (None if value is None else abs(value)), column
