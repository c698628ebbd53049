"""What can be wrong before any model is loaded: checked while the graph is built, reported in one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isheep.assess.base import Assessor
from isheep.config.model import Model
from isheep.config.run import Run
from isheep.config.train import Train
from isheep.data.seeds import read_seeds
from isheep.errors import Problems, UserError
from isheep.filters.registry import resolve
from isheep.serving import preflight
from isheep.serving.gguf import parts
from isheep.training.forms import read_forms
from isheep.workflow.graph import Graph, base_folder, check_columns


def check(graph: Graph, problems: Problems | None = None) -> None:
    """Check every run's rules, seeds, template files and base model.

    Parameters
    ----------
    graph
        The graph of the runs that could be read.
    problems
        What was found wrong before, in the config itself; told in the same message.

    Raises
    ------
    UserError
        Lists every problem of every run, with its key, file or line.
    """
    problems = problems or Problems("before anything runs")
    for name, run in graph.config.runs.items():
        templates = _templates(run)
        judge = run.evaluation.judge if run.evaluation.is_judged else None
        data = {*run.evaluation.files, *([judge.calibration.path] if judge else [])}
        files = {file for stage, _ in graph.stages(name) for file in graph.files(name, stage)}
        coming = graph.links.coming(name, graph.place)  # made by another run before this one reads it
        files -= {*data, *templates.values(), run.seeds.path, *run.prompts.data, *coming}
        for test in (
            lambda run=run: resolve("prompts", run.prompts.rules),
            lambda run=run: resolve("outputs", run.outputs.rules),
            lambda name=name: graph.links.check(name),
            lambda this=(run, coming): _check_seeds(*this),
            lambda run=run: _check_style(run),
            *(lambda assessor=assessor: _check_assessor(assessor) for assessor in run.assess.assessors),
            *(lambda file=file: _check_text(file) for file in sorted(files)),
            *(lambda key=key, file=file: _check_template(key, file) for key, file in templates.items()),
            *(lambda file=file: _check_there(file) for file in sorted(data - coming - set(graph.datasets()))),
            *(
                lambda file=file: _check_braces(file)
                for file in sorted({*files, *data, *templates.values(), run.seeds.path, run.model.path or ""})
            ),
            lambda this=(run, coming): _check_model(*this),
            lambda this=(run, coming): _check_judge(*this),
            lambda run=run: _check_pairs(run),
            lambda run=run: check_columns(graph.table, run),
            lambda name=name: _check_folder(Path("results", name)),
            lambda name=name: graph.run(name),
        ):
            _note(problems, f"runs.{name}", test)
    _note(problems, "results", lambda: _check_folder(Path("results")))
    problems.raise_if_any()


def _check_folder(folder: Path) -> None:
    """Refuse a folder of results that is a link to nowhere, or no folder; a link to a folder is as good as one."""
    if folder.is_symlink() and not folder.exists():
        raise UserError(
            f"{folder}: a link to {folder.readlink()}, which is not there; mount or make it, or delete the link"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: no folder; move the file away")


def _note(problems: Problems, place: str, test: Callable[[], object]) -> None:
    try:
        test()
    except UserError as error:
        problems.add(place, str(error))


def _check_seeds(run: Run, coming: set[str]) -> None:
    if coming & {run.seeds.path, *run.prompts.data}:
        return
    seeds = read_seeds(run.seeds.path)
    run.prompts.check(seeds)
    if not run.outputs.goes_on and run.prompts.goes_on(seeds):
        raise UserError(
            f"outputs.kind {run.outputs.kind} writes inputs for an instruction and cannot go on with a conversation; "
            f"take another kind, or prompts of one question each (prompts.kind {run.prompts.kind})"
        )
    if not run.model.chat:
        run.outputs.check(seeds)


def _check_style(run: Run) -> None:
    """Check the files of the output style and of the forms in which tasks are trained."""
    if run.train.forms and Path(run.train.forms).is_file():
        read_forms(run.train.forms)
    if all(Path(file).is_file() for file in run.outputs.files):  # a missing one is told with the others
        run.outputs.check_files(Path(), run.engine.context_length - run.outputs.sampling.max_tokens)


def _check_assessor(assessor: Assessor) -> None:
    if all(Path(file).is_file() for file in assessor.files):  # a missing one is told with the others
        assessor.check(Path())


def _check_pairs(run: Run) -> None:
    if all(Path(file).is_file() for file in run.pairs.files(run)):  # a missing one is told with the others
        run.pairs.check(Path())


def _check_braces(file: str) -> None:
    if "{" in file or "}" in file:
        raise UserError(f"{file}: Snakemake takes braces in a path for a wildcard; rename it")


def _templates(run: Run) -> dict[str, str]:
    """Return the chat template files of a run by the keys that name them."""
    judge = getattr(run.evaluation.judge, "model", None)
    own = {"model.chat_template": run.model.chat_template}
    judges = (
        {} if judge is None or isinstance(judge, str) else {"evaluation.judge.model.chat_template": judge.chat_template}
    )
    return {key: file for key, file in (own | judges).items() if file}


def _check_template(key: str, file: str) -> None:
    try:
        _check_text(file)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


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


def _check_model(run: Run, coming: set[str]) -> None:
    if run.engine.name == "fake" or run.model.path in coming:
        return
    folder = base_folder(run.model)
    if folder is None:
        raise UserError(
            "model: no base model; give model.path (a folder), model.hub (an id) or preset (a file in config/models/)"
        )
    _check_weights(run.model, folder, run.engine.context_length, run.train)


def _check_judge(run: Run, coming: set[str]) -> None:
    """Check the evaluation's own judge, when it is there, as the base model is, but for training."""
    judge = run.evaluation.own_judge if run.has_own_judge else None
    if run.engine.name == "fake" or judge is None or judge.model is None:
        return
    try:
        folder = base_folder(judge.model)
        if folder is not None and folder not in coming:
            _check_weights(judge.model, folder, (judge.engine or run.engine).context_length)
    except UserError as error:
        raise UserError(f"evaluation.judge: {error}") from None


def _check_weights(model: Model, folder: str, context_length: int, train: Train | None = None) -> None:
    """Check a model that is there, or what it will be made of."""
    if Path(folder).exists() or not (model.hub or model.gguf):
        preflight.check(Path(folder), model, context_length, train)
    elif model.gguf:
        parts.check(model.gguf)
