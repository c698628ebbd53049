"""Where the budget of a run ends it: what its rounds took, what the next one will take, and the decision before it.

A round is d_i with the model that is trained on it and what is measured of both: what it took is known once iter_i+1 is
measured. The decision is a file, made once: a killed driver finds it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from isheep.config.budget import UNITS
from isheep.config.run import Run
from isheep.documents.budget import Decision, fits, read_decision, words
from isheep.documents.stages import Stage, stage_of
from isheep.plan.work import of_stage
from isheep.proof.results import read_record, stage_key
from isheep.stages.table import table

if TYPE_CHECKING:
    from isheep.workflow.graph import Graph

FILE = "iter_{i}/budget.json"
Hours = dict[str, float]
"""By the units of section `budget`."""


def decision(folder: Path, i: int, run: Run) -> Decision | None:
    """Return what was decided before d_i under the budget that a run has now; None where nothing was.

    Parameters
    ----------
    folder, run
        The run's folder of results, and its settings.
    i
        The round.
    """
    file = folder / FILE.format(i=i)
    decided = read_decision(file) if run.budget.limits and file.is_file() else None
    return decided if decided and decided["budget"] == run.budget.limits else None


def within(run: Run, folder: Path) -> Run:
    """Return the settings of a run with the rounds that it has: those before a decision to stop, else all."""
    decided = (decision(folder, i, run) for i in range(1, run.rounds)) if run.budget.limits else ()
    stop = next((each for each in decided if each and not each["goes_on"]), None)
    return run.model_copy(update={"rounds": stop["round"]}) if stop else run


def stopped(graph: Graph, name: str) -> str | None:
    """Return how the budget of a run stopped it, in words; None where it did not."""
    run = graph.run(name)
    decided = decision(graph.place / "results" / name, run.rounds, run)
    return None if decided is None or decided["goes_on"] else words(decided)


def before(run: Run, i: int) -> list[tuple[str, int]]:
    """Return every stage of the rounds before d_i, the measures of iter_i among them."""
    return [(stage.name, at) for stage, at in table().of_run(run.model_copy(update={"rounds": i}))]


def block(stage: str, i: int) -> int:
    """Return the round whose costs a stage belongs to: a model belongs to the data that it is trained on."""
    return i if table()[stage].of == "round" else max(i - 1, 0)


def decide(graph: Graph, name: str, i: int) -> Decision:
    """Return whether a run goes on with d_i.

    A round that is made already costs nothing more, so a budget that is lowered takes nothing away.

    Parameters
    ----------
    graph, name
        The runs; the name of the one.
    i
        The round that would be next.
    """
    run = graph.config.runs[name]
    done = list(recorded(graph, name, before(run, run.rounds)))
    following = [each for each in before(run, i + 1) if block(*each) == i]
    left = [each for each in following if graph.remains.finished(graph.owner(name, *each), *each) is None]
    earlier = [stage for stage in done if block(stage.name, stage.round) < i]
    taken: Decision = {
        "round": i,
        "of": run.rounds,
        "goes_on": True,
        "budget": run.budget.limits,
        "spent": hours(done),
        "following": next_hours(left, earlier, lambda stage, at: _tokens(stage, run, at)),
    }
    return {**taken, "goes_on": not left or all(fits(taken, unit) for unit in run.budget.limits)}


def recorded(graph: Graph, name: str, stages: Iterable[tuple[str, int]]) -> Iterator[Stage]:
    """Yield those of a run's stages that have a record, whoever owns it."""
    for stage, i in stages:
        path = graph.record(name, stage, i)
        if Path(path).is_file():
            yield stage_of(stage_key(path), path, read_record(Path(path)))


def hours(stages: Iterable[Stage]) -> Hours:
    """Return what stages took, shards included."""
    every = list(stages)
    seconds, gpu_seconds = (sum(each) for each in ([s.seconds for s in every], [s.gpu_seconds for s in every]))
    return {"gpu_hours": gpu_seconds / 3600, "hours": seconds / 3600}


def next_hours(left: Iterable[tuple[str, int]], done: list[Stage], tokens: Callable[[str, int], int]) -> Hours:
    """Return what stages will take: the most that each took in a round before, in proportion to its tokens.

    Parameters
    ----------
    left
        The stages, each with its round.
    done
        Stages of the rounds before, as recorded; one that none of them had takes nothing.
    tokens
        Gives the tokens of a stage in a round as settings tell, 0 where they do not: rows that add up from round to
        round take longer each time.
    """
    will = dict.fromkeys(UNITS, 0.0)
    for name, i in left:
        took = [(stage, _growth(tokens(name, i), tokens(name, stage.round))) for stage in done if stage.name == name]
        will["hours"] += max((stage.seconds * growth for stage, growth in took), default=0.0) / 3600
        will["gpu_hours"] += max((stage.gpu_seconds * growth for stage, growth in took), default=0.0) / 3600
    return will


def _growth(now: int, then: int) -> float:
    return now / then if now and then else 1.0


def _tokens(stage: str, run: Run, i: int) -> int:
    work = of_stage(stage, run, i)
    return work.read + work.written + work.trained
