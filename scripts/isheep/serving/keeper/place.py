"""Where a keeper is reached: sockets in a folder of the user's own, and whose turn it is to be served there.

A *slot* is what an engine occupies, a GPU or the CPUs of a working folder, and has one keeper at most. Whoever talks to
it, starts it or ends it holds the slot's turn: a lock of the kernel's, free again when its holder is dead.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)
SHORT = 107  # bytes of a socket's path that the kernel takes


def folder() -> Path:
    """Return the folder of this user's keepers on this machine; made when it is not there.

    Raises
    ------
    OSError
        It cannot be made, or is open to others.
    """
    name = f"isheep-{os.getuid()}"
    place = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(socket_of(place, "0" * 16, "0" * 64))) > SHORT:
        place = Path("/tmp") / name
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise OSError(f"{place} is not a folder of this user's alone")
    return place


def socket_of(place: Path, slot: str, key: str) -> Path:
    """Return where the keeper of a slot listens that serves clients with this key (hex digits)."""
    return place / f"{slot}.{key[:16]}.sock"


@contextmanager
def turn(slots: Sequence[str]) -> Iterator[bool]:
    """Take the turn at some slots, all or none; yield whether it was free."""
    with ExitStack() as held:
        yield all(_taken(folder() / f"{slot}.lock", held) for slot in sorted(set(slots)))


def _taken(file: Path, held: ExitStack) -> bool:
    while True:
        handle = open(file, "a")  # noqa: SIM115 - closed below
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            return False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(file)):
                held.callback(_give_back, handle, file)
                return True
        handle.close()  # whoever had it has removed it meanwhile


def _give_back(handle: IO[str], file: Path) -> None:
    file.unlink(missing_ok=True)
    handle.close()


def connect(slots: Sequence[str], key: str) -> socket.socket | None:
    """Return a connection to the keeper of some slots that serves this key; None where there is none."""
    return _connected(socket_of(folder(), slots[0], key))


def _connected(file: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(file))
    except OSError:
        connection.close()
        return None
    return connection


def listen(slots: Sequence[str], key: str) -> tuple[socket.socket, list[Path]]:
    """Return a listening socket, and its files: one for each slot. For a keeper that somebody at turn has started."""
    first, *others = (socket_of(folder(), slot, key) for slot in slots)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(first))
    listener.listen()
    for file in others:
        file.symlink_to(first)
    return listener, [first, *others]


def clear(slots: Sequence[str]) -> int:
    """End the keepers of some slots, wait until their memory is free, and return how many there were; only at turn."""
    return sum(_end(file) for slot in slots for file in sorted(folder().glob(f"{slot}.*.sock")))


def _end(file: Path) -> bool:
    """End the process that listens at a socket, and remove the socket.

    It has nothing to lose: it serves nobody, and what a dead job was told is in that job's journal.
    """
    with _open_process(file) as process:
        if process is not None:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], [], [])
        file.unlink(missing_ok=True)
    return process is not None


@contextmanager
def _open_process(file: Path) -> Iterator[int | None]:
    """Open the process that listens at a socket, by a descriptor that no later process gets; None where nobody does."""
    connection = _connected(file)
    if connection is None:
        yield None
        return
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        number, _, _ = struct.unpack("3i", credentials)
        try:
            process = os.pidfd_open(number)
        except ProcessLookupError:
            yield None
            return
    try:
        yield process
    finally:
        os.close(process)
