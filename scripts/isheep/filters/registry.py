"""Where rules are registered, and how names in the settings become rules."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from isheep.errors import UserError

Stage = Literal["prompts", "outputs"]
Row = Mapping[str, Any]

SETS = ("default", "paper", "none")
"""Names of rule sets; "none" is empty and cannot be joined by a rule."""


@dataclass(frozen=True)
class Rule:
    """A named question to a row. Its name is the same in the settings, the rejected rows and the funnel."""

    name: str
    stage: Stage
    sets: tuple[str, ...]
    function: Callable[[Row], bool]

    @property
    def description(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    @property
    def module(self) -> str:
        """The module whose code decides, relative to the folder of scripts."""
        return self.function.__module__.replace(".", "/") + ".py"

    def broken(self, row: Row) -> bool:
        """Return True when the row must be dropped.

        Every rule reads the texts `instruction` and `input`; rules of the stage "outputs" also read `output`,
        `finish_reason` ("stop", "length" or "context") and `stop_reason`.
        """
        return bool(self.function(row))


_rules: dict[Stage, dict[str, Rule]] = {"prompts": {}, "outputs": {}}


def prompt_rule(name: str, sets: tuple[str, ...] = ()) -> Callable[[Callable[[Row], bool]], Callable[[Row], bool]]:
    """Register the decorated function as a prompt rule; within a set, rules keep the order of registration."""
    return _register("prompts", name, sets)


def output_rule(name: str, sets: tuple[str, ...] = ()) -> Callable[[Callable[[Row], bool]], Callable[[Row], bool]]:
    """Register the decorated function as an output rule; within a set, rules keep the order of registration."""
    return _register("outputs", name, sets)


def _register(
    stage: Stage, name: str, sets: tuple[str, ...]
) -> Callable[[Callable[[Row], bool]], Callable[[Row], bool]]:
    def decorate(function: Callable[[Row], bool]) -> Callable[[Row], bool]:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in SETS:
            raise ValueError(f"{name!r} cannot name a rule: use snake_case and no set's name ({', '.join(SETS)})")
        if name in _rules[stage]:
            raise ValueError(f"two rules of the stage {stage} are named {name!r}")
        if wrong := [known for known in sets if known not in SETS or known == "none"]:
            raise ValueError(f"rule {name!r}: no rule set {wrong[0]!r} to join")
        if not (function.__doc__ or "").strip():
            raise ValueError(f"rule {name!r} needs a docstring: its first line is its description")
        _rules[stage][name] = Rule(name, stage, sets, function)
        return function

    return decorate


def resolve(stage: Stage, names: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules that `names` stand for, in order and each once.

    Parameters
    ----------
    stage
        "prompts" or "outputs".
    names
        Names of rules or of rule sets; a set stands for its rules in their order.

    Raises
    ------
    UserError
        A name is neither; the message names the key, the nearest name, and all of them.
    """
    known = _rules[stage]
    unknown = [name for name in names if name not in known and name not in SETS]
    if unknown:
        raise UserError(_complaint(stage, unknown))
    chosen: dict[str, Rule] = {}
    for name in names:
        members = [rule for rule in known.values() if name in rule.sets] if name in SETS else [known[name]]
        chosen.update((rule.name, rule) for rule in members if rule.name not in chosen)
    return tuple(chosen.values())


def _complaint(stage: Stage, unknown: Sequence[str]) -> str:
    other: Stage = "outputs" if stage == "prompts" else "prompts"
    known = [*SETS, *_rules[stage]]
    hints = []
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        if name in _rules[other]:
            hints.append(f"{name!r} is a rule for {other}, so it belongs under {other}.rules")
        elif near:
            hints.append(f"there is no {name!r}; did you mean {near[0]!r}?")
        else:
            hints.append(f"there is no {name!r}")
    return f"{stage}.rules: {'; '.join(hints)} (sets: {', '.join(SETS)}; rules: {', '.join(_rules[stage])})"


def first_broken(rules: Iterable[Rule], row: Row) -> str | None:
    """Return the name of the first rule that drops the row, or None when it passes them all."""
    return next((rule.name for rule in rules if rule.broken(row)), None)


def describe() -> list[tuple[Stage, str, tuple[str, ...], str]]:
    """Return stage, name, sets and description of every rule: by stage, then by set, then in order of registration."""
    rules = [rule for stage in _rules for rule in sorted(_rules[stage].values(), key=_set_order)]
    return [(rule.stage, rule.name, rule.sets, rule.description) for rule in rules]


def _set_order(rule: Rule) -> list[int]:
    return [SETS.index(name) for name in rule.sets or ("none",)]
