"""Run one untrusted program and its tests under limits and report how it ended; started by sandbox.py as a script.

Imports nothing of the project. Standard input holds the order (JSON: parts, limits, nonce, guard, nobody); standard
output takes the report, a line of JSON. What says `failed` or `memory` needs no proof; `passed` counts only with the
nonce. A program that exits at once, is killed or runs out of time leaves no report.

The program shares the process with what watches it, so it must not be able to say itself that it passed:

- All that watches is bound before the program starts: what it patches (builtins, os.write, json, sys.stdout) is not
  looked up again. Its tests run with builtins as they were before it.
- The nonce is known to an audit hook alone, which no Python object that the program can reach refers to. The hook
  reports when, and only when, `main` itself stands at its last line, to which it comes after all parts have ended.
- What would show or enter a hook's frame is refused: gc's lists, tracing, handlers of signals, ctypes, other hooks.

So a program must read or write foreign memory to lie, from native code. It can still return objects that are equal to
everything.
"""

import ctypes
import gc
import json
import os
import resource
import sys
import types
from contextlib import suppress

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, SIGKILL = 1, 4, 38, 9
CLONE_NEWUSER = 0x10000000
ENDED = "isheep.ended"
REFUSED: tuple[str, ...] = (
    "gc.get_objects",
    "gc.get_referrers",
    "gc.get_referents",
    "sys.settrace",
    "sys.setprofile",
    "sys._current_frames",
    "sys._current_exceptions",
    "sys.addaudithook",
    "sys.monitoring.register_callback",
    "cpython.PyInterpreterState_New",
)
BLOCKED = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "shutil.",
    "tempfile.",
    "ftplib.",
    "smtplib.",
    "urllib.",
)
BLOCKED_CALLS = (
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.kill",
    "os.killpg",
)
PATH_CALLS: tuple[str, ...] = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
    "os.utime",
    "os.setxattr",
    "os.removexattr",
    "os.chflags",
    "os.lockf",
)


def main() -> None:
    """Read the order, give up every right, run the parts one after the other, report.

    While a part runs, its frames stand on this one, and it can read the names that this one holds: none of them is
    secret, and none of them is used again. What is yet to run is held by the loop alone.
    """
    order = received()
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
    write, encode, leave, audit = (
        os.write,
        json.JSONEncoder().encode,
        os._exit,
        sys.audit,
    )
    watch(order.pop("nonce"), report, sys._getframe())
    refuse()
    try:
        for run, namespace, builtins, part in steps(order.pop("parts")):
            namespace["__builtins__"] = builtins
            run(part, namespace)
    except BaseException as error:
        write(
            report,
            encode({"status": status(error), "detail": described(error)}).encode() + b"\n",
        )
        leave(1)
        raise  # should any of these have been replaced: never on to the last line
    else:
        audit(ENDED)


def received() -> dict:
    """Return the order; read without Python's own buffer, which would keep it for whoever rewinds it."""
    chunks = []
    while chunk := os.read(0, 1 << 20):
        chunks.append(chunk)
    return json.loads(b"".join(chunks))


def watch(nonce: str, report: int, main: types.FrameType) -> None:
    """Install the hook that reports that the program passed, once `main` itself asks for it at its last line."""
    ended, write, leave, caller = ENDED, os.write, os._exit, sys._getframe
    collecting, collect, do_not_collect = gc.isenabled, gc.enable, gc.disable
    last = max(line for *_, line in main.f_code.co_lines() if line)
    passed = json.dumps({"nonce": nonce, "status": "passed", "detail": ""}).encode() + b"\n"

    def hook(event: str, arguments: tuple) -> None:
        # Whatever runs on top of this frame, or catches an error with it in its traceback, can read `passed`: so no
        # name is looked up outside, no error leaves, and nothing is collected (a collection calls __del__).
        if event != ended:
            return
        try:
            before = collecting()
            do_not_collect()
            if caller(1) is main and main.f_lineno == last:
                write(report, passed)
                leave(0)
            if before:
                collect()
        except:  # noqa: E722 - `BaseException` would be looked up
            return

    sys.addaudithook(hook)


def refuse() -> None:
    """Refuse what shows the insides of the interpreter, and handlers of signals: they would run on the hook's frame."""
    import _signal
    import signal

    def refuse_handler(number: int, handler: object) -> None:
        raise ValueError("the sandbox refuses handlers of signals")

    def refuse_event(event: str, arguments: tuple) -> None:
        if event in REFUSED or event.startswith("ctypes."):
            raise PermissionError("the sandbox refuses " + event)

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler raises wherever the main thread is
    _signal.signal = refuse_handler
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # no process that it starts may read this memory
    sys.addaudithook(refuse_event)


def steps(parts: "list[str]") -> tuple:
    """Return for each part what runs it, the common namespace, builtins of its own and its code.

    The namespace is a module, but not `__main__`: what stands under `if __name__ == "__main__"` is not asked for.
    """
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    pristine = vars(sys.modules["builtins"])
    codes = [compile(part, f"<part {number}>", "exec", dont_inherit=True) for number, part in enumerate(parts)]
    return tuple((exec, vars(module), dict(pristine), code) for code in codes)


def status(error: BaseException) -> str:
    """Return how a program ended that raised this."""
    return "memory" if isinstance(error, MemoryError) else "failed"


def described(error: BaseException) -> str:
    """Return an exception in a line, its message cut where it is long or cannot be told."""
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except BaseException:
        return type(error).__name__


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
        resource.setrlimit(
            kind,
            (
                value,
                value + 1 if kind == resource.RLIMIT_CPU and value != hard else value,
            ),
        )


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
    blocked, blocked_calls, path_calls = BLOCKED, BLOCKED_CALLS, PATH_CALLS

    def refuse(event: str, arguments: tuple) -> None:
        if event.startswith(blocked) or event in blocked_calls:
            raise PermissionError(f"the sandbox refuses {event}")
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR)
            paths = [path] if writes else []
        else:
            paths = (
                [argument for argument in arguments if isinstance(argument, (str, bytes))]
                if event in path_calls
                else []
            )
        for path in paths:
            if isinstance(path, int) or not (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(inside):
                raise PermissionError(f"the sandbox refuses to change {path!r}")

    return refuse


if __name__ == "__main__":
    main()
