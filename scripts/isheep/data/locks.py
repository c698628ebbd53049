"""Locks between processes: the kernel's where the file system has them, else a file that says who holds it.

A file system without `flock` (Lustre mounted without it, some NFS and FUSE) answers with an error. There a lock is a
file that can be made only once, with its holder's name inside. Whether the holder lives is seen from its process on
the same machine, and from other machines by its sign of life: it renews the file's time every few seconds. A killed
holder's file is thus taken over at once on the same machine, and after `SILENCE` seconds from another.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

logger = logging.getLogger(__name__)
WITHOUT_FLOCK = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
SIGN_OF_LIFE = 10.0  # seconds between two
SILENCE = 120.0  # seconds after which a holder on another machine counts as dead
POLL = 0.2
warned: set[Path] = set()


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: a process, told apart from a later one with the same number by its start."""

    host: str
    machine: str
    pid: int
    started: int
    since: str
    token: str

    @classmethod
    def me(cls) -> Holder:
        """Return this process, as from now, under a token of its own."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(socket.gethostname(), _machine(), os.getpid(), started(os.getpid()), now, uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


NOBODY = Holder("?", "?", 0, 0, "?", "")


def read_holder(file: Path) -> tuple[Holder, dict[str, Any]] | None:
    """Return who holds a lock file and what else is noted in it; None when there is no such file, or half of one."""
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        return Holder(**noted.pop("holder")), noted
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def lives(holder: Holder, file: Path) -> bool:
    """Return whether a lock's holder is at work: its process on this machine, its sign of life on another."""
    if not holder.pid:
        return False
    if holder.machine == _machine():
        return started(holder.pid) == holder.started != 0
    silence = silent_for(file)
    return silence is not None and silence < SILENCE


def left_behind(file: Path) -> Holder | None:
    """Return the holder of a lock file that is dead; None when it lives, or the file is gone."""
    noted = read_holder(file)
    if noted:
        return None if lives(noted[0], file) else noted[0]
    # Half a file: its maker died, or is at it.
    return NOBODY if (silent_for(file) or 0.0) > SILENCE else None


def silent_for(file: Path) -> float | None:
    """Return the seconds since a lock file's last sign of life; None when it is gone.

    Both times come from the file system, whose clock may differ from this machine's.
    """
    probe = file.with_name(f"{file.name}.{uuid4().hex}")
    try:
        probe.touch()
        with open(file, "rb") as handle:  # opened, so that a network file system asks its server
            return probe.stat().st_mtime - os.fstat(handle.fileno()).st_mtime
    except FileNotFoundError:
        return None
    finally:
        probe.unlink(missing_ok=True)


def _content(holder: Holder, noted: dict[str, Any]) -> str:
    return json.dumps({"holder": asdict(holder), **noted})


def replace_file(file: Path, holder: Holder, noted: dict[str, Any]) -> None:
    """Write a lock file anew, whole; for its holder."""
    whole = file.with_name(f"{file.name}.{uuid4().hex}")
    whole.write_text(_content(holder, noted), encoding="utf-8")
    os.replace(whole, file)


def make_file(file: Path, holder: Holder, noted: dict[str, Any] | None = None) -> bool:
    """Make a lock file whole, with what else is to be noted in it, unless there is one; return whether it was made."""
    text = _content(holder, noted or {})
    whole = file.with_name(f"{file.name}.{holder.token}")
    try:
        whole.write_text(text, encoding="utf-8")
        os.link(whole, file)  # at once with its content; fails where there is one, on NFS too
    except FileExistsError:
        return False
    except OSError:  # no hard links here, or no room, of which the next line tells
        return _make_exclusively(file, text)
    finally:
        whole.unlink(missing_ok=True)
    return True


def _make_exclusively(file: Path, text: str) -> bool:
    try:
        with open(file, "x", encoding="utf-8") as handle:
            handle.write(text)
    except FileExistsError:
        return False
    return True


def remove_file(file: Path, holder: Holder) -> None:
    """Remove the lock file of a holder; leave it where it is somebody else's by now.

    It is moved aside before it is looked at, so that of two processes that remove the same one only one does, and put
    back when another holder had made a new one meanwhile.
    """
    aside = file.with_name(f"{file.name}.{uuid4().hex}")
    with suppress(FileNotFoundError):
        os.rename(file, aside)
        now = read_holder(aside)
        if now is not None and now[0].token != holder.token:
            with suppress(OSError):
                os.link(aside, file)
        aside.unlink()


class Signs:
    """A thread that renews a lock file's time as long as this process lives."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._end.wait(SIGN_OF_LIFE):
            with suppress(OSError):
                os.utime(self.file)

    def end(self) -> None:
        """Give no sign any more."""
        self._end.set()
        self._thread.join()


@contextmanager
def hold(lock: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock, for whose release others wait; its file is there only as long as somebody holds it.

    Parameters
    ----------
    lock
        The lock file; its folder must be there.
    waiting
        Called once when another process holds the lock.

    Raises
    ------
    OSError
        The file cannot be made: disk full, folder not writable.
    """
    while True:
        handle = open(lock, "w")  # noqa: SIM115 - closed below
        try:
            _wait_for(handle.fileno(), waiting)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle.fileno()), os.stat(lock)):
                    break
        except OSError as error:
            handle.close()
            if error.errno not in WITHOUT_FLOCK:
                raise
            lock.unlink(missing_ok=True)
            with _hold_file(lock.with_name(f"{lock.name}.held"), waiting, str(error.strerror)):
                yield
            return
        handle.close()  # whoever held it has removed it meanwhile
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        handle.close()  # the kernel does so when the process dies


def _wait_for(descriptor: int, waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def _hold_file(file: Path, waiting: Callable[[], None], why: str) -> Iterator[None]:
    """Hold a lock by a file that says who holds it."""
    if not warned:
        logger.warning("%s: this file system has no flock (%s); locks are files here: docs/cluster.md", file, why)
    warned.add(file.parent)
    me, told = Holder.me(), False
    while not make_file(file, me):
        if left := left_behind(file):
            remove_file(file, left)
            continue
        if not told:
            waiting()
            told = True
        time.sleep(POLL)
    signs = Signs(file)
    try:
        yield
    finally:
        signs.end()
        remove_file(file, me)


def _machine() -> str:
    """Return what two processes share that see each other's numbers: this start of the machine, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def started(pid: int) -> int:
    """Return when a process began, in the kernel's ticks; 0 when there is none or it has ended."""
    try:
        # The name, in parentheses, may hold anything; the state follows it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0 if Path("/proc/self/stat").exists() else _answers(pid)
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def _answers(pid: int) -> int:
    """Return 1 when a process takes signals, 0 when there is none; for systems without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return 0
    except PermissionError:
        return 1
    return 1
