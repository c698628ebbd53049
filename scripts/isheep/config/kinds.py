"""Kinds: the members of a family (assessors, benchmarks, ...), each a section in a module of its own.

A family is a package of modules, like `isheep.assess.kinds`. Whatever module lies there is found: a new kind is a new
file, and unions of settings, schema, docs and lists follow from it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from functools import cache, reduce
from importlib import import_module
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from isheep.config.section import Section


def sections(package: str) -> Iterator[tuple[str, type[Section]]]:
    """Yield every section that a module of a package defines, with the module's name, in the order of these names."""
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Section) and value.__module__ == module.name:
                yield module.name.rpartition(".")[2], value


@cache
def kinds(package: str) -> dict[str, type[Section]]:
    """Return the sections of a family by their `kind`, in the order of their modules' names.

    Parameters
    ----------
    package
        Dotted name of the family's package. A section belongs to the family when it is defined in one of its modules
        and has a field `kind: Literal[...]`; one that stands for several kinds is listed under each.

    Raises
    ------
    TypeError
        Two sections have one kind.
    """
    family: dict[str, type[Section]] = {}
    for _, section in sections(package):
        named = section.model_fields.get("kind")
        for kind in get_args(named.annotation) if named else ():
            if kind in family:
                twins = f"{family[kind].__name__} and {section.__name__}"
                raise TypeError(f"{package}: two sections of kind {kind!r}, {twins}")
            family[kind] = section
    return family


def union(package: str, default: str | None = None) -> Any:
    """Return the type of a setting that is any of a family's kinds, told apart by `kind`.

    Parameters
    ----------
    package
        The family, as in `kinds`.
    default
        The kind of settings that name none; without it, they are refused.
    """
    members = list(dict.fromkeys(kinds(package).values()))
    whole: Any = reduce(or_, members)
    whole = Annotated[whole, Field(discriminator="kind")] if len(members) > 1 else whole
    return Annotated[whole, BeforeValidator(lambda given: _named(given, default))] if default else whole


def _named(given: Any, kind: str) -> Any:
    return {"kind": kind, **given} if isinstance(given, dict) else given
