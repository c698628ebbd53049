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


def join_processes(cpu: bool) -> None:
    """Join the training processes; call before the model is loaded, which ZeRO-3 does in shards.

    On the CPU, DeepSpeed would compile a communication kernel at its first start; that takes a compiler and minutes,
    and gloo does the same work. Its checkpoints hold a few objects of its own beside tensors; torch, which refuses to
    unpickle anything else (see `launch.rank_environment`), is told of those.
    """
    import deepspeed
    import torch
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    torch.serialization.add_safe_globals([DynamicLossScaler, LossScaler, ZeroStageEnum, fragment_address])

    if cpu:
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("gloo" if cpu else "nccl")
