"""Which row of a damaged file was edited: stages add fields and never rewrite earlier ones, so neighbours tell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def explain(path: Path, neighbours: Iterable[Path]) -> str:
    """Return where a file of rows differs from the files of the stages before and after it; empty when nobody knows.

    Parameters
    ----------
    path
        The damaged file, JSON Lines.
    neighbours
        Undamaged row files of the same round.
    """
    rows: dict[Any, tuple[int, dict[str, Any]]] = {}
    with open(path, encoding="utf-8", errors="replace") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                row = json.loads(line)
                rows[row["id"]] = number, row
            except (ValueError, KeyError, TypeError):
                return f"line {number} is not a row"
    for neighbour in neighbours:
        with open(neighbour, encoding="utf-8") as handle:
            for line in handle:
                theirs = json.loads(line)
                if theirs.get("id") not in rows:
                    continue
                number, ours = rows[theirs["id"]]
                for our, their in zip(ours.items(), theirs.items(), strict=False):
                    if our != their:
                        return f"line {number} ({theirs['id']}): {our[0]!r} is not what {neighbour.name} has"
    return ""
