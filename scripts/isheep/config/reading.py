"""A config file becomes settings: merged (defaults < model preset < recipe < run), checked, every mistake at once.

All mistakes in one pass: a wrong key is noted, taken out, and the rest is read again, so that what it hid shows too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model

from isheep.config.document import Config, Shards
from isheep.config.engine import engine_of_machine
from isheep.config.evaluation import ModelJudge
from isheep.config.nearest import suggest
from isheep.config.outputs import style_of_model
from isheep.config.overlay import lay
from isheep.config.places import Places
from isheep.config.run import Run
from isheep.config.section import Section
from isheep.config.shape import field_of, follow, is_number, items_of, kinds_of, section_for, sections_in
from isheep.config.source import QUOTES, Source, read_source
from isheep.errors import Problems, UserError

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
FIRST_RUN = "runs: {my-run: {preset: smollm2-135m-instruct}}"
ONLY_CONFIG = (
    "--config alone, so that no config file is read; name one, like --configfile config/config.yaml --config KEY=VALUE"
)
PASSES = 20
# The settings of a run without the checks that compare sections with each other.
_PARTS: Any = {key: (of.annotation, of) for key, of in Run.model_fields.items()}
Parts = create_model("Parts", __base__=Section, **_PARTS)


@dataclass(frozen=True)
class Reading:
    """What could be read of a config file, and everything that is wrong with it.

    `config` holds the runs whose preset and recipe are there, wrong keys at their defaults, so that files and models
    that they name can be checked in the same pass.
    """

    config: Config
    problems: Problems


def load(raw: dict[str, Any], root: Path, name: str = "config", place: str = "") -> Config:
    """Return the resolved settings of a config that Snakemake has read.

    Parameters
    ----------
    raw
        The parsed file: `runs` (name: settings, with optional `preset` and `recipe`) and optional `shards`.
    root
        Repository root, where config/models and config/recipes are.
    name
        What messages call the file.
    place
        Where results lie, seen from the working folder; with a prefix, paths are told whole.

    Raises
    ------
    UserError
        Lists every problem found, each with its key.
    """
    reading = _read(raw, Places(root, bool(place)), [], Problems(name))
    reading.problems.raise_if_any()
    return reading.config


def read_config(raw: dict[str, Any], root: Path, files: Sequence[Path | str], place: str = "") -> Reading:
    """Return the settings of config files and what is wrong with them, each with file, line and key.

    Parameters
    ----------
    raw, root, place
        As in `load`.
    files
        The config files that Snakemake has read, which tells neither lines nor keys that are there twice; none when
        `--config` alone was given.

    Raises
    ------
    UserError
        A file cannot be read at all.
    """
    problems = Problems(", ".join(dict.fromkeys(str(Path(file).name) for file in files)) or "--config")
    sources = [read_source(Path(file), problems) for file in files]
    if not files and "runs" not in raw:
        raise UserError(ONLY_CONFIG)
    if "runs" not in raw and len(files) == 1 and {"seed", "rounds", "model", "prompts"} <= set(raw):
        raw = {"runs": {Path(files[0]).absolute().parent.name: raw}}  # results/RUN/config.yaml, as a run leaves it
    return _read(raw, Places(root, bool(place)), sources, problems)


def _read(raw: dict[str, Any], places: Places, sources: list[Source], problems: Problems) -> Reading:
    mistakes = Mistakes(problems, sources)
    known = ["runs", "shards"]
    for key in raw:
        if key not in known:
            mistakes.add((str(key),), f"unknown key{suggest(key, known) if isinstance(key, str) else ''}")
    described = raw.get("runs")
    if not isinstance(described, dict) or not described:
        mistakes.add(("runs",), f"at least one run is needed, like {FIRST_RUN}")
        described = {}
    runs: dict[str, Run] = {}
    for run, settings in described.items():
        if not isinstance(run, str) or not RUN_NAME.fullmatch(run):
            mistakes.add(("runs", str(run)), _bad_name(run))
        elif (resolved := _resolve(settings, places.root, ("runs", run), mistakes)) is not None:
            whole = _validate(resolved, ("runs", run), Run, mistakes, places)
            runs |= {run: whole} if whole else {}
    shards = _validate(lay({}, raw.get("shards") or {}, Shards), ("shards",), Shards, mistakes, places)
    return Reading(Config.model_construct(runs=runs, shards=shards or Shards()), problems)


def _bad_name(run: Any) -> str:
    if isinstance(run, bool):
        return f"YAML reads this name (yes, no, on, off, true or false) as {str(run).lower()}; {QUOTES}"
    if isinstance(run, int | float | date):
        return f"YAML reads this name as a {'date' if isinstance(run, date) else 'number'}; {QUOTES}"
    if run is None:
        return "a run needs a name before the colon"
    return "a run's name is a folder's name: letters, digits, - and _ only, starting with no sign"


class Mistakes:
    """Notes mistakes under the file and line where the key stands: in a config file, a recipe or a preset."""

    def __init__(self, problems: Problems, sources: list[Source]) -> None:
        self.problems = problems
        self.sources = sources
        self.parts: dict[tuple[str, ...], list[Source]] = {}  # a run's recipe and preset, by the run's place

    def add(self, keys: tuple[str, ...], what: str) -> None:
        """Note one mistake."""
        place, key = self._line(keys), ".".join(keys)
        self.problems.add(f"{place}: {key}" if place else key, what)

    def _line(self, keys: tuple[str, ...]) -> str | None:
        """Return the place of a key; of what holds it where no file has it, as when it is missing."""
        if not self.sources:
            return None
        own = [source.place(keys) for source in reversed(self.sources)]
        parts = [source.place(keys[2:]) for source in self.parts.get(keys[:2], ())]
        above = [source.place(keys[:n]) for n in range(len(keys) - 1, 0, -1) for source in reversed(self.sources)]
        return next(filter(None, [*own, *parts, *above]), None)


def _resolve(settings: Any, root: Path, keys: tuple[str, ...], mistakes: Mistakes) -> dict[str, Any] | None:
    """Return a run's settings laid over those of its recipe and its model preset; None when one is not there."""
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        mistakes.add(keys, f"expected a mapping of settings, found {type(settings).__name__}")
        return None
    own = deepcopy(settings)
    parts = [
        _read_part(root / "config" / folder, own.pop(key, None), (*keys, key), mistakes)
        for key, folder in (("preset", "models"), ("recipe", "recipes"))
    ]
    preset, recipe = parts
    if preset is None or recipe is None:
        return None
    mistakes.parts[keys] = [recipe, preset]

    def over(below: dict[str, Any]) -> dict[str, Any]:
        return lay(lay(lay(below, preset.data, Run), recipe.data, Run), own, Run)

    told = over({})
    return _judge_of_preset(over(style_of_model(told) | engine_of_machine(told)), root, keys, mistakes)


