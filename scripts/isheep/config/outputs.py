"""Section `outputs`: how prompts are answered, and which answers are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isheep.config.kinds import union

if TYPE_CHECKING:
    from isheep.outputs.style import OutputStyle as Outputs
else:
    Outputs = union("isheep.outputs.kinds", default="zero_shot")
