"""A study: a base run and what varies, as one file; it becomes the runs of one graph, which shares what they share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from isheep.config.nearest import suggest
from isheep.config.overlay import lay
from isheep.config.run import Run
from isheep.errors import UserError

KEYS = ("about", "base", "vary")
Settings = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What is studied: its name (the file's), what it is about, and for each run the value of every axis."""

    name: str
    about: str
    axes: dict[str, dict[str, str]]


def lay_out(config: Settings, root: Path) -> Study | None:
    """Put the runs of the study that `study` names into a config, in its place; None when it names none.

    Parameters
    ----------
    config
        As Snakemake read it: `study` (a file), and optionally `runs` with one run, which is laid over the study's base
        (a model of the user's, say).
    root
        Repository root, whose config/studies/ has what comes with it.

    Raises
    ------
    UserError
        The file cannot be read, or is no study.
    """
    if "study" not in config:
        return None
    file = str(config.pop("study"))
    read = read_study(next((path for path in (Path(file), root / file) if path.is_file()), Path(file)))
    own = config.get("runs") or {}
    if len(own) > 1:
        raise UserError(f"runs: {len(own)} runs, but a study takes one, laid over its base; leave the others out")
    base = lay(read.get("base") or {}, next(iter(own.values()), {}) or {}, Run)
    name, runs, axes = Path(file).stem, {}, {}
    for labels, settings in grid(read["vary"], file):
        run = re.sub(r"[^A-Za-z0-9_-]+", "_", "-".join([name, *labels.values()]))
        if run in runs:
            raise UserError(f"{file}: two runs would be named {run}; give their values other labels")
        runs[run], axes[run] = lay(base, settings, Run), labels
    config["runs"] = runs
    return Study(name, str(read.get("about", "")), axes)


def grid(vary: Settings, file: str) -> Iterator[tuple[dict[str, str], Settings]]:
    """Yield every combination of the values of a study's axes: the label of each axis, and the settings together.

    Raises
    ------
    UserError
        An axis (of the file) is neither a list of values of a key nor names with settings.
    """
    axes = {axis: dict(_values(axis, values, file)) for axis, values in vary.items()}
    for chosen in product(*(values.items() for values in axes.values())):
        together: Settings = {}
        for _, settings in chosen:
            together = lay(together, settings, Run)
        yield {axis: label for axis, (label, _) in zip(axes, chosen, strict=True)}, together


def read_study(file: Path) -> Settings:
    """Return a study's file: about, base, vary; raise UserError when it is none."""
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; write --config study=config/studies/seeds.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: no YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(read, dict) or not isinstance(read.get("vary"), dict) or not read["vary"]:
        raise UserError(f"{file}: a study needs `vary`, like vary: {{seed: [0, 1, 2]}}")
    for key in read:
        if key not in KEYS:
            raise UserError(f"{file}: {key}: unknown key{suggest(str(key), KEYS, of_run=False)}")
    return read


def _values(axis: str, values: Any, file: str) -> Iterator[tuple[str, Settings]]:
    """Yield (label, settings) of an axis: named settings, or the values of a key with dots."""
    if isinstance(values, dict) and values and all(isinstance(value, dict) for value in values.values()):
        yield from ((str(label), value) for label, value in values.items())
    elif isinstance(values, list) and values:
        for value in values:
            settings = value
            for key in reversed(axis.split(".")):
                settings = {key: settings}
            yield str(value), settings
    else:
        raise UserError(f"{file}: vary.{axis}: write a list of values of a key, or names with settings")
