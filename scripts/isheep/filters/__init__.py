"""Rules that drop broken prompts and outputs: small named functions, listed in order in the settings.

`default` drops what the paper's rules were meant to drop, without their false positives; `paper` is the paper's own
set; `none` is empty. Importing this package registers every rule and needs nothing but the standard library.
"""

from __future__ import annotations

from isheep.filters import output_rules, paper_rules, prompt_rules
from isheep.filters.registry import SETS, Rule, Stage, describe, first_broken, output_rule, prompt_rule, resolve

__all__ = [
    "SETS",
    "Rule",
    "Stage",
    "describe",
    "first_broken",
    "output_rule",
    "output_rules",
    "paper_rules",
    "prompt_rule",
    "prompt_rules",
    "resolve",
]
