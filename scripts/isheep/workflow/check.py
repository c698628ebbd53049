"""What can be wrong before any model is loaded: checked while the graph is built, reported in one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isheep.assess.rubric import read_rubric
from isheep.config.run import Run
from isheep.data.seeds import read_seeds
from isheep.errors import Problems, UserError
from isheep.filters.registry import resolve
from isheep.serving import preflight
from isheep.workflow.graph import Graph, base_folder


def check(graph: Graph) -> None:
    """Check every run's rules, seeds, template files and base model.

    Raises
    ------
    UserError
        Lists every problem of every run, with its key, file or line.
    """
    problems = Problems("before anything runs")
    for name, run in graph.config.runs.items():
        data = {file for stage in graph.evaluation_stages(name) for file in graph.files(name, stage)}
        files = {file for stage, _ in graph.stages(name) for file in graph.files(name, stage)} - data - {run.seeds.path}
        rubrics = sorted({assessor.rubric for assessor in run.assess.assessors if assessor.kind == "judge"})
        for test in (
            lambda run=run: resolve("prompts", run.prompts.rules),
            lambda run=run: resolve("outputs", run.outputs.rules),
            lambda run=run: _check_seeds(run),
            *(lambda file=file: read_rubric(Path(file)) for file in rubrics if Path(file).is_file()),
            *(lambda file=file: _check_text(file) for file in sorted(files)),
            *(lambda file=file: _check_there(file) for file in sorted(data - set(graph.datasets()))),
            *(
                lambda file=file: _check_braces(file)
                for file in sorted({*files, *data, run.seeds.path, run.model.path or ""})
            ),
            lambda run=run: _check_model(run),
        ):
            _note(problems, f"runs.{name}", test)
    problems.raise_if_any()


def _note(problems: Problems, place: str, test: Callable[[], object]) -> None:
    try:
        test()
    except UserError as error:
        problems.add(place, str(error))


def _check_seeds(run: Run) -> None:
    count = len(read_seeds(run.seeds.path))
    if run.prompts.shots > count:
        raise UserError(f"prompts.shots: {run.prompts.shots} seeds to show, but {run.seeds.path} has {count}")


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
        preflight.check(Path(folder), run.model, run.engine.context_length, run.train)
