"""Two or more ways to do the same work, each in a process of its own that is loaded once, asked in turn.

What a busy machine does to one of them it does to the next as well: the ratio of their medians is what counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MARK = "@@ "
SPINNER = "while True: pass"


class Worker:
    """A process that does some work each time it is asked.

    Parameters
    ----------
    command
        What runs `serve`.
    environment
        Variables to set; None takes one away.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str | None] | None = None) -> None:
        changes = dict(environment or {})
        kept = {name: value for name, value in os.environ.items() if name not in changes}
        added = {name: value for name, value in changes.items() if value is not None}
        self._process = subprocess.Popen(
            command, env=kept | added, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.loaded: dict[str, Any] | None = None

    def wait(self) -> dict[str, Any]:
        """Return what it tells once it is loaded."""
        self.loaded = self.loaded or self._read()
        return self.loaded

    def work(self) -> dict[str, Any]:
        """Have it do its work once; return what it tells, `seconds` among it."""
        self.wait()
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        """Have it end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line[len(MARK) :])
        raise SystemExit(f"a worker ended with exit status {self._process.wait()}")


def serve(load: Callable[[], Callable[[], dict[str, Any]]]) -> None:
    """Load, say so, and work whenever asked.

    What each turn took is added: `seconds` of wall time, and `processor` seconds of all threads, which other work on
    the machine hardly changes.
    """
    start = time.perf_counter()
    work = load()
    _tell({"seconds": time.perf_counter() - start})
    for _ in sys.stdin:
        start, spent = time.perf_counter(), time.process_time()
        told = work()
        _tell({"seconds": time.perf_counter() - start, "processor": time.process_time() - spent} | told)
    sys.stdout.flush()
    os._exit(0)  # engines may leave threads that would keep it alive


def _tell(what: Mapping[str, Any]) -> None:
    print(MARK + json.dumps(what), flush=True)


def in_turn(workers: Mapping[str, Worker], repeats: int, warm: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Have each work in turn, the order reversed every other time; the first `warm` turns do not count."""
    for worker in workers.values():
        worker.wait()
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for turn in range(warm + repeats):
        for name in list(workers) if turn % 2 == 0 else reversed(list(workers)):
            said = workers[name].work() | {"load": os.getloadavg()[0]}
            print(f"turn {turn}, {name}: {said['seconds']:.1f} s, load {said['load']:.1f}", file=sys.stderr, flush=True)
            if turn >= warm:
                told[name].append(said)
    return told


def median(told: Sequence[Mapping[str, Any]], per_second: str | None = None, by: str = "seconds") -> float:
    """Return the median seconds (of wall time, or `by` another clock), or the median of a count by second."""
    return statistics.median(each[per_second] / each[by] if per_second else each[by] for each in told)


@contextlib.contextmanager
def busy(spinners: int) -> Iterator[None]:
    """Keep so many processes busy beside the work."""
    processes = [subprocess.Popen([sys.executable, "-c", SPINNER]) for _ in range(spinners)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
