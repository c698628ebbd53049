"""A manifest becomes a folder in which its run is made again: settings, the user's files, the manifest to compare."""

from __future__ import annotations

import base64
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from isheep.config import RUN_NAME
from isheep.data.files import publish
from isheep.documents.records import ManifestMade, Settings
from isheep.errors import UserError
from isheep.proof.results import MANIFEST, read_manifest, read_sealed
from isheep.runner.portable import judge_model

KEYS = ("manifest", "model", "judge", "tasks", "tolerance", "trust", "runs", "shards")
OUTSIDE = "outside/"  # how a manifest begins the name of what lay elsewhere
TOLERANCE = 1e-5
MARK = "# Written by `snakemake reproduce`: the settings of the run that is made again here.\n"


@dataclass(frozen=True)
class Reproduction:
    """Where a run is made again, after which manifest, and how far numbers may lie apart."""

    folder: Path
    manifest: Path
    run: str
    tolerance: float


def prepare(asked: dict[str, Any], folder: Path | None) -> Reproduction:
    """Lay out the folder of a reproduction, and put the settings of the run into the config.

    Parameters
    ----------
    asked
        The config of `snakemake --config manifest=FILE`: optional are `model` (folder of the base model), `judge`
        (folder or address of the evaluation's judge), `tasks` (folder of lm-eval's task files), `tolerance` and `trust`
        (accept a manifest that runs a model's own Python files or loads pickles). Afterwards it holds `runs` and, if it
        was there, `shards`.
    folder
        The folder; by default `reproductions/{run}` in the current one.

    Raises
    ------
    UserError
        The manifest is not there, was edited, needs a file or model that is not at hand, or asks for trust.
    """
    unknown = sorted(set(asked) - set(KEYS))
    if unknown:
        raise UserError(f"--config {unknown[0]}: unknown beside manifest (known: {', '.join(KEYS[1:6])})")
    path = Path(asked["manifest"]).absolute()
    if not path.is_file():
        raise UserError(f"{asked['manifest']}: no such file; with --directory give the whole path of the manifest")
    made = _check(path)
    run = made["run"]
    folder = Path("reproductions", run) if folder is None else Path(folder)
    if (folder / "results" / run / MANIFEST).resolve() == path.resolve():
        raise UserError(f"{path}: this is the run itself; make it again in another folder")
    settings = deepcopy(made["settings"])
    settings["model"] = _model(made, asked.get("model"), asked.get("trust"))
    _find_outside(settings["evaluation"], asked)
    for name, content in made["files"].items():
        _write(folder, name, content)
    runs = {"runs": {run: settings}}
    text = MARK + yaml.safe_dump(runs, sort_keys=False, allow_unicode=True)
    _place(folder / "config.yaml", text.encode(), mine=MARK.encode())
    try:
        tolerance = float(asked.get("tolerance", TOLERANCE))
    except ValueError:
        raise UserError(f"--config tolerance={asked['tolerance']}: not a number") from None
    shards = {"shards": asked["shards"]} if "shards" in asked else {}
    asked.clear()
    asked.update({**runs, **shards})
    return Reproduction(folder, path, run, tolerance)


def _check(path: Path) -> ManifestMade:
    """Return what a manifest tells of a run, when it can be made again from it."""
    number = read_sealed(path)["made"].get("format")
    if number != 1:
        raise UserError(f"{path}: a manifest of format {number!r}; this workflow reads format 1")
    made = read_manifest(path)["made"]
    if not RUN_NAME.fullmatch(made["run"]):
        raise UserError(f"{path}: {made['run']!r} is no name of a run; it was not made by this workflow")
    for name in made["files"]:
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or ".." in parts or not parts or parts[0] == "results":
            raise UserError(f"{path}: names the file {name!r} outside its folder; it was not made by this workflow")
    return made


def _model(made: ManifestMade, given: str | None, trust: Any) -> Settings:
    """Return the section `model`, with the folder that the user gave for a base model that lay in one."""
    model = dict(made["settings"]["model"])
    if (model["trust_remote_code"] or model["allow_pickle"]) and not trust:
        raise UserError(
            "the manifest sets model.trust_remote_code or model.allow_pickle: its model could run any code here; "
            "if you trust who made it, add trust=true after --config"
        )
    if given:
        return {**model, "path": _folder("model", given), "hub": None, "gguf": None}
    if model["path"]:
        raise UserError(
            f"the base model was {_called(made)} (identity {made['models']['iter_0'][:12]}); "
            "say where it is: --config manifest=... model=FOLDER"
        )
    return model


def _called(made: ManifestMade) -> str:
    """Return how a base model that lay in a folder is called: by the run that made it, or by the folder's name."""
    stage = made["stages"].get("iter_0/identify_model")
    origins = stage.get("origins", {}).values() if stage else ()
    folder = f"the folder {Path(made['settings']['model']['path']).name!r}"
    return next((f"{each['stage'].partition('/')[0]} of the run {each['run']!r}" for each in origins), folder)


def _find_outside(evaluation: Settings, asked: dict[str, Any]) -> None:
    """Put what the user gave in the place of folders and addresses that a manifest does not tell."""
    judge, harness = evaluation["judge"] or {}, evaluation["harness"] or {}
    places = (
        ("judge", "FOLDER", judge_model(judge), "path"),
        ("judge", "URL", judge, "base_url"),
        ("tasks", "FOLDER", harness, "include_path"),
    )
    wanted = [place for place in places if str(place[2].get(place[3])).startswith(OUTSIDE)]
    for option in ("judge", "tasks"):
        if option in asked and option not in (place[0] for place in wanted):
            raise UserError(f"--config {option}: the run used none outside its folder; leave it out")
    for option, kind, section, key in wanted:
        if option not in asked:
            raise UserError(
                f"section evaluation names {section[key]!r}, which the manifest does not hold; "
                f"say where it is: --config manifest=... {option}={kind}"
            )
        section[key] = asked[option] if kind == "URL" else _folder(option, asked[option])


def _folder(option: str, given: str) -> str:
    folder = Path(given).absolute()
    if not folder.is_dir():
        raise UserError(f"--config {option}={given}: no such folder")
    return str(folder)


def _write(folder: Path, name: str, content: dict[str, str]) -> None:
    data = content["text"].encode() if "text" in content else base64.b64decode(content["base64"])
    if sha256(data).hexdigest() != content["sha256"]:
        raise UserError(f"{name}: its content in the manifest is not what the run read; ask for another manifest")
    _place(folder / name, data)


def _place(path: Path, data: bytes, mine: bytes | None = None) -> None:
    """Write a file unless it is there already, and never over another one unless that begins with `mine`."""
    there = path.read_bytes() if path.is_file() else None
    if there == data:  # a new time would make Snakemake look at it again
        return
    if there is not None and not (mine and there.startswith(mine)):
        raise UserError(f"{path}: the folder has another file of this name; make the run again in an empty folder")
    with publish(path) as temporary:
        temporary.write_bytes(data)
