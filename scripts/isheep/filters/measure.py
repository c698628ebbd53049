"""Which rules drop which rows of a file, and the tables that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isheep.data.files import read_json
from isheep.data.rows import Row, read_rows
from isheep.errors import UserError
from isheep.filters.registry import SETS, Stage, describe, first_broken, resolve

STAGES: tuple[Stage, ...] = ("prompts", "outputs")


def read(path: str | Path) -> list[Row]:
    """Return the rows of a file as `id`, `instruction`, `input`, and `output` where there is one.

    Takes this project's JSON Lines, Self-Instruct's tasks (a row for each of a task's `instances`), and an Alpaca-style
    JSON array. An output without a finish reason counts as finished.

    Raises
    ------
    UserError
        The file is missing, or a row has no text under `instruction`, `input` or `output`.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".json":
        tasks = read_json(path)
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise UserError(f"{path}: expected an array of objects with the keys instruction, input and output")
    else:
        tasks = list(read_rows(path))
    return [row for number, task in enumerate(tasks, start=1) for row in _rows(task, number, path)]


def _rows(task: Row, number: int, path: Path) -> Iterator[Row]:
    instances = task.get("instances", [{}])
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise UserError(f"{path}: the instances of row {number} are not a list of objects")
    for instance in instances:
        row: Row = {
            "id": f"row {number}",
            "input": "",
            "finish_reason": "stop",
            "stop_reason": None,
            **task,
            **instance,
        }
        for key in ("instruction", "input", "output"):
            if not isinstance(row.get(key, ""), str) or (key == "instruction" and key not in row):
                raise UserError(f"{path}: row {number} has no text under {key!r}")
        yield row


def dropped(rows: Sequence[Row], stage: Stage, rule_set: str) -> list[tuple[Row, str]]:
    """Return every row that a rule set drops, with the name of the first rule that does."""
    rules = resolve(stage, [rule_set])
    named = ((row, first_broken(rules, row)) for row in rows if stage == "prompts" or "output" in row)
    return [(row, name) for row, name in named if name]


def measure(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return stage, set, rule and rows dropped for every rule that drops any, after a line for the whole set.

    The line of the whole set has "(all)" in place of the rule. Sets and stages that drop nothing keep their line.
    """
    lines: list[tuple[Any, ...]] = []
    for stage in STAGES:
        for rule_set in SETS[:-1]:
            counts = Counter(name for _, name in dropped(rows, stage, rule_set))
            lines.append((stage, rule_set, "(all)", counts.total()))
            lines += [
                (stage, rule_set, rule.name, counts[rule.name])
                for rule in resolve(stage, [rule_set])
                if counts[rule.name]
            ]
    return lines


def table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; bars and angle brackets in its cells are escaped."""
    rows = [header, ["---"] * len(header), *([_escaped(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _escaped(cell: Any) -> str:
    return str(cell).replace("|", "\\|").replace("<", "\\<")


def rule_table() -> str:
    """Return the Markdown table of all registered rules."""
    lines = [(stage, f"`{name}`", ", ".join(sets), description) for stage, name, sets, description in describe()]
    return table(("stage", "rule", "set", "what it does"), lines)
