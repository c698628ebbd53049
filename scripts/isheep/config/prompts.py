"""Sections `seeds` and `prompts`: where prompts come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from isheep.config.kinds import union
from isheep.config.places import File
from isheep.config.section import Section

if TYPE_CHECKING:
    from isheep.prompts.source import PromptSource as Prompts
else:
    Prompts = union("isheep.prompts.kinds", default="numbered")


class Seeds(Section):
    """The seed tasks."""

    path: File = Field(
        "config/seeds/isheep.jsonl",
        description="Seed file: this project's JSON Lines, Self-Instruct's seed_tasks.jsonl, or an Alpaca-style JSON.",
    )
