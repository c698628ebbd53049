"""The one exception whose text is written for the person who runs the workflow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

Arguments = ParamSpec("Arguments")
SHOWN = 10


class UserError(Exception):
    """A mistake or a state that the user can mend.

    The message is one paragraph: where (file and line, or key), what is wrong, what to type.
    Scripts print it without a traceback.
    """


def command(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Have a command print a UserError to its stderr, without a traceback, and end with 1."""

    @wraps(main)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> int:
        try:
            return main(*arguments, **options)
        except UserError as error:
            print(error, file=sys.stderr)
            return 1

    return run


class Problems:
    """Collect several user-facing problems and raise them together.

    Example
    -------
    >>> problems = Problems("config/config.yaml")
    >>> problems.add("runs.demo.rounds", "must be at least 1, is 0")
    >>> problems.raise_if_any()
    Traceback (most recent call last):
    ...
    isheep.errors.UserError: config/config.yaml: 1 problem
      runs.demo.rounds: must be at least 1, is 0
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.found: list[str] = []

    def add(self, place: str, what: str) -> None:
        """Note one problem at `place` (a key, or a line)."""
        self.found.append(f"{place}: {what}")

    def raise_if_any(self) -> None:
        """Raise one UserError that lists what was found, `SHOWN` at most; do nothing when nothing was."""
        if self.found:
            count = f"{len(self.found)} problem" + ("s" if len(self.found) > 1 else "")
            more = [f"and {len(self.found) - SHOWN} more"] if len(self.found) > SHOWN else []
            raise UserError("\n  ".join([f"{self.where}: {count}", *self.found[:SHOWN], *more]))
