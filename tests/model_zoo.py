"""Tiny models of many architectures (hidden 64, two layers, random weights), each with a tokenizer and a template."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import tokenizer_zoo

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
WIDE = {"head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}  # vLLM has no narrower heads on CPUs
FALCON = {"head_dim": None, "num_kv_heads": 2, "new_decoder_architecture": True}
LATENT = {
    "head_dim": None,
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
}
SPARSE = {"n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}
MAMBA = {"state_size": 8, "conv_kernel": 4, "time_step_rank": 8}
GPT2 = {
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}
ROTARY = {"rope_type": "default", "rope_theta": 500000.0}


@dataclass(frozen=True)
class Entry:
    """An architecture: its name in transformers, what its config needs, how it is written and addressed."""

    name: str
    kind: str = "byte_level"
    template: str = "chatml"
    changes: dict[str, Any] = field(default_factory=dict)
    modules: str | tuple[str, ...] = "all-linear"

    @property
    def model_type(self) -> str:
        """The architecture; a name may add a variant behind a plus sign."""
        return self.name.partition("+")[0]


ZOO = (
    Entry("llama", "metaspace_first", "inst", {"rope_parameters": ROTARY, **WIDE}),
    Entry("llama+dated", "byte_level", "dated", {"rope_parameters": ROTARY, "tie_word_embeddings": True}),
    Entry("llama+vicuna", "prepend", "vicuna"),
    Entry("mistral", "metaspace_always", "inst", {"sliding_window": 64}),
    Entry("mixtral", "prepend", "inst", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    Entry("qwen2", "qwen", changes=WIDE),
    Entry("qwen2_moe", changes={**EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 32}),
    Entry("qwen3", template="thinking"),
    Entry("qwen3_moe", template="thinking", changes={**EXPERTS, "num_experts": 4}),
    Entry("gemma", "replace", "gemma"),
    Entry("gemma2", "replace", "gemma", {"sliding_window": 64, "final_logit_softcapping": 3.0}),
    Entry("gemma3_text", "replace", "gemma", {"sliding_window": 64, **WIDE}),
    Entry("phi", changes={"partial_rotary_factor": 0.5}),
    Entry("phi3", "prepend", "phi", {"pad_token_id": 0}),
    Entry("glm", template="glm", changes={"pad_token_id": 0}),
    Entry("glm4", template="glm", changes={"pad_token_id": 0}),
    Entry("gpt2", template="headings", changes=GPT2),
    Entry("gpt_neox", template="headings"),
    Entry("gpt_bigcode", template="headings", changes={**GPT2, "multi_query": True}),
    Entry("gptj", template="headings", changes={**GPT2, "rotary_dim": 8}),
    Entry("opt", template="headings", changes={"ffn_dim": 96, "dropout": 0.0, "word_embed_proj_dim": 64}),
    Entry("bloom", template="headings", changes={"n_layer": 2, "n_head": 4}),
    Entry("falcon", template="headings", changes=FALCON),
    Entry("stablelm", changes={"partial_rotary_factor": 0.5}),
    Entry("starcoder2"),
    Entry("olmo"),
    Entry("olmo2"),
    Entry("cohere", changes={"logit_scale": 0.25}),
    Entry("cohere2", changes={"logit_scale": 0.25, "sliding_window": 64}),
    Entry("granite", changes={"logits_scaling": 4.0, "embedding_multiplier": 2.0}),
    Entry("granitemoe", changes={"num_local_experts": 4, "num_experts_per_tok": 2}),
    Entry("smollm3", changes={"pad_token_id": 2}),
    Entry("exaone4"),
    Entry("ernie4_5"),
    Entry("helium"),
    Entry("nemotron", changes={"partial_rotary_factor": 0.5}),
    Entry("deepseek_v3", "byte_level", "chatml", {**EXPERTS, **LATENT, **SPARSE}),
    Entry(
        "recurrent_gemma", "replace", "gemma", {"lru_width": 64, "attention_window_size": 64, "logits_soft_cap": 2.0}
    ),
    Entry("mamba", template="headings", changes=MAMBA, modules=("in_proj", "x_proj")),
    Entry("llama+unigram", "unigram", "headings"),
)


def chosen() -> list[Entry]:
    """Return the entries to try: all, or the third that ISHEEP_THIRD (0, 1, 2) names, by a hash of their names."""
    third = os.environ.get("ISHEEP_THIRD", "all")
    return [entry for entry in ZOO if third == "all" or crc32(entry.name.encode()) % 3 == int(third) % 3]


def save(entry: Entry, folder: Path) -> Path:
    """Write a tiny random model with its tokenizer into a folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tokenizer_zoo.tokenizer(entry.kind, entry.template)

    shape = {"vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2, **SHAPE}
    torch.manual_seed(0)
    given = {key: value for key, value in (shape | entry.changes).items() if value is not None}
    config = AutoConfig.for_model(entry.model_type, **given)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
