"""Alarms: limits on what was measured, one line for each that is reached, and the end of the run for some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from isheep.config.health import NEEDS, Alarms
from isheep.documents.rounds import Alarm, Checked, Health
from isheep.errors import UserError

Reading = tuple[float | None, str]
"""A value that is held against the limit, and what it means."""


def ring(document: Health, alarms: Alarms) -> Checked:
    """Return the alarms that ring, and how many could be checked.

    Parameters
    ----------
    document
        The measures of a round, as health.json has them.
    alarms
        Section `health.alarms`. An alarm whose measure was left out, or could not be told, is not checked.
    """
    rang: list[Alarm] = []
    checked = 0
    for name, alarm in alarms.on.items():
        readings = [(value, meaning) for value, meaning in _readings(document, name) if value is not None]
        if not readings:
            continue
        checked += 1
        value, meaning = max(readings, key=lambda reading: reading[0])
        if value >= alarm.at:
            rang.append(
                {
                    "name": name,
                    "value": value,
                    "threshold": alarm.at,
                    "level": "stop" if alarm.action == "stop" else "warn",
                    "message": f"{meaning} (alarm at {_number(name, alarm.at)})",
                }
            )
    return {"alarms": rang, "checked": checked}


def refuse(document: Health, file: str) -> None:
    """Raise UserError when an alarm of level `stop` rang: the round is not to be trained on.

    Parameters
    ----------
    document
        health.json of the round.
    file
        Its path, for the message.
    """
    stopping = [alarm for alarm in document["alarms"] if alarm["level"] == "stop"]
    if stopping:
        told = "; ".join(f"alarm {alarm['name']}: {alarm['message']}" for alarm in stopping)
        keys = " and ".join(f"health.alarms.{alarm['name']}.action: warn" for alarm in stopping)
        raise UserError(
            f"{told}; d_{document['round']} is not trained on. Look at {file}, then change what made the data, or set "
            f"{keys} to train on it all the same"
        )


def lines(document: Health) -> list[str]:
    """Return one line for each alarm that rang."""
    return [f"alarm {alarm['name']}: {alarm['message']}" for alarm in document["alarms"]]


def _readings(document: Health, name: str) -> Iterator[Reading]:
    needed = {"lengths": "generated", "probe": "perplexity"}.get(NEEDS[name], NEEDS[name])
    if needed in document:
        read, meaning = READ[name]
        for value, what in read(document):
            yield value, meaning.format(value="" if value is None else _number(name, value), what=what)


def _number(name: str, value: float) -> str:
    """Return a value as people say it: most are shares, told in per cent."""
    return f"{value:.3g}" if name in ("shrunken_answers", "scores_follow_length") else f"{100 * value:.3g} %"


def _change(document: Health, name: str) -> float | None:
    measured = document["change"].get(name)
    return measured["value"] if measured else None


def _shrunken(document: Health) -> Iterator[Reading]:
    ratio = _change(document, "output_words")
    yield (1 / ratio if ratio else None), ""


def _near(pool: str, fields: Sequence[str]) -> Callable[[Health], Iterator[Reading]]:
    def read(document: Health) -> Iterator[Reading]:
        for field in fields:
            yield document["duplicates"]["near"][field][pool]["value"], f"{field}s"

    return read


def _fallen(*names: str) -> Callable[[Health], Iterator[Reading]]:
    def read(document: Health) -> Iterator[Reading]:
        for name in names:
            ratio = _change(document, name)
            yield (None if ratio is None else 1 - ratio), name.replace("_", " ", 1).replace("_", "-")

    return read


def _generated(share: Literal["share_at_limit", "share_empty"]) -> Callable[[Health], Iterator[Reading]]:
    def read(document: Health) -> Iterator[Reading]:
        yield document["generated"]["output"][share]["value"], ""

    return read


def _scores(measure: Literal["share_at_maximum", "correlation_with_length"]) -> Callable[[Health], Iterator[Reading]]:
    def read(document: Health) -> Iterator[Reading]:
        for column, measured in document["scores"].items():
            value = measured[measure]["value"]
            yield (None if value is None else abs(value)), column

    return read


def _contamination(document: Health) -> Iterator[Reading]:
    for name, lengths in document["overlap"].items():
        if "error" in lengths:
            continue
        longest = max(lengths, key=int)
        yield lengths[longest]["share"]["value"], f"{longest} words with {name}"


READ: dict[str, tuple[Callable[[Health], Iterator[Reading]], str]] = {
    "shrunken_answers": (_shrunken, "the median answer has {value} times fewer words than in d_0"),
    "at_token_limit": (_generated("share_at_limit"), "{value} of all answers were cut at the token limit"),
    "empty_answers": (_generated("share_empty"), "{value} of all answers are blank"),
    "near_duplicates": (
        _near("within_round", ("instruction", "output")),
        "{value} of {what} are near-duplicates of an earlier one of the round",
    ),
    "repeated_rounds": (
        _near("earlier_rounds", ("instruction",)),
        "{value} of {what} are near-duplicates of one of an earlier round",
    ),
    "copied_seeds": (_near("seeds", ("instruction",)), "{value} of {what} are near-duplicates of a seed's"),
    "fallen_diversity": (
        _fallen("instruction_distinct_2", "output_distinct_2"),
        "{what} is {value} lower than in d_0",
    ),
    "fallen_perplexity": (_fallen("perplexity"), "{what} under the base model is {value} lower than in d_0"),
    "scores_at_maximum": (_scores("share_at_maximum"), "{value} of rows get the best score by {what}"),
    "scores_follow_length": (
        _scores("correlation_with_length"),
        "{what} has a rank correlation of {value} (either sign) with the length of the answer",
    ),
    "contamination": (_contamination, "{value} of rows share {what}"),
}
