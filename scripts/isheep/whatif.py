"""What other settings would have kept of a finished run: filters, de-duplication and selection again, without a model.

python -m isheep.whatif results/RUN --grid FILE

Only what was written can be replayed: a prompt that other rules would have let through was never answered, and an
answer that they would have let through was never assessed. Both are counted beside what is kept. A budget of tokens is
spent on what was written, in its order; prompts cost what their requests cost the run, an equal share each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isheep.config.overlay import lay
from isheep.config.places import Places
from isheep.config.run import Run
from isheep.data.rows import Row, read_rows, write_rows
from isheep.documents.rounds import read_funnel
from isheep.errors import UserError, command
from isheep.filters.registry import resolve
from isheep.health.stage import Files, measure
from isheep.outputs.answers import affordable, filter_rows
from isheep.prompts.maker import Collected, PromptMaker
from isheep.results import Run as Finished
from isheep.runner.portable import ROOT
from isheep.stages.measure_data import benchmark_files
from isheep.stages.table import table
from isheep.workflow.study import grid, read_study

HEADS = ("setting", "round", "prompts", "filtered", "selected", "unanswered", "unassessed", "words", "alarms")
REPLAYED = ("generate_prompts", "filter_outputs")


@dataclass(frozen=True)
class Kept:
    """What a setting keeps of d_i; `unanswered` and `unassessed` rows would have needed a model."""

    prompts: list[Row]
    filtered: int
    unanswered: int
    unassessed: int
    assessed: list[Row]
    selected: list[Row]


class Rounds:
    """The rows of a finished run, read once for all settings."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        self.run = settled(finished.settings)
        stages = [stage for stage in table().row_stages(self.run) if stage.place < table()["select_data"].place]
        self.scored_by = stages[-1].word
        self.rejects = [stage.word for stage in stages if stage.name in REPLAYED]
        self._read: dict[tuple[int, str, bool], list[Row]] = {}

    def rows(self, i: int, word: str, rejected: bool = False) -> list[Row]:
        """Return the rows of d_i that a stage kept or rejected."""
        key = (i, word, rejected)
        if key not in self._read:
            self._read[key] = list(read_rows(self.finished.file_of(i, word, rejected)))
        return self._read[key]

    def replay(self, run: Run, i: int, earlier: list[Row]) -> Kept:
        """Return what a setting keeps of d_i, given the prompts that it kept of earlier rounds."""
        collected = self.collected(run, i, earlier)
        prompts = {row["id"] for row in collected.rows}
        outputs = [row for row in self.rows(i, "outputs") if _prompt_of(row) in prompts]
        budget = run.outputs.budget
        most = affordable(outputs, budget, self.cost(i, collected)) if budget else None
        passed, _, _ = filter_rows(outputs, resolve("outputs", run.outputs.rules), i, most)
        scored = {row["id"]: row for row in self.rows(i, self.scored_by)}
        assessed = [scored[row["id"]] for row in passed if row["id"] in scored]
        selected = [row for row, why in zip(assessed, run.select.dropped(assessed), strict=True) if why is None]
        unanswered = len(prompts - {_prompt_of(row) for row in outputs})
        return Kept(collected.rows, len(passed), unanswered, len(passed) - len(assessed), assessed, selected)

    def cost(self, i: int, collected: Collected) -> int:
        """Return the tokens that writing prompts took, those rejected too: the run's, up to the last request needed.

        Exact where as many requests were needed as the run sent.
        """
        told = read_funnel(self.finished.file_of(i, "prompts").with_name("prompts.funnel.json"))
        sent = told.get("requests", 0)
        needed = collected.rows[-1]["request"] + 1 if collected.full and sent else sent
        return round(told.get("completion_tokens", 0) * min(1.0, needed / max(sent, 1)))

    def collected(self, run: Run, i: int, earlier: list[Row]) -> Collected:
        """Return the prompts of d_i that a setting's rules and de-duplication keep, of all that the model wrote.

        Those that were given, by a pool or the seeds, are read again.
        """
        maker = PromptMaker.of(run, i)
        collected = maker.begin(earlier if "earlier_rounds" in run.prompts.compare_with else [])
        if not run.prompts.asks:
            return collected
        rules = {rule.name for rule in resolve("prompts", self.run.prompts.rules)} | {"near_duplicate"}
        written = [*self.rows(i, "prompts"), *self.rows(i, "prompts", rejected=True)]
        for row in sorted(written, key=lambda row: row["id"]):
            if not collected.full:
                rule = row.get("rule")
                task = {key: value for key, value in row.items() if key not in ("rule", "like")}
                maker.sort(task, None if rule in rules else rule, collected)
        return collected


