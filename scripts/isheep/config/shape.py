"""What the type of a setting says: which sections it may hold, whether a mapping is the user's data, where errors lie.

Worked example: `evaluation.benchmarks` is `dict[str, Heldout | Ifeval | ... | None]`. Its members are one mapping whose
values are sections; a value with `kind: ifeval` is for `Ifeval`. `select.above` is `dict[str, float]`: plain data.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from isheep.config.section import Section


def members(annotation: Any) -> list[Any]:
    """Return the alternatives of a type, without the marks that say how to choose between them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [inner for part in get_args(annotation) for inner in members(part)]
    return [annotation]


def sections_in(annotation: Any) -> list[type[Section]]:
    """Return the sections that a type allows."""
    return [part for part in members(annotation) if isinstance(part, type) and issubclass(part, Section)]


def items_of(annotation: Any, container: type) -> Any:
    """Return the type of what a `dict` or a `tuple` holds where a type allows such a container; None where not."""
    for part in members(annotation):
        if get_origin(part) is container:
            return get_args(part)[1 if container is dict else 0]
    return None


def kinds_of(section: type[Section]) -> tuple[str, ...]:
    """Return the values of `kind` that a section stands for; none for one that has no kind."""
    field = section.model_fields.get("kind")
    return get_args(field.annotation) if field else ()


def section_for(annotation: Any, kind: Any) -> type[Section] | None:
    """Return the section that a mapping of this kind is for; None when nothing tells."""
    sections = sections_in(annotation)
    if len(sections) == 1:
        return sections[0]
    return next((section for section in sections if kind in kinds_of(section)), None)


def field_of(section: type[Section] | None, key: Any) -> Any:
    """Return the type of a section's key; None when it has no such key."""
    field = section.model_fields.get(key) if section else None
    return field.annotation if field else None


def default_kind(section: type[Section] | None, key: Any) -> str | None:
    """Return the kind of what a section's key holds by default; None where that is no section with a kind."""
    field = section.model_fields.get(key) if section else None
    return getattr(field.default, "kind", None) if field else None


def may_be_null(annotation: Any) -> bool:
    """Return whether null is a value of this type."""
    return NoneType in members(annotation)


def is_number(annotation: Any) -> bool:
    """Return whether a type holds numbers and no truth values."""
    parts = members(annotation)
    numbers = any(part in (int, float) for part in parts)
    literal = any(isinstance(value, int) for part in parts if get_origin(part) is Literal for value in get_args(part))
    return (numbers or literal) and bool not in parts


def follow(annotation: Any, place: tuple[Any, ...]) -> tuple[list[str], Any]:
    """Return the keys of a place that pydantic names, and the type that is there.

    Pydantic puts the chosen kind (`judge`) and the names of alternatives (`int`) between the keys; they go.
    """
    keys: list[str] = []
    for part in place:
        sections, own = sections_in(annotation), items_of(annotation, dict)
        chosen = [section for section in sections if part in (*kinds_of(section), section.__name__)]
        if len(sections) > 1 and chosen:
            annotation = chosen[0]
        elif any(part in section.model_fields for section in sections):
            annotation = next(field_of(section, part) for section in sections if part in section.model_fields)
            keys.append(str(part))
        elif own is not None and part != "[key]" and not isinstance(part, int):
            annotation = own
            keys.append(str(part))
        elif isinstance(part, int) and items_of(annotation, tuple) is not None:
            annotation = items_of(annotation, tuple)
            keys.append(str(part))
    return keys, annotation
