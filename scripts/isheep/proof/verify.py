"""Verification: every artifact hashed again, every link checked, the first that differs named, with what follows."""

from __future__ import annotations

from pathlib import Path

from isheep.data.files import digest, digest_file, digest_files, files_in, read_json
from isheep.documents.models import read_identity
from isheep.documents.records import Stages
from isheep.errors import UserError
from isheep.proof.edits import explain
from isheep.proof.findings import Finding, Verification
from isheep.proof.manifest import artifacts
from isheep.proof.results import MANIFEST, Broken, Results, read_record, stage_key
from isheep.serving import models
from isheep.stages.table import table

GONE = "not there; type `snakemake {}`"
REMADE = "; delete {}, then type `snakemake`"
PUBLISHED = "published before the run was last made; type `snakemake publish`"
LEFT_OUT = "left-out.json"  # what an archive does not hold, by the archive's own word


def verify(
    results: Results, threads: int, base: Path | None = None, judge: Path | None = None
) -> tuple[Verification, Stages]:
    """Check a run's manifest, records, artifacts and links; return what was found, and the stages as recorded.

    Parameters
    ----------
    results
        The run.
    threads
        Files that are read at once.
    base, judge
        Folders of the base model and of the evaluation's own judge; one that is not there is not checked.
    """
    verification = Verification(results.run, results.manifest["sha256"] if results.manifest else None)
    stages = _read_records(results, verification)
    left_out = _left_out(results)
    check = _Check(results, verification, stages, left_out)
    check.exports()
    check.outputs(threads)
    check.links()
    check.origins()
    check.model("identify_model", "base model", base, threads)
    check.model("identify_judge", "evaluation's judge", judge, threads)
    verification.sort(stages)
    return verification, stages


def _left_out(results: Results) -> frozenset[str]:
    file = results.folder.parent.parent / LEFT_OUT
    return frozenset(read_json(file)) if file.is_file() else frozenset()


def _read_records(results: Results, verification: Verification) -> Stages:
    """Return every stage as its record tells, or as the manifest does when the record is missing or edited."""
    listed: Stages = {}
    if results.manifest:
        listed = results.manifest["made"]["stages"]
    else:
        is_there = (results.folder / MANIFEST).exists()
        place = f"results/{results.run}/{MANIFEST}"
        remedy = f"{results.trouble}" + (REMADE.format("it") if is_there else f"; type `snakemake {place}`")
        verification.findings.append(Finding("edited_manifest" if is_there else "missing_manifest", "", place, remedy))
    paths = {stage["record"]: key for key, stage in listed.items()}
    for file in results.records_here():
        paths.setdefault(results.recorded_path(file), stage_key(results.recorded_path(file)))
    stages: Stages = {}
    for path, key in paths.items():
        recorded = listed.get(key)
        if _is_left_over(path, key, listed):
            verification.notes.append(
                f"{path} is of earlier settings, or of a start that did not end: the manifest does not have it, and it "
                "is not checked; `snakemake` ends what the settings ask for, else delete it with what it names"
            )
            continue
        try:
            record = read_record(results.find(path))
        except FileNotFoundError:
            verification.findings.append(
                Finding(
                    "missing_record",
                    key,
                    path,
                    "there is no such record; type `snakemake`, which makes its stage again",
                )
            )
        except Broken as error:
            verification.findings.append(
                Finding("edited_record", key, path, str(error).partition(": ")[2] + REMADE.format("it"))
            )
        else:
            if recorded and results.need_manifest()["observed"]["seals"][path] != record["seal"]:
                message = "made again since the manifest was written; type `snakemake`, which writes it anew"
                verification.findings.append(
                    Finding("old_manifest", key, path, message, recorded["sha256"], record["sha256"])
                )
            recorded = {"record": path, "sha256": record["sha256"], **record["made"]}
        if recorded:
            stages[key] = recorded
    return stages


def _is_left_over(path: str, key: str, listed: Stages) -> bool:
    """Return whether a record is of a stage, or of a round, that a manifest lists not at all, or as another run's."""
    if not listed or any(stage["record"] == path for stage in listed.values()):
        return False
    rounds = {each.partition("/")[0] for each in listed}
    return key in listed or key.rpartition("/")[2] in table() or key.partition("/")[0] not in rounds


