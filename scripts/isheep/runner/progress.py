"""How far a stage is: one line, in its log at most every half minute, with what is left; on a terminal a live one."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, TextIO

logger = logging.getLogger(__name__)
SECONDS = 30.0
LIVE_SECONDS = 1.0
CLEAR = "\r\x1b[K"
LIVE = "live"
"""Attribute of a record that is a state of the live line: only a terminal shows it."""


class Progress:
    """Counts what is done of a piece of work and logs it.

    The clock starts with the first unit that is done: before it an engine was started, or kernels were compiled.

    Parameters
    ----------
    total, done
        Units of work in all, and those that were done before.
    unit
        What is counted.
    """

    def __init__(self, total: int, done: int = 0, unit: str = "requests") -> None:
        self.total = total
        self.done = self._before = done
        self.unit = unit
        self.tokens = 0
        self._last = self._shown = time.monotonic()
        self._start: float | None = None

    def add(self, tokens: int = 0, count: int = 1, note: str = "") -> None:
        """Count more units done, which took so many tokens; a note follows what is told of them."""
        self.done += count
        now = time.monotonic()
        if self._start is None:
            self._start, self._before = now, self.done
        else:
            self.tokens += tokens
        if self.done >= self.total:
            return
        if now - self._last >= SECONDS:
            self._last = now
            logger.info("%s%s", self.line(now - self._start), note)
        elif now - self._shown >= LIVE_SECONDS:
            self._shown = now
            logger.info("%s%s", self.line(now - self._start), note, extra={LIVE: True})

    def line(self, seconds: float) -> str:
        """Return where the work stands so many seconds after its first unit."""
        stands = f"{self.done:,} of {self.total:,} {self.unit}"
        rate = (self.done - self._before) / seconds if seconds else 0.0
        if not rate:
            return stands
        left = (self.total - self.done) / rate
        speed = f"{rate:.2g} {self.unit}/s" + (f", {self.tokens / seconds:,.0f} tokens/s" if self.tokens else "")
        return f"{stands}, {speed}, {duration(left)} left"


class LiveHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream; on a terminal, states of the live line over each other.

    Parameters
    ----------
    stream
        Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._live = stream.isatty()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a state of the live line without a line end, and not at all where there is no terminal."""
        live = getattr(record, LIVE, False)
        if live and not self._live:
            return
        if self._live:
            self.stream.write(CLEAR)
        self.terminator = "" if live else "\n"
        super().emit(record)


def no_live_line(record: logging.LogRecord) -> bool:
    """Filter of a log file: no states of the live line."""
    return not getattr(record, LIVE, False)


def title(rule: str, wildcards: Mapping[str, Any]) -> str:
    """Return whose work a job does: run, round, stage, and which shard of it."""
    run, i, shard = (wildcards.get(key) for key in ("run", "i", "shard"))
    of_shards = f"shard {shard} of {wildcards['shards']}" if shard else None
    stage = rule.removesuffix("_shard") if shard else rule
    return " ".join(filter(None, [run, f"round {i}" if i is not None else None, stage, of_shards]))


def duration(seconds: float) -> str:
    """Return a time as people say it: 40 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
