"""Config files read strictly: what YAML would guess or lose (a key twice, `on:`, dates, tabs) is told with its line."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from isheep.errors import Problems, UserError

Keys = tuple[str, ...]
SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
OCTAL = re.compile(r"[-+]?0[0-7_]+")
READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date", "null": "nothing"}
PLAIN_TAGS = {"str", "seq", "map", "merge", *READ_AS}
QUOTES = 'put it in "quotes"'


@dataclass
class Source:
    """A config file: its name in messages, what it holds, and the line of each key."""

    name: str
    data: dict[str, Any]
    lines: dict[Keys, int] = field(default_factory=dict)

    def place(self, keys: Keys) -> str | None:
        """Return `file:line` of a key; None when the file does not have it."""
        return f"{self.name}:{self.lines[keys]}" if keys in self.lines else None


def read_source(path: Path, problems: Problems) -> Source:
    """Return a config file, preset or recipe; note what YAML would guess or lose.

    Raises
    ------
    UserError
        It cannot be read, is no YAML, or no mapping; one line with file and line.
    """
    name = _shown(path)
    text = _text(path, name)
    if text.lstrip().startswith("{"):
        try:
            pairs = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, name, problems))
        except json.JSONDecodeError:
            pass  # as Snakemake, which tries YAML then
        else:
            return Source(name, pairs)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Keys, int] = {}
        traps = list(_walk(node, (), lines, set())) if node else []
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(_explain(error, text, name)) from None
    except ValueError as error:  # 2024-13-40
        raise UserError(f'{name}: {error}; put dates in "quotes"') from None
    if data is None:
        raise UserError(f"{name}: holds no settings; write runs: {{my-run: {{preset: smollm2-135m-instruct}}}}")
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a text"
        raise UserError(f"{name}:1: expected keys, like `runs:`, at the left margin, found {kind}")
    for line, what in traps:
        problems.add(f"{name}:{line}", what)
    return Source(name, data, lines)


def _shown(path: Path) -> str:
    """Return a path as the user would type it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _text(path: Path, name: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror})") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{name}:1: saved in UTF-16; save the file in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file in UTF-8") from None


def _unique(pairs: Iterable[tuple[str, Any]], name: str, problems: Problems) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            problems.add(name, f"the key {key!r} is there twice; delete one")
        unique[key] = value
    return unique


def _explain(error: yaml.YAMLError, text: str, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    if mark is None:
        return f"{name}: not YAML ({problem})"
    place = f"{name}:{mark.line + 1}"
    if isinstance(error, yaml.constructor.ConstructorError):
        return f"{place}: {problem}; delete the tag"
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{place}: a tab before the text; indent with spaces"
    hint = '; a text with a colon, or that begins with a sign, goes in "quotes"' if "mapping values" in problem else ""
    opened = getattr(error, "context_mark", None)
    since = f", begun in line {opened.line + 1}" if opened and opened.line != mark.line else ""
    return f"{place}: not YAML ({problem} at column {mark.column + 1}{since}){hint}"


def _walk(node: yaml.Node, keys: Keys, lines: dict[Keys, int], within: set[int]) -> Iterator[tuple[int, str]]:
    """Yield (line, what) of everything that YAML would guess or lose; note the line of each key."""
    line = node.start_mark.line + 1
    lines.setdefault(keys, line)
    if id(node) in within:
        raise yaml.MarkedYAMLError(problem=f"{'.'.join(keys)} holds itself", problem_mark=node.start_mark)
    within = within | {id(node)}
    if isinstance(node, yaml.MappingNode):
        yield from _walk_keys(node, keys, lines, within)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(item, (*keys, str(number)), lines, within)
    elif isinstance(node, yaml.ScalarNode) and (what := _trap(node)):
        yield line, f"{'.'.join(keys)}: {what}"


def _walk_keys(
    node: yaml.MappingNode, keys: Keys, lines: dict[Keys, int], within: set[int]
) -> Iterator[tuple[int, str]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield line, "a list or a mapping stands as a key; write a name"
            continue
        here = (*keys, key.value)
        if key.value in seen and key.value != "<<":
            yield line, f"the key {'.'.join(here)} is also in line {seen[key.value]}; delete one"
        seen.setdefault(key.value, line)
        lines[here] = line
        read_as = READ_AS.get(_tag(key))
        if read_as:
            yield line, f"the key {key.value or 'nothing'!s}: YAML reads it as {read_as}; {QUOTES}"
        inner = lines if key.value != "<<" else {}
        yield from _walk(value, here, inner, within)


def _tag(node: yaml.Node) -> str:
    return node.tag.removeprefix("tag:yaml.org,2002:")


def _trap(node: yaml.ScalarNode) -> str | None:
    """Return what YAML makes of a plain value that its writer may not mean."""
    tag, value = _tag(node), node.value
    if tag not in PLAIN_TAGS:
        return f"the tag {node.tag} is not read here; delete it"
    if tag in ("int", "float") and SEXAGESIMAL.fullmatch(value):
        return f"YAML reads {value} as {yaml.safe_load(value)}; write that number, or {QUOTES}"
    if tag == "int" and OCTAL.fullmatch(value):
        return f"YAML reads {value} as {yaml.safe_load(value)}; write the number without the leading 0, or {QUOTES}"
    if tag == "float" and math.isnan(yaml.safe_load(value)):
        return f"{value} is no number; write one"
    return f"YAML reads {value} as a date; {QUOTES}" if tag == "timestamp" else None
