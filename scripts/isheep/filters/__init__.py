"""Rules that drop broken prompts and outputs: small named functions, listed in order in the settings.

`default` drops what the paper's rules were meant to drop, without their false positives; `paper` is the paper's own
set; `none` is empty. Importing this package imports every module in it, so that rules are registered wherever they lie,
and needs nothing but the standard library.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from isheep.filters.registry import SETS, Rule, Stage, describe, first_broken, output_rule, prompt_rule, resolve

__all__ = [
    "SETS",
    "Rule",
    "Stage",
    "describe",
    "first_broken",
    "output_rule",
    "prompt_rule",
    "resolve",
]

for module in pkgutil.iter_modules(__path__, f"{__name__}."):
    if not module.name.endswith(".__main__"):  # the command, which would read its arguments
        import_module(module.name)
