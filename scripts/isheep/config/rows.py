"""Sections `classify`, `cluster`, `order`: what is added to rows on their way, and the order in which they train."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from isheep.config.places import File
from isheep.config.section import Section


class Classify(Section):
    """Stage classify_prompts: which prompts have a small set of right answers; absent without `examples`."""

    examples: File | None = Field(
        None, description="JSON Lines {instruction, classification: true or false}, shown in the file's order."
    )


class Cluster(Section):
    """Stage cluster_outputs: rows that lie close together, for select.kind density; absent without `count`."""

    count: int | None = Field(
        None, ge=1, description="Clusters (K of k-means; the paper says 3,000); half the rows where there are fewer."
    )
    of: Literal["prompt", "pair"] = Field("pair", description="What is embedded: the prompt, or prompt and output.")
    model: Literal["base", "current"] = Field(
        "current", description="Whose last layer embeds: that of iter_0, or of iter_i, which wrote the rows."
    )


class Order(Section):
    """Stage order_data: selected rows sorted by a column; absent without `by`. Needs train.order: file."""

    by: str | None = Field(None, description="Column to sort by, like a perplexity: easy rows first.")
    descending: bool = Field(False, description="Highest values first.")
