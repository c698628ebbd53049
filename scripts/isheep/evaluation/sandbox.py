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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

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


def run(program: str, limits: Limits | None = None, mode: Mode | None = None, allow_weak: bool = False) -> Outcome:
    """Run a Python program in a process of its own and say how it ended.

    It sees Python's own folders read-only, an empty folder to write to, no network, no other process, and nothing of
    this process's environment. Whatever it starts is killed with it.

    Parameters
    ----------
    program
        Python source; numpy can be imported by it.
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
        "program": program,
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
        for folder in [str(one) for one in reversed(Path(path).parents)][1:]:
            wrapper += ["--perms", "0755", "--dir", folder]
        if os.path.islink(path):
            wrapper += ["--symlink", os.readlink(path), path]
        else:
            wrapper += ["--ro-bind-try", path, path]
    wrapper += ["--dev", "/dev", "--perms", "0777", "--size", str(limits.work_mib << 20), "--tmpfs", "/sandbox"]
    return [*wrapper, "--remount-ro", "/", "--chdir", "/sandbox", "--"]


@cache
def _readable() -> list[str]:
    """Return what a program may read: the system's libraries and this Python; outer folders first."""
    python = [sys.base_prefix, sys.prefix, os.path.dirname(os.path.realpath(sys.executable))]
    found: list[str] = []
    for path in [*SYSTEM, *sorted(set(python))]:
        if os.path.lexists(path) and not any(path.startswith(outer + os.sep) or path == outer for outer in found):
            found.append(path)
    return found


def _reachable_by_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and all that stayed in its process group, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(report: bytes, nonce: str, code: int | None, limits: Limits) -> Outcome:
    """Judge a run by report and exit status (None: out of wall time); signal n is -n, or 128+n through a wrapper."""
    if code is None:
        return Outcome("timeout", f"{limits.wall_s:g} s")
    try:
        answer = json.loads(report)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and answer.get("nonce") == nonce:
        return Outcome(answer["status"], answer["detail"])
    number = -code if code < 0 else code - 128
    if number == signal.SIGXCPU:
        return Outcome("timeout", f"{limits.cpu_s} s of CPU")
    if number > 0:
        return Outcome("killed", signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}")
    return Outcome("failed", f"ended before its last line (exit status {code})")


@cache
def works(mode: Mode) -> bool:
    """Return whether a harmless program runs in this mode on this machine."""
    if mode == "bubblewrap" and not _new_bubblewrap():
        return False
    outcome = run(PROBE, Limits(cpu_s=30), mode)
    if not outcome.passed:
        logger.info("sandbox: %s does not work here (%s %s)", mode, outcome.status, outcome.detail)
    return outcome.passed


def _new_bubblewrap() -> bool:
    """Return whether bwrap is there and can bound its scratch space (0.7 or newer)."""
    path = shutil.which("bwrap")
    if path is None:
        return False
    described = subprocess.run([path, "--help"], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    return "--size" in described.stdout + described.stderr


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
        raise UserError(
            "no sandbox for generated code: bubblewrap (0.7 or newer) is not installed and this kernel or container "
            "allows no user namespaces. Install bubblewrap, or drop the code benchmarks, or, only inside a throw-away "
            "machine, allow the weak sandbox: it bounds time and memory but does not stop an attacker"
        )
    logger.warning("generated code runs in the weak sandbox: it stops accidents, not an attacker")
    return "limits"


def run_all(
    programs: Iterable[str], limits: Limits | None = None, mode: Mode | None = None, workers: int = 1
) -> list[Outcome]:
    """Run programs, `workers` at a time; return their outcomes in order."""
    chosen = mode or strongest()
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda program: run(program, limits, chosen), programs))