def _judge_of_preset(told: dict[str, Any], root: Path, keys: tuple[str, ...], mistakes: Mistakes) -> dict[str, Any]:
    """Return a run's settings with the model of the preset that `evaluation.judge` names laid under the judge's own."""
    evaluation = told.get("evaluation")
    judge = evaluation.get("judge") if isinstance(evaluation, dict) else None
    if not isinstance(judge, dict) or judge.get("kind") != "model" or "preset" not in judge:
        return told
    own = {key: value for key, value in judge.items() if key != "preset"}
    preset = _read_part(root / "config/models", judge["preset"], (*keys, "evaluation", "judge", "preset"), mistakes)
    model = preset.data.get("model") if preset else None
    laid = lay({"model": model} if model else {}, own, ModelJudge)
    return told | {"evaluation": told["evaluation"] | {"judge": laid}}


def _read_part(folder: Path, name: Any, keys: tuple[str, ...], mistakes: Mistakes) -> Source | None:
    if name is None:
        return Source("", {})
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        mistakes.add(keys, f"there is no {folder.name}/{name}.yaml{suggest(name, known, of_run=False)}")
        return None
    try:
        return read_source(folder / f"{name}.yaml", mistakes.problems)
    except UserError as error:
        mistakes.add(keys, str(error))
        return None


def _validate(
    raw: dict[str, Any], keys: tuple[str, ...], section: type[Section], mistakes: Mistakes, places: Places
) -> Any:
    """Return a section of settings, without what is wrong in it; None when nothing of it can be read.

    What only a comparison of sections shows is told too, unless it speaks of a key that was taken out.
    """
    within = Parts if section is Run else section
    raw = deepcopy(raw)
    removed: set[str] = set()
    for place, what in list(_truth_values(raw, within, ())):
        mistakes.add((*keys, *place), what)
        removed |= _take_out(raw, place)
    for _ in range(PASSES):
        try:
            parts = within.model_validate(raw, context=places)
            break
        except ValidationError as error:
            found = _explain(error, within)
            for place, what in found:
                if not _speaks_of(what, removed):
                    mistakes.add((*keys, *place), what)
            taken = set().union(*(_take_out(raw, place) for place, _ in found))
            if not taken:
                return None
            removed |= taken
    else:
        return None
    if section is not Run:
        return parts
    try:
        return Run.model_validate(raw, context=places)
    except ValidationError as error:
        for place, what in _explain(error, Run):
            if not _speaks_of(what, removed):
                mistakes.add((*keys, *place), what)
    return Run.model_construct(**{key: getattr(parts, key) for key in Run.model_fields})


