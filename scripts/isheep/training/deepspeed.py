"""The DeepSpeed configuration: ZeRO-2 shards optimizer and gradients, ZeRO-3 the weights as well."""

from __future__ import annotations

from typing import Any


def zero_config(stage: int) -> dict[str, Any]:
    """Return the DeepSpeed configuration for a ZeRO stage (2 or 3).

    "auto" values are those of the trainer, so that they are said once. ZeRO-3 has to gather its shards when it saves:
    without that an adapter of empty tensors is written.
    """
    zero: dict[str, Any] = {"stage": stage, "contiguous_gradients": True}
    if stage == 3:
        zero |= {
            "reduce_bucket_size": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto"},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
    }
