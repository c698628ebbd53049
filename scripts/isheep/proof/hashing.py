"""Many files hashed at once, each in a stream: memory does not grow with their size."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from isheep.records import digest_file


def digest_files(paths: Iterable[Path], threads: int) -> dict[Path, str | None]:
    """Return the sha256 of every file; None for one that is not there or cannot be read.

    Parameters
    ----------
    paths
        Files.
    threads
        How many are read at once; hashing leaves the interpreter free, so threads are enough.
    """
    wanted = sorted(set(paths))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return dict(zip(wanted, pool.map(_digest, wanted), strict=True))


def _digest(path: Path) -> str | None:
    try:
        return digest_file(path)
    except OSError:
        return None
