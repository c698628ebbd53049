"""Settings laid over one another: sections merge key by key, a mapping that is the user's data is replaced.

`null` takes away what lies below, except where null is a value of the setting.
"""

from __future__ import annotations

from typing import Any

from isheep.config.section import Section
from isheep.config.shape import default_kind, field_of, items_of, may_be_null, section_for, sections_in

Settings = dict[str, Any]


def lay(below: Settings, above: Settings, section: type[Section] | None) -> Settings:
    """Return a section's settings with others laid over them.

    Parameters
    ----------
    below, above
        Settings as a file gives them; neither is changed.
    section
        What they are of; None where nothing tells, and then mappings merge.
    """
    merged = dict(below)
    for key, value in above.items():
        annotation = field_of(section, key)
        if value is None and annotation is not None and not may_be_null(annotation):
            merged.pop(key, None)
        else:
            merged[key] = _over(merged.get(key), value, annotation, default_kind(section, key))
    return merged


def _over(old: Any, value: Any, annotation: Any, usual: Any = None) -> Any:
    if not isinstance(value, dict):
        return value
    below = old if isinstance(old, dict) else {}
    named = items_of(annotation, dict)
    if annotation is not None and named is not None:
        if not sections_in(named):
            return {key: item for key, item in value.items() if item is not None}
        return below | {key: _over(below.get(key), item, named) for key, item in value.items()}
    before = below.get("kind", usual)
    kind = value.get("kind", before)
    if kind != (before or kind):
        below = {}
    return lay(below, value, section_for(annotation, kind) or _that_knows(annotation, value))


def _that_knows(annotation: Any, keys: Settings) -> type[Section] | None:
    """Return the first section of a type that has all keys, where no kind tells which is meant."""
    return next((section for section in sections_in(annotation) if keys.keys() <= section.model_fields.keys()), None)
