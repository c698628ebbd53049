"""A run's numbers handed to a tracker: `python -m isheep.export mlflow results/RUN`, or `wandb`.

Settings become parameters, every metric of every model and every measure of the data a series over rounds, costs and
the page come along. The trackers' own libraries are not part of this environment and do all that asks a network.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from isheep.documents.tables import rows_of
from isheep.errors import UserError, command
from isheep.results import Run

ODD = re.compile(r"[^\w\-./ ]")  # what MLflow takes in no name
FILES = ("report.html", "summary.txt", "manifest.json", "scores.csv", "funnel.csv", "costs.csv")

Number = tuple[int, str, float]
"""Round, name, value."""


def series(run: Run) -> Iterator[Number]:
    """Yield every number of a run as round, name and value: scores of iter_i, rows, health and costs of round i."""
    for row in rows_of(run.scores):
        if row["error"] is None and row["counts"] and row["value"] is not None:
            name = f"scores/{row['benchmark']}/{row['metric']}"
            yield row["round"], name, row["value"]
            if row["minus_base"] is not None:
                yield row["round"], f"{name}.minus_base", row["minus_base"]
    for row in rows_of(run.funnel):
        yield row["round"], f"rows/{row['stage']}", row["rows_out"]
    for row in rows_of(run.health):
        if row["value"] is not None:
            yield row["round"], f"health/{row['measure'].replace('/', '.')}", row["value"]
    for row in rows_of(run.training):
        if row["after"] is not None:
            yield row["round"], "training/heldout_loss", row["after"]
    for row in rows_of(run.costs):
        for kind in ("tokens", "seconds", "gpu_hours"):
            yield row["round"], f"costs/{row['stage']}/{kind}", row[kind]


def flat(settings: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting with its place in dots, its value as text."""
    if isinstance(settings, dict) and settings:
        for key, value in settings.items():
            yield from flat(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, str(settings)


def to_mlflow(run: Run, project: str, numbers: Sequence[Number]) -> None:
    """Write a run into MLflow, where its own settings (MLFLOW_TRACKING_URI) say."""
    mlflow = _library("mlflow")
    mlflow.set_experiment(project)
    with mlflow.start_run(run_name=run.name):
        mlflow.log_params({ODD.sub("_", place): value[:500] for place, value in flat(run.settings)})
        for i, name, value in numbers:
            mlflow.log_metric(ODD.sub("_", name), float(value), step=i)
        for file in _files(run):
            mlflow.log_artifact(str(file))


def to_wandb(run: Run, project: str, numbers: Sequence[Number]) -> None:
    """Write a run into Weights & Biases, where its own settings (WANDB_MODE, WANDB_API_KEY) say."""
    wandb = _library("wandb")
    with wandb.init(project=project, name=run.name, config=run.settings) as tracked:
        steps: dict[int, dict[str, float]] = {}
        for i, name, value in numbers:
            steps.setdefault(i, {})[name] = float(value)
        for i, values in sorted(steps.items()):
            tracked.log(values, step=i)
        artifact = wandb.Artifact(f"{run.name}-report", type="report")
        for file in _files(run):
            artifact.add_file(str(file))
        tracked.log_artifact(artifact)


TRACKERS = {"mlflow": to_mlflow, "wandb": to_wandb}


def _files(run: Run) -> list[Path]:
    return [file for name in FILES if (file := run.folder / name).is_file()]


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        python = "python -m pip install"
        raise UserError(
            f"{name} is not installed here; type: {python} {name} (into an environment of your own)"
        ) from None


@command
def main(arguments: list[str] | None = None) -> int:
    """Export a run; return 1, with a line that says what is wrong, when it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m isheep.export", description="Hand a run's numbers to a tracker.")
    parser.add_argument("tracker", choices=sorted(TRACKERS))
    parser.add_argument("folder", help="results/RUN")
    parser.add_argument("--project", default="isheep", help="experiment of MLflow, project of Weights & Biases")
    given = parser.parse_args(arguments)
    run = Run(given.folder)
    try:
        numbers = list(series(run))  # before anything is told a tracker, which keeps what was begun
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; type `snakemake`, which makes it again") from None
    try:
        TRACKERS[given.tracker](run, given.project, numbers)
    except UserError:
        raise
    except Exception as error:  # trackers and their servers raise whatever they like
        raise UserError(f"{given.tracker}: {(str(error) or repr(error)).splitlines()[0]}") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
