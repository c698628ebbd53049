"""The table of stages: every module of this package that declares one, in their order."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import import_module

import isheep.stages
from isheep.config.run import Run
from isheep.stages.base import Round, Stage


class Table:
    """The stages by name, in the order of their places."""

    def __init__(self, stages: list[Stage]) -> None:
        self._stages = {stage.name: stage for stage in sorted(stages, key=lambda stage: stage.place)}

    def __getitem__(self, name: str) -> Stage:
        return self._stages[name]

    def __contains__(self, name: str) -> bool:
        return name in self._stages

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    def row_stages(self, run: Run | None = None) -> list[Stage]:
        """Return the stages that pass rows on, first to last: all of them, or those that a run has."""
        return [stage for stage in self if stage.passes_rows and (run is None or stage.present(run))]

    @cached_property
    def words(self) -> dict[str, str]:
        """The words for what row stages make, by their names, in order."""
        return {stage.name: stage.word for stage in self.row_stages()}

    def does(self, name: str) -> str:
        """Return what a stage, or a job that is none, does in two words."""
        return self[name].does if name in self else Stage.does

    @property
    def kinds_of_work(self) -> list[str]:
        """What stages do in two words, each once, in order; last what all others do."""
        named = [stage.does for stage in self if stage.does != Stage.does]
        return [*dict.fromkeys(named), Stage.does]

    def of_run(self, run: Run) -> Iterator[tuple[Stage, int]]:
        """Yield every stage of a run with its round, in an order in which they can run.

        The turn of iter_i: it is trained and merged, then measured, then makes d_i.
        """
        present = [stage for stage in self if stage.present(run)]
        for i in range(run.rounds + 1):
            for turn in (("trained",), ("once", "model"), ("round",)):
                yield from ((stage, i) for stage in present if stage.of in turn and i in stage.rounds(run))

    def at(self, run: Run, i: int) -> Round:
        """Return a round of a run, as declarations see it."""
        return Round(run, i, self)


@cache
def table() -> Table:
    """Return the table of all stages: a module of this package declares one by the name `STAGE`."""
    names = (module.name for module in pkgutil.iter_modules(isheep.stages.__path__) if module.name != "__main__")
    modules = (import_module(f"isheep.stages.{name}") for name in names)
    return Table([module.STAGE for module in modules if hasattr(module, "STAGE")])
