"""Under which licences a run's data and models stand, as far as somebody stated it: never guessed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from isheep.config.run import Run

STATED = re.compile(r"^licen[cs]e:\s*([A-Za-z0-9][A-Za-z0-9.+-]*)", flags=re.IGNORECASE | re.MULTILINE)


def stated(run: Run, base: str | Path | None) -> dict[str, str | None]:
    """Return the licences of what a run is made from, the base model and the seed tasks; None where none is stated.

    Parameters
    ----------
    run
        The run's settings.
    base
        Folder of the base model, whose README.md may state one.
    """
    return {"base model": of_model(run, Path(base) if base else None), "seed tasks": of_seeds(run)}


def of_model(run: Run, folder: Path | None) -> str | None:
    """Return the licence of the base model: from the settings, else from the head of its README.md."""
    if run.publish.model_licence or folder is None:
        return run.publish.model_licence
    stated = _front_matter(folder / "README.md").get("license")
    return stated if isinstance(stated, str) else None


def of_seeds(run: Run) -> str | None:
    """Return the licence of the seed tasks: from the settings, else from the README.md beside them."""
    if run.publish.seeds_licence:
        return run.publish.seeds_licence
    beside = Path(run.seeds.path).with_name("README.md")
    statement = STATED.search(beside.read_text(encoding="utf-8", errors="replace")) if beside.is_file() else None
    return statement[1].rstrip(".") if statement else None


def _front_matter(card: Path) -> dict[str, Any]:
    if not card.is_file():
        return {}
    parts = card.read_text(encoding="utf-8", errors="replace").split("---", 2)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except yaml.YAMLError:
        head = None
    return head if isinstance(head, dict) else {}


def header(licences: dict[str, str | None]) -> dict[str, str]:
    """Return what a card's head says: one licence when all agree, `other` when not, nothing when one is unknown."""
    stated = {licence.lower() for licence in licences.values() if licence}
    if not stated or None in licences.values():
        return {}
    if len(stated) == 1:
        return {"license": stated.pop()}
    return {"license": "other", "license_name": "see-licences-below"}