def _prompt_of(row: Row) -> str:
    return str(row["id"]).partition("/")[0]


def settled(settings: Mapping[str, Any]) -> Run:
    """Return settings as a finished run keeps them, or with others laid over them, as a run."""
    return Run.model_validate(settings, context=Places(ROOT, False))


def replay(finished: Finished, settings: Mapping[str, dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield a row of `HEADS` for every setting and round.

    Parameters
    ----------
    finished
        The run; its frames and rows are read, nothing is written.
    settings
        By label: what is laid over the run's settings.

    Raises
    ------
    UserError
        A setting reads a column that the finished rows lack, or a stage's rows are gone.
    """
    rounds = Rounds(finished)
    for label, changed in settings.items():
        run = settled(lay(dict(finished.settings), changed, Run))
        known = set(rounds.rows(0, rounds.scored_by)[0]) if rounds.rows(0, rounds.scored_by) else set()
        if missing := [column for column in run.select.columns if column not in known]:
            there = ", ".join(sorted(known))
            raise UserError(f"{label}: select reads {missing[0]!r}, which finished rows lack (there are: {there})")
        earlier: list[Row] = []
        with TemporaryDirectory() as folder:
            selected: list[str] = []
            for i in range(run.rounds):
                kept = rounds.replay(run, i, earlier)
                earlier += kept.prompts
                yield (label, f"d_{i}", len(kept.prompts), kept.filtered, len(kept.selected), kept.unanswered,
                       kept.unassessed, *_health(run, i, rounds, kept, Path(folder), selected))  # fmt: skip


def _health(run: Run, i: int, rounds: Rounds, kept: Kept, folder: Path, selected: list[str]) -> tuple[int | None, str]:
    """Return the median words of the selected outputs and the alarms that ring; their file joins `selected`."""
    files = {name: str(folder / f"{name}-{i}.jsonl") for name in ("evaluated", "selected")}
    write_rows(files["evaluated"], kept.assessed)
    write_rows(files["selected"], kept.selected)
    made = str(rounds.finished.file_of(i, "outputs"))
    places = Files(made, files["evaluated"], files["selected"], tuple(selected), run.seeds.path, benchmark_files(run))
    selected.append(files["selected"])
    if not kept.selected:
        return None, "nothing selected"
    health = measure(run, i, places, [])
    words = health["lengths"]["output"]["words"]["p50"] if "lengths" in health else None
    return words, ", ".join(alarm["name"] for alarm in health["alarms"]) or "none"


@command
def main(arguments: list[str] | None = None) -> int:
    """Print the table of a grid over a finished run."""
    parser = argparse.ArgumentParser(prog="python -m isheep.whatif", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a finished run, like results/demo")
    parser.add_argument("--grid", required=True, help="a YAML with `vary`, as a study has it")
    given = parser.parse_args(arguments)
    vary = read_study(Path(given.grid))["vary"]
    settings: dict[str, dict[str, Any]] = {"as it ran": {}}
    settings |= {"-".join(labels.values()): each for labels, each in grid(vary, given.grid)}
    replayed = replay(Finished(given.run), settings)
    rows = [HEADS, *(tuple("-" if cell is None else str(cell) for cell in row) for row in replayed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
