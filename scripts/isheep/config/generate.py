"""Files that are made from the settings' classes: JSON schema, list of defaults, reference page.

`make config` (python -m isheep.config.generate) writes them; a test fails when they differ from what it would write.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from isheep.config import Config
from isheep.config.run import Run
from isheep.data.files import publish

Schema = dict[str, Any]
ROOT = Path(__file__).parents[3]
COMMAND = "make config"
PARTS = {
    "preset": "Name of a file in config/models/: settings that suit a model.",
    "recipe": "Name of a file in config/recipes/: settings that make a method.",
}
JUDGE_PRESET = "Name of a file in config/models/ whose `model` the judge is; keys of `model` lie over it."
INTRODUCTION = """# Settings

Written by `{command}` from `scripts/isheep/config/`; `config/defaults.yaml` lists the same as a config file.

A config file has two keys, `runs` (name of a run: its settings) and `shards`. A run's keys are laid over those of its
`recipe`, these over its model `preset`, these over the defaults below: defaults < preset < recipe < run. Sections
merge key by key; all else is replaced, also a mapping that is data (`select.above`) and a section of another `kind`.
`null` takes away what preset and recipe say, unless null is a value of the setting. Unknown keys are refused, and all
problems are told in one message, with file and line, before anything runs.

## Keys of a run
"""
# YAML reads these words as something other than text.
NOT_PLAIN = re.compile(r"(?i)(true|false|yes|no|on|off|null|none|~|)")
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z]")


def schema() -> Schema:
    """Return the JSON schema of a config file, for editors: presets and recipes may give any part of it."""
    whole = Config.model_json_schema()
    run = whole["$defs"]["Run"]
    parts = {name: {"type": "string", "description": text} for name, text in PARTS.items()}
    run["properties"] = parts | run["properties"]
    judge = whole["$defs"]["ModelJudge"]
    judge["properties"] |= {"preset": {"type": "string", "description": JUDGE_PRESET}}
    # A run may leave any key to its recipe, its preset or the defaults.
    for section in whole["$defs"].values():
        section.pop("required", None)
    # A run may leave `kind` to its recipe, and then its keys alone fit several kinds.
    for node in _nodes(whole):
        if "discriminator" in node:
            node["anyOf"] = node.pop("oneOf")
            del node["discriminator"]
        if isinstance(node.get("title"), str):
            del node["title"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "I-SHEEP config", **whole}


def _nodes(value: Any) -> Iterator[Schema]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield value
    for child in list(children):
        yield from _nodes(child)


def defaults() -> str:
    """Return a config file that gives every key its default, with its meaning as a comment."""
    whole = schema()
    head = [
        f"# Every key with its default: reference, not a file to edit. Written by `{COMMAND}`.",
        "# docs/config.md has the same as tables, with the other kinds of sections.",
        "runs:",
        "  example:",
    ]
    body = _settings(whole, whole["$defs"]["Run"], Run().model_dump(mode="json"), indent=4)
    shards = whole["properties"]["shards"]
    tail = ["shards:", *_settings(whole, _resolve(whole, shards), shards["default"], indent=2)]
    return "\n".join([*head, *body, *tail]) + "\n"


def _settings(whole: Schema, section: Schema, values: dict[str, Any], indent: int) -> list[str]:
    """Return the lines of one section; `values` are its defaults."""
    lines: list[str] = []
    for key, field in section["properties"].items():
        if key in PARTS:
            continue
        inner = _chosen(whole, field, values[key])
        gap = [""] if indent == 4 and _is_section(field) else []
        lines += [*gap, *_comment(field.get("description") or inner.get("description", ""), indent)]
        if "properties" in inner:
            lines += [" " * indent + f"{key}:", *_settings(whole, inner, values[key], indent + 2)]
        else:
            lines += _entry(key, values[key], indent)
    return lines


def _chosen(whole: Schema, field: Schema, value: Any) -> Schema:
    """Return the section behind a field; where there are several kinds, that of the value."""
    kind = value.get("kind") if isinstance(value, dict) else None
    options = [_resolve(whole, option) for option in _kinds(field)] if kind else []
    named = (option for option in options if option["properties"].get("kind", {}).get("const") == kind)
    return next(named, _resolve(whole, field))


def _comment(text: str, indent: int) -> list[str]:
    filled = textwrap.wrap(_one_line(text), width=118 - indent)
    return [" " * indent + f"# {line}" for line in filled]


def _entry(key: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
        block = yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=None, width=10_000, allow_unicode=True)
        return textwrap.indent(block.rstrip(), " " * indent).split("\n")
    return [" " * indent + f"{key}: {scalar(value)}"]


def scalar(value: Any) -> str:
    """Return a value as it stands in a YAML file, on one line."""
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) and not NOT_PLAIN.fullmatch(value)
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(scalar(item) for item in value) + "]"
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def reference() -> str:
    """Return the reference page: a table of keys for every section."""
    whole = schema()
    run = whole["$defs"]["Run"]["properties"]
    lines = [
        *INTRODUCTION.format(command=COMMAND).split("\n"),
        *_table(whole, {key: field for key, field in run.items() if not _is_section(field)}),
    ]
    for key, field in run.items():
        if _is_section(field):
            lines += ["", f"## {key}", "", *_section(whole, key, field)]
    shards = whole["properties"]["shards"]
    lines += ["", "## shards", "", "Beside `runs`, not in a run.", "", *_section(whole, "shards", shards)]
    return "\n".join(lines) + "\n"


def _section(whole: Schema, place: str, field: Schema) -> list[str]:
    """Return text and tables of one section, a table for each kind where there are several."""
    inner = _resolve(whole, field)
    lines = [_one_line(inner.get("description") or field.get("description", ""))]
    unions = {place: field} if _kinds(field) else {}
    if "properties" in inner:
        flat = dict(_flatten(whole, inner))
        lines += ["", *_table(whole, flat)]
        unions = {f"{place}.{key}": item for key, item in flat.items() if _kinds(item)}
    for where, union in unions.items():
        for option in _kinds(union):
            kind = _resolve(whole, option)
            named = kind["properties"].get("kind")
            rest = {key: item for key, item in _flatten(whole, kind) if key != "kind"}
            default = union.get("default")
            mark = (
                " (default)"
                if named and isinstance(default, dict) and named.get("const", "") == default.get("kind")
                else ""
            )
            heading = f"{where}, kind {_type(named)}" if named else where
            lines += ["", f"### {heading}{mark}", "", _one_line(kind["description"])]
            lines += ["", *_table(whole, rest)]
    return lines


def _flatten(whole: Schema, section: Schema, prefix: str = "", over: Any = None) -> Iterator[tuple[str, Schema]]:
    """Yield the keys of a section, and those of sections inside it as dotted keys with the defaults that hold there."""
    for key, field in section["properties"].items():
        if isinstance(over, dict) and key in over:
            field = field | {"default": over[key]}
        inner = _resolve(whole, field)
        yield prefix + key, field
        if "properties" in inner:
            yield from _flatten(whole, inner, f"{prefix}{key}.", field.get("default"))


def _table(whole: Schema, fields: dict[str, Schema]) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in fields.items():
        composite = "$ref" in field or _kinds(field)
        default = "" if field.get("default") is None or composite else f"`{scalar(field['default'])}`"
        meaning = field.get("description") or _resolve(whole, field).get("description", "")
        cells = (f"`{key}`", _type(field), default, _one_line(meaning))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _type(field: Schema) -> str:
    """Return what a value may be, in words."""
    if "$ref" in field:
        return "section"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field and _kinds(field):
        optional = " or nothing" if {"type": "null"} in field["anyOf"] else ""
        return ("section with `kind`" if len(_kinds(field)) > 1 else "section") + optional
    if "anyOf" in field:
        options = [_type(option) for option in field["anyOf"]]
        return ("; or " if any("," in option for option in options) else " or ").join(options)
    kind = field.get("type")
    if kind == "array":
        return "list of sections with `kind`" if _kinds(field) else f"list of {_type(field.get('items', {}))}"
    if kind == "object" and _kinds(field):
        return "mapping of names to sections with `kind`"
    if kind == "object":
        return f"mapping of names to {_type(field.get('additionalProperties', {}))}"
    words = {"string": "text", "boolean": "`true` or `false`", "null": "nothing"}
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {field[bound]:g}" for bound, word in bounds.items() if bound in field]
    return ", ".join([words.get(str(kind), str(kind)), *limits])


def _resolve(whole: Schema, field: Schema) -> Schema:
    return whole["$defs"][field["$ref"].rsplit("/", 1)[1]] if "$ref" in field else field


def _kinds(field: Schema) -> list[Schema]:
    """Return the sections among which a field (or each item of it) chooses by `kind`, or that it may leave out."""
    named = next(iter(field.get("patternProperties", {}).values()), None)
    inner = field.get("items") or named or field.get("additionalProperties") or field
    options = inner.get("anyOf", []) if isinstance(inner, dict) else []
    leaves = [leaf for option in options for leaf in option.get("anyOf", [option])]
    leaves = [leaf for leaf in leaves if leaf.get("type") != "null" and "$comment" not in leaf]
    return leaves if leaves and all("$ref" in leaf for leaf in leaves) else []


def _is_section(field: Schema) -> bool:
    return "$ref" in field or bool(_kinds(field))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def files() -> dict[str, str]:
    """Return every generated file: path from the repository root, and what it must hold."""
    return {
        "config/schema.json": json.dumps(schema(), ensure_ascii=False, indent=2) + "\n",
        "config/defaults.yaml": defaults(),
        "docs/config.md": reference(),
    }


def main() -> None:
    """Write every generated file."""
    for name, text in files().items():
        with publish(ROOT / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
