"""The settings. What reads a whole config file stands in `file` and is fetched when it is first asked for.

Kinds (benchmarks, say) are built on sections, and the whole is built of kinds: importing one section must not import
all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isheep.config.file import RUN_NAME, Config, Shards, load, resolve

__all__ = ["RUN_NAME", "Config", "Shards", "load", "resolve"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("isheep.config.file"), name)
