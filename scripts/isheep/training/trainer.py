"""What TRL's trainers share, whatever the objective: arguments, adapter, marked checkpoints, a stop at divergence."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from isheep.config.train import Lora, Train
from isheep.errors import UserError
from isheep.runner.progress import Progress
from isheep.training.checkpoint import mark_complete
from isheep.training.deepspeed import join_processes, zero_config
from isheep.training.encode import IGNORED, Encoded

LOSS_TOKENS = 32  # of prompt and of answer, on which two ways to the loss are compared
LOSS_TOLERANCE = 0.05  # nats a token; bfloat16 alone explains some hundredths
WARMUP_SHARE = 10  # warm-up takes at most one step in ten


def total_steps(rows: int, settings: Train) -> int:
    """Return the number of optimizer steps for so many training rows; the last batch of an epoch may be short."""
    return math.ceil(settings.epochs * math.ceil(rows / settings.batch_size))


def warmup_steps(rows: int, settings: Train) -> int:
    """Return the steps of warm-up: those asked for, but at most a tenth of the training.

    The paper's 20 steps are most of a short run: 286 rows in batches of 16 give 36 steps (isheep.md 2.2).
    """
    return min(settings.warmup_steps, total_steps(rows, settings) // WARMUP_SHARE)


def common_arguments(settings: Train, folder: Path, rows: int, seed: int, processes: int) -> dict[str, Any]:
    """Return the arguments that TRL's configs of all objectives have in common."""
    import torch

    cpu = not torch.cuda.is_available()
    if settings.liger and (cpu or not find_spec("liger_kernel")):
        raise UserError("train.liger: needs an NVIDIA GPU and the package liger-kernel; write false without")
    if settings.zero_stage:
        join_processes(cpu)
    return {
        "output_dir": str(folder),
        "seed": seed,
        "data_seed": seed,
        "use_cpu": cpu,
        "ddp_backend": "gloo" if cpu and processes > 1 else None,
        "deepspeed": zero_config(settings.zero_stage) if settings.zero_stage else None,
        "per_device_train_batch_size": settings.micro_batch_size,
        "per_device_eval_batch_size": settings.micro_batch_size,
        "gradient_accumulation_steps": settings.batch_size // (settings.micro_batch_size * processes),
        "gradient_checkpointing": settings.gradient_checkpointing,
        "use_liger_kernel": settings.liger,
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        "warmup_steps": warmup_steps(rows, settings),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "bf16": settings.dtype == "bfloat16",
        "fp16": settings.dtype == "float16",
        "train_sampling_strategy": "sequential" if settings.order == "file" else "random",
        "max_length": None,
        # Without padding there is no mask to count by, and a padding token may be the end of turn as well.
        "include_num_input_tokens_seen": "all" if settings.packing else "non_padding",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "eval_strategy": "steps" if settings.early_stop else "no",
        "eval_steps": settings.early_stop.every if settings.early_stop else None,
        "save_strategy": "steps",
        "save_steps": settings.checkpoint_steps,
        # The newest may be half-written when the process dies; the one before it is whole.
        "save_total_limit": 2,
        "dataloader_pin_memory": not cpu,
        "disable_tqdm": True,
        "report_to": "none",
    }


def lora_config(lora: Lora) -> Any:
    """Return PEFT's LoraConfig for these settings; "all-linear" leaves embeddings and output layer alone."""
    from peft import LoraConfig

    modules = lora.target_modules
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
    )


