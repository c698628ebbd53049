"""What a run's folder holds that is still what would be made now; what of it was lost, and whom that concerns.

Judged by records, settings, code and content, never by time. A lost file is made again of the same, so it comes out the
same, and whoever has read it and stands needs neither to wait for it nor to run again:

    d_0/filtered.rejected.jsonl deleted     filter_outputs runs again; assess_outputs, which read its rows, does not
    iter_1/model deleted, a new benchmark   merge_model and evaluate_model run; d_1, made by that model, stays
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isheep.data.files import read_json, write_json
from isheep.errors import UserError
from isheep.runner.portable import in_run, portable, portable_places, renamed
from isheep.serving import models

if TYPE_CHECKING:
    from isheep.workflow.graph import Graph


logger = logging.getLogger(__name__)
SEEN = ".work/{}/seen.json"  # undeclared: deleting it costs reading weights again


class Remains:
    """What of a graph's results is there.

    Parameters
    ----------
    graph
        The graph of the runs.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.settled = cache(self._settled)
        self.missing = cache(self._missing)
        self._is_unchanged = cache(self._unchanged)
        self._places = cache(lambda run: portable_places(graph.config.runs[run].model_dump()))

    def finished(self, run: str, stage: str, i: int) -> dict[str, Any] | None:
        """Return the record of a settled stage whose result is there; else None."""
        record = self.settled(run, stage, i)
        return record if record and (self.graph.place / self.graph.own(run, stage, i)).exists() else None

    def lost(self, run: str, stage: str, i: int) -> bool:
        """Return whether a stage, unchanged with all before it, misses something of what it made."""
        return bool(self.missing(run, stage, i)) and self._all_unchanged(run, stage, i)

    def stands(self, run: str, stage: str, i: int) -> bool:
        """Return whether a stage, unchanged with all before it, has all that it made."""
        return not self.missing(run, stage, i) and self._all_unchanged(run, stage, i)

    def weights(self, run: str, stage: str) -> str | None:
        """Return the state of a model that a stage hashes; that with which it was asked, where the bytes are the same.

        A model of another run of the config has none: its identity file tells when it changes.
        """
        folder = self._weights_folder(run, stage)
        if folder is None:
            return None
        noted, now = self._noted_weights(run, stage), models.state(folder)
        if noted is None or not self._same_weights(run, stage, folder, noted):
            return now
        if noted["asked"] != now:  # Snakemake deletes the record before its job, which must be asked the same
            self._note_weights(run, stage, {"noted": noted})
        return noted["asked"]

    def _weights_folder(self, run: str, stage: str) -> Path | None:
        folder = self.graph.weights(run, stage, 0)
        if folder is None or self.graph.links.of(run, folder) or not (self.graph.place / folder).is_dir():
            return None
        return self.graph.place / folder

    def _noted_weights(self, run: str, stage: str) -> dict[str, Any] | None:
        """Return the state of the weights that a stage hashed, with what it was asked for, and their identity."""
        graph = self.graph
        noted = (self._record(run, stage, 0) or {}).get("observed", {}).get("weights")
        try:
            return {**noted, "identity": read_json(graph.place / graph.own(run, stage, 0))["sha256"]}
        except (OSError, UserError, KeyError, TypeError):
            return self._seen_weights(run, stage).get("noted")

    def _seen_weights(self, run: str, stage: str) -> dict[str, Any]:
        """Return what was noted of weights beside the work of the stage that hashes them; nothing where it is gone."""
        try:
            seen = read_json(self.graph.place / self.graph.own(run, stage, 0, SEEN.format(stage)))
        except (OSError, UserError):
            return {}
        return seen if isinstance(seen, dict) else {}

    def _note_weights(self, run: str, stage: str, more: dict[str, Any]) -> None:
        seen = self._seen_weights(run, stage)
        if seen | more != seen:
            with suppress(OSError, UserError):  # a folder that cannot be written costs reading again
                write_json(self.graph.place / self.graph.own(run, stage, 0, SEEN.format(stage)), seen | more)

    def _same_weights(self, run: str, stage: str, folder: Path, noted: dict[str, Any]) -> bool:
        """Return whether a model has the bytes that a stage hashed; read again when its state is another, and noted."""
        now = models.state(folder)
        if now == noted["state"]:
            return True
        known = self._seen_weights(run, stage)
        if now not in known:
            logger.warning("%s: looks changed since %s hashed it; its files are read again", folder, stage)
            known = {now: models.identity(folder)["sha256"]}
            self._note_weights(run, stage, known)
        return bool(known[now] == noted["identity"])

    def _knows_weights(self, run: str, stage: str, record: dict[str, Any]) -> bool:
        """Return whether a stage that hashes a model has seen the weights that are there now."""
        folder = self._weights_folder(run, stage) if record.get("observed", {}).get("weights") else None
        noted = self._noted_weights(run, stage) if folder else None
        return folder is None or noted is None or self._same_weights(run, stage, folder, noted)

    def _record(self, run: str, stage: str, i: int) -> dict[str, Any] | None:
        """Return the record of a stage in a run's own folder; None where there is none that can be read."""
        try:
            record = read_json(self.graph.place / self.graph.own(run, stage, i, f"records/{stage}.json"))
        except (OSError, UserError):
            return None
        return record if isinstance(record, dict) and isinstance(record.get("made"), dict) else None

    def _missing(self, run: str, stage: str, i: int) -> list[str]:
        """Return what a stage once made, by its record, and what is no more in a run's own folder."""
        place, graph = self.graph.place, self.graph
        if not (place / graph.own(run, stage, i, f"records/{stage}.json")).exists():
            return []
        made = (graph.own(run, stage, i, file) for file in graph.table[stage].makes)
        return [file for file in made if not (place / file).exists()]

    def _settled(self, run: str, stage: str, i: int) -> dict[str, Any] | None:
        """Return the record of a stage in a run's own folder when it is of what decides the stage now; else None.

        Its settings and the user's files are those of now, and each file that it read is the one that the stage before
        it, settled in the same sense, has made. What it made may be gone.
        """
        graph, record = self.graph, self._record(run, stage, i)
        if record is None:
            return None
        made, inputs = record["made"], {in_run(name): sha256 for name, sha256 in record["made"]["inputs"].items()}
        wanted = graph.contents(run, stage)
        names = {file: portable(file, sha256 or "") for file, sha256 in wanted.items()}
        if renamed(graph.settings(run, stage), names | self._places(run)) != made["settings"]:
            return None
        if not set(wanted.values()) <= set(inputs.values()):
            return None
        for read in graph.upstream(run, stage, i):
            before = self.settled(graph.owner(read.run or run, read.stage, read.i), read.stage, read.i)
            made_before = before["made"]["outputs"] if before else {}
            path = graph.file(run, read)
            was_read = inputs.values() if read.run else [inputs.get(in_run(path))]
            if path not in made_before or made_before[path] not in was_read:
                return None
        return record if self._knows_weights(run, stage, record) else None

    def _all_unchanged(self, run: str, stage: str, i: int) -> bool:
        """Look at the stages in the order of the graph: a hundred rounds need no deep recursion."""
        for each in self.graph.stages(run):
            self._is_unchanged(run, *each)
            if each == (stage, i):
                break
        return self._is_unchanged(run, stage, i)

    def _unchanged(self, run: str, stage: str, i: int) -> bool:
        """Return whether a stage and all before it, whoever owns them, would be made of the same, by the same code."""
        graph = self.graph
        record = self.settled(run, stage, i)
        return (
            record is not None
            and record["made"].get("code") == graph.code(run, stage)
            and all(
                self._is_unchanged(graph.owner(read.run or run, read.stage, read.i), read.stage, read.i)
                for read in graph.upstream(run, stage, i)
            )
        )
