"""The numbers of a model from which memory and time follow: those of its config.json, or as published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.data.files import read_json
from isheep.runner.portable import ROOT
from isheep.training.checks import BYTES
from isheep.workflow.graph import base_folder

GIB = 2**30
PUBLISHED = "config/plan/models.yaml"


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer.

    Parameters
    ----------
    layers, hidden, heads, kv_heads, head_size, feed_forward, vocabulary
        As a config.json names them: layers, width, attention heads, those of keys and values, their width, the inner
        width of the feed-forward part, rows of the embedding.
    tied
        Whether input and output embeddings are one.
    experts, active
        Feed-forward parts of a layer, and those that a token passes.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    tied: bool = True
    experts: int = 1
    active: int = 1

    @property
    def parameters(self) -> int:
        """All weights."""
        return self._weights(self.experts)

    @property
    def used(self) -> int:
        """Weights that a token passes: twice so many operations a token (Kaplan et al. 2020, 2.1)."""
        return self._weights(self.active)

    def _weights(self, experts: int) -> int:
        attention = 2 * self.hidden * self.head_size * (self.heads + self.kv_heads)
        layer = attention + 3 * self.hidden * self.feed_forward * experts + 2 * self.hidden
        return self.layers * layer + self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def largest_tensor(self) -> int:
        """Weights of the largest tensor: an embedding, or a layer's feed-forward part."""
        return self.hidden * max(self.vocabulary, self.feed_forward)

    def weights_gib(self, dtype: str) -> float:
        """Memory of the weights, GiB."""
        return self.parameters * BYTES[dtype] / GIB

    def cache_bytes(self, dtype: str) -> int:
        """Bytes of keys and values of one token."""
        return 2 * self.layers * self.kv_heads * self.head_size * BYTES[dtype]

    def adapter_parameters(self, rank: int) -> int:
        """Weights of an adapter on every linear layer: `rank` times inputs and outputs of each (Hu et al. 2021)."""
        attention = 2 * (self.hidden + self.heads * self.head_size) + 2 * (self.hidden + self.kv_heads * self.head_size)
        feed_forward = 3 * (self.hidden + self.feed_forward) * self.experts
        return self.layers * rank * (attention + feed_forward)

    def activation_bytes(self, tokens: int, dtype: str, recomputed: bool) -> float:
        """Bytes that a training pass keeps for its way back, attention fused (Korthikanti et al. 2022, table 2).

        Parameters
        ----------
        tokens
            Of all rows of a pass.
        dtype
            Number format.
        recomputed
            Whether layers keep their input only, and one layer at a time is made again.
        """
        layer = 17 * self.hidden * tokens * BYTES[dtype]
        return layer + self.layers * self.hidden * tokens * BYTES[dtype] if recomputed else self.layers * layer


def shape_of(model: Model) -> Shape | None:
    """Return the numbers of a base model; None where they are not known (no folder yet, and nothing published here)."""
    folder = base_folder(model)
    if folder and (Path(folder) / "config.json").is_file():
        return of_config(read_json(Path(folder) / "config.json"))
    import yaml

    published = yaml.safe_load((ROOT / PUBLISHED).read_text(encoding="utf-8"))
    names = (model.hub, Path(folder).name.partition("--")[0] if folder else None)
    known = next((published[name] for name in names if name in published), None)
    return Shape(**known) if known else None


def of_config(config: dict[str, Any]) -> Shape | None:
    """Return the numbers in a config.json; None for one that names them otherwise."""
    inner = config.get("text_config")
    config = inner if isinstance(inner, dict) else config
    try:
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        experts = config.get("num_local_experts") or config.get("num_experts") or 1
        return Shape(
            layers=config["num_hidden_layers"],
            hidden=hidden,
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or hidden // heads,
            feed_forward=(config.get("moe_intermediate_size") if experts > 1 else None) or config["intermediate_size"],
            vocabulary=config["vocab_size"],
            tied=config.get("tie_word_embeddings", True),
            experts=experts,
            active=config.get("num_experts_per_tok") or 1,
        )
    except (KeyError, TypeError):
        return None
