"""A run in one file: what the manifest lists, the records, the manifest; the same bytes each time it is packed."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from isheep.config.model import Model
from isheep.config.publish import Publish
from isheep.data.files import digest_file, digest_named, document, publish
from isheep.documents.records import Stages
from isheep.errors import UserError
from isheep.proof import privacy
from isheep.proof.findings import Finding
from isheep.proof.results import MANIFEST, SETTINGS, Results
from isheep.proof.verify import LEFT_OUT, verify
from isheep.runner.portable import judge_model
from isheep.serving import models
from isheep.workflow.graph import base_folder

SUMS = "SHA256SUMS"
README = """Run {run} of an iterative self-alignment workflow, packed with its proof.

results/{run}/manifest.json tells what made every file (sha256 of its hashed part: {manifest}).
results/{run}/ro-crate-metadata.json is the same as an RO-Crate.

Check the bytes, here:                 sha256sum --check SHA256SUMS
With the code of the workflow (isheep {version}{commit}), in its folder:
  check the chain of what made what:   PYTHONPATH=scripts python -m isheep.proof verify HERE/results/{run}
  make the run again and compare:      snakemake reproduce --config manifest=HERE/results/{run}/manifest.json

Left out: {left_out}
"""
LEVEL = 6  # of gzip


def pack(results: Results, out: Path, settings: Publish, base: Path | None, threads: int) -> None:
    """Write the archive of a run that verifies.

    Parameters
    ----------
    results
        The run.
    out
        The file, .tar.gz.
    settings
        Section `publish`: whether to pack the base model and the merged models, and to look for what is private.
    base
        Folder of the base model.
    threads
        Files that are hashed at once.

    Raises
    ------
    UserError
        The run does not verify, the base model is asked for and not there, or something private would be told.
    """
    verification, stages = verify(results, threads, base)
    left_out = [f"results/{results.run}/{SETTINGS}"]  # it may name folders of this machine; the manifest has it all
    left_out += [] if settings.archive_models else sorted(_merged(stages))
    for finding in verification.findings:
        if _is_packed(finding, results, frozenset(left_out), settings):
            raise UserError(
                f"results/{results.run}: what is to be packed does not verify; first: {finding.line(results.run)}"
            )
    files = dict(_files(results, stages, frozenset(left_out)))
    if settings.archive_base:
        files.update(_base_files(results, base))
    if settings.check_private:
        privacy.check(files.values())
    manifest = results.need_manifest()
    commit = manifest["observed"]["commit"]
    facts = {
        "run": results.run,
        "manifest": verification.manifest,
        "version": manifest["made"]["code"]["version"],
        "commit": f", commit {commit}" if commit else "",
        "left_out": ", ".join(left_out),
    }
    texts = {
        "README.txt": README.format(**facts),
        LEFT_OUT: document(left_out),
    }
    sums = digest_named(files)
    sums |= {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}
    texts[SUMS] = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    with publish(out) as temporary:
        _write(temporary, results.run, files, texts)
    with publish(sum_of(out)) as temporary:
        temporary.write_text(f"{digest_file(out)}  {out.name}\n", encoding="utf-8")


def sum_of(archive: Path) -> Path:
    """Return the file beside an archive that holds its sha256, as `sha256sum --check` reads it."""
    return archive.with_name(f"{archive.name}.sha256")


def recorded_models(results: Results) -> tuple[Path | None, Path | None]:
    """Return where a run's base model and its evaluation's own judge lie by its manifest; None for what is none."""
    if results.manifest is None:
        return None, None
    settings = results.manifest["made"]["settings"]
    sections = settings["model"], judge_model(settings["evaluation"]["judge"] or {})
    folders = [base_folder(Model.model_validate(section)) for section in sections]
    base, judge = (results.find(folder) if folder else None for folder in folders)
    return base, judge


def _is_packed(finding: Finding, results: Results, left_out: frozenset[str], settings: Publish) -> bool:
    """Return whether a finding is about something that the archive holds: a model deleted to save space is not."""
    if finding.kind == "changed_model":
        return settings.archive_base and finding.stage.endswith("/identify_model")
    if finding.artifact in left_out or finding.kind == "changed_origin":
        return False
    if results.manifest is None:
        return True
    exports = [MANIFEST, *results.manifest["observed"].get("exports", {})]
    mine = [f"results/{results.run}/{name}" for name in exports]
    return finding.artifact in mine or finding.stage in results.manifest["made"]["stages"]


def _merged(stages: Stages) -> Iterator[str]:
    return (path for stage in stages.values() if stage["stage"] == "merge_model" for path in stage["contents"])


def _files(results: Results, stages: Stages, left_out: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Yield name in the archive and place of everything that the manifest vouches for, and of manifest and crate."""
    manifest = results.need_manifest()
    names = [MANIFEST, *manifest["observed"].get("exports", {})]
    paths = [f"results/{results.run}/{name}" for name in names]
    yield from ((path, results.find(path)) for path in paths if path not in left_out)
    for key in manifest["made"]["stages"]:
        stage = stages[key]
        paths = [stage["record"]]
        for path in sorted(set(stage["outputs"]) - left_out):
            paths += [f"{path}/{name}" for name in stage["contents"][path]] if path in stage["contents"] else [path]
        yield from ((path, results.find(path)) for path in paths)


def _base_files(results: Results, base: Path | None) -> dict[str, Path]:
    place, _ = recorded_models(results)
    if base is None or place is None or not base.is_dir():
        raise UserError("publish.archive_base: the base model's folder is not here")
    inside = place.relative_to(results.folder.parent.parent).as_posix()
    return {f"{inside}/{name}": base / name for name in models.deciding_files(base)}


def _write(path: Path, top: str, files: dict[str, Path], texts: dict[str, str]) -> None:
    """Write a gzipped tar whose bytes follow from names and contents alone."""
    with (
        open(path, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=LEVEL) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted({*files, *texts}):
            data = texts[name].encode() if name in texts else None
            entry = tarfile.TarInfo(f"{top}/{name}")  # time 0, owner 0, no names
            entry.mode = 0o644
            entry.size = len(data) if data is not None else files[name].stat().st_size
            with io.BytesIO(data) if data is not None else open(files[name], "rb") as handle:
                tar.addfile(entry, handle)
