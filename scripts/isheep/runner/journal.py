"""Finished requests on disk: what makes a stage resume inside, whatever killed it."""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from zlib import crc32

from isheep.data.files import encode
from isheep.data.locks import hold
from isheep.errors import UserError

logger = logging.getLogger(__name__)
SYNC_SECONDS = 1.0


class Journal:
    """An append-only file of finished requests in a folder that several writers share.

    Every writer (a shard, or the stage itself) has a file of its own and reads all of them. Each line carries a
    checksum: a torn, zeroed or edited line is not trusted and its request is simply done again. The first line of a
    file is the fingerprint of model, engine and code, and a result is found by the digest of its whole request, so
    that a result of another model, another prompt or another seed is never used.

    Parameters
    ----------
    folder
        Work folder; made when missing.
    fingerprint
        What the results depend on besides their requests (64 hex digits).
    writer
        Name of this writer's file, like `shard-1-of-4`.
    """

    def __init__(self, folder: Path, fingerprint: str, writer: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.path = folder / f"{writer}.jsonl"
        self.results: dict[str, Any] = {}
        self._held = ExitStack()  # the lock, until __exit__

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # No other process (an orphan of a killed driver, say) writes to this file meanwhile.
            self._held.enter_context(hold(self.path.with_suffix(".lock"), self._tell_wait))
            for file in sorted(self.folder.glob("*.jsonl")):
                self.results.update(self._read(file))
            self._open()
        except OSError as error:
            self._held.close()
            raise UserError(
                f"{self.folder}: cannot be written ({error.strerror}); free some space or make it writable, then start "
                "again"
            ) from None
        return self

    def _tell_wait(self) -> None:
        logger.warning("%s: another process still writes here; waiting for it to end", self.path)

    def _read(self, file: Path) -> dict[str, Any]:
        good: dict[str, Any] = {}
        bad = 0
        with open(file, "rb") as handle:
            header = _parse(handle.readline())
            if header is None or header.get("fingerprint") != self.fingerprint:
                if file.stat().st_size:
                    logger.warning("%s: not a journal of this stage and settings; ignored", file)
                return {}
            for line in handle:
                entry = _parse(line)
                if entry is None:
                    bad += 1
                else:
                    good.setdefault(entry["request"], entry["result"])
        if bad:
            logger.warning("%s: %d damaged lines; those requests are done again", file, bad)
        return good

    def _open(self) -> None:
        """Open this writer's file behind its last whole line; start it anew when its first line is not ours."""
        self._file = open(self.path, "ab+")  # noqa: SIM115 - held until __exit__
        self._file.seek(0)
        header = _parse(self._file.readline())
        if header is None or header.get("fingerprint") != self.fingerprint:
            self._file.truncate(0)
            self._write({"fingerprint": self.fingerprint})
        else:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")
        self._synced = time.monotonic()

    def append(self, request: str, result: Any) -> None:
        """Keep the result (a JSON value) of a finished request, under the request's digest."""
        self.results[request] = result
        self._write({"request": request, "result": result})
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def _write(self, entry: dict[str, Any]) -> None:
        body = encode(entry)
        try:
            self._file.write(f"{crc32(body.encode()):08x} {body}\n".encode())
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self.path}: {error.strerror}; what was finished is kept: free some space, then start again"
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            if error is None:  # else the same again: what could not be written is tried once more
                raise
        finally:
            self._held.close()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the entry of a journal line, or None when its checksum does not vouch for it."""
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % crc32(body):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
