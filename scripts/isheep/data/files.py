"""Files: the one JSON encoding, the one hash function, the one way to publish a file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isheep.data.locks import hold
from isheep.errors import UserError

SURROGATE = re.compile("[\ud800-\udfff]")
REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "mount it writable or work in another folder",
    errno.EACCES: "make the folder writable for you",
}


def encode(value: Any) -> str:
    """Return `value` as one line of JSON: UTF-8 kept readable, keys in their own order, no NaN.

    Lone surrogates, which JSON allows and UTF-8 does not, are replaced by U+FFFD.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    return SURROGATE.sub("\ufffd", text)


def digest(value: Any) -> str:
    """Return the sha256 (64 hex digits) of a JSON value; the order of keys does not matter."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_file(path: str | Path) -> str:
    """Return the sha256 (64 hex digits) of a file's bytes, read in a stream."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest_files(paths: Iterable[Path], threads: int | None = None) -> dict[Path, str | None]:
    """Return the sha256 of every file, each read in a stream; None for one that is not there or cannot be read.

    Parameters
    ----------
    paths
        Files.
    threads
        How many are read at once, by default one for each core; hashing leaves the interpreter free, so threads do.
    """
    wanted = sorted(set(paths))
    with ThreadPoolExecutor(max(1, threads or os.cpu_count() or 1)) as pool:
        return dict(zip(wanted, pool.map(_digest_or_none, wanted), strict=True))


def _digest_or_none(path: Path) -> str | None:
    with suppress(OSError):
        return digest_file(path)
    return None


def digest_named(files: dict[str, Path]) -> dict[str, str]:
    """Return the sha256 of files by their names, in order; raise OSError for one that cannot be read."""
    hashes = digest_files(files.values())
    return {name: hashes[file] or digest_file(file) for name, file in files.items()}


@contextmanager
def publish(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it onto `path` when the block ends well.

    Works for a file or a folder. A failed block leaves the old `path` as it was and no temporary behind; what a killed
    one leaves is removed by the next. Two processes that publish the same path (an orphan of a killed driver and its
    successor, say) take turns.

    Raises
    ------
    UserError
        The disk is full, or the folder cannot be written; the message names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold(path.with_name(f".{path.name}.lock")):
            _remove(temporary)
            try:
                yield temporary
                _settle(temporary)
                if temporary.is_dir() and path.exists():
                    _remove(path)
                os.replace(temporary, path)
            finally:
                _remove(temporary)
    except Exception as error:
        if remedy := _remedy(error):
            raise UserError(f"{path}: {remedy}, then start again; nothing half-written is left") from None
        raise


def _remedy(error: Exception) -> str | None:
    """Return what is wrong with the disk and what to do; None for any other error.

    Libraries that are not written in Python (safetensors) tell of a full disk in their text only.
    """
    for number, remedy in REMEDIES.items():
        said = os.strerror(number)
        told = error.errno == number if isinstance(error, OSError) else said in str(error)
        if told and not isinstance(error, UserError):
            return f"{said}; {remedy}"
    return None


def _settle(path: Path) -> None:
    """Put a file or a folder's files on the disk, with the mode that new files of this user have.

    Some libraries (safetensors) write for the owner alone, which on a cluster shuts out whom the umask lets in.
    """
    mode = 0o666 & ~_umask()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        file.chmod(mode)
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0o077)  # it can be read by setting it only
    os.umask(mask)
    return mask


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON document with two-space indents, whole or not at all."""
    with publish(path) as temporary:
        temporary.write_text(document(value), encoding="utf-8")


def document(value: Any) -> str:
    """Return the text of a JSON document as `write_json` writes it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    return SURROGATE.sub("\ufffd", text) + "\n"


def read_json(path: str | Path) -> Any:
    """Return the JSON document in a file; raise UserError naming the file when it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not JSON (byte 0x{error.object[error.start]:02x} is not UTF-8)") from None


def digest_artifact(path: str | Path) -> str:
    """Return the sha256 of a file, or of the names and sha256 of a folder's files (hidden ones left out)."""
    path = Path(path)
    return digest(contents_of(path)) if path.is_dir() else digest_file(path)


def contents_of(folder: str | Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder by its name in it; hidden ones are left out."""
    return digest_named(files_in(folder))


def files_in(folder: str | Path) -> dict[str, Path]:
    """Return the files in a folder by their names in it, without bookkeeping like `.snakemake_timestamp`."""
    folder = Path(folder)
    inside = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {name: file for name, file in inside.items() if not is_hidden(Path(name))}


def is_hidden(path: Path) -> bool:
    """Return whether a part of a relative path begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def module_file(target: str) -> str:
    """Return the file of the module in `package.module:name`, relative to the folder of scripts."""
    return target.partition(":")[0].replace(".", "/") + ".py"
