"""Run one untrusted program under limits and report how it ended; started by sandbox.py as a script of its own.

Imports nothing of the project. Standard input holds the order (JSON: program, limits, nonce, guard, nobody); standard
output takes the report (JSON: nonce, status, detail) if the program comes to its end, by itself or by an exception. A
program that exits at once, is killed or runs out of time leaves no report.
"""

import ctypes
import json
import os
import resource
import sys
from contextlib import suppress

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, SIGKILL = 1, 38, 9
CLONE_NEWUSER = 0x10000000
BLOCKED = ("socket.", "subprocess.", "ctypes.", "shutil.", "tempfile.", "ftplib.", "smtplib.", "urllib.")
BLOCKED_CALLS = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "os.killpg")
PATH_CALLS = (
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown"),
    *("os.truncate", "os.utime", "os.setxattr", "os.removexattr", "os.chflags", "os.lockf"),
)


def main() -> None:
    """Read the order, give up every right, run the program, report."""
    order = json.load(sys.stdin)
    report = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    with suppress(ImportError):
        import numpy  # noqa: F401 - loaded before the limits, which its libraries might not survive
    drop_rights(order["nobody"])
    limit(order)
    if order["guard"]:
        sys.addaudithook(guard(os.getcwd()))
    status, detail = run(order["program"])
    answer = {"nonce": order["nonce"], "status": status, "detail": detail}
    os.write(report, json.dumps(answer).encode())
    os._exit(0)


def drop_rights(nobody: bool) -> None:
    """Become nobody if root, with a count of processes of its own where the kernel allows; die with the parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    if nobody and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        libc.unshare(CLONE_NEWUSER)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def limit(order: dict) -> None:
    """Bound seconds of CPU, bytes of memory and of each file, and processes; no core files."""
    bounds = {
        resource.RLIMIT_CPU: order["cpu_s"],
        resource.RLIMIT_AS: order["memory_mib"] << 20,
        resource.RLIMIT_FSIZE: order["file_mib"] << 20,
        resource.RLIMIT_NPROC: order["processes"] + (own_tasks() if order["guard"] else 0),
        resource.RLIMIT_NOFILE: 128,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in bounds.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value + 1 if kind == resource.RLIMIT_CPU and value != hard else value))


def own_tasks() -> int:
    """Return how many tasks this user runs already: without namespaces the limit on processes counts them too."""
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def guard(folder: str):
    """Return an audit hook that refuses network, processes, native code and writing outside `folder`.

    It stops accidents, not an attacker: it is what is left where the kernel allows no namespaces.
    """
    inside = os.path.realpath(folder) + os.sep

    def refuse(event: str, arguments: tuple) -> None:
        if event.startswith(BLOCKED) or event in BLOCKED_CALLS:
            raise PermissionError(f"the sandbox refuses {event}")
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR)
            paths = [path] if writes else []
        else:
            paths = [one for one in arguments if isinstance(one, (str, bytes))] if event in PATH_CALLS else []
        for path in paths:
            if isinstance(path, int) or not (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(inside):
                raise PermissionError(f"the sandbox refuses to change {path!r}")

    return refuse


def run(program: str) -> "tuple[str, str]":
    """Execute the program; return passed, failed or memory, and what it raised."""
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    except MemoryError:
        return "memory", "MemoryError"
    except BaseException as error:
        try:
            return "failed", f"{type(error).__name__}: {error}"[:200]
        except BaseException:
            return "failed", type(error).__name__
    return "passed", ""


if __name__ == "__main__":
    main()
