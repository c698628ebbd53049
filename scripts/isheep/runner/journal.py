"""Finished requests on disk: what makes a stage resume inside, whatever killed it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from zlib import crc32

from isheep.data.files import encode
from isheep.data.locks import hold
from isheep.errors import UserError

logger = logging.getLogger(__name__)
SYNC_SECONDS = 1.0
OPEN_FILES = 256  # journals of other writers that are held open at once; systems allow some thousand
OFFSET_BITS = 48


class Journal:
    """An append-only file of finished requests in a folder that several writers share.

    Every writer (a shard, or the stage itself) has a file of its own and reads all of them. Each line carries a
    checksum: a torn, zeroed or edited line is not trusted and its request is simply done again. The first line of a
    file is the fingerprint of model, engine and code, and a result is found by the digest of its whole request, so
    that a result of another model, another prompt or another seed is never used.

    Results stay on disk: what is held of each is its place, some hundred bytes with the key by which it is found.

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
        self._places: dict[int, int | tuple[int, ...]] = {}  # by the hash of a request's digest without its limit
        self._read = _Files()
        self._end = 0  # of this writer's file, in bytes
        self._held = ExitStack()  # the lock, until __exit__

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # No other process (an orphan of a killed driver, say) writes to this file meanwhile.
            self._held.enter_context(hold(self.path.with_suffix(".lock"), self._tell_wait))
            for file in sorted(self.folder.glob("*.jsonl")):
                self._note(file)
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

    def _note(self, file: Path) -> None:
        """Note where each result of a file stands that its checksum vouches for."""
        bad = 0
        number = self._read.number(file)
        with open(file, "rb") as handle:
            header = _parse(line := handle.readline())
            if header is None or header.get("fingerprint") != self.fingerprint:
                if file.stat().st_size:
                    logger.warning("%s: not a journal of this stage and settings; ignored", file)
                return
            offset = len(line)
            for line in handle:
                request = _request(line)
                if request is None:
                    bad += 1
                else:
                    self._put(request, number << OFFSET_BITS | offset)
                offset += len(line)
        if bad:
            logger.warning("%s: %d damaged lines; those requests are done again", file, bad)

    def _put(self, request: str, place: int) -> None:
        key = _hash(request)
        before = self._places.get(key)
        self._places[key] = place if before is None else (*(before if isinstance(before, tuple) else (before,)), place)

    def kept(self, request: str) -> Iterator[tuple[str, int]]:
        """Yield every digest that differs from a request's in its limit at most, with the place of its result."""
        places = self._places.get(_hash(request), ())
        for place in places if isinstance(places, tuple) else (places,):
            found = _request(self._read.line(place))
            if found is not None and found.partition("/")[0] == request.partition("/")[0]:
                yield found, place

    def result(self, place: int) -> Any:
        """Return the result at a place that `kept` or `append` gave."""
        entry = _parse(self._read.line(place))
        if entry is None:
            raise UserError(f"{self.folder}: its journal was changed while it was read; start again")
        return entry["result"]

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
                self._file.flush()
        self._end = self.path.stat().st_size
        self._synced = time.monotonic()

    def append(self, request: str, result: Any) -> int:
        """Keep the result (a JSON value) of a finished request, under the request's digest; return its place."""
        place = self._number << OFFSET_BITS | self._end
        self._write({"request": request, "result": result})
        self._put(request, place)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()
        return place

    @cached_property
    def _number(self) -> int:
        return self._read.number(self.path)

    def _write(self, entry: dict[str, Any]) -> None:
        body = encode(entry).encode()
        line = b"%08x %b\n" % (crc32(body), body)
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self.path}: {error.strerror}; what was finished is kept: free some space, then start again"
            ) from None
        self._end += len(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            if error is None:  # else the same again: what could not be written is tried once more
                raise
        finally:
            self._read.close()
            self._held.close()


class _Files:
    """Reads lines at places in many files, of which some are held open: those that were read last."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._open: dict[int, BinaryIO] = {}

    def number(self, path: Path) -> int:
        """Return the number of a file."""
        if path not in self._paths:
            self._paths.append(path)
        return self._paths.index(path)

    def line(self, place: int) -> bytes:
        """Return the line at a place."""
        number, offset = place >> OFFSET_BITS, place & ((1 << OFFSET_BITS) - 1)
        handle = self._open.pop(number, None) or open(self._paths[number], "rb")  # noqa: SIM115 - held until `close`
        self._open[number] = handle  # the last of them now
        if len(self._open) > OPEN_FILES:
            self._open.pop(next(iter(self._open))).close()
        handle.seek(offset)
        return handle.readline()

    def close(self) -> None:
        """Close every file."""
        while self._open:
            self._open.popitem()[1].close()


def _hash(request: str) -> int:
    return hash(request.partition("/")[0])


BEGIN = b'{"request": "'


def _request(line: bytes) -> str | None:
    """Return the digest of the request that a journal line answers, or None when its checksum does not vouch for it."""
    body = _body(line)
    if body is None or not body.startswith(BEGIN):
        return None
    return body[len(BEGIN) : body.index(b'"', len(BEGIN))].decode()


def _body(line: bytes) -> bytes | None:
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    return body if checksum == b"%08x" % crc32(body) else None


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the entry of a journal line, or None when its checksum does not vouch for it."""
    body = _body(line)
    if body is None:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
