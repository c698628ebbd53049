"""The settings: sections by themselves, and what reads a whole config file.

Kinds import sections from here, and a run's settings are made of kinds: whatever needs a whole run is imported when it
is asked for, or it would be a circle.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isheep.config.file import RUN_NAME, Config, Shards, load

__all__ = ["RUN_NAME", "Config", "Shards", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("isheep.config.file"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