def _speaks_of(what: str, removed: set[str]) -> bool:
    return any(re.search(rf"\b{re.escape(key)}\b", what) for key in removed)


def _take_out(raw: Any, place: Sequence[str]) -> set[str]:
    """Take a key out of nested settings, or what holds it where it is not given; return the key that went."""
    holders = [raw]
    for key in place[:-1]:
        holder = holders[-1]
        inner = holder[int(key)] if isinstance(holder, list | tuple) else holder.get(key)
        if not isinstance(inner, dict | list | tuple):
            break
        holders.append(inner)
    for depth in range(min(len(holders), len(place)) - 1, -1, -1):
        holder, key = holders[depth], place[depth]
        if isinstance(holder, dict) and key in holder:
            del holder[key]
            return {key}
    return set()


def _truth_values(value: Any, annotation: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (place, what) of every `yes` that stands for a number."""
    if isinstance(value, bool) and is_number(annotation):
        yield place, f"expected a number (is {value}: YAML reads yes, on and true as True, no, off and false as False)"
    elif isinstance(value, dict):
        section = section_for(annotation, value.get("kind"))
        named = items_of(annotation, dict)
        for key, inner in value.items():
            of = field_of(section, key) if section else named
            yield from _truth_values(inner, of, (*place, str(key))) if of is not None else ()
    elif isinstance(value, list | tuple) and (item := items_of(annotation, tuple)) is not None:
        for number, inner in enumerate(value):
            yield from _truth_values(inner, item, (*place, str(number)))


def _explain(error: ValidationError, section: type[Section]) -> list[tuple[tuple[str, ...], str]]:
    """Return (place, what is wrong and what to write) of each mistake, one for each place."""
    said: dict[tuple[str, ...], list[str]] = {}
    for item in error.errors():
        place, whats = _one(item, section)
        known = said.setdefault(place, [])
        known += [what for what in whats if what not in known]
    explained = []
    for place, whats in said.items():
        if any("\0" in what for what in whats):  # several types are allowed: one sentence
            value = whats[0].partition("\0")[2]
            explained.append((place, " or ".join(what.partition("\0")[0] for what in whats) + value))
        else:
            explained += [(place, what) for what in whats]
    return explained


def _one(item: Any, section: type[Section]) -> tuple[tuple[str, ...], list[str]]:
    kind, loc = item["type"], item["loc"]
    if kind == "extra_forbidden":
        keys, annotation = follow(section, loc[:-1])
        known = [key for part in sections_in(annotation) for key in part.model_fields]
        return (*keys, str(loc[-1])), [f"unknown key{suggest(loc[-1], known)}"]
    keys, annotation = follow(section, loc)
    place = tuple(keys)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        known = [name for part in sections_in(annotation) for name in kinds_of(part)]
        if kind == "union_tag_not_found" and not isinstance(item["input"], dict):
            return place, [f"expected keys, like kind: {known[0]} (is {item['input']!r})"]
        given = item["input"].get("kind")
        if given is None:
            return place, [f"kind is missing; write one of kind: {', '.join(known)}"]
        return (*place, "kind"), [f"unknown kind {given!r}{suggest(given, known, of_run=False)}"]
    if kind == "missing":
        known = [name for part in sections_in(follow(section, place[:-1])[1]) for name in kinds_of(part)]
        hint = f"; write one of {', '.join(known)}" if place[-1] == "kind" and known else ""
        return place, [f"must be given{hint}"]
    if kind == "value_error":
        return place, item["msg"].removeprefix("Value error, ").split("\n")
    return place, [f"{item['msg']}\0 (is {item['input']!r}{_quotes(item)})"]


def _quotes(item: Any) -> str:
    """Return what YAML did to a value that was meant as text."""
    value = item["input"]
    if item["type"] != "string_type" or isinstance(value, dict | list) or value is None:
        return ""
    if isinstance(value, bool):
        return f": YAML reads yes, no, on and off so; {QUOTES}"
    return f"; {QUOTES}"
