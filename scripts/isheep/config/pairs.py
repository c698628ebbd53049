"""Section `pairs`: how preference pairs are made of a round's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isheep.config.kinds import union

if TYPE_CHECKING:
    from isheep.pairs.base import PairSource as Pairs
else:
    Pairs = union("isheep.pairs.kinds")
