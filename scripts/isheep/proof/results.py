"""The folder of a run, wherever it lies now: its manifest, its records, its artifacts."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from isheep.data.files import document, is_hidden
from isheep.documents.reading import Document, checked
from isheep.documents.records import Manifest, Record
from isheep.errors import UserError
from isheep.runner.record import sealed

MANIFEST = "manifest.json"
VERIFICATION = "verification.json"
SETTINGS = "config.yaml"


class Broken(UserError):
    """A record or manifest is not what was sealed."""


def read_record(path: Path) -> Record:
    """Return the record of a stage, checked byte by byte against its seal; raise Broken when it is not one."""
    return _sealed_as(Record, "the record of a stage", path)


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a run, checked byte by byte against its seal; raise Broken when it is not one."""
    return _sealed_as(Manifest, "the manifest of a run", path)


def _sealed_as(kind: type[Document], what: str, path: Path) -> Document:
    value = read_sealed(path)
    try:
        return checked(value, kind, what, path)
    except UserError as error:
        raise Broken(str(error)) from None


def read_sealed(path: Path) -> dict[str, Any]:
    """Return whatever was sealed, checked byte by byte against its seal.

    Raises
    ------
    Broken
        Not JSON, or any byte of it was changed since it was written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        whole = sealed(value["made"], value["observed"])
    except (ValueError, KeyError, TypeError):
        raise Broken(f"{path}: not a record of this workflow; make its stage again") from None
    if value != whole or text != document(value):
        raise Broken(f"{path}: edited since it was written (its seal does not match)")
    return value


def stage_key(record: str) -> str:
    """Return the name of a stage in a manifest, like `d_0/generate_prompts`, from the path of its record."""
    return "/".join(part for part in PurePosixPath(record).with_suffix("").parts[2:] if part != "records")


class Results:
    """A run's folder, which may have been moved or renamed, and the runs beside it.

    Records name artifacts `results/{run}/...`, because runs may share what they have in common.

    Parameters
    ----------
    folder
        `results/{run}` or wherever it went.

    Raises
    ------
    UserError
        There is no such folder, or nothing of this workflow is in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise UserError(f"{folder}: no such folder; give the folder of a run, like results/my-run")
        self.manifest: Manifest | None = None
        self.trouble: str | None = None
        try:
            self.manifest = read_manifest(self.folder / MANIFEST)
        except Broken as error:
            self.trouble = str(error)
        except FileNotFoundError:
            self.trouble = "there is no manifest"
        self.run = self.manifest["made"]["run"] if self.manifest else self._name_in_records() or self.folder.name

    def need_manifest(self) -> Manifest:
        """Return the manifest; raise UserError, saying what is wrong with it, where there is none that can be read."""
        if self.manifest is None:
            raise UserError(f"results/{self.run}: {self.trouble}; type snakemake")
        return self.manifest

    def _name_in_records(self) -> str | None:
        for file in self.records_here():
            try:
                return read_record(file)["made"]["run"]
            except Broken:
                continue
        return None

    def records_here(self) -> list[Path]:
        """Return the record files in the run's own folder."""
        files = self.folder.rglob("records/*.json")
        return sorted(file for file in files if not is_hidden(file.relative_to(self.folder)))

    def recorded_path(self, file: Path) -> str:
        """Return the path by which records call a file of the run."""
        return f"results/{self.run}/{file.relative_to(self.folder).as_posix()}"

    def find(self, recorded: str) -> Path:
        """Return where something that records name lies now.

        Raises
        ------
        UserError
            The path leads out of the results: a manifest from elsewhere must not point at other files.
        """
        path = PurePosixPath(recorded)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UserError(f"{recorded!r} is not the path of an artifact; the manifest was not made by this workflow")
        if path.parts[0] != "results" or len(path.parts) < 2:
            return self.folder.parent.parent / path
        base = self.folder if path.parts[1] == self.run else self.folder.parent / path.parts[1]
        return base.joinpath(*path.parts[2:])
