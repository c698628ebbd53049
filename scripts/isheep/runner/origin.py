"""Where a file of the user's comes from when a run has made it: the record beside it tells."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from isheep.data.files import digest, digest_file, read_json
from isheep.documents.records import Origin
from isheep.errors import UserError


def find_origin(file: Path, sha256: str | None = None) -> Origin | None:
    """Return which stage of which run made a file; None when no record beside it says that it made these bytes.

    Parameters
    ----------
    file
        A file, in the folder of a run or wherever that was moved.
    sha256
        Its sha256, when that is known.

    Returns
    -------
    dict
        `run`, `stage` (as a manifest names it), `record` (its sha256) and, for what lies in the results of the working
        folder, `file`.
    """
    for place in sorted((file.parent / "records").glob("*.json")):
        try:
            record = read_json(place)
            made = record["made"]
            name = next((name for name in made["outputs"] if PurePosixPath(name).name == file.name), None)
            if name is None or digest(made) != record["sha256"]:
                continue
            if made["outputs"][name] != (sha256 or digest_file(file)):
                continue
            folder = "/".join(PurePosixPath(name).parts[2:-1])
            origin: Origin = {"run": made["run"], "stage": f"{folder}/{made['stage']}", "record": record["sha256"]}
        except (OSError, UserError, KeyError, TypeError, AttributeError):
            continue
        if file.parts[0] == "results":
            origin["file"] = file.as_posix()
        return origin
    return None
