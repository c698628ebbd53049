"""Results of one run as another's model or files: links between runs.

    runs:
      a: {...}
      b: {model: {path: results/a/iter_2/model}, seeds: {path: results/a/d_0/selected.jsonl}}

While a is in the config, b waits for it, and what decides a's result decides b's. Once a is finished it may leave the
config: its files are the user's then, and their content counts. Either way b's records tell the origin of what was read
(`runner.origin`), and name it without the other run's folder: the manifest holds its content, so that b can be made
again without a. A model is known by the identity that lies beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

from isheep.config import Config
from isheep.config.model import Model
from isheep.config.run import Run
from isheep.errors import UserError
from isheep.runner.origin import find_origin
from isheep.runner.portable import renamed
from isheep.stages.base import Read
from isheep.stages.table import Table

IDENTITY = "identity.json"


class Links:
    """Which results of other runs of a config its runs take.

    Parameters
    ----------
    config
        The settings; paths into the results of this folder begin with `results/` (`within`).
    table
        The stages.
    """

    def __init__(self, config: Config, table: Table) -> None:
        self._config = config
        self._table = table
        self._reads = self._leads = {run: dict(self._found(run)) for run in config.runs}
        self.order = self._ordered()

    def of(self, run: str, path: str | None) -> Read | None:
        """Return the result of another run of the config that a path of a run's settings leads to; None for others."""
        return self._reads[run].get(str(path))

    def among(self, run: str, files: list[str]) -> list[Read]:
        """Return the results of other runs among a stage's files."""
        return [read for file in files if (read := self.of(run, file))]

    def of_model(self, run: str, folder: str | None) -> list[str]:
        """Return the identity by which a model's folder is known that another run has made; nothing for others."""
        if folder is None:
            return []
        beside = str(PurePosixPath(folder).with_name(IDENTITY))
        if self.of(run, folder) or (Path(beside).is_file() and find_origin(Path(beside))):
            return [beside]
        return []

    def coming(self, run: str, place: Path) -> set[str]:
        """Return the paths of a run's settings that lead to what other runs have yet to make."""
        return {path for path in self._leads[run] if not (place / path).exists()}

    def real(self, file: Callable[[str, Read], str]) -> Config:
        """Return the config with links that lead to where results are, as `file` says: with the runs that own them."""
        names = {run: {path: file(run, read) for path, read in reads.items()} for run, reads in self._reads.items()}
        return _named(self._config, names)

    def check(self, run: str) -> None:
        """Raise UserError for a path of a run's settings that leads to no result, to its own, or back to itself."""
        for key, path in paths(self._table, self._config.runs[run]):
            other = _run_of(path)
            if other == run:
                raise UserError(f"{key}: {path} is this run's own result; name another run's")
            if other in self._config.runs and not self._read(other, path):
                raise UserError(
                    f"{key}: {path} is nothing that a stage of the run {other} makes; name a result like "
                    f"results/{other}/iter_1/model or results/{other}/d_0/selected.jsonl"
                )
        if run in self._circle:
            raise UserError(
                f"the runs {', '.join(self._circle)} take results of each other; leave out one of the paths"
            )

    def _found(self, run: str) -> Iterator[tuple[str, Read]]:
        for _, path in paths(self._table, self._config.runs[run]):
            other = _run_of(path)
            if other in self._config.runs and other != run and (read := self._read(other, path)):
                yield path, read
                if read.file == "model":
                    yield str(PurePosixPath(path).with_name(IDENTITY)), read._replace(file=IDENTITY)

    def _read(self, run: str, path: str) -> Read | None:
        """Return which stage of a run makes what lies at a path in its folder."""
        inside = PurePosixPath(path).relative_to(f"results/{run}").as_posix()
        for stage, i in self._table.of_run(self._config.runs[run]):
            for made in stage.makes:
                if f"{stage.folder.format(i=i)}/{made}" == inside:
                    return Read(stage.name, i, made, run)
        return None

    def _ordered(self) -> list[str]:
        """Return the runs, each after those whose results it takes; links that lead in a circle are dropped."""
        takes = {run: sorted({str(read.run) for read in reads.values()}) for run, reads in self._reads.items()}
        self._circle: list[str] = []
        try:
            return list(TopologicalSorter(takes).static_order())
        except CycleError as error:
            self._circle = sorted(set(error.args[1]))
            self._reads = {run: {} for run in self._reads}
            return list(self._reads)


def paths(table: Table, run: Run) -> Iterator[tuple[str, str]]:
    """Yield the paths of files and models in a run's settings, each with the section that names it."""
    judge = run.evaluation.own_judge
    models = {"model.path": run.model, "evaluation.judge.model.path": judge.model if judge else None}
    yield from ((key, model.path) for key, model in models.items() if isinstance(model, Model) and model.path)
    if run.seeds.path:
        yield "seeds.path", run.seeds.path
    seen = {run.seeds.path}
    for stage in table:
        if stage.present(run):
            yield from ((stage.settings[-1], file) for file in stage.files(run) if file not in seen)
            seen.update(stage.files(run))


def within(config: Config, table: Table, place: Path) -> Config:
    """Return a config in which every path into the results of this folder, however written, begins with `results/`."""
    results = os.path.realpath(place / "results")

    def normal(path: str) -> str:
        real = os.path.realpath(path)
        return f"results/{os.path.relpath(real, results)}" if real.startswith(f"{results}{os.sep}") else path

    names = {run: {path: normal(path) for _, path in paths(table, each)} for run, each in config.runs.items()}
    return _named(config, names)


def _named(config: Config, names: dict[str, dict[str, str]]) -> Config:
    """Return a config with the paths of each run replaced by others."""
    changed = {
        run: Run.model_validate(renamed(config.runs[run].model_dump(mode="json"), other))
        for run, each in names.items()
        if (other := {path: name for path, name in each.items() if path != name})
    }
    return Config.model_construct(runs={**config.runs, **changed}, shards=config.shards) if changed else config


def _run_of(path: str) -> str | None:
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 and parts[0] == "results" else None
