"""Paths and addresses as records name them: no machine, no user."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from isheep.data.files import digest

ROOT = Path(os.path.normpath(__file__)).parents[3]


def stand_first() -> None:
    """Have processes that are started from this one import this package, whatever PYTHONPATH the user has set."""
    scripts = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [scripts, os.environ.get("PYTHONPATH")]))


def shipped(path: str | Path) -> str:
    """Return the name of a file that came with the workflow, relative to it; other paths stay as they are.

    A run in another folder than the workflow's reads these by their whole path.
    """
    path = Path(path)
    return path.relative_to(ROOT).as_posix() if path.is_absolute() and path.is_relative_to(ROOT) else path.as_posix()


def shipped_in(value: Any) -> Any:
    """Return settings with every path of a file that came with the workflow as `shipped` names it."""
    if isinstance(value, dict):
        return {key: shipped_in(child) for key, child in value.items()}
    if isinstance(value, list):
        return [shipped_in(child) for child in value]
    return shipped(value) if isinstance(value, str) and value.startswith(f"{ROOT}/config/") else value


def portable(path: str | Path, sha256: str) -> str:
    """Return a path as records name it: no machine, no user.

    Relative paths stay as they are. A file of the user's outside the folder of the run, another run's result among
    them, is named by its last part; the beginning of its sha256 keeps apart those of one name.
    """
    path = Path(shipped(path))
    outside = path.is_absolute() or ".." in path.parts or path.parts[0] == "results"
    return f"outside/{sha256[:8]}/{path.name}" if outside else path.as_posix()


def without_place(message: str, path: str | Path) -> str:
    """Return a message with a path outside the run's folder cut to its last part: results name no machine."""
    return message.replace(str(path), portable_folder(path))


def portable_folder(path: str | Path) -> str:
    """Return the path of a folder as records name it: the last part alone when it lies elsewhere."""
    outside = Path(path).is_absolute() or ".." in Path(path).parts
    return f"outside/{Path(path).name}" if outside else str(path)


def portable_places(settings: dict[str, Any]) -> dict[str, str]:
    """Return the folders and addresses in a run's resolved settings, each with its name in records.

    An address tells a host: it is named by the beginning of its sha256, by which another one still shows.
    """
    judge = settings["evaluation"]["judge"] or {}
    harness = settings["evaluation"]["harness"] or {}
    models = [settings["model"], judge_model(judge)]
    folders = [*(model.get("path") for model in models), harness.get("include_path")]
    folders += [file for model in models for file in (model.get("gguf") or {}).get("files", ())]
    names = {folder: portable_folder(folder) for folder in folders if folder}
    if url := judge.get("base_url"):
        names[url] = f"outside/{digest(url)[:8]}"
    return names


def judge_model(judge: dict[str, Any]) -> dict[str, Any]:
    """Return the section `model` of a judge that runs here; nothing of an endpoint, whose `model` is a name."""
    return judge["model"] or {} if judge.get("kind") == "model" else {}


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return settings with every text that is one of the paths in `names` replaced by its name."""
    if isinstance(value, dict):
        return {key: renamed(child, names) for key, child in value.items()}
    if isinstance(value, list):
        return [renamed(child, names) for child in value]
    return names.get(value, value) if isinstance(value, str) else value


def in_run(recorded: str) -> str:
    """Return the path of an artifact within the folder of its run; other paths stay as they are."""
    parts = PurePosixPath(recorded).parts
    return "/".join(parts[2:]) if parts[0] == "results" else recorded