class _Check:
    """The checks of one run; each adds its findings."""

    def __init__(self, results: Results, found: Verification, stages: Stages, left_out: frozenset[str]) -> None:
        self.results = results
        self.found = found
        self.stages = stages
        self.left_out = left_out

    def add(
        self, kind: str, stage: str, artifact: str, message: str, expected: str | None = None, found: str | None = None
    ) -> None:
        self.found.findings.append(Finding(kind, stage, artifact, message, expected, found))

    def exports(self) -> None:
        """Check what the manifest vouches for beside the stages (RO-Crate, settings), and the packed archive."""
        exports = self.results.manifest["observed"].get("exports", {}) if self.results.manifest else {}
        wanted = {f"results/{self.results.run}/{name}": sha256 for name, sha256 in exports.items()}
        packed = f"results/{self.results.run}.tar.gz"
        if self.results.find(packed).is_file() and (beside := self.results.find(f"{packed}.sha256")).is_file():
            wanted[packed] = beside.read_text(encoding="utf-8", errors="replace").partition(" ")[0]
        for path, sha256 in wanted.items():
            place = self.results.find(path)
            now = digest_file(place) if place.is_file() else None
            if path in self.left_out:
                self.leave_out(path)
            elif now is None:
                self.add("missing_artifact", "", path, GONE.format(path), sha256)
            elif now != sha256:
                message = f"sha256 is {now[:12]}, recorded {sha256[:12]}{self._remade(path)}"
                self.add("changed_artifact", "", path, message, sha256, now)

    def _remade(self, path: str) -> str:
        packed = f"results/{self.results.run}.tar.gz"
        return f"; delete it, then type `snakemake {packed}`" if path == packed else REMADE.format("it")

    def leave_out(self, path: str) -> None:
        """Note what an archive does not hold."""
        self.found.notes.append(f"{path} was left out of the archive and is not checked")

    # Artifacts -----------------------------------------------------------------------------------------------------

    def outputs(self, threads: int) -> None:
        """Hash every output; name the file that differs, and in files of rows the line."""
        wanted: dict[str, tuple[str, str, str]] = {}  # path: stage, artifact, recorded sha256
        for key, stage in self.stages.items():
            for path, sha256 in stage["outputs"].items():
                if path in self.left_out:
                    self.leave_out(path)
                elif path in stage["contents"] and not self.results.find(path).is_dir():
                    self.add("missing_artifact", key, path, GONE.format(path), sha256)
                elif path in stage["contents"]:
                    self._list_folder(key, path, stage["contents"][path], sha256)
                    wanted.update(
                        (f"{path}/{name}", (key, path, digest)) for name, digest in stage["contents"][path].items()
                    )
                else:
                    wanted[path] = key, path, sha256
        places = {path: self.results.find(path) for path in wanted}
        hashes = digest_files(places.values(), threads)
        for path, (key, artifact, recorded) in wanted.items():
            now = hashes[places[path]]
            inside = f"{path.removeprefix(artifact + '/')}: " if path != artifact else ""
            if now is None:
                self.add("missing_artifact", key, artifact, f"{inside}{GONE.format(artifact)}", recorded)
            elif now != recorded:
                where = "" if inside else self._which_row(path, hashes)
                message = f"{inside}sha256 is {now[:12]}, recorded {recorded[:12]}{where and f' ({where})'}"
                self.add("changed_artifact", key, artifact, message + REMADE.format(artifact), recorded, now)
        there = [place for place, now in hashes.items() if now is not None]
        self.found.checked = {
            "records": len(self.stages),
            "artifacts": len({artifact for _, artifact, _ in wanted.values()}),
            "files": len(there),
            "bytes": sum(place.stat().st_size for place in there),
        }

    def _list_folder(self, key: str, path: str, contents: dict[str, str], sha256: str) -> None:
        """Find files that a folder should not hold, and a list of files that is not the one that was hashed."""
        if digest(contents) != sha256:
            self.add(
                "edited_record",
                key,
                path,
                f"the record's list of files does not match its hash{REMADE.format('it')}",
                sha256,
            )
        for name in sorted(set(files_in(self.results.find(path))) - set(contents)):
            self.add("changed_artifact", key, path, f"{name}: was not there when it was made; delete that file", sha256)

    def _which_row(self, path: str, hashes: dict[Path, str | None]) -> str:
        place = self.results.find(path)
        if place.suffix != ".jsonl" or place.stem not in table().words.values():
            return ""
        recorded = {
            self.results.find(output): sha256
            for stage in self.stages.values()
            for output, sha256 in stage["outputs"].items()
        }
        beside = [place.with_name(f"{name}.jsonl") for name in table().words.values() if name != place.stem]
        return explain(place, [file for file in beside if file in recorded and hashes.get(file) == recorded[file]])

    # Links ---------------------------------------------------------------------------------------------------------

    def links(self) -> None:
        """Check that every stage read what another recorded as made, or what the manifest holds."""
        made = artifacts(self.stages)
        files = self.results.manifest["made"]["files"] if self.results.manifest else None
        place = self.results.folder / MANIFEST
        manifest = digest_file(place) if place.is_file() else None
        for key, stage in self.stages.items():
            for path, sha256 in stage["inputs"].items():
                if path in made:
                    expected: str | None = made[path]["sha256"]
                    whose = f"the {path} that {made[path]['made_by']} records"
                elif path == f"results/{self.results.run}/{MANIFEST}":
                    if self.results.manifest is None:
                        continue  # it has its own finding, with what was made from it
                    expected, whose = manifest, "the manifest that is there now"
                elif path.startswith("results/"):
                    self.add(
                        "missing_record",
                        key,
                        path,
                        f"{stage['stage']} read it, but no record says what made it; type `snakemake`",
                    )
                    continue
                elif files is None or key not in self.results.need_manifest()["made"]["stages"]:
                    continue  # nobody to compare with, or a card's template
                else:
                    expected = files.get(path, {}).get("sha256")
                    whose = f"the {path} in the manifest"
                if sha256 != expected:
                    if stage["stage"].startswith("publish_"):
                        self.add("old_publication", key, next(iter(stage["outputs"])), PUBLISHED, expected, sha256)
                        break
                    message = f"{stage['stage']} did not read {whose}{REMADE.format(stage['record'])}"
                    self.add("broken_link", key, path, message, expected, sha256)

    def origins(self) -> None:
        """Look whether what other runs made, and this run was given, is still what they make."""
        for key, stage in self.stages.items():
            for name, origin in stage.get("origins", {}).items():
                whose = f"{name}, which {stage['stage']} read, is {origin['stage']} of the run {origin['run']}"
                place = self.results.find(origin["file"]) if "file" in origin else None
                record = place.parent / f"records/{origin['stage'].rpartition('/')[2]}.json" if place else None
                if place is None or record is None or not (place.is_file() and record.is_file()):
                    self.found.note(f"{whose}; that is not beside this run, and is not followed")
                elif digest_file(place) != (was := stage["inputs"][name]):
                    message = f"{whose}, and is other now; type `snakemake`, which makes anew what follows from it"
                    self.add("changed_origin", key, name, message, was, digest_file(place))
                elif read_json(record)["sha256"] != origin["record"]:
                    self.found.note(f"{whose}; it was made again since, of the same bytes")

    # Models that the run did not make ------------------------------------------------------------------------------

    def model(self, stage_name: str, what: str, folder: Path | None, threads: int) -> None:
        """Hash a model's files and compare them with the identity that a stage found at the start of the run."""
        for key, stage in self.stages.items():
            if stage["stage"] != stage_name:
                continue
            place = self.results.find(next(iter(stage["outputs"])))
            try:
                files = read_identity(place)["files"]
            except (OSError, UserError):
                return  # there is a finding about this file already
            if not files:
                return
            if folder is None or not folder.is_dir():
                self.found.notes.append(f"the {what} is not here; its weights are not checked")
                return
            hashes = digest_files([folder / name for name in {*files, *models.deciding_files(folder)}], threads)
            now = {path.relative_to(folder).as_posix(): sha256 for path, sha256 in hashes.items() if sha256}
            for name in sorted(set(files) | set(now)):
                if files.get(name) != now.get(name):
                    what = "not there" if name not in now else "new" if name not in files else "other bytes"
                    message = (
                        f"{name}: {what}; the model in this folder is not the one that the run started from: put that "
                        "back, or type `snakemake`, which starts from this one"
                    )
                    self.add("changed_model", key, f"{folder.name}/", message, files.get(name), now.get(name))
