"""Section `select`: which assessed rows train the next model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isheep.config.kinds import union

if TYPE_CHECKING:
    from isheep.select.base import Selection as Select
else:
    Select = union("isheep.select.kinds")
