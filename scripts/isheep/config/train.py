"""Sections `train` and `merge`: LoRA fine-tuning on the selected rows, and folding the adapter in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from isheep.config.model import Dtype
from isheep.config.places import File
from isheep.config.section import Section


class Lora(Section):
    """The adapter. The paper: rank 8, alpha 16, dropout 0.05, all linear layers (isheep.md 2.2)."""

    rank: int = Field(8, ge=1, description="Rank of the update.")
    alpha: int = Field(16, ge=1, description="Scale of the update (divided by the rank).")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout on the adapter's input.")
    target_modules: str | tuple[str, ...] = Field("all-linear", description="Layers that get an adapter.")


class Dpo(Section):
    """Direct preference optimization (arXiv 2305.18290); the reference is the model without the new adapter."""

    beta: float = Field(0.1, gt=0, description="How much leaving the reference costs; higher stays nearer to it.")


class EarlyStop(Section):
    """Keep the step that is best by a metric of the held-out rows, and stop when none better follows."""

    metric: Literal["loss", "accuracy", "margin"] = Field(
        "loss", description="loss: of the held-out rows; accuracy, margin: of held-out pairs (`objective: dpo`)."
    )
    every: int = Field(100, ge=1, description="Steps between measurements; the last step is measured as well.")
    patience: int | None = Field(
        None, ge=1, description="Measurements without a better one after which training stops; null: train to the end."
    )


class Train(Section):
    """Stage train_adapter. The defaults are the paper's (isheep.md 2.2) without its cap of 3,000 rows."""

    # Which rounds train a model shows in what the stage reads: of iter_1, the same for all.
    operational = frozenset({"checkpoint_steps", "data"})

    trainer: Literal["trl", "fake"] = Field("trl", description="trl trains; fake makes an adapter from a hash (tests).")
    data: Literal["current", "all", "last_two"] = Field(
        "current", description="Train on d_i (One_base), on d_0 to d_i (Total_base), or on d_{i-1} and d_i."
    )
    max_rows: int | None = Field(None, ge=1, description="Train on the first so many rows, those of d_0 before others.")
    objective: Literal["sft", "dpo"] = Field(
        "sft", description="sft learns the rows' answers; dpo to prefer the chosen answer of a pair (section `pairs`)."
    )
    dpo: Dpo = Field(Dpo(), description="Settings of `objective: dpo`.")
    start_from: Literal["base", "previous"] = Field("base", description="Train iter_0 (One_base) or iter_i (One_last).")
    lora: Lora = Field(Lora(), description="The adapter.")
    epochs: float = Field(2.0, gt=0, description="Passes over the training rows.")
    learning_rate: float = Field(5e-5, gt=0, description="Peak learning rate.")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="Learning-rate schedule.")
    warmup_steps: int = Field(20, ge=0, description="Steps of linear warm-up; cut to a tenth of a short training.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient clipping.")
    batch_size: int = Field(16, ge=1, description="Rows a step, over all processes.")
    micro_batch_size: int = Field(1, ge=1, description="Rows a forward pass of one process.")
    packing: bool = Field(
        False,
        description="sft: lay the micro_batch_size rows of a pass end to end instead of padding them to one length; "
        "each still sees itself alone, in its place and step. docs/training.md",
    )
    max_length: int = Field(1024, ge=16, description="Longest row, in tokens; longer ones are cut at the end.")
    forms: File | None = Field(
        None,
        description="YAML list of {form}: texts with {instruction} and perhaps {input}, of which each row draws one as "
        "the user's message; null: instruction, a blank line, input, as everywhere.",
    )
    order: Literal["shuffled", "file"] = Field("shuffled", description="Order of rows; `file` is sequential.")
    dtype: Dtype = Field("float32", description="Number format while training.")
    heldout_share: float = Field(0.1, ge=0, lt=1, description="Share of selected rows kept out to report their loss.")
    early_stop: EarlyStop | None = Field(None, description="Keep the best step, not the last; null: the last.")
    processes: int | Literal["gpus"] = Field(1, description="Training processes; `gpus` is one for each GPU given.")
    nodes: int = Field(
        1, ge=1, description="Nodes that share the job's GPUs and processes evenly, one task on each; SLURM alone."
    )
    zero_stage: Literal[0, 2, 3] = Field(0, description="DeepSpeed ZeRO stage; 0 trains without DeepSpeed.")
    checkpoint_steps: int = Field(100, ge=1, description="Steps between checkpoints to resume from.")
    gradient_checkpointing: bool = Field(False, description="Recompute activations to save memory.")
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="How attention is computed; auto is what the library takes, mostly sdpa."
    )
    liger: bool = Field(False, description="Liger's kernels for layers: less memory; GPU, package liger-kernel.")
    quantize: Literal["none", "nf4"] = Field(
        "none",
        description="nf4 holds the base in 4 bits while an adapter is trained on it (QLoRA): GPU, package "
        "bitsandbytes. The adapter is merged into the full weights, which it was not trained on.",
    )
    max_loss: float = Field(20.0, gt=0, description="Training loss (nats a token) above which training has diverged.")

    @model_validator(mode="after")
    def _agree(self) -> Train:
        if self.early_stop and not self.heldout_share:
            raise ValueError("early_stop measures held-out rows: set heldout_share above 0, or early_stop: null")
        if self.packing and self.micro_batch_size == 1:
            raise ValueError("packing lays rows of a pass end to end: set micro_batch_size above 1, or packing: false")
        if self.packing and self.objective == "dpo":
            raise ValueError("packing is of objective sft: set packing: false, or objective: sft")
        if self.early_stop and self.early_stop.metric != "loss" and self.objective != "dpo":
            raise ValueError(
                f"early_stop.metric {self.early_stop.metric} is of pairs: set objective: dpo, or metric: loss"
            )
        return self


class Merge(Section):
    """Stage merge_model: the adapter folded into the weights, and checked on real prompts."""

    operational = frozenset({"tolerance", "compare"})

    dtype: Dtype = Field("float32", description="Number format of the merged weights.")
    compare: Literal["auto", "answers", "tensors"] = Field(
        "auto",
        description="How the merged model is held against base plus adapter: every tensor, and `answers` too, for "
        "which both are loaded in float32; auto does so where they fit the memory.",
    )
    tolerance: float | None = Field(
        None,
        gt=0,
        description="Largest difference allowed between merged and adapter logits; by default what rounding explains: "
        "0.001 in float32, 0.25 in float16, 2 in bfloat16.",
    )
    probe_prompts: int = Field(8, ge=1, description="Prompts of d_i on which the two are compared.")
    probe_tokens: int = Field(256, ge=1, description="New tokens within which a probe answer should stop by itself.")
    max_shard_gib: float = Field(5.0, gt=0, description="Largest file of the merged model, in GiB.")
