"""Alarms: limits on what was measured, a module each; one line for each that is reached, and the end of some runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isheep.errors import UserError

if TYPE_CHECKING:
    from isheep.config.health import Alarms
    from isheep.health.alarm import Document


def ring(document: Document, alarms: Alarms) -> dict[str, Any]:
    """Return the alarms that ring, and how many could be checked.

    Parameters
    ----------
    document
        The measures of a round, as health.json has them.
    alarms
        Section `health.alarms`. An alarm whose measure was left out, or could not be told, is not checked.
    """
    rang = []
    checked = 0
    for name, alarm in alarms.on.items():
        readings = alarm.readings(document)
        if not readings:
            continue
        checked += 1
        value, what = max(readings, key=lambda reading: reading[0])
        if value >= alarm.at:
            rang.append(
                {
                    "name": name,
                    "value": value,
                    "threshold": alarm.at,
                    "level": alarm.action,
                    "message": alarm.message(value, what),
                }
            )
    return {"alarms": rang, "checked": checked}


def refuse(document: Document, file: str) -> None:
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
        why = "; ".join(f"alarm {alarm['name']}: {alarm['message']}" for alarm in stopping)
        keys = " and ".join(f"health.alarms.{alarm['name']}.action: warn" for alarm in stopping)
        raise UserError(
            f"{why}; d_{document['round']} is not trained on. Look at {file}, then change what made the data, or set "
            f"{keys} to train on it all the same"
        )


def lines(document: Document) -> list[str]:
    """Return one line for each alarm that rang."""
    return [f"alarm {alarm['name']}: {alarm['message']}" for alarm in document["alarms"]]
