"""Generated programs run here and nowhere else: own process, no network, an empty folder, bounded time and memory."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from isheep.errors import UserError

logger = logging.getLogger(__name__)
Mode = Literal["bubblewrap", "namespaces", "limits"]
MODES: tuple[Mode, ...] = ("bubblewrap", "namespaces", "limits")
HERE = Path(__file__).parent
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/nix/store", "/gnu/store")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PROBE = "import fractions, random\nopen('probe', 'w').close()\n"


@dataclass(frozen=True)
class Limits:
    """What one program may use. CPU seconds decide; wall seconds only end what sleeps or waits.

    So a busy machine does not turn a right program into a wrong one.
    """

    cpu_s: int = 30
    wall_s: float = 120.0
    memory_mib: int = 2048
    file_mib: int = 16
    work_mib: int = 64
    processes: int = 16


@dataclass(frozen=True)
class Outcome:
    """How a program ended: `passed` only if it ran to its last line without an exception.

    Else `failed` (an exception, or an exit before the last line), `timeout`, `memory` or `killed`; `detail` says more.
    """

    status: Literal["passed", "failed", "timeout", "memory", "killed"]
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the program ran to its end."""
        return self.status == "passed"


def run(
    program: str, tests: str = "", limits: Limits | None = None, mode: Mode | None = None, allow_weak: bool = False
) -> Outcome:
    """Run a Python program, then its tests, in a process of its own and say how they ended.

    It sees Python's own folders read-only, an empty folder to write to, no network, no other process, and nothing of
    this process's environment. Whatever it starts is killed with it.

    Parameters
    ----------
    program
        Python source; numpy can be imported by it. Its `__name__` is not `__main__`.
    tests
        Python source that is run behind it, with its names but compiled apart: what the program leaves open (a string,
        a bracket) does not swallow it, and what it makes of builtins does not reach it.
    limits
        Bounds; the defaults of `Limits`.
    mode
        How it is shut in; the strongest that works here (`strongest`) when not given.
    allow_weak
        Whether `limits` alone will do where nothing stronger works.
    """
    limits = limits or Limits()
    mode = mode or strongest(allow_weak)
    nonce = secrets.token_hex(16)
    order = {
        "parts": [program, tests],
        "nonce": nonce,
        "guard": mode == "limits",
        "nobody": mode != "limits" or _reachable_by_all(Path(sys.executable)),
        "cpu_s": limits.cpu_s,
        "memory_mib": limits.memory_mib,
        "file_mib": limits.file_mib,
        "processes": limits.processes,
    }
    with (
        tempfile.TemporaryDirectory(prefix="isheep-sandbox-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as report,
    ):
        if order["nobody"] and os.geteuid() == 0:
            os.chmod(folder, 0o777)
        asked.write(json.dumps(order).encode())
        asked.seek(0)
        # Files, not pipes: nothing that the program leaves behind can block or flood the reader.
        process = subprocess.Popen(
            [*_wrapper(mode, folder, limits), *_python(), (HERE / "sandbox_child.py").read_text(encoding="utf-8")],
            stdin=asked,
            stdout=report,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(limits.wall_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill_group(process)
        report.seek(0)
        return _outcome(report.read(4096), nonce, code, limits)


def _python() -> list[str]:
    # -P: this folder holds a module named like one of the standard library's.
    return [sys.executable, "-s", "-P", "-c"]


def _wrapper(mode: Mode, folder: str, limits: Limits) -> list[str]:
    """Return the command in front of the program's: what shuts it in."""
    if mode == "limits":
        return []
    if mode == "namespaces":
        settings = {"mount": folder, "readable": _readable(), "work_mib": limits.work_mib}
        return [sys.executable, "-I", "-S", str(HERE / "namespaces.py"), json.dumps(settings)]
    wrapper = [
        shutil.which("bwrap") or "bwrap",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--cap-drop",
        "ALL",
    ]
    if os.geteuid() == 0:
        # Limits on processes do not hold for root: the child becomes nobody, and needs these two rights to do so.
        wrapper += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        wrapper += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        wrapper += ["--unshare-all"]
    for name, value in ENVIRONMENT.items():
        wrapper += ["--setenv", name, value]
    for path in _readable():
        for folder in [str(parent) for parent in reversed(Path(path).parents)][1:]:
            wrapper += ["--perms", "0755", "--dir", folder]
        if os.path.islink(path):
            wrapper += ["--symlink", os.readlink(path), path]
        else:
            wrapper += ["--ro-bind-try", path, path]
    wrapper += ["--dev", "/dev", "--perms", "0777", "--size", str(limits.work_mib << 20), "--tmpfs", "/sandbox"]
    return [*wrapper, "--remount-ro", "/", "--chdir", "/sandbox", "--"]


@cache
def _readable() -> list[str]:
    """Return what a program may read: the system's libraries and this Python; outer folders first.

    Where a path leads over symbolic links (an environment may be one), each link and the place that it leads to.
    """
    python = [sys.base_prefix, sys.prefix, os.path.dirname(sys.executable), os.path.realpath(sys.executable)]
    steps = [step for path in [*SYSTEM, *python] if os.path.exists(path) for step in _steps(path)]
    outermost: list[str] = []
    for place in sorted({step for step in steps if not os.path.islink(step)}, key=len):
        if not _inside(place, outermost):
            outermost.append(place)
    links = [step for step in steps if os.path.islink(step) and not _inside(step, outermost)]
    return [*outermost, *dict.fromkeys(links)]


def _steps(path: str) -> list[str]:
    """Return the symbolic links on the way of a path, each by a path without links, and the place where it ends."""
    links: dict[str, None] = {}
    at, rest = "/", list(Path(os.path.abspath(path)).parts[1:])
    while rest:
        step = os.path.normpath(os.path.join(at, rest.pop(0)))
        if os.path.islink(step):
            links[step] = None
            at, rest = "/", [*Path(os.path.join(at, os.readlink(step))).parts[1:], *rest]
        else:
            at = step
    return [*links, at]


def _inside(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _reachable_by_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and all that stayed in its process group, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(report: bytes, nonce: str, code: int | None, limits: Limits) -> Outcome:
    """Judge a run by report and exit status (None: out of wall time); signal n is -n, or 128+n through a wrapper.

    The program can write into the report too: that it passed counts only with the nonce, how it failed always.
    """
    if code is None:
        return Outcome("timeout", f"{limits.wall_s:g} s")
    answers = [answer for answer in map(_answer, report.splitlines()) if answer]
    if any(answer.get("nonce") == nonce and answer["status"] == "passed" for answer in answers):
        return Outcome("passed")
    for answer in answers:
        if answer["status"] in ("failed", "memory"):
            return Outcome(answer["status"], str(answer.get("detail", ""))[:200])
    number = -code if code < 0 else code - 128
    if number == signal.SIGXCPU:
        return Outcome("timeout", f"{limits.cpu_s} s of CPU")
    if number > 0:
        return Outcome("killed", signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}")
    return Outcome("failed", f"ended before its last line (exit status {code})")


def _answer(line: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and isinstance(answer.get("status"), str) else None


def works(mode: Mode) -> bool:
    """Return whether a harmless program runs in this mode on this machine."""
    return not _trouble(mode)


@cache
def _trouble(mode: Mode) -> str:
    """Return why a harmless program does not run in this mode on this machine; "" when it does."""
    if mode == "bubblewrap" and (missing := _no_bubblewrap()):
        return missing
    outcome = run(PROBE, limits=Limits(cpu_s=30), mode=mode)
    trouble = "" if outcome.passed else f"a harmless program does not run in it ({outcome.status}: {outcome.detail})"
    if trouble:
        logger.info("sandbox: %s: %s", mode, trouble)
    return trouble


def _no_bubblewrap() -> str:
    """Return why bwrap cannot be used; "" when it is there and can bound its scratch space (0.7 or newer)."""
    path = shutil.which("bwrap")
    if path is None:
        return "not installed"
    described = subprocess.run([path, "--help"], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    return "" if "--size" in described.stdout + described.stderr else "older than 0.7"


def strongest(allow_weak: bool = False) -> Mode:
    """Return the strongest mode that works here: bubblewrap, namespaces, or, only if allowed, limits.

    Raises
    ------
    UserError
        The machine offers neither bubblewrap nor namespaces, and `allow_weak` is false.
    """
    for mode in MODES[:2]:
        if works(mode):
            return mode
    if not allow_weak:
        reasons = "; ".join(f"{mode}: {_trouble(mode)}" for mode in MODES[:2])
        raise UserError(
            f"no sandbox for generated code ({reasons}). Install bubblewrap (0.7 or newer), allow user namespaces, "
            "drop the code benchmarks, or, only inside a throw-away machine, set weak_sandbox: it bounds time and "
            "memory, but does not stop an attacker"
        )
    logger.warning("generated code runs in the weak sandbox: it stops accidents, not an attacker")
    return "limits"
