"""What a run's folder holds that is still what would be made now; what of it was lost, and whom that concerns.

Judged by records, settings, code and content, never by time. A lost file is made again of the same, so it comes out the
same, and whoever has read it and stands needs neither to wait for it nor to run again:

    d_0/filtered.rejected.jsonl deleted     filter_outputs runs again; assess_outputs, which read its rows, does not
    iter_1/model deleted, a new benchmark   merge_model and evaluate_model run; d_1, made by that model, stays
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from isheep.data.files import read_json
from isheep.errors import UserError
from isheep.runner.portable import in_run, portable, portable_places, renamed
from isheep.workflow.weights import Weights

if TYPE_CHECKING:
    from isheep.workflow.graph import Graph


class Remains:
    """What of a graph's results is there.

    Parameters
    ----------
    graph
        The graph of the runs.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.weights = Weights(graph, self.record)
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

    def record(self, run: str, stage: str, i: int) -> dict[str, Any] | None:
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
        graph, record = self.graph, self.record(run, stage, i)
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
        return record if self.weights.are_known(run, stage, record) else None

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
