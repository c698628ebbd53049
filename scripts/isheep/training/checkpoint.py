"""Checkpoints that can be trusted: a marker, written last, vouches for every file by its sha256."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isheep.data.files import digest_file, read_json, write_json
from isheep.data.locks import hold
from isheep.errors import UserError

logger = logging.getLogger(__name__)
MARKER = "complete.json"
WAITING = "%s: another process still trains here; waiting for it to end"


def mark_complete(checkpoint: Path) -> None:
    """Write the marker of a checkpoint whose files are all written."""
    write_json(checkpoint / MARKER, _digests(checkpoint))


def find_complete(folder: Path) -> Path | None:
    """Return the newest complete `checkpoint-N` in a folder; delete every other one that is newer.

    A trainer killed while it saves leaves a folder that looks like a checkpoint; transformers would resume from it.
    """
    checkpoints = [path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        if _is_complete(path):
            return path
        logger.warning("%s: not a complete checkpoint; deleted", path)
        shutil.rmtree(path)
    return None


def _is_complete(checkpoint: Path) -> bool:
    try:
        return read_json(checkpoint / MARKER) == _digests(checkpoint)
    except (OSError, UserError):
        return False


def _digests(checkpoint: Path) -> dict[str, str]:
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != MARKER)
    return {path.relative_to(checkpoint).as_posix(): digest_file(path) for path in files}


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that an orphan of a killed run and its successor never write checkpoints together.

    The lock is freed when its holder dies, however it dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder / "training.lock", lambda: logger.warning(WAITING, folder)):
        yield
