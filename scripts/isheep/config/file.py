"""A config file: read, merged (defaults < model preset < recipe < run), checked, all problems in one message."""

from __future__ import annotations

import re
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from isheep.config.run import Run
from isheep.config.section import Section
from isheep.errors import Problems, UserError

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Shards(Section):
    """Jobs into which a model stage is split; changing a number never changes or repeats a finished stage."""

    generate_prompts: int = Field(1, ge=1, le=999, description="Shards of generate_prompts.")
    generate_outputs: int = Field(1, ge=1, le=999, description="Shards of generate_outputs.")
    assess_outputs: int = Field(1, ge=1, le=999, description="Shards of assess_outputs.")
    evaluate_model: int = Field(1, ge=1, le=999, description="Shards of evaluate_model.")


class Config(Section):
    """A config file, resolved."""

    runs: dict[str, Run] = Field(description="Run name: settings.")
    shards: Shards = Field(Shards(), description="How model stages are split into jobs.")


def load(raw: dict[str, Any], root: Path, name: str = "config") -> Config:
    """Return the resolved settings of a config file.

    Parameters
    ----------
    raw
        The parsed file: `runs` (name: settings, with optional `preset` and `recipe`) and optional `shards`.
    root
        Repository root, where config/models and config/recipes are.
    name
        What messages call the file.

    Raises
    ------
    UserError
        Lists every problem found, each with its key.
    """
    problems = Problems(name)
    for key in sorted(set(raw) - {"runs", "shards"}):
        problems.add(key, f"unknown key{_nearest(key, ['runs', 'shards'])}")
    runs: dict[str, Run] = {}
    described = raw.get("runs")
    if not isinstance(described, dict) or not described:
        problems.add("runs", "at least one run is needed, like runs: {my-run: {preset: smollm2-135m-instruct}}")
        described = {}
    for run, settings in described.items():
        key = f"runs.{run}"
        if not isinstance(run, str) or not RUN_NAME.fullmatch(run):
            problems.add(key, "a run's name is a folder's name: letters, digits, - and _ only, starting with no sign")
            continue
        try:
            runs[run] = Run.model_validate(resolve(settings or {}, root, key))
        except UserError as error:
            problems.add(*str(error).split(": ", 1))
        except ValidationError as error:
            _explain(problems, key, error, Run)
    try:
        shards = Shards.model_validate(raw.get("shards") or {})
    except ValidationError as error:
        _explain(problems, "shards", error, Shards)
    problems.raise_if_any()
    return Config(runs=runs, shards=shards)


def resolve(settings: dict[str, Any], root: Path, key: str) -> dict[str, Any]:
    """Return a run's settings laid over those of its recipe and its model preset."""
    if not isinstance(settings, dict):
        raise UserError(f"{key}: expected a mapping of settings, found {type(settings).__name__}")
    own = deepcopy(settings)
    preset = _read_part(root / "config" / "models", own.pop("preset", None), f"{key}.preset")
    recipe = _read_part(root / "config" / "recipes", own.pop("recipe", None), f"{key}.recipe")
    return _overlay(_overlay(preset, recipe), own)


def _read_part(folder: Path, name: str | None, key: str) -> dict[str, Any]:
    if name is None:
        return {}
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise UserError(f"{key}: there is no {folder.name}/{name}.yaml{_nearest(str(name), known)}")
    return yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) or {}


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another; mappings merge, unless they are of different kinds; all else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        same_kind = both and value.get("kind", old.get("kind")) == old.get("kind")
        merged[key] = _overlay(old, value) if same_kind else value
    return merged


def _explain(problems: Problems, key: str, error: ValidationError, section: type[Section]) -> None:
    for item in error.errors():
        place = ".".join([key, *(str(part) for part in item["loc"])])
        if item["type"] == "extra_forbidden":
            what = f"unknown key{_nearest(str(item['loc'][-1]), _known_keys(section, item['loc'][:-1]))}"
        else:
            what = item["msg"].removeprefix("Value error, ")
            if item["type"] not in ("value_error", "missing"):
                what += f" (is {item['input']!r})"
        problems.add(place, what)


def _known_keys(section: Any, place: tuple[Any, ...]) -> list[str]:
    for part in place:
        field = getattr(section, "model_fields", {}).get(part)
        if field is None:
            return []
        section = field.annotation
    return list(getattr(section, "model_fields", {}))


def _nearest(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f" (known: {', '.join(known)})" if known else ""
