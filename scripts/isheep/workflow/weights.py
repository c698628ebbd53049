"""Whether the weights that a stage hashed are still those that are there: told by their state, and by their bytes.

A state (sizes and times of files) is read in no time and changes with a copy or a touch; bytes are read again only then
and noted beside the stage's work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isheep.data.files import read_json, write_json
from isheep.errors import UserError
from isheep.serving import models

if TYPE_CHECKING:
    from isheep.workflow.graph import Graph

logger = logging.getLogger(__name__)
SEEN = ".work/{}/seen.json"  # undeclared: deleting it costs reading weights again
Record = dict[str, Any]


class Weights:
    """The models that stages of a graph hash.

    Parameters
    ----------
    graph
        The graph of the runs.
    record
        Gives the record of a stage in a run's own folder.
    """

    def __init__(self, graph: Graph, record: Callable[[str, str, int], Record | None]) -> None:
        self._graph = graph
        self._record = record

    def asked(self, run: str, stage: str) -> str | None:
        """Return the state of a model that a stage hashes; that with which it was asked, where the bytes are the same.

        A model of another run of the config has none: its identity file tells when it changes.
        """
        folder = self._folder(run, stage)
        if folder is None:
            return None
        noted, now = self._noted(run, stage), models.state(folder)
        if noted is None or not self._are_same(run, stage, folder, noted):
            return now
        if noted["asked"] != now:  # Snakemake deletes the record before its job, which must be asked the same
            self._note(run, stage, {"noted": noted})
        asked: str = noted["asked"]
        return asked

    def are_known(self, run: str, stage: str, record: Record) -> bool:
        """Return whether a stage has seen the weights that are there now, by its record; a stage without any has."""
        folder = self._folder(run, stage) if record.get("observed", {}).get("weights") else None
        noted = self._noted(run, stage) if folder else None
        return folder is None or noted is None or self._are_same(run, stage, folder, noted)

    def _folder(self, run: str, stage: str) -> Path | None:
        folder = self._graph.weights(run, stage, 0)
        if folder is None or self._graph.links.of(run, folder) or not (self._graph.place / folder).is_dir():
            return None
        return self._graph.place / folder

    def _file(self, run: str, stage: str, file: str | None = None) -> Path:
        return self._graph.place / self._graph.own(run, stage, 0, file)

    def _noted(self, run: str, stage: str) -> Record | None:
        """Return the state of the weights that a stage hashed, with what it was asked for, and their identity."""
        noted = (self._record(run, stage, 0) or {}).get("observed", {}).get("weights")
        try:
            return {**noted, "identity": read_json(self._file(run, stage))["sha256"]}
        except (OSError, UserError, KeyError, TypeError):
            return self._seen(run, stage).get("noted")

    def _seen(self, run: str, stage: str) -> Record:
        """Return what was noted of weights beside the work of the stage that hashes them; nothing where it is gone."""
        try:
            seen = read_json(self._file(run, stage, SEEN.format(stage)))
        except (OSError, UserError):
            return {}
        return seen if isinstance(seen, dict) else {}

    def _note(self, run: str, stage: str, more: Record) -> None:
        seen = self._seen(run, stage)
        if seen | more != seen:
            with suppress(OSError, UserError):  # a folder that cannot be written costs reading again
                write_json(self._file(run, stage, SEEN.format(stage)), seen | more)

    def _are_same(self, run: str, stage: str, folder: Path, noted: Record) -> bool:
        """Return whether a model has the bytes that a stage hashed; read again when its state is another, and noted."""
        now = models.state(folder)
        if now == noted["state"]:
            return True
        known = self._seen(run, stage)
        if now not in known:
            logger.warning("%s: looks changed since %s hashed it; its files are read again", folder, stage)
            known = {now: models.identity(folder)["sha256"]}
            self._note(run, stage, known)
        return bool(known[now] == noted["identity"])