class Marking:
    """Mixed into a trainer of TRL: no cards, which would name folders of this machine; checkpoints get a marker."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card."""

    def _save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc] # of the trainer that it is mixed into
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            mark_complete(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")


def build(trainer: type[Any], settings: Train, first: Encoded, **given: Any) -> Any:
    """Return a trainer of TRL for an adapter, watched, its loss checked on one row.

    Parameters
    ----------
    trainer
        Its class.
    settings
        Section `train`.
    first
        The row on which the loss is checked.
    given
        What the class takes besides: model, args, datasets, ...

    Raises
    ------
    UserError
        No layer of the model has a name in `lora.target_modules`, or its loss is not the library's.
    """
    from transformers import PrinterCallback

    agree_with_config(given["args"], given["model"].config.get_text_config())
    try:
        built = trainer(peft_config=lora_config(settings.lora), callbacks=[_watch(settings)], **given)
    except ValueError as error:
        if "target modules" not in str(error).lower():
            raise
        raise UserError(f"train.lora.target_modules: {str(error).splitlines()[0]}") from None
    built.remove_callback(PrinterCallback)
    if not settings.zero_stage:  # DeepSpeed has yet to place the weights
        check_loss(built.model, first)
    return built


def agree_with_config(arguments: Any, config: Any) -> None:
    """Make TRL's loss that of the model's own config.

    TRL adds a load-balancing loss wherever a config has a weight for one, though the config may say that it is off, and
    caps logits by the name that most models give the cap, where a recurrent one has another.
    """
    if not getattr(config, "output_router_logits", False):
        arguments.router_aux_loss_coef = 0.0
    cap = getattr(config, "logits_soft_cap", None)
    if cap is not None:
        config.final_logit_softcapping = cap


def check_loss(model: Any, row: Encoded) -> None:
    """Check on the beginning of one row that the fused loss of training is what the model's own logits give.

    Raises
    ------
    UserError
        They differ, so the library does not know what this architecture does to its logits.
    """
    import torch

    # The last tokens of the prompt and the first of the answer.
    start = max(0, len(row.prompt) - LOSS_TOKENS)
    ids, labels = (
        torch.tensor([each[start:][: 2 * LOSS_TOKENS]], device=model.device) for each in (row.input_ids, row.labels)
    )
    training = model.training
    model.eval()
    with torch.no_grad():
        fused = model(input_ids=ids, labels=labels, use_cache=False, fused_lm_head=True).log_probs.float().sum()
        logits = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[:, :-1].float(), dim=-1)
    model.train(training)
    targets = labels[:, 1:]
    own = logits.gather(2, targets.clamp(min=0)[..., None])[..., 0][targets != IGNORED].sum()
    count = int((targets != IGNORED).sum())
    difference = float((fused - own).abs()) / max(count, 1)
    # A loss that is no number is told at its step: such weights say nothing about the architecture.
    if math.isfinite(float(own)) and not difference <= LOSS_TOLERANCE:
        raise UserError(
            f"train: the loss of TRL differs from that of {type(model.get_base_model()).__name__} itself by "
            f"{difference:.3g} nats a token, so this architecture cannot be trained here; use another model"
        )


def _watch(settings: Train) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        progress: Progress | None = None
        tokens = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.progress = Progress(state.max_steps, state.global_step, "steps")
            self.tokens = int(state.num_input_tokens_seen)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            # Resumed at its last step, a trainer with a fraction of an epoch to do would take one step more.
            control.should_save = control.should_save and state.global_step < state.max_steps
            return control

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            loss = logs.get("loss")
            if loss is None:
                return
            # float16 skips a step whose gradient overflowed; in other formats it is the end.
            norm = 0.0 if settings.dtype == "float16" else logs.get("grad_norm", 0.0)
            if not math.isfinite(loss) or loss > settings.max_loss or not math.isfinite(norm):
                raise UserError(
                    f"training diverged at step {state.global_step} of {state.max_steps}: loss {loss:.4g}, gradient "
                    f"norm {norm:.4g} (train.max_loss is {settings.max_loss:g}); lower train.learning_rate "
                    f"({settings.learning_rate:g})"
                )
            if state.is_world_process_zero and self.progress:
                seen = int(state.num_input_tokens_seen)
                self.progress.add(seen - self.tokens, state.global_step - self.progress.done, f", loss {loss:.4f}")
                self.tokens = seen

    return Watch()
