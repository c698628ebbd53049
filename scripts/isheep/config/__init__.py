"""The settings. What reads a whole config file is fetched when it is first asked for.

Kinds (benchmarks, say) are built on sections, and the whole is built of kinds: importing one section must not import
all of them.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isheep.config.document import Config, Shards
    from isheep.config.reading import RUN_NAME, load, read_config

__all__ = ["RUN_NAME", "Config", "Shards", "load", "read_config"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(f"isheep.config.{'document' if name in ('Config', 'Shards') else 'reading'}:{name}")
