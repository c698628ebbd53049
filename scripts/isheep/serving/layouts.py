"""Saved config and tokenizer files: older releases of transformers read them, and they are the same wherever saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isheep.data.files import read_json, write_json

# Version 4's name, where a mixture's config has another in version 5.
ALIASES = {"num_experts": "num_local_experts", "num_local_experts": "num_experts"}
# How a tokenizer was loaded, which transformers writes with it: offline, from a folder.
HOW_LOADED = ("local_files_only", "is_local")


def write_both_layouts(folder: Path) -> None:
    """Add to the saved config and tokenizer files what transformers 4 looks for; transformers 5 reads on as before.

    4.57 is the oldest release with which merged models were loaded and gave the same logits (tests/models).

    Version 5 keeps all that concerns rotary positions in `rope_parameters`; version 4 takes an absent `rope_theta` for
    10000. Version 5 names a tokenizer's class `TokenizersBackend`, which version 4 does not know, and lists further
    special tokens under a name that holds a mapping in version 4. It also writes how a tokenizer was loaded, which is
    taken out: HF_HUB_OFFLINE would change the bytes, and the hash by which a model is known.
    """
    for name, rewrite in (("config.json", _config), ("tokenizer_config.json", _tokenizer)):
        if (folder / name).is_file():
            write_json(folder / name, rewrite(read_json(folder / name)))


def _config(config: dict[str, Any]) -> dict[str, Any]:
    for part in (config, config.get("text_config")):
        if isinstance(part, dict):
            named = {key: part[other] for key, other in ALIASES.items() if other in part}
            part |= {key: value for key, value in {**named, **_rope(part)}.items() if key not in part}
    return config


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Return version 4's keys for a config's rotary positions; those of the full attention where kinds differ."""
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict):
        return {}
    local = rope.get("sliding_attention")
    rope = rope.get("full_attention", rope)
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        return {}
    found = {"rope_theta": rope["rope_theta"]}
    if "partial_rotary_factor" in rope:
        found["partial_rotary_factor"] = rope["partial_rotary_factor"]
    if isinstance(local, dict) and "rope_theta" in local:
        found["rope_local_base_freq"] = local["rope_theta"]
    elif rope.get("rope_type", "default") != "default":  # with one kind of attention alone: version 5 reads it first
        found["rope_scaling"] = {key: value for key, value in rope.items() if key != "partial_rotary_factor"}
    return found


def _tokenizer(config: dict[str, Any]) -> dict[str, Any]:
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    return {key: value for key, value in config.items() if key not in HOW_LOADED}
