"""The manifest as an RO-Crate: the same graph in the vocabulary that archives and registries read.

Profile: Process Run Crate 0.5 of the Workflow Run RO-Crate collection; written with the library rocrate.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from isheep.proof.results import in_run

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
FORMATS = {".json": "application/json", ".jsonl": "application/jsonl", ".txt": "text/plain", ".html": "text/html"}


def crate(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the crate of a run as JSON-LD: files with sha256, and one action per stage with what it read and made.

    Parameters
    ----------
    manifest
        `made` and `observed`, as gathered.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made, observed = manifest["made"], manifest["observed"]
    ends = [_end(timing) for timing in observed["stages"].values()]
    found = ROCrate(gen_preview=False)
    found.name = f"Self-alignment run {made['run']}"
    found.description = (
        f"{made['settings']['rounds']} rounds of iterative self-alignment: data sets d_0 to "
        f"d_{made['settings']['rounds'] - 1} and the models trained on them."
    )
    found.datePublished = max(ends)
    found.root_dataset["conformsTo"] = found.add(ContextEntity(found, PROFILE, properties={"@type": "CreativeWork"}))
    program = {"@type": "SoftwareApplication", "name": "isheep", "softwareVersion": made["code"]["version"]}
    instrument = found.add(ContextEntity(found, "#isheep", properties=program))
    known: dict[str, Any] = {}

    def entity(path: str, sha256: str) -> Any:
        if path not in known:
            known[path] = _add(found, made["run"], path, sha256, is_folder=path in folders)
        return known[path]

    folders = {path for stage in made["stages"].values() for path in stage["contents"]}
    for key, stage in made["stages"].items():
        timing = observed["stages"][key]
        action = found.add_action(
            instrument,
            identifier=f"#{key}",
            object=[entity(*pair) for pair in stage["inputs"].items()],
            result=[entity(*pair) for pair in stage["outputs"].items()],
        )
        action["name"] = stage["stage"]
        action["startTime"], action["endTime"] = timing["started"], _end(timing)
    return found.metadata.generate()


def _add(found: Any, run: str, path: str, sha256: str, *, is_folder: bool) -> Any:
    """Add a file or folder of the run; what lies outside its folder is told of, but is no part of the crate."""
    from rocrate.model.contextentity import ContextEntity

    properties = {"name": path, "sha256": sha256}
    if not path.startswith(f"results/{run}/"):
        return found.add(ContextEntity(found, f"#{path}", properties={"@type": "CreativeWork", **properties}))
    if is_folder:
        return found.add_dataset(dest_path=in_run(path), properties=properties)
    suffix = path[path.rfind(".") :]
    if suffix in FORMATS:
        properties["encodingFormat"] = FORMATS[suffix]
    return found.add_file(dest_path=in_run(path), properties=properties)


def _end(timing: dict[str, Any]) -> str:
    return (datetime.fromisoformat(timing["started"]) + timedelta(seconds=timing["seconds"])).isoformat()
