"""The manifest as an RO-Crate: the same graph in the vocabulary that archives and registries read.

Profile: Process Run Crate 0.5 of the Workflow Run RO-Crate collection, which builds on RO-Crate 1.1; written with the
library rocrate.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from isheep.documents.records import Observed, RecordedStage
from isheep.proof.manifest import Gathered
from isheep.runner.portable import in_run

VERSION = "1.1"  # of RO-Crate: the one that the profile builds on
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # says what sha256 means, which RO-Crate 1.1 does not
FORMATS = {
    **{".json": "application/json", ".jsonl": "application/jsonl", ".txt": "text/plain", ".html": "text/html"},
    ".safetensors": "application/octet-stream",
}


def crate(manifest: Gathered, licences: dict[str, str | None]) -> dict[str, Any]:
    """Return the crate of a run as JSON-LD: files with sha256, and one action per stage with what it read and made.

    Parameters
    ----------
    manifest
        `made` and `observed`, as gathered.
    licences
        What the run is made from, and under which licence that stands; None where nobody stated one.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made, observed = manifest["made"], manifest["observed"]
    ends = [_end(timing) for timing in observed["stages"].values()]
    ro_crate = ROCrate(gen_preview=False, version=VERSION)
    ro_crate.metadata.extra_contexts.append(TERMS)
    ro_crate.name = f"Self-alignment run {made['run']}"
    ro_crate.description = (
        f"{made['settings']['rounds']} rounds of iterative self-alignment: data sets d_0 to "
        f"d_{made['settings']['rounds'] - 1} and the models trained on them."
    )
    ro_crate.datePublished = max(ends)
    profile = {"@type": ["CreativeWork", "Profile"], "name": "Process Run Crate", "version": PROFILE.rpartition("/")[2]}
    ro_crate.root_dataset["conformsTo"] = ro_crate.add(ContextEntity(ro_crate, PROFILE, properties=profile))
    stated = "; ".join(f"{what}: {licence or 'not stated'}" for what, licence in licences.items())
    terms = {"@type": "CreativeWork", "name": stated, "description": "What the run is made from; both may bind it."}
    ro_crate.license = ro_crate.add(ContextEntity(ro_crate, "#licences", properties=terms))
    program = {"@type": "SoftwareApplication", "name": "isheep", "version": made["code"]["version"]}
    instrument = ro_crate.add(ContextEntity(ro_crate, "#isheep", properties=program))
    known: dict[str, Any] = {}

    def entity(path: str, sha256: str) -> Any:
        if path not in known:
            known[path] = _add(ro_crate, made["run"], path, sha256, is_folder=path in folders)
        return known[path]

    folders = {path for stage in made["stages"].values() for path in stage["contents"]}
    for key, stage in made["stages"].items():
        timing = observed["stages"][key]
        action = ro_crate.add_action(
            instrument,
            identifier=f"#{key}",
            object=_one_or_all([entity(*pair) for pair in stage["inputs"].items()]),
            result=_one_or_all([entity(*pair) for pair in stage["outputs"].items()]),
        )
        action["name"] = stage["stage"]
        action["description"] = _told(stage)
        action["startTime"], action["endTime"] = timing["started"], _end(timing)
        ro_crate.root_dataset.append_to("mentions", action)
    return ro_crate.metadata.generate()


def _add(ro_crate: Any, run: str, path: str, sha256: str, *, is_folder: bool) -> Any:
    """Add a file or folder of the run; what lies outside its folder is told of, but is no part of the crate."""
    from rocrate.model.contextentity import ContextEntity

    properties = {"name": path, "sha256": sha256}
    if not path.startswith(f"results/{run}/"):
        return ro_crate.add(ContextEntity(ro_crate, f"#{path}", properties={"@type": "CreativeWork", **properties}))
    if is_folder:
        return ro_crate.add_dataset(dest_path=in_run(path), properties=properties)
    suffix = path[path.rfind(".") :]
    if suffix in FORMATS:
        properties["encodingFormat"] = FORMATS[suffix]
    return ro_crate.add_file(dest_path=in_run(path), properties=properties)


def _one_or_all(entities: list[Any]) -> Any:
    return entities[0] if len(entities) == 1 else entities


def _told(stage: RecordedStage) -> str:
    """Return in words with what a stage worked."""
    where = f" in round {stage['round']}" if stage["round"] is not None else ""
    model = f", model {stage['model']}" if stage["model"] else ""
    tokens = "".join(f", {count} tokens {kind}" for kind, count in stage["tokens"].items() if count)
    return f"{stage['stage']}{where}, run seed {stage['seed']}{model}{tokens}"


def _end(timing: Observed) -> str:
    ended = datetime.fromisoformat(timing["started"]) + timedelta(seconds=timing["seconds"])
    return ended.isoformat(timespec="milliseconds")
