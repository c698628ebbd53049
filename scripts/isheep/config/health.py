"""Section `health`: what is measured of each round's data, and the alarms that warn or stop a run."""

from __future__ import annotations

from inspect import getdoc
from typing import TYPE_CHECKING, Any, get_args

from pydantic import Field, create_model, model_validator

from isheep.config.kinds import sections
from isheep.config.section import Section
from isheep.health.alarm import Alarm, Measure

MEASURES: tuple[Measure, ...] = get_args(Measure)


class _Alarms(Section):
    """Each `{at: number, action: warn | stop | off}`; either may be left out. It rings at `at` and beyond."""

    @property
    def on(self) -> dict[str, Alarm]:
        """The alarms that are not off, by name."""
        every = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: alarm for name, alarm in every.items() if alarm.action != "off"}

    @property
    def stopping(self) -> dict[str, float]:
        """The limits of the alarms that stop a run, by name."""
        return {name: alarm.at for name, alarm in self.on.items() if alarm.action == "stop"}


def _family() -> dict[str, Any]:
    """Return a setting for every alarm of the package isheep.health.alarms: name, type and default."""
    family: dict[str, Any] = {}
    alarms: list[tuple[str, Any]] = list(sections("isheep.health.alarms"))
    for name, alarm in sorted(alarms, key=lambda named: (named[1].place, named[0])):
        about = (getdoc(alarm) or "").partition("\n")[0]
        family[name] = (alarm, Field(alarm(), description=about))
    return family


if TYPE_CHECKING:
    Alarms = _Alarms
else:
    Alarms = create_model("Alarms", __base__=_Alarms, __doc__=_Alarms.__doc__, **_family())


class Health(Section):
    """Stages probe_data and measure_data: what a round's data is like, before it trains the next model."""

    measures: tuple[Measure, ...] = Field(
        MEASURES, description="What is measured; `[]` turns all of it off. `probe` alone runs a model (the base)."
    )
    sample: int = Field(
        500, ge=2, description="Rows for measures that depend on the number of rows or cost much: the same ones always."
    )
    self_bleu: int = Field(100, ge=2, description="Rows of the sample for self-BLEU, whose cost grows with the square.")
    ngrams: tuple[int, ...] = Field(
        (13, 8), min_length=1, description="Lengths (words) of sequences looked for in the evaluation files."
    )
    similarity: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L F1 above which two texts are near-duplicates, as in `prompts.similarity`."
    )
    alarms: Alarms = Field(Alarms(), description="When to warn, and when to stop.")

    @model_validator(mode="after")
    def _agree(self) -> Health:
        if any(length < 1 for length in self.ngrams):
            raise ValueError("ngrams: each must be at least 1")
        for name in self.alarms.stopping:
            measure = self.alarms.on[name].measure
            if measure not in self.measures:
                raise ValueError(f"alarms.{name} can stop only what is measured: add {measure} to measures")
        return self
