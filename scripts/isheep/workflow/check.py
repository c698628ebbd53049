"""What can be wrong before any model is loaded: checked while the graph is built, reported in one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isheep.assess.base import Assessor
from isheep.config.run import Run
from isheep.data.seeds import read_seeds
from isheep.errors import Problems, UserError
from isheep.filters.registry import resolve
from isheep.serving.models import check_folder
from isheep.workflow.graph import Graph, base_folder, check_columns


def check(graph: Graph) -> None:
    """Check every run's rules, seeds, template files and base model.

    Raises
    ------
    UserError
        Lists every problem of every run, with its key, file or line.
    """
    problems = Problems("before anything runs")
    for name, run in graph.config.runs.items():
        judge = run.evaluation.judge if run.evaluation.is_judged else None
        data = {*run.evaluation.files, *([judge.calibration.path] if judge else [])}
        files = {file for stage, _ in graph.stages(name) for file in graph.files(name, stage)} - data - {run.seeds.path}
        for test in (
            lambda run=run: resolve("prompts", run.prompts.rules),
            lambda run=run: resolve("outputs", run.outputs.rules),
            lambda run=run: _check_seeds(run),
            *(lambda assessor=assessor: _check_assessor(assessor) for assessor in run.assess.assessors),
            *(lambda file=file: _check_text(file) for file in sorted(files)),
            *(lambda file=file: _check_there(file) for file in sorted(data - set(graph.datasets()))),
            *(
                lambda file=file: _check_braces(file)
                for file in sorted({*files, *data, run.seeds.path, run.model.path or ""})
            ),
            lambda run=run: _check_model(run),
            lambda run=run: check_columns(graph.table, run),
        ):
            _note(problems, f"runs.{name}", test)
    problems.raise_if_any()


def _note(problems: Problems, place: str, test: Callable[[], object]) -> None:
    try:
        test()
    except UserError as error:
        problems.add(place, str(error))


def _check_seeds(run: Run) -> None:
    run.prompts.check(read_seeds(run.seeds.path))


def _check_assessor(assessor: Assessor) -> None:
    if all(Path(file).is_file() for file in assessor.files):  # a missing one is told with the others
        assessor.check(Path())


def _check_braces(file: str) -> None:
    if "{" in file or "}" in file:
        raise UserError(f"{file}: Snakemake takes braces in a path for a wildcard; rename it")


def _check_text(file: str) -> None:
    try:
        Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; paths start at the folder where snakemake is called") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start})") from None


def _check_there(file: str) -> None:
    if not Path(file).is_file():
        raise UserError(
            f"{file}: no such file; correct the benchmark's `path` in section evaluation, or set the benchmark to null"
        )


def _check_model(run: Run) -> None:
    if run.engine.name == "fake":
        return
    folder = base_folder(run.model)
    if folder is None:
        raise UserError(
            "model: no base model; give model.path (a folder), model.hub (an id) or preset (a file in config/models/)"
        )
    made_here = run.model.hub or run.model.gguf
    if not made_here or Path(folder).exists():
        check_folder(Path(folder), run.model, run.engine.context_length)
