"""The base of every section of the settings."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of settings: unknown keys are refused, values are frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, revalidate_instances="always")

    operational: ClassVar[frozenset[str]] = frozenset()
    """Keys that change how fast, where or how strictly a stage runs, but not what comes out."""


def deciding(value: Any) -> Any:
    """Return settings as plain JSON values, without those that do not decide what comes out."""
    if isinstance(value, Section):
        keys = (key for key in type(value).model_fields if key not in value.operational)
        return {key: deciding(getattr(value, key)) for key in keys}
    if isinstance(value, dict):
        return {key: deciding(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [deciding(child) for child in value]
    return value


def at(section: Section, key: str) -> Any:
    """Return the setting at a dotted key."""
    for part in key.split("."):
        section = getattr(section, part)
    return section
