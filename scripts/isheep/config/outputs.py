"""Section `outputs`: how prompts are answered, and which answers are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isheep.config.kinds import union

if TYPE_CHECKING:
    from isheep.outputs.style import OutputStyle as Outputs
else:
    Outputs = union("isheep.outputs.kinds", default="zero_shot")

STYLES = {True: "zero_shot", False: "few_shot"}
"""The kind of a run that names none, by `model.chat`; docs/outputs.md has the figures behind it."""


def style_of_model(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's settings (as files give them) say of `outputs` by their model, where they name no kind."""
    model, outputs = settings.get("model"), settings.get("outputs") or {}
    if not isinstance(outputs, dict) or "kind" in outputs:
        return {}
    is_base = isinstance(model, dict) and model.get("chat") is False
    return {"outputs": {"kind": STYLES[not is_base]}}
