"""The manifest: every record of a run as one graph, with all that is needed to make the run again."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TypedDict

from isheep import __version__
from isheep.data.files import digest_file
from isheep.documents.models import read_identity
from isheep.documents.records import Artifact, ManifestMade, ManifestObserved, Settings, Stages
from isheep.errors import UserError
from isheep.proof.results import read_record, stage_key
from isheep.runner.code import code_files
from isheep.runner.portable import portable, portable_places, renamed

# Sections that may differ between two runs whose results are equal.
OBSERVED = ("budget", "resources", "report", "publish")


class Gathered(TypedDict):
    """What a manifest holds, before it is sealed."""

    made: ManifestMade
    observed: ManifestObserved


def gather(run: str, settings: Settings, records: Iterable[str], files: Iterable[str], root: Path) -> Gathered:
    """Return what a manifest holds: `made`, equal in equal runs, and `observed`.

    Parameters
    ----------
    run, settings
        The run's name; its resolved settings.
    records
        Paths of its records, in the order of the graph.
    files
        The user's files that its stages read; their content goes into the manifest.
    root
        Folder of the repository.

    Raises
    ------
    UserError
        A record was edited, or a user's file is not the one that a stage read.
    """
    sources = {file: digest_file(file) for file in files}
    names = {file: portable(file, sha256) for file, sha256 in sources.items()}
    by_path = {record: read_record(Path(record)) for record in records}
    stages: Stages = {
        stage_key(path): {"record": path, "sha256": record["sha256"], **record["made"]}
        for path, record in by_path.items()
    }
    contents = {names[file]: {"sha256": sha256, **_content(Path(file))} for file, sha256 in sources.items()}
    _check_files(stages, contents, {name: file for file, name in names.items()})
    deciding = {key: value for key, value in settings.items() if key not in OBSERVED}
    kept = renamed(deciding, names | portable_places(settings))
    made: ManifestMade = {
        "format": 1,
        "run": run,
        "settings": kept,
        "files": contents,
        "models": _models(stages),
        "code": {"version": __version__, "files": code_files(".")},
        "stages": stages,
        "artifacts": artifacts(stages),
    }
    observed: ManifestObserved = {
        "commit": commit(root),
        "seals": {path: each["seal"] for path, each in by_path.items()},
        "stages": {stage_key(path): each["observed"] for path, each in by_path.items()},
        "budget": settings["budget"],
        "resources": settings["resources"],
        "report": settings["report"],
        "publish": settings["publish"],
    }
    return {"made": made, "observed": observed}


def artifacts(stages: Stages) -> dict[str, Artifact]:
    """Return the graph by artifact: its sha256, which stage made it, which stages read it."""
    made: dict[str, Artifact] = {
        path: {"sha256": sha256, "made_by": key, "used_by": []}
        for key, stage in stages.items()
        for path, sha256 in stage["outputs"].items()
    }
    for key, stage in stages.items():
        for path in stage["inputs"]:
            if path in made:
                made[path]["used_by"].append(key)
    return made


def _content(file: Path) -> dict[str, str]:
    data = file.read_bytes()
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _check_files(stages: Stages, contents: dict[str, dict[str, str]], paths: dict[str, str]) -> None:
    for stage in stages.values():
        for name, sha256 in stage["inputs"].items():
            if name in contents and contents[name]["sha256"] != sha256:
                raise UserError(
                    f"{paths[name]}: changed since {stage['stage']} read it; put it back, or start the run again"
                )


def _models(stages: Stages) -> dict[str, str]:
    """Return the identity (sha256) of every model of the run."""
    identities = {
        PurePosixPath(path).parent.name: path
        for stage in stages.values()
        for path in stage["outputs"]
        if path.endswith("/identity.json")
    }
    return {name: read_identity(path)["sha256"] for name, path in identities.items()}


def commit(root: Path) -> str | None:
    """Return the commit of the repository, with `-dirty` when files were changed; None without git."""
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    return None
