"""Zero-shot: the model is shown the prompt and nothing else (paper 3.1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.outputs.style import OutputStyle
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Prompt


class ZeroShot(OutputStyle):
    """Stages generate_outputs and filter_outputs: answer every prompt, drop broken rows."""

    kind: Literal["zero_shot"] = Field("zero_shot", description="What the model is shown beside the prompt.")

    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return the task alone."""
        return model.task(row["instruction"], row["input"])
