"""Zero-shot: the model is shown the prompt and nothing else (paper 3.1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from isheep.outputs.style import OutputStyle


class ZeroShot(OutputStyle):
    """Stages generate_outputs and filter_outputs: answer every prompt, drop broken rows."""

    kind: Literal["zero_shot"] = Field("zero_shot", description="What the model is shown beside the prompt.")
