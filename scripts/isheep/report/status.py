"""Where a run stands that has no page of its own yet: at work, stopped or failed, and how far it came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from isheep.config import load
from isheep.config.document import Config
from isheep.errors import UserError
from isheep.proof.results import SETTINGS
from isheep.runner.portable import ROOT
from isheep.runner.progress import title
from isheep.workflow import lock
from isheep.workflow.graph import Graph
from isheep.workflow.screen import told

PAGE = "unfinished.html"


@dataclass(frozen=True)
class Status:
    """How far a run came.

    Parameters
    ----------
    alive
        Whether a driver works in its folder.
    done, total
        Stages of all rounds that are made, and all there are.
    following
        The first that is not made.
    failures
        What stages that are not made said last, each with its name.
    """

    alive: bool
    done: int
    total: int
    following: str
    failures: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What stands on top of the page."""
        how = (
            "This run is at work" if self.alive else "This run has failed" if self.failures else "This run has stopped"
        )
        far = f"{self.done} of {self.total} stages are made, next is {self.following}"
        return f"{how}: {far}. What follows is no result yet."


def settings_of(folder: Path) -> Config:
    """Return the settings of the runs beside one, its own included: work may be shared among them.

    Raises
    ------
    UserError
        There is no run in the folder, or its settings cannot be read.
    """
    own = folder / SETTINGS
    if not own.is_file():
        raise UserError(f"{own}: not there: no run, or one that has not begun; name a folder like results/demo")
    files = folder.parent.glob(f"*/{SETTINGS}")
    raw = {file.parent.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}
    try:
        return load({"runs": raw}, ROOT, SETTINGS)
    except UserError:  # a neighbour's of another version
        return load({"runs": {folder.name: raw[folder.name]}}, ROOT, str(own))


def records(graph: Graph, run: str) -> tuple[list[str], Status | None]:
    """Return the records that a run has so far, and where it stands; None once it has all of them.

    Parameters
    ----------
    graph
        The graph of the run and its neighbours, seen from the working folder.
    run
        Its name.
    """
    stages = graph.made(run)
    paths = {stage: graph.record(run, *stage) for stage in stages}
    there = [path for path in paths.values() if Path(path).is_file()]
    missing = [stage for stage in stages if paths[stage] not in there]
    if not missing:
        return there, None
    alive = lock.look(Path.cwd()).is_ == "alive"
    failures = [] if alive else [said for stage in missing if (said := _said(run, *stage))]
    following = title(missing[0][0], {"run": run, "i": missing[0][1]})
    return there, Status(alive, len(there), len(stages), following, tuple(failures))


def _said(run: str, stage: str, i: int) -> str:
    """Return what a stage said last as it failed; nothing where it did not."""
    logs = sorted(str(file) for file in Path("logs", run).glob(f"*_{i}/{stage}*.log"))
    said = told(logs)
    return f"{title(stage, {'run': run, 'i': i})}: {said}" if said else ""
