"""Section `publish`: what dataset and model cards say, and how published folders are cut. It decides no result."""

from __future__ import annotations

from pydantic import Field

from isheep.config.section import Section


class Best(Section):
    """By what the best model of a run is chosen."""

    benchmark: str = Field(description="Name of a benchmark of section evaluation.")
    metric: str = Field(description="One of its metrics, like bits_per_byte of heldout.")


class Publish(Section):
    """Targets publish and archive."""

    best: Best | None = Field(
        None, description="Names the chosen model on every model card and in `Run.best`; null: none is chosen."
    )
    model_licence: str | None = Field(
        None, description="Licence of the base model, an SPDX name; by default the one that its README.md states."
    )
    seeds_licence: str | None = Field(
        None,
        description="Licence of the seed tasks, an SPDX name; by default the line `Licence: NAME` of the README.md "
        "beside them.",
    )
    rows_per_shard: int = Field(100_000, ge=1, description="Rows of a Parquet file.")
    manifest: bool = Field(
        True,
        description="Put the manifest beside each card. It holds every file that the run read, benchmarks too.",
    )
    archive_base: bool = Field(False, description="Pack the base model's folder into the archive.")
    archive_models: bool = Field(
        True, description="Pack the merged models; the adapters alone, with the base model, can make them again."
    )
    check_private: bool = Field(
        True,
        description="Refuse to publish or pack files that hold this machine's user name, host name, folders, or "
        "anything like a token.",
    )
