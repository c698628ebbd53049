"""How far a stage is: one line, at most every half minute, with what is left."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)
SECONDS = 30.0


class Progress:
    """Counts what is done of a wave and logs it.

    Parameters
    ----------
    about
        Whose work it is: run, round and stage.
    total, done
        Requests in all, and those that were answered before.
    """

    def __init__(self, about: str, total: int, done: int) -> None:
        self.about = about
        self.total = total
        self.done = self._before = done
        self.tokens = 0
        self._start = self._last = time.monotonic()

    def add(self, tokens: int) -> None:
        """Count one more answer of so many new tokens."""
        self.done += 1
        self.tokens += tokens
        now = time.monotonic()
        if now - self._last >= SECONDS and self.done < self.total:
            self._last = now
            logger.info("%s", self.line(now - self._start))

    def line(self, seconds: float) -> str:
        """Return where the work stands after so many seconds of it."""
        rate = (self.done - self._before) / seconds
        left = (self.total - self.done) / rate
        speed = f"{rate:.2g} requests/s" + (f", {self.tokens / seconds:,.0f} tokens/s" if self.tokens else "")
        return f"{self.about}: {self.done:,} of {self.total:,} requests, {speed}, {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time as people say it: 40 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
